//! The real etcds write, the real etcdutls and etcdctls answer, and so do we.
//!
//! Each test starts a server of its own, gives it a history drawn from a seed, and compares files with `tests/peers`'
//! programs. A failure prints the seed; `COLDBOLT_SEED` repeats it (leases and password salts differ all the same).
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Output;

use coldbolt::bolt::Db;
use coldbolt::etcd::BucketKey;
use coldbolt::io::Source;
use coldbolt::store::scan::{KeyDepth, Scan, ScanOptions, scan};
use coldbolt::words::monitor::Quiet;
use serde_json::Value;

use support::history::{History, Seed, number};
use support::server::{Server, run};
use support::{command, peers};

const HASHKV: &str = "etcd-3.7.1/etcdutl";
/// Who prints a status, and which of our answers that is.
const STATUS: [(&str, &str); 4] = [
    ("etcd-3.4.23/etcdctl", "3.4"),
    ("etcd-3.5.1/etcdutl", "3.5"),
    ("etcd-3.6.14/etcdutl", "3.6"),
    ("etcd-3.7.1/etcdutl", "3.7"),
];
const FORMATS: [&str; 3] = ["json", "simple", "fields"];

#[test]
fn etcd_3_4_agrees() {
    finished("3.4.23", false);
}

#[test]
fn etcd_3_5_agrees() {
    finished("3.5.1", false);
}

#[test]
fn etcd_3_6_agrees_with_auth_on() {
    finished("3.6.14", true);
}

#[test]
fn etcd_3_7_agrees() {
    finished("3.7.1", false);
}

#[test]
fn etcd_3_4_agrees_about_an_unfinished_compaction() {
    unfinished("3.4.23", &SLOW_OLD);
}

#[test]
fn etcd_3_5_agrees_about_an_unfinished_compaction() {
    unfinished("3.5.1", &SLOW_OLD);
}

#[test]
fn etcd_3_6_agrees_about_an_unfinished_compaction() {
    unfinished("3.6.14", &SLOW);
}

#[test]
fn etcd_3_7_agrees_about_an_unfinished_compaction() {
    unfinished("3.7.1", &SLOW);
}

/// One row, then 10 ms of rest: half a minute for what `unfinished` writes.
const SLOW_OLD: [&str; 2] = ["--experimental-compaction-batch-limit", "1"];
/// 150 rows, then an hour of rest.
const SLOW: [&str; 4] = ["--compaction-batch-limit", "150", "--compaction-sleep-interval", "1h"];

fn finished(version: &str, auth: bool) {
    let Some((mut bench, server)) = Bench::new().zip(Server::start(version, &[])) else { return };
    let seed = Seed::draw();
    let mut history = History::new(server, seed.0);

    // A snapshot before each compaction, by the revision compacted.
    let mut before = BTreeMap::new();
    history.users();
    history.steps(22);
    for round in 0..3 {
        let at = match round {
            // The revision of a delete: the versions differ in what they leave of it.
            1 => history.delete_one(),
            _ => history.rng.between(history.compacted + 1, history.revision),
        };
        if round == 1 {
            history.steps(3);
        }
        let snapshot = bench.path(&format!("before-{at}.db"));
        history.server.save(&snapshot);
        before.insert(at, snapshot);
        history.compact(at);
        history.steps(10);
    }
    if auth {
        history.auth();
    }
    let last = bench.path("last.db");
    history.server.save(&last);

    for file in before.values().chain([&last]) {
        bench.status(file);
        bench.hashkv_formats(file);
        bench.standard_input(file);
    }
    let (first, compacted, current) = (before.values().next().unwrap(), history.compacted, history.revision);
    bench.sweep(first, 0..=*before.keys().next().unwrap());
    bench.sweep(&last, compacted - 2..=current + 2);
    for revision in compacted - 2..=current + 2 {
        bench.live(&history.server, version, &last, &before, revision);
    }
    for revision in before.keys() {
        bench.live(&history.server, version, &last, &before, *revision);
    }
    // One member has compacted, the other has not.
    let (_, behind) = before.last_key_value().unwrap();
    for revision in (compacted..=last_revision(behind)).step_by(3) {
        bench.as_if_compacted(behind, &last, revision, compacted);
    }
    // The database itself, without a trailer, and with what the server writes at its end.
    let db = history.server.stop();
    before.values().chain([&last]).for_each(|snapshot| bench.good(snapshot));
    bench.good(db.ancestors().nth(3).unwrap());
    bench.status(&db);
    bench.hashkv(&db, 0, "json");
    bench.end(&seed, version, &history);
}

