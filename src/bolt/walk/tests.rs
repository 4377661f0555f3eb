//! Walks in every direction, over all of a tree or a part, and what they tell the monitor and wait for.

use std::sync::atomic::{AtomicU64, Ordering};

use super::*;
use crate::bolt::writer::{Options, Writer};
use crate::codec::checksum::fnv1a64;
use crate::codec::to_usize;
use crate::io::{Gate, Source};
use crate::words::monitor::{Monitor, Quiet};

/// Keys of the leaf pages, page by page; `most` pages are enough.
struct Leaves {
    pages: Vec<Vec<Vec<u8>>>,
    most: usize,
}

impl Visitor for Leaves {
    fn leaf<'p>(&mut self, _: &Page<'p>, elements: &[LeafElement<'p>], _: Option<usize>) {
        self.pages.push(elements.iter().map(|element| element.key.to_vec()).collect());
    }
    fn fault(&mut self, corrupt: Corrupt) {
        panic!("{corrupt}");
    }
    fn enough(&self) -> bool {
        self.pages.len() >= self.most
    }
}

fn deep() -> Source {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, Options { page_size: 1024, ..Options::default() }).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    (0..20_000u32).for_each(|i| writer.put(&i.to_be_bytes(), &[7; 20]).unwrap());
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    Source::from_bytes("deep", file.into_inner())
}

#[test]
fn backwards_is_forwards_from_the_end_and_stops_where_it_is_enough() {
    let source = deep();
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    // One thread gets parts of many leaves, four get a leaf each.
    for threads in [1, 4] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| back_from_the_end(&db, &bucket));
    }
}

fn back_from_the_end(db: &Db<'_>, bucket: &Bucket<'_, '_>) {
    let make = |most| Leaves { pages: Vec::new(), most };
    let mut forward = make(usize::MAX);
    walk(bucket, Shared::new(&Visited::new(db), &Quiet), &mut forward);
    let all = forward.pages.concat();
    assert_eq!(all.len(), 20_000);

    let mut backward = Vec::new();
    walk_back(
        bucket,
        Shared::new(&Visited::new(db), &Quiet),
        || make(usize::MAX),
        |part| {
            backward.extend(part.pages);
            false
        },
    );
    backward.reverse();
    assert_eq!(backward, forward.pages);

    let mut pages = Vec::new();
    walk_back(
        bucket,
        Shared::new(&Visited::new(db), &Quiet),
        || make(2),
        |part| {
            pages.extend(part.pages);
            !pages.is_empty()
        },
    );
    // The last part may be one page.
    assert!((1..=2).contains(&pages.len()), "{} pages", pages.len());
    assert!(pages.iter().eq(forward.pages.iter().rev().take(pages.len())));
}

#[test]
fn of_a_span_only_the_pages_that_may_hold_it_are_walked() {
    let source = deep();
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    for (first, last) in
        [(0u32, 20_000u32), (0, 1), (7_001, 7_002), (19_999, 20_000), (20_000, 30_000), (12_345, 13_456)]
    {
        let (from, until) = (first.to_be_bytes(), last.to_be_bytes());
        let visited = Visited::new(&db);
        let shared = Shared { from: Some(&from), until: Some(&until), ..Shared::new(&visited, &Quiet) };
        let mut seen = Leaves { pages: Vec::new(), most: usize::MAX };
        walk(&bucket, shared, &mut seen);
        let keys = seen.pages.concat();
        let due = (first..last.min(20_000)).all(|i| keys.contains(&i.to_be_bytes().to_vec()));
        assert!(due, "{first} to {last}: a key is missing");
        // A page at each end holds more than was asked for.
        let asked = usize::try_from(last.min(20_000).saturating_sub(first)).unwrap();
        assert!(keys.len() <= asked + 60, "{first} to {last}: {} keys", keys.len());
    }
}

#[test]
fn a_span_that_begins_or_ends_where_a_page_does_takes_no_page_of_the_other_side() {
    let source = deep();
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    let pages = |from, until| {
        let visited = Visited::new(&db);
        let mut seen = Leaves { pages: Vec::new(), most: usize::MAX };
        walk(&bucket, Shared { from, until, ..Shared::new(&visited, &Quiet) }, &mut seen);
        seen.pages
    };
    let all = pages(None, None);
    // Between two leaves of one branch, and of two.
    for at in (1..all.len()).step_by(101).chain(49..52) {
        let first = all[at][0].as_slice();
        assert_eq!(pages(Some(first), None), all[at..], "from page {at}");
        assert_eq!(pages(None, Some(first)), all[..at], "until page {at}");
    }
}

