//! Whether a bbolt file is whole, by the page walk and by a slow model that knows only the rules: both must agree,
//! and on which pages are reached. The file is a small one of the writer's with a few bytes changed, so that most of
//! it is whole.
#![no_main]

use std::collections::{BTreeMap, BTreeSet};
use std::io::Cursor;

use coldbolt::Code;
use coldbolt::bolt::Db;
use coldbolt::bolt::writer::pack::pack;
use coldbolt::bolt::writer::patch::patch;
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::io::Source;
use coldbolt::store::scan::{self, KeyDepth, scan};
use coldbolt::words::monitor::Quiet;

const PAGE: usize = 1024;
const DEEPEST: usize = 64;

/// Reads `N` bytes of a page run.
fn at<const N: usize>(bytes: &[u8], from: usize) -> Option<[u8; N]> {
    bytes.get(from..from.checked_add(N)?)?.try_into().ok()
}

fn u16_at(bytes: &[u8], from: usize) -> usize {
    usize::from(u16::from_le_bytes(at(bytes, from).unwrap()))
}

fn u32_at(bytes: &[u8], from: usize) -> usize {
    u32::from_le_bytes(at(bytes, from).unwrap()) as usize
}

fn u64_at(bytes: &[u8], from: usize) -> u64 {
    u64::from_le_bytes(at(bytes, from).unwrap())
}

/// The model: `None` is a fault.
struct Model<'f> {
    file: &'f [u8],
    pages: u64,
    reached: BTreeSet<u64>,
}

type Items = Vec<(Vec<u8>, Vec<u8>, usize, u64)>;

impl Model<'_> {
    /// KeyDepth, values, flags and children of a page, in order. The data lie behind the elements, one behind the other,
    /// and the value of a bucket with a tree of its own is a header and no more. An inline page ends with its last
    /// element.
    fn items(page: &[u8], inline: bool) -> Option<Items> {
        let (branch, count) = (u16_at(page, 8) == 1, u16_at(page, 10));
        let mut items: Items = Vec::new();
        let mut due = 16 + 16 * count;
        for i in 0..count {
            let element = 16 + 16 * i;
            page.get(element..element + 16)?;
            let word = |n: usize| u32_at(page, element + 4 * n);
            let (flags, pos, ksize, vsize) =
                if branch { (0, word(0), word(1), 0) } else { (word(0), word(1), word(2), word(3)) };
            let child = if branch { u64_at(page, element + 8) } else { 0 };
            if ksize == 0 || flags > 1 || element + pos != due {
                return None;
            }
            due += ksize + vsize;
            let key = page.get(element + pos..element + pos + ksize)?.to_vec();
            let value = page.get(element + pos + ksize..element + pos + ksize + vsize)?.to_vec();
            if items.last().is_some_and(|(before, ..)| *before >= key) {
                return None;
            }
            if flags == 1 && value.len() != 16 && at::<8>(&value, 0)? != [0; 8] {
                return None;
            }
            items.push((key, value, flags, child));
        }
        (!inline || due == page.len()).then_some(items)
    }

    /// All items of the tree below a page, and how deep it is.
    fn tree(&mut self, id: u64, top: bool, depth: usize) -> Option<(Items, usize)> {
        let start = usize::try_from(id).ok()?.checked_mul(PAGE)?;
        if id < 2 || id >= self.pages || depth > DEEPEST {
            return None;
        }
        let head = self.file.get(start..start + PAGE)?;
        let flags = u16_at(head, 8);
        if u64_at(head, 0) != id || !(flags == 1 || flags == 2) {
            return None;
        }
        let run = u32_at(head, 12) + 1;
        if id + run as u64 > self.pages || !(id..id + run as u64).all(|id| self.reached.insert(id)) {
            return None;
        }
        let page = self.file.get(start..start + run * PAGE)?;
        let items = Self::items(page, false)?;
        if items.is_empty() && (flags == 1 || !top) {
            return None;
        }
        if flags == 2 {
            return Some((items, 1));
        }
        if depth == DEEPEST {
            return None;
        }
        let (mut all, mut deep): (Items, Option<usize>) = (Vec::new(), None);
        for (key, _, _, child) in items {
            let (below, levels) = self.tree(child, false, depth + 1)?;
            let first = below.first().map(|(key, ..)| key.clone());
            if first != Some(key)
                || deep.is_some_and(|deep| deep != levels)
                || all.last().is_some_and(|(last, ..)| *last >= below[0].0)
            {
                return None;
            }
            deep = Some(levels);
            all.extend(below);
        }
        Some((all, deep? + 1))
    }

    /// The whole file: its top level holds buckets only.
    fn file(&mut self, root: u64) -> Option<()> {
        let (items, _) = self.tree(root, true, 0)?;
        items.iter().all(|(_, _, flags, _)| *flags == 1).then_some(())?;
        self.bucket(&items, false, 0)
    }

    /// A bucket and all buckets in it.
    fn bucket(&mut self, items: &Items, inline: bool, nesting: usize) -> Option<()> {
        for (_, value, _, _) in items.iter().filter(|(_, _, flags, _)| *flags == 1) {
            if inline || nesting > DEEPEST {
                return None;
            }
            let root = u64::from_le_bytes(at(value, 0)?);
            at::<8>(value, 8)?;
            if root != 0 {
                let below = self.tree(root, true, 0)?.0;
                self.bucket(&below, false, nesting + 1)?;
                continue;
            }
            let page = &value[16..];
            if u64::from_le_bytes(at(page, 0)?) != 0
                || page.get(8..10)? != [2, 0]
                || page.get(12..16)? != [0; 4]
            {
                return None;
            }
            let below = Self::items(page, true)?;
            self.bucket(&below, true, nesting + 1)?;
        }
        Some(())
    }
}

