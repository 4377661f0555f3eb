//! The records of one segment, one after another, with the checksum chain.

use prost::Message;

use super::end::{End, Torn, TornReason};
use super::frame::{FrameSize, HEADER, MAX_RECORD};
use super::record::{RecordKind, RecordView};
use crate::codec::checksum::crc32c;
use crate::codec::wire::{WireValue, field, varint};
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::io::{Source, Window};
use crate::raft::HardState;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A write that was cut off by a crash shows as whole sectors of zeros.
const SECTOR: u64 = 512;

/// Bytes past the end of the records that are looked at: etcd's segments have 64 MB, and what its last write needed.
const BEYOND: u64 = 256 << 20;

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where its frame begins.
    pub offset: u64,
    /// Bytes of its frame: length word, record, padding.
    pub frame: u64,
    /// Its type.
    pub kind: RecordKind,
    /// The checksum it carries.
    pub crc: u32,
    /// Its payload.
    pub data: Option<&'a [u8]>,
    /// What is wrong with it, where reading went on all the same: padding, or in raw mode the checksum.
    pub fault: Option<Box<Corrupt>>,
}

impl<'a> Record<'a> {
    /// The payload, empty when there is none.
    #[must_use]
    pub fn bytes(&self) -> &'a [u8] {
        self.data.unwrap_or_default()
    }
}

/// Reads the records of a segment.
#[derive(Debug)]
pub struct Segment<'a> {
    source: &'a Source,
    window: Window,
    offset: u64,
    chain: Chain,
    last: bool,
    raw: bool,
    end: Option<End>,
    /// Where the frame of a partly written record ends.
    beyond: u64,
    /// Whether frames are padded, as etcd does since 3.0; the first frame that could be tells.
    padded: Option<bool>,
}

/// The checksum chain.
#[derive(Debug, Clone, Copy)]
struct Chain {
    /// The CRC-32C over all data so far.
    crc: u32,
    /// After a wrong checksum in raw mode: what the chain is if the record's own checksum is right.
    or_crc: Option<u32>,
}

/// A frame that the file has room for.
#[derive(Debug, Clone, Copy)]
struct Frame {
    offset: u64,
    size: FrameSize,
    /// Bytes after the length word: record and padding.
    body: u64,
}

impl Frame {
    /// Where its record begins.
    fn record(&self) -> u64 {
        self.offset.saturating_add(HEADER)
    }

    /// Bytes of all of it.
    fn len(&self) -> u64 {
        HEADER.saturating_add(self.body)
    }

    fn damaged(&self, code: Code, detail: impl Into<String>) -> End {
        End::Damaged(Corrupt::new(code, At::offset(self.offset), detail))
    }
}

impl<'a> Segment<'a> {
    /// Reads from the start of a segment. `crc` is the checksum chain so far: what the segment before ended with, or
    /// 0 to begin anywhere. `last` tells whether it is the newest segment of its log: only there can a write be torn.
    #[must_use]
    pub fn new(source: &'a Source, crc: u32, last: bool) -> Segment<'a> {
        Segment {
            source,
            window: Window::new(),
            offset: 0,
            chain: Chain { crc, or_crc: None },
            last,
            raw: false,
            end: None,
            beyond: 0,
            padded: None,
        }
    }

    /// Goes on after a wrong checksum: the record is given with a fault, the chain resumes where it fits again.
    #[must_use]
    pub fn raw(mut self) -> Segment<'a> {
        self.raw = true;
        self
    }

