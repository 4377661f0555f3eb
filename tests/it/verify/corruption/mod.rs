//! Every rule that `verify` knows, broken alone in a good file: it must say exactly that, at that place, as often, as
//! badly, and nothing else. A finding code without an entry here fails.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::etcd::schema::Minor;
use coldbolt::io::Source;
use coldbolt::ops::restore::{Destination, RestoreOptions, restore};
use coldbolt::ops::verify::{InputKind, Level, Outcome, Verdict, Verification, VerifyOptions, verify};
use coldbolt::words::error::{At, Error};
use coldbolt::words::monitor::Quiet;
use coldbolt::{Code, Severity};

mod chains;
mod closed;
mod copies;
mod directories;
mod keyspace;
mod objects;
mod packed;
mod pages;
mod salvaged;

use support::buckets::Buckets;
use support::image::{self, Image};
use support::member::{Files, Member};
use support::{VERSIONS, fixture, unpack};

/// A finding that is due.
#[derive(Debug, Clone)]
pub struct Due {
    code: Code,
    severity: Severity,
    count: u64,
    /// The parts of the first one's place that matter.
    at: At,
}

/// One finding of that code, of the code's own severity, there.
fn due(code: Code, at: At) -> Due {
    Due { code, severity: code.severity(), count: 1, at }
}

impl Due {
    fn times(self, count: u64) -> Due {
        Due { count, ..self }
    }

    fn as_(self, severity: Severity) -> Due {
        Due { severity, ..self }
    }
}

fn nowhere() -> At {
    At::default()
}

/// What is broken, and how; the function tells what is due.
pub enum Break {
    /// [`image::plain`], without a freelist, as etcd leaves its files.
    Plain(fn(&mut Image) -> Vec<Due>),
    /// [`image::plain`] with its freelist.
    Listed(fn(&mut Image) -> Vec<Due>),
    /// A snapshot made by etcd 3.5.1; the trailer is made to fit afterwards.
    Snapshot(fn(&mut Image) -> Vec<Due>),
    /// The same, and the trailer is left as it is.
    Raw(fn(&mut Image) -> Vec<Due>),
    /// [`Buckets::good`], as a snapshot file.
    Store(fn(&mut Buckets) -> Vec<Due>),
    /// [`Member::good`], record by record.
    Member(fn(&mut Member) -> Vec<Due>),
    /// The files of [`Member::good`].
    Files(fn(&mut Files) -> Vec<Due>),
    /// A directory of a member that was killed, of etcd 3.6.14.
    Killed(fn(&Path) -> Vec<Due>),
    /// Whatever it takes.
    Other(fn() -> (Verification, Vec<Due>)),
}

/// One row: the code it is for, what is done, which notes may come with it.
pub struct Entry {
    code: Code,
    what: &'static str,
    how: Break,
    notes: &'static [Code],
}

const fn entry(code: Code, what: &'static str, how: Break) -> Entry {
    Entry { code, what, how, notes: &[] }
}

impl Entry {
    const fn with(self, notes: &'static [Code]) -> Entry {
        Entry { notes, ..self }
    }
}

fn options() -> VerifyOptions<'static> {
    VerifyOptions { max_findings: 1000, ..VerifyOptions::default() }
}

fn verify_image(image: &Image) -> Verification {
    let source = Source::from_bytes("file.db", image.bytes.clone());
    let report = verify(&source, &options(), &Quiet).unwrap();
    the_restore_level_tells_what_a_restore_does(&source, &report);
    report
}

fn the_restore_level_tells_what_a_restore_does(source: &Source, report: &Verification) {
    // To name a version is to say by whose rules one that is not known is read.
    let mvcc = report.levels.iter().find(|l| l.level == Level::Mvcc).unwrap();
    let is_known = mvcc.outcome != Outcome::Inconclusive;
    let restored = restore(
        source,
        &RestoreOptions {
            target: is_known.then_some(Minor::V36),
            // What has none is good but for that.
            skip_hash_check: report.kind == InputKind::Database,
            dry_run: true,
            ..RestoreOptions::new("a=http://127.0.0.1:2380", Destination::All("nowhere-at-all".into()))
        },
        &Quiet,
    );
    let level = report.levels.iter().find(|l| l.level == Level::Restore).unwrap();
    match level.outcome {
        Outcome::Passed => assert!(restored.is_ok(), "{}: {restored:?}", level.detail),
        Outcome::Failed => {
            assert!(matches!(restored, Err(Error::Damaged { .. })), "{}: {restored:?}", level.detail)
        }
        Outcome::NotApplicable | Outcome::Inconclusive => {
            assert!(restored.is_err(), "{}: {restored:?}", level.detail)
        }
        other => panic!("{other:?}: {}", level.detail),
    }
}

