//! Why a request is refused: it does not fit the data, or something stands in the way of the answer.

use std::io;
use std::path::PathBuf;

use crate::words::hint::Hint;
use crate::words::ids::{MemberId, RaftIndex};
use crate::words::text::{Told, show};

/// How far a database or a log has come: by raft index or by revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// Raft index.
    Index(RaftIndex),
    /// Revision.
    Revision(i64),
}

impl Mark {
    fn name(self) -> &'static str {
        match self {
            Mark::Index(_) => "raft index",
            Mark::Revision(_) => "revision",
        }
    }

    fn number(self) -> String {
        match self {
            Mark::Index(index) => index.to_string(),
            Mark::Revision(revision) => revision.to_string(),
        }
    }
}

/// Which revisions there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionRange {
    /// The file, as named, if it is to be told which.
    pub file: Option<String>,
    /// The first that can be read.
    pub first: i64,
    /// The last.
    pub last: i64,
}

impl RevisionRange {
    fn told(&self, asked: i64) -> String {
        let file = self.file.as_deref().unwrap_or("the file");
        format!(": {asked} was asked for, {file} has revisions {} to {}", self.first, self.last)
    }
}

/// Why a request is refused. Where etcd has words for it, the text is etcd's.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The revision is not there yet.
    #[error("mvcc: required revision is a future revision{}", there.told(*asked))]
    Future {
        /// The revision that was asked for.
        asked: i64,
        /// Those that there are.
        there: RevisionRange,
    },
    /// The revision is compacted.
    #[error("mvcc: required revision has been compacted{}", there.told(*asked))]
    Compacted {
        /// The revision that was asked for.
        asked: i64,
        /// Those that there are.
        there: RevisionRange,
    },
    /// The keyspace cannot be hashed as if less of it were compacted than is.
    #[error("the file is compacted at {compacted}; it cannot be hashed as if compacted at {asked}")]
    CompactedFurther {
        /// The compact revision that was asked for.
        asked: i64,
        /// That of the file.
        compacted: i64,
    },
    /// The database or the log is past the place that was asked for.
    #[error("the database is at {} {} already, past {}: a log is not undone", has.name(), has.number(), asked.number())]
    AlreadyPast {
        /// Where the database is.
        has: Mark,
        /// What was asked for.
        asked: Mark,
    },
    /// The log does not come as far as was asked for.
    #[error(
        "what of the log can be applied ends at {} {}, before {}",
        ends.name(), ends.number(), asked.number()
    )]
    EndsBefore {
        /// Where it ends.
        ends: Mark,
        /// What was asked for.
        asked: Mark,
    },
    /// Nothing in the log tells a time.
    #[error(
        "no entry of the log after raft index {from}, where the database ends, tells a time: no Kubernetes object that \
         can be read is put there"
    )]
    NoTime {
        /// The raft index at which the database ends.
        from: RaftIndex,
    },
    /// The times that the log tells begin after the one that was asked for.
    #[error(
        "the log after raft index {from}, where the database ends, begins to tell times at {first} (entry {index}), past \
         {asked}"
    )]
    BeginsLater {
        /// The raft index at which the database ends.
        from: RaftIndex,
        /// The first time that is told.
        first: jiff::Timestamp,
        /// The entry that tells it.
        index: RaftIndex,
        /// The time that was asked for.
        asked: jiff::Timestamp,
    },
    /// The files do not tell, or tell something that is not known here, by which etcd's rules the log is to be applied.
    #[error(
        "which etcd{} wrote the files, and by whose rules the log is to be applied, is not known",
        stated.as_ref().map_or_else(String::new, |stated| format!(" {stated}"))
    )]
    RulesUnknown {
        /// The version that is stated.
        stated: Option<Told>,
    },
    /// The source does not tell its version, or one that is not known here.
    #[error("{}", version(stated.as_ref()))]
    VersionUnknown {
        /// The version that is stated.
        stated: Option<Told>,
    },
    /// A change of the members does not fit.
    #[error("member {id}: {why}")]
    MemberChange {
        /// The member.
        id: MemberId,
        /// Why, in etcd's words.
        why: &'static str,
    },
    /// Nobody would be left who votes.
    #[error("member {id}: {why}")]
    LastVoter {
        /// The member.
        id: MemberId,
        /// What etcd does then.
        why: &'static str,
    },
    /// The member whose directory it is to be is not one of the cluster.
    #[error(
        "{file}: member {id} is not among the members at raft index {index}: etcd would not start from it"
    )]
    NotAMember {
        /// The source, as named.
        file: String,
        /// The member.
        id: MemberId,
        /// Where the log was applied to.
        index: RaftIndex,
    },
    /// A data directory was to be made of something that has no log.
    #[error("{file}: a data directory is made from a data directory with its log: that tells whose it is")]
    NoLog {
        /// The source, as named.
        file: String,
    },
    /// No log was applied.
    #[error("{file}: there is no log that is applied to it, so that it cannot be brought to another place")]
    LogNotApplied {
        /// The source, as named.
        file: String,
    },
    /// None of the members that run is to be asked.
    #[error("{why}")]
    NoMember {
        /// Why none.
        why: String,
    },
    /// The file has not what was to be changed in it by hand.
    #[error("{file}: {why}")]
    Surgery {
        /// The file, as named.
        file: String,
        /// Why.
        why: String,
    },
    /// The database cannot be brought to the version that was asked for, in etcd's words.
    #[error("{file}: {why}")]
    Migration {
        /// The file, as named.
        file: String,
        /// Why.
        why: String,
    },
    /// There is no such bucket.
    #[error("{file}: there is no bucket {}{}", quoted(bucket), within(parent))]
    NoBucket {
        /// The file, as named.
        file: String,
        /// Its name.
        bucket: Vec<u8>,
        /// The bucket in which it was looked for; empty for the root.
        parent: Vec<u8>,
    },
    /// There is no such key.
    #[error("{file}: key {} in bucket {} is not there", quoted(key), quoted(bucket))]
    NoKey {
        /// The file, as named.
        file: String,
        /// The bucket in which it was looked for.
        bucket: Vec<u8>,
        /// The key.
        key: Vec<u8>,
    },
    /// The key is a bucket.
    #[error("{file}: key {} in bucket {} is a bucket, not a value", quoted(key), quoted(bucket))]
    IsABucket {
        /// The file, as named.
        file: String,
        /// The bucket in which it was looked for.
        bucket: Vec<u8>,
        /// The key.
        key: Vec<u8>,
    },
    /// A key outside every bucket: etcd writes none.
    #[error("{file}: a key outside every bucket: no etcd database")]
    KeyOutside {
        /// The file, as named.
        file: String,
    },
    /// It is no database of etcd.
    #[error("{file}: is not a database of etcd: {why}")]
    NotEtcds {
        /// The file, as named.
        file: String,
        /// What it lacks.
        why: String,
    },
    /// An object of Kubernetes cannot be changed like this.
    #[error("{object}: {why}")]
    NotEditable {
        /// The object, by kind and name.
        object: Told,
        /// Why not, without a value of it.
        why: Told,
        /// What helps.
        hint: Option<Hint>,
    },
    /// Another file of the same database is asked for, and it is of another history.
    #[error("{file}: is of another history: {revisions} of its revisions hold something else there")]
    OtherHistory {
        /// The file, as named.
        file: String,
        /// How many of its revisions differ.
        revisions: u64,
    },
    /// There is a trailer already.
    #[error("{file}: ends with a trailer already")]
    Sealed {
        /// The file, as named.
        file: String,
    },
    /// There is no trailer.
    #[error("{file}: has no SHA-256 trailer to take off")]
    NotSealed {
        /// The file, as named.
        file: String,
    },
    /// There is no trailer to check.
    #[error(
        "{file}: snapshot missing hash but --skip-hash-check=false{}",
        if *log_beside { "; it lacks the entries that only the log beside it has" } else { "" }
    )]
    NothingToCheck {
        /// The file, as named.
        file: String,
        /// Whether it is the database of a member, with its log.
        log_beside: bool,
    },
    /// No member has the name that was asked for.
    #[error("couldn't find local name {name} in the initial cluster configuration")]
    NoSuchMember {
        /// The name, quoted as Go does.
        name: String,
    },
    /// No member has the name of a learner.
    #[error("no such member in {cluster}: {name}")]
    NoSuchLearner {
        /// The name, quoted as Go does.
        name: String,
        /// The members, as `name=url,name=url`.
        cluster: String,
    },
    /// Nobody would vote.
    #[error("every member would be a learner; at least one must vote")]
    NoVoter,
    /// Two members have the same peer URL.
    #[error("initial cluster {cluster} has duplicate url")]
    DuplicateUrl {
        /// The members, as `name=url,name=url`.
        cluster: String,
    },
    /// There is no member at all.
    #[error("initial cluster unset and no discovery URL found")]
    NoMembers,
    /// A peer URL that etcd would not take.
    #[error("{0}")]
    PeerUrl(String),
    /// The cluster has peer URLs for the member that it does not advertise.
    #[error(
        "--initial-cluster has {missing} but missing from --initial-advertise-peer-urls={advertised} (names of \
         hosts are not looked up)"
    )]
    NotAdvertised {
        /// Those that are missing, as `name=url,name=url`.
        missing: String,
        /// Those that it advertises.
        advertised: String,
    },
    /// The member advertises peer URLs that the cluster does not have for it.
    #[error(
        "--initial-advertise-peer-urls has {extra} but missing from --initial-cluster={cluster} (names of hosts are \
         not looked up)"
    )]
    NotInCluster {
        /// Those that are too many.
        extra: String,
        /// The members, as `name=url,name=url`.
        cluster: String,
    },
    /// No directory can have the name of the member.
    #[error("member name {name:?} cannot be the name of a directory")]
    MemberName {
        /// The name.
        name: String,
    },
    /// The revision cannot be raised so far.
    #[error("revision {from} cannot be raised so far as by {by}")]
    CannotRaise {
        /// The revision.
        from: i64,
        /// By how much it was to be raised.
        by: u64,
    },
    /// Something is at the place of the answer.
    #[error("{}: exists already, and nothing is overwritten", show(path))]
    Exists {
        /// The place.
        path: PathBuf,
    },
    /// A file cannot be put there.
    #[error("{}: {source}", show(path))]
    Place {
        /// The place.
        path: PathBuf,
        /// What stands in the way.
        source: io::Error,
    },
    /// Something came to the place of the answer while that was made.
    #[error(
        "{}: was not there when this run began; another run or program has made it meanwhile, and nothing is overwritten. Look \
         at it, or choose another place",
        show(path)
    )]
    MadeMeanwhile {
        /// The place.
        path: PathBuf,
    },
    /// What another run began is at the place where the answer would be made.
    #[error(
        "{}: is of a run that did not finish or is still at work; it is never used again. Look at it, remove it, and try \
         again",
        show(path)
    )]
    Unfinished {
        /// What the other run made.
        path: PathBuf,
    },
    /// What is to be replaced has other names.
    #[error(
        "{}: has {names} names (hard links), and what one of them is opened by must stay what the others find: it is not \
         replaced",
        show(path)
    )]
    OtherNames {
        /// The file.
        path: PathBuf,
        /// How many names it has.
        names: u64,
    },
    /// What is to be replaced is not the one that etcd wrote last.
    #[error(
        "{}: ends at raft index {index}, and {}, which it replaced, at {}: an etcd ran on that one. Stop etcd, move it \
         to the place of the database, and try again",
        show(path),
        show(aside),
        further
    )]
    Aside {
        /// The database.
        path: PathBuf,
        /// Where it ends.
        index: RaftIndex,
        /// The other one.
        aside: PathBuf,
        /// Where that ends.
        further: RaftIndex,
    },
    /// The place is inside a directory that is only read.
    #[error("{}: lies in {}, which is only read; choose a place outside of it", show(path), show(input))]
    InsideInput {
        /// The place.
        path: PathBuf,
        /// The directory.
        input: PathBuf,
    },
    /// The data directory holds something.
    #[error("data-dir {path:?} not empty or could not be read")]
    NotEmpty {
        /// The directory.
        path: PathBuf,
    },
    /// The directory for the log is there.
    #[error("wal-dir {path:?} exists")]
    LogExists {
        /// The directory.
        path: PathBuf,
    },
    /// The directory for the log is inside the data directory.
    #[error("wal-dir {path:?} is inside the data directory {data_dir:?}")]
    LogInside {
        /// The directory for the log.
        path: PathBuf,
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The database cannot be written: an item does not fit into one.
    #[error(transparent)]
    Unwritable(Box<dyn std::error::Error + Send + Sync>),
}