/// A bucket `key` of so many MB in leaves of 4096 bytes.
fn broad(mb: u32) -> Source {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, Options::default()).unwrap();
    writer.begin_bucket(b"key", 0).unwrap();
    (0..mb * 1000).for_each(|i| writer.put(&i.to_be_bytes(), &[7; 1000]).unwrap());
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    Source::from_bytes("broad", file.into_inner())
}

/// Hears how far a walk is, and ends it at the word after so many.
struct Listener {
    bytes: AtomicU64,
    words: AtomicU64,
    most: u64,
}

impl Listener {
    fn new(most: u64) -> Listener {
        Listener { bytes: AtomicU64::new(0), words: AtomicU64::new(0), most }
    }
}

impl Monitor for Listener {
    fn advance(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.words.fetch_add(1, Ordering::Relaxed);
    }
    fn cancelled(&self) -> bool {
        self.words.load(Ordering::Relaxed) > self.most
    }
}

/// Counts pages and keeps faults.
#[derive(Default)]
struct Counted {
    stats: Stats,
    faults: Vec<Corrupt>,
}

impl Visitor for Counted {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.stats.branch(page, depth);
    }
    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], depth: Option<usize>) {
        self.stats.leaf(page, elements, depth);
    }
    fn fault(&mut self, corrupt: Corrupt) {
        self.faults.push(corrupt);
    }
}

#[test]
fn the_monitor_hears_of_every_byte_a_megabyte_at_a_time_and_a_word_from_it_ends_the_walk() {
    let source = broad(5);
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    let listener = Listener::new(u64::MAX);
    let mut all = Counted::default();
    walk(&bucket, Shared::new(&Visited::new(&db), &listener), &mut all);
    assert_eq!(all.stats.elements, 5000);
    assert_eq!(listener.bytes.into_inner(), all.stats.bytes);
    let words = listener.words.into_inner();
    assert!((3..=6).contains(&words), "{words} words for {} bytes", all.stats.bytes);

    let (listener, mut part) = (Listener::new(1), Counted::default());
    walk(&bucket, Shared::new(&Visited::new(&db), &listener), &mut part);
    let most = 2 * STRIDE + 2 * 4096;
    assert!((STRIDE..most).contains(&part.stats.bytes), "{} bytes after two words", part.stats.bytes);
    assert_eq!(listener.bytes.into_inner(), part.stats.bytes);
}

#[test]
fn a_leaf_that_lies_too_high_is_told_whichever_way_the_tree_is_walked() {
    let mut bytes = deep().read_all(u64::MAX).unwrap();
    let u64_at = |bytes: &[u8], at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let top = {
        let source = Source::from_bytes("good", bytes.clone());
        let db = Db::open(&source).unwrap();
        let Root::Tree(top) = db.root().bucket(b"key").unwrap().unwrap().root else { panic!("inline") };
        to_usize(top.0) * 1024
    };
    // The top page's last child is passed over, for that one's first leaf.
    let last = top + 16 * usize::from(bytes[top + 10]);
    let below = to_usize(u64_at(&bytes, last + 8)) * 1024;
    let leaf = u64_at(&bytes, below + 24);
    bytes[last + 8..last + 16].copy_from_slice(&leaf.to_le_bytes());
    let source = Source::from_bytes("bad", bytes);
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    let told = |faults: &[Corrupt]| {
        let due = [(Code::DepthUneven, Some(leaf))];
        assert!(faults.iter().map(|fault| (fault.code, fault.at.page)).eq(due), "{faults:?}");
    };

    let mut alone = Counted::default();
    walk(&bucket, Shared::new(&Visited::new(&db), &Quiet), &mut alone);
    told(&alone.faults);
    let together = walk_parallel(&bucket, Shared::new(&Visited::new(&db), &Quiet), Counted::default);
    let mut stats = Stats::default();
    together.iter().for_each(|part| stats.add(&part.stats));
    assert_eq!(stats, alone.stats, "its keys are seen all the same");
    told(&together.into_iter().flat_map(|part| part.faults).collect::<Vec<_>>());
    let mut back = Vec::new();
    walk_back(&bucket, Shared::new(&Visited::new(&db), &Quiet), Counted::default, |part| {
        back.extend(part.faults);
        false
    });
    told(&back);
}

