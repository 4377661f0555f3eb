//! How deep transactions nest. etcd takes them however deep that is; here it is looked at before anything is decoded,
//! level by level, so that no depth costs more stack than there is.

use crate::codec::wire::{WireValue, fields};

/// How deep transactions may nest.
pub const MOST_NESTED: usize = 400;

/// How deep messages nest then: an operation and a transaction each time, and what is in the last of them.
pub(super) const MOST_MESSAGES: usize = 2 * MOST_NESTED + 4;

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
