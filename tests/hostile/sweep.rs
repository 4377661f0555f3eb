//! Every byte of a small snapshot file changed, and every length it could be cut to, in process.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use coldbolt::etcd::datadir::require_database;
use coldbolt::io::Source;
use coldbolt::ops::inspect;
use coldbolt::ops::{InspectOptions, InspectReport, StatusReport, status};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::{HashKvOptions, HashKvReport};
use coldbolt::words::finding::{Code, Finding, Severity};
use coldbolt::words::monitor::Collect;
use coldbolt::{Error, Result};

use support::image::Image;
use support::mutate::{FREELIST, HIGH_WATER, MAGIC, Owner, PAGE, PAGE_SIZE, ROOT, owners};

/// Milliseconds on an idle machine. A loaded one may take a while; a hang takes longer.
const SLOWEST: Duration = Duration::from_secs(10);
const MOST_MEMORY: u64 = 200 << 20;

/// What came of a changed file, beside the answer for the sound one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The same answer, and nothing to say.
    Same,
    /// The same answer, and damage is told.
    Told,
    /// No answer, or damage is told with another answer.
    Damage,
    /// Only the hash differs, and nothing is told.
    HashOnly,
    /// HashOnly and other numbers differ, and nothing is told.
    Other,
}
use Outcome::{Damage, HashOnly, Other, Same, Told};

struct Answers {
    status: (Result<StatusReport>, Vec<Finding>),
    hashkv: (Result<HashKvReport>, Vec<Finding>),
    inspect: Result<InspectReport>,
    took: Duration,
}

fn ask(bytes: Vec<u8>) -> Answers {
    let source = Source::from_bytes("snapshot.db", bytes);
    let mut took = Duration::ZERO;
    let mut time = |started: Instant| took = took.max(started.elapsed());
    let heard = Collect::default();
    let started = Instant::now();
    let status = require_database(&source).and_then(|()| status(&source, &heard));
    time(started);
    let status = (status, heard.into_findings());
    let heard = Collect::default();
    let started = Instant::now();
    let hashkv = require_database(&source).and_then(|()| hashkv(&source, &HashKvOptions::default(), &heard));
    time(started);
    let hashkv = (hashkv, heard.into_findings());
    let started = Instant::now();
    let inspect = inspect(&source, &InspectOptions { hash: true, max_findings: 3 }, &Collect::default());
    time(started);
    Answers { status, hashkv, inspect, took }
}

fn outcome<R: PartialEq>(
    (result, findings): &(Result<R>, Vec<Finding>),
    sound: &R,
    same_but_hash: impl Fn(&R) -> bool,
) -> Outcome {
    let told = findings.iter().any(|f| f.severity == Severity::Damage);
    match result {
        Err(_) => Damage,
        Ok(report) if report == sound && !told => Same,
        Ok(report) if report == sound => Told,
        Ok(_) if told => Damage,
        Ok(report) if same_but_hash(report) => HashOnly,
        Ok(_) => Other,
    }
}

fn outcomes(answers: &Answers, sound: &(StatusReport, HashKvReport)) -> [Outcome; 2] {
    let (status, hashkv) = sound;
    [
        outcome(&answers.status, status, |report| {
            StatusReport { hash: status.hash, ..report.clone() } == *status
        }),
        outcome(&answers.hashkv, hashkv, |report| HashKvReport { hash: hashkv.hash, ..*report } == *hashkv),
    ]
}

/// Damage that inspect tells, the trailer's aside.
fn damage(report: &InspectReport) -> bool {
    report.findings.iter().any(|f| f.severity == Severity::Damage && f.code != Code::TrailerMismatch)
}

fn sound() -> (Image, (StatusReport, HashKvReport)) {
    let image = Image::pristine();
    let answers = ask(image.bytes.clone());
    assert_eq!((answers.status.1.len(), answers.hashkv.1.len()), (0, 0));
    (image, (answers.status.0.unwrap(), answers.hashkv.0.unwrap()))
}

/// Does something with each number on all cores; what is wrong with each is collected, a panic too.
///
/// Not on rayon's threads: one that waits for a walk would begin another number, and be blamed for its time.
fn sweep(numbers: std::ops::Range<usize>, each: impl Fn(usize, &mut Vec<String>) + Sync) {
    let next = AtomicUsize::new(numbers.start);
    let all = Mutex::new(Vec::new());
    let work = || {
        loop {
            let n = next.fetch_add(1, Ordering::Relaxed);
            if n >= numbers.end {
                return;
            }
            let mut wrong = Vec::new();
            if catch_unwind(AssertUnwindSafe(|| each(n, &mut wrong))).is_err() {
                wrong.push("a panic".to_owned());
            }
            all.lock().unwrap().extend(wrong.into_iter().map(|what| format!("at {n} ({n:#x}): {what}")));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(2, usize::from) {
            scope.spawn(work);
        }
    });
    let wrong = all.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong[..wrong.len().min(20)].join("\n"));
}

