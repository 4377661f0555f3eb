//! How deep transactions nest. It is looked at before anything is decoded, level by level, so that no depth costs more
//! stack than there is.
//!
//! An etcd takes no request whose levels have more operations in sum than its `--max-txn-ops`, 128 if nothing else is
//! said: then none is deeper than that (`checkTxnRequest`, `v3rpc/key.go`). Where it is told to take more, it takes
//! what a client sends, and starts again on a log with it: 3.4 to 3.6 as deep as their stack is (9,990 levels were
//! tried), 3.7 to a depth at which its decoder gives up, and it panics.

use crate::codec::wire::{WireValue, fields};
use crate::io::parallel;

/// How deep transactions may nest on a stack of the usual size.
pub const MOST_NESTED: usize = 400;

/// How deep they may nest in a log that is applied.
pub const MOST_APPLIED: usize = 10_000;

/// A stack for that: without optimization it takes between a quarter and a half of it.
const STACK: usize = 64 << 20;

/// How deep messages nest then: an operation and a transaction each time, and what is in the last of them.
pub(super) const MOST_MESSAGES: usize = 2 * MOST_NESTED + 4;

/// Does `work` with a request where there is stack enough for it, and tells it how deep its transactions may be.
pub(crate) fn with_room<R: Send>(request: &[u8], mut work: impl FnMut(usize) -> R + Send) -> R {
    if !nest_deeper(request, MOST_NESTED) {
        return work(MOST_NESTED);
    }
    if nest_deeper(request, MOST_APPLIED) {
        // Refused before it is decoded.
        return work(MOST_APPLIED);
    }
    parallel::roomy(STACK, || work(MOST_APPLIED)).unwrap_or_else(|| work(MOST_NESTED))
}

/// Whether the transactions in an `InternalRaftRequest` nest deeper than that.
pub(crate) fn nest_deeper(request: &[u8], than: usize) -> bool {
    !transactions(request, than.saturating_add(1)).is_empty()
}

/// Whether its messages nest deeper than 3.7 decodes them, which are 10,000 (`protowire.DefaultRecursionLimit`): it is
/// one, each transaction and each operation are, and what is in the last of them.
pub(crate) fn too_deep_for_3_7(request: &[u8]) -> bool {
    !in_fields(&transactions(request, 5_000), &[1, 2, 3]).is_empty()
}

/// The transactions that are so many deep; the outermost is one.
fn transactions(request: &[u8], deep: usize) -> Vec<&[u8]> {
    let mut level = in_fields(&[request], &[6]);
    for _ in 1..deep {
        if level.is_empty() {
            break;
        }
        level = in_fields(&in_fields(&level, &[2, 3]), &[4]);
    }
    level
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
