//! The log beside a database (`FILE-wal`): pages that are newer than those in the file.

use std::collections::BTreeMap;

use super::record::array;
use crate::codec::{to_u64, to_usize};
use crate::io::Source;
use crate::words::error::Corrupt;

const HEADER: usize = 32;
const FRAME: usize = 24;
/// The lowest bit says in which order of bytes the checksums add.
const MAGIC: u32 = 0x377f_0682;
const VERSION: u32 = 3_007_000;

/// Where a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogEnd {
    /// Where the file does.
    File,
    /// At a frame of an earlier round, which is in the database already: the file is used again from its start.
    Earlier,
    /// At a frame whose checksum is another one, or that is cut off: as a crash leaves it.
    Torn,
    /// At its header, which is none: nothing of it is read.
    Header,
}

/// Which pages a log has, as of its last commit.
#[derive(Debug, Clone)]
pub struct Log {
    source: Source,
    pages: BTreeMap<u32, u64>,
    /// How many pages the database has after the last commit.
    pub size: Option<u32>,
    /// How many frames count: those up to the last commit.
    pub frames: u64,
    /// How many more are whole, and no commit is behind them.
    pub uncommitted: u64,
    /// Where it ends.
    pub end: LogEnd,
    salt: [u8; 8],
}

/// Sums words up as they are added (`walChecksumBytes`).
#[derive(Clone, Copy)]
struct Sum {
    big_endian: bool,
    halves: (u32, u32),
}

impl Sum {
    fn add(mut self, bytes: &[u8]) -> Sum {
        let word = |bytes: [u8; 4]| {
            if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
        };
        let (mut one, mut two) = self.halves;
        for pair in bytes.as_chunks::<8>().0 {
            let [a, b, c, d, e, f, g, h] = *pair;
            one = one.wrapping_add(word([a, b, c, d])).wrapping_add(two);
            two = two.wrapping_add(word([e, f, g, h])).wrapping_add(one);
        }
        self.halves = (one, two);
        self
    }

    fn is(self, stored: [u8; 8]) -> bool {
        let (one, two) = self.halves;
        u64::from_be_bytes(stored) == u64::from(one) << 32 | u64::from(two)
    }
}

impl Log {
    /// Reads which pages are in the log of a database of that page size. SQLite takes no notice of a log whose header
    /// is none, nor of what is behind the first frame that is not of this log or whose checksum is another one; what
    /// has no commit behind it is no part of the database.
    ///
    /// # Errors
    /// `unreadable`.
    pub fn read(source: &Source, page_size: u32) -> Result<Log, Box<Corrupt>> {
        let mut log = Log {
            source: source.clone(),
            pages: BTreeMap::new(),
            size: None,
            frames: 0,
            uncommitted: 0,
            end: LogEnd::File,
            salt: [0; 8],
        };
        if source.is_empty() {
            return Ok(log);
        }
        let header = source.head(HEADER)?;
        let Some(sum) = begin(&header, page_size) else {
            log.end = LogEnd::Header;
            return Ok(log);
        };
        log.salt = array(&header, 16);
        log.read_frames(sum, page_size)?;
        Ok(log)
    }

    fn read_frames(&mut self, mut sum: Sum, page_size: u32) -> Result<(), Box<Corrupt>> {
        let mut frame = vec![0; FRAME.saturating_add(to_usize(page_size.into()))];
        let step = to_u64(frame.len());
        let mut at = to_u64(HEADER);
        // Pages since the last commit.
        let mut open = BTreeMap::new();
        loop {
            let left = self.source.len().saturating_sub(at);
            if left < step {
                self.end = if left == 0 { LogEnd::File } else { LogEnd::Torn };
                break;
            }
            self.source.read_exact_at(at, &mut frame)?;
            let (head, content) = frame.split_at(FRAME);
            if array(head, 8) != self.salt {
                self.end = LogEnd::Earlier;
                break;
            }
            sum = sum.add(head.get(..8).unwrap_or_default()).add(content);
            let (page, size) = (u32::from_be_bytes(array(head, 0)), u32::from_be_bytes(array(head, 4)));
            if !sum.is(array(head, 16)) || page == 0 {
                self.end = LogEnd::Torn;
                break;
            }
            open.insert(page, at.saturating_add(to_u64(FRAME)));
            at = at.saturating_add(step);
            self.uncommitted = self.uncommitted.saturating_add(1);
            if size != 0 {
                self.pages.append(&mut open);
                self.size = Some(size);
                self.frames = self.frames.saturating_add(std::mem::take(&mut self.uncommitted));
            }
        }
        Ok(())
    }

    /// Where a page lies in the log, if it has it.
    pub(super) fn place(&self, page: u32) -> Option<u64> {
        self.pages.get(&page).copied()
    }

    pub(super) fn pages(&self) -> u64 {
        to_u64(self.pages.len())
    }

    /// The file.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether the file is still the same log: it may have grown, but was not begun anew, so that what was read of it
    /// is there.
    #[must_use]
    pub fn is_same(&self) -> bool {
        if self.end == LogEnd::Header || self.source.is_empty() {
            return self.source.changed().is_none();
        }
        self.source.head(HEADER).is_ok_and(|header| array(&header, 16) == self.salt)
    }
}

/// What checksums begin with, if this is the header of a log.
fn begin(header: &[u8], page_size: u32) -> Option<Sum> {
    let magic = u32::from_be_bytes(array(header, 0));
    let right = header.len() == HEADER
        && magic & !1 == MAGIC
        && u32::from_be_bytes(array(header, 4)) == VERSION
        && u32::from_be_bytes(array(header, 8)) == page_size;
    let sum = Sum { big_endian: magic & 1 == 1, halves: (0, 0) }.add(header.get(..24).unwrap_or_default());
    (right && sum.is(array(header, 24))).then_some(sum)
}