fn verify_files(files: &Files) -> Verification {
    let directory = tempfile::tempdir().unwrap();
    files.write(directory.path());
    verify(directory.path(), &options(), &Quiet).unwrap()
}

impl Break {
    fn run(&self) -> (Verification, Vec<Due>) {
        let of_image = |mut image: Image, change: &fn(&mut Image) -> Vec<Due>, seal: bool| {
            let dues = change(&mut image);
            if seal {
                image.seal();
            }
            (verify_image(&image), dues)
        };
        match self {
            Break::Plain(change) => of_image(image::plain_without_freelist(), change, false),
            Break::Listed(change) => of_image(image::plain(), change, false),
            Break::Snapshot(change) => of_image(Image::pristine(), change, true),
            Break::Raw(change) => of_image(Image::pristine(), change, false),
            Break::Store(change) => {
                let mut buckets = Buckets::good();
                let dues = change(&mut buckets);
                (verify_image(&buckets.file()), dues)
            }
            Break::Member(change) => {
                let mut member = Member::good();
                let dues = change(&mut member);
                (verify_files(&member.files()), dues)
            }
            Break::Files(change) => {
                let mut files = Member::good().files();
                let dues = change(&mut files);
                (verify_files(&files), dues)
            }
            Break::Killed(change) => {
                let directory = tempfile::tempdir().unwrap();
                let path = unpack("3.6.14", "cold", directory.path());
                let dues = change(&path);
                (verify(&path, &options(), &Quiet).unwrap(), dues)
            }
            Break::Other(run) => run(),
        }
    }
}

