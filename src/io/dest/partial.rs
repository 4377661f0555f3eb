//! What is under way: it stands beside its place with `.partial` at the end of its name, and who makes it holds a lock
//! on it, so that what a run that died has left is told from what another run is making.
//!
//! A file is locked itself, a directory by the file [`LOCK`] in it, by which it is also known to be of this program:
//! a directory that holds something and not this is never removed, so that the lock is the first thing in it and the
//! last, also when it is in its place. A lock counts only while its file is the one that has the name: who finds
//! another there has come too late.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::io::os::{self, Identity};
use crate::words::error::{Error, Result, show};
use crate::words::refusal::Refusal;

/// Name of the file in a directory under way that is locked.
pub(super) const LOCK: &str = ".coldbolt.lock";

/// All that this process has under way. Nothing is made or brought to its place without it.
static UNDER_WAY: Mutex<Vec<Entry>> = Mutex::new(Vec::new());
/// Who hears of what is taken over.
static HEARS: OnceLock<fn(&Path)> = OnceLock::new();

#[derive(Debug)]
struct Entry {
    path: PathBuf,
    lock: Identity,
    /// Directories that were made to hold it, the innermost first.
    made: Vec<PathBuf>,
}

/// While it is held, nothing is made or brought to its place by anyone else.
pub(super) fn alone() -> impl Sized {
    under_way()
}

fn under_way() -> MutexGuard<'static, Vec<Entry>> {
    UNDER_WAY.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has `say` be told of each `.partial` of a run that died, which is removed. The first who asks is told.
pub fn hear_of_taken_over(say: fn(&Path)) {
    let _ = HEARS.set(say);
}

/// Removes everything that is under way in this process, for one that is being ended. Nothing is made or brought to
/// its place afterwards: who wants to waits for the end.
pub fn abandon() {
    let under_way = under_way();
    for entry in under_way.iter() {
        remove(&entry.path);
        for parent in &entry.made {
            let _ = fs::remove_dir(parent);
        }
    }
    // The lock is never given back.
    std::mem::forget(under_way);
}

/// Whether a file is one that this process is making, and whose lock it holds therefore.
pub(in crate::io) fn is_ours(file: Identity) -> bool {
    under_way().iter().any(|entry| entry.lock == file)
}

fn remove(path: &Path) {
    let removed = fs::remove_file(path);
    if removed.is_err() {
        let _ = remove_dir(path);
    }
}

/// Removes a directory, its lock at last: whoever is killed meanwhile leaves one that is known.
pub(super) fn remove_dir(dir: &Path) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else if entry.file_name() != LOCK {
            fs::remove_file(entry.path())?;
        }
    }
    match fs::remove_file(dir.join(LOCK)) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => fs::remove_dir(dir),
    }
}

/// Something under way. Dropped before it is [in its place](Partial::put), nothing remains of it.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    /// Holds the lock of a directory.
    lock: Option<File>,
    placed: bool,
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Output { what: show(path), source }
}

/// What is there now was not there a moment before: another run has begun.
fn not_begun(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| match source.kind() {
        ErrorKind::AlreadyExists => unfinished(path),
        _ => failed(path)(source),
    }
}

impl Partial {
    /// Begins a file.
    pub(super) fn file(path: &Path) -> Result<(Partial, File)> {
        let mut under_way = under_way();
        clear(path)?;
        let file = os::create(path).map_err(not_begun(path))?;
        let lock = hold(&file, path, path)?;
        under_way.push(Entry { path: path.to_path_buf(), lock, made: Vec::new() });
        Ok((Partial { path: path.to_path_buf(), lock: None, placed: false }, file))
    }

