//! What the journal of a volume has and its place does not yet (`fs/jbd2/recovery.c`): big-endian, blocks as those of
//! the volume.
//!
//! ```text
//! 0 0xC03B3998   4 kind: 1 blocks that follow, 2 all before is done, 4 the first block, 5 blocks not to be taken
//! 8 number of the transaction
//! ```
//! A transaction counts if its end is there and, where the journal has checksums, its checksum and those of its blocks
//! hold; the first that does not ends the journal, as the power went then.

use std::collections::BTreeMap;

use super::inode::Inode;
use super::volume::{Found, InJournal, MAGIC, Volume, Wrong, damaged, wide};
use crate::codec::{array_at, slice_at, to_u64, to_usize};
use crate::io::pieces::Piece;

const REVOKES: u32 = 1;
const WIDE: u32 = 2;
const ASYNC: u32 = 4;
const SUMS_2: u32 = 8;
const SUMS_3: u32 = 0x10;

fn u32_be(bytes: &[u8], at: usize) -> Option<u32> {
    array_at(bytes, at).map(u32::from_be_bytes)
}

/// CRC-32C as the kernel has it, which neither begins nor ends with an inversion.
fn sum(seed: u32, bytes: &[u8]) -> u32 {
    !crc32c::crc32c_append(!seed, bytes)
}

struct Journal<'j> {
    ext: &'j Volume,
    pieces: Vec<Piece>,
    features: u32,
    seed: u32,
    first: u64,
    end: u64,
}

/// Reads the journal in an inode.
pub(super) fn read(ext: &Volume, inode: &Inode) -> Found<BTreeMap<u64, InJournal>> {
    let pieces = inode.pieces(ext)?;
    let mut journal = Journal { ext, pieces, features: 0, seed: 0, first: 1, end: u64::MAX };
    let head = journal.block(0)?.1;
    let word = |at| u32_be(&head, at).unwrap_or(0);
    if head.first_chunk() != Some(&MAGIC) || !matches!(word(4), 3 | 4) {
        return Err(damaged(inode.at, "its journal does not begin as one"));
    }
    let features = if word(4) == 4 { word(0x28) } else { 0 };
    if features & !(REVOKES | WIDE | ASYNC | SUMS_2 | SUMS_3) != 0 {
        return Err(Wrong::Unread(format!(
            "is an ext volume whose journal has features that are not read here ({features:#x})"
        )));
    }
    if u64::from(word(0x0c)) != ext.block {
        return Err(damaged(
            inode.at,
            format!("blocks of its journal have {} bytes, its own {}", word(0x0c), ext.block),
        ));
    }
    journal.features = features;
    journal.seed = sum(u32::MAX, slice_at(&head, 0x30, 16).unwrap_or_default());
    (journal.first, journal.end) = (u64::from(word(0x14)), u64::from(word(0x10)));
    if word(0x1c) == 0 {
        return Ok(BTreeMap::new());
    }
    journal.transactions(u64::from(word(0x1c)), word(0x18))
}

/// Blocks of a transaction whose end was not seen yet, and what it says is not to be taken.
#[derive(Default)]
struct Pending {
    blocks: Vec<(u64, InJournal)>,
    revoked: Vec<u64>,
    /// A block of it that is not what was written, as its checksum says.
    torn: Option<u64>,
}