    /// Reads a single record again, at an offset that reading gave before. Its checksum is not looked at.
    ///
    /// # Errors
    /// When the source does not give the same bytes any more.
    pub fn reread<'w>(
        source: &'w Source,
        window: &'w mut Window,
        offset: u64,
    ) -> Result<Record<'w>, Box<Corrupt>> {
        let changed = || {
            Corrupt::new(
                Code::Unreadable,
                At::offset(offset),
                "the record read here before is gone: the file changed",
            )
        };
        let word = array_at::<8>(window.get(source, offset, to_usize(HEADER))?, 0)
            .map(u64::from_le_bytes)
            .unwrap_or_default();
        let size = FrameSize::of(word).ok_or_else(changed)?;
        let frame = HEADER.saturating_add(size.record).saturating_add(size.regular_padding());
        if size.record > MAX_RECORD {
            return Err(changed());
        }
        let bytes = window.get(source, offset.saturating_add(HEADER), to_usize(size.record))?;
        let RecordView { kind, crc, data } = RecordView::decode(bytes).map_err(|_| changed())?;
        Ok(Record { offset, frame, kind, crc, data, fault: None })
    }

    /// Where the next frame begins: after the end, how many bytes of the file are good.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// The checksum chain so far.
    #[must_use]
    pub fn crc(&self) -> u32 {
        self.chain.crc
    }

    /// How the records ended; `None` while there are more.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    /// The next record, or `None` when [`Segment::end`] tells why there is none.
    #[allow(clippy::should_implement_trait, reason = "a record borrows the segment's window")]
    pub fn next(&mut self) -> Option<Record<'_>> {
        if self.end.is_some() {
            return None;
        }
        let frame = match self.frame() {
            Ok(frame) => frame,
            Err(end) => {
                self.end = Some(end);
                return None;
            }
        };
        let body = match self.window.get(self.source, frame.record(), to_usize(frame.body)) {
            Ok(body) => body,
            Err(corrupt) => {
                self.end = Some(End::Damaged(corrupt));
                return None;
            }
        };
        let zero_sector = self.last && has_zero_sector(body, frame.record());
        match check(frame, body, zero_sector, self.raw, &mut self.chain) {
            Ok(record) => {
                self.offset = self.offset.saturating_add(frame.len());
                Some(record)
            }
            Err(end) => {
                if matches!(end, End::Torn(_)) {
                    self.beyond = self.offset.saturating_add(frame.len());
                }
                self.end = Some(end);
                None
            }
        }
    }

    fn damaged(&self, code: Code, detail: impl Into<String>) -> End {
        End::Damaged(Corrupt::new(code, At::offset(self.offset), detail))
    }

    fn torn(&self, reason: TornReason) -> End {
        let torn = Torn { offset: self.offset, reason };
        if self.last {
            End::Torn(torn)
        } else {
            self.damaged(
                Code::WalRecord,
                format!("{torn}; this is not the newest segment, so no crash explains it"),
            )
        }
    }

    /// Looks at the length word at `self.offset`: the first tests of `wal.decoder.decodeRecord` @ v3.6.14, in its
    /// order.
    fn frame(&mut self) -> Result<Frame, End> {
        let (offset, file) = (self.offset, self.source.len());
        let left = file.saturating_sub(offset);
        if left == 0 {
            return Err(End::CleanEof);
        }
        if left < HEADER {
            return Err(self.torn(TornReason::LengthWord { left }));
        }
        let word = self.window.get(self.source, offset, to_usize(HEADER)).map_err(End::Damaged)?;
        let Some(size) = FrameSize::parse(word) else {
            return Err(End::ZeroWord);
        };
        let limit = left.saturating_sub(size.padding);
        if size.record > limit {
            let (record, padding) = (size.record, size.padding);
            return Err(self.torn(TornReason::LengthBeyondEnd { record, padding, limit, file }));
        }
        if size.record > MAX_RECORD {
            return Err(self.damaged(
                Code::WalRecord,
                format!("a record of {} bytes, more than {MAX_RECORD} are not read", size.record),
            ));
        }
        // A record of a padded file is followed by its padding whatever a flipped bit in the top byte says.
        let padding = match size.regular_padding() {
            0 => 0,
            padding if *self.padded.get_or_insert(size.top != 0) => padding,
            _ => 0,
        };
        let (body, left) = (size.record.saturating_add(padding), left.saturating_sub(HEADER));
        if body > left {
            return Err(self.torn(TornReason::Short { wanted: body, left }));
        }
        Ok(Frame { offset, size, body })
    }

    /// After a cut-off record: its length by what it begins with, if that is not the length its length word says.
    /// Then no crash explains it: the length word itself is damaged, and etcd would cut off good records.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn other_length(&mut self) -> Result<Option<u64>, Box<Corrupt>> {
        const HEAD: usize = 40;
        if !matches!(self.end, Some(End::Torn(_))) {
            return Ok(None);
        }
        let len = to_usize(self.source.len().saturating_sub(self.offset)).min(HEAD);
        let head = self.window.get(self.source, self.offset, len)?;
        let word = array_at::<8>(head, 0).map(u64::from_le_bytes).and_then(FrameSize::of);
        let inner = head.get(to_usize(HEADER)..).and_then(inner_length);
        Ok(inner.filter(|inner| word.is_some_and(|word| word.record != *inner)))
    }

    /// Past the end of the records: the highest commit index of a hard state that begins at a multiple of 8 from
    /// `from` on, and its offset. A hard state out there that commits more than the log holds means that records are
    /// lost, not cut off.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn stray_commit(&mut self, from: u64) -> Result<Option<(u64, u64)>, Box<Corrupt>> {
        const LONGEST: u64 = 56;
        let mut best: Option<(u64, u64)> = None;
        let mut at = from.next_multiple_of(8);
        let end = self.source.len().min(at.saturating_add(BEYOND));
        while at.saturating_add(HEADER) <= end {
            let len = end.saturating_sub(at).min(HEADER.saturating_add(LONGEST));
            let bytes = self.window.get(self.source, at, to_usize(len))?;
            let size = array_at::<8>(bytes, 0).map(u64::from_le_bytes).and_then(FrameSize::of);
            let record = size.filter(|size| size.is_regular() && size.record <= LONGEST);
            let record = record.and_then(|size| slice_at(bytes, to_usize(HEADER), to_usize(size.record)));
            let envelope = record
                .and_then(|record| RecordView::decode(record).ok())
                .filter(|envelope| envelope.kind == RecordKind::State);
            let state = envelope.and_then(|envelope| HardState::decode(envelope.data?).ok());
            if let Some(commit) = state.and_then(|state| state.term.and(state.commit))
                && best.is_none_or(|(known, _)| commit > known)
            {
                best = Some((commit, at));
            }
            at = at.saturating_add(8);
        }
        Ok(best)
    }

    /// Past the end of the records: the offset of the first byte that is not zero. After a zero word etcd ignores and
    /// erases such bytes; after a partly written record they are records that etcd cuts off. `None` also where the
    /// question makes no sense.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn stray(&mut self) -> Result<Option<u64>, Box<Corrupt>> {
        let mut at = match &self.end {
            Some(End::ZeroWord) => self.offset,
            Some(End::Torn(_)) if self.beyond != 0 => self.beyond,
            _ => return Ok(None),
        };
        let end = self.source.len().min(at.saturating_add(BEYOND));
        while at < end {
            let len = to_usize(end.saturating_sub(at)).min(64 * 1024);
            let bytes = self.window.get(self.source, at, len)?;
            if let Some(found) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at.saturating_add(to_u64(found))));
            }
            at = at.saturating_add(to_u64(len));
        }
        Ok(None)
    }
}

