//! One flipped bit in what etcd stores: what the trailer sees, what the history sees when somebody made the trailer
//! fit, and what only a hash can see.

use std::collections::BTreeMap;
use std::ops::Range;

use coldbolt::Code;
use coldbolt::etcd::BucketKey;
use coldbolt::io::Source;
use coldbolt::ops::verify::{Level, Verdict, Verification, VerifyOptions, verify};
use coldbolt::words::monitor::Quiet;

use support::image::{self, Image};

fn run(image: &Image, level: Level) -> Verification {
    let options = VerifyOptions { level, ..VerifyOptions::default() };
    verify(Source::from_bytes("file.db", image.bytes.clone()), &options, &Quiet).unwrap()
}

/// A field of a `KeyValue`: 1 key, 2 create revision, 3 mod revision, 4 version, 5 value, 6 lease; and where its
/// content lies.
fn fields(bytes: &[u8], at: Range<usize>) -> Vec<(u8, Range<usize>)> {
    let varint = |mut at: usize| {
        let (from, mut n) = (at, 0);
        loop {
            n |= usize::from(bytes[at] & 0x7f) << (7 * (at - from));
            at += 1;
            if bytes[at - 1] < 0x80 {
                return (n, at);
            }
        }
    };
    let (mut found, mut pos) = (Vec::new(), at.start);
    while pos < at.end {
        let tag = bytes[pos];
        let (n, after) = varint(pos + 1);
        let content = if tag & 7 == 2 { after..after + n } else { pos + 1..after };
        pos = content.end;
        found.push((tag >> 3, content));
    }
    found
}

/// A stored revision.
struct Stored {
    main: i64,
    tombstone: bool,
    key: Range<usize>,
    /// Each field's number and where its content lies.
    fields: Vec<(u8, Range<usize>)>,
    /// Whether it is above the last compaction, or its key's newest: only those are in HashKV.
    hashed: bool,
}

/// What the compaction left of the revisions up to here is less than what happened.
const COMPACTED: i64 = 29;

fn stored(image: &Image) -> Vec<Stored> {
    let elements = image.leaves("key").into_iter().flat_map(|leaf| image.elements(leaf));
    let parse = |element: image::Element| {
        let key = BucketKey::parse(&image.bytes[element.key.clone()]).unwrap();
        let fields = fields(&image.bytes, element.value);
        Stored {
            main: key.revision.main,
            tombstone: key.tombstone,
            key: element.key,
            fields,
            hashed: key.revision.main > COMPACTED,
        }
    };
    let mut rows: Vec<Stored> = elements.map(parse).collect();
    let name = |row: &Stored| {
        image.bytes[row.fields.iter().find(|(field, _)| *field == 1).unwrap().1.clone()].to_vec()
    };
    let newest: BTreeMap<Vec<u8>, usize> = rows.iter().enumerate().map(|(i, row)| (name(row), i)).collect();
    newest.values().for_each(|i| rows[*i].hashed |= !rows[*i].tombstone);
    rows
}

fn values(image: &Image, which: fn(&Stored) -> bool) -> impl Iterator<Item = usize> {
    let rows = stored(image).into_iter().filter(which);
    rows.flat_map(|row| row.fields).filter(|(field, _)| *field == 5).flat_map(|(_, content)| content)
}

/// Flips one bit of each of these bytes in turn and judges what `verify` says; the trailer is made to fit for the
/// levels past it.
fn each(
    image: &Image,
    at: impl Iterator<Item = usize>,
    level: Level,
    mut judge: impl FnMut(usize, Verification),
) -> usize {
    let mut flipped = image.clone();
    let mut count = 0;
    for at in at {
        flipped.bytes[at] ^= 1 << (at % 8);
        if level > Level::Bytes {
            flipped.seal();
        }
        judge(at, run(&flipped, level));
        flipped.bytes[at] = image.bytes[at];
        count += 1;
    }
    count
}

