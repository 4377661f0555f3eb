//! What Linux, macOS and their like have in common.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::fs::{self, DirBuilder, File, FileType, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{
    DirBuilderExt, FileExt, FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown,
};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags, RenameFlags, StatVfs, fstatvfs, renameat_with, statvfs};
use rustix::io::Errno;
use rustix::process::{Flock, FlockType, fcntl_getlk};

use super::{Identity, told};
use crate::io::state::Lock;

/// Mode of every file that is made: what it holds are a cluster's secrets.
const FILE_MODE: u32 = 0o600;
/// Mode of every directory.
const DIR_MODE: u32 = 0o700;

/// Whether what is open can be renamed, and a directory while something in it is.
pub const RENAMES_OPEN: bool = true;

// ---- reading ------------------------------------------------------------------------------------------------------

/// How an input is opened: a FIFO must not have us wait, nor a terminal become ours.
pub(super) fn flags() -> OFlags {
    OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY
}

/// The bytes from an offset on, as many as come.
///
/// # Errors
/// What the system says.
pub fn read_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(buf, offset)
}

/// Fills `buf` from an offset on.
///
/// # Errors
/// What the system says; [`io::ErrorKind::UnexpectedEof`].
pub fn read_exact_at(file: &File, buf: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buf, offset)
}

/// Standard input, without a buffer before it.
///
/// # Errors
/// What the system says.
pub fn standard_input() -> io::Result<File> {
    Ok(File::from(io::stdin().as_fd().try_clone_to_owned()?))
}

/// Standard output, without a buffer before it.
///
/// # Errors
/// What the system says.
pub fn standard_output() -> io::Result<File> {
    Ok(File::from(io::stdout().as_fd().try_clone_to_owned()?))
}

/// Whether it is a disk or a part of one.
#[must_use]
pub fn is_block_device(kind: FileType) -> bool {
    kind.is_block_device()
}

/// A name of a file as bytes that somebody wrote it with.
#[must_use]
pub fn name_of(bytes: &[u8]) -> Cow<'_, OsStr> {
    Cow::Borrowed(OsStr::from_bytes(bytes))
}

// ---- which file it is ---------------------------------------------------------------------------------------------

fn identified(by: &Metadata) -> Identity {
    (by.dev(), by.ino())
}

/// Which file is open.
///
/// # Errors
/// What the system says.
pub fn identity(file: &File) -> io::Result<Identity> {
    Ok(identified(&file.metadata()?))
}

/// Which file a path leads to.
///
/// # Errors
/// What the system says.
pub fn identity_of(path: &Path) -> io::Result<Identity> {
    Ok(identified(&fs::metadata(path)?))
}

/// Which file has that name: of a link, the link.
///
/// # Errors
/// What the system says.
pub fn identity_of_name(path: &Path) -> io::Result<Identity> {
    Ok(identified(&fs::symlink_metadata(path)?))
}

/// How many names it has.
///
/// # Errors
/// What the system says.
pub fn names(file: &File) -> io::Result<u64> {
    Ok(file.metadata()?.nlink())
}

/// When a file or its name was changed last, which nobody sets: seconds and nanoseconds.
#[must_use]
pub fn status_changed(of: &Metadata) -> Option<(i64, i64)> {
    Some((of.ctime(), of.ctime_nsec()))
}

// ---- locks --------------------------------------------------------------------------------------------------------

/// Takes bbolt's lock, which is also the one of what is under way, until the file is closed.
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another has it; what the system says.
pub fn hold(file: &File) -> io::Result<()> {
    Ok(file.try_lock()?)
}

/// Whether another has a lock of the process that keeps us from `wanted`; none is taken.
pub(super) fn record_lock(file: &File, wanted: FlockType) -> Lock {
    match fcntl_getlk(file, &Flock::from(wanted)) {
        Ok(None) => Lock::Free,
        Ok(Some(_)) => Lock::Held,
        Err(_) => Lock::Unknown,
    }
}

/// Whether somebody has a database of SQLite open. Its locks are not taken.
#[must_use]
pub fn sqlite_lock(file: &File) -> Lock {
    record_lock(file, FlockType::WriteLock)
}

/// Whether somebody writes a database: bbolt has its lock then. It is not kept.
#[must_use]
pub fn bolt_lock(file: &File) -> Lock {
    let lock = told(file.try_lock_shared().map_err(io::Error::from));
    if lock == Lock::Free {
        let _ = file.unlock();
    }
    lock
}

