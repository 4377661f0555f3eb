//! The files that a dump reads.

use std::path::{Path, PathBuf};

use crate::etcd::Input;
use crate::etcd::datadir::{self, FileKind};
use crate::etcd::within;
use crate::io::{Source, tree};
use crate::snap::file::{SnapFile, SnapName};
use crate::wal::SegmentName;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result, show};
use crate::words::hint::Hint;
use crate::words::ids::RaftIndex;

/// A raft snapshot longer than this is not read.
const MAX_SNAP: u64 = 1 << 30;

/// Where a member keeps its files.
pub(super) struct WalFiles {
    wal: PathBuf,
    snap: Option<PathBuf>,
    /// The single segment that was named.
    pub single: Option<Source>,
}

impl WalFiles {
    /// `path` may be a data directory, its `member`, its WAL directory, or one segment.
    pub fn find(input: &Input, wal_dir: Option<&Path>) -> Result<WalFiles> {
        let path = input.path();
        let is_file = match input.as_open() {
            Some(_) => true,
            None if tree::exists(path) => tree::is_file(path),
            // Why there is nothing is told by who opens it.
            None => input.open().is_ok(),
        };
        if is_file && wal_dir.is_none() {
            return Ok(WalFiles { wal: path.to_path_buf(), snap: None, single: Some(input.open()?) });
        }
        let dir = |parts: &[&str]| {
            Some(parts.iter().fold(path.to_path_buf(), |p, part| p.join(part))).filter(|p| tree::is_dir(p))
        };
        let wal =
            wal_dir.map(Path::to_path_buf).or_else(|| dir(&["member", "wal"])).or_else(|| dir(&["wal"]));
        let beside = || {
            tree::parent(path)
                .filter(|_| wal.is_none())
                .map(|parent| parent.join("snap"))
                .filter(|p| tree::is_dir(p))
        };
        let snap = dir(&["member", "snap"]).or_else(|| dir(&["snap"])).or_else(beside);
        Ok(WalFiles { wal: wal.unwrap_or_else(|| path.to_path_buf()), snap, single: None })
    }

    pub fn wal_name(&self) -> String {
        show(&self.wal)
    }

    pub fn segments(&self) -> Result<Vec<(String, Source)>> {
        if let Some(source) = &self.single {
            // The name tells the place in the log; under another name the file is taken for a first segment.
            let name =
                self.wal.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let name =
                SegmentName::parse(&name).unwrap_or(SegmentName { sequence: 0, index: RaftIndex::default() });
            datadir::refuse_other_kind(source, FileKind::Wal)?;
            return Ok(vec![(name.to_string(), source.clone())]);
        }
        let mut names = Vec::new();
        for entry in tree::read_dir(&self.wal).map_err(|error| Error::unreadable(&self.wal, error))? {
            let name = entry.name.into_string().ok();
            names.extend(name.filter(|name| SegmentName::parse(name).is_some()));
        }
        if names.is_empty() {
            let (told, hint) = ("holds no WAL segment (*.wal)".to_owned(), Some(Hint::NameLog));
            return Err(Error::unreadable(&self.wal, Cause::Lacks { told, hint }));
        }
        names.sort();
        let paths: Vec<PathBuf> = names.iter().map(|name| self.wal.join(name)).collect();
        Ok(names.into_iter().zip(tree::open_all(&paths)?).collect())
    }

    /// The raft snapshots, newest first.
    pub fn snaps(&self) -> Vec<PathBuf> {
        let Some(dir) = &self.snap else { return Vec::new() };
        let Ok(entries) = tree::read_dir(dir) else { return Vec::new() };
        let mut names: Vec<SnapName> = entries
            .into_iter()
            .filter_map(|entry| entry.name.into_string().ok())
            .filter_map(|name| SnapName::parse(&name))
            .collect();
        names.sort();
        names.iter().rev().map(|name| dir.join(name.to_string())).collect()
    }

    pub fn snap_path(&self, name: &Path) -> PathBuf {
        match &self.snap {
            Some(dir) if !tree::exists(name) => dir.join(name),
            _ => name.to_path_buf(),
        }
    }
}

/// Reads one raft snapshot file.
pub(super) fn read_snap(path: &Path) -> Result<SnapFile> {
    let source = within::open(path)?;
    datadir::refuse_other_kind(&source, FileKind::RaftSnapshot)?;
    source
        .read_all(MAX_SNAP)
        .and_then(|bytes| SnapFile::decode(&bytes))
        .map_err(|corrupt| Error::damaged(path, corrupt))
}
