//! A file that appears whole or not at all.
//!
//! It is written beside its place under another name, brought to the disk, and renamed. Whoever dies on the way
//! leaves a file that ends in `.partial`, which nobody takes for the real one and the next run removes. What is made is
//! for its owner alone, whatever the umask: files have mode 0600, directories 0700. (On Windows: for whom the directory
//! says.)

#[doc(hidden)]
pub mod dir;
pub(crate) mod hashed;
mod partial;
pub(crate) mod predecessor;
pub mod room;
#[doc(hidden)]
pub mod writeback;

use std::fs::{self, File, Metadata};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, ErrorKind, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::io::dest::partial::Partial;
pub(in crate::io) use crate::io::dest::partial::is_ours;
pub use crate::io::dest::partial::{abandon, hear_of_taken_over};
use crate::io::dest::predecessor::Predecessor;
use crate::io::dest::writeback::Writeback;
use crate::io::os::{self, Directory};
use crate::words::error::{Error, Result, show};
use crate::words::refusal::Refusal;

/// What becomes of a file that is at the destination already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the new one is an error.
    Keep,
    /// It is replaced in one step, as the report of the run before; only a regular file is.
    Replace,
}

/// A file under way. Dropped before [`Dest::finish`], nothing remains of it.
#[derive(Debug)]
pub struct Dest {
    path: PathBuf,
    partial: Partial,
    existing: Existing,
    file: Option<Writeback>,
}

impl Dest {
    /// Begins a file that will be at `path`. One that it replaces gives it its mode.
    ///
    /// # Errors
    /// [`Error::Refused`] when there is something that must stay, or another run is writing `<path>.partial`;
    /// [`Error::Output`] when the directory is missing or may not be written.
    pub fn create(path: &Path, existing: Existing) -> Result<Dest> {
        claim(path, existing)?;
        let partial = match existing {
            Existing::Keep => partial_of(path),
            // Runs at the same time do not stop one another: each has a name of its own.
            Existing::Replace => {
                clear_names_of(path);
                partial_of(&path.with_added_extension(format!(
                    "{:0width$x}",
                    RandomState::new().hash_one(std::process::id()),
                    width = OWN_NAME
                )))
            }
        };
        let (partial, file) = Partial::file(&partial)?;
        let dest = Dest { path: path.to_path_buf(), partial, existing, file: Some(Writeback::new(file)) };
        if existing == Existing::Replace
            && let Ok(there) = fs::symlink_metadata(path)
        {
            dest.give(|file| os::take_mode(file, &there))?;
        }
        Ok(dest)
    }

    /// Where it is until it is finished.
    #[must_use]
    pub fn partial(&self) -> &Path {
        self.partial.path()
    }

    /// Makes it its owner's alone, whatever the umask took away.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn own(&self) -> Result<()> {
        self.give(os::make_private)
    }

    /// Gives it the owner, the group and the mode of another, where there are such.
    ///
    /// # Errors
    /// [`Error::Output`]: giving a file to another user takes the right to.
    pub fn own_as(&self, other: &Metadata) -> Result<()> {
        self.give(|file| os::take_owner(file, other))
    }

    fn give(&self, rights: impl FnOnce(&File) -> io::Result<()>) -> Result<()> {
        let given = self.file.as_ref().map_or(Ok(()), |file| rights(file.file()));
        given.map_err(|source| Error::Output { what: show(&self.path), source })
    }

    /// Brings what is written so far to the disk.
    ///
    /// # Errors
    /// [`Error::Output`].
    pub fn sync(&mut self) -> Result<()> {
        let synced = self.file.as_mut().map_or(Ok(()), Writeback::sync);
        synced.map_err(|source| Error::Output { what: show(&self.path), source })
    }

    /// The file, to be written and read back in any order before it is finished, and the path that it will have.
    ///
    /// # Errors
    /// [`Error::Output`] when the system gives no second handle to it.
    pub fn file(&self) -> Result<(File, &Path)> {
        let file = self
            .file
            .as_ref()
            .map_or_else(|| Err(ErrorKind::NotFound.into()), |file| file.file().try_clone());
        Ok((file.map_err(|source| Error::Output { what: show(&self.path), source })?, &self.path))
    }

    /// Brings it to the disk and to its place.
    ///
    /// # Errors
    /// [`Error::Refused`] when something has appeared at the place meanwhile that must stay; [`Error::Output`].
    pub fn finish(mut self) -> Result<()> {
        self.place(None).map_err(|source| not_placed(&self.path, source))
    }

    /// The same for a file that replaces `old`, of which who waits for its lock finds the first `head` bytes blank.
    pub(crate) fn finish_after(mut self, old: &Predecessor, head: u64) -> Result<()> {
        self.place(Some((old, head))).map_err(|source| not_placed(&self.path, source))
    }

    fn place(&mut self, old: Option<(&Predecessor, u64)>) -> io::Result<()> {
        if let Some(file) = &mut self.file {
            file.sync()?;
        }
        let (to, existing) = (&self.path, self.existing);
        let parent = Directory::open(parent_of(&self.path))?;
        self.partial.put(to, |partial| match (existing, old) {
            (_, Some((old, head))) => old.give_way(partial, to, &parent, head),
            (Existing::Replace, None) => os::replace(partial, to),
            (Existing::Keep, None) => os::rename_to_nothing(partial, to),
        })?;
        // It is there and whole; only whether it will still be after a power failure is open.
        parent.sync().inspect_err(|_| {
            if existing == Existing::Keep {
                let _ = fs::remove_file(to);
            }
        })
    }
}

