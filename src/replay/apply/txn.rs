//! Requests for keys: puts, deletions, transactions.
//!
//! A transaction's comparisons, the nested ones too, are made on the state before it; then everything on the path
//! that they choose is checked, and one fault refuses all of it; then it is done, in order, at one main revision.
//! Source: `server/etcdserver/txn/txn.go`, `server/etcdserver/apply/apply_auth.go` @ v3.6; `etcdserver/apply.go` @
//! v3.4.

use crate::etcd::request::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, compare, request_op,
};
use crate::replay::apply::auth::{self, Need, Who};
use crate::replay::apply::interest::End;
use crate::replay::apply::keyspace::Live;
use crate::replay::apply::version::Holds;
use crate::replay::apply::{Done, Replayer, Replied};
use crate::words::error::Corrupt;
use crate::words::ids::LeaseId;

type Checked = Result<Result<(), &'static str>, Box<Corrupt>>;

const DENIED: &str = "permission denied";

/// For what a permission is asked; it became more over time.
#[derive(Debug, Clone, Copy)]
struct Asked {
    /// Operations of nested transactions.
    nested: bool,
    /// The lease and the value before of puts.
    puts: bool,
    /// Reads of the outermost transaction; where they are passed over, nothing is asked for them either.
    reads: bool,
}

impl Asked {
    fn all() -> Asked {
        Asked { nested: true, puts: true, reads: true }
    }
}

/// The operations that the comparisons choose, in order, nested ones in place of their transaction.
struct Path<'t> {
    ops: Vec<Op<'t>>,
}

