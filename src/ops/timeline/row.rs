//! What is kept of each thing that happened: numbers, and the numbers of its texts.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::rc::Rc;

use jiff::Timestamp;
use serde::Serialize;

use crate::etcd::KeyRange;
use crate::words::ids::{RaftIndex, Term};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum What {
    /// A key came into being.
    Created,
    /// It came into being again.
    Recreated,
    /// It got another value or lease.
    Changed,
    /// It was written; whether it was there before is not known.
    Put,
    /// It was deleted.
    Deleted,
    /// Revisions were passed over: by a restore, or by kine.
    Marker,
    /// Old revisions were asked to be forgotten.
    Compacted,
    /// A lease was granted.
    LeaseGranted,
    /// A lease was revoked, or ran out: its keys go with it.
    LeaseRevoked,
    /// A member was added, as voter or learner.
    MemberAdded,
    /// A member was removed.
    MemberRemoved,
    /// A member got other peer URLs.
    MemberUpdated,
    /// A learner became a voter.
    MemberPromoted,
    /// A member told its name and client URLs, as each does when it starts.
    MemberStarted,
    /// A leader was elected.
    LeaderElected,
    /// Authentication was switched on or off.
    Auth,
    /// A user came, went or was changed.
    User,
    /// A role came, went or was changed.
    Role,
    /// An alarm was raised or cleared.
    Alarm,
    /// The cluster's version was set, or a downgrade begun or ended.
    Version,
    /// The database was made anew: its transactions count from a lower number than before.
    Rewritten,
    /// The API server was asked for it; no file holds that it did something.
    Request,
}

impl What {
    /// Its name, as `lease-granted`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            What::Created => "created",
            What::Recreated => "recreated",
            What::Changed => "changed",
            What::Put => "put",
            What::Deleted => "deleted",
            What::Marker => "marker",
            What::Compacted => "compacted",
            What::LeaseGranted => "lease-granted",
            What::LeaseRevoked => "lease-revoked",
            What::MemberAdded => "member-added",
            What::MemberRemoved => "member-removed",
            What::MemberUpdated => "member-updated",
            What::MemberPromoted => "member-promoted",
            What::MemberStarted => "member-started",
            What::LeaderElected => "leader-elected",
            What::Auth => "auth",
            What::User => "user",
            What::Role => "role",
            What::Alarm => "alarm",
            What::Version => "version",
            What::Rewritten => "rewritten",
            What::Request => "request",
        }
    }

    /// Whether it is about a key.
    #[must_use]
    pub fn is_change(self) -> bool {
        matches!(self, What::Created | What::Recreated | What::Changed | What::Put | What::Deleted)
    }

    pub(super) fn is_put(self) -> bool {
        self.is_change() && self != What::Deleted
    }
}

/// How sure it is that it happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// A tree of a database holds it, or the log with what came of it.
    Certain,
    /// It was found in pages that no tree holds.
    Carved,
    /// The log holds that it was asked for; whether it did something is not known.
    Requested,
    /// The log holds it and not that the cluster agreed on it.
    Uncommitted,
    /// It is concluded from other things.
    Inferred,
    /// The audit log says so, and no file of etcd's.
    Audited,
}

impl Certainty {
    /// Its name, as `carved`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Certainty::Certain => "certain",
            Certainty::Carved => "carved",
            Certainty::Requested => "requested",
            Certainty::Uncommitted => "uncommitted",
            Certainty::Inferred => "inferred",
            Certainty::Audited => "audited",
        }
    }
}

/// What of an input holds something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum SourceKind {
    /// The database, as what is there now.
    Database,
    /// The database, as what was there before.
    History,
    /// The log.
    Wal,
    /// Pages of the database that no tree holds.
    Carved,
}

impl SourceKind {
    const ALL: [SourceKind; 4] =
        [SourceKind::Database, SourceKind::History, SourceKind::Wal, SourceKind::Carved];

    /// Its name, as `history`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            SourceKind::Database => "database",
            SourceKind::History => "history",
            SourceKind::Wal => "wal",
            SourceKind::Carved => "carved",
        }
    }

    fn number(self) -> u32 {
        match self {
            SourceKind::Database => 0,
            SourceKind::History => 1,
            SourceKind::Wal => 2,
            SourceKind::Carved => 3,
        }
    }
}

/// The most inputs that are joined.
pub const MOST_INPUTS: usize = 32;

/// Which inputs hold something, and what of them: a bit each.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sources(u128);

impl Sources {
    pub fn of(input: usize, kind: SourceKind) -> Sources {
        let bit =
            u32::try_from(input).ok().and_then(|input| input.checked_mul(4)?.checked_add(kind.number()));
        Sources(bit.and_then(|bit| 1u128.checked_shl(bit)).unwrap_or(0))
    }

