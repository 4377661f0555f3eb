//! Keys in order in little memory: sorted runs that are merged as they are read.
//!
//! ```text
//! run     chunks, one after another; the keys ascend and none comes twice
//! chunk   entries; its first one has its whole key
//! entry   shared with the key before it: length, rest of the key: length and bytes; then the numbers of its slot
//! ```
//!
//! Every number is a varint. Of keys that look alike, in order, an entry takes some thirty bytes; a chunk is given
//! back as soon as it was read, so that merging takes no more than what is merged.

use std::cmp::Ordering;
use std::collections::binary_heap::PeekMut;
use std::collections::{BinaryHeap, VecDeque};

use prost::encoding::{decode_varint, encode_varint};

use crate::codec::{to_u64, to_usize};
use crate::store::Position;

/// What is known of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Slot {
    pub main: i64,
    pub sub_and_mark: u64,
    pub value_len: u64,
    pub create_revision: i64,
    pub version: i64,
    pub lease: i64,
    pub bytes: u64,
    pub position: Position,
    pub digest: u64,
    pub revisions: u64,
}

impl Slot {
    /// Adds what another part of the file knows of the same key: the newest version is what counts.
    fn add(&mut self, other: Slot) {
        let (revisions, bytes) =
            (self.revisions.saturating_add(other.revisions), self.bytes.saturating_add(other.bytes));
        if (other.main, other.sub_and_mark) > (self.main, self.sub_and_mark) {
            *self = other;
        }
        (self.revisions, self.bytes) = (revisions, bytes);
    }

    fn encode(&self, out: &mut Vec<u8>) {
        let Position(position) = self.position;
        let create = self.main.wrapping_sub(self.create_revision).cast_unsigned();
        let numbers = [
            self.main.cast_unsigned(),
            self.sub_and_mark,
            self.value_len,
            create,
            self.version.cast_unsigned(),
            self.lease.cast_unsigned(),
            self.bytes,
            position >> 16,
            position & 0xffff,
            self.digest,
            self.revisions,
        ];
        numbers.into_iter().for_each(|n| encode_varint(n, out));
    }

    fn decode(from: &mut &[u8]) -> Option<Slot> {
        let mut number = || decode_varint(from).ok();
        let main = number()?.cast_signed();
        let (sub_and_mark, value_len) = (number()?, number()?);
        let create_revision = main.wrapping_sub(number()?.cast_signed());
        let (version, lease, bytes) = (number()?.cast_signed(), number()?.cast_signed(), number()?);
        let position = Position(number()? << 16 | number()?);
        Some(Slot {
            main,
            sub_and_mark,
            value_len,
            create_revision,
            version,
            lease,
            bytes,
            position,
            digest: number()?,
            revisions: number()?,
        })
    }
}

/// What one thread has seen, in no order.
#[derive(Debug, Default)]
pub(super) struct Buffer {
    keys: Vec<u8>,
    items: Vec<(usize, usize, Slot)>,
}

impl Buffer {
    pub(super) fn push(&mut self, key: &[u8], slot: Slot) {
        self.items.push((self.keys.len(), key.len(), slot));
        self.keys.extend_from_slice(key);
    }

    /// Bytes it takes.
    pub(super) fn held(&self) -> u64 {
        to_u64(
            self.keys
                .len()
                .saturating_add(self.items.len().saturating_mul(size_of::<(usize, usize, Slot)>())),
        )
    }

    /// What is in it as a run; afterwards it is empty.
    pub(super) fn sort(&mut self, chunk: usize) -> Run {
        let keys = &self.keys;
        let key = |(from, len, _): &(usize, usize, Slot)| {
            keys.get(*from..from.saturating_add(*len)).unwrap_or_default()
        };
        self.items.sort_unstable_by(|a, b| key(a).cmp(key(b)));
        let mut run = RunWriter::new(chunk);
        let mut items = self.items.iter().peekable();
        while let Some(item) = items.next() {
            let mut slot = item.2;
            while let Some(same) = items.next_if(|next| key(next) == key(item)) {
                slot.add(same.2);
            }
            run.push(key(item), &slot);
        }
        let run = run.finish();
        self.keys.clear();
        self.items.clear();
        run
    }
}

