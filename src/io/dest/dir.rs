//! A directory that appears whole or not at all.
//!
//! Everything is built in `<path>.partial`; each file and directory is brought to the disk, then the whole is renamed
//! to its place, which never replaces anything, and the parent is brought to the disk too. What fails leaves nothing;
//! what is killed leaves the `.partial`, which the next run removes.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::codec::to_u64;
use crate::io::dest::partial::{LOCK, Partial, alone, give_up, remove_dir, taken_over};
use crate::io::dest::writeback::Writeback;
use crate::io::dest::{not_placed, parent_of, partial_of, refuse_unfinished};
use crate::io::os::{self, Directory};
use crate::words::error::{Error, Result, show};
use crate::words::refusal::Refusal;

/// Something that is about to be done to a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A directory or a file is made.
    Create,
    /// Bytes are written.
    Write,
    /// A file or directory is brought to the disk.
    Sync,
    /// The whole is put in its place.
    Rename,
}

/// Asked before every step, with the path it is about; an error is as if the step itself failed. For tests of what a
/// crash leaves.
pub type Hook<'h> = &'h (dyn Fn(Step, &Path) -> io::Result<()> + Sync);

/// Whom a destination asks before each step.
#[derive(Clone)]
pub struct Steps<'h>(Option<Hook<'h>>);

impl std::fmt::Debug for Steps<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Steps(hooked)" } else { "Steps" })
    }
}

impl<'h> Steps<'h> {
    /// Nothing is asked.
    #[must_use]
    pub fn free() -> Steps<'h> {
        Steps(None)
    }

    /// Each step is asked about.
    #[must_use]
    pub fn hooked(hook: Hook<'h>) -> Steps<'h> {
        Steps(Some(hook))
    }

    fn ask(&self, step: Step, path: &Path) -> io::Result<()> {
        self.0.map_or(Ok(()), |hook| hook(step, path))
    }
}

/// A directory under construction. Dropping it removes what there is of it, unless it was [placed](DestDir::place).
#[derive(Debug)]
pub struct DestDir<'h> {
    path: PathBuf,
    partial: Partial,
    steps: Steps<'h>,
    parents: Parents,
    /// Whether there are files in it that are not on the disk yet.
    small: bool,
}

/// Directories that were made to hold another, the innermost first. Dropped, those that are empty are removed.
#[derive(Debug, Default)]
struct Parents(Vec<PathBuf>);

impl Drop for Parents {
    fn drop(&mut self) {
        for parent in &self.0 {
            let _ = fs::remove_dir(parent);
        }
    }
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Error {
    move |source| Error::Output { what: show(path), source }
}

/// What a file holds that is not in force yet: nothing that any program takes for its own.
const NOT_YET: &[u8] = b"\n";

/// What is put in the place of a data directory as a whole, and where in that is what it has below `member`. A
/// directory that is there, if empty, keeps its owner, mode and mount: it gets the one in it.
#[must_use]
pub fn root_of(data_dir: &Path) -> (PathBuf, PathBuf) {
    if data_dir.symlink_metadata().is_ok() {
        (data_dir.join("member"), PathBuf::new())
    } else {
        (data_dir.to_path_buf(), PathBuf::from("member"))
    }
}

/// Refuses a place for a log that is kept outside its data directory, whose first file will be `name`.
///
/// # Errors
/// [`Error::Refused`] where something is, but what [`log_elsewhere`] removes, or where it is inside the directory.
pub fn check_log_elsewhere(dir: &Path, name: &Path, data_dir: &Path) -> Result<()> {
    if dir.symlink_metadata().is_ok() && !held_back(dir, name) {
        return Err(Refusal::LogExists { path: dir.to_path_buf() }.into());
    }
    refuse_unfinished(dir)?;
    if dir.starts_with(data_dir) {
        let (path, data_dir) = (dir.to_path_buf(), data_dir.to_path_buf());
        return Err(Refusal::LogInside { path, data_dir }.into());
    }
    Ok(())
}

/// Begins it. One whose data directory never came to its place, which nobody can use, is removed before.
///
/// # Errors
/// As [`DestDir::create`].
pub fn log_elsewhere<'h>(dir: &Path, name: &Path, steps: Steps<'h>) -> Result<DestDir<'h>> {
    if held_back(dir, name) {
        clear_held_back(dir)?;
    }
    DestDir::create(dir, steps)
}