/// Notes what is wrong unless a condition holds.
macro_rules! due {
    ($wrong:ident, $condition:expr, $($what:tt)+) => {
        if !$condition {
            $wrong.push(format!($($what)+));
        }
    };
}

#[derive(Default)]
struct Tally {
    counts: Mutex<BTreeMap<(Owner, &'static str, Outcome), u64>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    fn count(&self, owner: Owner, verb: &'static str, outcome: Outcome) {
        *self.counts.lock().unwrap().entry((owner, verb, outcome)).or_default() += 1;
    }

    fn time(&self, took: Duration) {
        let mut slowest = self.slowest.lock().unwrap();
        *slowest = took.max(*slowest);
    }

    fn close(self, what: &str) {
        for ((owner, verb, outcome), count) in self.counts.into_inner().unwrap() {
            println!("{what}: {owner:?} {verb} {outcome:?} {count}");
        }
        let slowest = self.slowest.into_inner().unwrap();
        println!("{what}: slowest {slowest:?}, memory at most {} MB", peak_memory() >> 20);
        assert!(slowest < SLOWEST);
        assert!(peak_memory() < MOST_MEMORY, "{} bytes", peak_memory());
    }
}

/// The most this process ever held, in bytes.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// The outcomes that are right for a changed byte, by what it is for.
fn outcomes_due(owner: Owner) -> [&'static [Outcome]; 2] {
    match owner {
        Owner::Slack | Owner::Trailer | Owner::BucketSequence => [&[Same], &[Same]],
        // The header of a meta page has a count and an overflow, which mean nothing.
        Owner::MetaHeader => [&[Same, Told], &[Same, Told]],
        Owner::Meta => [&[Told], &[Told]],
        // An overflow that takes in a free page behind changes nothing that is read. hashkv reads two buckets only.
        Owner::Header => [&[Damage, Same], &[Damage, Same]],
        Owner::Element => [&[Damage], &[Damage, Same]],
        Owner::BranchElement | Owner::BranchKey => [&[Damage], &[Damage]],
        Owner::BucketName => [&[Damage, HashOnly], &[Damage, Same]],
        // Free pages hold the trees and leaves of earlier commits, sound ones. Only the trailer tells.
        Owner::BucketRoot | Owner::Child => [&[Damage, Other], &[Damage, Same, Other]],
        // What follows is data: every value of it is possible, and the hash tells. The revision of a deletion is said
        // nowhere else.
        Owner::RevisionKey => [&[Damage, HashOnly, Other], &[Damage, HashOnly, Same, Other]],
        // The user's key in it decides how many keys are live.
        Owner::KeyValue => [&[Damage, HashOnly, Other], &[Damage, HashOnly, Same]],
        Owner::MetaFact => [&[Damage, HashOnly], &[Damage, Same, HashOnly, Other]],
        Owner::Fact => [&[Damage, HashOnly], &[Same]],
    }
}

fn every_byte_changed(
    what: &str,
    change: impl Fn(usize, u8) -> u8 + Sync,
) -> BTreeMap<(Owner, &'static str, Outcome), u64> {
    let (image, sound) = sound();
    let owners = owners(&image);
    let tally = Tally::default();
    sweep(0..image.bytes.len(), |at, wrong| {
        let mut bytes = image.bytes.clone();
        bytes[at] = change(at, bytes[at]);
        let answers = ask(bytes);
        tally.time(answers.took);
        let owner = owners[at];
        let [of_status, of_hashkv] = outcomes(&answers, &sound);
        let [status_due, hashkv_due] = outcomes_due(owner);
        due!(wrong, status_due.contains(&of_status), "{owner:?}: status {of_status:?}, {:?}", answers.status);
        due!(wrong, hashkv_due.contains(&of_hashkv), "{owner:?}: hashkv {of_hashkv:?}, {:?}", answers.hashkv);
        if let (HashOnly | Other, Ok(report)) = (of_status, &answers.status.0) {
            due!(wrong, report.hash != sound.0.hash, "{owner:?}: the hash is the same: {report:?}");
        }
        // One meta page is always left, so inspect always has something to show.
        match &answers.inspect {
            Ok(report) => {
                due!(
                    wrong,
                    report.finding_counts.contains_key(&Code::TrailerMismatch),
                    "the SHA-256 still matches"
                );
                let told = matches!(of_status, Damage | Told);
                due!(
                    wrong,
                    damage(report) == told,
                    "{owner:?}: inspect says {:?}, status {:?}",
                    report.findings,
                    answers.status
                );
            }
            Err(error) => wrong.push(error.to_string()),
        }
        tally.count(owner, "status", of_status);
        tally.count(owner, "hashkv", of_hashkv);
    });
    let counts = tally.counts.lock().unwrap().clone();
    tally.close(what);
    counts
}