/// Sorted entries.
#[derive(Debug, Default)]
pub(super) struct Run {
    chunks: VecDeque<Vec<u8>>,
    /// How many keys.
    pub count: u64,
}

impl Run {
    /// Bytes it takes.
    pub(super) fn held(&self) -> u64 {
        self.chunks.iter().fold(0, |held, chunk| held.saturating_add(to_u64(chunk.len())))
    }

    /// Drops the last chunks, all but one if need be, until it takes at most `held`; the first key that was dropped.
    pub(super) fn truncate(&mut self, held: u64) -> Option<Box<[u8]>> {
        let (mut kept, mut chunks) = (0u64, 0usize);
        for chunk in &self.chunks {
            kept = kept.saturating_add(to_u64(chunk.len()));
            if kept > held && chunks > 0 {
                break;
            }
            chunks = chunks.saturating_add(1);
        }
        let dropped = self.chunks.split_off(chunks.min(self.chunks.len()));
        let mut first = dropped.front()?.as_slice();
        let (_, key) = (decode_varint(&mut first).ok()?, decode_key(&mut first)?);
        Some(key.into())
    }
}

fn decode_key<'c>(from: &mut &'c [u8]) -> Option<&'c [u8]> {
    let len = to_usize(decode_varint(from).ok()?);
    let (key, rest) = from.split_at_checked(len)?;
    *from = rest;
    Some(key)
}

/// Writes a run from keys that ascend.
pub(super) struct RunWriter {
    run: Run,
    chunk: Vec<u8>,
    size: usize,
    before: Vec<u8>,
}

impl RunWriter {
    pub(super) fn new(size: usize) -> RunWriter {
        RunWriter { run: Run::default(), chunk: Vec::new(), size, before: Vec::new() }
    }

    pub(super) fn push(&mut self, key: &[u8], slot: &Slot) {
        if self.chunk.len() >= self.size {
            self.end_chunk();
        }
        let shared = self.before.iter().zip(key).take_while(|(a, b)| a == b).count();
        let rest = key.get(shared..).unwrap_or_default();
        encode_varint(to_u64(shared), &mut self.chunk);
        encode_varint(to_u64(rest.len()), &mut self.chunk);
        self.chunk.extend_from_slice(rest);
        slot.encode(&mut self.chunk);
        self.before.truncate(shared);
        self.before.extend_from_slice(rest);
        self.run.count = self.run.count.saturating_add(1);
    }

    fn end_chunk(&mut self) {
        if !self.chunk.is_empty() {
            // Copied, so that it takes what it has and not what it has room for.
            self.run.chunks.push_back(self.chunk.as_slice().to_vec());
            self.chunk.clear();
            self.before.clear();
        }
    }

    pub(super) fn finish(mut self) -> Run {
        self.end_chunk();
        self.run
    }
}

/// The next entry of a run.
#[derive(Debug)]
struct Head {
    key: Vec<u8>,
    slot: Slot,
    chunks: VecDeque<Vec<u8>>,
    at: usize,
}

impl Head {
    fn new(run: Run) -> Option<Head> {
        let slot = Slot {
            main: 0,
            sub_and_mark: 0,
            value_len: 0,
            create_revision: 0,
            version: 0,
            lease: 0,
            bytes: 0,
            position: Position(0),
            digest: 0,
            revisions: 0,
        };
        let mut head = Head { key: Vec::new(), slot, chunks: run.chunks, at: 0 };
        head.advance().then_some(head)
    }

    /// Goes to the next entry; `false` when there is none.
    fn advance(&mut self) -> bool {
        while let Some(chunk) = self.chunks.front() {
            let mut rest = chunk.get(self.at..).unwrap_or_default();
            if rest.is_empty() {
                self.chunks.pop_front();
                self.at = 0;
                continue;
            }
            let Some(shared) = decode_varint(&mut rest).ok() else { break };
            let Some(suffix) = decode_key(&mut rest) else { break };
            self.key.truncate(to_usize(shared));
            self.key.extend_from_slice(suffix);
            let Some(slot) = Slot::decode(&mut rest) else { break };
            self.slot = slot;
            self.at = chunk.len().saturating_sub(rest.len());
            return true;
        }
        false
    }
}

