//! Makes a snapshot file of any size, as `etcdctl snapshot save` would have left it, to measure with.
//!
//! ```text
//! cargo bench --bench generate -- big.snap --size 2500MB
//! ```
//!
//! The store it describes was compacted once: below that revision each user key has one entry, above it every put and
//! delete is there. Same arguments, same bytes. Memory does not grow with the file: only so many user keys are alive
//! to writes at a time.

use std::collections::VecDeque;
use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::os::unix::fs::FileExt;
use std::process::ExitCode;

use coldbolt::bolt::writer::{FreelistPage, Options, Writer};
use sha2::{Digest, Sha256};

#[path = "generate/objects.rs"]
mod objects;

type Failure = Box<dyn std::error::Error>;

const USAGE: &str = "cargo bench --bench generate -- OUT [options]
  --shape NAME        kubernetes, cluster, small, huge, deep or fragmented: sets the options below as they follow
  --size N            bytes of the file, about; B, KB, MB, GB or KiB, MiB, GiB        [100MB]
  --value-size N      bytes of a value on average; they vary from half to 1.5 times   [800]
  --objects           values are objects of Kubernetes, those of a real server under other names
  --keys-fraction F   user keys by puts, above the compacted revision                 [0.3]
  --deletes F         of the user keys that end, how many are deleted                 [0.5]
  --compacted F       how much of the file lies below the compacted revision          [0.5]
  --window N          user keys that are written to at a time                         [4096]
  --scatter F         pages in random order, and so many free ones among them         [as written]
  --leases N          leases that one user key in eleven is attached to; 0: none      [64]
  --seed N            another file of the same kind                                   [1]
  --page-size N       a power of two from 1024 to 65536                               [4096]
  --freelist          store a freelist
  --no-trailer        leave out the SHA-256 at the end";

const MEMBER: u64 = 0x8e9e_05c5_2164_694d;

/// What is in a file, as options.
const SHAPES: [(&str, &[&str]); 6] = [
    ("kubernetes", &[]),
    ("cluster", &["--objects"]),
    ("small", &["--value-size", "100"]),
    ("huge", &["--value-size", "1MB"]),
    ("deep", &["--window", "1", "--keys-fraction", "0", "--compacted", "0", "--leases", "0"]),
    ("fragmented", &["--scatter", "0.4"]),
];

fn main() -> ExitCode {
    // cargo bench passes --bench; without a word of ours there is nothing to do.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    if args.is_empty() {
        return ExitCode::SUCCESS;
    }
    match Plan::from_args(args).and_then(|plan| generate(&plan)) {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

struct Plan {
    out: String,
    size: u64,
    value_size: u64,
    objects: Option<objects::Templates>,
    keys_fraction: f64,
    deletes: f64,
    compacted: f64,
    window: u64,
    scatter: Option<f64>,
    leases: u64,
    seed: u64,
    trailer: bool,
    options: Options,
}

impl Plan {
    fn from_args(args: Vec<String>) -> Result<Plan, Failure> {
        let mut plan = Plan {
            out: String::new(),
            size: 100_000_000,
            value_size: 800,
            objects: None,
            keys_fraction: 0.3,
            deletes: 0.5,
            compacted: 0.5,
            window: 4096,
            scatter: None,
            leases: 64,
            seed: 1,
            trailer: true,
            options: Options { txid: 1000, ..Options::default() },
        };
        let mut args: VecDeque<String> = args.into();
        while let Some(arg) = args.pop_front() {
            let mut value = || args.pop_front().ok_or_else(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--shape" => {
                    let name = value()?;
                    let (_, options) = SHAPES
                        .iter()
                        .find(|(shape, _)| *shape == name)
                        .ok_or_else(|| format!("no shape {name}"))?;
                    options.iter().rev().for_each(|option| args.push_front((*option).to_owned()));
                }
                "--window" => plan.window = value()?.parse::<u64>()?.max(1),
                "--scatter" => plan.scatter = Some(fraction(&value()?)?),
                "--size" => plan.size = size(&value()?)?,
                "--value-size" => plan.value_size = size(&value()?)?,
                "--objects" => plan.objects = Some(objects::Templates::read()?),
                "--keys-fraction" => plan.keys_fraction = fraction(&value()?)?,
                "--deletes" => plan.deletes = fraction(&value()?)?,
                "--compacted" => plan.compacted = fraction(&value()?)?,
                "--leases" => plan.leases = value()?.parse()?,
                "--seed" => plan.seed = value()?.parse()?,
                "--page-size" => plan.options.page_size = u32::try_from(size(&value()?)?)?,
                "--freelist" => plan.options.freelist = FreelistPage::Stored,
                "--no-trailer" => plan.trailer = false,
                _ if arg.starts_with("--") || !plan.out.is_empty() => {
                    return Err(format!("unexpected {arg}").into());
                }
                _ => plan.out = arg,
            }
        }
        if let Some(free) = plan.scatter {
            plan.size = (plan.size as f64 * (1.0 - free)) as u64;
        }
        if plan.scatter.is_some() && plan.options.freelist == FreelistPage::Stored {
            return Err("--scatter makes free pages, which a stored freelist would have to list".into());
        }
        if plan.out.is_empty() { Err("no output file".into()) } else { Ok(plan) }
    }
}

