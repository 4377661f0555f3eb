//! The keyspace at every revision against real servers of four versions, which were driven through a random history.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use coldbolt::etcd::{KeyRange, KeyValue};
use coldbolt::io::Source;
use coldbolt::ops::fold::{FoldInMemoryOptions, fold_in_memory};
use coldbolt::store::diff::{DiffOptions, diff};
use coldbolt::store::{EventKind, OwnedKeyValue, RangeRequest, Store, StoreOptions};
use coldbolt::words::monitor::Quiet;
use serde_json::Value;
use support::history::{History, Seed, number};
use support::server::Server;
use support::{VERSIONS, coldbolt, peers};

fn bytes(text: &Value) -> Vec<u8> {
    STANDARD.decode(text.as_str().unwrap_or_default()).unwrap()
}

fn kv(kv: &Value) -> OwnedKeyValue {
    OwnedKeyValue {
        key: bytes(&kv["key"]),
        create_revision: number(&kv["create_revision"]),
        mod_revision: number(&kv["mod_revision"]),
        version: number(&kv["version"]),
        value: bytes(&kv["value"]),
        lease: number(&kv["lease"]).into(),
    }
}

/// What a server answers: the keys, and how many it counts.
fn served(server: &Server, args: &[&str]) -> (Vec<OwnedKeyValue>, u64) {
    let answer = server.ctl_json(args, b"");
    let kvs = answer["kvs"].as_array().map(|kvs| kvs.iter().map(kv).collect()).unwrap_or_default();
    (kvs, u64::try_from(number(&answer["count"])).unwrap())
}

fn found(store: &Store<'_>, revision: i64) -> (Vec<OwnedKeyValue>, u64) {
    let mut kvs = Vec::new();
    let totals = store.at(Some(revision)).unwrap().range(&RangeRequest::new(KeyRange::all()), &mut |kv| {
        kvs.push(kv.into());
        ControlFlow::Continue(())
    });
    (kvs, totals.unwrap().count)
}

/// A change as a watch tells it: of a deletion the key and its revision.
type Change = (bool, OwnedKeyValue);

fn changes(store: &Store<'_>, since: i64, key: Option<&[u8]>) -> Vec<Change> {
    let mut seen = Vec::new();
    let range = key.map(KeyRange::single);
    store
        .events(Some(since), None, range.as_ref(), &mut |event| {
            let deleted = event.kind == EventKind::Delete;
            seen.push((deleted, KeyValue { mod_revision: event.revision.main, ..event.kv }.into()));
            ControlFlow::Continue(())
        })
        .unwrap();
    seen
}

/// Everything since revision 1, from a watch that ends when the server does.
fn recorded(text: &str) -> Vec<Change> {
    let answers = serde_json::Deserializer::from_str(text).into_iter::<Value>().map_while(Result::ok);
    let mut seen = Vec::new();
    for answer in answers {
        for event in answer["Events"].as_array().into_iter().flatten() {
            let deleted = event["type"] == 1 || event["type"] == "DELETE";
            seen.push((deleted, kv(&event["kv"])));
        }
    }
    seen
}

/// A watch that is being recorded into a file.
struct Watch {
    child: Child,
    to: PathBuf,
}

impl Watch {
    /// Of everything from revision 1 on.
    fn record(server: &Server, to: PathBuf) -> Watch {
        let out = File::create(&to).unwrap();
        let mut command = server.ctl_command(&["watch", "", "--prefix", "--rev", "1", "-w", "json"]);
        Watch { child: command.stdin(Stdio::null()).stdout(out).stderr(Stdio::null()).spawn().unwrap(), to }
    }

