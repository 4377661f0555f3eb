//! Inputs as the user names them.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use coldbolt::etcd::datadir::{self, FileKind, Foreign};
use coldbolt::etcd::{DataDir, Input, within};
use coldbolt::io::packed::{self, Inside};
use coldbolt::io::source::Lock;
use coldbolt::io::{Source, os, tree};
use coldbolt::ops::{self, KineOptions};
use coldbolt::replay::increments::Chain;
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;
use coldbolt::words::hint::Hint;
use coldbolt::words::monitor::Monitor;

/// Opens a snapshot file or database; `-` is standard input.
pub fn database(path: &Path) -> Result<Source, Error> {
    checked(any_file(path)?)
}

/// Refuses what is not a database, and one that a running etcd holds.
pub fn checked(source: Source) -> Result<Source, Error> {
    datadir::require_database(&source)?;
    refuse_locked(source)
}

/// Whether it is an SQLite database: of it the keyspace may be that of kine.
pub fn is_kines(source: &Source) -> Result<bool, Error> {
    Ok(datadir::file_kind(source)? == FileKind::Foreign(Foreign::Sqlite))
}

/// The etcd database that is made of one of kine.
pub fn kine(path: &Path, source: Source, allow_damage: bool, monitor: &dyn Monitor) -> Result<Source, Error> {
    let what = "is an SQLite database, of which an etcd database in the clear would be kept while it is read: pipe \
                `coldbolt export` into `coldbolt encrypt -`, with TMPDIR in memory";
    refuse_to_keep(path, what)?;
    // By its path the log beside it is found.
    let input = if path == Path::new("-") { Input::from(source) } else { Input::from(path) };
    Ok(ops::kine(input, &KineOptions { allow_damage }, monitor)?.database)
}

/// What is to be said beside the numbers of another program's database, which etcd's tools print without a word.
pub fn not_etcds(source: &Source) -> String {
    let name = source.name();
    format!(
        "{name}: is a bbolt database, but not etcd's: its buckets are others. The numbers are those that etcd's tools print for it"
    )
}

/// Refuses a file that a running etcd holds.
pub fn refuse_locked(source: Source) -> Result<Source, Error> {
    if source.flock() == Lock::Held {
        return Err(Error::unreadable(source.path(), Cause::InUse(Some(Hint::SnapshotToRead))));
    }
    Ok(source)
}

/// What a path is to be read as, which may be standard input.
pub fn given(path: &Path) -> Result<Input, Error> {
    of_standard_input(path).unwrap_or_else(|| Ok(path.into()))
}

/// What `-` is to be read as, of an archive what is in it, and `-:PATH`, what is in that by this path; `None` for any
/// other path.
pub fn of_standard_input(path: &Path) -> Option<Result<Input, Error>> {
    let member = match path.as_os_str().as_encoded_bytes() {
        b"-" => None,
        name => Some(os::name_of(name.strip_prefix(MEMBER.as_bytes())?)),
    };
    Some(in_standard_input(member.as_deref().map(Path::new)))
}

fn in_standard_input(member: Option<&Path>) -> Result<Input, Error> {
    Ok(match (standard_input()?, member) {
        (Stdin::Archive(archive), None) => within::only(archive)?.into(),
        (Stdin::Archive(archive), Some(member)) => within::find(&archive.path_of(member))?.into(),
        (Stdin::File(file), None) => file.into(),
        (Stdin::File(file), Some(_)) => {
            return Err(Error::unreadable(
                file.path(),
                Cause::lacks("is no archive: nothing in it has a path"),
            ));
        }
    })
}

/// Opens any file of those; standard input is kept in an unnamed temporary file unless it is a file already.
pub fn any_file(path: &Path) -> Result<Source, Error> {
    let input = given(path)?;
    if input.is_dir() {
        let path = input.path();
        let db = path.join("member/snap/db");
        let database = tree::is_file(&db).then_some(db);
        if database.is_none() && Chain::is_store(path) {
            // It says what is there instead.
            DataDir::list(path, None)?;
        }
        return Err(Error::unreadable(path, Cause::Directory { database }));
    }
    input.open()
}

/// How standard input is named, and what is in an archive there.
const NAME: &str = "(standard input)";
const MEMBER: &str = "(standard input):";

/// An argument that begins with `-:` as what is in an archive on standard input, where it would be a flag.
pub fn named_in_standard_input(argument: OsString) -> OsString {
    match argument.as_encoded_bytes() {
        [b'-', b':', path @ ..] => [OsStr::new(MEMBER), &os::name_of(path)].into_iter().collect(),
        _ => argument,
    }
}

/// Standard input, which is read once.
enum Stdin {
    /// What is none, or what one file was packed as.
    File(Source),
    Archive(Inside),
}

static STDIN: OnceLock<Stdin> = OnceLock::new();

fn standard_input() -> Result<&'static Stdin, Error> {
    if let Some(known) = STDIN.get() {
        return Ok(known);
    }
    let read = read_standard_input()?;
    Ok(STDIN.get_or_init(|| read))
}