fn size(text: &str) -> Result<u64, Failure> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &text[digits..] {
        "" | "B" => 1,
        "KB" | "kB" => 1000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        unit => return Err(format!("unknown unit {unit}").into()),
    };
    let number: u64 = text[..digits].parse()?;
    number.checked_mul(unit).ok_or_else(|| format!("{text} is too much").into())
}

fn fraction(text: &str) -> Result<f64, Failure> {
    let number: f64 = text.parse()?;
    if (0.0..=1.0).contains(&number) { Ok(number) } else { Err(format!("{text} is not from 0 to 1").into()) }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn chance(&mut self, probability: f64) -> bool {
        ((self.next() >> 11) as f64) < probability * (1u64 << 53) as f64
    }
}

/// A user key that is written to.
#[derive(Clone, Copy)]
struct Slot {
    number: u64,
    create: u64,
    /// 0 when the key does not exist now.
    version: u64,
}

struct Store<'a> {
    plan: &'a Plan,
    random: Random,
    pool: Vec<u8>,
    message: Vec<u8>,
    user_key: Vec<u8>,
    object: Vec<u8>,
    /// User keys so far.
    numbers: u64,
    entries: u64,
    tombstones: u64,
    live: u64,
}

fn varint(out: &mut Vec<u8>, tag: u8, mut n: u64) {
    if n == 0 {
        return;
    }
    out.push(tag);
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn bytes(out: &mut Vec<u8>, tag: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        varint(out, tag, bytes.len() as u64);
        out.extend_from_slice(bytes);
    }
}

fn revision(main: u64, sub: u64) -> [u8; 17] {
    let mut key = [b'_'; 17];
    key[..8].copy_from_slice(&main.to_be_bytes());
    key[9..].copy_from_slice(&sub.to_be_bytes());
    key
}

