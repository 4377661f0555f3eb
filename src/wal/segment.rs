//! The records of one segment, one after another, with the checksum chain.

use prost::Message;

use super::frame::{FrameSize, HEADER, MAX_RECORD, MAX_RECORD_BEFORE_3_5_5};
use super::record::{Envelope, Kind};
use crate::codec::checksum::crc32c;
use crate::codec::wire::{Value, field, varint};
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::io::{Source, Window};
use crate::raft::HardState;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// A write that was cut off by a crash shows as whole sectors of zeros.
const SECTOR: u64 = 512;

/// How the records of a segment ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The file ends where a frame would begin: a finished segment.
    CleanEof,
    /// A length word of zero: the preallocated rest of a segment in use.
    ZeroWord,
    /// The last write of the log was cut off. Only the last segment ends so.
    Torn(Torn),
    /// What follows is not a record that etcd wrote.
    Damaged(Box<Corrupt>),
}

/// A record that was cut off while it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Torn {
    /// Where its frame begins: the end of what is good.
    pub offset: u64,
    /// How it shows.
    pub reason: TornReason,
}

/// How a cut-off record shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TornReason {
    /// Fewer than the 8 bytes of a length word are left.
    LengthWord {
        /// Bytes that are left.
        left: u64,
    },
    /// The length is more than the file has left.
    LengthBeyondEnd {
        /// The record's length by its length word.
        record: u64,
        /// The padding by its length word.
        padding: u64,
        /// Bytes left in the file, from the length word on, less the padding: etcd's limit.
        limit: u64,
        /// The length of the file.
        file: u64,
    },
    /// The record fits, but not with its length word and padding.
    Short {
        /// Bytes wanted after the length word.
        wanted: u64,
        /// Bytes that are left there.
        left: u64,
    },
    /// A 512-byte sector of it is all zeros, and it does not decode.
    ZeroSectorUndecodable,
    /// A 512-byte sector of it is all zeros, and its checksum is wrong.
    ZeroSectorChecksum {
        /// The checksum in the record.
        stored: u32,
        /// The checksum the chain gives.
        computed: u32,
    },
}

/// What etcd does at boot with the end of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AtBoot {
    /// Starts.
    Starts,
    /// Copies the segment to `.broken`, cuts it at the last whole record, starts.
    Repairs,
    /// Does not start.
    Refuses,
}

impl Torn {
    /// What etcd does with it, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self.reason {
            TornReason::LengthBeyondEnd { record, padding, .. }
                if record >= MAX_RECORD_BEFORE_3_5_5.saturating_sub(padding) =>
            {
                &[("3.4.0 to 3.5.6", AtBoot::Refuses), ("3.5.7 and newer", AtBoot::Repairs)]
            }
            TornReason::LengthBeyondEnd { .. } => &[
                ("3.4.0 to 3.5.4", AtBoot::Repairs),
                ("3.5.5 and 3.5.6", AtBoot::Refuses),
                ("3.5.7 and newer", AtBoot::Repairs),
            ],
            _ => &[("every version", AtBoot::Repairs)],
        }
    }
}

impl std::fmt::Display for Torn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.reason {
            TornReason::LengthWord { left } => {
                write!(f, "the last record is cut off: {left} of the 8 bytes of its length are there")
            }
            TornReason::LengthBeyondEnd { record, limit, .. } => {
                write!(
                    f,
                    "the last record is cut off: {record} bytes long, {limit} bytes are left in the file"
                )
            }
            TornReason::Short { wanted, left } => {
                write!(f, "the last record is cut off: {left} of its {wanted} bytes are there")
            }
            TornReason::ZeroSectorUndecodable => {
                write!(
                    f,
                    "the last record was only partly written: a 512-byte sector of it is zeros, it does not decode"
                )
            }
            TornReason::ZeroSectorChecksum { stored, computed } => write!(
                f,
                "the last record was only partly written: a 512-byte sector of it is zeros, checksum {computed:08x} instead of {stored:08x}"
            ),
        }
    }
}

impl End {
    /// What etcd does with a log that ends so, by version.
    #[must_use]
    pub fn at_boot(&self) -> &'static [(&'static str, AtBoot)] {
        match self {
            End::CleanEof | End::ZeroWord => &[("every version", AtBoot::Starts)],
            End::Torn(torn) => torn.at_boot(),
            End::Damaged(_) => &[("every version", AtBoot::Refuses)],
        }
    }
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record<'a> {
    /// Where its frame begins.
    pub offset: u64,
    /// Bytes of its frame: length word, record, padding.
    pub frame: u64,
    /// Its type.
    pub kind: Kind,
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
    crc: u32,
    /// After a wrong checksum in raw mode: what the chain is if the record's own checksum is right.
    or_crc: Option<u32>,
    last: bool,
    raw: bool,
    end: Option<End>,
    /// Where the frame of a partly written record ends.
    beyond: u64,
    /// Whether frames are padded, as etcd does since 3.0; the first frame that could be tells.
    padded: Option<bool>,
}

/// A checked frame.
struct Checked {
    size: FrameSize,
    frame: u64,
    crc: u32,
    fault: Option<Box<Corrupt>>,
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
            crc,
            or_crc: None,
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
        let Envelope { kind, crc, data } = Envelope::decode(bytes).map_err(|_| changed())?;
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
        self.crc
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
        let checked = match self.check() {
            Ok(checked) => checked,
            Err(end) => {
                self.end = Some(end);
                return None;
            }
        };
        let offset = self.offset;
        self.offset = offset.saturating_add(checked.frame);
        // The bytes are in the window: this neither reads nor fails again.
        let bytes = self
            .window
            .get(self.source, offset.saturating_add(HEADER), to_usize(checked.size.record))
            .unwrap_or_default();
        let data = Envelope::decode(bytes).ok().and_then(|envelope| envelope.data);
        let kind = Envelope::decode(bytes).map_or(Kind::Other(0), |envelope| envelope.kind);
        Some(Record { offset, frame: checked.frame, kind, crc: checked.crc, data, fault: checked.fault })
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

