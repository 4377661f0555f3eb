//! Which member a snapshot is taken of, and why that one.

use super::endpoint::Endpoint;
use super::standing::{Answered, Standing};
use crate::words::text::Told;

/// Entries by which a follower may be behind and still be as good as the leader: it is asked to catch up before its
/// snapshot is taken, and that is the work of a moment.
const CLOSE: u64 = 1000;

/// The member that was chosen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChosenMember {
    /// Which of the standings.
    pub index: usize,
    /// Why it, in words.
    pub why: String,
    /// Whether a quorum can be asked if it has everything: it votes and knows a leader.
    pub confirmable: bool,
}

/// Why none was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoChoice {
    /// None answers.
    #[error("no member answers")]
    Silent,
    /// They are not of one cluster.
    #[error("{} is of cluster {}, {} of cluster {}: these are members of different clusters", .0.0, .0.1, .1.0, .1.1)]
    Clusters((Endpoint, Told), (Endpoint, Told)),
    /// Each that answers has said that its data is not that of the others.
    #[error(
        "every member that answers has the alarm CORRUPT: their data differs, and none of them is to be trusted"
    )]
    Corrupt,
}

/// How good a member is to be asked; the least is best.
type Rank = (bool, bool, u64, bool, bool, bool, usize);

/// The best of those that answer. Those in `failed` gave no good snapshot before, and come last.
///
/// In this order: not one that failed; that votes and knows a leader, so that a quorum can be asked; that is not far
/// behind; that votes, as a learner goes on to name a leader that is gone; that has not run full; that does not lead,
/// as then the leader is spared the work; the one that was named first.
///
/// # Errors
/// [`NoChoice`].
pub fn choose(standings: &[Standing], failed: &[Endpoint]) -> Result<ChosenMember, NoChoice> {
    let answered = || standings.iter().enumerate().filter_map(|(i, s)| Some((i, s, s.answer.as_ref().ok()?)));
    let (_, first, one) = answered().next().ok_or(NoChoice::Silent)?;
    if let Some((_, other, two)) = answered().find(|(_, _, answer)| answer.cluster != one.cluster) {
        let said = |standing: &Standing, answer: &Answered| {
            (standing.endpoint.clone(), Told::from(answer.cluster.padded()))
        };
        return Err(NoChoice::Clusters(said(first, one), said(other, two)));
    }
    let last = answered().map(|(_, _, answer)| answer.raft_index.max(answer.applied()).get()).max();
    let behind = |answer: &Answered| last.unwrap_or(0).saturating_sub(answer.applied().get());
    // Any of them may know it of any.
    let alarm = |kind: &str, of: &Answered| answered().any(|(_, _, a)| a.alarm(kind, Some(of.member)));
    let rank = |(index, standing, answer): &(usize, &Standing, &Answered)| -> Rank {
        (
            failed.contains(&standing.endpoint),
            answer.leader.is_none() || answer.is_learner,
            behind(answer).saturating_sub(CLOSE),
            answer.is_learner,
            alarm("NOSPACE", answer),
            answer.leads(),
            *index,
        )
    };
    let sound = answered().filter(|(_, _, answer)| !alarm("CORRUPT", answer));
    let (index, _, best) = sound.min_by_key(rank).ok_or(NoChoice::Corrupt)?;
    let others = answered().count() > 1;
    let why = why(best, behind(best), alarm("NOSPACE", best), others);
    Ok(ChosenMember { index, why, confirmable: best.leader.is_some() && !best.is_learner })
}