impl Write for Dest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.as_mut().map_or(Ok(0), |file| file.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Dest {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.file.as_mut().map_or(Ok(0), |file| file.seek(to))
    }
}

/// Writes a whole file.
///
/// # Errors
/// As [`Dest::create`], and whatever the file system says.
pub fn write(path: &Path, existing: Existing, bytes: &[u8]) -> Result<()> {
    let mut dest = Dest::create(path, existing)?;
    dest.write_all(bytes).map_err(|source| Error::Output { what: show(path), source })?;
    dest.finish()
}

/// Where what will be at `path` is made, if nothing is replaced by it.
pub(crate) fn partial_of(path: &Path) -> PathBuf {
    // Components drop a slash at the end.
    let mut partial = path.components().collect::<PathBuf>().into_os_string();
    partial.push(".partial");
    PathBuf::from(partial)
}

/// Hex digits by which the names of runs differ that make the same file.
const OWN_NAME: usize = 16;

/// Removes what runs that died have left of a file that is replaced.
fn clear_names_of(path: &Path) {
    let names = fs::read_dir(parent_of(path)).into_iter().flatten().flatten().map(|entry| entry.path());
    let of_a_run = |name: &PathBuf| {
        let own = name.file_stem().map(Path::new).and_then(Path::extension);
        name.extension().is_some_and(|extension| extension == "partial")
            && own.is_some_and(|own| {
                own.len() == OWN_NAME && own.as_encoded_bytes().iter().all(u8::is_ascii_hexdigit)
            })
            && name.with_extension("").with_extension("").file_name() == path.file_name()
    };
    names.filter(of_a_run).for_each(|name| partial::clear_file(&name));
}

/// Where it is.
fn parent_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses a place beside which another run is making something. What one that died has left is no hindrance: it is
/// removed when something is begun there.
///
/// # Errors
/// [`Error::Refused`].
pub fn refuse_unfinished(path: &Path) -> Result<()> {
    partial::refuse_living(&partial_of(path))
}

/// Refuses a place where no file may be put.
///
/// # Errors
/// [`Error::Refused`] when something is there, [`Error::Output`] when nothing can be put there.
pub fn claim(path: &Path, existing: Existing) -> Result<()> {
    check(path, existing).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Refusal::Place { path: path.to_path_buf(), source }.into(),
        _ => Error::Output { what: show(path), source },
    })?;
    if existing == Existing::Keep { refuse_unfinished(path) } else { Ok(()) }
}

/// Whether a file may be put at `path`, as far as can be told before it is written.
///
/// # Errors
/// What stands in the way.
pub fn check(path: &Path, existing: Existing) -> io::Result<()> {
    if path.file_name().is_none() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "is not the name of a file"));
    }
    let parent = parent_of(path);
    if !parent.is_dir() {
        return Err(io::Error::new(ErrorKind::NotFound, format!("there is no directory {}", show(parent))));
    }
    match (existing, fs::symlink_metadata(path)) {
        (_, Err(error)) if error.kind() == ErrorKind::NotFound => Ok(()),
        (_, Err(error)) => Err(error),
        (Existing::Keep, Ok(_)) => {
            Err(io::Error::new(ErrorKind::AlreadyExists, "exists already, and is never overwritten"))
        }
        (Existing::Replace, Ok(there)) if there.is_file() => Ok(()),
        (Existing::Replace, Ok(_)) => {
            Err(io::Error::new(ErrorKind::InvalidInput, "is not a regular file, and only such are replaced"))
        }
    }
}

