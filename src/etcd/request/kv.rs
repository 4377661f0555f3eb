//! Requests about keys: reads, writes, transactions, compactions (`api/etcdserverpb/rpc.proto`).

use std::ops::Deref;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message, Oneof};

/// The operation of a [`RequestOp`].
pub mod request_op {
    use super::{DeleteRangeRequest, NestedTxn, Oneof, PutRequest, RangeRequest};

    /// The operation.
    #[derive(Clone, PartialEq, Oneof)]
    pub enum Request {
        /// Read.
        #[prost(message, tag = "1")]
        Range(RangeRequest),
        /// Set a key.
        #[prost(message, tag = "2")]
        Put(PutRequest),
        /// Delete keys.
        #[prost(message, tag = "3")]
        DeleteRange(DeleteRangeRequest),
        /// A transaction inside.
        #[prost(message, tag = "4")]
        Txn(NestedTxn),
    }
}

/// What a [`Compare`] compares with.
pub mod compare {
    use super::Oneof;

    /// What to compare with.
    #[derive(Clone, PartialEq, Eq, Oneof)]
    pub enum TargetUnion {
        /// Writes since the key was created.
        #[prost(int64, tag = "4")]
        Version(i64),
        /// Revision of the first write.
        #[prost(int64, tag = "5")]
        CreateRevision(i64),
        /// Revision of the last write.
        #[prost(int64, tag = "6")]
        ModRevision(i64),
        /// The value.
        #[prost(bytes = "vec", tag = "7")]
        Value(Vec<u8>),
        /// The lease.
        #[prost(int64, tag = "8")]
        Lease(i64),
    }
}

/// `RangeRequest`: a read. etcd does not propose it alone, it occurs inside transactions.
#[derive(Clone, PartialEq, Message)]
pub struct RangeRequest {
    /// First key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// End of the range, exclusive; empty for one key, a zero byte for all that follow.
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// At most so many keys, 0 for all.
    #[prost(int64, tag = "3")]
    pub limit: i64,
    /// At this revision, 0 for the newest.
    #[prost(int64, tag = "4")]
    pub revision: i64,
    /// 0 none, 1 ascending, 2 descending.
    #[prost(int32, tag = "5")]
    pub sort_order: i32,
    /// 0 key, 1 version, 2 create revision, 3 mod revision, 4 value.
    #[prost(int32, tag = "6")]
    pub sort_target: i32,
    /// Answer without quorum.
    #[prost(bool, tag = "7")]
    pub serializable: bool,
    /// No values.
    #[prost(bool, tag = "8")]
    pub keys_only: bool,
    /// Only the number of keys.
    #[prost(bool, tag = "9")]
    pub count_only: bool,
    /// Filter.
    #[prost(int64, tag = "10")]
    pub min_mod_revision: i64,
    /// Filter.
    #[prost(int64, tag = "11")]
    pub max_mod_revision: i64,
    /// Filter.
    #[prost(int64, tag = "12")]
    pub min_create_revision: i64,
    /// Filter.
    #[prost(int64, tag = "13")]
    pub max_create_revision: i64,
}

/// `PutRequest`: set a key.
#[derive(Clone, PartialEq, Message)]
pub struct PutRequest {
    /// The key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// The value.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
    /// The lease it hangs on, 0 for none.
    #[prost(int64, tag = "3")]
    pub lease: i64,
    /// Answer with the value before.
    #[prost(bool, tag = "4")]
    pub prev_kv: bool,
    /// Keep the value.
    #[prost(bool, tag = "5")]
    pub ignore_value: bool,
    /// Keep the lease.
    #[prost(bool, tag = "6")]
    pub ignore_lease: bool,
}

/// `DeleteRangeRequest`: delete a key or a range.
#[derive(Clone, PartialEq, Message)]
pub struct DeleteRangeRequest {
    /// First key.
    #[prost(bytes = "vec", tag = "1")]
    pub key: Vec<u8>,
    /// End of the range, exclusive; as in [`RangeRequest`].
    #[prost(bytes = "vec", tag = "2")]
    pub range_end: Vec<u8>,
    /// Answer with the values before.
    #[prost(bool, tag = "3")]
    pub prev_kv: bool,
}

/// `RequestOp`: one operation of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct RequestOp {
    /// The operation.
    #[prost(oneof = "request_op::Request", tags = "1, 2, 3, 4")]
    pub request: Option<request_op::Request>,
}

/// `TxnRequest`: compare, then do one list or the other.
#[derive(Clone, PartialEq, Message)]
pub struct TxnRequest {
    /// All must hold.
    #[prost(message, repeated, tag = "1")]
    pub compare: Vec<Compare>,
    /// Done if they do.
    #[prost(message, repeated, tag = "2")]
    pub success: Vec<RequestOp>,
    /// Done if they do not.
    #[prost(message, repeated, tag = "3")]
    pub failure: Vec<RequestOp>,
}

/// `Compare`: one condition of a transaction.
#[derive(Clone, PartialEq, Message)]
pub struct Compare {
    /// 0 equal, 1 greater, 2 less, 3 not equal.
    #[prost(int32, tag = "1")]
    pub result: i32,
    /// 0 version, 1 create revision, 2 mod revision, 3 value, 4 lease.
    #[prost(int32, tag = "2")]
    pub target: i32,
    /// The key.
    #[prost(bytes = "vec", tag = "3")]
    pub key: Vec<u8>,
    /// What to compare with.
    #[prost(oneof = "compare::TargetUnion", tags = "4, 5, 6, 7, 8")]
    pub target_union: Option<compare::TargetUnion>,
    /// End of the range, exclusive.
    #[prost(bytes = "vec", tag = "64")]
    pub range_end: Vec<u8>,
}

/// `CompactionRequest`: forget old revisions.
#[derive(Clone, PartialEq, Message)]
pub struct CompactionRequest {
    /// Everything replaced or deleted up to here.
    #[prost(int64, tag = "1")]
    pub revision: i64,
    /// Answer after the space is free.
    #[prost(bool, tag = "2")]
    pub physical: bool,
}

/// A transaction that is an operation of another. prost decodes a hundred messages one inside the other; here each
/// transaction counts anew.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NestedTxn(pub TxnRequest);

impl From<TxnRequest> for NestedTxn {
    fn from(txn: TxnRequest) -> NestedTxn {
        NestedTxn(txn)
    }
}

impl Deref for NestedTxn {
    type Target = TxnRequest;

    fn deref(&self) -> &TxnRequest {
        &self.0
    }
}

impl Message for NestedTxn {
    fn encode_raw(&self, buf: &mut impl BufMut) {
        self.0.encode_raw(buf);
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buf: &mut impl Buf,
        _: DecodeContext,
    ) -> Result<(), DecodeError> {
        self.0.merge_field(tag, wire_type, buf, DecodeContext::default())
    }

    fn encoded_len(&self) -> usize {
        self.0.encoded_len()
    }

    fn clear(&mut self) {
        self.0.clear();
    }
}
