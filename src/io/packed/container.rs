//! What is inside a file, by its path: what was opened last is kept, so that listing what is in an archive and opening
//! it unpacks it once.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::disk::{Partition, partitions};
use super::ext::Ext;
use super::index::{Kind, Node};
use super::keep::{Bound, JUDGED, KNOWN, keep, unpacked};
use super::limits::{Judge, Limits, heard};
use super::sniff::FRONT;
use super::stream::{Peeled, unpacked_front};
use super::tar::Tar;
use super::wrapper::{Around, Wrapper};
use super::zip::Zip;
use crate::codec::{to_u64, to_usize};
use crate::io::Source;
use crate::io::reader::SourceReader;
use crate::io::source::Stamp;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};

/// What is inside a file.
#[derive(Debug, Clone)]
pub struct Inside(Arc<Container>);

#[derive(Debug)]
struct Container {
    /// How the file is named.
    name: PathBuf,
    /// The file, for its locks and its state; none of what came through a pipe.
    outer: Option<Source>,
    around: Around,
    content: Content,
    /// Files that this one is in.
    depth: usize,
}

#[derive(Debug)]
enum Content {
    /// It is no archive.
    One(Source),
    Tar(Tar),
    Zip(Zip),
    Ext(Ext),
    /// The partitions of a disk, by their numbers.
    Disk(Source, Vec<Partition>),
}

/// Containers that are kept.
const KEPT: usize = 4;

struct Kept {
    name: PathBuf,
    stamp: Option<Stamp>,
    found: Found,
}

enum Found {
    Inside(Inside),
    /// Why it could not be opened.
    Not(Error),
}

static LAST: Mutex<VecDeque<Kept>> = Mutex::new(VecDeque::new());

/// What could not be opened is not tried again while the file is the same.
fn again(error: &Error) -> Option<Error> {
    match error {
        Error::Damaged { path, corrupt } => Some(Error::damaged(path, corrupt.clone())),
        Error::Unreadable { path, cause: Cause::Content(told) } => {
            Some(Error::unreadable(path, Cause::Content(told.clone())))
        }
        Error::Unreadable { path, cause: Cause::Lacks { told, hint } } => {
            Some(Error::unreadable(path, Cause::Lacks { told: told.clone(), hint: *hint }))
        }
        _ => None,
    }
}

fn kept(name: &Path, stamp: Option<Stamp>) -> Option<Result<Inside>> {
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    let at = last.iter().position(|kept| kept.name == name && kept.stamp == stamp)?;
    let kept = last.remove(at)?;
    let found = match &kept.found {
        Found::Inside(inside) => Ok(inside.clone()),
        Found::Not(error) => Err(again(error)?),
    };
    last.push_front(kept);
    Some(found)
}

fn keep_found(name: &Path, stamp: Option<Stamp>, opened: &Result<Inside>) {
    let found = match opened {
        Ok(inside) => Found::Inside(inside.clone()),
        Err(error) => match again(error) {
            Some(error) => Found::Not(error),
            None => return,
        },
    };
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.retain(|kept| kept.name != name);
    last.push_front(Kept { name: name.to_path_buf(), stamp, found });
    last.truncate(KEPT);
}

/// Forgets what was opened last: files without a name are gone with it, unless something reads them.
pub fn forget() {
    LAST.lock().unwrap_or_else(PoisonError::into_inner).clear();
}

impl Inside {
    /// What is inside the file at a path, which may itself be inside another; `None` if nothing is packed there.
    ///
    /// # Errors
    /// [`Error::Unreadable`], [`Error::Damaged`] where what is around it is damaged, and what the judge says.
    pub fn of(path: &Path, judge: Judge<'_>) -> Result<Option<Inside>> {
        Inside::of_source(&Source::open(path)?, judge)
    }

    /// What is inside an open file.
    ///
    /// # Errors
    /// As [`Inside::of`].
    pub fn of_source(source: &Source, judge: Judge<'_>) -> Result<Option<Inside>> {
        let front = source.head(FRONT).map_err(|c| Error::unreadable(source.path(), c))?;
        if Wrapper::of(&front).is_none() {
            return Ok(None);
        }
        let (name, stamp) = (source.path(), source.stamp());
        // Other bytes in memory may have had this name.
        let known = stamp.is_some() || !source.around().is_empty();
        if let Some(inside) = known.then(|| kept(name, stamp)).flatten() {
            return inside.map(Some);
        }
        let opened = Inside::open(source, judge);
        keep_found(name, stamp, &opened);
        opened.map(Some)
    }

    fn open(source: &Source, judge: Judge<'_>) -> Result<Inside> {
        source.advise_sequential();
        let depth = source.around().iter().map(|around| around.wrappers.len()).sum();
        let stream = Box::new(SourceReader::new(source, 0));
        let (around, content) = content(source.path(), stream, Some(source), depth, judge)?;
        let container = Container {
            name: source.path().to_path_buf(),
            outer: Some(source.clone()),
            around,
            content,
            depth,
        };
        Ok(Inside(Arc::new(container)))
    }