fn unfinished(version: &str, flags: &[&str]) {
    let Some((mut bench, server)) = Bench::new().zip(Server::start(version, flags)) else { return };
    let seed = Seed::draw();
    let mut history = History::new(server, seed.0);
    // One compaction is over, another has 2,000 rows in 20 revisions to remove.
    history.put("/first", "", &[]);
    history.compact(history.revision);
    for _ in 0..20 {
        history.large_txn(100);
    }
    history.steps(8);
    let before = bench.path("before.db");
    history.server.save(&before);
    let at = history.rng.between(history.revision - 6, history.revision);
    history.server.ctl(&["compact", &at.to_string()]);
    history.compacted = at;
    history.steps(3);
    let running = bench.path("running.db");
    history.server.save(&running);
    for revision in at + 1..=history.revision {
        bench.live(&history.server, version, &running, &BTreeMap::new(), revision);
    }
    let killed = history.server.kill();
    [&before, &running].into_iter().for_each(|snapshot| bench.good(snapshot));
    bench.good(killed.ancestors().nth(3).unwrap());
    for file in [&running, &killed] {
        assert!(
            is_unfinished(file, at),
            "{}: the compaction at {at} is over, or was not begun",
            file.display()
        );
        bench.status(file);
        bench.hashkv_formats(file);
        bench.sweep(file, at - 2..=last_revision(file) + 2);
    }
    assert!(
        rows_of_the_first_txn(&running) < rows_of_the_first_txn(&before),
        "the compaction has removed nothing yet"
    );
    for revision in at..=last_revision(&before) {
        bench.as_if_compacted(&before, &running, revision, at);
    }
    bench.end(&seed, version, &history);
}

/// Where no key is left etcd's hash leaves out nothing: not what the compaction will remove, not the deletes at its
/// revision.
#[test]
fn etcd_3_7_agrees_about_an_unfinished_compaction_of_no_keys() {
    let Some((mut bench, server)) = Bench::new().zip(Server::start("3.7.1", &SLOW)) else { return };
    let seed = Seed::draw();
    let mut history = History::new(server, seed.0);
    for _ in 0..20 {
        history.large_txn(100);
    }
    history.write(&["del", "--prefix", "/"], b"");
    let at = history.revision;
    history.server.ctl(&["compact", &at.to_string()]);
    history.compacted = at;
    history.delete_one();
    let running = bench.path("running.db");
    history.server.save(&running);
    assert!(is_unfinished(&running, at), "the compaction at {at} is over, or was not begun");
    for revision in at..=history.revision {
        bench.live(&history.server, "3.7.1", &running, &BTreeMap::new(), revision);
        // etcdutl resumes the compaction while it hashes: the answer depends on which is first, nearly always the hash.
        let revision = revision.to_string();
        let ours = ours(&["hashkv", running.to_str().unwrap(), "--rev", &revision], b"");
        let agrees = |_| bench.theirs(HASHKV, &["hashkv"], &running, &["--rev", &revision]) == ours;
        assert!((0..5).any(agrees), "--rev {revision}: {ours:?}");
        bench.count("hashkv");
    }
    bench.end(&seed, "3.7.1", &history);
}

fn all_are_there() -> bool {
    peers::find(HASHKV).is_some() && STATUS.iter().all(|(program, _)| peers::find(program).is_some())
}

fn read(file: &Path) -> Scan {
    let source = Source::open(file).unwrap();
    scan(&Db::open(&source).unwrap(), ScanOptions { limit: 1, gate: None, keys: KeyDepth::Live }, &Quiet)
        .unwrap()
}

fn is_unfinished(file: &Path, at: i64) -> bool {
    let facts = read(file).facts;
    facts.scheduled_compact_revision == Some(at)
        && facts.finished_compact_revision.is_none_or(|finished| finished < at)
}

fn last_revision(file: &Path) -> i64 {
    read(file).keyspace.last.unwrap().main
}

