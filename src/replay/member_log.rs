//! A member's log: its segments, open, and read once for all who ask.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::remarks::Remarks;
use crate::etcd::DataDir;
use crate::etcd::datadir::{RAFT_SNAPSHOT_LIMIT, received};
use crate::io::{Source, tree};
use crate::raft::EntryView;
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
    /// The databases beside it that a leader sent.
    snap_dbs: Vec<PathBuf>,
    /// The index after which entries may be wanted.
    after: RaftIndex,
    read: OnceLock<(Read, Remarks)>,
}

impl MemberLog {
    /// Opens the segments in a directory.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when one cannot be opened.
    pub fn open(dir: &DataDir) -> Result<MemberLog> {
        let segments = tree::open_all(&dir.wals)?;
        let place = dir.wal_dir.clone().unwrap_or_default();
        let (snaps, snap_dbs) = (dir.snaps.clone(), dir.snap_dbs.clone());
        let after = RaftIndex::new(u64::MAX);
        Ok(MemberLog { segments, place, snaps, snap_dbs, after, read: OnceLock::new() })
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
        self.remarked(monitor).map(|(read, _)| read)
    }

    /// The same, and what is remarkable about its entries.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) fn remarked(&self, monitor: &dyn Monitor) -> Result<&(Read, Remarks)> {
        let all = self.read.get_or_init(|| {
            let mut remarks = Remarks::default();
            let read = self.read_through(monitor, &mut |entry| remarks.entry(entry));
            (read, remarks)
        });
        if all.0.stopped || monitor.cancelled() { Err(Error::Cancelled) } else { Ok(all) }
    }

    /// All that the log holds, read anew for someone who is to see each entry as it comes.
    ///
    /// # Errors
    /// [`Error::Cancelled`].
    pub(super) fn read_each(
        &self,
        monitor: &dyn Monitor,
        seen: &mut dyn FnMut(&EntryView<'_>),
    ) -> Result<Read> {
        let read = self.read_through(monitor, seen);
        if read.stopped || monitor.cancelled() { Err(Error::Cancelled) } else { Ok(read) }
    }

    /// The newest raft snapshot file up to this index that can be read and that the log knows: etcd starts from that
    /// (`Snapshotter.LoadNewestAvailable`).
    pub(crate) fn raft_snapshot(&self, up_to: RaftIndex, read: &Read) -> Option<SnapFile> {
        self.snaps.iter().rev().find_map(|path| {
            SnapName::parse(path.file_name()?.to_str()?)?;
            let snap = SnapFile::decode(&tree::open(path).ok()?.read_all(RAFT_SNAPSHOT_LIMIT).ok()?).ok()?;
            let known = read
                .summary
                .valid_snapshots()
                .any(|record| (record.last_term(), record.last_index()) == (snap.term(), snap.index()));
            (snap.index() <= up_to && known).then_some(snap)
        })
    }

    /// Whether the database that belongs to the raft snapshot at this index is there, as a leader sent it.
    pub(super) fn received(&self, index: RaftIndex) -> bool {
        received(&self.snap_dbs, index)
    }

    fn read_through(&self, monitor: &dyn Monitor, seen: &mut dyn FnMut(&EntryView<'_>)) -> Read {
        let total = self.segments.iter().map(Source::len).fold(0, u64::saturating_add);
        monitor.begin("reading the WAL", total);
        let mut untold = 0u64;
        let mut each = |bytes| {
            untold = untold.saturating_add(bytes);
            if untold > STEP {
                monitor.advance(std::mem::take(&mut untold));
            }
            if monitor.cancelled() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let read = self.log().read(self.after, &mut each, seen);
        monitor.end();
        read
    }
}