    /// Looks at the frame at `self.offset`: the tests of `wal.decoder.decodeRecord` @ v3.6.14, in its order.
    fn check(&mut self) -> Result<Checked, End> {
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
            return Err(self.torn(TornReason::LengthBeyondEnd {
                record: size.record,
                padding: size.padding,
                limit,
                file,
            }));
        }
        if size.record > MAX_RECORD {
            return Err(self.damaged(
                Code::WalRecord,
                format!("a record of {} bytes, more than {MAX_RECORD} are not read", size.record),
            ));
        }
        let padding = match size.regular_padding() {
            0 => 0,
            // A record of a padded file is followed by its padding whatever a flipped bit in the top byte says.
            padding => {
                if *self.padded.get_or_insert(size.top != 0) {
                    padding
                } else {
                    0
                }
            }
        };
        let (wanted, left) = (size.record.saturating_add(padding), left.saturating_sub(HEADER));
        if wanted > left {
            return Err(self.torn(TornReason::Short { wanted, left }));
        }

        let body = self
            .window
            .get(self.source, offset.saturating_add(HEADER), to_usize(wanted))
            .map_err(End::Damaged)?;
        let (record, padding) = body.split_at_checked(to_usize(size.record)).unwrap_or((body, &[]));
        let zero_sector = self.last && has_zero_sector(body, offset.saturating_add(HEADER));
        let beyond = offset.saturating_add(HEADER).saturating_add(wanted);
        let padded = padding.iter().all(|byte| *byte == 0);
        let envelope = match Envelope::decode(record) {
            Ok(envelope) => envelope,
            Err(bad) => {
                return Err(if zero_sector {
                    self.beyond = beyond;
                    self.torn(TornReason::ZeroSectorUndecodable)
                } else {
                    let what = format!(
                        "a record of {} bytes that cannot be decoded past its byte {}",
                        size.record, bad.0
                    );
                    self.damaged(Code::WalRecord, what)
                });
            }
        };
        let at = At::offset(offset);
        let stored = envelope.crc;
        let regular = size.is_regular() || (size.top == 0 && padding.is_empty());
        let mut fault = (!regular || !padded).then(|| {
            let what = format!(
                "a record of {} bytes has top byte {:#04x} and padding {padding:02x?}",
                size.record, size.top
            );
            Corrupt::new(Code::WalRecord, at.clone(), what)
        });
        // The checksum a record should carry, and what it would be had the record before carried the right one.
        let data = envelope.data.unwrap_or_default();
        let (computed, or_computed) = if envelope.kind == Kind::Crc {
            (self.crc, self.or_crc)
        } else {
            (crc32c(self.crc, data), self.or_crc.map(|crc| crc32c(crc, data)))
        };
        let fits = computed == stored
            || or_computed == Some(stored)
            || (envelope.kind == Kind::Crc && self.crc == 0);
        if fits {
            (self.crc, self.or_crc) = (stored, None);
        } else if envelope.kind != Kind::Crc && zero_sector {
            self.beyond = beyond;
            return Err(self.torn(TornReason::ZeroSectorChecksum { stored, computed }));
        } else {
            let what = format!(
                "record type {}: its checksum is {stored:08x}, its data gives {computed:08x}",
                envelope.kind.number()
            );
            let corrupt = Corrupt::new(Code::WalCrc, at, what);
            if !self.raw {
                return Err(End::Damaged(corrupt));
            }
            fault = Some(corrupt);
            (self.crc, self.or_crc) =
                if envelope.kind == Kind::Crc { (stored, None) } else { (computed, Some(stored)) };
        }
        let frame = HEADER.saturating_add(wanted);
        Ok(Checked { size, frame, crc: stored, fault })
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
        while at.saturating_add(HEADER) <= self.source.len() {
            let len = self.source.len().saturating_sub(at).min(HEADER.saturating_add(LONGEST));
            let bytes = self.window.get(self.source, at, to_usize(len))?;
            let size = array_at::<8>(bytes, 0).map(u64::from_le_bytes).and_then(FrameSize::of);
            let record = size.filter(|size| size.is_regular() && size.record <= LONGEST);
            let record = record.and_then(|size| slice_at(bytes, to_usize(HEADER), to_usize(size.record)));
            let envelope = record
                .and_then(|record| Envelope::decode(record).ok())
                .filter(|envelope| envelope.kind == Kind::State);
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
        while at < self.source.len() {
            let len = to_usize(self.source.len().saturating_sub(at)).min(64 * 1024);
            let bytes = self.window.get(self.source, at, len)?;
            if let Some(found) = bytes.iter().position(|byte| *byte != 0) {
                return Ok(Some(at.saturating_add(to_u64(found))));
            }
            at = at.saturating_add(to_u64(len));
        }
        Ok(None)
    }
}

/// The length of a record by what it begins with, which need not be there in full: type, checksum, and the length of
/// its data.
fn inner_length(head: &[u8]) -> Option<u64> {
    let (rest, (1, Value::Varint(_))) = field(head).ok()? else { return None };
    let (rest, (2, Value::Varint(_))) = field(rest).ok()? else { return None };
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
