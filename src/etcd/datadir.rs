//! What a path is: a snapshot file, a database, a WAL segment, a data directory, or something else by its first bytes.

use std::path::{Path, PathBuf};

use crate::bolt::{Db, db, meta};
use crate::codec::{age, slice_at, to_u64};
use crate::etcd::etcdbr::{BackupKind, BackupName};
use crate::io::{Source, tree};
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;
pub use crate::words::kind::{FileKind, Foreign};

/// The largest raft snapshot file that is read into memory: etcd's v2 store is a few megabytes at most.
pub const RAFT_SNAPSHOT_LIMIT: u64 = 256 << 20;
/// The newest storage version whose rules are known here.
pub const NEWEST_STORAGE: &str = "3.8";

/// First bytes of what people mistake for a snapshot, and what it is.
const FOREIGN: [(usize, &[u8], Foreign); 31] = [
    (0, b"\x1f\x8b", Foreign::Packed("a gzip file")),
    (0, b"PK\x03\x04", Foreign::Packed("a zip file")),
    (0, b"\x28\xb5\x2f\xfd", Foreign::Packed("a zstd file")),
    (0, b"\xfd7zXZ\0", Foreign::Packed("an xz file")),
    (0, b"BZh", Foreign::Packed("a bzip2 file")),
    (0, b"\x04\x22\x4d\x18", Foreign::Packed("an lz4 file")),
    (0, b"\x1f\x9d", Foreign::Packed("a compress (.Z) file")),
    (0, age::MAGIC, Foreign::Age),
    (0, age::ARMOR, Foreign::Packed("an age-encrypted file as text (armored)")),
    (0, b"Salted__", Foreign::Packed("an OpenSSL-encrypted file")),
    (0, b"-----BEGIN PGP", Foreign::Packed("a PGP-encrypted file")),
    // A session key for a public key (RSA of 2048 to 4096 bits, X25519), or for a passphrase.
    (0, b"\x85\x01\x0c\x03", Foreign::Packed("a PGP-encrypted file")),
    (0, b"\x85\x01\x8c\x03", Foreign::Packed("a PGP-encrypted file")),
    (0, b"\x85\x02\x0c\x03", Foreign::Packed("a PGP-encrypted file")),
    (0, b"\x84\x5e\x03", Foreign::Packed("a PGP-encrypted file")),
    (0, b"\x8c\x0d\x04", Foreign::Packed("a PGP-encrypted file")),
    (0, b"$ANSIBLE_VAULT;", Foreign::Packed("an Ansible vault")),
    (0, b"\xff\xfe", Foreign::Utf16),
    (0, b"\xfe\xff", Foreign::Utf16),
    (257, b"ustar", Foreign::Packed("a tar file")),
    (0, b"SQLite format 3\0", Foreign::Sqlite),
    (0, b"\x7fELF", Foreign::Program),
    (0, b"XFSB", Foreign::Volume("an XFS volume")),
    (512, b"LABELONE", Foreign::Volume("an LVM physical volume")),
    (0, b"LUKS\xba\xbe", Foreign::Volume("a LUKS container")),
    (0, b"QFI\xfb", Foreign::Volume("a qcow2 image")),
    (0, b"KDMV", Foreign::Volume("a VMDK image")),
    (0, b"# Disk DescriptorFile", Foreign::Volume("a VMDK image")),
    (0, b"vhdxfile", Foreign::Volume("a VHDX image")),
    (0, b"conectix", Foreign::Volume("a VHD image")),
    (0, b"<<< ", Foreign::Volume("a VDI image")),
];

/// Where a btrfs volume has its magic.
const BTRFS: u64 = 65_600;