fn why(best: &Answered, behind: u64, full: bool, others: bool) -> String {
    let role = match (best.leads(), best.is_learner) {
        (true, _) if others => "the leader, as no follower is as good",
        (true, _) => "the leader",
        (_, true) => "a learner, as no member with a vote is as good",
        (false, false) if best.leader.is_none() => "a member that knows no leader, as none does",
        (false, false) => "a follower, which spares the leader the work",
    };
    let lag = match behind {
        0 => "with all that any has committed".to_owned(),
        1 => "1 entry behind".to_owned(),
        n => format!("{n} entries behind"),
    };
    let full = if full { ", with the alarm NOSPACE: no room is left for writes" } else { "" };
    format!("{role}, {lag}{full}")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::words::ids::{ClusterId, MemberId, RaftIndex, Term};
    use crate::words::unanswered::Unanswered;

    fn member(id: u64) -> Answered {
        Answered {
            cluster: ClusterId::new(7),
            member: MemberId::new(id),
            version: Told::from("3.6.14".to_owned()),
            storage_version: Told::default(),
            revision: 50,
            db_size: 1,
            db_size_in_use: 1,
            leader: Some(MemberId::new(1)),
            is_learner: false,
            term: Term::new(2),
            raft_index: RaftIndex::new(5000),
            raft_applied_index: RaftIndex::new(5000),
            errors: Vec::new(),
        }
    }

    fn endpoint(n: usize) -> Endpoint {
        Endpoint::parse(&format!("http://m{n}:1"), false).unwrap()
    }

    fn standings(members: Vec<Option<Answered>>) -> Vec<Standing> {
        let one = |(n, answer): (usize, Option<Answered>)| Standing {
            endpoint: endpoint(n),
            answer: answer.ok_or(Unanswered::NoConnection("refused".to_owned())),
            took: Duration::ZERO,
        };
        members.into_iter().enumerate().map(one).collect()
    }

    fn alarm(kind: &str, id: u64) -> Vec<Told> {
        vec![Told::from(format!("memberID:{id} alarm:{kind} "))]
    }

    fn chosen(members: Vec<Option<Answered>>) -> usize {
        choose(&standings(members), &[]).unwrap().index
    }

    #[test]
    fn a_follower_that_has_everything_is_chosen_and_the_leader_if_none_has() {
        assert_eq!(chosen(vec![Some(member(1)), None, Some(member(2))]), 2);
        let late = Answered { raft_applied_index: RaftIndex::new(3000), ..member(2) };
        assert_eq!(chosen(vec![Some(late.clone()), Some(member(1))]), 1);
        let close = Answered { raft_applied_index: RaftIndex::new(4990), ..member(2) };
        let choice = choose(&standings(vec![Some(member(1)), Some(close)]), &[]).unwrap();
        assert_eq!(choice.why, "a follower, which spares the leader the work, 10 entries behind");
        assert!(choice.confirmable);
        // Of two that are far behind the one that is less so.
        let later =
            Answered { raft_applied_index: RaftIndex::new(2000), member: MemberId::new(3), ..late.clone() };
        let lost = Answered { leader: None, ..member(1) };
        assert_eq!(chosen(vec![Some(later), Some(late), Some(lost)]), 1);
    }

    #[test]
    fn a_learner_a_full_member_and_one_without_a_leader_come_after_the_others() {
        let learner = Answered { is_learner: true, ..member(2) };
        assert_eq!(chosen(vec![Some(learner.clone()), Some(member(1))]), 1);
        let choice = choose(&standings(vec![Some(learner)]), &[]).unwrap();
        assert!(!choice.confirmable && choice.why.starts_with("a learner"), "{choice:?}");
        let full = Answered { errors: alarm("NOSPACE", 2), ..member(2) };
        assert_eq!(chosen(vec![Some(full.clone()), Some(member(1))]), 1);
        assert!(choose(&standings(vec![Some(full)]), &[]).unwrap().why.contains("alarm NOSPACE"));
        let lost = Answered { leader: None, ..member(2) };
        assert_eq!(chosen(vec![Some(lost.clone()), Some(member(1))]), 1);
        assert!(!choose(&standings(vec![Some(lost)]), &[]).unwrap().confirmable);
    }

    #[test]
    fn a_member_that_is_said_to_be_corrupt_is_never_chosen_whoever_says_it() {
        let teller = Answered { errors: alarm("CORRUPT", 2), ..member(1) };
        assert_eq!(chosen(vec![Some(member(2)), Some(teller)]), 1);
        let alone = Answered { errors: alarm("CORRUPT", 2), ..member(2) };
        assert_eq!(choose(&standings(vec![Some(alone)]), &[]), Err(NoChoice::Corrupt));
    }

    #[test]
    fn one_that_failed_comes_last_and_is_tried_again() {
        let all = standings(vec![Some(member(1)), Some(member(2)), Some(member(3))]);
        assert_eq!(choose(&all, &[endpoint(1)]).unwrap().index, 2);
        assert_eq!(choose(&all, &[endpoint(1), endpoint(2)]).unwrap().index, 0);
        assert_eq!(choose(&all, &[endpoint(0), endpoint(1), endpoint(2)]).unwrap().index, 1);
    }

    #[test]
    fn members_of_two_clusters_are_refused_and_so_is_silence() {
        let other = Answered { cluster: ClusterId::new(8), ..member(2) };
        let error = choose(&standings(vec![Some(member(1)), Some(other)]), &[]).unwrap_err().to_string();
        assert!(error.contains("http://m0:1 is of cluster 0000000000000007"), "{error}");
        assert_eq!(choose(&standings(vec![None]), &[]), Err(NoChoice::Silent));
        assert_eq!(choose(&[], &[]), Err(NoChoice::Silent));
    }
}