/// Refuses a place inside a directory that is only to be read. Links on the way are followed.
///
/// # Errors
/// [`Error::Refused`].
pub fn outside(read: &Path, to: &Path) -> Result<()> {
    let parents = to
        .ancestors()
        .skip(1)
        .map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    // Those that do not exist yet would be made, in the nearest one that does.
    let parent = parents.map(fs::canonicalize).find_map(io::Result::ok);
    match (fs::canonicalize(read), parent) {
        (Ok(read), Some(parent)) if read.is_dir() && parent.starts_with(&read) => {
            Err(Refusal::InsideInput { path: to.to_path_buf(), input: read }.into())
        }
        _ => Ok(()),
    }
}

/// Why what is finished is not at its place.
fn not_placed(place: &Path, source: io::Error) -> Error {
    match source.kind() {
        ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty => {
            Refusal::MadeMeanwhile { path: place.to_path_buf() }.into()
        }
        _ => Error::Output { what: show(place), source },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a directory holds, in order.
    pub(super) fn names(dir: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_there_when_it_is_finished_and_not_before() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let mut dest = Dest::create(&path, Existing::Keep).unwrap();
        dest.write_all(b"whole").unwrap();
        assert_eq!(names(dir.path()), ["out.partial"]);
        dest.finish().unwrap();
        assert_eq!(
            (names(dir.path()), fs::read(&path).unwrap()),
            (vec!["out".to_owned()], b"whole".to_vec())
        );
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        for existing in [Existing::Keep, Existing::Replace] {
            drop(Dest::create(&dir.path().join("out"), existing).unwrap());
            assert_eq!(names(dir.path()), [""; 0]);
        }
    }

    #[test]
    fn what_exists_is_kept_or_replaced_as_asked() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        fs::write(&path, "old").unwrap();
        assert!(write(&path, Existing::Keep, b"new").unwrap_err().to_string().contains("exists already"));
        assert_eq!(fs::read(&path).unwrap(), b"old");
        write(&path, Existing::Replace, b"new").unwrap();
        assert_eq!((names(dir.path()), fs::read(&path).unwrap()), (vec!["out".to_owned()], b"new".to_vec()));
    }

    #[test]
    fn what_appears_meanwhile_is_kept() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("out");
        let dest = Dest::create(&path, Existing::Keep).unwrap();
        fs::write(&path, "other").unwrap();
        assert!(
            matches!(dest.finish(), Err(Error::Refused(Refusal::MadeMeanwhile { path: at })) if at == path)
        );
        assert_eq!(
            (names(dir.path()), fs::read(&path).unwrap()),
            (vec!["out".to_owned()], b"other".to_vec())
        );
    }

    #[test]
    fn a_partial_file_of_a_dead_run_is_taken_over_and_that_of_a_live_one_is_not() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("out.partial"), "half").unwrap();
        drop(Dest::create(&dir.path().join("out"), Existing::Keep).unwrap());
        assert_eq!(names(dir.path()), [""; 0]);
        fs::write(dir.path().join("out.partial"), "half").unwrap();
        let live = File::open(dir.path().join("out.partial")).unwrap();
        os::hold(&live).unwrap();
        let error = Dest::create(&dir.path().join("out"), Existing::Keep).unwrap_err();
        assert!(
            matches!(&error, Error::Refused(Refusal::Unfinished { path }) if path.ends_with("out.partial")),
            "{error}"
        );
        assert_eq!(fs::read(dir.path().join("out.partial")).unwrap(), b"half");
        write(&dir.path().join("out"), Existing::Replace, b"report").unwrap();
        drop(live);
    }

    #[test]
    fn what_a_dead_run_left_of_a_file_that_is_replaced_is_removed_by_the_next_one() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["out.0123456789abcdef.partial", "out.0123.partial", "other.0123456789abcdef.partial"] {
            fs::write(dir.path().join(name), "half").unwrap();
        }
        let live = dir.path().join("out.fedcba9876543210.partial");
        fs::write(&live, "at work").unwrap();
        let held = File::open(&live).unwrap();
        os::hold(&held).unwrap();
        write(&dir.path().join("out"), Existing::Replace, b"report").unwrap();
        let due =
            ["other.0123456789abcdef.partial", "out", "out.0123.partial", "out.fedcba9876543210.partial"];
        assert_eq!(names(dir.path()), due);
    }

    #[test]
    #[cfg(unix)]
    fn only_files_are_replaced() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/dev/null", dir.path().join("link")).unwrap();
        for path in [
            Path::new("/dev/null"),
            &dir.path().join("link"),
            dir.path(),
            Path::new("/"),
            &dir.path().join("none/out"),
        ] {
            assert!(Dest::create(path, Existing::Replace).is_err(), "{}", path.display());
        }
    }
}