/// Those after the first put of `unfinished`: 100, until a compaction comes by.
fn rows_of_the_first_txn(file: &Path) -> usize {
    let source = Source::open(file).unwrap();
    let db = Db::open(&source).unwrap();
    let keys = db.root().bucket(b"key").unwrap().unwrap();
    let mut cursor = keys.cursor();
    let mut count = 0;
    while let Some(item) = cursor.next().unwrap() {
        count += usize::from(BucketKey::parse(item.key).unwrap().revision.main == 3);
    }
    count
}

/// Where the programs are compared.
struct Bench {
    directory: tempfile::TempDir,
    /// The files asked about, as they were.
    inputs: BTreeMap<PathBuf, Vec<u8>>,
    counts: BTreeMap<&'static str, u32>,
}

/// What a program said: its exit code, its answer, and the error it names first.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Answer {
    fn of(output: Output) -> Answer {
        let err = String::from_utf8(output.stderr).unwrap();
        let error = err.lines().find(|line| line.starts_with("Error: ")).unwrap_or_default().to_owned();
        Answer { code: output.status.code(), out: String::from_utf8(output.stdout).unwrap(), error }
    }
}

fn ours(args: &[&str], stdin: &[u8]) -> Answer {
    Answer::of(run(&mut command(args), stdin))
}

