//! Which keys and leases a stretch of log can touch or ask for: all that must be known of the database before it is
//! applied.

use std::collections::BTreeSet;

use crate::etcd::request::{InternalRaftRequest, Request, TxnRequest, decode_nested, request_op, with_room};

/// Where a range ends. Requests say it in bytes: none for one key, a zero byte for no end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'r> {
    /// It is one key.
    OneKey,
    /// It has no end.
    Open,
    /// Before this key.
    Before(&'r [u8]),
}

impl<'r> End<'r> {
    /// As a request says it (`mkGteRange`).
    #[must_use]
    pub fn of(range_end: &'r [u8]) -> End<'r> {
        match range_end {
            [] => End::OneKey,
            [0] => End::Open,
            end => End::Before(end),
        }
    }
}

/// Keys, ranges of keys, and leases.
#[derive(Debug, Clone, Default)]
pub struct Interest {
    keys: BTreeSet<Vec<u8>>,
    /// Beginnings and ends; after [`Interest::close`] in order and apart.
    ranges: Vec<(Vec<u8>, Option<Vec<u8>>)>,
    leases: BTreeSet<i64>,
}

impl Interest {
    /// Takes in what the data of a normal entry names.
    pub fn add(&mut self, data: &[u8]) {
        with_room(data, |most| {
            if let Request::V3(request) = decode_nested(data, most) {
                self.request(&request);
            }
        });
    }

    fn request(&mut self, request: &InternalRaftRequest) {
        if let Some(put) = &request.put {
            self.put(&put.key, put.lease);
        }
        if let Some(delete) = &request.delete_range {
            self.range(&delete.key, &delete.range_end);
        }
        if let Some(txn) = &request.txn {
            self.txn(txn);
        }
        if let Some(revoke) = &request.lease_revoke {
            self.leases.insert(revoke.id);
        }
    }

    fn txn(&mut self, txn: &TxnRequest) {
        for compare in &txn.compare {
            self.range(&compare.key, &compare.range_end);
        }
        for op in txn.success.iter().chain(&txn.failure) {
            match &op.request {
                Some(request_op::Request::Put(put)) => self.put(&put.key, put.lease),
                Some(request_op::Request::DeleteRange(delete)) => self.range(&delete.key, &delete.range_end),
                Some(request_op::Request::Txn(inner)) => self.txn(inner),
                Some(request_op::Request::Range(_)) | None => {}
            }
        }
    }

    fn put(&mut self, key: &[u8], lease: i64) {
        self.keys.insert(key.to_vec());
        self.leases.insert(lease);
    }

    fn range(&mut self, key: &[u8], range_end: &[u8]) {
        match End::of(range_end) {
            End::OneKey => {
                self.keys.insert(key.to_vec());
            }
            End::Open => self.ranges.push((key.to_vec(), None)),
            End::Before(end) if key < end => self.ranges.push((key.to_vec(), Some(end.to_vec()))),
            End::Before(_) => {}
        }
    }

    /// Brings the ranges in order; before anything is asked.
    pub fn close(&mut self) {
        let mut all = std::mem::take(&mut self.ranges);
        // No end comes after every end.
        all.sort_by(|a, b| a.0.cmp(&b.0).then_with(|| (a.1.is_none(), &a.1).cmp(&(b.1.is_none(), &b.1))));
        for (begin, end) in all {
            match self.ranges.last_mut() {
                Some((_, None)) => {}
                Some((_, Some(last))) if *last >= begin => {
                    if end.as_ref().is_none_or(|end| end > last) {
                        self.ranges.last_mut().into_iter().for_each(|range| range.1.clone_from(&end));
                    }
                }
                _ => self.ranges.push((begin, end)),
            }
        }
        self.leases.remove(&0);
    }

    /// Whether a key that hangs on this lease is wanted.
    #[must_use]
    pub fn wants(&self, key: &[u8], lease: i64) -> bool {
        if self.keys.contains(key) || (lease != 0 && self.leases.contains(&lease)) {
            return true;
        }
        let after = self.ranges.partition_point(|(begin, _)| begin.as_slice() <= key);
        let range = after.checked_sub(1).and_then(|at| self.ranges.get(at));
        range.is_some_and(|(_, end)| end.as_ref().is_none_or(|end| key < end.as_slice()))
    }

    /// Whether nothing is wanted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.ranges.is_empty() && self.leases.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    proptest::proptest! {
        #[test]
        fn a_key_is_wanted_if_a_range_holds_it(
            ranges in proptest::collection::vec(("[a-d]{1,2}", proptest::option::of("[a-d]{1,2}")), 0..8),
            key in "[a-d]{1,3}",
        ) {
            let mut interest = Interest::default();
            for (begin, end) in &ranges {
                interest.range(begin.as_bytes(), end.as_ref().map_or(&b"\0"[..], |end| end.as_bytes()));
            }
            interest.close();
            let before = |end: &Option<String>| end.as_ref().is_none_or(|end| key < *end);
            let due = ranges.iter().any(|(begin, end)| *begin <= key && before(end));
            proptest::prop_assert_eq!(interest.wants(key.as_bytes(), 0), due);
        }
    }
}
