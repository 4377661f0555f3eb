//! An inode, and where the blocks of its file are.
//!
//! ```text
//! 0x00 mode   0x04 size   0x20 flags   0x28 60 bytes: extents, or numbers of blocks   0x6c upper half of the size
//! extents:  0xf30a  count  most  depth  generation   then 12 bytes each: of a leaf
//!           first block in the file, u32   how many, u16: more than 32768 of them are reserved, and read as zeros
//!           where, upper 16 bits and lower 32;   of an index: first block, where lower 32 and upper 16
//! ```

use super::volume::{Found, Volume, Wrong, damaged, u16_at, u32_at, wide};
use crate::codec::{slice_at, to_usize};
use crate::io::Source;
use crate::io::pieces::{Piece, Pieces};

const EXTENTS: u32 = 0x8_0000;
const INLINE: u32 = 0x1000_0000;
const ENCRYPTED: u32 = 0x800;
/// More than that is the length of an extent that was reserved and not written.
const LONGEST: u16 = 32_768;
/// Nodes and pieces that a file may have: a file of 8 GiB in pieces of 16 KiB.
const MOST: usize = 1 << 19;
/// Levels of nodes.
const DEEPEST: u16 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum InodeKind {
    Dir,
    File,
    Other,
}

#[derive(Debug)]
pub(super) struct Inode {
    /// Where it is.
    pub at: u64,
    number: u32,
    mode: u16,
    pub size: u64,
    flags: u32,
    places: Vec<u8>,
}

impl Inode {
    /// The inode of that number.
    pub fn read(volume: &Volume, number: u32) -> Found<Inode> {
        let index = number.checked_sub(1).filter(|_| number <= volume.inodes);
        let index = index.ok_or_else(|| {
            damaged(1024, format!("inode {number} is asked for, and it has {}", volume.inodes))
        })?;
        let group = u64::from(index.checked_div(volume.inodes_a_group).unwrap_or(0));
        let (groups, descriptor) = volume.groups;
        let bytes = volume.bytes_at(
            groups.saturating_add(group.saturating_mul(descriptor)),
            to_usize(descriptor.min(64)),
        )?;
        let table = wide(u32_at(&bytes, 8).unwrap_or(0), u32_at(&bytes, 0x28).unwrap_or(0));
        let within = u64::from(index.checked_rem(volume.inodes_a_group).unwrap_or(0))
            .saturating_mul(volume.inode_size);
        let at = table.saturating_mul(volume.block).saturating_add(within);
        Inode::parse(&volume.bytes_at(at, 128)?, number, at)
    }

    fn parse(bytes: &[u8], number: u32, at: u64) -> Found<Inode> {
        let parts = || {
            let size = wide(u32_at(bytes, 4)?, u32_at(bytes, 0x6c)?);
            let (mode, flags) = (u16_at(bytes, 0)?, u32_at(bytes, 0x20)?);
            Some(Inode { at, number, mode, size, flags, places: slice_at(bytes, 0x28, 60)?.to_vec() })
        };
        parts().ok_or_else(|| damaged(at, format!("inode {number} ends early")))
    }

    pub fn kind(&self) -> InodeKind {
        match self.mode & 0xf000 {
            0x4000 => InodeKind::Dir,
            0x8000 => InodeKind::File,
            _ => InodeKind::Other,
        }
    }

    /// What is in it, read where it lies.
    pub fn content(&self, ext: &Volume) -> Found<Source> {
        for (flag, what) in [(INLINE, "its bytes in the inode"), (ENCRYPTED, "its bytes encrypted")] {
            if self.flags & flag != 0 {
                return Err(Wrong::Unread(format!(
                    "has {what} (inode {}), which is not read here",
                    self.number
                )));
            }
        }
        Ok(ext.source.in_pieces(Pieces(self.pieces(ext)?), self.size))
    }

    /// The pieces themselves.
    pub fn pieces(&self, ext: &Volume) -> Found<Vec<Piece>> {
        let mut walk = Walk { ext, inode: self, pieces: Vec::new(), end: 0, nodes: 0 };
        if self.flags & EXTENTS == 0 {
            walk.numbers()?
        } else {
            walk.extents(&self.places, None)?
        }
        Ok(walk.pieces)
    }
}

struct Walk<'w> {
    ext: &'w Volume,
    inode: &'w Inode,
    pieces: Vec<Piece>,
    /// The block in the file where the last piece ends.
    end: u64,
    nodes: usize,
}

