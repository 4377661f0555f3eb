//! Entries behind the end of a segment's records, where etcd reads no more.
//!
//! A frame begins at a multiple of 8. Its checksum goes on from the record before it, which may be gone: an entry is
//! told by a length word, padding and lengths inside that fit each other, and by being written as etcd writes it. In
//! a row of them all but the first are proven by their checksums too.

use std::ops::ControlFlow;

use prost::Message;

use super::frame::{FrameSize, HEADER, MAX_RECORD};
use super::record::{RecordKind, RecordView};
use super::segment::inner_length;
use crate::codec::checksum::crc32c;
use crate::codec::{array_at, to_u64, to_usize};
use crate::io::{Source, Window};
use crate::raft::{Entry, EntryView};
use crate::words::error::Corrupt;

/// Bytes that are looked at: etcd's segments have 64 MB, and what its last write needed.
const BEYOND: u64 = 256 << 20;
/// Bytes that are passed over at once if all are zero.
const STEP: usize = 64 << 10;
static ZEROS: [u8; STEP] = [0; STEP];
/// Bytes of a frame that tell how long its record is.
const HEAD: u64 = 48;
/// Records that lie across each other are not read over and over: all together are so many times the bytes looked at.
const TIMES: u64 = 4;

/// An entry that was found.
#[derive(Debug, Clone, Copy)]
pub struct Beyond<'b> {
    /// Where its frame begins.
    pub offset: u64,
    /// The entry.
    pub entry: EntryView<'b>,
    /// Whether its checksum goes on from the record right before it.
    pub chained: bool,
}

/// Hands out the entries that lie in a file from this offset on, until `each` breaks off.
///
/// # Errors
/// `unreadable`.
pub fn beyond(
    source: &Source,
    from: u64,
    each: &mut dyn FnMut(Beyond<'_>) -> ControlFlow<()>,
) -> Result<(), Box<Corrupt>> {
    let (mut window, mut at) = (Window::new(), from.next_multiple_of(8));
    let end = source.len().min(from.saturating_add(BEYOND));
    // The chain, and where it goes on.
    let mut chain: Option<(u64, u32)> = None;
    let mut budget = end.saturating_sub(from).saturating_mul(TIMES);
    while at.saturating_add(HEADER) <= end {
        let skipped = zeros(window.get(source, at, to_usize(end.saturating_sub(at).min(to_u64(STEP))))?);
        if skipped >= HEADER {
            at = at.saturating_add(skipped);
            continue;
        }
        let left = end.saturating_sub(at);
        let head = window.get(source, at, to_usize(left.min(HEAD)))?;
        let Some(size) = size(head, left).filter(|size| frame(*size) <= budget) else {
            at = at.saturating_add(8);
            continue;
        };
        budget = budget.saturating_sub(frame(size));
        let bytes =
            window.get(source, at.saturating_add(HEADER), to_usize(frame(size).saturating_sub(HEADER)))?;
        let Some(record) = whole(bytes, size) else {
            at = at.saturating_add(8);
            continue;
        };
        let data = record.data.unwrap_or_default();
        let due = chain.filter(|(here, _)| *here == at).map(|(_, crc)| crc32c(crc, data));
        let offset = at;
        at = at.saturating_add(frame(size));
        chain = Some((at, record.crc));
        if record.kind != RecordKind::Entry {
            continue;
        }
        if let Some(entry) = entry(data)
            && each(Beyond { offset, entry, chained: due == Some(record.crc) }).is_break()
        {
            break;
        }
    }
    Ok(())
}

/// How many bytes of zero these begin with, in whole words; a little more, if there is nothing else.
fn zeros(bytes: &[u8]) -> u64 {
    let zeros = match ZEROS.starts_with(bytes) {
        true => bytes.len().next_multiple_of(8),
        false => bytes.iter().position(|byte| *byte != 0).unwrap_or(0) & !7,
    };
    to_u64(zeros)
}

/// Bytes of a frame.
fn frame(size: FrameSize) -> u64 {
    HEADER.saturating_add(size.record).saturating_add(size.regular_padding())
}

/// What the length word says, if it is one of etcd's, what follows says the same, and all of it is there.
fn size(head: &[u8], left: u64) -> Option<FrameSize> {
    let size = array_at::<8>(head, 0).map(u64::from_le_bytes).and_then(FrameSize::of)?;
    let regular = size.is_regular() && size.record <= MAX_RECORD && frame(size) <= left;
    let inner = inner_length(head.get(to_usize(HEADER)..)?)?;
    (regular && inner == size.record).then_some(size)
}

/// The record of a frame, if it is written as etcd writes one: three fields in order, nothing behind them.
fn whole(bytes: &[u8], size: FrameSize) -> Option<RecordView<'_>> {
    let (record, padding) = bytes.split_at_checked(to_usize(size.record))?;
    let view = RecordView::decode(record).ok()?;
    let data = view.data?;
    let head = record.len().checked_sub(data.len())?;
    let written =
        [&[0x08][..], &varint(view.kind.number().cast_unsigned()), &[0x10], &varint(view.crc.into())];
    let written = [written.concat(), vec![0x1a], varint(to_u64(data.len()))].concat();
    (padding.iter().all(|byte| *byte == 0) && record.get(..head)? == written).then_some(view)
}

