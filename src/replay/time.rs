//! The time of entries of a log, which do not have one themselves: as the Kubernetes objects tell that they put.
//!
//! An entry was made after every time that is in the object it puts, and mostly at once. Of all these times the most
//! that rise with the log are believed: a clock that is ahead, and an old time in an object that is written again,
//! fall out. What is before a moment is what is not after the last of them that is not after it; of the entries
//! between that one and the next nobody knows.

use jiff::{SignedDuration, Timestamp};
use serde::{Serialize, Serializer};

use super::rising::{TOLERATED, Timed, rising};
use crate::codec::to_u64;
use crate::etcd::request::{
    Compare, PutRequest, Request, TxnRequest, compare::TargetUnion, decode, request_op,
};
use crate::raft::{EntryType, EntryView};
use crate::words::error::{At, Result};
use crate::words::finding::{Code, Finding};
use crate::words::ids::RaftIndex;
use crate::words::refusal::Refusal;

/// Where a log was cut to be of before a moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TimeReport {
    /// The moment that was asked for.
    #[serde(serialize_with = "text")]
    pub to: Timestamp,
    /// The last entry that is known to be not after it: the last that was applied.
    pub last: Moment,
    /// The first entry that is known to be after it.
    pub next: Option<Moment>,
    /// Entries between the two, or up to the end of the log: they may be of before or after, and were left out.
    pub between: u64,
    /// Entries that tell a time.
    pub evidence: u64,
    /// How many of these are ahead of later ones.
    pub ahead: u64,
}

/// An entry that tells a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Moment {
    /// It was made then or later.
    #[serde(serialize_with = "text")]
    pub time: Timestamp,
    /// Its raft index.
    pub index: RaftIndex,
    /// The revision after it; `None` if it cannot be applied.
    pub revision: Option<i64>,
    /// The key whose value tells, escaped.
    pub key: String,
}

fn text<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// When a value that is put was written at the earliest, as far as it tells; the flag says that the key is new.
pub type Clock = fn(&[u8], bool) -> Option<Timestamp>;

/// The times that the entries of a log tell.
#[derive(Debug, Default)]
pub(crate) struct EntryTimes(Vec<Timed>);

/// Where to cut a log for a moment's sake.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CutPoint {
    pub last: Timed,
    pub next: Option<Timed>,
    pub evidence: u64,
    pub ahead: Option<Ahead>,
}

/// Times that cannot be: a later entry tells an earlier one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead {
    pub count: u64,
    /// The one that is furthest off, and the later one.
    worst: Timed,
    later: Timed,
}

impl Ahead {
    fn by(&self) -> SignedDuration {
        self.worst.time.duration_since(self.later.time)
    }

    pub fn finding(&self, file: &str, evidence: u64) -> Finding {
        let Ahead { count, worst, later } = self;
        let by = SignedDuration::from_secs(self.by().as_secs());
        let what = format!(
            "{count} of {evidence} times in the log are ahead of later ones, this one by {by:#}: it tells {}, entry {} tells {}; they are passed over",
            worst.time, later.at, later.time
        );
        Finding::new(Code::ReplayTime, file, At::default().index(worst.at), what)
    }
}

impl EntryTimes {
    /// Takes in an entry; they come in order.
    pub fn add(&mut self, entry: &EntryView<'_>, clock: Clock) {
        if let Some((time, _)) = time_of(entry, clock) {
            self.0.push(Timed { at: entry.index.get(), time });
        }
    }

    /// Finds the last entry up to `limit` that is not after `to`. `from` is where the database ends.
    pub fn cut(&self, to: Timestamp, from: u64, limit: u64) -> Result<CutPoint> {
        let chain = rising(&self.0, false);
        let Some(first) = chain.first() else {
            return Err(Refusal::NoTime { from: from.into() }.into());
        };
        let before = chain.partition_point(|timed| timed.time <= to && timed.at <= limit);
        let Some(last) = before.checked_sub(1).and_then(|at| chain.get(at)) else {
            let (from, first, index) = (from.into(), first.time, first.at.into());
            return Err(Refusal::BeginsLater { from, first, index, asked: to }.into());
        };
        let next = chain.iter().find(|timed| timed.time > to).copied();
        Ok(CutPoint { last: *last, next, evidence: to_u64(self.0.len()), ahead: self.ahead(&chain) })
    }

