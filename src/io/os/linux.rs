//! What only Linux has.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{
    Advice, FallocateFlags, FlockOperation, Mode, OFlags, SealFlags, fadvise, fallocate, fcntl_get_seals,
    fcntl_lock, syncfs,
};
use rustix::io::{Errno, ReadWriteFlags, preadv2};
use rustix::process::FlockType;

use super::unix::{flags, record_lock};
use crate::io::state::Lock;

/// Opens an input, and leaves no trace of that where the owner allows it.
///
/// # Errors
/// What the system says.
pub fn open_to_read(path: &Path) -> io::Result<File> {
    let flags = flags() | OFlags::RDONLY;
    let opened = rustix::fs::open(path, flags | OFlags::NOATIME, Mode::empty())
        .or_else(|_| rustix::fs::open(path, flags, Mode::empty()))?;
    Ok(File::from(opened))
}

/// Tells the system that the whole file will be read from front to back.
pub fn will_read_all(file: &File) {
    let _ = fadvise(file, 0, None, Advice::Sequential);
}

/// Whether the byte at an offset is in memory; `true` where the system does not tell.
#[must_use]
pub fn is_cached(file: &File, offset: u64) -> bool {
    let mut byte = [0];
    let read = preadv2(file, &mut [io::IoSliceMut::new(&mut byte)], offset, ReadWriteFlags::NOWAIT);
    read != Err(Errno::AGAIN)
}

/// Whether a file is in memory only and nobody can shorten it or write to it.
#[must_use]
pub fn is_sealed(file: &File) -> bool {
    let constant = SealFlags::SHRINK | SealFlags::WRITE;
    fcntl_get_seals(file).is_ok_and(|seals| seals.contains(constant))
}

/// Whether somebody appends to a segment of a log: etcd has its lock then. It is not taken.
#[must_use]
pub fn wal_lock(file: &File) -> Lock {
    record_lock(file, FlockType::ReadLock)
}

/// Takes the lock of a segment of a log, until the file is closed. Shared is enough: etcd takes it alone, and does not
/// wait for it (`wal.openWALFiles`).
///
/// # Errors
/// [`io::ErrorKind::WouldBlock`] when another has it; what the system says.
pub fn hold_segment(file: &File) -> io::Result<()> {
    match fcntl_lock(file, FlockOperation::NonBlockingLockShared) {
        Err(Errno::ACCESS) => Err(io::ErrorKind::WouldBlock.into()),
        done => Ok(done?),
    }
}

/// Reserves so many bytes on the disk, zeros where nothing is written, where the file system can; makes it as long
/// where not.
///
/// # Errors
/// What the system says.
pub fn reserve(file: &File, len: u64) -> io::Result<()> {
    match fallocate(file, FallocateFlags::empty(), 0, len) {
        Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INTR) => file.set_len(len),
        done => Ok(done?),
    }
}

/// Whether [`sync_all_around`] does something, so that files need not be brought to the disk one by one.
pub const SYNCS_ALL: bool = true;

/// Brings all that is in the file system of a directory to the disk.
///
/// # Errors
/// What the system says.
pub fn sync_all_around(dir: &Path) -> io::Result<()> {
    Ok(syncfs(File::open(dir)?)?)
}