/// Looks at what is in a frame: the other tests of `wal.decoder.decodeRecord`. With a zero sector in it, a wrong
/// record is a torn one.
fn check<'w>(
    frame: Frame,
    body: &'w [u8],
    zero_sector: bool,
    raw: bool,
    chain: &mut Chain,
) -> Result<Record<'w>, End> {
    let torn = |reason| End::Torn(Torn { offset: frame.offset, reason });
    let (record, padding) = body.split_at_checked(to_usize(frame.size.record)).unwrap_or((body, &[]));
    let envelope = match RecordView::decode(record) {
        Ok(envelope) => envelope,
        Err(_) if zero_sector => return Err(torn(TornReason::ZeroSectorUndecodable)),
        Err(bad) => {
            let len = frame.size.record;
            let what = format!("a record of {len} bytes that cannot be decoded past its byte {}", bad.0);
            return Err(frame.damaged(Code::WalRecord, what));
        }
    };
    let mut fault = irregular(frame, padding);
    if let Err((stored, computed)) = chain.follow(&envelope) {
        if envelope.kind != RecordKind::Crc && zero_sector {
            return Err(torn(TornReason::ZeroSectorChecksum { stored, computed }));
        }
        let what = format!(
            "record type {}: its checksum is {stored:08x}, its data gives {computed:08x}",
            envelope.kind.number()
        );
        if !raw {
            return Err(frame.damaged(Code::WalCrc, what));
        }
        fault = Some(Corrupt::new(Code::WalCrc, At::offset(frame.offset), what));
        chain.resume(&envelope, computed);
    }
    let RecordView { kind, crc, data } = envelope;
    Ok(Record { offset: frame.offset, frame: frame.len(), kind, crc, data, fault })
}