#[derive(Clone, Copy)]
enum Op<'t> {
    Put(&'t PutRequest),
    Delete(&'t DeleteRangeRequest),
    /// A read, and whether it stands in the outermost transaction.
    Range(&'t RangeRequest, bool),
}

/// Whether all operations of a transaction read: then it writes nothing, whatever they are (`IsTxnReadonly`).
fn only_reads(txn: &TxnRequest) -> bool {
    txn.success.iter().chain(&txn.failure).all(|op| matches!(op.request, Some(request_op::Request::Range(_))))
}

/// Whether a branch of a transaction has a put, on its own level or, if `nested`, on any (`costTxn`).
fn has_put(txn: &TxnRequest, nested: bool) -> bool {
    txn.success.iter().chain(&txn.failure).any(|op| match &op.request {
        Some(request_op::Request::Put(_)) => true,
        Some(request_op::Request::Txn(inner)) => nested && has_put(inner, true),
        _ => false,
    })
}

impl Replayer<'_, '_> {
    pub(super) fn put(&mut self, who: &Who, r: &PutRequest) -> Replied {
        if self.chain.capped {
            return Ok(Done::Rejected("no space"));
        }
        self.doubt_lease(who, r.lease);
        if self.chain.auth && !self.may_put(who, r, Asked::all()) {
            return Ok(Done::Rejected(DENIED));
        }
        if let Err(why) = self.check_put(r) {
            return Ok(Done::Rejected(why));
        }
        self.do_put(r)?;
        Ok(self.end())
    }

    pub(super) fn delete_range(&mut self, who: &Who, r: &DeleteRangeRequest) -> Replied {
        if self.chain.auth && !self.may_delete(who, r) {
            return Ok(Done::Rejected(DENIED));
        }
        self.keys.delete(&r.key, End::of(&r.range_end));
        Ok(self.end())
    }

    pub(super) fn txn(&mut self, who: &Who, r: &TxnRequest) -> Replied {
        if self.chain.capped && self.costs(r) {
            return Ok(Done::Rejected("no space"));
        }
        if self.chain.auth && !self.is_permitted(who, r) {
            return Ok(Done::Rejected(DENIED));
        }
        let mut path = Path { ops: Vec::new() };
        self.choose(r, true, &mut path)?;
        if let Err(why) = self.check(&path)? {
            return Ok(Done::Rejected(why));
        }
        if only_reads(r) {
            return Ok(Done::Nothing);
        }
        for op in path.ops {
            match op {
                Op::Put(put) => self.do_put(put)?,
                Op::Delete(delete) => self.keys.delete(&delete.key, End::of(&delete.range_end)),
                Op::Range(..) => {}
            }
        }
        Ok(self.end())
    }

    fn end(&mut self) -> Done {
        if self.keys.end() { Done::Applied } else { Done::Nothing }
    }

    /// Whether a transaction wants space, when there is none.
    fn costs(&mut self, r: &TxnRequest) -> bool {
        if has_put(r, false) {
            return true;
        }
        has_put(r, true)
            && match self.version.nested_puts_cost() {
                Holds::Yes => true,
                Holds::No => false,
                Holds::Since(patch) => {
                    self.depends(
                        patch,
                        "refuses a transaction for the puts in its inner ones when the space is used up, and older ones do not",
                    );
                    true
                }
            }
    }

    fn check_put(&self, r: &PutRequest) -> Result<(), &'static str> {
        if (r.ignore_value || r.ignore_lease) && self.keys.get(&r.key).is_none() {
            return Err("the key does not exist");
        }
        if r.lease != 0 && !self.leases.contains(&r.lease) {
            return Err("the lease does not exist");
        }
        Ok(())
    }

    fn do_put(&mut self, r: &PutRequest) -> Result<(), Box<Corrupt>> {
        let before = self.keys.get(&r.key);
        let gone = || "a put keeps what its key had, but the key is deleted before it in the same transaction: etcd panics";
        let (mut lease, mut kept) = (r.lease, None);
        if r.ignore_value || r.ignore_lease {
            let before = before.ok_or_else(|| self.refuse(gone()))?;
            if r.ignore_lease {
                lease = before.lease;
            }
            if r.ignore_value {
                kept = Some(self.keys.value(before)?);
            }
        }
        if lease != 0 && !self.leases.contains(&lease) {
            return Err(self.refuse(format!(
                "a put keeps lease {} of its key, and there is no such lease: etcd panics",
                LeaseId::new(lease)
            )));
        }
        self.keys.put(&r.key, kept.as_deref().unwrap_or(&r.value), lease);
        Ok(())
    }

    /// Makes the comparisons and follows them (`compareToPath`).
    fn choose<'t>(
        &self,
        txn: &'t TxnRequest,
        outermost: bool,
        path: &mut Path<'t>,
    ) -> Result<(), Box<Corrupt>> {
        let mut holds = true;
        for compare in &txn.compare {
            if !self.compare(compare)? {
                holds = false;
                break;
            }
        }
        for RequestOp { request } in if holds { &txn.success } else { &txn.failure } {
            match request {
                Some(request_op::Request::Put(put)) => path.ops.push(Op::Put(put)),
                Some(request_op::Request::DeleteRange(delete)) => path.ops.push(Op::Delete(delete)),
                Some(request_op::Request::Range(range)) => path.ops.push(Op::Range(range, outermost)),
                Some(request_op::Request::Txn(inner)) => self.choose(inner, false, path)?,
                None => {}
            }
        }
        Ok(())
    }

    fn compare(&self, c: &Compare) -> Result<bool, Box<Corrupt>> {
        let mut any = false;
        for (_, live) in self.keys.range(&c.key, End::of(&c.range_end)) {
            any = true;
            if !self.compare_key(c, Some(live))? {
                return Ok(false);
            }
        }
        // There is no way to ask for a value that is not there.
        if any {
            Ok(true)
        } else if c.target == 3 {
            Ok(false)
        } else {
            self.compare_key(c, None)
        }
    }

    fn compare_key(&self, c: &Compare, live: Option<Live>) -> Result<bool, Box<Corrupt>> {
        use compare::TargetUnion::{CreateRevision, Lease, ModRevision, Value, Version};
        let number = |of: fn(&Live) -> i64| live.as_ref().map_or(0, of);
        let order = match (c.target, &c.target_union) {
            (0, Some(Version(due))) => number(|live| live.version).cmp(due),
            (0, _) => number(|live| live.version).cmp(&0),
            (1, Some(CreateRevision(due))) => number(|live| live.create).cmp(due),
            (1, _) => number(|live| live.create).cmp(&0),
            (2, Some(ModRevision(due))) => number(|live| live.modified.main).cmp(due),
            (2, _) => number(|live| live.modified.main).cmp(&0),
            (3, due) => {
                let value = live.map(|live| self.keys.value(live)).transpose()?.unwrap_or_default();
                value.as_slice().cmp(if let Some(Value(due)) = due { due.as_slice() } else { &[] })
            }
            (4, Some(Lease(due))) => number(|live| live.lease).cmp(due),
            (4, _) => number(|live| live.lease).cmp(&0),
            _ => std::cmp::Ordering::Equal,
        };
        Ok(match c.result {
            0 => order.is_eq(),
            1 => order.is_gt(),
            2 => order.is_lt(),
            3 => order.is_ne(),
            _ => true,
        })
    }

    /// Checks everything on the path before anything is done.
    fn check(&self, path: &Path<'_>) -> Checked {
        for op in &path.ops {
            let checked = match op {
                Op::Put(put) => self.check_put(put),
                Op::Range(_, true) if self.version.reads_are_passed_over() => Ok(()),
                Op::Range(range, _) if range.revision > self.keys.current => {
                    Err("a read of a revision to come")
                }
                Op::Range(range, _) if range.revision != 0 && range.revision < self.keys.compact => {
                    Err("a read of a compacted revision")
                }
                Op::Range(..) | Op::Delete(_) => Ok(()),
            };
            if checked.is_err() {
                return Ok(checked);
            }
        }
        Ok(Ok(()))
    }

    /// Whether a transaction is permitted, by the version's rules.
    fn is_permitted(&mut self, who: &Who, r: &TxnRequest) -> bool {
        let (nested, puts) = (
            self.version.nested_operations_are_checked(),
            self.version.puts_in_transactions_are_checked_as_alone(),
        );
        let reads = !self.version.reads_are_passed_over();
        let newest = self.may_txn(who, r, Asked { nested: nested.newest(), puts: puts.newest(), reads });
        // What an older patch would have answered.
        if let Holds::Since(patch) = puts
            && newest != self.may_txn(who, r, Asked { nested: false, puts: false, reads })
        {
            self.depends(patch, "asks for all permissions of a transaction's puts and inner transactions, and older ones do not");
        }
        newest
    }

    fn may_put(&self, who: &Who, r: &PutRequest, asked: Asked) -> bool {
        self.may(who, &r.key, &[], Need::Write)
            && (!asked.puts
                || r.lease == 0
                || !self.leases.contains(&r.lease)
                || self.may_lease(who, r.lease))
            && (!asked.puts || !r.prev_kv || self.may(who, &r.key, &[], Need::Read))
    }

    fn may_delete(&self, who: &Who, r: &DeleteRangeRequest) -> bool {
        self.may(who, &r.key, &r.range_end, Need::Write)
            && (!r.prev_kv || self.may(who, &r.key, &r.range_end, Need::Read))
    }

    fn may_txn(&self, who: &Who, r: &TxnRequest, asked: Asked) -> bool {
        r.compare.iter().all(|c| self.may(who, &c.key, &c.range_end, Need::Read))
            && r.success.iter().chain(&r.failure).all(|op| match &op.request {
                Some(request_op::Request::Range(range)) => {
                    !asked.reads || self.may(who, &range.key, &range.range_end, Need::Read)
                }
                Some(request_op::Request::Put(put)) => self.may_put(who, put, asked),
                Some(request_op::Request::DeleteRange(delete)) => self.may_delete(who, delete),
                Some(request_op::Request::Txn(inner)) => {
                    !asked.nested || self.may_txn(who, inner, Asked { reads: true, ..asked })
                }
                None => true,
            })
    }

    /// Whether whoever asks may write every key of a lease.
    pub(super) fn may_lease(&self, who: &Who, lease: i64) -> bool {
        (self.version.root_owns_leases().newest() && auth::is_admin(&self.buckets, who))
            || self.keys.of_lease(lease).all(|key| self.may(who, key, &[], Need::Write))
    }

    /// Tells when it depends on the patch version whether root, whose login is older than the last change to users,
    /// may have a lease's keys.
    pub(super) fn doubt_lease(&mut self, who: &Who, lease: i64) {
        let Holds::Since(patch) = self.version.root_owns_leases() else { return };
        if self.chain.auth
            && auth::is_admin(&self.buckets, who)
            && !self.keys.of_lease(lease).all(|key| self.may(who, key, &[], Need::Write))
        {
            self.depends(patch, "lets root have a lease although its login is older than the last change to users, and older ones do not");
        }
    }

    fn may(&self, who: &Who, key: &[u8], range_end: &[u8], need: Need) -> bool {
        auth::permits(&self.buckets, who, key, range_end, need)
    }
}
