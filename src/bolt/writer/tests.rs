//! What is written, read back by a simple reader of its own, and the rules of the format counted after.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Cursor};

use proptest::prelude::*;

use super::*;
use crate::codec::checksum::fnv1a64;
use crate::codec::checksum::{hex, sha256};
use crate::codec::to_u64;

type Items = BTreeMap<Vec<u8>, Item>;

#[derive(Debug, Clone, PartialEq)]
enum Item {
    Value(Vec<u8>),
    Bucket(u64, Items),
}

fn write(items: &Items, options: Options) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options).unwrap();
    write_items(&mut writer, items);
    let summary = writer.finish().unwrap();
    assert_eq!(summary.txid, options.txid);
    assert_eq!(summary.bytes, file.get_ref().len() as u64, "the length that is told is the length");
    assert_eq!(summary.bytes, (summary.pages * u64::from(options.page_size)).max(4096));
    assert_eq!(file.position(), summary.bytes, "the output stands at its end");
    file.into_inner()
}

fn write_items(writer: &mut Writer<&mut Cursor<Vec<u8>>>, items: &Items) {
    for (key, item) in items {
        match item {
            Item::Value(value) => writer.put(key, value).unwrap(),
            Item::Bucket(sequence, items) => {
                writer.begin_bucket(key, *sequence).unwrap();
                write_items(writer, items);
                writer.end_bucket().unwrap();
            }
        }
    }
}

/// A reader that knows nothing of the writer and asserts every rule a file must keep (W1 to W9) as it goes.
struct Reader<'a> {
    file: &'a [u8],
    page_size: usize,
    hwm: usize,
    seen: BTreeSet<usize>,
    runs: Vec<(usize, usize)>,
}

fn u64_at(b: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(b[at..at + 8].try_into().unwrap())
}
fn u32_at(b: &[u8], at: usize) -> usize {
    u32::from_le_bytes(b[at..at + 4].try_into().unwrap()) as usize
}
fn u16_at(b: &[u8], at: usize) -> usize {
    u16::from_le_bytes(b[at..at + 2].try_into().unwrap()) as usize
}

fn read(file: &[u8], options: Options) -> (Items, Vec<(usize, usize)>) {
    let ps = options.page_size as usize;
    let (mut root, mut freelist, mut hwm) = (0, 0, 0);
    for (id, txid) in [(0usize, options.txid), (1, options.txid - 1)] {
        let page = &file[id * ps..(id + 1) * ps];
        assert_eq!(
            (u64_at(page, 0), u16_at(page, 8), u16_at(page, 10), u32_at(page, 12)),
            (id as u64, 4, 0, 0)
        );
        assert_eq!(
            (u32_at(page, 16), u32_at(page, 20), u32_at(page, 24), u32_at(page, 28)),
            (0xED0C_DAED, 2, ps, 0)
        );
        let body = (u64_at(page, 32), u64_at(page, 48), u64_at(page, 56));
        assert!(id == 0 || body == (root, freelist, hwm), "both metas describe one tree");
        (root, freelist, hwm) = body;
        assert_eq!((u64_at(page, 40), u64_at(page, 64)), (0, txid));
        assert_eq!(u64_at(page, 72), fnv1a64(&page[16..72]));
        assert!(page[80..].iter().all(|b| *b == 0));
    }
    assert_eq!(file.len(), (hwm as usize * ps).max(4096));
    assert!(file[hwm as usize * ps..].iter().all(|b| *b == 0));
    let mut reader =
        Reader { file, page_size: ps, hwm: hwm as usize, seen: BTreeSet::from([0, 1]), runs: Vec::new() };
    let mut items = Items::new();
    reader.tree(root as usize, true, &mut items);
    if options.freelist == FreelistPage::Stored {
        let (page, run) = reader.page(freelist as usize);
        assert_eq!((u16_at(page, 8), u16_at(page, 10), run), (0x10, 0, 1));
        assert!(page[16..].iter().all(|b| *b == 0));
    } else {
        assert_eq!(freelist, u64::MAX);
    }
    assert_eq!(reader.seen.len(), hwm as usize, "no page is left over");
    (items, reader.runs)
}

