//! Whether a bbolt file is whole, by the page walk and by a slow model that knows only the rules: both must agree, and on which pages are
//! reached. The file is small and its pages are made from the input, so that most of them are nearly whole.
#![no_main]

use std::collections::BTreeSet;

use coldbolt::Code;
use coldbolt::bolt::Db;
use coldbolt::bytes::Source;
use coldbolt::bytes::checksum::fnv1a64;
use coldbolt::monitor::Quiet;
use coldbolt::ops::scan::{Options, scan};

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
    /// Keys, values, flags and children of a page, in order.
    fn items(page: &[u8]) -> Option<Items> {
        let (branch, count) = (u16_at(page, 8) == 1, u16_at(page, 10));
        let mut items: Items = Vec::new();
        for i in 0..count {
            let element = 16 + 16 * i;
            page.get(element..element + 16)?;
            let word = |n: usize| u32_at(page, element + 4 * n);
            let (flags, pos, ksize, vsize) = if branch { (0, word(0), word(1), 0) } else { (word(0), word(1), word(2), word(3)) };
            let child = if branch { u64_at(page, element + 8) } else { 0 };
            if ksize == 0 || flags > 1 || pos < 16 * (count - i) {
                return None;
            }
            let key = page.get(element + pos..element + pos + ksize)?.to_vec();
            let value = page.get(element + pos + ksize..element + pos + ksize + vsize)?.to_vec();
            if items.last().is_some_and(|(before, ..)| *before >= key) {
                return None;
            }
            items.push((key, value, flags, child));
        }
        Some(items)
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
        let items = Self::items(page)?;
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
            if first != Some(key) || deep.is_some_and(|deep| deep != levels) || all.last().is_some_and(|(last, ..)| *last >= below[0].0) {
                return None;
            }
            deep = Some(levels);
            all.extend(below);
        }
        Some((all, deep? + 1))
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
            if u64::from_le_bytes(at(page, 0)?) != 0 || page.get(8..10)? != [2, 0] || page.get(12..16)? != [0; 4] {
                return None;
            }
            let below = Self::items(page)?;
            self.bucket(&below, true, nesting + 1)?;
        }
        Some(())
    }
}

/// A file of up to 62 pages: the input's, with meta pages and page numbers that fit.
fn build(data: &[u8]) -> Vec<u8> {
    let [root, keep, rest @ ..] = data else { return Vec::new() };
    let pages = rest.len().div_ceil(PAGE).clamp(1, 60) + 2;
    let mut file = vec![0; pages * PAGE];
    let len = rest.len().min((pages - 2) * PAGE);
    file[2 * PAGE..2 * PAGE + len].copy_from_slice(&rest[..len]);
    for id in 2..pages {
        // Most pages carry their number.
        if (keep >> (id % 8)) & 1 == 0 {
            file[id * PAGE..id * PAGE + 8].copy_from_slice(&(id as u64).to_le_bytes());
        }
    }
    for (id, txid) in [(0usize, 9u64), (1, 8)] {
        let page = &mut file[id * PAGE..][..80];
        page[0] = id as u8;
        page[8] = 4;
        page[16..24].copy_from_slice(&[0xed, 0xda, 0x0c, 0xed, 2, 0, 0, 0]);
        page[24..28].copy_from_slice(&(PAGE as u32).to_le_bytes());
        page[32..40].copy_from_slice(&(2 + u64::from(*root) % (pages as u64 - 2)).to_le_bytes());
        page[48..56].fill(0xff);
        page[56..64].copy_from_slice(&(pages as u64).to_le_bytes());
        page[64..72].copy_from_slice(&txid.to_le_bytes());
        let sum = fnv1a64(&page[16..72]).to_le_bytes();
        page[72..80].copy_from_slice(&sum);
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
    let whole = model.tree(root, true, 0).and_then(|(items, _)| model.bucket(&items, false, 0)).is_some();

    let source = Source::from_bytes("file.db", file.clone());
    let db = Db::open(&source).expect("the meta pages fit");
    let scan = scan(&db, Options { limit: 100, gate: None, history: true }, &Quiet).unwrap();
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
    assert_eq!(faults.is_empty(), whole, "the walk: {faults:?} {:?}", scan.faults.kept);
    if whole {
        assert_eq!(scan.free_pages, (2..pages).filter(|id| !model.reached.contains(id)).count() as u64);
        let mut stats = scan.root.clone();
        scan.buckets.iter().for_each(|bucket| stats.add(&bucket.stats));
        assert_eq!(stats.pages(), model.reached.len() as u64 - 2);
    }
});