impl Store<'_> {
    fn new_slot(&mut self) -> Slot {
        self.numbers += 1;
        Slot { number: self.numbers, create: 0, version: 0 }
    }

    /// And the object that has it, where values are objects.
    fn set_user_key(&mut self, number: u64) {
        if let Some(objects) = &self.plan.objects {
            return objects.object(number, &mut self.user_key, &mut self.object);
        }
        let kind = ["pods", "events", "configmaps", "secrets", "leases"][(number % 5) as usize];
        let namespace = Random(number).below(100);
        self.user_key.clear();
        write!(self.user_key, "/registry/{kind}/namespace-{namespace:02}/name-{number:010}")
            .expect("memory takes it");
    }

    /// A `KeyValue` under its revision.
    fn put<W: Write + Seek>(
        &mut self,
        writer: &mut Writer<W>,
        main: u64,
        sub: u64,
        slot: Slot,
    ) -> Result<(), Failure> {
        self.set_user_key(slot.number);
        let mean = self.plan.value_size;
        let len = (mean / 2 + self.random.below(mean + 1)) as usize;
        let start = self.random.below((self.pool.len() / 2) as u64) as usize;
        let leases = self.plan.leases;
        let lease =
            if leases > 0 && slot.number.is_multiple_of(11) { 1000 + slot.number % leases } else { 0 };
        self.message.clear();
        bytes(&mut self.message, 0x0a, &self.user_key);
        varint(&mut self.message, 0x10, slot.create);
        varint(&mut self.message, 0x18, main);
        varint(&mut self.message, 0x20, slot.version);
        if self.plan.objects.is_some() {
            bytes(&mut self.message, 0x2a, &self.object);
        } else if len > 0 {
            varint(&mut self.message, 0x2a, len as u64);
            // Values longer than half the pool repeat it.
            let mut rest = len;
            while rest > 0 {
                let piece = rest.min(self.pool.len() / 2);
                self.message.extend_from_slice(&self.pool[start..start + piece]);
                rest -= piece;
            }
        }
        varint(&mut self.message, 0x30, lease);
        writer.put(&revision(main, sub), &self.message)?;
        self.entries += 1;
        Ok(())
    }

    fn tombstone<W: Write + Seek>(
        &mut self,
        writer: &mut Writer<W>,
        main: u64,
        sub: u64,
        number: u64,
    ) -> Result<(), Failure> {
        self.set_user_key(number);
        self.message.clear();
        bytes(&mut self.message, 0x0a, &self.user_key);
        let mut key = revision(main, sub).to_vec();
        key.push(b't');
        writer.put(&key, &self.message)?;
        self.entries += 1;
        self.tombstones += 1;
        self.live -= 1;
        Ok(())
    }
}