#[test]
fn a_flip_in_any_byte_of_any_users_value_is_caught_at_level_bytes() {
    let image = Image::pristine();
    let count = each(&image, values(&image, |_| true), Level::Bytes, |at, report| {
        assert_eq!(report.verdict, Verdict::Bad, "byte {at:#x}");
        assert_eq!(
            report.finding_counts.keys().copied().collect::<Vec<_>>(),
            [Code::TrailerMismatch],
            "byte {at:#x}"
        );
    });
    assert!(count > 1000, "{count}");
}

#[test]
fn a_flip_in_any_byte_of_the_file_is_caught_at_level_bytes() {
    let image = Image::pristine();
    each(&image, (0..image.bytes.len()).step_by(7), Level::Bytes, |at, report| {
        assert_eq!(report.verdict, Verdict::Bad, "byte {at:#x}");
    });
}

/// Nothing in the file says what a value should be: with a trailer that fits, only a hash tells the file from another
/// member's. HashKV covers what is above the compaction, and below it what is still a key's newest; the status hash
/// covers everything.
#[test]
fn a_flip_in_a_users_value_under_a_trailer_that_fits_is_invisible_but_for_the_hashes() {
    let image = Image::pristine();
    let good = run(&image, Level::Restore).measured;
    assert_eq!((good.hashkv, good.compact_revision), (Some(3_594_300_538), Some(COMPACTED)));
    let hashed = each(&image, values(&image, |row| row.hashed), Level::Restore, |at, report| {
        assert_eq!(report.verdict, Verdict::Good, "byte {at:#x}: {:?}", report.findings);
        assert_ne!(report.measured.hashkv, good.hashkv, "byte {at:#x}");
        assert_ne!(report.measured.status_hash, good.status_hash, "byte {at:#x}");
    });
    let superseded = each(&image, values(&image, |row| !row.hashed), Level::Restore, |at, report| {
        assert_eq!(report.verdict, Verdict::Good, "byte {at:#x}: {:?}", report.findings);
        assert_eq!(report.measured.hashkv, good.hashkv, "byte {at:#x}");
        assert_ne!(report.measured.status_hash, good.status_hash, "byte {at:#x}");
    });
    eprintln!("{hashed} bytes of values that HashKV covers, {superseded} that it does not");
}

/// Of what the history says of itself, the mod revision is said twice; create revision and version follow from the
/// version before, where the compaction left that. What is left is invisible in one file: a key's name, a lease's
/// number; the status hash differs.
#[test]
fn a_flip_in_what_the_history_says_of_itself_is_caught_under_a_trailer_that_fits() {
    let image = Image::pristine();
    let good = run(&image, Level::Restore).measured;
    // Flips and those that are caught, by field of the KeyValue and whether it is above the compaction.
    let mut seen: BTreeMap<(u8, bool), (u32, u32)> = BTreeMap::new();
    for row in stored(&image) {
        for (field, content) in row.fields.into_iter().filter(|(field, _)| *field != 5) {
            each(&image, content, Level::Restore, |at, report| {
                let (all, caught) = seen.entry((field, row.main > COMPACTED)).or_default();
                *all += 1;
                *caught += u32::from(report.verdict == Verdict::Bad);
                assert_ne!(report.measured.status_hash, good.status_hash, "field {field}, byte {at:#x}");
            });
        }
    }
    eprintln!("flipped and caught, by field and whether above the compaction: {seen:?}");
    for place in [(2, true), (3, true), (4, true), (3, false)] {
        let (all, caught) = seen[&place];
        assert_eq!(caught, all, "{place:?}: create revision, mod revision, version");
    }
}

/// Below the compaction a deletion's revision and any sub-revision are said nowhere else, and what stood beside them
/// may be gone.
#[test]
fn a_flip_in_a_revisions_key_is_caught_under_a_trailer_that_fits() {
    let image = Image::pristine();
    let good = run(&image, Level::Restore).measured;
    for row in stored(&image) {
        let sub = row.key.start + 9..row.key.end;
        each(&image, row.key, Level::Restore, |at, report| {
            let invisible = row.main <= COMPACTED && (row.tombstone || sub.contains(&at));
            assert!(report.verdict == Verdict::Bad || invisible, "byte {at:#x}, revision {}", row.main);
            assert_ne!(report.measured.status_hash, good.status_hash, "byte {at:#x}");
        });
    }
}