    pub fn add(&mut self, other: Sources) {
        self.0 |= other.0;
    }

    pub fn has(self, other: Sources) -> bool {
        self.0 & other.0 != 0
    }

    pub fn each(self) -> impl Iterator<Item = (usize, SourceKind)> {
        let all = (0..MOST_INPUTS).flat_map(|input| SourceKind::ALL.map(|kind| (input, kind)));
        all.filter(move |(input, kind)| self.has(Sources::of(*input, *kind)))
    }
}

/// Numbers of texts, each kept once.
#[derive(Debug, Default)]
pub(super) struct Interned {
    numbers: HashMap<Rc<[u8]>, u32>,
    all: Vec<Rc<[u8]>>,
}

impl Interned {
    /// The number of a text; 0 is that of the empty one, and of all past four billion.
    pub fn number(&mut self, text: &[u8]) -> u32 {
        if self.all.is_empty() {
            self.insert(b"");
        }
        match self.numbers.get(text) {
            Some(number) => *number,
            None => self.insert(text),
        }
    }

    fn insert(&mut self, text: &[u8]) -> u32 {
        let Ok(number) = u32::try_from(self.all.len()) else { return 0 };
        let text: Rc<[u8]> = text.into();
        self.all.push(Rc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    pub fn each(&self) -> impl Iterator<Item = &[u8]> {
        self.all.iter().map(|text| &**text)
    }

    /// The range that these are the first key and the end of.
    pub fn range(&self, (first, end): (u32, u32)) -> KeyRange<'_> {
        KeyRange::request(self.get(first), self.get(end))
    }

    pub fn get(&self, number: u32) -> &[u8] {
        usize::try_from(number).ok().and_then(|number| self.all.get(number)).map_or(&[], |text| text)
    }
}

/// One thing that happened. Some 150 bytes.
#[derive(Debug, Clone)]
pub(super) struct Row {
    /// Its revision (main), or the last one that is known to be before it.
    pub main: i64,
    /// The last that it can be: the same, if it is known.
    pub until: i64,
    /// Whether it made the revision, and did not only come after it.
    pub made: bool,
    pub sub: i64,
    /// Its raft index, if a log holds it.
    pub entry: Option<(RaftIndex, Term)>,
    pub what: What,
    pub certainty: Certainty,
    /// The number of its key; 0 is none.
    pub key: u32,
    /// Of a deletion of several keys: the numbers of the first and the end, as texts.
    pub range: Option<(u32, u32)>,
    /// A hash of what was put. `None` where that is not there to its end.
    pub hash: Option<u64>,
    /// How often the key was written since it came into being; 0 where that is not known.
    pub version: i64,
    pub lease: i64,
    /// The newest time in the value that is of before it was put.
    pub own: Option<Timestamp>,
    /// Whether that time came with it.
    pub fresh: bool,
    /// The number of who wrote it.
    pub who: u32,
    /// Whether the version before says the same of who wrote it and when.
    pub repeats: bool,
    /// The number of what else is to be said.
    pub detail: u32,
    pub sources: Sources,
    /// Whether another input holds something else at this revision.
    pub contradicts: bool,
    /// The number of its line in the audit log, from 0.
    pub audit: Option<u32>,
}

impl Row {
    pub fn new(what: What, main: i64, sources: Sources) -> Row {
        Row {
            main,
            until: main,
            made: true,
            sub: 0,
            entry: None,
            what,
            certainty: Certainty::Certain,
            key: 0,
            range: None,
            hash: None,
            version: 0,
            lease: 0,
            own: None,
            fresh: false,
            who: 0,
            repeats: false,
            detail: 0,
            sources,
            contradicts: false,
            audit: None,
        }
    }

    /// Whether its revision is known.
    pub fn is_exact(&self) -> bool {
        self.made && self.main == self.until
    }

    /// The revisions that it is of, or between.
    pub fn revisions(&self) -> RangeInclusive<i64> {
        match (self.is_exact(), self.what.is_change()) {
            (true, _) => self.main..=self.main,
            (false, true) => self.main.saturating_add(1)..=self.until,
            (false, false) => self.main..=self.until.saturating_add(1),
        }
    }

    /// In which order they are told: what came after a revision stands behind it.
    pub fn place(&self) -> (i64, bool, RaftIndex, i64) {
        let after = !self.is_exact();
        let index = self.entry.filter(|_| after).map_or_else(RaftIndex::default, |(index, _)| index);
        (self.main, after, index, self.sub)
    }
}
