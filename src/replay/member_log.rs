//! A member's log: its segments, open, and read once for all who ask.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use crate::etcd::DataDir;
use crate::etcd::datadir::RAFT_SNAPSHOT_LIMIT;
use crate::io::Source;
use crate::snap::file::{SnapFile, SnapName};
use crate::wal::{Log, Read};
use crate::words::error::{Error, Result};
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// Progress is told each time so many bytes are read.
const STEP: u64 = 1 << 20;

/// The open segments of a member's log, and what they hold once somebody has asked.
#[derive(Debug, Default)]
pub struct MemberLog {
    segments: Vec<Source>,
    place: PathBuf,
    /// The raft snapshots beside it, oldest first.
    snaps: Vec<PathBuf>,
    /// The index after which entries may be wanted.
    after: RaftIndex,
    read: OnceLock<Read>,
}

impl MemberLog {
    /// Opens the segments in a directory.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when one cannot be opened.
    pub fn open(dir: &DataDir) -> Result<MemberLog> {
        let segments = Source::open_all(&dir.wals)?;
        let place = dir.wal_dir.clone().unwrap_or_default();
        let (snaps, after) = (dir.snaps.clone(), RaftIndex::new(u64::MAX));
        Ok(MemberLog { segments, place, snaps, after, read: OnceLock::new() })
    }

    /// Keeps where the entries after this raft index are: those that a database lacks. Otherwise none are kept.
    #[must_use]
    pub fn keep_after(mut self, index: RaftIndex) -> MemberLog {
        self.after = index;
        self
    }

    /// The directory of the log.
    #[must_use]
    pub fn place(&self) -> &Path {
        &self.place
    }

    /// The files of its segments.
    #[must_use]
    pub fn files(&self) -> &[Source] {
        &self.segments
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> Log<'_> {
        Log::of(&self.segments)
    }

    /// All that the log holds. The first who asks reads it, others wait for that.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub fn read(&self, monitor: &dyn Monitor) -> Result<&Read> {
        let read = self.read.get_or_init(|| self.read_through(monitor));
        if read.stopped || monitor.cancelled() { Err(Error::Cancelled) } else { Ok(read) }
    }

    /// The newest raft snapshot file up to this index that can be read and that the log knows: etcd starts from that
    /// (`Snapshotter.LoadNewestAvailable`).
    pub(crate) fn raft_snapshot(&self, up_to: RaftIndex, read: &Read) -> Option<SnapFile> {
        self.snaps.iter().rev().find_map(|path| {
            SnapName::parse(path.file_name()?.to_str()?)?;
            let snap =
                SnapFile::decode(&Source::open(path).ok()?.read_all(RAFT_SNAPSHOT_LIMIT).ok()?).ok()?;
            let known = read
                .summary
                .valid_snapshots()
                .any(|record| (record.last_term(), record.last_index()) == (snap.term(), snap.index()));
            (snap.index() <= up_to && known).then_some(snap)
        })
    }

    fn read_through(&self, monitor: &dyn Monitor) -> Read {
        let total = self.segments.iter().map(Source::len).fold(0, u64::saturating_add);
        monitor.begin("reading the WAL", total);
        let mut untold = 0u64;
        let read = self.log().read(self.after, &mut |bytes| {
            untold = untold.saturating_add(bytes);
            if untold > STEP {
                monitor.advance(std::mem::take(&mut untold));
            }
            if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        monitor.end();
        read
    }
}