// ---- writing ------------------------------------------------------------------------------------------------------

/// Makes a file that is not there yet, for its owner alone.
///
/// # Errors
/// What the system says.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create_new(true).mode(FILE_MODE).open(path)
}

/// Makes a directory, for its owner alone; with those above it, where it may be there already.
///
/// # Errors
/// What the system says.
pub fn create_dir(path: &Path, with_those_above: bool) -> io::Result<()> {
    DirBuilder::new().mode(DIR_MODE).recursive(with_those_above).create(path)
}

/// Opens what has that name to write to it; no link is followed.
///
/// # Errors
/// What the system says.
pub fn open_name(path: &Path) -> io::Result<File> {
    let opened = rustix::fs::open(path, flags() | OFlags::RDWR | OFlags::NOFOLLOW, Mode::empty())?;
    Ok(File::from(opened))
}

/// Writes some bytes behind what was written last, which ended at this offset: others may read the file meanwhile.
///
/// # Errors
/// What the system says.
pub fn write_next(mut file: &File, bytes: &[u8], _offset: u64) -> io::Result<usize> {
    file.write(bytes)
}

/// Writes bytes from an offset on.
///
/// # Errors
/// What the system says.
pub fn write_all_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<()> {
    file.write_all_at(bytes, offset)
}

/// Makes it its owner's alone, whatever it was made with.
///
/// # Errors
/// What the system says.
pub fn make_private(file: &File) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(FILE_MODE))
}

/// Lets those use it who may use another.
///
/// # Errors
/// What the system says.
pub fn take_mode(file: &File, of: &Metadata) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(of.mode() & 0o7777))
}

/// Gives it the owner, the group and the mode of another.
///
/// # Errors
/// What the system says: giving a file to another user takes the right to.
pub fn take_owner(file: &File, of: &Metadata) -> io::Result<()> {
    fchown(file, Some(of.uid()), Some(of.gid()))?;
    take_mode(file, of)
}

/// The mode of a file that others than its owner can use.
#[must_use]
pub fn shared_mode(of: &Metadata) -> Option<u32> {
    Some(of.mode() & 0o777).filter(|mode| mode & 0o077 != 0)
}

/// Whether the file system has no such call, as some in the network.
fn is_missing(errno: Errno) -> bool {
    [Errno::INVAL, Errno::NOSYS, Errno::OPNOTSUPP].contains(&errno)
}

/// Gives a file another name, if nothing has that.
///
/// # Errors
/// [`io::ErrorKind::AlreadyExists`]; what the system says.
pub fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A second link refuses to replace, too.
        Err(errno) if is_missing(errno) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        done => Ok(done?),
    }
}

/// The same of a directory.
///
/// # Errors
/// As [`rename_to_nothing`].
pub fn rename_dir_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // A directory replaces nothing but an empty directory there.
        Err(errno) if is_missing(errno) && to.symlink_metadata().is_err() => fs::rename(from, to),
        done => Ok(done?),
    }
}

/// Gives a file another name, whatever file has that.
///
/// # Errors
/// What the system says.
pub fn replace(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)
}

/// Has two files change their names in one step; `false` where that cannot be done, and nothing is.
///
/// # Errors
/// What the system says.
pub fn exchange(one: &Path, other: &Path) -> io::Result<bool> {
    match renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE) {
        Err(errno) if is_missing(errno) => Ok(false),
        done => Ok(done.map(|()| true)?),
    }
}

/// A directory whose names are to be brought to the disk.
#[derive(Debug)]
pub struct Directory(File);

impl Directory {
    /// Opens it.
    ///
    /// # Errors
    /// What the system says.
    pub fn open(path: &Path) -> io::Result<Directory> {
        File::open(path).map(Directory)
    }

    /// Brings its names to the disk.
    ///
    /// # Errors
    /// What the system says.
    pub fn sync(&self) -> io::Result<()> {
        self.0.sync_all()
    }
}

/// Bytes that may still be written in a directory; `None` where the system does not tell.
#[must_use]
pub fn free_in(dir: &Path) -> Option<u64> {
    statvfs(dir).ok().as_ref().map(free)
}

/// The same of the file system that a file is in.
#[must_use]
pub fn free_for(file: &File) -> Option<u64> {
    fstatvfs(file).ok().as_ref().map(free)
}

fn free(there: &StatVfs) -> u64 {
    there.f_bavail.saturating_mul(there.f_frsize)
}