#[test]
fn every_byte_inverted_is_damage_or_data_and_the_trailer_always_tells() {
    every_byte_changed("inverted", |_, byte| !byte);
}

#[test]
fn every_byte_with_one_bit_flipped_is_damage_or_data_and_the_trailer_always_tells() {
    // Which bit is the byte offset's, scrambled: the same in every run.
    let bit = |at: usize| ((at as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61) as u32;
    every_byte_changed("one bit", |at, byte| byte ^ (1 << bit(at)));
}

#[test]
fn every_truncation_is_told_until_only_the_trailer_is_cut() {
    let (image, sound) = sound();
    let payload = image.bytes.len() - 32;
    let tally = Tally::default();
    sweep(0..image.bytes.len(), |len, wrong| {
        let answers = ask(image.bytes[..len].to_vec());
        tally.time(answers.took);
        let [of_status, of_hashkv] = outcomes(&answers, &sound);
        if len < payload {
            due!(wrong, of_status == Damage, "status {:?}", answers.status);
            due!(wrong, matches!(of_hashkv, Damage | Told), "hashkv {:?}", answers.hashkv);
            // What the file is can be told once a meta page is there, and then that its end is not.
            let right = match &answers.inspect {
                Ok(report) => report.finding_counts.contains_key(&Code::FileTooShort),
                Err(Error::Damaged { .. }) => (20..80).contains(&len),
                Err(Error::Unreadable { .. }) => len < 20,
                Err(_) => false,
            };
            due!(wrong, right, "inspect {:?}", answers.inspect.map(|r| r.findings));
        } else {
            due!(wrong, [of_status, of_hashkv] == [Same, Same], "{of_status:?}, {of_hashkv:?}");
            due!(wrong, answers.inspect.is_ok_and(|report| !damage(&report)), "inspect");
        }
    });
    tally.close("truncated");
}

#[test]
fn every_byte_of_the_meta_pages_changed_under_a_checksum_that_holds_is_told_or_means_nothing() {
    let (image, sound) = sound();
    let tally = Tally::default();
    for bits in [0xff, 0x01, 0x10] {
        sweep(0..2 * PAGE, |at, wrong| {
            let mut changed = image.clone();
            changed.bytes[at] ^= bits;
            let answers = ask(changed.sealed());
            tally.time(answers.took);
            let [of_status, of_hashkv] = outcomes(&answers, &sound);
            let field = at % PAGE;
            let allowed: &[Outcome] = match field {
                // The checksum itself was made to hold again.
                72..80 => &[Same],
                // Header: number and type are checked, the rest is not used.
                0..10 => &[Told],
                MAGIC..PAGE_SIZE | PAGE_SIZE..28 => &[Told],
                // A root may name the tree of an earlier commit; a lower high water mark may still be above all pages
                // in use.
                ROOT..40 | HIGH_WATER..64 => &[Told, Damage, Other, Same],
                // Meta 1 is not in use, so its freelist is not either.
                FREELIST..56 => &[Told, Damage, Same],
                _ => &[Same],
            };
            due!(
                wrong,
                allowed.contains(&of_status),
                "^ {bits:#x}: status {of_status:?} {:?}",
                answers.status
            );
            // hashkv has no use for the freelist and the pages at the end.
            let also: &[Outcome] = if field >= FREELIST { &[Same] } else { &[] };
            due!(
                wrong,
                allowed.contains(&of_hashkv) || also.contains(&of_hashkv),
                "^ {bits:#x}: hashkv {of_hashkv:?} {:?}",
                answers.hashkv
            );
            if let (Ok(report), Told | Damage) = (&answers.inspect, of_status) {
                due!(wrong, damage(report), "^ {bits:#x}: inspect says nothing");
            }
        });
    }
    tally.close("metas");
}