/// What a file is.
///
/// # Errors
/// [`Error::Unreadable`] when its first bytes cannot be read.
pub fn file_kind(source: &Source) -> Result<FileKind> {
    if source.is_empty() {
        return Ok(FileKind::Empty);
    }
    let head = source.head(4096).map_err(|c| Error::unreadable(source.path(), c))?;
    if db::looks_like_bolt(source).map_err(|c| Error::unreadable(source.path(), c))? {
        let big = [16, 4112]
            .iter()
            .any(|at| slice_at(&head, *at, 4).is_some_and(|word| word == meta::MAGIC.to_be_bytes()));
        return Ok(match big {
            true => FileKind::BoltBigEndian,
            false if has_line_ends(source)? => FileKind::Foreign(Foreign::CrLf),
            false => FileKind::Bolt,
        });
    }
    if source.path().file_name().and_then(BackupName::parse).is_some_and(|n| n.kind == BackupKind::Increment)
    {
        return Ok(FileKind::Foreign(Foreign::Increment));
    }
    if let Some((.., what)) =
        FOREIGN.iter().find(|(at, magic, _)| slice_at(&head, *at, magic.len()) == Some(*magic))
    {
        return Ok(FileKind::Foreign(*what));
    }
    let mut btrfs = [0; 8];
    if source.read_exact_at(BTRFS, &mut btrfs).is_ok() && &btrfs == b"_BHRfS_M" {
        return Ok(FileKind::Foreign(Foreign::Volume("a btrfs volume")));
    }
    let extension = source.path().extension().and_then(|e| e.to_str());
    // A WAL segment starts with a frame that holds a record of type 4, crc.
    if slice_at(&head, 8, 3) == Some(b"\x08\x04\x10") || extension == Some("wal") {
        return Ok(FileKind::Wal);
    }
    // A raft snapshot starts with field 1 as a varint; its name tells it from other protobuf.
    if extension == Some("snap") {
        return Ok(FileKind::RaftSnapshot);
    }
    if let Some(at) = database_behind(source)? {
        return Ok(FileKind::Foreign(Foreign::Behind(at)));
    }
    // The head may end inside a character.
    let utf8 = std::str::from_utf8(&head).map_or_else(|e| e.error_len().is_none(), |_| true);
    let text = utf8 && head.iter().all(|b| matches!(b, b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0x80..=0xff));
    Ok(if text { FileKind::Foreign(Foreign::Text) } else { FileKind::Unknown })
}

/// Bytes at the front of a file that are looked at for what happened to it.
const FRONT: usize = 1 << 20;

/// Whether every line feed of a database has a carriage return before it. Then no page is where it was, and the length
/// is none that a database has, with a trailer or without.
fn has_line_ends(source: &Source) -> Result<bool> {
    if matches!(source.len().checked_rem(512), Some(0 | 32)) {
        return Ok(false);
    }
    let front = source.head(FRONT).map_err(|c| Error::unreadable(source.path(), c))?;
    let feeds = front.iter().filter(|byte| **byte == b'\n').count();
    let pairs = front.windows(2).filter(|pair| *pair == b"\r\n").count();
    Ok(feeds > 0 && feeds == pairs)
}

/// Where a database begins behind something else, as a line that a shell or a program printed first.
fn database_behind(source: &Source) -> Result<Option<u64>> {
    let front = source.head(FRONT).map_err(|c| Error::unreadable(source.path(), c))?;
    let magic = meta::MAGIC.to_le_bytes();
    let begins = |(_, bytes): &(usize, &[u8])| {
        slice_at(bytes, 16, 4) == Some(&magic) && meta::Meta::parse(bytes).is_ok()
    };
    Ok(front.windows(meta::LEN).enumerate().skip(1).find(begins).map(|(at, _)| to_u64(at)))
}

/// Opens a file that must be a bbolt database.
///
/// # Errors
/// [`Error::Unreadable`], saying what it is instead and what to do.
pub fn open_database(path: &Path) -> Result<Source> {
    let source = Source::open(path)?;
    require_database(&source)?;
    Ok(source)
}

