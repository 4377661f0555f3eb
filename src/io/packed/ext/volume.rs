//! What a volume says of itself, and its blocks.

use std::collections::BTreeMap;

use crate::codec::{array_at, slice_at, to_usize};
use crate::io::Source;
use crate::words::corrupt::{At, Corrupt};
use crate::words::finding::Code;

/// What a volume may have that is read here: types in directories, a journal to be applied, extents, 64 bits, the
/// guard against two mounts, flexible groups, large attributes, seeds, large directories, data in inodes, encryption
/// and names without case, of which the last three are told where a file has them.
const READ: u32 =
    0x2 | 0x4 | 0x40 | 0x80 | 0x100 | 0x200 | 0x400 | 0x2000 | 0x4000 | 0x8000 | 0x1_0000 | 0x2_0000;
const TO_BE_APPLIED: u32 = 0x4;
const WIDE: u32 = 0x80;
/// How a block of the journal begins.
pub(super) const MAGIC: [u8; 4] = [0xc0, 0x3b, 0x39, 0x98];

pub(super) type Found<T> = std::result::Result<T, Wrong>;

/// Why something of a volume is not read.
#[derive(Debug)]
pub(super) enum Wrong {
    Corrupt(Box<Corrupt>),
    /// It is whole, and of a kind that is not read.
    Unread(String),
}

impl From<Box<Corrupt>> for Wrong {
    fn from(corrupt: Box<Corrupt>) -> Wrong {
        Wrong::Corrupt(corrupt)
    }
}

pub(super) fn damaged(at: u64, what: impl Into<String>) -> Wrong {
    Wrong::Corrupt(Corrupt::new(
        Code::PackedDamaged,
        At::offset(at),
        format!("the ext volume is damaged: {}", what.into()),
    ))
}

/// Whether a front, of at least 1100 bytes, is that of a volume.
pub fn begins(front: &[u8]) -> bool {
    let word = |at| array_at(front, at).map(u32::from_le_bytes);
    slice_at(front, 1080, 2) == Some(b"\x53\xef")
        && word(1048).is_some_and(|log| log <= 6)
        && [1024, 1028, 1056, 1064].iter().all(|at| word(*at).is_some_and(|count| count > 0))
}

/// A block that is read from the journal.
#[derive(Debug, Clone, Copy)]
pub(super) struct InJournal {
    /// Which block of the volume it is in.
    pub block: u64,
    /// Whether it began with the journal's own magic, which is zeros in the journal.
    pub escaped: bool,
}

impl InJournal {
    pub fn unescape(self, bytes: &mut [u8]) {
        if let Some(first) = bytes.first_chunk_mut().filter(|_| self.escaped) {
            *first = MAGIC;
        }
    }
}

/// A volume.
#[derive(Debug)]
pub(super) struct Volume {
    pub source: Source,
    pub block: u64,
    pub blocks: u64,
    pub inodes: u32,
    pub inodes_a_group: u32,
    pub inode_size: u64,
    /// Where the descriptors of groups are, and how long one is.
    pub groups: (u64, u64),
    /// Blocks that are read from the journal.
    pub journal: BTreeMap<u64, InJournal>,
    /// Whether the journal was to be applied.
    pub applied: bool,
    /// The inode of the journal.
    pub journal_inode: u32,
}

pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    array_at(bytes, at).map(u16::from_le_bytes)
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_le_bytes)
}

pub(super) fn wide(low: u32, high: u32) -> u64 {
    u64::from(low) | u64::from(high) << 32
}

impl Volume {
    pub fn read(source: &Source) -> Found<Volume> {
        let mut head = [0; 1024];
        source.read_exact_at(1024, &mut head)?;
        let word = |at| u32_at(&head, at).unwrap_or(0);
        let revised = word(0x4c) > 0;
        let known = if revised { word(0x60) } else { 0 };
        if known & !READ != 0 {
            let what =
                format!("is an ext volume with features that are not read here ({:#x})", known & !READ);
            return Err(Wrong::Unread(what));
        }
        let block = 1024u64.checked_shl(word(0x18)).filter(|block| (1024..=1 << 16).contains(block));
        let inode_size = if revised { u64::from(u16_at(&head, 0x58).unwrap_or(0)) } else { 128 };
        let descriptor = if known & WIDE == 0 { 32 } else { u64::from(u16_at(&head, 0xfe).unwrap_or(0)) };
        let (Some(block), true, true) =
            (block, inode_size.is_power_of_two(), (32..=1024).contains(&descriptor))
        else {
            return Err(damaged(1024, "its superblock tells sizes that there are not"));
        };
        if !(128..=block).contains(&inode_size) || word(0x28) == 0 {
            return Err(damaged(
                1024,
                format!("its superblock says {inode_size} bytes an inode, {} a group", word(0x28)),
            ));
        }
        let blocks = wide(word(4), if known & WIDE == 0 { 0 } else { word(0x150) });
        let first = u64::from(word(0x14)).saturating_add(1);
        Ok(Volume {
            source: source.clone(),
            block,
            blocks,
            inodes: word(0),
            inodes_a_group: word(0x28),
            inode_size,
            groups: (first.saturating_mul(block), descriptor),
            journal: BTreeMap::new(),
            applied: known & TO_BE_APPLIED != 0,
            journal_inode: word(0xe0),
        })
    }

    /// A block, as it is once the journal is applied.
    pub fn block(&self, number: u64) -> Found<Vec<u8>> {
        let mut bytes = vec![0; to_usize(self.block)];
        let at = |number: u64| number.saturating_mul(self.block);
        if number >= self.blocks {
            return Err(damaged(
                at(number),
                format!("block {number} is asked for, and it has {}", self.blocks),
            ));
        }
        match self.journal.get(&number) {
            Some(copy) => {
                self.source.read_exact_at(at(copy.block), &mut bytes)?;
                copy.unescape(&mut bytes);
            }
            None => self.source.read_exact_at(at(number), &mut bytes)?,
        }
        Ok(bytes)
    }

    pub fn bytes_at(&self, at: u64, len: usize) -> Found<Vec<u8>> {
        let (number, within) =
            (at.checked_div(self.block).unwrap_or(0), to_usize(at.checked_rem(self.block).unwrap_or(0)));
        let block = self.block(number)?;
        slice_at(&block, within, len)
            .map(<[u8]>::to_vec)
            .ok_or_else(|| damaged(at, "what is here crosses a block"))
    }

    /// How many bytes so many blocks are.
    pub fn in_bytes(&self, blocks: u64) -> u64 {
        blocks.saturating_mul(self.block)
    }
}