impl Refusal {
    /// What may be done about it.
    #[must_use]
    pub fn hint(&self) -> Option<Hint> {
        match self {
            Refusal::AlreadyPast { .. } => Some(Hint::OlderBase),
            Refusal::NoTime { .. } => Some(Hint::EndElsewhere),
            Refusal::BeginsLater { .. } => Some(Hint::OlderBaseOrEndElsewhere),
            Refusal::RulesUnknown { .. } => Some(Hint::EtcdVersion),
            Refusal::VersionUnknown { .. } => Some(Hint::TargetVersion),
            Refusal::LastVoter { .. } => Some(Hint::Promote),
            Refusal::NotEditable { hint, .. } => *hint,
            Refusal::Sealed { .. } => Some(Hint::Unseal),
            Refusal::NothingToCheck { log_beside: true, .. } => Some(Hint::CopyFirst),
            Refusal::NothingToCheck { .. } => Some(Hint::SkipHashCheck),
            Refusal::LogInside { .. } => Some(Hint::LogElsewhere),
            Refusal::OtherNames { .. } => Some(Hint::DefragElsewhere),
            _ => None,
        }
    }
}

fn version(stated: Option<&Told>) -> String {
    match stated {
        Some(stated) => format!("the source is of etcd {stated}, which is not known here"),
        None => "the source does not tell which version of etcd wrote it".to_owned(),
    }
}

fn quoted(name: &[u8]) -> String {
    format!("\"{}\"", name.escape_ascii())
}

fn within(parent: &[u8]) -> String {
    if parent.is_empty() { String::new() } else { format!(" in bucket {}", quoted(parent)) }
}

#[cfg(test)]
mod tests;