impl<'a> Reader<'a> {
    fn page(&mut self, id: usize) -> (&'a [u8], usize) {
        assert!((2..self.hwm).contains(&id), "page {id} of {}", self.hwm);
        let start = id * self.page_size;
        assert_eq!(u64_at(self.file, start), id as u64);
        let run = u32_at(self.file, start + 12) + 1;
        for page in id..id + run {
            assert!(self.seen.insert(page), "page {page} has one use");
        }
        assert!(id + run <= self.hwm);
        self.runs.push((id, run));
        (&self.file[start..start + run * self.page_size], run)
    }

    /// Reads a tree and gives its first key and depth.
    fn tree(&mut self, id: usize, top: bool, items: &mut Items) -> (Vec<u8>, usize) {
        let (page, run) = self.page(id);
        if u16_at(page, 8) == 2 {
            let first = items.len();
            let used = self.leaf(page, items);
            assert!(top || items.len() > first, "only a bucket's own top page may be empty");
            assert_eq!(run, used.div_ceil(self.page_size), "no page more than needed");
            return (items.keys().nth(first).cloned().unwrap_or_default(), 0);
        }
        assert_eq!(u16_at(page, 8), 1);
        let count = u16_at(page, 10);
        assert!((2..=65_534).contains(&count), "{count} children in page {id}");
        let (mut at, mut depth, mut lowest) = (16 + 16 * count, None, None);
        for i in 0..count {
            let element = 16 + 16 * i;
            let (pos, len, child) =
                (u32_at(page, element), u32_at(page, element + 4), u64_at(page, element + 8));
            assert_eq!(element + pos, at, "keys lie back to back");
            let key = &page[at..at + len];
            at += len;
            assert!((child as usize) < id, "children come before parents");
            let (first, below) = self.tree(child as usize, false, items);
            assert_eq!(key, first, "a child's key in its parent is its first");
            assert_eq!(*depth.get_or_insert(below), below, "all leaves are equally deep");
            lowest.get_or_insert(first);
        }
        assert_eq!(run, at.div_ceil(self.page_size));
        assert!(run == 1 || count <= 3, "{count} children in a run of {run} pages");
        assert!(page[at..].iter().all(|b| *b == 0));
        (lowest.unwrap(), depth.unwrap() + 1)
    }

    /// Reads a leaf, which may be inside a value, and gives how many bytes of it are in use; the rest is zero.
    fn leaf(&mut self, page: &[u8], items: &mut Items) -> usize {
        let count = u16_at(page, 10);
        assert!(count <= 65_534);
        let mut at = 16 + 16 * count;
        for i in 0..count {
            let element = 16 + 16 * i;
            let (flags, pos) = (u32_at(page, element), u32_at(page, element + 4));
            let (key, value) = (u32_at(page, element + 8), u32_at(page, element + 12));
            assert_eq!(element + pos, at, "keys and values lie back to back");
            let (key, value) = (&page[at..at + key], &page[at + key..at + key + value]);
            at += key.len() + value.len();
            assert!(items.last_key_value().is_none_or(|(last, _)| last.as_slice() < key) && !key.is_empty());
            let item = if flags == 0 { Item::Value(value.to_vec()) } else { self.bucket(flags, value) };
            items.insert(key.to_vec(), item);
        }
        assert!(page[at..].iter().all(|b| *b == 0));
        at
    }

    fn bucket(&mut self, flags: usize, value: &[u8]) -> Item {
        assert_eq!(flags, 1);
        let (root, sequence, mut items) = (u64_at(value, 0), u64_at(value, 8), Items::new());
        if root == 0 {
            let page = &value[16..];
            assert_eq!((u64_at(page, 0), u16_at(page, 8), u32_at(page, 12)), (0, 2, 0));
            assert_eq!(self.leaf(page, &mut items), page.len());
            assert!(page.len() <= self.page_size / 4);
        } else {
            assert_eq!(value.len(), 16);
            self.tree(root as usize, true, &mut items);
        }
        let nested = items.values().any(|item| matches!(item, Item::Bucket(..)));
        let size = 16
            + items
                .iter()
                .map(|(k, v)| 16 + k.len() + if let Item::Value(v) = v { v.len() } else { 0 })
                .sum::<usize>();
        assert_eq!(
            root == 0,
            !nested && size <= self.page_size / 4,
            "inline where Go inlines, and only there"
        );
        Item::Bucket(sequence, items)
    }
}

fn options(page_size: u32) -> Options {
    Options { page_size, ..Options::default() }
}