    /// Those that are ahead of a later one that is believed.
    fn ahead(&self, chain: &[Timed]) -> Option<Ahead> {
        let mut found: Option<Ahead> = None;
        for timed in &self.0 {
            let Some(later) = chain.get(chain.partition_point(|believed| believed.at <= timed.at)) else {
                break;
            };
            let one = Ahead { count: 1, worst: *timed, later: *later };
            if one.by() <= TOLERATED {
                continue;
            }
            found = Some(match found {
                Some(most) if most.by() >= one.by() => Ahead { count: most.count.saturating_add(1), ..most },
                Some(less) => Ahead { count: less.count.saturating_add(1), ..one },
                None => one,
            });
        }
        found
    }
}

/// The newest time in the objects that an entry puts, and the key.
pub(crate) fn time_of(entry: &EntryView<'_>, clock: Clock) -> Option<(Timestamp, Vec<u8>)> {
    if entry.entry_type() != Some(EntryType::Normal) {
        return None;
    }
    let Request::V3(request) = decode(entry.bytes()) else { return None };
    let mut newest = None;
    if let Some(put) = &request.put {
        take(put, false, clock, &mut newest);
    }
    if let Some(txn) = &request.txn {
        in_txn(txn, clock, &mut newest);
    }
    newest.map(|(time, key)| (time, key.to_vec()))
}

fn take<'r>(put: &'r PutRequest, new: bool, clock: Clock, newest: &mut Option<(Timestamp, &'r [u8])>) {
    if let Some(time) = clock(&put.value, new)
        && newest.is_none_or(|(newest, _)| time > newest)
    {
        *newest = Some((time, &put.key));
    }
}

fn in_txn<'r>(txn: &'r TxnRequest, clock: Clock, newest: &mut Option<(Timestamp, &'r [u8])>) {
    let branches = txn.success.iter().map(|op| (op, true)).chain(txn.failure.iter().map(|op| (op, false)));
    for (op, holds) in branches {
        match &op.request {
            // Kubernetes makes an object on the condition that there is none.
            Some(request_op::Request::Put(put)) => {
                let new =
                    holds && txn.compare.iter().any(|compare| compare.key == put.key && is_none(compare));
                take(put, new, clock, newest);
            }
            Some(request_op::Request::Txn(inner)) => in_txn(inner, clock, newest),
            _ => {}
        }
    }
}