impl Journal<'_> {
    fn sums(&self) -> bool {
        self.features & (SUMS_2 | SUMS_3) != 0
    }

    /// A block of the journal, and where it is.
    fn block(&self, number: u64) -> Found<(u64, Vec<u8>)> {
        let at = number.saturating_mul(self.ext.block);
        let holds = |piece: &&Piece| (piece.at..piece.end()).contains(&at);
        let piece = self.pieces.get(self.pieces.partition_point(|piece| piece.end() <= at));
        let piece = piece
            .filter(holds)
            .ok_or_else(|| damaged(at, format!("block {number} of its journal is not there")))?;
        let place =
            piece.from.saturating_add(at.saturating_sub(piece.at)).checked_div(self.ext.block).unwrap_or(0);
        Ok((place, self.ext.block(place)?))
    }

    fn next(&self, number: u64) -> u64 {
        let next = number.saturating_add(1);
        if next >= self.end { self.first } else { next }
    }

    fn transactions(&self, start: u64, sequence: u32) -> Found<BTreeMap<u64, InJournal>> {
        let (mut at, mut sequence) = (start, sequence);
        let mut done: BTreeMap<u64, (u32, InJournal)> = BTreeMap::new();
        let mut revoked: BTreeMap<u64, u32> = BTreeMap::new();
        let mut pending = Pending::default();
        let blocks =
            self.pieces.iter().map(|piece| piece.len).sum::<u64>().checked_div(self.ext.block).unwrap_or(0);
        // No block is part of it twice.
        let mut left = blocks.min(self.end);
        let mut take = |count: u64| -> Found<()> {
            left = left.checked_sub(count).ok_or_else(|| damaged(0, "its journal goes round in a circle"))?;
            Ok(())
        };
        while take(1).is_ok() {
            let (_, block) = self.block(at)?;
            if block.first_chunk() != Some(&MAGIC) || u32_be(&block, 8) != Some(sequence) {
                break;
            }
            at = self.next(at);
            match u32_be(&block, 4) {
                Some(1) => {
                    if !self.tail_holds(&block) {
                        break;
                    }
                    let before = pending.blocks.len();
                    self.tags(&block, sequence, &mut at, &mut pending)?;
                    if take(to_u64(pending.blocks.len().saturating_sub(before))).is_err() {
                        break;
                    }
                }
                Some(2) => {
                    if !self.end_holds(&block) {
                        break;
                    }
                    let Pending { blocks, revoked: not, torn } = std::mem::take(&mut pending);
                    if let Some(number) = torn {
                        let what = format!(
                            "the journal has block {number} in transaction {sequence}, and not as it was written"
                        );
                        return Err(damaged(number.saturating_mul(self.ext.block), what));
                    }
                    done.extend(blocks.into_iter().map(|(number, copy)| (number, (sequence, copy))));
                    revoked.extend(not.into_iter().map(|number| (number, sequence)));
                    sequence = sequence.wrapping_add(1);
                }
                Some(5) if self.tail_holds(&block) => pending.revoked.extend(self.revoked(&block)),
                _ => break,
            }
        }
        // Numbers of transactions go round.
        let later = |a: u32, b: u32| a.wrapping_sub(b) < 1 << 31 && a != b;
        done.retain(|number, (of, _)| revoked.get(number).is_none_or(|not| later(*of, *not)));
        Ok(done.into_iter().map(|(number, (_, copy))| (number, copy)).collect())
    }

    /// Whether the checksum at the end of a block is right, if there is one.
    fn tail_holds(&self, block: &[u8]) -> bool {
        let Some((rest, due)) = block.split_last_chunk().filter(|_| self.sums()) else { return true };
        sum(sum(self.seed, rest), &[0; 4]) == u32::from_be_bytes(*due)
    }

    /// Whether the checksum of the end of a transaction is right, if there is one.
    fn end_holds(&self, block: &[u8]) -> bool {
        let (Some(before), Some(due), Some(rest)) = (block.get(..16), u32_be(block, 16), block.get(20..))
        else {
            return false;
        };
        !self.sums() || sum(sum(sum(self.seed, before), &[0; 4]), rest) == due
    }

    /// The blocks that follow one that lists them.
    fn tags(&self, block: &[u8], sequence: u32, at: &mut u64, pending: &mut Pending) -> Found<()> {
        let (three, long) = (self.features & SUMS_3 != 0, self.features & WIDE != 0);
        let len = match (three, self.features & SUMS_2 != 0, long) {
            (true, ..) => 16,
            (_, two, long) => {
                8usize.saturating_add(if two { 2 } else { 0 }).saturating_add(if long { 4 } else { 0 })
            }
        };
        let end = block.len().saturating_sub(if self.sums() { 4 } else { 0 });
        let mut from = 12usize;
        while let Some(tag) = slice_at(block, from, len).filter(|_| from.saturating_add(len) <= end) {
            let flags = if three {
                u32_be(tag, 4)
            } else {
                array_at(tag, 6).map(|two| u32::from(u16::from_be_bytes(two)))
            };
            let flags = flags.unwrap_or(0);
            let high = if long { u32_be(tag, 8).unwrap_or(0) } else { 0 };
            let number = wide(u32_be(tag, 0).unwrap_or(0), high);
            let (place, copy) = self.block(*at)?;
            *at = self.next(*at);
            let is = sum(sum(self.seed, &sequence.to_be_bytes()), &copy);
            let holds = match (three, self.sums()) {
                (true, _) => u32_be(tag, 12) == Some(is),
                (false, true) => slice_at(tag, 4, 2) == is.to_be_bytes().get(2..),
                (false, false) => true,
            };
            if !holds {
                pending.torn = pending.torn.or(Some(number));
            }
            pending.blocks.push((number, InJournal { block: place, escaped: flags & 1 != 0 }));
            from = from.saturating_add(len).saturating_add(if flags & 2 == 0 { 16 } else { 0 });
            if flags & 8 != 0 {
                break;
            }
        }
        Ok(())
    }

    fn revoked(&self, block: &[u8]) -> Vec<u64> {
        let len = if self.features & WIDE == 0 { 4 } else { 8 };
        let end = to_usize(u64::from(u32_be(block, 12).unwrap_or(0))).min(block.len());
        let all = block.get(16..end).unwrap_or_default().chunks_exact(len);
        all.map(|number| number.iter().fold(0, |number, byte| number << 8 | u64::from(*byte))).collect()
    }
}
