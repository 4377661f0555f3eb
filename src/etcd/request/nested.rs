//! A transaction in a transaction. etcd takes them however deep they nest; prost decodes a hundred messages one inside
//! the other. Here each transaction counts anew, and how deep they nest is looked at before anything is decoded, level
//! by level, so that no depth costs more stack than there is.

use std::ops::Deref;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType};
use prost::{DecodeError, Message};

use super::TxnRequest;
use crate::codec::wire::{WireValue, fields};

/// How deep transactions may nest.
pub const MOST_NESTED: usize = 400;

/// A transaction that is an operation of another.
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

/// Whether the transactions in an `InternalRaftRequest` nest deeper than is decoded here.
pub(super) fn too_deep(request: &[u8]) -> bool {
    let mut level = in_fields(&[request], &[6]);
    for _ in 0..MOST_NESTED {
        if level.is_empty() {
            return false;
        }
        level = in_fields(&in_fields(&level, &[2, 3]), &[4]);
    }
    !level.is_empty()
}

/// The messages in these fields of messages.
fn in_fields<'a>(messages: &[&'a [u8]], wanted: &[u32]) -> Vec<&'a [u8]> {
    let all = messages.iter().flat_map(|message| fields(message).map_while(Result::ok));
    all.filter_map(|(number, value)| match value {
        WireValue::Bytes(bytes) if wanted.contains(&number) => Some(bytes),
        _ => None,
    })
    .collect()
}
