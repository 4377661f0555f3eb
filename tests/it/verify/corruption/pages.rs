//! The file, its meta pages, its trailer, and every page of every tree.

use std::fs::File;

use coldbolt::bolt::cursor::MAX_DEPTH;
use coldbolt::io::Source;
use coldbolt::ops::verify::manifest::{Against, ManifestEntry};
use coldbolt::ops::verify::{VerifyOptions, verify};
use coldbolt::words::error::At;
use coldbolt::words::monitor::Quiet;
use coldbolt::{Code, Severity};

use super::{Break, Due, Entry, due, entry, nowhere, options};
use support::image::{BRANCH, FREELIST, Image, LEAF, plain_without_freelist};

/// A leaf in the middle of the tree of three levels.
fn leaf(image: &Image) -> u64 {
    image.leaves("flat")[5]
}

/// A branch page right above leaves, not the first.
fn branch(image: &Image) -> u64 {
    let above_leaves = |id: &u64| image.flags(image.elements(*id)[0].child) == LEAF;
    image.branches("flat").into_iter().filter(above_leaves).nth(1).unwrap()
}

/// The field of an element at this offset from its start.
fn field(image: &Image, page: u64, element: usize, offset: usize) -> usize {
    image.elements(page)[element].at + offset
}

fn set_key(image: &mut Image, page: u64, element: usize, key: &[u8]) {
    let place = image.elements(page)[element].key.clone();
    assert_eq!(place.len(), key.len());
    image.set(place.start, key);
}

fn key(image: &Image, page: u64, element: usize) -> Vec<u8> {
    image.bytes[image.elements(page)[element].key.clone()].to_vec()
}

/// A leaf of bucket `long` whose value takes overflow pages, and how many.
fn long(image: &Image) -> (u64, u64) {
    let id = image.leaves("long").into_iter().find(|id| image.overflow(*id) >= 2).unwrap();
    (id, image.overflow(id))
}

fn one(code: Code, at: At) -> Vec<Due> {
    vec![due(code, at)]
}