fn read_standard_input() -> Result<Stdin, Error> {
    let name = Path::new(NAME);
    let unreadable = |e: io::Error| Error::unreadable(name, e);
    let packed = |inside: Inside| inside.content().map_or(Stdin::Archive(inside), Stdin::File);
    let stdin = os::standard_input().map_err(unreadable)?;
    if stdin.metadata().is_ok_and(|it| it.is_file()) {
        let source = if coldbolt::io::all_files() {
            Source::map(name, stdin)
        } else {
            Source::from_file(name, stdin)
        }?;
        return Ok(Inside::of_source(&source, &within::judge)?.map_or(Stdin::File(source), packed));
    }
    let most = MOST.get().copied().unwrap_or(u64::MAX);
    let front = match Inside::of_stream(name, AtMost { from: &stdin, rest: most, most }, &within::judge)? {
        Ok(inside) => return Ok(packed(inside)),
        Err(front) => front,
    };
    let what = "is a pipe, of which a file in the clear would be kept while it is read: give a file, or close what the \
                pipe brings with `coldbolt encrypt -`";
    refuse_to_keep(name, what)?;
    let spool = spooled(&mut io::Cursor::new(front).chain(&stdin), name)?;
    // It has no name, so nobody else can reach it: this one may be mapped.
    let mapped = Source::map(name, spool.try_clone().map_err(unreadable)?);
    Ok(Stdin::File(mapped.or_else(|_| Source::from_file(name, spool))?))
}

/// A stream that is an error past so many bytes.
struct AtMost<'f> {
    from: &'f File,
    rest: u64,
    most: u64,
}

impl Read for AtMost<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(buf)? as u64;
        self.rest = self.rest.checked_sub(read).ok_or_else(|| {
            let most = self.most;
            io::Error::other(format!(
                "goes on after {most} bytes, which --max-input allows: nothing more is read"
            ))
        })?;
        Ok(read as usize)
    }
}

/// Bytes at the front of a stream that tell what it is.
const FRONT: u64 = 1 << 20;

/// The most bytes that are taken from standard input.
static MOST: OnceLock<u64> = OnceLock::new();

/// Takes no more bytes than that from standard input. The first who asks is heard.
pub fn at_most(bytes: u64) {
    let _ = MOST.set(bytes);
}

/// Whether nothing that is read may reach the disk in the clear.
static CLOSED: AtomicBool = AtomicBool::new(false);

/// Refuses from now on what would be kept on the disk while it is read.
pub fn never_keep() {
    CLOSED.store(true, Ordering::Relaxed);
    packed::only_in_memory();
}

fn refuse_to_keep(path: &Path, what: &str) -> Result<(), Error> {
    if CLOSED.load(Ordering::Relaxed) {
        return Err(Error::unreadable(path, Cause::Content(what.to_owned())));
    }
    Ok(())
}

/// A stream as a file without a name. What it is is told by its front: nothing is kept of what is no file of etcd's,
/// and no more of a database than it can have.
fn spooled(stream: &mut dyn Read, name: &Path) -> Result<File, Error> {
    let unreadable = |e: io::Error| Error::unreadable(name, e);
    let too_long = |most: u64, why: &str| {
        let what = format!("goes on after {most} bytes, {why}: nothing more is read");
        Err(Error::unreadable(name, Cause::Content(what)))
    };
    let mut front = Vec::new();
    stream.take(FRONT).read_to_end(&mut front).map_err(unreadable)?;
    let more = front.len() as u64 == FRONT;
    let source = Source::from_bytes(name, front);
    let kind = datadir::file_kind(&source)?;
    let most = MOST.get().copied();
    let foreign = matches!(kind, FileKind::Foreign(_) | FileKind::Unknown | FileKind::BoltBigEndian);
    if more && foreign && kind != FileKind::Foreign(Foreign::Sqlite) {
        datadir::require_database(&source)?;
    }
    let own = within::longest(&source);
    let mut spool = tempfile::tempfile().map_err(unreadable)?;
    spool.write_all(source.as_slice().unwrap_or_default()).map_err(unreadable)?;
    let limit = most.unwrap_or(u64::MAX).min(own.filter(|_| more).unwrap_or(u64::MAX));
    let rest = limit.saturating_sub(source.len());
    let taken = io::copy(&mut stream.take(rest.saturating_add(1)), &mut spool).map_err(unreadable)?;
    if source.len() > limit || taken > rest {
        return match most {
            Some(most) if most == limit => too_long(most, "which --max-input allows"),
            _ => too_long(limit, "more than twice what its meta page says that it has"),
        };
    }
    spool.rewind().map_err(unreadable)?;
    Ok(spool)
}

/// A text that the user gives, of at most so many bytes; none if it is longer. `-` is standard input.
pub fn text(path: &Path, most: u64) -> io::Result<Option<String>> {
    let mut text = String::new();
    let taken = if path == Path::new("-") {
        io::stdin().lock().take(most.saturating_add(1)).read_to_string(&mut text)?
    } else {
        File::open(path)?.take(most.saturating_add(1)).read_to_string(&mut text)?
    };
    Ok((taken as u64 <= most).then_some(text))
}