/// Whether a directory is one that a run left which died before the only file in it, `name`, was in force.
fn held_back(dir: &Path, name: &Path) -> bool {
    let names =
        fs::read_dir(dir).into_iter().flatten().map(|entry| entry.ok().map(|entry| entry.file_name()));
    let mut names: Vec<_> = names.filter(|name| name.as_deref() != Some(OsStr::new(LOCK))).collect();
    names.sort();
    let due = [name.to_path_buf(), partial_of(name)].map(|name| Some(name.into_os_string()));
    names == due
        && fs::metadata(dir.join(name)).is_ok_and(|there| there.len() == to_u64(NOT_YET.len()))
        && fs::read(dir.join(name)).is_ok_and(|bytes| bytes == NOT_YET)
}

/// Removes one that is [`held_back`].
///
/// # Errors
/// [`Error::Refused`] when it cannot be removed.
fn clear_held_back(dir: &Path) -> Result<()> {
    Placed { path: dir.to_path_buf() }.remove();
    check(dir)?;
    taken_over(dir);
    Ok(())
}

/// Refuses a place where something is, or where an unfinished directory of an earlier run is.
///
/// # Errors
/// [`Error::Refused`], naming what is in the way.
pub fn check(path: &Path) -> Result<()> {
    refuse_unfinished(path)?;
    if path.symlink_metadata().is_ok() {
        return Err(Refusal::Exists { path: path.to_path_buf() }.into());
    }
    Ok(())
}

impl<'h> DestDir<'h> {
    /// Begins a directory that will be at `path`. Missing parents are made.
    ///
    /// # Errors
    /// [`Error::Refused`] as [`check`]; [`Error::Output`] with what the file system says.
    pub fn create(path: &Path, steps: Steps<'h>) -> Result<DestDir<'h>> {
        check(path)?;
        let partial = partial_of(path);
        let parent = parent_of(path);
        let above = parent.ancestors().filter(|a| !a.as_os_str().is_empty());
        let missing: Vec<PathBuf> = above
            .take_while(|ancestor| ancestor.symlink_metadata().is_err())
            .map(Path::to_path_buf)
            .collect();
        let parents = Parents(missing);
        if !parents.0.is_empty() {
            make(&steps, parent).map_err(failed(parent))?;
        }
        steps.ask(Step::Create, &partial).map_err(failed(&partial))?;
        let partial = Partial::dir(&partial, parents.0.clone())?;
        Ok(DestDir { path: path.components().collect(), partial, steps, parents, small: false })
    }

    /// Where it is built.
    #[must_use]
    pub fn partial(&self) -> &Path {
        self.partial.path()
    }

    /// Makes a directory in it, and those above.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn dir(&self, relative: &Path) -> Result<()> {
        make(&self.steps, &self.partial().join(relative)).map_err(failed(&self.path.join(relative)))
    }

