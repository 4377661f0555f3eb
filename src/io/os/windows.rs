//! What Windows has of it.
//!
//! Files are opened so that others may read, write, rename and remove them meanwhile, which is std's way. Their locks
//! keep others from reading what is locked, so that ours are where bbolt's is: on a byte that no file has.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, File, FileType, Metadata, OpenOptions};
use std::io;
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::os::windows::io::AsHandle;
use std::path::Path;

use file_guard::Lock as Wanted;
use tempfile::TempPath;
use winapi_util::file::information;

use super::{Identity, told};
use crate::io::state::Lock;

/// `FILE_FLAG_BACKUP_SEMANTICS`: a directory is opened, too.
const ALSO_DIRECTORIES: u32 = 0x0200_0000;
/// `FILE_FLAG_OPEN_REPARSE_POINT`: a link is opened itself.
const NO_LINK: u32 = 0x0020_0000;

/// Whether what is open can be renamed, and a directory while something in it is.
pub const RENAMES_OPEN: bool = false;

// ---- reading ------------------------------------------------------------------------------------------------------

/// Opens an input.
///
/// # Errors
/// What the system says.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    // That it is a directory is told by who looks, and not as a right that is missing.
    OpenOptions::new().read(true).custom_flags(ALSO_DIRECTORIES).open(path)
}

/// The bytes from an offset on, as many as come. Where the file is written next without saying where is moved by it.
///
/// # Errors
/// What the system says.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.seek_read(buf, offset)
}

/// Fills `buf` from an offset on.
///
/// # Errors
/// What the system says; [`io::ErrorKind::UnexpectedEof`].
pub fn read_exact_at(file: &File, mut buf: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !buf.is_empty() {
        let read = match file.seek_read(buf, offset) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            read => read?,
        };
        buf = buf.get_mut(read..).unwrap_or_default();
        offset = offset.saturating_add(crate::codec::to_u64(read));
    }
    Ok(())
}

/// Standard input, without a buffer before it.
///
/// # Errors
/// What the system says.
pub fn standard_input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_handle().try_clone_to_owned()?))
}

/// Standard output, without a buffer before it.
///
/// # Errors
/// What the system says.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_handle().try_clone_to_owned()?))
}

/// Disks are no files here.
#[must_use]
pub fn is_block_device(_: FileType) -> bool {
    false
}

/// A name of a file as bytes that somebody wrote it with: what is no UTF-8 in it cannot be a name here.
#[must_use]
pub fn name_of(bytes: &[u8]) -> Cow<'_, OsStr> {
    match String::from_utf8_lossy(bytes) {
        Cow::Borrowed(name) => Cow::Borrowed(OsStr::new(name)),
        Cow::Owned(name) => Cow::Owned(name.into()),
    }
}

// ---- which file it is ---------------------------------------------------------------------------------------------

/// Opened for nothing but to be asked about.
fn asked(path: &Path, flags: u32) -> io::Result<File> {
    OpenOptions::new().access_mode(0).custom_flags(ALSO_DIRECTORIES | flags).open(path)
}

/// Which file is open.
///
/// # Errors
/// What the system says.
pub fn identity(file: &File) -> io::Result<Identity> {
    information(file).map(|of| (of.volume_serial_number(), of.file_index()))
}

/// Which file a path leads to.
///
/// # Errors
/// What the system says.
pub fn identity_of(path: &Path) -> io::Result<Identity> {
    identity(&asked(path, 0)?)
}

/// Which file has that name: of a link, the link.
///
/// # Errors
/// What the system says.
pub fn identity_of_name(path: &Path) -> io::Result<Identity> {
    identity(&asked(path, NO_LINK)?)
}

/// How many names it has.
///
/// # Errors
/// What the system says.
pub fn names(file: &File) -> io::Result<u64> {
    Ok(information(file)?.number_of_links())
}

/// The system does not tell.
#[must_use]
pub fn status_changed(_: &Metadata) -> Option<(i64, i64)> {
    None
}

// ---- locks --------------------------------------------------------------------------------------------------------

/// Where bbolt has its lock: `Offset` and `OffsetHigh` are both 2^32 - 1 (bbolt `bolt_windows.go flock`).
const BOLT: (usize, usize) = (usize::MAX, 1);
/// Where etcd has that of a segment (etcd `client/pkg/fileutil/lock_windows.go`).
const SEGMENT: (usize, usize) = (0, 1);
/// Where each connection has one of SQLite's (`os.h`, `SHARED_FIRST` and `SHARED_SIZE`).
const SQLITE: (usize, usize) = (0x4000_0002, 510);

/// Whether another has a lock there that keeps us from `wanted`. It is given back at once.
fn looked(file: &File, wanted: Wanted, (at, len): (usize, usize)) -> Lock {
    told(file_guard::try_lock(file, wanted, at, len).map(drop))
}

fn kept(file: &File, wanted: Wanted, (at, len): (usize, usize)) -> io::Result<()> {
    // The system gives it back with the file.
    file_guard::try_lock(file, wanted, at, len).map(std::mem::forget)
}

