//! coldbolt beside a real kine, and beside SQLite itself on databases of every shape.

use std::fs::{self, File};
use std::io::Write;
use std::net::TcpListener;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use coldbolt::codec::checksum::{hex, sha256};
use coldbolt::ops::{KineOptions, kine};
use coldbolt::store::{EventKind, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use serde_json::Value;
use support::history::{Rng, Seed};
use support::{Input, coldbolt, peers};

/// A kine and its directory. Dropping it kills the one and removes the other.
struct Kine {
    program: PathBuf,
    etcdctl: PathBuf,
    child: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Kine {
    fn start() -> Option<Kine> {
        let program = peers::find("kine-0.17.5/kine")?;
        let etcdctl = peers::find("etcd-3.6.14/etcdctl")?;
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let child = spawn(&program, port, dir.path());
        let mut kine = Kine { program, etcdctl, child, port, dir };
        kine.wait();
        Some(kine)
    }

    fn wait(&mut self) {
        let deadline = support::run::deadline();
        while self.try_ctl(&["get", "/registry/health"], "").is_none() {
            assert!(
                Instant::now() < deadline && self.child.try_wait().unwrap().is_none(),
                "kine does not start"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    fn try_ctl(&self, args: &[&str], given: &str) -> Option<Vec<u8>> {
        let mut command = peers::command(&self.etcdctl, self.dir.path());
        command.args(["--endpoints", &format!("127.0.0.1:{}", self.port)]).args(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        output.status.success().then_some(output.stdout)
    }

    #[track_caller]
    fn ctl(&self, args: &[&str], given: &str) -> Vec<u8> {
        self.try_ctl(args, given).unwrap_or_else(|| panic!("etcdctl {args:?} {given:?}"))
    }

    fn range(&self, more: &[&str]) -> Value {
        serde_json::from_slice(&self.ctl(&[&["get", "/", "--prefix", "-w", "json"], more].concat(), ""))
            .unwrap()
    }

    /// The revision of a key, if it is there.
    fn revision(&self, key: &str) -> Option<i64> {
        let answer: Value = serde_json::from_slice(&self.ctl(&["get", key, "-w", "json"], "")).unwrap();
        answer["kvs"][0]["mod_revision"].as_i64()
    }

    fn end(&mut self, signal: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        self.child.wait().unwrap();
    }

    fn state(&self) -> PathBuf {
        self.dir.path().join("db/state.db")
    }
}

impl Drop for Kine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(program: &Path, port: u16, dir: &Path) -> Child {
    let log = File::options().create(true).append(true).open(dir.join("log")).unwrap();
    let mut command = peers::command(program, dir);
    command.args(["--listen-address", &format!("127.0.0.1:{port}"), "--metrics-bind-address", "0"]);
    // Without an endpoint it keeps db/state.db as k3s does.
    command.args(["--compact-min-retain", "0"]);
    command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap()
}

/// A change of a random kind, in the transactions that an API server asks for.
fn change(kine: &Kine, random: &mut Rng, n: i64) {
    let key = format!("/registry/things/{}", random.between(0, 11));
    let value = "x".repeat(usize::try_from(random.between(0, 9000)).unwrap());
    let revision = kine.revision(&key);
    let text = match (revision, random.between(0, 3)) {
        (None, _) => format!("mod(\"{key}\") = \"0\"\n\nput {key} {n}-{value}\n\n\n"),
        (Some(revision), 0) => format!("mod(\"{key}\") = \"{revision}\"\n\ndel {key}\n\nget {key}\n\n"),
        (Some(revision), _) => {
            format!("mod(\"{key}\") = \"{revision}\"\n\nput {key} {n}-{value}\n\nget {key}\n\n")
        }
    };
    kine.ctl(&["txn"], &text);
}

/// What coldbolt answers, in whose directory nothing changes or comes to be.
fn answered(kine: &Kine, more: &[&str]) -> Value {
    let input = Input::new(kine.dir.path());
    let state = kine.state();
    let run = coldbolt([&["get", state.to_str().unwrap(), "/", "--prefix", "-w", "json"], more].concat());
    assert_eq!(run.code, 0, "{run}");
    input.unchanged();
    run.json()
}

#[test]
fn a_kine_that_was_killed_or_stopped_had_answered_what_its_file_answers() {
    let Some(mut kine) = Kine::start() else { return };
    let seed = Seed::draw();
    let mut random = Rng::of(seed.0);
    for round in 0..3 {
        for n in 0..25 {
            change(&kine, &mut random, round * 100 + n);
        }
        let last = kine.range(&[])["header"]["revision"].as_i64().unwrap();
        let compacted = last - 15;
        kine.ctl(&["compaction", &compacted.to_string()], "");
        change(&kine, &mut random, 99);
        let revisions: Vec<String> =
            (compacted..=last).step_by(3).map(|revision| revision.to_string()).collect();
        let due: Vec<Value> =
            revisions.iter().map(|revision| kine.range(&["--rev", revision])["kvs"].clone()).collect();
        let now = kine.range(&[]);
        // It has the file open: what is read then may be torn.
        let state = kine.state();
        coldbolt(["keys", state.to_str().unwrap()]).says(3, &["is in use", "has it open with SQLite"]);
        kine.end(if round == 1 { "-TERM" } else { "-KILL" });
        assert_eq!(answered(&kine, &[]), now, "round {round}");
        for (revision, due) in revisions.iter().zip(due) {
            assert_eq!(
                answered(&kine, &["--rev", revision])["kvs"],
                due,
                "round {round}, revision {revision}"
            );
        }
        let before = (compacted - 1).to_string();
        coldbolt(["keys", state.to_str().unwrap(), "--rev", &before]).says(1, &["has been compacted"]);
        kine.child = spawn(&kine.program, kine.port, kine.dir.path());
        kine.wait();
    }
}

/// Makes databases with Python's SQLite and prints what is in them: a line for each row with its id, key, whether it
/// is deleted, and the hash of its value.
const MAKER: &str = r#"
import hashlib, os, random, sqlite3, sys
path, page_size, journal, seed = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
rng = random.Random(seed)
db = sqlite3.connect(path, isolation_level=None)
for pragma in (f"page_size={page_size}", f"auto_vacuum={rng.choice(['none', 'full'])}", f"journal_mode={journal}", "synchronous=off", "wal_autocheckpoint=0"):
    db.execute(f"PRAGMA {pragma}")
db.execute("CREATE TABLE other (a, b)")
db.execute("CREATE TABLE kine (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, create_revision INTEGER, prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB)")
db.execute("CREATE UNIQUE INDEX kine_name_prev_revision_uindex ON kine (name, prev_revision)")
insert = "INSERT INTO kine VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
db.execute(insert, (None, "compact_rev_key", 1, 0, 0, 0, 0, b"", None))
last, n = {}, 0
for step in range(int(sys.argv[5])):
    db.execute("BEGIN")
    for _ in range(rng.randrange(1, 40)):
        n = db.execute("SELECT seq FROM sqlite_sequence").fetchone()[0] + rng.choice((1, 1, 1, 2))
        if rng.random() < 0.05:
            db.execute(insert, (n, f"gap-{n}", 0, 1, 0, 0, 0, None, None))
            continue
        name = f"/k/{rng.randrange(200)}" + "é" * rng.choice((0, 0, 0, 300))
        prev, alive = last.get(name, (0, False))
        value = rng.randbytes(rng.choice((0, 5, 100, 500, 3000, 70000)))
        if alive and rng.random() < 0.2:
            db.execute(insert, (n, name, 0, 1, 0, prev, 0, None, value))
            last[name] = (n, False)
        else:
            db.execute(insert, (n, name, int(not alive), 0, None if not alive else 7, prev, rng.choice((0, 60)), value, value[:9]))
            last[name] = (n, True)
        db.execute("INSERT INTO other VALUES (?, ?)", (n, "y" * rng.randrange(400)))
    if rng.random() < 0.2:
        db.execute("ROLLBACK")
        last = {r[1]: (r[0], not r[2]) for r in db.execute("SELECT id, name, deleted FROM kine ORDER BY id")}
        continue
    if rng.random() < 0.2:
        db.execute("DELETE FROM kine WHERE id IN (SELECT prev_revision FROM kine WHERE name != 'compact_rev_key') AND id < ?", (n // 2,))
        db.execute("UPDATE kine SET prev_revision = ? WHERE name = 'compact_rev_key'", (n // 2,))
    db.execute("COMMIT")
    if rng.random() < 0.1:
        db.execute("PRAGMA wal_checkpoint(%s)" % rng.choice(("PASSIVE", "RESTART", "TRUNCATE")))
for id, name, deleted, value in db.execute("SELECT id, name, deleted, value FROM kine ORDER BY id"):
    if name != "compact_rev_key" and not name.startswith("gap-"):
        print(id, name, deleted, hashlib.sha256(b"" if deleted else value).hexdigest())
print("revision", db.execute("SELECT max(id) FROM kine").fetchone()[0], db.execute("SELECT prev_revision FROM kine WHERE id = 1").fetchone()[0])
sys.stdout.flush()
# As after a crash: the log stays.
os._exit(0)
"#;

#[test]
fn every_row_that_sqlite_has_in_a_database_of_any_shape_is_read_and_no_other() {
    let seed = Seed::draw();
    let mut random = Rng::of(seed.0);
    for page_size in ["512", "1024", "4096", "16384", "65536"] {
        for journal in ["wal", "delete"] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("state.db");
            let seed = random.between(0, 1 << 30).to_string();
            let args = ["-c", MAKER, path.to_str().unwrap(), page_size, journal, &seed, "40"];
            let made = Command::new("python3").args(args).output().unwrap();
            assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
            let before: Vec<_> =
                fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
            let input = Input::new(dir.path());
            let read = kine(&path, &KineOptions::default(), &Quiet).unwrap();
            let store = Store::open(&read.database, &StoreOptions::default(), &Quiet).unwrap();
            let mut lines = Vec::new();
            let mut each = |event: coldbolt::store::Event<'_>| {
                if event.kind != EventKind::Marker {
                    let name = String::from_utf8(event.kv.key.to_vec()).unwrap();
                    let (revision, deleted) = (event.revision.main, event.kind == EventKind::Delete);
                    let hash = hex(&sha256(event.kv.value));
                    lines.push(format!("{revision} {name} {} {hash}", u8::from(deleted)));
                }
                ControlFlow::Continue(())
            };
            store.events(None, None, None, &mut each).unwrap();
            let compacted = store.compact_revision().unwrap_or(0);
            lines.push(format!("revision {} {compacted}", store.revision()));
            let due = String::from_utf8(made.stdout).unwrap();
            assert_eq!(lines, due.lines().collect::<Vec<_>>(), "{page_size} {journal} {seed}: {before:?}");
            input.unchanged();
        }
    }
}