/// A whole file with buckets of every kind, and then a few edits where the rules are: what the input says of either.
fn build(data: &[u8]) -> Vec<u8> {
    let [keys, size, fill, edits @ ..] = data else { return Vec::new() };
    let options =
        Options { page_size: PAGE as u32, txid: 9, fill_percent: 25 + fill % 76, ..Options::default() };
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options).unwrap();
    writer.begin_bucket(b"a", 0).unwrap();
    for i in 0..u32::from(*keys) {
        // Even numbers, and now and then a value of more than a page.
        let len = if i % 64 == 63 { 2000 } else { usize::from(*size) };
        writer.put(&(2 * i).to_be_bytes(), &vec![7; len]).unwrap();
    }
    writer.end_bucket().unwrap();
    writer.begin_bucket(b"b", 0).unwrap();
    for inner in [b"x", b"y"] {
        writer.begin_bucket(inner, 0).unwrap();
        writer.put(b"k", b"v").unwrap();
        writer.put(b"l", b"w").unwrap();
        writer.end_bucket().unwrap();
    }
    writer.end_bucket().unwrap();
    writer.finish().unwrap();
    let mut file = file.into_inner();
    let pages = file.len() / PAGE;
    for edit in edits.chunks_exact(5).take(4) {
        let [page, what, element, byte, value] = edit else { break };
        let start = (2 + usize::from(*page) % (pages - 2)) * PAGE;
        let count = u16_at(&file, start + 10).clamp(1, 60);
        let element = start + 16 + 16 * (usize::from(*element) % count);
        let key = element
            + if u16_at(&file, start + 8) == 1 { u32_at(&file, element) } else { u32_at(&file, element + 4) };
        let place = match what % 4 {
            0 => start + usize::from(*byte) % 16,
            1 => element + usize::from(*byte) % 16,
            2 => key + usize::from(*byte) % 8,
            // The last page of the file holds the root: bucket headers and inline pages.
            _ => file.len() - PAGE + usize::from(u16::from_le_bytes([*byte, *page]) % PAGE as u16),
        };
        let Some(place) = file.get_mut(place).filter(|_| place >= 2 * PAGE) else { continue };
        *place = if what & 0x80 == 0 { *value } else { place.wrapping_add(*value % 5).wrapping_sub(2) };
    }
    file
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let file = build(data);
    if file.is_empty() {
        return;
    }
    let pages = (file.len() / PAGE) as u64;
    let mut model = Model { file: &file, pages, reached: BTreeSet::from([0, 1]) };
    let root = u64_at(&file, 32);
    let whole = model.file(root).is_some();

    let source = Source::from_bytes("file.db", file.clone());
    let db = Db::open(&source).expect("the meta pages fit");
    let scan =
        scan(&db, scan::ScanOptions { limit: 100, gate: None, keys: KeyDepth::History }, &Quiet).unwrap();
    let of_pages = |code: &Code| {
        !matches!(
            code,
            Code::RevisionKey
                | Code::ValueUndecodable
                | Code::ModRevision
                | Code::VersionChain
                | Code::Tombstone
                | Code::SubRevision
                | Code::RevisionGap
        )
    };
    let faults: Vec<&Code> = scan.faults.counts.keys().filter(|code| of_pages(code)).collect();
    assert_eq!(whole, faults.is_empty(), "the walk: {faults:?} {:?}", scan.faults.kept);
    if faults.is_empty() {
        assert_eq!(scan.free_pages, (2..pages).filter(|id| !model.reached.contains(id)).count() as u64);
        let mut stats = scan.root.clone();
        scan.buckets.iter().for_each(|bucket| stats.add(&bucket.stats));
        assert_eq!(stats.pages(), model.reached.len() as u64 - 2);
    }

    // The pages in use moved together: the same content in sound pages, or an error.
    let Ok(patched) = patch(&db, &BTreeMap::new()) else { return };
    let over = Db::open(&patched.source).unwrap();
    let places = patched.places(&over, &scan.reached);
    let mut out = Vec::new();
    let packed = pack(&over, &places, &mut out, &Quiet);
    if faults.is_empty() {
        packed.unwrap();
        let source = Source::from_bytes("packed.db", out);
        let again = scan::scan(
            &Db::open(&source).unwrap(),
            scan::ScanOptions { limit: 9, gate: None, keys: KeyDepth::Stored },
            &Quiet,
        )
        .unwrap();
        assert!(!again.faults.counts.keys().any(of_pages), "{:?}", again.faults.kept);
        assert_eq!((again.hash, again.free_pages), (scan.hash, 0));
    }
});