fn numbered(count: usize, value: usize) -> Items {
    (0..count).map(|i| (format!("{i:08}").into_bytes(), Item::Value(vec![b'v'; value]))).collect()
}

fn in_bucket(items: Items) -> Items {
    Items::from([(b"b".to_vec(), Item::Bucket(7, items))])
}

#[test]
fn the_hand_built_file_is_rebuilt_byte_for_byte() {
    let key_value = b"\x0a\x03foo\x10\x02\x18\x02\x20\x01\x2a\x03bar";
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, Options { txid: 3, ..Options::default() }).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    writer.put(b"\0\0\0\0\0\0\0\x02_\0\0\0\0\0\0\0\0", key_value).unwrap();
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"lease", 0).unwrap();
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"meta", 0).unwrap();
    writer.put(b"consistent_index", &5u64.to_be_bytes()).unwrap();
    writer.put(b"term", &2u64.to_be_bytes()).unwrap();
    writer.end_bucket().unwrap();
    assert_eq!(writer.finish().unwrap(), Summary { pages: 3, bytes: 12288, txid: 3 });
    assert_eq!(
        hex(&sha256(file.get_ref())),
        "82c10fdb2922417389333c57bbb949d0c475ffb767e21ade42a6e525ae176ce1"
    );
}

#[test]
fn a_file_of_no_buckets_is_one_empty_leaf() {
    for page_size in [1024, 2048, 4096, 8192, 16_384, 32_768, 65_536] {
        for freelist in [FreelistPage::Absent, FreelistPage::Stored] {
            let options = Options { page_size, freelist, ..Options::default() };
            assert_eq!(read(&write(&Items::new(), options), options).0, Items::new());
        }
    }
}

#[test]
fn a_bucket_is_inline_up_to_a_quarter_page() {
    // 16 for the page header, 16 for the element, 1 for the key.
    for (value, pages) in [(1024 - 33, 3), (1024 - 32, 4)] {
        let items = in_bucket(Items::from([(b"k".to_vec(), Item::Value(vec![1; value]))]));
        let file = write(&items, options(4096));
        assert_eq!(file.len(), pages * 4096);
        assert_eq!(read(&file, options(4096)).0, items);
    }
}

#[test]
fn leaves_are_filled_to_the_last_byte() {
    // 15 items of 16 + 8 + 248 bytes are exactly 4080.
    let file = write(&in_bucket(numbered(15 * 100, 248)), options(4096));
    let leaves = 100;
    assert_eq!(file.len() / 4096, 2 + leaves + 1 + 1, "metas, leaves, one branch, the top level's leaf");
    let half = Options { fill_percent: 50, ..Options::default() };
    let items = in_bucket(numbered(15 * 100, 248));
    let file = write(&items, half);
    assert_eq!(
        file.len() / 4096,
        2 + 1500usize.div_ceil(7) + 3 + 1 + 1,
        "seven items in a leaf, 84 leaves in a branch, one above"
    );
    assert_eq!(read(&file, half).0, items);
}

#[test]
fn items_of_more_than_half_a_page_do_not_waste_the_other_half() {
    for value in [2100, 2500, 5000, 7000] {
        let items = in_bucket(numbered(300, value));
        let file = write(&items, options(4096));
        let (back, runs) = read(&file, options(4096));
        assert_eq!(back, items);
        assert!(
            file.len() * 3 / 4 < 300 * (value + 24) + 4 * 4096,
            "{} bytes for values of {value}",
            file.len()
        );
        assert!(runs.iter().all(|(_, run)| *run <= 4), "no leaf is longer than four pages");
    }
}

#[test]
fn no_branch_is_left_with_one_child_whatever_the_count() {
    // Keys of 300 bytes on 1024-byte pages: three children a branch, and every remainder at every level.
    for count in 0..120 {
        let items: Items =
            (0..count).map(|i| (format!("{i:0300}").into_bytes(), Item::Value(vec![9; 600]))).collect();
        let items = in_bucket(items);
        assert_eq!(read(&write(&items, options(1024)), options(1024)).0, items);
    }
}

#[test]
fn keys_longer_than_a_page_make_branches_of_two() {
    for count in [1, 2, 3, 4, 5, 9, 17] {
        let items: Items =
            (0..count).map(|i| (format!("{i:032768}").into_bytes(), Item::Value(Vec::new()))).collect();
        let items = in_bucket(items);
        for page_size in [1024, 65_536] {
            assert_eq!(read(&write(&items, options(page_size)), options(page_size)).0, items);
        }
    }
}