/// Padding that etcd does not write.
fn irregular(frame: Frame, padding: &[u8]) -> Option<Box<Corrupt>> {
    let size = frame.size;
    let regular = size.is_regular() || (size.top == 0 && padding.is_empty());
    (!regular || padding.iter().any(|byte| *byte != 0)).then(|| {
        let what = format!(
            "a record of {} bytes has top byte {:#04x} and padding {padding:02x?}",
            size.record, size.top
        );
        Corrupt::new(Code::WalRecord, At::offset(frame.offset), what)
    })
}

impl Chain {
    /// Goes on over a record; its checksum and the one it should carry, if it does not fit.
    fn follow(&mut self, envelope: &RecordView<'_>) -> Result<(), (u32, u32)> {
        let (stored, data) = (envelope.crc, envelope.data.unwrap_or_default());
        let due = |crc| if envelope.kind == RecordKind::Crc { crc } else { crc32c(crc, data) };
        let computed = due(self.crc);
        // What it would be had the record before carried the right one.
        let fits = computed == stored
            || self.or_crc.map(due) == Some(stored)
            || (envelope.kind == RecordKind::Crc && self.crc == 0);
        if !fits {
            return Err((stored, computed));
        }
        *self = Chain { crc: stored, or_crc: None };
        Ok(())
    }

    /// Goes on after a record that does not fit.
    fn resume(&mut self, envelope: &RecordView<'_>, computed: u32) {
        *self = if envelope.kind == RecordKind::Crc {
            Chain { crc: envelope.crc, or_crc: None }
        } else {
            Chain { crc: computed, or_crc: Some(envelope.crc) }
        };
    }
}

/// The length of a record by what it begins with, which need not be there in full: type, checksum, and the length of
/// its data.
pub(super) fn inner_length(head: &[u8]) -> Option<u64> {
    let (rest, (1, WireValue::Varint(_))) = field(head).ok()? else { return None };
    let (rest, (2, WireValue::Varint(_))) = field(rest).ok()? else { return None };
    let (rest, tag) = varint(rest).ok()?;
    let (rest, len) = if tag == 0x1a { varint(rest).ok()? } else { return None };
    to_u64(head.len().saturating_sub(rest.len())).checked_add(len)
}

/// Whether some piece of `bytes`, cut at the 512-byte sectors of the file they begin at `offset` of, is all zero
/// (`wal.isTornEntry`).
fn has_zero_sector(bytes: &[u8], offset: u64) -> bool {
    let first = to_usize(SECTOR.saturating_sub(offset % SECTOR));
    let (head, rest) = bytes.split_at_checked(first).unwrap_or((bytes, &[]));
    std::iter::once(head)
        .chain(rest.chunks(to_usize(SECTOR)))
        .any(|sector| !sector.is_empty() && sector.iter().all(|byte| *byte == 0))
}