    /// Waits until a key that is written now has been told, and gives everything that was.
    fn end(&self, server: &Server) -> String {
        server.ctl(&["put", "the-watch-ends-here", "x"]);
        let deadline = support::run::deadline();
        loop {
            let text = fs::read_to_string(&self.to).unwrap();
            if text.contains(&STANDARD.encode("the-watch-ends-here")) && text.ends_with('\n') {
                return text;
            }
            assert!(Instant::now() < deadline, "the watch does not come to its end");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        // Fails only if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn open(path: &Path) -> Source {
    Source::open(path).unwrap()
}

#[test]
fn every_revision_is_the_servers_and_the_events_are_a_watchs() {
    for version in VERSIONS {
        let seed = Seed::draw();
        let Some(server) = Server::start(version, &[]) else { continue };
        let directory = tempfile::tempdir().unwrap();
        let watch = Watch::record(&server, directory.path().join("watch"));
        let mut history = History::new(server, seed.0);
        history.users();
        history.steps(50);
        let at = history.revision - 20;
        history.compact(at);
        history.steps(20);
        // Compacted at a deletion: whether it stays differs by version.
        let deleted = history.delete_one();
        history.steps(10);
        history.compact(deleted);
        let first = directory.path().join("first.db");
        history.server.save(&first);
        let then = history.revision;
        history.steps(40);
        let (compacted, last) = (history.compacted, history.revision);
        let second = directory.path().join("second.db");
        history.server.save(&second);

        let source = open(&second);
        let store =
            Store::open(&source, &StoreOptions { memory: 1000, ..StoreOptions::default() }, &Quiet).unwrap();
        assert_eq!((store.compact_revision(), store.revision()), (Some(compacted), last), "{version}");
        for revision in compacted..=last {
            let due = served(&history.server, &["get", "", "--from-key", "--rev", &revision.to_string()]);
            assert_eq!(found(&store, revision), due, "{version} at revision {revision}");
        }

        // The command, with the flags of etcdctl.
        let file = second.to_str().unwrap();
        let middle = i64::midpoint(compacted, last).to_string();
        for flags in [
            &["--prefix", "/k/"][..],
            &["/k/03"],
            &["/k/03", "/many"],
            &["--prefix", "/", "--limit", "3"],
            &["--prefix", "/", "--limit", "3", "--keys-only"],
            &["--prefix", "/k/", "--order", "DESCEND"],
            &["--from-key", "", "--sort-by", "CREATE", "--order", "DESCEND"],
            &["--from-key", "", "--min-mod-rev", &middle],
            &["--from-key", "", "--max-create-rev", &middle, "--sort-by", "VALUE", "--rev", &middle],
            &["not there"],
        ] {
            let answer = history.server.try_ctl(&[&["get", "-w", "json"], flags].concat(), b"");
            if String::from_utf8_lossy(&answer.stderr).contains("unknown flag") {
                assert!(version < "3.6", "{version} knows {flags:?}");
                continue;
            }
            let mut theirs: Value = serde_json::from_slice(&answer.stdout).unwrap();
            // One key that is not there is exit code 1, where etcdctl has 0.
            let missing = flags.len() == 1 && theirs.get("kvs").is_none();
            let run = coldbolt([&["get", "-w", "json", file], flags].concat());
            let mut ours = run.says(i32::from(missing), &[]).json();
            // 3.7 takes keys alone from its index, which knows no leases (`FastKeysOnly`).
            if version >= "3.7" && flags.contains(&"--keys-only") {
                for kv in ours.get_mut("kvs").and_then(Value::as_array_mut).into_iter().flatten() {
                    kv.as_object_mut().unwrap().remove("lease");
                }
            }
            for answer in [&mut ours, &mut theirs] {
                answer["header"].as_object_mut().unwrap().retain(|name, _| name == "revision");
                // etcd does not say in which order it gives keys that are equal in what is sorted by.
                let by = if flags.contains(&"VALUE") {
                    Some("value")
                } else {
                    flags.contains(&"CREATE").then_some("create_revision")
                };
                if let (Some(by), Some(kvs)) = (by, answer.get_mut("kvs").and_then(Value::as_array_mut)) {
                    let sorted = |field: &Value| (bytes(field), number(field));
                    let mut order: Vec<_> = kvs.iter().map(|kv| sorted(&kv[by])).collect();
                    if flags.contains(&"DESCEND") {
                        order.reverse();
                    }
                    assert!(order.is_sorted(), "{version} {flags:?}");
                    kvs.sort_by_key(|kv| bytes(&kv["key"]));
                }
            }
            assert_eq!(ours, theirs, "{version} {flags:?}");
        }
        for revision in [compacted - 1, last + 1] {
            let theirs = history.server.try_ctl(&["get", "k", "--rev", &revision.to_string()], b"");
            let ours = coldbolt(["get", file, "k", "--rev", &revision.to_string()]);
            let theirs = String::from_utf8(theirs.stderr).unwrap();
            let why = theirs.split("etcdserver: ").nth(1).unwrap_or_default();
            let why = why.split(['"', '}', '\n']).next().unwrap_or_default().trim();
            assert!(
                !why.is_empty() && ours.err.contains(why) && ours.code == 1,
                "{version}: {why:?} is not in {ours}"
            );
        }

        // What a compaction at the revision has removed of it is told by the watch, which ran before.
        let from = compacted + 1;
        let later = |changes: Vec<Change>| {
            changes.into_iter().filter(|(_, kv)| (from..=last).contains(&kv.mod_revision)).collect::<Vec<_>>()
        };
        let due = later(recorded(&watch.end(&history.server)));
        assert!(due.len() > 40, "{version}: {} changes", due.len());
        assert_eq!(changes(&store, from, None), due, "{version}");
        let keys: BTreeSet<Vec<u8>> = due.iter().map(|(_, kv)| kv.key.clone()).collect();
        for key in &keys {
            let due: Vec<Change> = due.iter().filter(|(_, kv)| kv.key == *key).cloned().collect();
            assert_eq!(changes(&store, from, Some(key)), due, "{version}");
            let mut history = Vec::new();
            store
                .history(key, &mut |version| {
                    let event = version.event;
                    let deleted = event.kind == EventKind::Delete;
                    history
                        .push((deleted, KeyValue { mod_revision: event.revision.main, ..event.kv }.into()));
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert_eq!(later(history), due, "{version}");
        }

        // Two snapshots differ in what the events between them changed.
        let before = open(&first);
        let before = Store::open(&before, &StoreOptions::default(), &Quiet).unwrap();
        assert_eq!(before.revision(), then);
        let mut state: BTreeMap<Vec<u8>, OwnedKeyValue> =
            found(&before, then).0.into_iter().map(|kv| (kv.key.clone(), kv)).collect();
        let was = state.clone();
        for (deleted, kv) in due.into_iter().filter(|(_, kv)| kv.mod_revision > then) {
            if deleted {
                state.remove(&kv.key)
            } else {
                state.insert(kv.key.clone(), kv)
            };
        }
        let due: BTreeSet<&Vec<u8>> =
            was.keys().chain(state.keys()).filter(|key| was.get(*key) != state.get(*key)).collect();
        let mut seen = BTreeSet::new();
        diff(before.at(None).unwrap(), store.at(None).unwrap(), &DiffOptions::default(), &mut |difference| {
            seen.insert(difference.key.to_vec());
            ControlFlow::Continue(())
        })
        .unwrap();
        assert_eq!(seen.iter().collect::<BTreeSet<_>>(), due, "{version}");

        // Killed, its database is behind; with its log it is where the server was, and has the same events.
        history.steps(30);
        let last = history.revision;
        let now = served(&history.server, &["get", "", "--from-key", "--rev", &last.to_string()]);
        let then = served(&history.server, &["get", "", "--from-key", "--rev", &(last - 20).to_string()]);
        let data = history.server.kill();
        let folded = fold_in_memory(&data, &FoldInMemoryOptions::default(), &Quiet).unwrap();
        let report = folded.report.as_ref().unwrap();
        assert_eq!(report.left_out, 0, "{version}");
        let store = Store::open(&folded.source, &StoreOptions::default(), &Quiet).unwrap();
        assert_eq!(
            (store.compact_revision(), found(&store, last), found(&store, last - 20)),
            (Some(compacted), now, then),
            "{version}"
        );
        folded.check_unchanged().unwrap();
    }
}

#[test]
fn the_mark_that_etcdutl_leaves_of_a_raised_revision_is_a_marker_and_everything_before_it_is_compacted() {
    for version in ["3.6.14", "3.7.1"] {
        let Some(etcdutl) = peers::find(&format!("etcd-{version}/etcdutl")) else { continue };
        let directory = tempfile::tempdir().unwrap();
        let snapshot =
            Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("fixtures/etcd-{version}/snapshot.db"));
        let mut command = peers::command(&etcdutl, directory.path());
        command
            .args([
                "snapshot",
                "restore",
                "--bump-revision",
                "1000",
                "--mark-compacted",
                "--data-dir",
                "data",
            ])
            .arg(&snapshot);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));

        let before = open(&snapshot);
        let before = Store::open(&before, &StoreOptions::default(), &Quiet).unwrap();
        let after = open(&directory.path().join("data/member/snap/db"));
        let after = Store::open(&after, &StoreOptions::default(), &Quiet).unwrap();
        let raised = before.revision() + 1000;
        assert_eq!((after.revision(), after.compact_revision()), (raised, Some(raised)), "{version}");
        assert_eq!(found(&after, raised), found(&before, before.revision()), "{version}: the mark is no key");
        let mut last = None;
        after
            .events(None, None, None, &mut |event| {
                last = Some((event.revision.main, event.kind));
                ControlFlow::Continue(())
            })
            .unwrap();
        assert_eq!(last, Some((raised, EventKind::Marker)), "{version}");
    }
}
