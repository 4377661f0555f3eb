//! What Linux alone has, where it is not: on macOS, and systems like it, which nobody has tried.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{Mode, OFlags};

use super::unix::{Directory, bolt_lock, flags};
use crate::io::state::Lock;

/// Opens an input.
///
/// # Errors
/// What the system says.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    Ok(File::from(rustix::fs::open(path, flags() | OFlags::RDONLY, Mode::empty())?))
}

/// Whether somebody appends to a segment of a log: etcd has its lock then, here the same as bbolt's
/// (`fileutil.flockTryLockFile`). It is not kept.
#[must_use]
pub fn wal_lock(file: &File) -> Lock {
    bolt_lock(file)
}

/// Takes the lock of a segment of a log, until the file is closed. Shared is enough: etcd takes it alone, and does not
/// wait for it (`wal.openWALFiles`).
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another has it; what the system says.
pub fn hold_segment(file: &File) -> io::Result<()> {
    Ok(file.try_lock_shared()?)
}

/// Makes it so long.
///
/// # Errors
/// What the system says.
pub fn reserve(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// Whether [`sync_all_around`] does something, so that files need not be brought to the disk one by one.
pub const SYNCS_ALL: bool = false;

/// Brings the names of a directory to the disk.
///
/// # Errors
/// What the system says.
pub fn sync_all_around(dir: &Path) -> io::Result<()> {
    Directory::open(dir)?.sync()
}