impl Bench {
    fn new() -> Option<Bench> {
        all_are_there().then(|| Bench {
            directory: tempfile::tempdir().unwrap(),
            inputs: BTreeMap::new(),
            counts: BTreeMap::new(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn input<'p>(&mut self, file: &'p Path) -> &'p str {
        self.inputs.entry(file.to_owned()).or_insert_with(|| fs::read(file).unwrap());
        file.to_str().unwrap()
    }

    /// Runs a real program on a copy: some of them write to what they read.
    fn theirs(&self, program: &str, command: &[&str], file: &Path, options: &[&str]) -> Answer {
        let copy = self.path("copy.db");
        fs::copy(file, &copy).unwrap();
        let program = peers::find(program).unwrap();
        let mut command_line = peers::command(&program, self.directory.path());
        let output = run(command_line.args(command).arg(&copy).args(options), b"");
        fs::remove_file(&copy).unwrap();
        Answer::of(output)
    }

    fn count(&mut self, what: &'static str) {
        *self.counts.entry(what).or_default() += 1;
    }

    /// Every program that prints a status, in every format.
    fn status(&mut self, file: &Path) {
        let name = self.input(file);
        for (program, compat) in STATUS {
            for format in FORMATS {
                let theirs = self.theirs(program, &["snapshot", "status"], file, &["-w", format]);
                assert_eq!(theirs.code, Some(0), "{program} {name}: {}", theirs.error);
                assert_eq!(
                    ours(&["status", name, "--compat", compat, "-w", format], b""),
                    theirs,
                    "{program} {name} -w {format}"
                );
                self.count("status");
            }
        }
    }

    /// The same revision in one format; both may refuse, in the same words but for our numbers.
    fn hashkv(&mut self, file: &Path, revision: i64, format: &str) {
        let name = self.input(file);
        let revision = revision.to_string();
        let options = ["--rev", &revision, "-w", format];
        let theirs = self.theirs(HASHKV, &["hashkv"], file, &options);
        let mut ours = ours(&[&["hashkv", name][..], &options].concat(), b"");
        if let Some(rest) = ours.error.strip_prefix(&theirs.error).filter(|_| !theirs.error.is_empty()) {
            assert!(rest.starts_with(": ") && rest.contains(&revision), "{}", ours.error);
            ours.error.truncate(theirs.error.len());
        }
        assert_eq!(ours, theirs, "{name} --rev {revision} -w {format}");
        self.count(if theirs.code == Some(0) { "hashkv" } else { "refusals" });
    }

    /// A fresh file, or the directory of a server that was stopped or killed: verify has nothing against it but what
    /// is worth a note.
    fn good(&mut self, path: &Path) {
        let answer = ours(&["verify", path.to_str().unwrap(), "-w", "json"], b"");
        let report: Value = serde_json::from_str(&answer.out)
            .unwrap_or_else(|e| panic!("{}: {e}: {}", path.display(), answer.error));
        let findings = report["files"][0]["findings"].as_array().unwrap();
        let bad: Vec<_> = findings.iter().filter(|finding| finding["severity"] != "note").collect();
        assert!(bad.is_empty() && answer.code == Some(0), "{}: {:?}: {bad:?}", path.display(), answer.code);
        self.count("verified");
    }

    fn hashkv_formats(&mut self, file: &Path) {
        for format in FORMATS {
            for revision in [0, last_revision(file), 1 << 40] {
                self.hashkv(file, revision, format);
            }
        }
    }

    fn sweep(&mut self, file: &Path, revisions: std::ops::RangeInclusive<i64>) {
        for revision in revisions {
            self.hashkv(file, revision.max(0), "json");
        }
    }

    /// What comes through a pipe or a redirection gives the file's answers.
    fn standard_input(&mut self, file: &Path) {
        let name = self.input(file);
        for asked in [["status", "-w", "json"], ["hashkv", "-w", "fields"]] {
            let due = ours(&[&asked[..], &[name]].concat(), b"");
            assert_eq!(due.code, Some(0), "{name}: {}", due.error);
            let args = [&asked[..], &["-"]].concat();
            assert_eq!(ours(&args, &self.inputs[file]), due, "{name} through a pipe");
            let output = command(&args).stdin(File::open(file).unwrap()).output().unwrap();
            assert_eq!(Answer::of(output), due, "{name} by redirection");
            self.count("standard input");
        }
    }

    /// Our answer from the snapshot is the running server's own. `before` are the snapshots before each compaction.
    fn live(
        &mut self,
        server: &Server,
        version: &str,
        file: &Path,
        before: &BTreeMap<i64, PathBuf>,
        revision: i64,
    ) {
        let args = ["endpoint", "hashkv", "--rev", &revision.to_string(), "-w", "json"];
        let Output { status, stdout, stderr } = server.try_ctl(&args, b"");
        let old = matches!(version, "3.4.23" | "3.5.1");
        // Newer servers keep the hashes that their compactions made, and answer with them: so they saw the store
        // before.
        let file = if old { file } else { before.get(&revision).map_or(file, PathBuf::as_path) };
        let name = self.input(file);
        let ours = ours(&["hashkv", name, "--rev", &revision.to_string(), "-w", "json"], b"");
        let context = format!("etcd {version} --rev {revision}, {name}");
        let stderr = String::from_utf8(stderr).unwrap();
        if status.success() {
            let theirs: Value = serde_json::from_slice(&stdout).unwrap();
            let theirs = &theirs[0]["HashKV"];
            let ours: Value =
                serde_json::from_str(&ours.out).unwrap_or_else(|_| panic!("{context}: {}", ours.error));
            let ours = [&ours["hash"], &ours["compactRevision"]].map(number);
            assert_eq!(ours, [&theirs["hash"], &theirs["compact_revision"]].map(number), "{context}");
            self.count("live");
        } else if old && before.last_key_value().is_some_and(|(compacted, _)| *compacted == revision) {
            // Up to 3.4.26 and 3.5.9 the compacted revision itself was refused.
            assert!(stderr.contains("mvcc: required revision has been compacted"), "{context}: {stderr}");
            assert_eq!(ours.code, Some(0), "{context}");
        } else {
            let why = [
                "mvcc: required revision has been compacted",
                "mvcc: required revision is a future revision",
            ];
            let why = why
                .into_iter()
                .find(|why| stderr.contains(why))
                .unwrap_or_else(|| panic!("{context}: {stderr}"));
            assert!(ours.code == Some(1) && ours.error.contains(why), "{context}: {ours:?}");
            self.count("live refusals");
        }
    }

    /// A file from before a compaction, hashed as if it were done, against one from after it.
    fn as_if_compacted(&mut self, before: &Path, after: &Path, revision: i64, compacted: i64) {
        let name = self.input(before);
        let (revision, compacted) = (revision.to_string(), compacted.to_string());
        let theirs = self.theirs(HASHKV, &["hashkv"], after, &["--rev", &revision]);
        let ours = ours(&["hashkv", name, "--rev", &revision, "--compact-rev", &compacted], b"");
        assert_eq!(ours, theirs, "{name} --rev {revision} --compact-rev {compacted}");
        self.count("as if compacted");
    }

    fn end(self, seed: &Seed, version: &str, history: &History) {
        for (path, bytes) in &self.inputs {
            assert!(fs::read(path).unwrap() == *bytes, "{} was written to", path.display());
        }
        let History { revision, compacted, .. } = history;
        eprintln!(
            "etcd {version}, seed {}, compacted {compacted}, revision {revision}: {:?}",
            seed.0, self.counts
        );
    }
}
