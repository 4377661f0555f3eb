//! The partitions of a disk: GPT, and MBR with its logical ones.
//!
//! ```text
//! MBR  446 four entries of 16 bytes: 4 type   8 first sector, u32   12 sectors, u32;   510 0x55 0xaa
//! GPT  sector 1: "EFI PART"   72 sector of the entries, u64   80 how many, u32   84 bytes of each, u32
//!      an entry: 0 type, zeros for none   32 first sector, u64   40 last one, u64
//! ```
//! Fields at fixed places, of which three are wanted: what writes and repairs tables would be more than all of this.

use crate::codec::{array_at, slice_at, to_usize};
use crate::io::Source;
use crate::words::error::Corrupt;

/// Entries that are looked at.
const MOST: u32 = 1024;
/// Logical partitions.
const LOGICAL: u32 = 64;

fn sector_of_gpt(front: &[u8]) -> Option<u64> {
    [512, 4096]
        .into_iter()
        .find(|sector| slice_at(front, *sector, 8) == Some(b"EFI PART"))
        .and_then(|n| u64::try_from(n).ok())
}

/// The entries of an MBR: type, first sector, sectors.
fn entries(sector: &[u8]) -> Option<Vec<(u8, u64, u64)>> {
    if slice_at(sector, 510, 2) != Some(b"\x55\xaa") {
        return None;
    }
    let entries = slice_at(sector, 446, 64)?.chunks_exact(16);
    let entry = |entry: &[u8]| {
        let word = |at| array_at(entry, at).map_or(0, |word| u64::from(u32::from_le_bytes(word)));
        let plain = matches!(entry.first(), Some(0 | 0x80));
        plain.then(|| (entry.get(4).copied().unwrap_or(0), word(8), word(12)))
    };
    entries.map(entry).collect()
}

/// Whether a disk that has partitions begins so.
pub(super) fn begins(front: &[u8]) -> bool {
    let used = |all: Vec<(u8, u64, u64)>| {
        all.iter().any(|(kind, first, count)| *kind != 0 && *first > 0 && *count > 0)
    };
    sector_of_gpt(front).is_some() || entries(front).is_some_and(used)
}

/// A partition: its number, where it begins, and its bytes.
pub(super) type Partition = (u32, u64, u64);

/// The partitions of a disk, as far as they are on it.
pub(super) fn partitions(disk: &Source) -> Result<Vec<Partition>, Box<Corrupt>> {
    let front = disk.head(8192)?;
    let mut found = match sector_of_gpt(&front) {
        Some(sector) => of_gpt(disk, sector)?,
        None => of_mbr(disk, &front)?,
    };
    found.retain(|(_, at, len)| *len > 0 && at.checked_add(*len).is_some_and(|end| end <= disk.len()));
    Ok(found)
}

fn of_gpt(disk: &Source, sector: u64) -> Result<Vec<Partition>, Box<Corrupt>> {
    let mut header = [0; 92];
    disk.read_exact_at(sector, &mut header)?;
    let word = |at| array_at(&header, at).map_or(0, u32::from_le_bytes);
    let at = array_at(&header, 72).map_or(0, u64::from_le_bytes).saturating_mul(sector);
    let (count, size) = (word(80).min(MOST), word(84).clamp(56, 4096));
    let mut found = Vec::new();
    for number in 0..count {
        let mut entry = vec![0; to_usize(u64::from(size))];
        disk.read_exact_at(at.saturating_add(u64::from(number).saturating_mul(u64::from(size))), &mut entry)?;
        let long = |at| array_at(&entry, at).map_or(0, u64::from_le_bytes);
        if slice_at(&entry, 0, 16).is_some_and(|kind| kind.iter().any(|byte| *byte != 0)) {
            let sectors = long(40).saturating_add(1).saturating_sub(long(32));
            found.push((
                number.saturating_add(1),
                long(32).saturating_mul(sector),
                sectors.saturating_mul(sector),
            ));
        }
    }
    Ok(found)
}

fn of_mbr(disk: &Source, front: &[u8]) -> Result<Vec<Partition>, Box<Corrupt>> {
    let bytes = |sectors: u64| sectors.saturating_mul(512);
    let mut found = Vec::new();
    for (number, (kind, first, count)) in (1..).zip(entries(front).unwrap_or_default()) {
        match kind {
            0 => {}
            0x05 | 0x0f | 0x85 => logical(disk, first, &mut found)?,
            _ => found.push((number, bytes(first), bytes(count))),
        }
    }
    found.sort_unstable();
    Ok(found)
}

/// Logical partitions, which are listed one in another: the first entry is one, the second leads to the next.
fn logical(disk: &Source, extended: u64, found: &mut Vec<Partition>) -> Result<(), Box<Corrupt>> {
    let mut table = extended;
    for number in 5..LOGICAL {
        let mut sector = [0; 512];
        disk.read_exact_at(table.saturating_mul(512), &mut sector)?;
        let all = entries(&sector).unwrap_or_default();
        let [(kind, first, count), (more, next, _), ..] = all.as_slice() else { return Ok(()) };
        if *kind != 0 {
            found.push((number, table.saturating_add(*first).saturating_mul(512), count.saturating_mul(512)));
        }
        if *more == 0 {
            return Ok(());
        }
        table = extended.saturating_add(*next);
    }
    Ok(())
}