#[test]
fn a_deep_tree_is_cut_into_parts_for_all_threads() {
    let source = deep();
    let db = Db::open(&source).unwrap();
    let bucket = db.root().bucket(b"key").unwrap().unwrap();
    let parts = walk_parallel(&bucket, Shared::new(&Visited::new(&db), &Quiet), Counted::default);
    let least = rayon::current_num_threads().min(100);
    assert!(parts.len() > least, "{} parts for {least} threads", parts.len());
    // The branches above the parts are the first visitor's.
    assert!(parts[0].stats.branch_pages > 0 && parts[0].stats.leaf_pages == 0, "{:?}", parts[0].stats);
    let (mut alone, mut together) = (Counted::default(), Stats::default());
    walk(&bucket, Shared::new(&Visited::new(&db), &Quiet), &mut alone);
    parts.iter().for_each(|part| together.add(&part.stats));
    assert_eq!(together, alone.stats);
}

/// Sees how far the reader of a cold file is at each page: depth, where the first page of it ends, how far.
struct Waiting<'w> {
    passed: &'w AtomicU64,
    branches: &'w AtomicU64,
    seen: Vec<(usize, u64, u64)>,
}

impl Visitor for Waiting<'_> {
    fn branch(&mut self, page: &Page<'_>, depth: usize) {
        self.leaf(page, &[], Some(depth));
        self.branches.fetch_add(1, Ordering::SeqCst);
    }
    fn leaf<'p>(&mut self, page: &Page<'p>, _: &[LeafElement<'p>], depth: Option<usize>) {
        self.seen.push((depth.unwrap(), page.offset + 1024, self.passed.load(Ordering::SeqCst)));
    }
    fn fault(&mut self, corrupt: Corrupt) {
        panic!("{corrupt}");
    }
}

#[test]
fn pages_of_a_cold_file_wait_for_the_reader_but_for_the_branches_near_the_root() {
    for (items, levels) in [(12, 2), (8000, 7)] {
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options { page_size: 1024, ..Options::default() }).unwrap();
        writer.begin_bucket(b"key", 0).unwrap();
        (0..items).for_each(|i| writer.put(format!("{i:0200}").as_bytes(), b"").unwrap());
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        let source = Source::from_bytes("cold", file.into_inner());
        let db = Db::open(&source).unwrap();
        let bucket = db.root().bucket(b"key").unwrap().unwrap();
        let (visited, gate) = (Visited::new(&db), Gate::default());
        let (passed, branches) = (AtomicU64::new(0), AtomicU64::new(0));
        let mut waiting = Waiting { passed: &passed, branches: &branches, seen: Vec::new() };
        let near = levels - 2;
        std::thread::scope(|scope| {
            scope.spawn(|| {
                // It begins when the walk has come as far as it can without it.
                let begun = std::time::Instant::now();
                while branches.load(Ordering::SeqCst) < to_u64(near.max(1)) && begun.elapsed().as_secs() < 5 {
                    std::thread::yield_now();
                }
                for at in (0..=source.len()).step_by(16 << 10).chain([source.len()]) {
                    passed.store(at, Ordering::SeqCst);
                    gate.pass(at);
                    std::thread::yield_now();
                }
            });
            walk(&bucket, Shared { gate: Some(&gate), ..Shared::new(&visited, &Quiet) }, &mut waiting);
        });
        let seen = waiting.seen;
        assert_eq!(seen.iter().map(|(depth, ..)| depth + 1).max(), Some(levels));
        let first = seen.iter().take(near.max(1));
        assert!(
            first
                .clone()
                .map(|(depth, _, passed)| (*depth, *passed))
                .eq((0..near.max(1)).map(|depth| (depth, 0))),
            "{first:?}"
        );
        for (depth, end, passed) in seen.iter().filter(|(depth, ..)| *depth >= near && *depth > 0) {
            assert!(
                *passed >= source.len().min(end + to_u64(READ_AHEAD)),
                "depth {depth}: {end} is read when {passed} is passed"
            );
        }
    }
}