#[test]
fn thousands_of_top_level_buckets_make_a_tree_of_their_own() {
    let items: Items = (0..3000u64)
        .map(|i| (format!("bucket{i:05}").into_bytes(), Item::Bucket(i, numbered(i as usize % 7, 40))))
        .collect();
    assert_eq!(read(&write(&items, options(1024)), options(1024)).0, items);
}

#[test]
fn buckets_nest_to_the_limit_and_no_deeper() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options(1024)).unwrap();
    for _ in 0..MAX_DEPTH {
        writer.begin_bucket(b"b", 0).unwrap();
        writer.put(b"a", b"1").unwrap();
    }
    assert!(matches!(writer.begin_bucket(b"b", 0), Err(WriteError::TooDeep { .. })));
    for _ in 0..MAX_DEPTH {
        writer.put(b"c", b"2").unwrap();
        writer.end_bucket().unwrap();
    }
    writer.finish().unwrap();
    let (mut items, mut depth) = (read(file.get_ref(), options(1024)).0, 0);
    while let Some(Item::Bucket(_, inner)) = items.remove(b"b".as_slice()) {
        (items, depth) = (inner, depth + 1);
        assert_eq!(items.get(b"c".as_slice()), Some(&Item::Value(b"2".to_vec())));
    }
    assert_eq!(depth, MAX_DEPTH);
}

#[test]
fn of_a_long_key_a_message_shows_the_first_64_bytes() {
    assert_eq!(show(&[b'k'; 64]), "k".repeat(64));
    assert_eq!(show(&[b'k'; 65]), format!("{}... (65 bytes)", "k".repeat(64)));
}

#[test]
fn the_length_so_far_is_told_of_all_pages_but_those_that_are_open() {
    let mut writer = Writer::new(Cursor::new(Vec::new()), options(4096)).unwrap();
    writer.begin_bucket(b"b", 0).unwrap();
    // A leaf of 7000 bytes is two pages, and is written when the next item comes.
    let told = [3, 4, 4, 5].map(|key| {
        writer.put(&[key], &[0; 7000]).ok();
        writer.bytes_so_far() / 4096
    });
    assert_eq!(told, [2, 4, 4, 6]);
}

#[test]
fn what_is_refused_leaves_no_trace() {
    let attempt = |offend: bool| {
        let mut file = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options::default()).unwrap();
        let refused = |result: Result<(), WriteError>| result.unwrap_err().to_string();
        if offend {
            assert_eq!(refused(writer.put(b"k", b"v")), "no bucket is open");
            assert_eq!(refused(writer.end_bucket()), "no bucket is open");
        }
        writer.begin_bucket(b"m", 0).unwrap();
        writer.put(b"k", b"v").unwrap();
        if offend {
            assert_eq!(refused(writer.put(b"k", b"v")), "bucket m: key k does not come after k");
            assert_eq!(refused(writer.put(b"a\n", b"v")), "bucket m: key a\\n does not come after k");
            assert_eq!(refused(writer.put(b"", b"v")), "bucket m: an empty key");
            assert_eq!(
                refused(writer.put(&[b'z'; 32_769], b"v")),
                "bucket m: a key of 32769 bytes, the most is 32768"
            );
            assert_eq!(refused(writer.begin_bucket(b"k", 0)), "bucket m: key k does not come after k");
        }
        writer.begin_bucket(b"n", 0).unwrap();
        if offend {
            assert_eq!(refused(writer.begin_bucket(b"", 0)), "bucket m/n: an empty key");
        }
        writer.end_bucket().unwrap();
        if offend {
            assert_eq!(refused(writer.put(b"n", b"")), "bucket m: key n does not come after n");
        }
        writer.end_bucket().unwrap();
        if offend {
            assert_eq!(refused(writer.begin_bucket(b"m", 0)), "top level: key m does not come after m");
        }
        writer.finish().unwrap();
        file.into_inner()
    };
    assert_eq!(attempt(true), attempt(false));
}