impl PartialEq for Head {
    fn eq(&self, other: &Head) -> bool {
        self.key == other.key
    }
}

impl Eq for Head {}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Head) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Head {
    /// The least key is the greatest, so that a heap gives it first.
    fn cmp(&self, other: &Head) -> Ordering {
        other.key.cmp(&self.key)
    }
}

/// The entries of several runs in order, those of one key as one.
#[derive(Debug, Default)]
pub(super) struct Merge {
    heads: BinaryHeap<Head>,
}

impl Merge {
    pub(super) fn new(runs: Vec<Run>) -> Merge {
        Merge { heads: runs.into_iter().filter_map(Head::new).collect() }
    }

    fn step(mut head: PeekMut<'_, Head>) {
        if !head.advance() {
            PeekMut::pop(head);
        }
    }

    /// The next key, in `key`, and what is known of it.
    pub(super) fn next(&mut self, key: &mut Vec<u8>) -> Option<Slot> {
        let head = self.heads.peek_mut()?;
        key.clear();
        key.extend_from_slice(&head.key);
        let mut slot = head.slot;
        Merge::step(head);
        while let Some(head) = self.heads.peek_mut() {
            if head.key != *key {
                // Nothing was changed: the heap stays as it is.
                break;
            }
            slot.add(head.slot);
            Merge::step(head);
        }
        Some(slot)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn slot(n: u64, main: i64) -> Slot {
        Slot {
            main,
            sub_and_mark: n % 7,
            value_len: n,
            create_revision: main - 3,
            version: -1,
            lease: i64::MIN,
            bytes: n,
            position: Position(n << 16 | 9),
            digest: !n,
            revisions: 1,
        }
    }

    fn all(runs: Vec<Run>) -> Vec<(Vec<u8>, Slot)> {
        let (mut merge, mut key, mut seen) = (Merge::new(runs), Vec::new(), Vec::new());
        while let Some(slot) = merge.next(&mut key) {
            seen.push((key.clone(), slot));
        }
        seen
    }

    proptest::proptest! {
        #[test]
        fn what_is_merged_is_what_was_put_in(
            items in proptest::collection::vec((proptest::collection::vec(0..3u8, 0..5), 0..90i64), 0..60),
            parts in 1..5usize, chunk in 0..200usize,
        ) {
            let mut due: BTreeMap<Vec<u8>, Slot> = BTreeMap::new();
            let mut buffers: Vec<Buffer> = (0..parts).map(|_| Buffer::default()).collect();
            for (n, (key, main)) in items.iter().enumerate() {
                let slot = slot(n as u64, *main * 1000 + n as i64);
                buffers[n % parts].push(key, slot);
                due.entry(key.clone()).and_modify(|known| known.add(slot)).or_insert(slot);
            }
            let runs = |buffers: &mut Vec<Buffer>| {
                buffers.iter_mut().map(|buffer| buffer.sort(chunk)).collect::<Vec<_>>()
            };
            let due: Vec<_> = due.into_iter().collect();
            proptest::prop_assert_eq!(&all(runs(&mut buffers)), &due);

            // Written again, and cut: what is left is the beginning, what is named is the key after it.
            let mut writer = RunWriter::new(chunk);
            due.iter().for_each(|(key, slot)| writer.push(key, slot));
            let mut run = writer.finish();
            let whole = run.held();
            let dropped = run.truncate(whole / 2);
            let left = all(vec![run]);
            proptest::prop_assert_eq!(&left[..], &due[..left.len()]);
            proptest::prop_assert_eq!(dropped.as_deref(), due.get(left.len()).map(|(key, _)| &key[..]));
            proptest::prop_assert!(due.is_empty() || !left.is_empty());
        }
    }
}