/// An entry that has its place, and is written as etcd writes one.
fn entry(data: &[u8]) -> Option<EntryView<'_>> {
    let entry = EntryView::decode(data).ok()?;
    let placed = entry.index.get() > 0 && entry.term.get() > 0 && entry.entry_type().is_some();
    (placed && Entry::decode(data).ok()?.encode_to_vec() == data).then_some(entry)
}

fn varint(number: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    prost::encoding::encode_varint(number, &mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::checksum::crc32c;

    /// Frames of entries in a chain that begins with `crc`.
    fn frames(crc: u32, entries: &[(u64, &[u8])]) -> Vec<u8> {
        let (mut crc, mut bytes) = (crc, Vec::new());
        for (index, data) in entries {
            let entry =
                Entry { kind: Some(0), term: Some(3), index: Some(*index), data: Some(data.to_vec()) };
            let data = entry.encode_to_vec();
            crc = crc32c(crc, &data);
            let head =
                [vec![0x08, 2, 0x10], varint(crc.into()), vec![0x1a], varint(data.len() as u64)].concat();
            let record = [head, data].concat();
            bytes.extend(FrameSize::word(record.len() as u64).to_le_bytes());
            bytes.extend(&record);
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    fn found(bytes: Vec<u8>, from: u64) -> Vec<(u64, u64, bool)> {
        let source = Source::from_bytes("wal", bytes);
        let mut found = Vec::new();
        beyond(&source, from, &mut |one| {
            found.push((one.offset, one.entry.index.get(), one.chained));
            ControlFlow::Continue(())
        })
        .unwrap();
        found
    }

    #[test]
    fn entries_behind_zeros_are_found_and_all_but_the_first_are_proven() {
        let frames = frames(7, &[(5, b"one"), (6, b"two and more"), (7, b"")]);
        let bytes = [vec![0; 3 * 65536 + 8], frames.clone(), vec![0; 100]].concat();
        let found = found(bytes, 3);
        let at = 3 * 65536 + 8;
        assert_eq!(
            found.iter().map(|(_, index, chained)| (*index, *chained)).collect::<Vec<_>>(),
            [(5, false), (6, true), (7, true)]
        );
        assert_eq!(found[0].0, at);
    }

    #[test]
    fn what_is_cut_off_or_changed_is_none() {
        let one = frames(7, &[(5, b"one of some length")]);
        assert_eq!(found(one.clone(), 0).len(), 1);
        for len in 0..one.len() {
            assert!(found(one[..len].to_vec(), 0).is_empty(), "{len}");
        }
        // Length word, tags, lengths; what the data is and the checksum cannot be told of a single one.
        for at in [0, 7, 8, 9, 10, 16] {
            let mut changed = one.clone();
            changed[at] ^= 0x40;
            assert!(found(changed, 0).is_empty(), "{at}");
        }
        assert!(
            found((0..100_000u32).flat_map(|n| (n.wrapping_mul(2_654_435_761)).to_le_bytes()).collect(), 0)
                .is_empty()
        );
    }

    #[test]
    fn a_record_in_a_value_is_a_value() {
        let inner = frames(1, &[(9, b"inner")]);
        let padded = [&[0u8; 3][..], &inner].concat();
        assert_eq!(found(frames(7, &[(5, &padded)]), 0).len(), 1);
    }
}