    /// What is inside a stream, by a name under which it can be asked for from now on; `None`, and the front that was
    /// read, if nothing is packed in it.
    ///
    /// # Errors
    /// As [`Inside::of`].
    pub fn of_stream(
        name: &Path,
        mut stream: impl Read + Send,
        judge: Judge<'_>,
    ) -> Result<Result<Inside, Vec<u8>>> {
        let mut front = Vec::new();
        (&mut stream).take(to_u64(FRONT)).read_to_end(&mut front).map_err(|e| Error::unreadable(name, e))?;
        if Wrapper::of(&front).is_none() {
            return Ok(Err(front));
        }
        let stream = Box::new(std::io::Cursor::new(front).chain(stream));
        let (around, content) = content(name, stream, None, 0, judge)?;
        let container = Container { name: name.to_path_buf(), outer: None, around, content, depth: 0 };
        let inside = Inside(Arc::new(container));
        keep_found(name, None, &Ok(inside.clone()));
        Ok(Ok(inside))
    }

    /// What is inside, if it is one file and no archive.
    #[must_use]
    pub fn content(&self) -> Option<Source> {
        match &self.0.content {
            Content::One(source) => Some(self.named(source, &self.0.name)),
            _ => None,
        }
    }

    /// Whether it is a disk with partitions.
    pub(super) fn is_disk(&self) -> bool {
        matches!(self.0.content, Content::Disk(..))
    }

    /// How the file is named.
    #[must_use]
    pub fn name(&self) -> &Path {
        &self.0.name
    }

    /// What was around it.
    #[must_use]
    pub fn around(&self) -> &Around {
        &self.0.around
    }

    /// Files that the file is in.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// The files of an archive, by their paths in it, and how long they are: of a volume those that may be etcd's by
    /// their names, of a disk its partitions.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a volume is.
    pub fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        let owned = |(path, len): (&Path, u64)| (path.to_path_buf(), len);
        Ok(match &self.0.content {
            Content::One(_) => Vec::new(),
            Content::Tar(tar) => tar.index.files().map(owned).collect(),
            Content::Zip(zip) => zip.index.files().map(owned).collect(),
            Content::Ext(ext) => return ext.files(),
            Content::Disk(_, partitions) => {
                partitions.iter().map(|(number, _, len)| (number.to_string().into(), *len)).collect()
            }
        })
    }

    /// The path by which something in an archive is opened.
    #[must_use]
    pub fn path_of(&self, inside: &Path) -> PathBuf {
        joined(&self.0.name, inside)
    }

    /// What a path in an archive is, if there is something.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a volume is.
    pub fn kind(&self, inside: &Path) -> Result<Option<Kind>> {
        Ok(match &self.0.content {
            Content::One(_) => None,
            Content::Tar(tar) => tar.index.kind(inside),
            Content::Zip(zip) => zip.index.kind(inside),
            Content::Ext(ext) => ext.kind(inside)?,
            Content::Disk(..) if inside.as_os_str().is_empty() => Some(Kind::Dir),
            Content::Disk(_, all) => partition(all, inside).map(|(_, _, len)| Kind::File(len)),
        })
    }

    /// What is in a directory of an archive.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a volume is.
    pub fn list(&self, dir: &Path) -> Result<Vec<(OsString, Kind)>> {
        Ok(match &self.0.content {
            Content::One(_) => Vec::new(),
            Content::Tar(tar) => tar.index.list(dir),
            Content::Zip(zip) => zip.index.list(dir),
            Content::Ext(ext) => ext.list(dir)?,
            Content::Disk(_, all) => {
                all.iter().map(|(number, _, len)| (number.to_string().into(), Kind::File(*len))).collect()
            }
        })
    }

    /// Opens a file of an archive.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when there is none, [`Error::Damaged`] when the archive is.
    pub fn open_file(&self, inside: &Path) -> Result<Source> {
        let name = self.path_of(inside);
        let source = match &self.0.content {
            Content::One(_) => None,
            Content::Tar(tar) => match tar.index.get(inside) {
                Some(Node::File { len, number }) => Some(tar.open(number, len, &name)?),
                _ => None,
            },
            Content::Zip(zip) => match zip.index.get(inside) {
                Some(Node::File { len, number }) => Some(zip.open(number, len, &name)?),
                _ => None,
            },
            Content::Ext(ext) => ext.open(inside, &name)?,
            Content::Disk(disk, all) => partition(all, inside).map(|(_, at, len)| disk.part(at, len)),
        };
        match (source, self.kind(inside)?) {
            (Some(source), _) => Ok(self.named(&source, &name)),
            (None, Some(Kind::Dir)) => Err(Error::unreadable(&name, Cause::Directory { database: None })),
            (None, Some(_)) => {
                Err(Error::unreadable(&name, Cause::lacks("is a link or a device in the archive")))
            }
            (None, None) => {
                Err(Error::unreadable(&name, Cause::lacks("there is no such file in the archive")))
            }
        }
    }

    /// The first bytes of a file of an archive, at most so many, without what is compressed around them.
    ///
    /// # Errors
    /// As [`Inside::open_file`].
    pub fn front_of(&self, inside: &Path, most: usize) -> Result<Vec<u8>> {
        let name = self.path_of(inside);
        let read = |most: usize| match &self.0.content {
            Content::One(_) => Ok(Vec::new()),
            Content::Tar(tar) => match tar.index.get(inside) {
                Some(Node::File { len, number }) => tar.front(number, len, most, &name),
                _ => Ok(Vec::new()),
            },
            Content::Zip(zip) => match zip.index.get(inside) {
                Some(Node::File { number, .. }) => zip.front(number, most, &name),
                _ => Ok(Vec::new()),
            },
            // These are read where they lie.
            Content::Ext(_) | Content::Disk(..) => {
                self.open_file(inside)?.head(most).map_err(|c| Error::unreadable(&name, c))
            }
        };
        let front = read(most)?;
        if Wrapper::of(&front).is_some_and(Wrapper::is_stream) {
            // A block of bzip2 is a megabyte.
            return Ok(unpacked_front(read(most.max(JUDGED.saturating_mul(2)))?, most));
        }
        Ok(front)
    }

    /// The same bytes, which know what they are in.
    fn named(&self, source: &Source, name: &Path) -> Source {
        source.inside(name, self.0.outer.as_ref(), &self.0.around)
    }
}

