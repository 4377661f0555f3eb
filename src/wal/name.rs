//! Names in `member/wal`.

use std::fmt;

use crate::words::ids::RaftIndex;

/// The name of a segment, `%016x-%016x.wal`. Ordered as etcd orders the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentName {
    /// Counts the segments of a member, from 0.
    pub sequence: u64,
    /// The first raft index expected in the segment: the last saved one plus 1; 0 in the first segment.
    pub index: RaftIndex,
}

impl SegmentName {
    /// A log's first segment.
    pub const FIRST: SegmentName = SegmentName { sequence: 0, index: RaftIndex::new(0) };

    /// Reads a name as leniently as etcd does (`wal.parseWALName`, a scanf): each number may have fewer than 16 digits.
    #[must_use]
    pub fn parse(name: &str) -> Option<SegmentName> {
        let (sequence, index) = name.strip_suffix(".wal")?.split_once('-')?;
        Some(SegmentName { sequence: hex16(sequence)?, index: hex16(index)?.into() })
    }
}

fn hex16(digits: &str) -> Option<u64> {
    let good = (1..=16).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_hexdigit());
    good.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
}

impl fmt::Display for SegmentName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}.wal", self.sequence, self.index.get())
    }
}

/// What a file in `member/wal` is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A segment.
    Segment(SegmentName),
    /// `0.tmp`, `1.tmp`: the next segment, being preallocated. Holds nothing.
    Preallocated,
    /// `*.wal.broken`: the copy etcd made of a segment before it cut a torn record off.
    Broken,
    /// Not etcd's.
    Other,
}

/// Tells what a file is by its name.
#[must_use]
pub fn classify(name: &str) -> FileKind {
    if let Some(segment) = SegmentName::parse(name) {
        FileKind::Segment(segment)
    } else if name.ends_with(".tmp") {
        FileKind::Preallocated
    } else if name.strip_suffix(".broken").is_some_and(|n| SegmentName::parse(n).is_some()) {
        FileKind::Broken
    } else {
        FileKind::Other
    }
}

/// The position of the last segment whose index is at most `index`: where reading for that index starts
/// (`wal.searchIndex`).
#[must_use]
pub fn search(names: &[SegmentName], index: RaftIndex) -> Option<usize> {
    names.iter().rposition(|name| name.index <= index)
}

/// The position of the first segment whose sequence number does not follow its predecessor's (`wal.isValidSeq`, which
/// overlooks a gap right after segment 0; this does not).
#[must_use]
pub fn sequence_gap(names: &[SegmentName]) -> Option<usize> {
    let pairs = names.iter().zip(names.iter().skip(1));
    pairs
        .enumerate()
        .find(|(_, (a, b))| a.sequence.checked_add(1) != Some(b.sequence))
        .map(|(i, _)| i.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(sequence: u64, index: u64) -> SegmentName {
        SegmentName { sequence, index: RaftIndex::new(index) }
    }

    #[test]
    fn names_parse_as_etcd_scans_them() {
        assert_eq!(SegmentName::parse("0000000000000000-0000000000000000.wal"), Some(name(0, 0)));
        assert_eq!(SegmentName::parse("0000000000000010-00000000000000ff.wal"), Some(name(16, 255)));
        assert_eq!(SegmentName::parse("1-2.wal"), Some(name(1, 2)));
        assert_eq!(
            SegmentName::parse("ffffffffffffffff-ffffffffffffffff.wal"),
            Some(name(u64::MAX, u64::MAX))
        );
        for bad in [
            "0000000000000000.wal",
            "0000000000000000-0000000000000000.snap",
            "0000000000000000-0000000000000000.wal.broken",
            "-1-+2.wal",
            "00000000000000000-0000000000000000.wal",
            "0-.wal",
            "",
            "0.tmp",
        ] {
            assert_eq!(SegmentName::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_name_prints_as_it_was_read() {
        let text = "000000000000002a-0000000000001001.wal";
        assert_eq!(SegmentName::parse(text).unwrap().to_string(), text);
    }

    #[test]
    fn other_files_are_told_apart() {
        assert_eq!(classify("0.tmp"), FileKind::Preallocated);
        assert_eq!(classify("0000000000000000-0000000000000000.wal.broken"), FileKind::Broken);
        assert_eq!(classify("lost+found"), FileKind::Other);
    }

    #[test]
    fn reading_starts_in_the_last_segment_at_or_before_the_index() {
        let even = [name(0, 0), name(1, 0x1000), name(2, 0x2000)];
        assert_eq!(search(&even, RaftIndex::new(0x1000)), Some(1));
        assert_eq!(search(&even, RaftIndex::new(0xfff)), Some(0));
        let same = [name(1, 0), name(2, 0), name(3, 0)];
        assert_eq!(search(&same, RaftIndex::new(0)), Some(2));
        assert_eq!(search(&[name(1, 0x10), name(2, 0x20)], RaftIndex::new(0xf)), None);
    }

    #[test]
    fn sequence_numbers_must_follow_each_other() {
        assert_eq!(sequence_gap(&[]), None);
        assert_eq!(sequence_gap(&[name(7, 9)]), None);
        assert_eq!(sequence_gap(&[name(0, 0), name(1, 4), name(2, 9)]), None);
        assert_eq!(sequence_gap(&[name(1, 0), name(2, 4), name(4, 9)]), Some(2));
        assert_eq!(sequence_gap(&[name(0, 0), name(2, 4)]), Some(1));
    }
}