/// Takes bbolt's lock, which is also the one of what is under way, until the file is closed.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another has it; what the system says.
pub fn hold(file: &File) -> io::Result<()> {
    kept(file, Wanted::Exclusive, BOLT)
}

/// Whether somebody writes a database: bbolt has its lock then. It is not kept.
#[must_use]
pub fn bolt_lock(file: &File) -> Lock {
    looked(file, Wanted::Shared, BOLT)
}

/// Whether somebody appends to a segment of a log: etcd has its lock then. It is not kept.
#[must_use]
pub fn wal_lock(file: &File) -> Lock {
    looked(file, Wanted::Shared, SEGMENT)
}

/// Whether somebody has a database of SQLite open. Its locks are not kept.
#[must_use]
pub fn sqlite_lock(file: &File) -> Lock {
    looked(file, Wanted::Exclusive, SQLITE)
}

/// Takes the lock of a segment of a log, until the file is closed.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another has it; what the system says.
pub fn hold_segment(file: &File) -> io::Result<()> {
    kept(file, Wanted::Shared, SEGMENT)
}

// ---- writing ------------------------------------------------------------------------------------------------------

/// Makes a file that is not there yet: who may use it, its directory says.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).open(path)
}

/// Makes a directory; with those above it, where it may be there already. Who may use it, the one above it says.
///
/// # Errors
/// What the system says.
pub fn create_dir(path: &Path, with_those_above: bool) -> io::Result<()> {
    if with_those_above { fs::create_dir_all(path) } else { fs::create_dir(path) }
}

/// Opens what has that name to write to it; no link is followed.
///
/// # Errors
/// What the system says.
pub fn open_name(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).custom_flags(NO_LINK).open(path)
}

/// Writes some bytes behind what was written last, which ended at this offset: others may read the file meanwhile, and
/// move the place where a write would begin that does not say one.
///
/// # Errors
/// What the system says.
pub fn write_next(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

/// Writes bytes from an offset on.
///
/// # Errors
/// What the system says.
pub fn write_all_at(file: &File, mut bytes: &[u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = file.seek_write(bytes, offset)?;
        if written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        bytes = bytes.get(written..).unwrap_or_default();
        offset = offset.saturating_add(crate::codec::to_u64(written));
    }
    Ok(())
}

/// Who may use it, its directory says.
///
/// # Errors
/// None.
pub fn make_private(_: &File) -> io::Result<()> {
    Ok(())
}

/// Who may use it, its directory says.
///
/// # Errors
/// None.
pub fn take_mode(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// Who may use it, its directory says.
///
/// # Errors
/// None.
pub fn take_owner(_: &File, _: &Metadata) -> io::Result<()> {
    Ok(())
}

/// There are no modes.
#[must_use]
pub fn shared_mode(_: &Metadata) -> Option<u32> {
    None
}

/// Gives a file another name, if nothing has that.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`]; what the system says.
pub fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    TempPath::try_from_path(from)?.persist_noclobber(to).map_err(|failed| {
        // What has not moved would be removed with it.
        let _ = failed.path.keep();
        failed.error
    })
}

/// The same of a directory.
///
/// # Errors
/// As [`rename_to_nothing`].
pub fn rename_dir_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    rename_to_nothing(from, to)
}

/// Gives a file another name, whatever file has that.
///
/// # Errors
/// What the system says: one that is open is replaced by Windows 10 and later only, on NTFS.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to).map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => {
            let told =
                format!("{error} A file that is open is replaced by Windows 10 and later only, on NTFS");
            io::Error::new(error.kind(), told)
        }
        _ => error,
    })
}

/// Two names are not exchanged in one step.
///
/// # Errors
/// None.
pub fn exchange(_: &Path, _: &Path) -> io::Result<bool> {
    Ok(false)
}

/// A directory whose names are to be brought to the disk.
#[derive(Debug)]
pub struct Directory(Option<File>);

impl Directory {
    /// Opens it, where that can be done.
    ///
    /// # Errors
    /// None.
    pub fn open(path: &Path) -> io::Result<Directory> {
        Ok(Directory(OpenOptions::new().write(true).custom_flags(ALSO_DIRECTORIES).open(path).ok()))
    }

    /// Brings its names to the disk. Where the system does not, NTFS has them in its own log.
    ///
    /// # Errors
    /// None.
    pub fn sync(&self) -> io::Result<()> {
        if let Some(directory) = &self.0 {
            let _ = directory.sync_all();
        }
        Ok(())
    }
}

/// Not asked for: a full disk is told by writing to it.
#[must_use]
pub fn free_in(_: &Path) -> Option<u64> {
    None
}

/// As [`free_in`].
#[must_use]
pub fn free_for(_: &File) -> Option<u64> {
    None
}

/// Makes it so long, which reserves it on the disk.
///
/// # Errors
/// What the system says.
pub fn reserve(file: &File, len: u64) -> io::Result<()> {
    file.set_len(len)
}

/// Whether [`sync_all_around`] does something, so that files need not be brought to the disk one by one.
pub const SYNCS_ALL: bool = false;

/// Brings the names of a directory to the disk, where that can be done.
///
/// # Errors
/// None.
pub fn sync_all_around(dir: &Path) -> io::Result<()> {
    Directory::open(dir)?.sync()
}