/// Whether a comparison holds only for a key that is not there.
pub(crate) fn is_none(compare: &Compare) -> bool {
    let zero = match compare.target_union {
        Some(TargetUnion::Version(n) | TargetUnion::CreateRevision(n) | TargetUnion::ModRevision(n)) => {
            n == 0
        }
        None => true,
        Some(TargetUnion::Value(_) | TargetUnion::Lease(_)) => false,
    };
    zero && compare.result == 0 && matches!(compare.target, 0..=2)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::hint::Hint;

    /// Entries 11, 12 and so on tell these seconds.
    fn times(seconds: &[i64]) -> EntryTimes {
        let timed =
            |(index, second): (u64, &i64)| Timed { at: index, time: Timestamp::new(*second, 0).unwrap() };
        EntryTimes((11..).zip(seconds).map(timed).collect())
    }

    fn cut(seconds: &[i64], to: i64) -> (u64, Option<u64>) {
        let cut = times(seconds).cut(Timestamp::new(to, 0).unwrap(), 10, u64::MAX).unwrap();
        (cut.last.at, cut.next.map(|next| next.at))
    }

    #[test]
    fn the_cut_is_after_the_last_time_that_is_not_past_the_moment() {
        let seconds = [100, 200, 300, 400];
        assert_eq!(cut(&seconds, 100), (11, Some(12)));
        assert_eq!(cut(&seconds, 299), (12, Some(13)));
        assert_eq!(cut(&seconds, 300), (13, Some(14)));
        assert_eq!(cut(&seconds, 900), (14, None));
        let before = times(&seconds).cut(Timestamp::new(99, 0).unwrap(), 10, u64::MAX).unwrap_err();
        assert_eq!(before.hint(), Some(Hint::OlderBaseOrEndElsewhere), "{before}");
        let none = times(&[]).cut(Timestamp::new(99, 0).unwrap(), 10, u64::MAX).unwrap_err();
        assert!(none.to_string().contains("tells a time"), "{none}");
        assert_eq!(none.hint(), Some(Hint::EndElsewhere));
        // What is not known to be committed is no place to stop at.
        assert_eq!(times(&seconds).cut(Timestamp::new(900, 0).unwrap(), 10, 13).unwrap().last.at, 13);
    }

    #[test]
    fn old_times_of_objects_that_are_written_again_are_passed_over() {
        let seconds = [100, 7, 200, 7, 7, 300, 150, 400];
        assert_eq!((cut(&seconds, 250), cut(&seconds, 350)), ((13, Some(16)), (16, Some(18))));
        // Where two chains are as long, the one that tells more.
        assert_eq!((cut(&[100, 7, 200], 150), cut(&[100, 100, 200], 150)), ((11, Some(13)), (12, Some(13))));
        assert_eq!(times(&seconds).cut(Timestamp::new(400, 0).unwrap(), 10, u64::MAX).unwrap().ahead, None);
    }

    #[test]
    fn a_clock_that_is_ahead_is_passed_over_and_told() {
        // One of three is an hour ahead, another half a second behind.
        let seconds = [100, 110, 3700, 120, 130, 3730, 140, 150, 3750, 160];
        assert_eq!((cut(&seconds, 125), cut(&seconds, 3600)), ((14, Some(15)), (20, None)));
        let cut = times(&seconds).cut(Timestamp::new(125, 0).unwrap(), 10, u64::MAX).unwrap();
        let ahead = cut.ahead.unwrap();
        assert_eq!((ahead.count, ahead.worst.at, ahead.later.at), (3, 16, 17));
        let finding = ahead.finding("wal", cut.evidence).to_string();
        assert!(
            finding.contains(
                "raft index 16: 3 of 10 times in the log are ahead of later ones, this one by 59m 50s"
            ),
            "{finding}"
        );
        // Clocks that differ by less than five seconds are not worth a word.
        assert_eq!(
            times(&[100, 103, 101, 104]).cut(Timestamp::new(102, 0).unwrap(), 10, u64::MAX).unwrap().ahead,
            None
        );
    }

    #[test]
    fn a_creation_is_of_now_only_if_the_object_is_new() {
        let put = PutRequest { key: b"/registry/pods/a/b".to_vec(), ..PutRequest::default() };
        let op = request_op::Request::Put(put.clone());
        let compare = |revision| Compare {
            result: 0,
            target: 2,
            key: put.key.clone(),
            target_union: Some(TargetUnion::ModRevision(revision)),
            range_end: Vec::new(),
        };
        let time = |compare: Vec<Compare>| {
            let success = vec![crate::etcd::request::RequestOp { request: Some(op.clone()) }];
            let txn = TxnRequest { compare, success, failure: Vec::new() };
            let request = crate::etcd::request::InternalRaftRequest { txn: Some(txn), ..Default::default() };
            let data = prost::Message::encode_to_vec(&request);
            let created = |_: &[u8], new: bool| new.then(|| Timestamp::new(7, 0).unwrap());
            time_of(&EntryView { kind: 0, term: 1.into(), index: 1.into(), data: Some(&data) }, created)
                .map(|(time, key)| (time.to_string(), key))
        };
        assert_eq!(time(vec![compare(0)]), Some(("1970-01-01T00:00:07Z".to_owned(), put.key.clone())));
        assert_eq!((time(vec![compare(5)]), time(Vec::new())), (None, None));
    }
}