fn all() -> Vec<Entry> {
    [
        pages::entries(),
        keyspace::entries(),
        directories::entries(),
        copies::entries(),
        objects::entries(),
        closed::entries(),
        chains::entries(),
        packed::entries(),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// What is said of a good file: the note that a bare database has no trailer, and that a member's database is behind
/// its log.
const ALWAYS: [Code; 2] = [Code::TrailerAbsent, Code::DbLag];

/// Whether the parts that `due` names are the finding's.
fn is_at(due: &At, found: &At) -> bool {
    let same = |a: &Option<u64>, b: &Option<u64>| a.is_none() || a == b;
    let text = |a: &Option<String>, b: &Option<String>| a.is_none() || a == b;
    // Of an element, its page is due: the finding says the byte of the element itself.
    let behind = due.element.is_some() && due.page.is_some() && found.offset > due.offset;
    same(&due.page, &found.page)
        && same(&due.element, &found.element)
        && (behind || same(&due.offset, &found.offset))
        && (due.index.is_none() || due.index == found.index)
        && text(&due.bucket, &found.bucket)
        && text(&due.key, &found.key)
        && text(&due.revision, &found.revision)
}

/// What is wrong with a report; nothing if it is as due.
fn judge(entry: &Entry, report: &Verification, dues: &[Due]) -> Vec<String> {
    let mut wrong = Vec::new();
    assert!(dues.iter().any(|due| due.code == entry.code), "{}: the entry's own code is not due", entry.what);
    for due in dues {
        let found: Vec<_> = report.findings.iter().filter(|f| f.code == due.code).collect();
        let count = report.finding_counts.get(&due.code).copied().unwrap_or(0);
        if count != due.count {
            wrong.push(format!("{} {} times, {} due", due.code, count, due.count));
        }
        if let Some(first) = found.first() {
            if first.severity != due.severity {
                wrong.push(format!("{} is a {}, {} due", due.code, first.severity, due.severity));
            }
            if !is_at(&due.at, &first.at) {
                wrong.push(format!("{} at {}, due at {}", due.code, first.at, due.at));
            }
        }
    }
    let allowed: BTreeSet<Code> =
        dues.iter().map(|due| due.code).chain(ALWAYS).chain(entry.notes.iter().copied()).collect();
    for (code, count) in report.finding_counts.iter().filter(|(code, _)| !allowed.contains(code)) {
        wrong.push(format!("{code} {count} times, none due"));
    }
    for finding in report
        .findings
        .iter()
        .filter(|f| f.severity > Severity::Note && !dues.iter().any(|due| due.code == f.code))
    {
        wrong.push(format!("not due: {finding}"));
    }
    let worst = dues.iter().map(|due| due.severity).max().unwrap();
    if (worst == Severity::Damage) != (report.verdict == Verdict::Bad) {
        wrong.push(format!("the verdict is {:?} for a {worst}", report.verdict));
    }
    if !wrong.is_empty() {
        wrong.extend(report.findings.iter().map(|finding| format!("  {}: {finding}", finding.severity)));
    }
    wrong
}

#[test]
fn each_rule_broken_alone_is_the_only_one_reported() {
    let only = std::env::var("ONLY").unwrap_or_default();
    let mut wrong = Vec::new();
    for entry in all().iter().filter(|entry| format!("{}: {}", entry.code, entry.what).contains(&only)) {
        let (report, dues) = entry.how.run();
        let why = judge(entry, &report, &dues);
        if !why.is_empty() {
            wrong.push(format!("{}: {}\n    {}", entry.code, entry.what, why.join("\n    ")));
        }
    }
    assert!(wrong.is_empty(), "{} entries:\n{}", wrong.len(), wrong.join("\n"));
}

/// Nothing is verified where these are found.
const OF_KINE: [Code; 3] = [Code::SqlitePage, Code::SqliteLog, Code::KineRow];

#[test]
fn every_code_has_an_entry() {
    let entries = all();
    let missing: Vec<&str> = Code::ALL
        .iter()
        .filter(|code| !entries.iter().any(|entry| entry.code == **code) && !OF_KINE.contains(code))
        .map(|code| code.name())
        .collect();
    assert!(missing.is_empty(), "no entry for {missing:?}");
    let names: BTreeSet<(Code, &str)> = entries.iter().map(|entry| (entry.code, entry.what)).collect();
    assert_eq!(names.len(), entries.len(), "two entries have the same name");
}

#[test]
fn what_the_entries_break_is_good() {
    let clean = |report: Verification, name: &str| {
        let bad: Vec<_> =
            report.findings.iter().filter(|f| !ALWAYS.contains(&f.code)).map(ToString::to_string).collect();
        assert!(bad.is_empty(), "{name}: {bad:?}");
        assert_ne!(report.verdict, Verdict::Bad, "{name}");
    };
    clean(verify_image(&image::plain()), "plain");
    clean(verify_image(&image::plain_without_freelist()), "plain without a freelist");
    clean(verify_image(&Image::pristine()), "small-3.5.1");
    clean(verify_image(&Buckets::good().file()), "store");
    clean(verify_files(&Member::good().files()), "member");
}

#[test]
fn files_of_real_etcds_are_good() {
    let directory = tempfile::tempdir().unwrap();
    for version in VERSIONS {
        let into = directory.path().join(version);
        let snapshot = fixture(&format!("etcd-{version}/snapshot.db"));
        for path in [snapshot, unpack(version, "cold", &into), unpack(version, "clean", &into)] {
            let before = contents(&path);
            let report = verify(&path, &options(), &Quiet).unwrap();
            let said: BTreeMap<_, _> =
                report.findings.iter().map(|f| (f.code.name(), (f.severity, f.to_string()))).collect();
            assert!(
                said.values().all(|(severity, _)| *severity == Severity::Note),
                "{}: {said:?}",
                path.display()
            );
            assert_eq!(report.verdict, Verdict::Good, "{}: {:?}", path.display(), report.levels);
            assert!(contents(&path) == before, "{} was written to", path.display());
            // A member that was killed has its last writes in the log only; one that was stopped too, unless it wrote
            // its database last.
            let lags = report.measured.wal_lag;
            assert!(
                said.contains_key("db-lag") == lags.is_some_and(|lag| lag > 0),
                "{}: {said:?}",
                path.display()
            );
            eprintln!("{}: lag {lags:?}, {:?}", path.display(), said.keys());
        }
    }
    let report = verify(fixture("small-3.5.1/snapshot.db"), &options(), &Quiet).unwrap();
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Good, 0));
}

fn contents(path: &Path) -> BTreeMap<PathBuf, [u8; 32]> {
    if path.is_file() {
        return BTreeMap::from([(
            path.to_owned(),
            coldbolt::codec::checksum::sha256(&fs::read(path).unwrap()),
        )]);
    }
    fs::read_dir(path).unwrap().flat_map(|entry| contents(&entry.unwrap().path())).collect()
}

#[test]
fn no_limit_on_what_is_shown_changes_the_verdict() {
    let mut image = Image::pristine();
    let leaf = image.leaves("key")[0];
    image.set_u64(image.page(leaf), 999);
    image.seal();
    for max_findings in [0, 1] {
        let options = VerifyOptions { max_findings, ..VerifyOptions::default() };
        let report = verify(Source::from_bytes("file.db", image.bytes.clone()), &options, &Quiet).unwrap();
        assert_eq!(report.verdict, Verdict::Bad);
        assert_eq!(report.finding_counts.get(&Code::PageId), Some(&1));
        assert_eq!(report.findings.len() as u64, max_findings);
    }
}