pub fn entries() -> Vec<Entry> {
    use Break::{Listed, Other, Plain, Raw, Snapshot};
    vec![
        // ---- the file ----------------------------------------------------------------------------------------------
        entry(
            Code::Unreadable,
            "the file shrinks after it was opened",
            Other(|| {
                let image = plain_without_freelist();
                let place = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(place.path(), &image.bytes).unwrap();
                let source = Source::open(place.path()).unwrap();
                let last = image.leaves("tree").into_iter().max().unwrap();
                File::options()
                    .write(true)
                    .open(place.path())
                    .unwrap()
                    .set_len(image.page(last) as u64)
                    .unwrap();
                let after = image.high_water() - last;
                let unread = image.pages(image.root(), BRANCH).len() + image.pages(image.root(), LEAF).len();
                assert!(after >= 1 && unread >= 1);
                // The root page is the last of the tree: without it nothing else is found.
                let report = verify(&source, &options(), &Quiet).unwrap();
                (
                    report,
                    vec![
                        due(Code::Unreadable, At::offset(image.page(image.root()) as u64)),
                        due(Code::InUse, nowhere()),
                    ],
                )
            }),
        ),
        entry(
            Code::Unreadable,
            "the trailer is gone after the file was opened",
            Other(|| {
                let place = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(place.path(), &Image::pristine().bytes).unwrap();
                let source = Source::open(place.path()).unwrap();
                let payload = Image::pristine().payload() as u64;
                File::options().write(true).open(place.path()).unwrap().set_len(payload).unwrap();
                let dues = vec![due(Code::Unreadable, At::offset(payload)), due(Code::InUse, nowhere())];
                (verify(&source, &options(), &Quiet).unwrap(), dues)
            }),
        ),
        entry(
            Code::InUse,
            "a process holds the lock",
            Other(|| {
                let place = tempfile::NamedTempFile::new().unwrap();
                std::fs::write(place.path(), &Image::pristine().bytes).unwrap();
                let etcd = File::options().read(true).write(true).open(place.path()).unwrap();
                etcd.lock().unwrap();
                let report = verify(Source::open(place.path()).unwrap(), &options(), &Quiet).unwrap();
                (report, one(Code::InUse, nowhere()))
            }),
        ),
        entry(
            Code::FileTooShort,
            "the last page, a free one, is cut off",
            Plain(|image| {
                image.bytes.truncate(image.bytes.len() - 1024);
                one(Code::FileTooShort, At::offset(image.bytes.len() as u64))
            }),
        ),
        entry(
            Code::FileTooShort,
            "half of the last page is cut off",
            Plain(|image| {
                image.bytes.truncate(image.bytes.len() - 512);
                one(Code::FileTooShort, At::offset(image.bytes.len() as u64))
            }),
        ),
        entry(
            Code::FileTooShort,
            "a snapshot cut in half: each page that is missed is named",
            Raw(|image| {
                let half = image.bytes.len() as u64 / 2;
                let top = image.root();
                image.bytes.truncate(half as usize);
                // The root page lies in the missing half, or else the pages that are missed are counted below.
                assert!(top * 4096 >= half, "root {top}");
                vec![due(Code::FileTooShort, At::offset(half)).times(2)]
            }),
        ),
        entry(
            Code::FileTooShort,
            "the high water mark is twice the file",
            Snapshot(|image| {
                let twice = 2 * image.high_water();
                image.set_metas(56, twice);
                one(Code::FileTooShort, At::offset(image.bytes.len() as u64))
            }),
        ),
        entry(
            Code::FileTooShort,
            "the high water mark is 2^40",
            Snapshot(|image| {
                image.set_metas(56, 1 << 40);
                one(Code::FileTooShort, At::offset(image.bytes.len() as u64))
            }),
        ),
        // ---- meta pages --------------------------------------------------------------------------------------------
        entry(
            Code::MetaInvalid,
            "the second one's checksum is wrong",
            Snapshot(|image| {
                image.bytes[4096 + 72] ^= 1;
                one(Code::MetaInvalid, image.at(1))
            }),
        ),
        entry(
            Code::MetaInvalid,
            "the first one's magic is gone",
            Snapshot(|image| {
                image.set_u32(16, 0);
                one(Code::MetaInvalid, image.at(0))
            }),
        ),
        entry(
            Code::MetaInvalid,
            "the first one's version is 3",
            Snapshot(|image| {
                image.set_u32(20, 3);
                image.seal_meta(0);
                one(Code::MetaInvalid, image.at(0))
            }),
        ),
        entry(
            Code::MetaInvalid,
            "the page header of the second has another number",
            Snapshot(|image| {
                image.set_u64(4096, 5);
                one(Code::MetaInvalid, image.at(1))
            }),
        ),
        entry(
            Code::MetaInvalid,
            "the page header of the first has a leaf's flags",
            Snapshot(|image| {
                image.set_u16(8, LEAF);
                one(Code::MetaInvalid, image.at(0))
            }),
        ),
        entry(
            Code::MetaInvalid,
            "both checksums are wrong",
            Snapshot(|image| {
                image.bytes[72] ^= 1;
                image.bytes[4096 + 72] ^= 1;
                one(Code::MetaInvalid, nowhere())
            }),
        ),
        entry(
            Code::MetaUnusable,
            "the first one's root is the high water mark",
            Snapshot(|image| {
                image.set_u64(32, image.high_water());
                image.seal_meta(0);
                one(Code::MetaUnusable, image.at(0))
            }),
        ),
        entry(
            Code::MetaUnusable,
            "the second one's root is a meta page",
            Snapshot(|image| {
                image.set_u64(4096 + 32, 1);
                image.seal_meta(4096);
                one(Code::MetaUnusable, image.at(1))
            }),
        ),
        entry(
            Code::MetaUnusable,
            "the second one has another page size",
            Snapshot(|image| {
                image.set_u32(4096 + 24, 8192);
                image.seal_meta(4096);
                one(Code::MetaUnusable, image.at(1))
            }),
        ),
        entry(
            Code::MetaUnusable,
            "both have a page size of 12345",
            Snapshot(|image| {
                image.set_u32(24, 12345);
                image.set_u32(4096 + 24, 12345);
                image.seal_metas();
                one(Code::MetaUnusable, nowhere())
            }),
        ),
        entry(
            Code::MetaFallback,
            "the newest tree is damaged, that of the commit before is whole",
            Plain(|image| {
                let root = image.copy_of(image.root());
                image.set_u64(32, root);
                image.seal_meta(0);
                image.set_u16(image.page(root) + 8, 0);
                vec![due(Code::PageType, image.at(root)), due(Code::MetaFallback, image.at(1))]
            }),
        ),
        entry(
            Code::Salvaged,
            "it was salvaged",
            Snapshot(|image| {
                let at = image.entry("meta").value.start + 8;
                image.set_u64(at, coldbolt::etcd::schema::SALVAGED);
                one(Code::Salvaged, nowhere())
            }),
        ),
        // ---- trailer -----------------------------------------------------------------------------------------------
        entry(
            Code::TrailerMismatch,
            "a byte of the trailer",
            Raw(|image| {
                let at = image.payload();
                image.bytes[at + 7] ^= 0x10;
                one(Code::TrailerMismatch, At::offset(at as u64))
            }),
        ),
        entry(
            Code::TrailerMismatch,
            "a byte that nothing else covers, in the free part of a page",
            Raw(|image| {
                let end = image.page(image.leaves("key")[0] + 1);
                image.bytes[end - 1] ^= 1;
                one(Code::TrailerMismatch, At::offset(image.payload() as u64))
            }),
        ),
        entry(
            Code::TrailerAbsent,
            "cut off to the last byte",
            Raw(|image| {
                image.bytes.truncate(image.payload());
                one(Code::TrailerAbsent, nowhere())
            }),
        ),
        entry(
            Code::TrailerZeroed,
            "32 zero bytes",
            Raw(|image| {
                let at = image.payload();
                image.set(at, &[0; 32]);
                one(Code::TrailerZeroed, At::offset(at as u64))
            }),
        ),
        entry(
            Code::TrailerCut,
            "its last 5 bytes are missing",
            Raw(|image| {
                image.bytes.truncate(image.bytes.len() - 5);
                one(Code::TrailerCut, nowhere())
            }),
        ),
        entry(
            Code::TrailingBytes,
            "512 bytes between database and trailer",
            Snapshot(|image| {
                let at = image.payload();
                image.bytes.splice(at..at, [0x55; 512]);
                one(Code::TrailingBytes, At::offset(at as u64))
            }),
        ),
        entry(
            Code::TrailingBytes,
            "a line feed after the trailer",
            Raw(|image| {
                let at = image.payload();
                image.bytes.push(b'\n');
                one(Code::TrailingBytes, At::offset(at as u64 + 32))
            }),
        ),
        // ---- pages -------------------------------------------------------------------------------------------------
        entry(
            Code::PageId,
            "a leaf's header has another number",
            Plain(|image| {
                let id = leaf(image);
                image.set_u64(image.page(id), 999);
                one(Code::PageId, image.at(id))
            }),
        ),
        entry(
            Code::PageId,
            "a leaf is all zeros",
            Plain(|image| {
                let id = leaf(image);
                image.set(image.page(id), &[0; 1024]);
                one(Code::PageId, image.at(id))
            }),
        ),
        entry(
            Code::PageId,
            "a leaf of etcd's keys: what they held is not missed twice",
            Snapshot(|image| {
                let id = image.leaves("key")[1];
                image.set_u64(image.page(id), 999);
                one(Code::PageId, image.at(id))
            }),
        ),
        entry(
            Code::PageId,
            "with a freelist, what only that page leads to belongs to nobody",
            Listed(|image| {
                let id = branch(image);
                let below = image.elements(id).len() as u64;
                image.set_u64(image.page(id), 999);
                // The page itself and the leaves below it are neither reached nor listed as free; bbolt check reports
                // them too.
                let first = image.elements(id).iter().map(|e| e.child).chain([id]).min().unwrap();
                vec![due(Code::PageId, image.at(id)), due(Code::PageLeaked, image.at(first)).times(below + 1)]
            }),
        ),
        entry(
            Code::PageType,
            "a leaf without flags",
            Plain(|image| {
                let id = leaf(image);
                image.set_u16(image.page(id) + 8, 0);
                one(Code::PageType, image.at(id))
            }),
        ),
        entry(
            Code::PageType,
            "a leaf that is a branch too",
            Plain(|image| {
                let id = leaf(image);
                image.set_u16(image.page(id) + 8, LEAF | BRANCH);
                one(Code::PageType, image.at(id))
            }),
        ),
        entry(
            Code::PageType,
            "a freelist page where a leaf is due",
            Plain(|image| {
                let id = leaf(image);
                image.set_u16(image.page(id) + 8, FREELIST);
                one(Code::PageType, image.at(id))
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "a child is the high water mark",
            Plain(|image| {
                let at = field(image, branch(image), 3, 8);
                let place = image.at(branch(image)).element(3);
                let high = image.high_water();
                image.set_u64(at, high);
                one(Code::PageOutOfRange, place)
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "a child is page 999999",
            Plain(|image| {
                let at = field(image, branch(image), 3, 8);
                let place = image.at(branch(image)).element(3);
                image.set_u64(at, 999_999);
                one(Code::PageOutOfRange, place)
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "a child is page 2^60",
            Plain(|image| {
                let at = field(image, branch(image), 3, 8);
                let place = image.at(branch(image)).element(3);
                image.set_u64(at, 1 << 60);
                one(Code::PageOutOfRange, place)
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "a child is a meta page",
            Plain(|image| {
                let at = field(image, branch(image), 3, 8);
                let place = image.at(branch(image)).element(3);
                image.set_u64(at, 1);
                one(Code::PageOutOfRange, place)
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "a bucket's root is past the high water mark",
            Plain(|image| {
                let at = image.entry("tree").value.start;
                image.set_u64(at, 5000);
                one(
                    Code::PageOutOfRange,
                    At { page: Some(image.root()), bucket: Some("tree".to_owned()), ..nowhere() },
                )
            }),
        ),
        entry(
            Code::PageOutOfRange,
            "overflow pages run past the high water mark",
            Plain(|image| {
                let (id, _) = long(image);
                image.set_u32(image.page(id) + 12, 0xffff_fff0);
                one(Code::PageOutOfRange, image.at(id))
            }),
        ),
        entry(
            Code::PageShared,
            "two branch elements lead to one leaf",
            Plain(|image| {
                let id = branch(image);
                let child = image.elements(id)[2].child;
                let at = field(image, id, 3, 8);
                image.set_u64(at, child);
                one(Code::PageShared, image.at(child))
            }),
        ),
        entry(
            Code::PageShared,
            "a branch leads to itself",
            Plain(|image| {
                let id = branch(image);
                let at = field(image, id, 3, 8);
                image.set_u64(at, id);
                one(Code::PageShared, image.at(id))
            }),
        ),
        entry(
            Code::PageShared,
            "two buckets have one root",
            Plain(|image| {
                let (from, to) = (image.entry("flat").value.start, image.entry("tree").value.start);
                let root = image.u64(from);
                image.set_u64(to, root);
                one(Code::PageShared, image.at(root))
            }),
        ),
        entry(
            Code::PageShared,
            "a leaf's overflow runs over the next leaf",
            Plain(|image| {
                let leaves = image.leaves("tree");
                let (id, next) = leaves
                    .iter()
                    .zip(&leaves[1..])
                    .find(|(a, b)| *a + 1 == **b)
                    .map(|(a, b)| (*a, *b))
                    .unwrap();
                image.set_u32(image.page(id) + 12, 1);
                one(Code::PageShared, image.at(next))
            }),
        ),
        entry(
            Code::PageCount,
            "65535 elements",
            Plain(|image| {
                let id = leaf(image);
                image.set_u16(image.page(id) + 10, 0xffff);
                one(Code::PageCount, image.at(id))
            }),
        ),
        entry(
            Code::PageCount,
            "a leaf without elements",
            Plain(|image| {
                let id = leaf(image);
                image.set_u16(image.page(id) + 10, 0);
                one(Code::PageCount, image.at(id))
            }),
        ),
        entry(
            Code::PageCount,
            "a branch without elements",
            Plain(|image| {
                let id = branch(image);
                image.set_u16(image.page(id) + 10, 0);
                one(Code::PageCount, image.at(id))
            }),
        ),
        entry(
            Code::ElementBounds,
            "a leaf's key position",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 4, 4);
                image.set_u32(at, 0x7fff_ffff);
                one(Code::ElementBounds, image.at(id).element(4).at_byte(at - 4))
            }),
        ),
        entry(
            Code::ElementBounds,
            "a leaf's key length",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 4, 8);
                image.set_u32(at, 0x7fff_ffff);
                one(Code::ElementBounds, image.at(id).element(4).at_byte(at - 8))
            }),
        ),
        entry(
            Code::ElementBounds,
            "a leaf's value length, by one byte",
            Plain(|image| {
                let id = leaf(image);
                let last = image.count(id) - 1;
                let element = image.elements(id)[last].clone();
                image.set_u32(element.at + 12, (image.page(id + 1) - element.value.start + 1) as u32);
                one(Code::ElementBounds, image.at(id).element(last).at_byte(element.at))
            }),
        ),
        entry(
            Code::ElementBounds,
            "a key inside the table of elements",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 4, 4);
                image.set_u32(at, 16);
                one(Code::ElementBounds, image.at(id).element(4).at_byte(at - 4))
            }),
        ),
        entry(
            Code::ElementBounds,
            "a branch's key position",
            Plain(|image| {
                let id = branch(image);
                let at = field(image, id, 2, 0);
                image.set_u32(at, 0x7fff_ffff);
                one(Code::ElementBounds, image.at(id).element(2).at_byte(at))
            }),
        ),
        entry(
            Code::ElementBounds,
            "fewer overflow pages than the value needs",
            Plain(|image| {
                let (id, _) = long(image);
                image.set_u32(image.page(id) + 12, 0);
                let last = image.count(id) - 1;
                one(Code::ElementBounds, At { page: Some(id), element: Some(last as u64), ..nowhere() })
            }),
        ),
        entry(
            Code::ElementBounds,
            "a value of an inline bucket",
            Plain(|image| {
                let page = image.inline("inline");
                let at = image.elements_at(page)[1].at;
                image.set_u32(at + 12, 4000);
                one(
                    Code::ElementBounds,
                    At { element: Some(1), bucket: Some("inline".to_owned()), ..At::offset(at as u64) },
                )
            }),
        ),
        entry(
            Code::ElementFlags,
            "flags of 2",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 4, 0);
                image.set_u32(at, 2);
                one(Code::ElementFlags, image.at(id).element(4).at_byte(at))
            }),
        ),
        entry(
            Code::KeyEmpty,
            "a leaf's key",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 4, 8);
                image.set_u32(at, 0);
                one(Code::KeyEmpty, image.at(id).element(4).at_byte(at - 8))
            }),
        ),
        entry(
            Code::KeyEmpty,
            "a leaf's first key: its parent's key is not compared with the second",
            Plain(|image| {
                let id = leaf(image);
                let at = field(image, id, 0, 8);
                image.set_u32(at, 0);
                one(Code::KeyEmpty, image.at(id).element(0).at_byte(at - 8))
            }),
        ),
        entry(
            Code::KeyEmpty,
            "a branch's key",
            Plain(|image| {
                let id = branch(image);
                let at = field(image, id, 2, 4);
                image.set_u32(at, 0);
                one(Code::KeyEmpty, image.at(id).element(2).at_byte(at - 4))
            }),
        ),
        entry(
            Code::KeyOrder,
            "two equal keys in a leaf",
            Plain(|image| {
                let id = leaf(image);
                let before = key(image, id, 4);
                set_key(image, id, 5, &before);
                one(Code::KeyOrder, image.at(id).element(5))
            }),
        ),
        entry(
            Code::KeyOrder,
            "the last key of a leaf is past the next leaf's first",
            Plain(|image| {
                let id = leaf(image);
                let last = image.count(id) - 1;
                set_key(image, id, last, b"key-9999");
                one(Code::KeyOrder, image.at(id).element(last).key(b"key-9999"))
            }),
        ),
        entry(
            Code::KeyOrder,
            "the first key of a leaf is before the leaf before",
            Plain(|image| {
                let id = leaf(image);
                set_key(image, id, 0, b"key-0000");
                one(Code::KeyOrder, image.at(id).element(0).key(b"key-0000"))
            }),
        ),
        entry(
            Code::KeyOrder,
            "two equal keys in a branch: the children's keys are not held against them",
            Plain(|image| {
                let id = branch(image);
                let before = key(image, id, 2);
                set_key(image, id, 3, &before);
                one(Code::KeyOrder, image.at(id).element(3))
            }),
        ),
        entry(
            Code::KeyOrder,
            "two equal keys in a branch, of which the first is wrong: its child's keys are not held against it",
            Plain(|image| {
                let id = branch(image);
                let after = key(image, id, 3);
                set_key(image, id, 2, &after);
                one(Code::KeyOrder, image.at(id).element(3))
            }),
        ),
        entry(
            Code::KeyOrder,
            "in an inline bucket",
            Plain(|image| {
                let page = image.inline("inline");
                let place = image.elements_at(page)[2].key.start;
                image.bytes[place] = b'a';
                one(Code::KeyOrder, At { element: Some(2), bucket: Some("inline".to_owned()), ..nowhere() })
            }),
        ),
        entry(
            Code::KeyOrder,
            "a revision of etcd's: what follows from the order is not said",
            Snapshot(|image| {
                let id = image.leaves("key")[1];
                let before = key(image, id, 4);
                set_key(image, id, 5, &before);
                one(Code::KeyOrder, image.at(id).element(5))
            }),
        ),
        entry(
            Code::BranchKey,
            "a leaf begins with a greater key than its parent has for it",
            Plain(|image| {
                let id = leaf(image);
                let mut first = key(image, id, 0);
                *first.last_mut().unwrap() += 1;
                set_key(image, id, 0, &first);
                one(Code::BranchKey, image.at(id).element(0).key(&first))
            }),
        ),
        entry(
            Code::BranchKey,
            "a parent has a lower key than its leaf begins with",
            Plain(|image| {
                let id = branch(image);
                let mut lower = key(image, id, 3);
                *lower.last_mut().unwrap() -= 1;
                set_key(image, id, 3, &lower);
                let child = image.elements(id)[3].child;
                one(Code::BranchKey, image.at(child).element(0))
            }),
        ),
        entry(
            Code::BranchKey,
            "a branch begins with another key than its parent and its leaf have",
            Plain(|image| {
                let id = branch(image);
                let mut other = key(image, id, 0);
                *other.last_mut().unwrap() += 1;
                set_key(image, id, 0, &other);
                one(Code::BranchKey, image.at(id).element(0))
            }),
        ),
        entry(
            Code::DepthUneven,
            "an element of the top page leads to a leaf",
            Plain(|image| {
                let top = image.top("flat");
                let last = image.count(top) - 1;
                let below = image.elements(top)[last].child;
                let leaf = image.elements(below)[0].child;
                let at = field(image, top, last, 8);
                image.set_u64(at, leaf);
                one(Code::DepthUneven, image.at(leaf))
            }),
        ),
        entry(
            Code::DepthUneven,
            "a tree deeper than any real one",
            Plain(|image| {
                let entry = image.entry("tree").value.start;
                let bottom = image.u64(entry);
                let first = image.elements(bottom)[0].clone();
                let first = image.bytes[first.key].to_vec();
                let top = image.grow(MAX_DEPTH as u64 + 1);
                for i in 0..=MAX_DEPTH as u64 {
                    let page = image.page(top + i);
                    image.set_u64(page, top + i);
                    image.set_u16(page + 8, BRANCH);
                    image.set_u16(page + 10, 1);
                    image.set_u32(page + 16, 16);
                    image.set_u32(page + 20, first.len() as u32);
                    image.set_u64(page + 24, if i == MAX_DEPTH as u64 { bottom } else { top + i + 1 });
                    image.set(page + 32, &first);
                }
                image.set_u64(entry, top);
                one(Code::DepthUneven, image.at(top + MAX_DEPTH as u64))
            }),
        ),
        entry(
            Code::BucketHeader,
            "a bucket's value has 8 bytes",
            Plain(|image| {
                let entry = image.entry("tree");
                image.set_u32(entry.at + 12, 8);
                one(
                    Code::BucketHeader,
                    At { page: Some(image.root()), bucket: Some("tree".to_owned()), ..nowhere() },
                )
            }),
        ),
        entry(
            Code::BucketHeader,
            "an inline bucket's page has a branch's flags",
            Plain(|image| {
                let page = image.inline("inline");
                image.set_u16(page + 8, BRANCH);
                one(Code::BucketHeader, At { bucket: Some("inline".to_owned()), ..At::offset(page as u64) })
            }),
        ),
        entry(
            Code::BucketHeader,
            "an inline bucket's page has overflow",
            Plain(|image| {
                let page = image.inline("inline");
                image.set_u32(page + 12, 1);
                one(Code::BucketHeader, At { bucket: Some("inline".to_owned()), ..At::offset(page as u64) })
            }),
        ),
        entry(
            Code::BucketHeader,
            "a bucket inside an inline bucket",
            Plain(|image| {
                let page = image.inline("inline");
                let element = image.elements_at(page)[2].clone();
                // The last value becomes an empty inline bucket: its entry is made longer for that.
                image.set_u32(element.at, 1);
                image.set_u32(element.at + 12, 32);
                let entry = image.entry("inline");
                let mut value = image.bytes[entry.value.clone()].to_vec();
                value.truncate(value.len() - 5);
                value.extend([0; 16]);
                value.extend([0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]);
                let (page, used) =
                    (image.page(image.root()), image.elements(image.root()).last().unwrap().value.end);
                let (key, len) = (image.bytes[entry.key.clone()].to_vec(), value.len());
                assert!(used + key.len() + len <= page + 1024);
                image.set_u32(entry.at + 4, (used - entry.at) as u32);
                image.set_u32(entry.at + 12, len as u32);
                image.set(used, &[key, value].concat());
                let at = At { element: Some(2), bucket: Some("inline".to_owned()), ..nowhere() };
                // Moved behind the others, it leaves a gap before itself and one where it was.
                vec![due(Code::BucketHeader, at), Due { count: 2, ..due(Code::ElementGap, nowhere()) }]
            }),
        ),
        entry(
            Code::BucketHeader,
            "etcd's lease bucket: its keys' leases are not said to be missing",
            Snapshot(|image| {
                let entry = image.entry("lease");
                image.set_u32(entry.at + 12, 8);
                let at = At { page: Some(image.root()), bucket: Some("lease".to_owned()), ..nowhere() };
                // The bytes that are cut off the value belong to no element.
                vec![
                    due(Code::BucketHeader, at),
                    due(Code::ElementGap, At { page: Some(image.root()), ..nowhere() }),
                ]
            }),
        ),
        entry(
            Code::ElementGap,
            "a leaf has one element less than was written",
            Plain(|image| {
                let id = leaf(image);
                let count = image.elements(id).len() as u16 - 1;
                image.set_u16(image.page(id) + 10, count);
                one(Code::ElementGap, At { page: Some(id), ..nowhere() })
            }),
        ),
        entry(
            Code::ManifestMismatch,
            "another length than the manifest says",
            Other(|| {
                let image = Image::pristine();
                let source = Source::from_bytes("file.db", image.bytes.clone());
                let good = verify(&source, &VerifyOptions { digests: true, ..options() }, &Quiet).unwrap();
                let mut entry = ManifestEntry::of(&good);
                entry.size += 1;
                let against = Some(Against { manifest: "file.db.manifest.json", entry: Some(&entry) });
                let report = verify(&source, &VerifyOptions { against, ..options() }, &Quiet).unwrap();
                (report, one(Code::ManifestMismatch, nowhere()))
            }),
        ),
        // ---- freelist ----------------------------------------------------------------------------------------------
        entry(
            Code::FreelistInvalid,
            "more pages than it has room for",
            Listed(|image| {
                let id = image.freelist();
                image.set_u16(image.page(id) + 10, 60_000);
                one(Code::FreelistInvalid, image.at(id))
            }),
        ),
        entry(
            Code::FreelistInvalid,
            "a page twice",
            Listed(|image| {
                let free = image.high_water() - 4;
                image.set_free(&[free, free + 1, free + 1, free + 2, free + 3]);
                one(Code::FreelistInvalid, image.at(image.freelist()).element(2))
            }),
        ),
        entry(
            Code::FreelistInvalid,
            "a meta page",
            Listed(|image| {
                let free = image.high_water() - 4;
                image.set_free(&[1, free, free + 1, free + 2, free + 3]);
                one(Code::FreelistInvalid, image.at(image.freelist()).element(0))
            }),
        ),
        entry(
            Code::FreelistInvalid,
            "the high water mark",
            Listed(|image| {
                let high = image.high_water();
                image.set_free(&[high - 4, high - 3, high - 2, high - 1, high]);
                one(Code::FreelistInvalid, image.at(image.freelist()).element(4))
            }),
        ),
        entry(
            Code::FreelistInvalid,
            "the meta pages lead to a leaf",
            Listed(|image| {
                let id = leaf(image);
                image.set_metas(48, id);
                one(Code::FreelistInvalid, image.at(id))
            }),
        ),
        entry(
            Code::FreelistInvalid,
            "the meta pages lead past the high water mark",
            Listed(|image| {
                image.set_metas(48, 70_000);
                one(Code::FreelistInvalid, image.at(0))
            }),
        ),
        entry(
            Code::FreelistReachable,
            "a leaf is listed",
            Listed(|image| {
                let (id, free) = (leaf(image), image.high_water() - 4);
                image.set_free(&[id, free, free + 1, free + 2, free + 3]);
                one(Code::FreelistReachable, image.at(image.freelist()).element(0))
            }),
        ),
        entry(
            Code::FreelistReachable,
            "an overflow page is listed, which bbolt does not check",
            Listed(|image| {
                let (id, free) = (long(image).0 + 1, image.high_water() - 4);
                image.set_free(&[id, free, free + 1, free + 2, free + 3]);
                one(Code::FreelistReachable, image.at(image.freelist()).element(0))
            }),
        ),
        entry(
            Code::FreelistReachable,
            "the freelist lists its own page",
            Listed(|image| {
                let (id, free) = (image.freelist(), image.high_water() - 4);
                image.set_free(&[id, free, free + 1, free + 2, free + 3]);
                one(Code::FreelistReachable, image.at(image.freelist()).element(0))
            }),
        ),
        entry(
            Code::PageLeaked,
            "a free page is not listed",
            Listed(|image| {
                let free = image.high_water() - 4;
                image.set_free(&[free, free + 1, free + 3]);
                vec![due(Code::PageLeaked, image.at(free + 2)).as_(Severity::Warning)]
            }),
        ),
    ]
}

trait AtByte {
    fn at_byte(self, offset: usize) -> At;
}

impl AtByte for At {
    fn at_byte(self, offset: usize) -> At {
        At { offset: Some(offset as u64), ..self }
    }
}