#[test]
fn a_page_that_is_reached_twice_is_told_by_its_number_and_a_run_of_pages_by_its_first_and_last() {
    for (value, told) in
        [(900, "page 2 is reached a second time"), (5000, "one of the pages 2 to 6 is reached a second time")]
    {
        let mut file = std::io::Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut file, Options { page_size: 1024, ..Options::default() }).unwrap();
        writer.begin_bucket(b"key", 0).unwrap();
        (0..3u8).for_each(|i| writer.put(&[i], &vec![i; value]).unwrap());
        writer.end_bucket().unwrap();
        writer.finish().unwrap();
        let mut bytes = file.into_inner();
        let top = {
            let source = Source::from_bytes("good", bytes.clone());
            let db = Db::open(&source).unwrap();
            let Root::Tree(top) = db.root().bucket(b"key").unwrap().unwrap().root else { panic!("inline") };
            to_usize(top.0) * 1024
        };
        // The second child is the first one.
        bytes.copy_within(top + 24..top + 32, top + 40);
        let source = Source::from_bytes("bad", bytes);
        let db = Db::open(&source).unwrap();
        let bucket = db.root().bucket(b"key").unwrap().unwrap();
        let mut seen = Counted::default();
        walk(&bucket, Shared::new(&Visited::new(&db), &Quiet), &mut seen);
        let [fault] = &seen.faults[..] else { panic!("{:?}", seen.faults) };
        assert_eq!((fault.code, fault.at.page), (Code::PageShared, Some(2)));
        assert!(fault.detail.starts_with(told), "{fault}");
    }
}

#[test]
fn the_pages_of_the_root_bucket_are_counted_branches_too() {
    let mut file = std::io::Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, Options { page_size: 1024, ..Options::default() }).unwrap();
    for i in 0..500u32 {
        writer.begin_bucket(&i.to_be_bytes(), 0).unwrap();
        writer.end_bucket().unwrap();
    }
    writer.finish().unwrap();
    let source = Source::from_bytes("buckets", file.into_inner());
    let db = Db::open(&source).unwrap();
    let mut buckets = Buckets::new(&db);
    walk(&db.root(), Shared::new(&Visited::new(&db), &Quiet), &mut buckets);
    assert_eq!((buckets.found.len(), buckets.stats.elements), (500, 500));
    assert!(buckets.stats.branch_pages > 0);
    // All buckets are inline: but for the metas there are no other pages.
    assert_eq!(buckets.stats.pages() + 2, db.meta().high_water.0);
}

#[test]
fn a_page_is_free_that_is_listed_or_when_nothing_is_listed_that_no_tree_has() {
    // Page 2 is free, 3 the freelist, 4 the root, a leaf without elements.
    let file = |list: Option<u64>| {
        let mut bytes = vec![0; 5 * 1024];
        for (page, flags) in [(0u8, 4), (1, 4), (3, 0x10), (4, 2)] {
            bytes[usize::from(page) * 1024] = page;
            bytes[usize::from(page) * 1024 + 8] = flags;
        }
        if let Some(id) = list {
            bytes[3 * 1024 + 10] = 1;
            bytes[3 * 1024 + 16..3 * 1024 + 24].copy_from_slice(&id.to_le_bytes());
        }
        for meta in [0, 1024] {
            bytes[meta + 16..meta + 28].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0, 0, 4, 0, 0]);
            for (at, word) in [(32, 4), (48, if list.is_some() { 3 } else { u64::MAX }), (56, 5), (64, 9)] {
                bytes[meta + at..meta + at + 8].copy_from_slice(&u64::to_le_bytes(word));
            }
            let sum = fnv1a64(&bytes[meta + 16..meta + 72]);
            bytes[meta + 72..meta + 80].copy_from_slice(&sum.to_le_bytes());
        }
        Source::from_bytes("small", bytes)
    };
    let checked = |list| {
        let source = file(list);
        let db = Db::open(&source).unwrap();
        let visited = Visited::new(&db);
        walk(&db.root(), Shared::new(&visited, &Quiet), &mut Counted::default());
        let mut told = Vec::new();
        let free = check_freelist(&db, &visited, &mut |corrupt| told.push(corrupt.to_string()));
        (free, told)
    };
    assert_eq!(checked(None), (2, vec![]));
    assert_eq!(checked(Some(2)), (1, vec![]));
    let (_, told) = checked(Some(1));
    assert!(told[0].contains("free page 1 is not between 2 and the high water mark 5"), "{told:?}");
    assert!(told[1].contains("page is neither in a tree nor listed as free") && told.len() == 2, "{told:?}");
}
