//! How a member stands, by its own word.

use std::time::Duration;

use serde::Serialize;

use super::endpoint::Endpoint;
use super::messages::{Header, StatusResponse};
use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};
use crate::words::text::Told;
use crate::words::unanswered::Unanswered;

/// Errors of a member that are kept: etcd has two kinds of alarm, and no leader.
const ERRORS: usize = 100;

/// How a member answered that it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Answered {
    /// The cluster.
    pub cluster: ClusterId,
    /// The member.
    pub member: MemberId,
    /// The version of etcd.
    pub version: Told,
    /// The version of the database, since etcd 3.6.
    pub storage_version: Told,
    /// The last revision.
    pub revision: i64,
    /// Length of the database in bytes.
    pub db_size: u64,
    /// How much of that is in use.
    pub db_size_in_use: u64,
    /// Who leads; `None` is nobody that it knows of.
    pub leader: Option<MemberId>,
    /// Whether it learns, and has no vote.
    pub is_learner: bool,
    /// The term.
    pub term: Term,
    /// The last entry that is committed.
    pub raft_index: RaftIndex,
    /// The last entry that is applied; 0 of an etcd that does not tell.
    pub raft_applied_index: RaftIndex,
    /// What it says is wrong: alarms, and that there is no leader.
    pub errors: Vec<Told>,
}

impl Answered {
    pub(super) fn of(answer: StatusResponse) -> Answered {
        let header = answer.header.unwrap_or_default();
        let size = |bytes: i64| u64::try_from(bytes).unwrap_or(0);
        Answered {
            cluster: ClusterId::new(header.cluster_id),
            member: MemberId::new(header.member_id),
            version: Told::from(answer.version),
            storage_version: Told::from(answer.storage_version),
            revision: header.revision,
            db_size: size(answer.db_size),
            db_size_in_use: size(answer.db_size_in_use),
            leader: Some(MemberId::new(answer.leader)).filter(|leader| leader.get() != 0),
            is_learner: answer.is_learner,
            term: Term::new(answer.raft_term),
            raft_index: RaftIndex::new(answer.raft_index),
            raft_applied_index: RaftIndex::new(answer.raft_applied_index),
            errors: answer.errors.into_iter().take(ERRORS).map(Told::from).collect(),
        }
    }

    /// Whether it leads.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.leader == Some(self.member)
    }

    /// The last entry that is in its database, as far as it tells.
    #[must_use]
    pub fn applied(&self) -> RaftIndex {
        if self.raft_applied_index.get() == 0 { self.raft_index } else { self.raft_applied_index }
    }

    /// Whether it says that this member, or any, has that alarm: `NOSPACE` or `CORRUPT`.
    #[must_use]
    pub fn alarm(&self, alarm: &str, of: Option<MemberId>) -> bool {
        self.errors.iter().any(|error| {
            let (mut member, mut kind) = (None, None);
            for word in error.raw().split_whitespace() {
                match word.split_once(':') {
                    Some(("memberID", id)) => member = id.parse().ok().map(MemberId::new),
                    Some(("alarm", name)) => kind = Some(name),
                    _ => {}
                }
            }
            kind == Some(alarm) && (of.is_none() || member == of)
        })
    }
}

/// An endpoint, and what came of asking it.
#[derive(Debug, Clone)]
pub struct Standing {
    /// Whom was asked.
    pub endpoint: Endpoint,
    /// What it answered, or why there is no answer.
    pub answer: Result<Answered, Unanswered>,
    /// How long that took.
    pub took: Duration,
}

/// HashKV of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct HashOfKeys {
    /// CRC-32C.
    pub hash: u32,
    /// The compaction of the member; -1 is none.
    pub compact_revision: i64,
}

/// The revision in the header of an answer.
pub(super) fn revision(header: Option<Header>) -> i64 {
    header.unwrap_or_default().revision
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alarms_are_read_from_what_etcd_writes() {
        let errors = ["memberID:10276657743932975437 alarm:NOSPACE ", "etcdserver: no leader"];
        let answer =
            StatusResponse { errors: errors.map(str::to_owned).to_vec(), ..StatusResponse::default() };
        let answered = Answered::of(answer);
        assert!(answered.alarm("NOSPACE", None));
        assert!(answered.alarm("NOSPACE", Some(MemberId::new(10_276_657_743_932_975_437))));
        assert!(!answered.alarm("NOSPACE", Some(MemberId::new(7))));
        assert!(!answered.alarm("CORRUPT", None));
        assert_eq!(answered.leader, None);
    }

    #[test]
    fn an_etcd_that_tells_no_applied_index_is_taken_at_its_raft_index() {
        let of = |applied| {
            let answer =
                StatusResponse { raft_index: 9, raft_applied_index: applied, ..StatusResponse::default() };
            Answered::of(answer).applied().get()
        };
        assert_eq!((of(0), of(8)), (9, 8));
    }
}