/// What a stream is, without what is around it.
fn content<'r>(
    name: &Path,
    stream: Box<dyn Read + Send + 'r>,
    outer: Option<&Source>,
    depth: usize,
    judge: Judge<'_>,
) -> Result<(Around, Content)> {
    let mut peeled = Peeled::new(stream, depth).map_err(|error| unpacked(name, error))?;
    let mut wrappers = peeled.around.clone();
    let archive = Wrapper::of(&peeled.front);
    // An archive that nothing is around is read where it is.
    if let (Some(archive), Some(outer), true) = (archive, outer, wrappers.is_empty()) {
        let content = listed(archive, outer)?;
        let around =
            Around { wrappers: vec![said(archive, &content)], packed: outer.len(), unpacked: outer.len() };
        return Ok((around, content));
    }
    let mut known = None;
    if archive.is_none() {
        peeled.read_front(JUDGED).map_err(|error| unpacked(name, error))?;
        // Of what is short all is there already.
        let front = Source::from_bytes(name, peeled.front);
        if to_usize(front.len()) >= JUDGED {
            known = judge(&front)?;
        }
        peeled.front = front.head(JUDGED).map_err(|c| Error::unreadable(name, c))?;
    }
    let known = known.map(|most| (most, KNOWN));
    let bound = Bound { limits: Limits::now(), known, packed: &peeled.watch };
    heard().begin("unpacking", outer.map_or(0, Source::len));
    let source = keep(name, peeled.front, peeled.rest, &bound);
    heard().end();
    let source = source?;
    let (packed, unpacked) = (peeled.watch.read(), source.len());
    let content = match archive {
        Some(archive) => {
            let content = listed(archive, &source)?;
            wrappers.push(said(archive, &content));
            content
        }
        None => Content::One(source),
    };
    Ok((Around { wrappers, packed, unpacked }, content))
}

/// The wrapper, with what was found of it.
fn said(archive: Wrapper, content: &Content) -> Wrapper {
    if let Content::Ext(ext) = content { Wrapper::Ext(ext.applied) } else { archive }
}

/// A partition by its number.
fn partition(all: &[Partition], inside: &Path) -> Option<Partition> {
    let number = inside.to_str()?.parse::<u32>().ok()?;
    all.iter().find(|(is, ..)| *is == number).copied()
}

fn listed(archive: Wrapper, source: &Source) -> Result<Content> {
    Ok(match archive {
        Wrapper::Zip => Content::Zip(Zip::new(source)?),
        Wrapper::Ext(_) => Content::Ext(Ext::new(source)?),
        Wrapper::Disk => {
            let all = partitions(source).map_err(|c| Error::unreadable(source.path(), c))?;
            Content::Disk(source.clone(), all)
        }
        _ => Content::Tar(Tar::new(source.clone())?),
    })
}

/// What came through a pipe, or has no name of its own on the disk, by the name that it was given.
pub(super) fn registered(name: &Path) -> Option<Inside> {
    if name.exists() {
        return None;
    }
    let last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    last.iter().find_map(|kept| match &kept.found {
        Found::Inside(inside) if kept.name == name => Some(inside.clone()),
        _ => None,
    })
}

/// The path of what is in a file, by a path in there.
#[must_use]
fn joined(file: &Path, inside: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(":/");
    name.push(inside);
    name.into()
}