    /// Begins a directory; the directories `made` for it go with it.
    pub(super) fn dir(path: &Path, made: Vec<PathBuf>) -> Result<Partial> {
        let mut under_way = under_way();
        clear(path)?;
        // Not recursive: that it does not exist yet is part of what is asked.
        os::create_dir(path, false).map_err(not_begun(path))?;
        let name = path.join(LOCK);
        let held =
            os::create(&name).map_err(failed(&name)).and_then(|file| Ok((hold(&file, &name, path)?, file)));
        match held {
            Ok((lock, file)) => {
                under_way.push(Entry { path: path.to_path_buf(), lock, made });
                Ok(Partial { path: path.to_path_buf(), lock: Some(file), placed: false })
            }
            // Another run took it for dead before it had its lock.
            Err(Error::Output { source, .. }) if source.kind() == ErrorKind::NotFound => {
                Err(unfinished(path))
            }
            Err(error) => {
                if matches!(error, Error::Output { .. }) {
                    let _ = fs::remove_dir(path);
                }
                Err(error)
            }
        }
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Brings it to its place by `rename`.
    pub(super) fn put(
        &mut self,
        place: &Path,
        rename: impl FnOnce(&Path) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut under_way = under_way();
        let is_dir = self.lock.is_some();
        if !os::RENAMES_OPEN {
            // Who takes it for dead now has it open and keeps it from being renamed.
            self.lock = None;
        }
        rename(&self.path)?;
        self.placed = true;
        if is_dir {
            // Last: without it what is not in its place yet would be nobody's. Left behind it does no harm.
            let _ = fs::remove_file(place.join(LOCK));
        }
        under_way.retain(|entry| entry.path != self.path);
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.placed {
            let mut under_way = under_way();
            remove(&self.path);
            under_way.retain(|entry| entry.path != self.path);
        }
    }
}

/// Takes the lock of what was just made. On a file system without locks there is none, and nothing is taken over.
fn hold(file: &File, name: &Path, partial: &Path) -> Result<Identity> {
    let ours = os::identity(file).map_err(failed(name))?;
    let lost = os::hold(file).is_err_and(|error| error.kind() == ErrorKind::WouldBlock);
    if !lost && os::identity_of_name(name).is_ok_and(|there| there == ours) {
        Ok(ours)
    } else {
        Err(unfinished(partial))
    }
}

fn unfinished(partial: &Path) -> Error {
    Refusal::Unfinished { path: partial.to_path_buf() }.into()
}

/// What a run that died has left.
enum Dead {
    /// Its lock was free, and is held now.
    Locked(File),
    /// A directory that does not even have its lock: nothing is in it.
    Empty,
}

/// Makes a directory one that a run has left.
pub(super) fn give_up(dir: &Path) {
    let _ = File::create(dir.join(LOCK));
}

/// Refuses what is under way or not of this program; what a run that died has left is no hindrance.
pub(super) fn refuse_living(partial: &Path) -> Result<()> {
    dead(partial).map(drop)
}

/// Removes what a run that died has left.
fn clear(partial: &Path) -> Result<()> {
    let removed = match dead(partial)? {
        None => return Ok(()),
        // Not empty any more: another run has begun there.
        Some(Dead::Empty) => return fs::remove_dir(partial).map_err(|_| unfinished(partial)),
        Some(Dead::Locked(_held)) if partial.is_dir() => remove_dir(partial),
        Some(Dead::Locked(_held)) => fs::remove_file(partial),
    };
    removed.map_err(failed(partial))?;
    taken_over(partial);
    Ok(())
}

/// Tells who hears of it that something is removed which a run that died has left.
pub(super) fn taken_over(left: &Path) {
    if let Some(say) = HEARS.get() {
        say(left);
    }
}

/// Removes a file of a run that died, if it is one and can be removed.
pub(super) fn clear_file(partial: &Path) {
    if fs::symlink_metadata(partial).is_ok_and(|there| there.is_file()) {
        let _ = clear(partial);
    }
}

/// What a run that died has left, if there is something.
fn dead(partial: &Path) -> Result<Option<Dead>> {
    let refused = || unfinished(partial);
    let there = match fs::symlink_metadata(partial) {
        Ok(there) => there,
        // What is there is told by who makes something there.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(failed(partial)(error)),
    };
    if there.is_dir() && fs::read_dir(partial).is_ok_and(|mut inside| inside.next().is_none()) {
        return Ok(Some(Dead::Empty));
    }
    let name = if there.is_dir() { partial.join(LOCK) } else { partial.to_path_buf() };
    let file = os::open_name(&name).map_err(|_| refused())?;
    let opened = os::identity(&file).map_err(|_| refused())?;
    let free = file.metadata().is_ok_and(|opened| opened.is_file()) && os::hold(&file).is_ok();
    if free && os::identity_of_name(&name).is_ok_and(|there| there == opened) {
        Ok(Some(Dead::Locked(file)))
    } else {
        Err(refused())
    }
}