fn generate(plan: &Plan) -> Result<String, Failure> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&plan.out)?;
    let mut writer = Writer::new(&mut file, plan.options)?;
    let mut random = Random(plan.seed);
    let pool = (0..16_384).flat_map(|_| random.next().to_le_bytes()).collect();
    let mut store = Store {
        plan,
        random,
        pool,
        message: Vec::new(),
        user_key: Vec::new(),
        object: Vec::new(),
        numbers: 0,
        entries: 0,
        tombstones: 0,
        live: 0,
    };

    for name in ["alarm", "auth", "authRoles", "authUsers"] {
        writer.begin_bucket(name.as_bytes(), 0)?;
        if name == "auth" {
            writer.put(b"authRevision", &1u64.to_be_bytes())?;
        }
        writer.end_bucket()?;
    }
    writer.begin_bucket(b"cluster", 0)?;
    writer.put(b"clusterVersion", b"3.6.0")?;
    writer.end_bucket()?;

    writer.begin_bucket(b"key", 0)?;
    let (compacted, last) = keys(&mut store, &mut writer)?;
    writer.end_bucket()?;

    writer.begin_bucket(b"lease", 0)?;
    for id in 1000..1000 + plan.leases {
        let mut lease = Vec::new();
        varint(&mut lease, 0x08, id);
        varint(&mut lease, 0x10, 3600);
        writer.put(&id.to_be_bytes(), &lease)?;
    }
    writer.end_bucket()?;
    writer.begin_bucket(b"members", 0)?;
    let urls =
        r#""peerURLs":["http://localhost:2380"],"name":"default","clientURLs":["http://localhost:2379"]"#;
    writer.put(format!("{MEMBER:x}").as_bytes(), format!(r#"{{"id":{MEMBER},{urls}}}"#).as_bytes())?;
    writer.end_bucket()?;
    writer.begin_bucket(b"members_removed", 0)?;
    writer.end_bucket()?;
    writer.begin_bucket(b"meta", 0)?;
    writer.put(b"confState", format!(r#"{{"voters":[{MEMBER}],"auto_leave":false}}"#).as_bytes())?;
    writer.put(b"consistent_index", &(last + 10).to_be_bytes())?;
    if compacted > 0 {
        writer.put(b"finishedCompactRev", &revision(compacted, 0))?;
        writer.put(b"scheduledCompactRev", &revision(compacted, 0))?;
    }
    writer.put(b"storageVersion", b"3.6.0")?;
    writer.put(b"term", &2u64.to_be_bytes())?;
    writer.end_bucket()?;
    let mut summary = writer.finish()?;
    if let Some(free) = plan.scatter {
        let page_size = u64::from(plan.options.page_size);
        summary.pages = scatter(&mut file, &plan.out, page_size, free, &mut store.random)?;
        summary.bytes = summary.pages * page_size;
        file = OpenOptions::new().read(true).write(true).open(&plan.out)?;
    }

    let mut trailer = String::from("none");
    if plan.trailer {
        let digest = digest(&mut file)?;
        file.write_all(&digest)?;
        trailer = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    }
    let Store { numbers, entries, tombstones, live, .. } = store;
    Ok(format!(
        "{}: {} pages, {} bytes; revisions to {last}, compacted at {compacted}; {entries} entries, {tombstones} of them deletions; \
         {numbers} user keys, {live} live; trailer {trailer}",
        plan.out, summary.pages, summary.bytes
    ))
}

/// The `key` bucket. Gives the compacted revision (0: never compacted) and the last one.
fn keys<W: Write + Seek>(store: &mut Store<'_>, writer: &mut Writer<W>) -> Result<(u64, u64), Failure> {
    let plan = store.plan;
    // What is still to come is small.
    let size = plan.size.saturating_sub(4 * u64::from(plan.options.page_size));
    let head = (size as f64 * plan.compacted) as u64;
    let mut main = 1;
    let size_of_window = usize::try_from(plan.window)?;
    let mut window: Vec<Slot> = Vec::new();
    // Below the compacted revision: of each user key its newest entry, with gaps where the others were.
    while writer.bytes_so_far() < head {
        main += 1 + store.random.below(4);
        let mut slot = store.new_slot();
        slot.version = 1 + store.random.below(5.min(main - 1));
        // So many puts of one key took at least as many revisions.
        slot.create = if slot.version == 1 { main } else { 2 + store.random.below(main - slot.version) };
        store.put(writer, main, 0, slot)?;
        store.live += 1;
        if window.len() < size_of_window {
            window.push(slot);
        } else {
            let place = store.random.below(plan.window) as usize;
            window[place] = slot;
        }
    }
    let compacted = if main > 1 { main } else { 0 };
    while window.len() < size_of_window {
        let slot = store.new_slot();
        window.push(slot);
    }
    // Above it everything that happened: transactions of one to four user keys, side by side in the window so that
    // none comes twice.
    while writer.bytes_so_far() < size {
        main += 1;
        let subs = if store.random.below(16) == 0 { 1 + store.random.below(4.min(plan.window)) } else { 1 };
        let first = store.random.below(plan.window);
        for sub in 0..subs {
            let place = ((first + sub) % plan.window) as usize;
            let mut slot = window[place];
            if slot.version > 0 && store.random.chance(plan.keys_fraction) {
                // The user key's time is over: deleted, sometimes to come back, or left as it is for another one.
                if store.random.chance(plan.deletes) {
                    store.tombstone(writer, main, sub, slot.number)?;
                    slot.version = 0;
                    window[place] = if store.random.below(2) == 0 { slot } else { store.new_slot() };
                    continue;
                }
                slot = store.new_slot();
            }
            slot.version += 1;
            if slot.version == 1 {
                slot.create = main;
                store.live += 1;
            }
            store.put(writer, main, sub, slot)?;
            window[place] = slot;
        }
    }
    Ok((compacted, main))
}

/// The SHA-256 of the file; it then stands at its end.
fn digest(file: &mut (impl Read + Seek)) -> Result<[u8; 32], Failure> {
    file.seek(SeekFrom::Start(0))?;
    let (mut sha, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sha.finalize().into()),
            n => sha.update(&buffer[..n]),
        }
    }
}

/// Puts the pages in random order, with free ones that hold what a page once held, as a server leaves a file it has
/// long written to. Gives the number of pages.
fn scatter(
    file: &mut File,
    path: &str,
    page_size: u64,
    free: f64,
    random: &mut Random,
) -> Result<u64, Failure> {
    let mut head = [0; 16];
    let pages = file.metadata()?.len() / page_size;
    // Where each page is, and how many follow it.
    let (mut runs, mut at) = (Vec::new(), 2);
    while at < pages {
        file.read_exact_at(&mut head, at * page_size)?;
        let len = 1 + u64::from(u32::from_le_bytes(head[12..16].try_into()?));
        runs.push((at, len));
        at += len;
    }
    for last in (1..runs.len()).rev() {
        runs.swap(last, random.below(last as u64 + 1) as usize);
    }
    let mut places = vec![0; usize::try_from(pages)?];
    let (mut order, mut end) = (Vec::new(), 2);
    for (at, len) in runs {
        // In front of some runs there is room for another one, as of `free` of all.
        if random.chance(free / (1.0 - free).max(0.01)) {
            order.push((at, len, end, false));
            end += len;
        }
        order.push((at, len, end, true));
        places[usize::try_from(at)?] = end;
        end += len;
    }
    let beside = format!("{path}.scattered");
    let mut out = std::io::BufWriter::with_capacity(1 << 20, File::create(&beside)?);
    let mut metas = vec![0; usize::try_from(2 * page_size)?];
    file.read_exact_at(&mut metas, 0)?;
    for meta in metas.chunks_exact_mut(usize::try_from(page_size)?) {
        // After the head of the page: magic, version, page size, flags; root, its sequence, freelist, high water
        // mark, txid, checksum.
        patch(meta, 32, |root| places[root as usize]);
        patch(meta, 56, |_| end);
        let sum = meta[16..72].iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
        patch(meta, 72, |_| sum);
    }
    out.write_all(&metas)?;
    for (at, len, place, used) in order {
        let mut run = vec![0; usize::try_from(len * page_size)?];
        file.read_exact_at(&mut run, at * page_size)?;
        patch(&mut run, 0, |_| place);
        if used {
            refer(&mut run, &places);
        }
        out.write_all(&run)?;
    }
    out.flush()?;
    fs::rename(beside, path)?;
    Ok(end)
}

fn patch(page: &mut [u8], at: usize, number: impl FnOnce(u64) -> u64) {
    let place: &mut [u8; 8] = (&mut page[at..at + 8]).try_into().expect("eight bytes");
    *place = number(u64::from_le_bytes(*place)).to_le_bytes();
}

/// Mends the pages that a page refers to: of a branch its elements', of a leaf the roots of buckets.
fn refer(page: &mut [u8], places: &[u64]) {
    let (flags, count) = (u16::from_le_bytes([page[8], page[9]]), u16::from_le_bytes([page[10], page[11]]));
    for element in (0..usize::from(count)).map(|n| 16 + 16 * n) {
        let word = |n: usize| {
            u32::from_le_bytes(page[element + 4 * n..element + 4 * n + 4].try_into().expect("four bytes"))
        };
        if flags == 1 {
            patch(page, element + 8, |id| places[id as usize]);
        } else if flags == 2 && word(0) == 1 {
            let root = element + word(1) as usize + word(2) as usize;
            // 0: the bucket is inline.
            patch(page, root, |id| places[id as usize]);
        }
    }
}