    /// Begins a file in it.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn file(&self, relative: &Path) -> Result<DestFile<'h>> {
        let (path, shown) = (self.partial().join(relative), self.path.join(relative));
        self.steps.ask(Step::Create, &path).map_err(failed(&shown))?;
        let _alone = alone();
        let file = os::create(&path).map_err(failed(&shown))?;
        Ok(DestFile { path, shown, file: Writeback::new(file), steps: self.steps.clone() })
    }

    /// Begins a file that has its name only when it is [put in force](Placed::put_in_force): until then there is
    /// [`NOT_YET`] in its place.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn file_held_back(&self, relative: &Path) -> Result<DestFile<'h>> {
        let mut not_yet = self.file(relative)?;
        not_yet.put(NOT_YET)?;
        not_yet.finish()?;
        let held_back = self.file(&partial_of(relative))?;
        Ok(DestFile { shown: self.path.join(relative), ..held_back })
    }

    /// Writes one of many small files: they are brought to the disk together, before the whole is put in its place.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn write(&mut self, relative: &Path, bytes: &[u8]) -> Result<()> {
        let mut file = self.file(relative)?;
        file.put(bytes)?;
        if os::SYNCS_ALL {
            self.small = true;
            return Ok(());
        }
        file.finish()
    }

    /// Brings all directories to the disk and puts the whole in its place.
    ///
    /// # Errors
    /// [`Error::Refused`] when something has appeared in its place; [`Error::Output`].
    pub fn place(mut self) -> Result<Placed> {
        self.sync().map_err(failed(&self.path))?;
        self.rename().map_err(|source| not_placed(&self.path, source))?;
        let placed = Placed { path: self.path.clone() };
        let parent = parent_of(&self.path);
        // It is there and whole; only whether it will still be after a power failure is open.
        let sync = || {
            self.steps.ask(Step::Sync, parent)?;
            Directory::open(&self.path)?.sync()?;
            Directory::open(parent)?.sync()
        };
        let synced = sync();
        if let Err(source) = synced {
            placed.remove();
            return Err(Error::Output { what: show(parent), source });
        }
        self.parents.0.clear();
        Ok(placed)
    }

    fn sync(&self) -> io::Result<()> {
        if self.small {
            // A call for each of thousands of files and folders would take minutes.
            self.steps.ask(Step::Sync, self.partial())?;
            return os::sync_all_around(self.partial());
        }
        self.sync_dirs(self.partial())
    }

    fn sync_dirs(&self, dir: &Path) -> io::Result<()> {
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                self.sync_dirs(&entry.path())?;
            }
        }
        self.steps.ask(Step::Sync, dir)?;
        Directory::open(dir)?.sync()
    }

    fn rename(&mut self) -> io::Result<()> {
        self.steps.ask(Step::Rename, &self.path)?;
        let path = &self.path;
        self.partial.put(path, |partial| os::rename_dir_to_nothing(partial, path))
    }
}

fn make(steps: &Steps<'_>, path: &Path) -> io::Result<()> {
    steps.ask(Step::Create, path)?;
    let _alone = alone();
    os::create_dir(path, true)
}

/// A directory in its place.
#[derive(Debug)]
pub struct Placed {
    path: PathBuf,
}

impl Placed {
    /// Takes it away again: what belongs to it could not be placed.
    pub fn remove(&self) {
        // Renamed first, so that nothing half is ever seen in its place.
        let _alone = alone();
        let partial = partial_of(&self.path);
        give_up(&self.path);
        if fs::rename(&self.path, &partial).is_ok() {
            let _ = remove_dir(&partial);
        }
    }

    /// Gives a file its name that was [held back](DestDir::file_held_back).
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn put_in_force(&self, name: &Path) -> Result<()> {
        let _alone = alone();
        let to = self.path.join(name);
        let done = fs::rename(partial_of(&to), &to).and_then(|()| Directory::open(&self.path)?.sync());
        done.map_err(failed(&to))
    }
}

/// Puts a data directory in its place, and the log that is kept elsewhere, whose first file `name` was
/// [held back](DestDir::file_held_back).
///
/// With the log alone etcd up to 3.6 would begin an empty cluster, without it one that counts anew: until both are
/// there it finds a log that it panics at (cannot use none as id).
///
/// # Errors
/// As [`DestDir::place`]; then nothing of either is left.
pub fn place_with_log(data: DestDir<'_>, log: Option<DestDir<'_>>, name: &Path) -> Result<()> {
    let log: Option<Placed> = log.map(DestDir::place).transpose()?;
    let placed = data.place().and_then(|data| {
        let named = log.as_ref().map_or(Ok(()), |log| log.put_in_force(name));
        named.inspect_err(|_| data.remove())
    });
    if let (Err(_), Some(log)) = (&placed, &log) {
        log.remove();
    }
    placed
}

/// A file under construction in a [`DestDir`].
#[derive(Debug)]
pub struct DestFile<'h> {
    path: PathBuf,
    /// Where it will be: what messages name.
    shown: PathBuf,
    file: Writeback,
    steps: Steps<'h>,
}