/// Refuses what is not a bbolt database.
///
/// # Errors
/// [`Error::Unreadable`], saying what it is instead and what to do.
pub fn require_database(source: &Source) -> Result<()> {
    match file_kind(source)? {
        FileKind::Bolt => Ok(()),
        is => Err(not_this(source, is, FileKind::Bolt)),
    }
}

fn not_this(source: &Source, is: FileKind, due: FileKind) -> Error {
    Error::unreadable(source.path(), Cause::NotThis { is, due, len: source.len() })
}

/// The bbolt database in a file that must be one: what is another kind of file is told as such, whoever asks.
///
/// # Errors
/// As [`require_database`], and [`Error::Damaged`] when neither meta page can be used.
pub fn database(source: &Source) -> Result<Db<'_>> {
    require_database(source)?;
    Db::open(source).map_err(|c| Error::damaged(source.path(), c))
}

/// Refuses what is plainly another kind of file than `due`: a database where a WAL segment or a raft snapshot is
/// meant, nothing at all where a segment is. What is merely damaged passes.
///
/// # Errors
/// [`Error::Unreadable`], saying what it is instead.
pub fn refuse_other_kind(source: &Source, due: FileKind) -> Result<()> {
    match file_kind(source)? {
        FileKind::Unknown => Ok(()),
        FileKind::Empty if due != FileKind::Wal => Ok(()),
        is if is == due => Ok(()),
        is => Err(not_this(source, is, due)),
    }
}

/// The segments of the log that lies beside a member's database, sorted by name: none of another database. A log that
/// is kept elsewhere is not known.
#[must_use]
pub fn log_beside(db: &Path) -> Vec<PathBuf> {
    let wal = db.parent().and_then(tree::parent).map(|member| member.join("wal"));
    wal.and_then(|wal| DataDir::list(&wal, None).ok()).unwrap_or_default().wals
}

/// Where a server of k3s keeps what it has without etcd, below its data directory, or a directory in that.
#[must_use]
pub fn kine_in(directory: &Path) -> Option<PathBuf> {
    let etcds = ["member", "snap", "wal", "db/etcd", "server/db/etcd", "etcd"];
    let state = ["state.db", "db/state.db", "server/db/state.db"].map(|name| directory.join(name));
    state
        .into_iter()
        .find(|state| tree::is_file(state))
        .filter(|_| etcds.iter().all(|name| !tree::exists(&directory.join(name))))
}

/// Whether the database of the raft snapshot at this index is among those that a leader sent
/// (`Snapshotter.dbFilePath`).
pub(crate) fn received(snap_dbs: &[PathBuf], index: RaftIndex) -> bool {
    let name = format!("{:016x}.snap.db", index.get());
    snap_dbs.iter().any(|file| file.file_name().is_some_and(|is| is.to_str() == Some(&name)))
}

/// The files of a data directory, or of the part of one that was given. Nothing is opened yet.
#[derive(Debug, Clone, Default)]
pub struct DataDir {
    /// What was given.
    pub path: PathBuf,
    /// `member/snap/db`.
    pub db: Option<PathBuf>,
    /// Raft snapshots, sorted by name: oldest first.
    pub snaps: Vec<PathBuf>,
    /// Databases received from a leader, sorted by name.
    pub snap_dbs: Vec<PathBuf>,
    /// WAL segments, sorted by name.
    pub wals: Vec<PathBuf>,
    /// Where the WAL is.
    pub wal_dir: Option<PathBuf>,
    /// Where the database and raft snapshots are.
    pub snap_dir: Option<PathBuf>,
    /// What crashes and repairs left: `.broken`, `.tmp`, `db.tmp.*`, `tmp*`.
    pub leftovers: Vec<PathBuf>,
    /// Files that etcd would not put there.
    pub strangers: Vec<PathBuf>,
}

/// Where others keep a data directory: the copies that kubeadm makes before an upgrade, k3s and rke2.
const BELOW: [&str; 3] = ["etcd", "db/etcd", "server/db/etcd"];