#[test]
fn an_item_that_go_could_not_read_is_refused() {
    let zeros = vec![0u8; MAX_ITEM];
    let mut writer = Writer::new(Cursor::new(Vec::new()), Options::default()).unwrap();
    writer.begin_bucket(b"b", 0).unwrap();
    assert!(
        matches!(writer.put(b"k", &zeros), Err(WriteError::ItemTooLong { len, .. }) if len == MAX_ITEM + 1)
    );
    // A leaf with the longest item and all but the last 40 bytes of its run.
    let size = (MAX_ITEM + 32).next_multiple_of(4096) - 40;
    assert!(
        !writer.pages.leaf_has_room(size, size + 20),
        "a second item would push the first out of the window"
    );
    assert!(writer.pages.leaf_has_room(4096 - 40, 4096 - 20));
    // A leaf that is a quarter empty is left so, an emptier one is not.
    assert!(!writer.pages.leaf_has_room(3072, 5000) && writer.pages.leaf_has_room(3071, 5000));
}

#[test]
fn options_out_of_range_and_open_buckets_are_refused() {
    let open = |options| Writer::new(Cursor::new(Vec::new()), options);
    for page_size in [0, 512, 1023, 3000, 131_072] {
        assert!(matches!(open(options(page_size)), Err(WriteError::Option { option: "page size", .. })));
    }
    for txid in [0, u64::MAX] {
        assert!(matches!(
            open(Options { txid, ..Options::default() }),
            Err(WriteError::Option { option: "txid", .. })
        ));
    }
    for fill_percent in [0, 24, 101] {
        assert!(open(Options { fill_percent, ..Options::default() }).is_err());
    }
    let mut writer = open(Options::default()).unwrap();
    writer.begin_bucket(b"a", 0).unwrap();
    assert_eq!(writer.finish().unwrap_err().to_string(), "bucket a: the bucket is still open");
}

/// A disk that is full after so many bytes, and empty again for the next write.
struct Full(Cursor<Vec<u8>>, u64);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.position() + to_u64(bytes.len()) > std::mem::replace(&mut self.1, u64::MAX) {
            return Err(io::Error::from(io::ErrorKind::StorageFull));
        }
        self.1 = u64::MAX;
        self.0.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn after_a_failed_write_the_file_is_never_finished() {
    let mut writer = Writer::new(Full(Cursor::new(Vec::new()), 1000), Options::default()).unwrap();
    writer.begin_bucket(b"a", 0).unwrap();
    let failed = (0..5000u32).find_map(|i| writer.put(&i.to_be_bytes(), &[1; 1000]).err());
    assert!(matches!(failed, Some(WriteError::Output(error)) if error.kind() == io::ErrorKind::StorageFull));
    assert!(writer.end_bucket().is_err());
    assert!(writer.finish().is_err());
}

fn value() -> impl Strategy<Value = Item> {
    let len = prop_oneof![8 => 0usize..60, 3 => 60usize..1500, 1 => 1500usize..20_000];
    (len, any::<u8>()).prop_map(|(len, byte)| Item::Value(vec![byte; len]))
}

fn key() -> impl Strategy<Value = Vec<u8>> {
    let len = prop_oneof![20 => 1usize..20, 4 => 20usize..700, 1 => 700usize..5000];
    (len, any::<[u8; 3]>()).prop_map(|(len, seed)| (0..len).map(|i| seed[i % 3]).collect())
}

fn items() -> impl Strategy<Value = Items> {
    let flat = prop::collection::btree_map(key(), value(), 0..300);
    let nested = flat.prop_recursive(4, 400, 10, |inner| {
        let bucket = (any::<u64>(), inner).prop_map(|(sequence, items)| Item::Bucket(sequence, items));
        prop::collection::btree_map(key(), prop_oneof![3 => value(), 1 => bucket], 0..20)
    });
    let bucket = (any::<u64>(), nested).prop_map(|(sequence, items)| Item::Bucket(sequence, items));
    prop::collection::btree_map(key(), bucket, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_read_back_and_every_rule_holds(
        items in items(), shift in 0u32..7, stored: bool, txid in 1u64..u64::MAX,
        fill_percent in prop_oneof![3 => Just(100u8), 1 => 25u8..=100]
    ) {
        let freelist = if stored { FreelistPage::Stored } else { FreelistPage::Absent };
        let options = Options { page_size: 1024 << shift, freelist, txid, fill_percent };
        let file = write(&items, options);
        prop_assert_eq!(&read(&file, options).0, &items);
        prop_assert!(write(&items, options) == file, "same input, same bytes");
    }
}