impl Walk<'_> {
    fn wrong(&self, what: &str) -> Wrong {
        damaged(self.inode.at, format!("inode {}: {what}", self.inode.number))
    }

    fn node(&mut self, number: u64) -> Found<Vec<u8>> {
        self.nodes = self.nodes.saturating_add(1);
        if self.nodes > MOST {
            return Err(self.wrong("its blocks are listed in too many nodes"));
        }
        self.ext.block(number)
    }

    /// Blocks of the file from `first` on, which are at `place`.
    fn add(&mut self, first: u64, count: u64, place: u64) -> Found<()> {
        if first < self.end {
            return Err(self.wrong(&format!("its block {first} is listed behind block {}", self.end)));
        }
        let end = place.checked_add(count).filter(|end| *end <= self.ext.blocks);
        let Some(end) = end else {
            return Err(self.wrong(&format!(
                "{count} blocks from {place} on are listed, and the volume has {}",
                self.ext.blocks
            )));
        };
        self.end = first.saturating_add(count);
        let (mut file, mut disk) = (first, place);
        // What the journal has is read there, block by block.
        let copies: Vec<_> =
            self.ext.journal.range(place..end).map(|(number, copy)| (*number, *copy)).collect();
        for (number, copy) in copies {
            self.push(file, number.saturating_sub(disk), disk)?;
            file = file.saturating_add(number.saturating_sub(disk));
            if copy.escaped {
                return Err(Wrong::Unread(format!(
                    "has a block in its journal that is escaped (inode {}), which is not read here",
                    self.inode.number
                )));
            }
            self.push(file, 1, copy.block)?;
            (file, disk) = (file.saturating_add(1), number.saturating_add(1));
        }
        self.push(file, end.saturating_sub(disk), disk)
    }

    fn push(&mut self, file: u64, count: u64, place: u64) -> Found<()> {
        if count == 0 {
            return Ok(());
        }
        let [at, len, from] = [file, count, place].map(|blocks| self.ext.in_bytes(blocks));
        if let Some(last) = self.pieces.last_mut()
            && last.at.saturating_add(last.len) == at
            && last.from.saturating_add(last.len) == from
        {
            last.len = last.len.saturating_add(len);
            return Ok(());
        }
        if self.pieces.len() >= MOST {
            return Err(self.wrong("it lies in too many pieces"));
        }
        self.pieces.push(Piece { at, len, from });
        Ok(())
    }

    fn extents(&mut self, node: &[u8], below: Option<u16>) -> Found<()> {
        let (Some(0xf30a), Some(count), Some(depth)) = (u16_at(node, 0), u16_at(node, 2), u16_at(node, 6))
        else {
            return Err(self.wrong("a node of extents is none"));
        };
        if depth > DEEPEST || below.is_some_and(|above| above.checked_sub(1) != Some(depth)) {
            return Err(self.wrong(&format!("a node of extents is at level {depth}")));
        }
        let all = node.get(12..).unwrap_or_default();
        if usize::from(count) > all.len() / 12 {
            return Err(self.wrong(&format!(
                "a node of extents says that it has {count}, and has room for {}",
                all.len() / 12
            )));
        }
        for extent in all.chunks_exact(12).take(usize::from(count)) {
            let (low, high) = if depth == 0 { (8, 6) } else { (4, 8) };
            let place = wide(u32_at(extent, low).unwrap_or(0), u16_at(extent, high).map_or(0, u32::from));
            if depth > 0 {
                let node = self.node(place)?;
                self.extents(&node, Some(depth))?;
                continue;
            }
            let (first, count) = (u64::from(u32_at(extent, 0).unwrap_or(0)), u16_at(extent, 4).unwrap_or(0));
            match count.checked_sub(LONGEST).filter(|reserved| *reserved > 0) {
                Some(reserved) if first < self.end => {
                    return Err(self.wrong(&format!(
                        "{reserved} reserved blocks from {first} on are listed behind block {}",
                        self.end
                    )));
                }
                Some(reserved) => self.end = first.saturating_add(u64::from(reserved)),
                None => self.add(first, u64::from(count), place)?,
            }
        }
        Ok(())
    }

    /// Blocks as ext2 lists them: twelve, then blocks of their numbers, of numbers of such, and of these.
    fn numbers(&mut self) -> Found<()> {
        let places = self.inode.places.clone();
        let (direct, deeper) = places.split_at_checked(48).unwrap_or_default();
        let mut first = 0u64;
        for number in direct.chunks_exact(4) {
            self.number(first, 0, u32_at(number, 0).unwrap_or(0))?;
            first = first.saturating_add(1);
        }
        for (level, number) in (1..).zip(deeper.chunks_exact(4)) {
            self.number(first, level, u32_at(number, 0).unwrap_or(0))?;
            first = first.saturating_add(self.span(level));
        }
        Ok(())
    }

    /// Blocks below a number at that level.
    fn span(&self, level: u32) -> u64 {
        (self.ext.block / 4).saturating_pow(level)
    }

    fn number(&mut self, first: u64, level: u32, number: u32) -> Found<()> {
        if number == 0 || self.ext.in_bytes(first) >= self.inode.size {
            return Ok(());
        }
        let Some(below) = level.checked_sub(1) else { return self.add(first, 1, u64::from(number)) };
        let node = self.node(u64::from(number))?;
        let mut first = first;
        for number in node.chunks_exact(4) {
            self.number(first, below, u32_at(number, 0).unwrap_or(0))?;
            first = first.saturating_add(self.span(below));
        }
        Ok(())
    }
}
