//! What differs between operating systems, by what it is for: the only place that knows one (feature `fs`).
//!
//! | | Linux | macOS | Windows |
//! |---|---|---|---|
//! | reading leaves no time of access | where the owner allows it | no | as the system is set |
//! | bbolt's lock | `flock` | `flock` | `LockFileEx`, the last byte there can be |
//! | lock of a segment of a log | open file description lock | `flock` | `LockFileEx`, the first byte |
//! | a name that must not be taken | `renameat2` | `renameatx_np` | `MoveFileEx` |
//! | two names exchanged in one step | `renameat2` | `renameatx_np` | cannot |
//! | for the owner alone | mode 0600, 0700 | mode 0600, 0700 | as the directory passes on |
//! | room on the disk | `statvfs` | `statvfs` | is not asked for |
//! | names of a directory on the disk | `fsync` | `fsync` | where it can be opened, by the log of NTFS else |
//!
//! What one of them cannot do is said by its functions, as `None`, [`Lock::Unknown`] or `false`.

#[cfg(not(target_os = "linux"))]
mod elsewhere;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(all(unix, not(target_os = "linux")))]
mod macos;
#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::fs::File;
use std::io;

use jiff::Timestamp;

#[cfg(not(target_os = "linux"))]
pub use self::elsewhere::*;
#[cfg(target_os = "linux")]
pub use self::linux::*;
#[cfg(all(unix, not(target_os = "linux")))]
pub use self::macos::*;
#[cfg(unix)]
pub use self::unix::*;
#[cfg(windows)]
pub use self::windows::*;
use super::state::{Lock, Stamp};

/// Which file it is, whatever its name: device and inode, or volume and index.
pub type Identity = (u64, u64);

/// Whether somebody holds a lock, of what became of taking it.
fn told(taken: io::Result<()>) -> Lock {
    match taken {
        Ok(()) => Lock::Free,
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Lock::Held,
        Err(_) => Lock::Unknown,
    }
}

/// The state that a file is in.
///
/// # Errors
/// What the system says.
pub fn stamp(file: &File) -> io::Result<Stamp> {
    let metadata = file.metadata()?;
    let modified = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    let modified = modified.map_or((0, 0), |at| (at.as_second(), i64::from(at.subsec_nanosecond())));
    Ok(Stamp { identity: identity(file)?, len: metadata.len(), modified })
}