impl DataDir {
    /// Lists a data directory, a `member` directory, a `snap` or a `wal` directory. `wal_dir` is for a WAL kept
    /// elsewhere: the directory of its segments, or a data directory that has one.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it cannot be listed, or holds nothing of etcd's.
    pub fn list(path: &Path, wal_dir: Option<&Path>) -> Result<DataDir> {
        let mut dir = DataDir { path: path.to_path_buf(), ..DataDir::default() };
        let is_dir = |p: &PathBuf| tree::is_dir(p);
        let member = Some(path.join("member")).filter(is_dir).unwrap_or_else(|| path.to_path_buf());
        let snap = Some(member.join("snap")).filter(is_dir);
        let apart = |dir: &Path| {
            let below = ["member/wal", "wal"].map(|below| dir.join(below));
            below.into_iter().find(is_dir).unwrap_or_else(|| dir.to_path_buf())
        };
        let wal = wal_dir.map(apart).or_else(|| Some(member.join("wal")).filter(is_dir));
        if let Some(snap) = &snap {
            dir.read_dir(snap)?;
        }
        if let Some(wal) = &wal {
            dir.read_dir(wal)?;
        }
        if snap.is_none() && wal.is_none() {
            // A snap or wal directory itself.
            dir.read_dir(path)?;
        }
        dir.snap_dir = snap.or_else(|| {
            dir.db.as_ref().or(dir.snaps.first()).and_then(|p| p.parent()).map(Path::to_path_buf)
        });
        dir.wal_dir = wal.or_else(|| dir.wals.first().and_then(|p| p.parent()).map(Path::to_path_buf));
        for list in [&mut dir.snaps, &mut dir.snap_dbs, &mut dir.wals, &mut dir.leftovers, &mut dir.strangers]
        {
            list.sort();
        }
        if dir.db.is_none() && dir.snaps.is_empty() && dir.snap_dbs.is_empty() && dir.wals.is_empty() {
            let below =
                BELOW.iter().map(|below| path.join(below)).find(|below| is_dir(&below.join("member")));
            let below =
                below.map_or_else(String::new, |below| format!("; its data directory is {}", show(&below)));
            let names = tree::read_dir(path).unwrap_or_default();
            let of = |kind| {
                names.iter().filter_map(|e| BackupName::parse(&e.name)).filter(|n| n.kind == kind).count()
            };
            let backups = match (of(BackupKind::Full), of(BackupKind::Increment)) {
                (0, 0) => String::new(),
                (full, more) => {
                    format!(
                        ", but backups of etcd-backup-restore: {full} full snapshots and {more} increments"
                    )
                }
            };
            let told = format!("holds no etcd data: no member/snap/db, no *.snap, no *.wal{backups}{below}");
            let hint = (!backups.is_empty()).then_some(Hint::CopyChain);
            return Err(Error::unreadable(path, Cause::Lacks { told, hint }));
        }
        Ok(dir)
    }

    fn read_dir(&mut self, path: &Path) -> Result<()> {
        let unreadable = |e: std::io::Error| Error::unreadable(path, e);
        for tree::Listed { name, path: file } in tree::read_dir(path).map_err(unreadable)? {
            let name = name.to_string_lossy().into_owned();
            let list = if name == "db" {
                self.db = Some(file);
                continue;
            } else if name.ends_with(".snap.db") {
                &mut self.snap_dbs
            } else if name.ends_with(".snap") {
                &mut self.snaps
            } else if name.ends_with(".wal") {
                &mut self.wals
            } else if name.ends_with(".broken")
                || name.ends_with(".tmp")
                || name.starts_with("db.tmp")
                || name.starts_with("tmp")
            {
                &mut self.leftovers
            } else {
                &mut self.strangers
            };
            list.push(file);
        }
        Ok(())
    }
}