impl DestFile<'_> {
    /// Reserves `len` bytes on the disk, zeros where nothing is written, where the file system can; makes it as long
    /// where not.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn reserve(&mut self, len: u64) -> Result<()> {
        self.steps.ask(Step::Write, &self.path).map_err(failed(&self.shown))?;
        os::reserve(self.file.file(), len).map_err(failed(&self.shown))
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn put(&mut self, bytes: &[u8]) -> Result<()> {
        self.write_all(bytes).map_err(|source| Error::Output { what: show(&self.shown), source })
    }

    /// Brings it to the disk.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn finish(mut self) -> Result<()> {
        let synced = self.steps.ask(Step::Sync, &self.path).and_then(|()| self.file.sync());
        synced.map_err(failed(&self.shown))
    }
}

impl Write for DestFile<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.steps.ask(Step::Write, &self.path)?;
        match self.file.write(bytes) {
            Ok(0) if !bytes.is_empty() => Err(ErrorKind::WriteZero.into()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for DestFile<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.seek(to)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::names;
    use super::*;

    fn build<'h>(path: &Path, steps: Steps<'h>) -> Result<DestDir<'h>> {
        let dir = DestDir::create(path, steps)?;
        dir.dir(Path::new("a/b"))?;
        let mut file = dir.file(Path::new("a/b/c"))?;
        file.reserve(100)?;
        file.put(b"whole")?;
        file.finish()?;
        Ok(dir)
    }

    #[test]
    fn a_directory_is_there_when_it_is_placed_and_not_before() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("made/dest/");
        let dir = build(&path, Steps::free()).unwrap();
        assert_eq!(names(&temp.path().join("made")), ["dest.partial"]);
        dir.place().unwrap();
        assert_eq!(names(&temp.path().join("made")), ["dest"]);
        let bytes = fs::read(path.join("a/b/c")).unwrap();
        assert_eq!((&bytes[..5], bytes.len()), (&b"whole"[..], 100));
    }

    #[test]
    fn whatever_step_fails_nothing_is_left() {
        use std::sync::atomic::{AtomicUsize, Ordering};
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("made/dest");
        for fatal in 0.. {
            let count = AtomicUsize::new(0);
            let hook = |_: Step, _: &Path| {
                if count.fetch_add(1, Ordering::Relaxed) == fatal {
                    Err(ErrorKind::StorageFull.into())
                } else {
                    Ok(())
                }
            };
            if build(&path, Steps::hooked(&hook)).and_then(DestDir::place).is_ok() {
                assert!(fatal > 8, "{fatal} steps");
                break;
            }
            assert_eq!(names(temp.path()), [""; 0], "step {fatal}");
        }
        assert_eq!(names(&path), ["a"]);
    }

    #[test]
    fn many_small_files_are_there_when_the_directory_is_or_none_is() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dest");
        let build = |steps| {
            let mut dir = DestDir::create(&path, steps)?;
            dir.dir(Path::new("a"))?;
            (0..9).try_for_each(|n| dir.write(&Path::new("a").join(n.to_string()), b"whole"))?;
            dir.place()
        };
        let unsynced = |step, at: &Path| match step {
            Step::Sync if at.ends_with("dest.partial") => Err(ErrorKind::StorageFull.into()),
            _ => Ok(()),
        };
        assert!(build(Steps::hooked(&unsynced)).is_err());
        assert_eq!(names(temp.path()), [""; 0]);
        build(Steps::free()).unwrap();
        assert_eq!(names(&path.join("a")).len(), 9);
        assert_eq!(fs::read(path.join("a/8")).unwrap(), b"whole");
    }

    #[test]
    fn what_is_there_stays_and_a_partial_of_another_run_is_reported() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("dest");
        fs::create_dir(&path).unwrap();
        assert!(DestDir::create(&path, Steps::free()).unwrap_err().to_string().contains("exists already"));
        fs::remove_dir(&path).unwrap();
        let dir = build(&path, Steps::free()).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(
            matches!(dir.place(), Err(Error::Refused(Refusal::MadeMeanwhile { path: at })) if at == path)
        );
        assert_eq!(names(temp.path()), ["dest"]);
        fs::remove_dir(&path).unwrap();
        fs::create_dir(temp.path().join("dest.partial")).unwrap();
        fs::write(temp.path().join("dest.partial/precious"), "kept").unwrap();
        assert!(DestDir::create(&path, Steps::free()).unwrap_err().to_string().contains("dest.partial"));
        assert_eq!(names(temp.path()), ["dest.partial"]);
    }
}
