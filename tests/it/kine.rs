//! What k3s keeps in SQLite: a database of a real kine, killed so that its last changes are in its log alone.

use std::fs::{self, File};
use std::path::Path;

use coldbolt::Code;
use serde_json::{Value, json};
use support::packed::unpacked;
use support::{Input, Run, coldbolt, command, fixture, run::run};

const LOG: &str = "state.db-wal";

fn packed(name: &str) -> Vec<u8> {
    unpacked(&fixture(&format!("kine/{name}.gz")))
}

/// The file as it was left, in a directory; the log only if there are bytes for it.
fn state(dir: &Path, file: &[u8], log: Option<&[u8]>) -> Input {
    if let Some(log) = log {
        fs::write(dir.join(LOG), log).unwrap();
    }
    fs::write(dir.join("state.db"), file).unwrap();
    Input::new(dir)
}

fn left(dir: &Path) -> Input {
    state(dir, &packed("state.db"), Some(&packed(LOG)))
}

/// Runs a command of which the last word is the file, and proves that nothing in its directory changed or came to be.
fn ask(input: &Input, command: &str, more: &[&str]) -> Run {
    let file = input.path.join("state.db");
    let mut args: Vec<&str> = command.split(' ').collect();
    args.push(file.to_str().unwrap());
    args.extend(more);
    let run = coldbolt(args);
    input.unchanged();
    run
}

fn answer(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixture(&format!("kine/{name}"))).unwrap()).unwrap()
}

#[test]
fn every_key_is_answered_as_kine_answered_it_now_and_then() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let now = answer("range.json");
    assert_eq!(ask(&input, "get", &["/", "--prefix", "-w", "json"]).json(), now);
    let keys = now["kvs"].as_array().unwrap();
    assert!(keys.len() > 40 && keys.iter().any(|kv| kv["lease"] == 3600), "{}", keys.len());
    let then = answer("range-at-leased.json");
    let revision = then["kvs"].as_array().unwrap().iter().filter_map(|kv| kv["mod_revision"].as_i64()).max();
    let revision = revision.unwrap().to_string();
    let run = ask(&input, "get", &["/", "--prefix", "-w", "json", "--rev", &revision]);
    assert_eq!(run.json()["kvs"], then["kvs"]);
    assert_ne!(then["kvs"], now["kvs"]);
}

#[test]
fn what_only_the_log_has_is_answered_and_without_it_what_the_file_has() {
    let (with, without) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let updated = &["/fixture/updated", "--print-value-only"];
    assert_eq!(ask(&left(with.path()), "get", updated).good(), "third\n");
    let alone = state(without.path(), &packed("state.db"), None);
    assert_eq!(ask(&alone, "get", updated).good(), "second\n");
}

#[test]
fn a_key_that_was_deleted_and_made_again_has_two_generations() {
    let dir = tempfile::tempdir().unwrap();
    let run = ask(&left(dir.path()), "history", &["/fixture/again", "-w", "json"]);
    let life = run.json()["versions"].clone();
    let life: Vec<_> = life.as_array().unwrap().iter().map(|v| (&v["generation"], &v["change"])).collect();
    let due = [(json!(1), json!("created")), (json!(1), json!("deleted")), (json!(2), json!("recreated"))];
    assert_eq!(life, due.each_ref().map(|(generation, change)| (generation, change)));
}

#[test]
fn the_api_servers_own_key_has_its_name_version_and_value_and_kines_own_is_no_key() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let run = ask(&input, "get", &["compact", "--prefix", "-w", "json"]);
    let kvs = run.json()["kvs"].clone();
    assert_eq!(kvs.as_array().unwrap().len(), 1, "{run}");
    // "compact_rev_key" and "7" in base64.
    assert_eq!((&kvs[0]["key"], &kvs[0]["value"]), (&json!("Y29tcGFjdF9yZXZfa2V5"), &json!("Nw==")));
    assert_eq!(kvs[0]["version"], 1);
}

#[test]
fn a_compacted_revision_is_refused_as_kine_refuses_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let compacted =
        ask(&input, "inspect", &["-w", "json"]).json()["kine"]["compact_revision"].as_i64().unwrap();
    let at = |revision: i64| ask(&input, "keys", &["--rev", &revision.to_string()]);
    at(compacted - 1).says(1, &["required revision has been compacted"]);
    assert_eq!(at(compacted).code, 0);
}

#[test]
fn inspect_says_what_the_file_is_and_how_much_of_it_is_in_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let run = ask(&input, "inspect", &[]);
    run.shows(0, &["a database of kine", "16 pages in", "60 rows", "52 live", "kubernetes", "secrets"]);
    let kine = ask(&input, "inspect", &["-w", "json"]).json()["kine"].clone();
    assert_eq!(
        (&kine["log"]["frames"], &kine["rows"], &kine["live_keys"]),
        (&json!(16), &json!(60), &json!(52))
    );
    assert_eq!(kine["kubernetes"]["encrypted"], 32);
    let alone = tempfile::tempdir().unwrap();
    let alone = state(alone.path(), &packed("state.db"), None);
    ask(&alone, "inspect", &[]).shows(0, &["none beside it: a copy made while k3s ran lacks"]);
}

#[test]
fn the_directories_of_a_k3s_server_lead_to_it_unless_they_hold_an_etcd() {
    let k3s = tempfile::tempdir().unwrap();
    let db = k3s.path().join("server/db");
    fs::create_dir_all(&db).unwrap();
    left(&db);
    let input = Input::new(k3s.path());
    for below in ["", "server", "server/db"] {
        let dir = k3s.path().join(below);
        let dir = dir.to_str().unwrap();
        coldbolt(["get", dir, "/fixture/updated", "--print-value-only"]).shows(0, &["third"]);
        coldbolt(["inspect", dir]).shows(0, &["a database of kine"]);
    }
    input.unchanged();
    fs::create_dir(db.join("etcd")).unwrap();
    coldbolt(["keys", k3s.path().to_str().unwrap()]).says(3, &["holds no etcd data"]);
}

#[test]
fn standard_input_is_read_too() {
    let dir = tempfile::tempdir().unwrap();
    let input = state(dir.path(), &packed("state.db"), None);
    let mut keys = command(["get", "-", "/fixture/updated", "--print-value-only"]);
    keys.stdin(File::open(input.path.join("state.db")).unwrap());
    assert_eq!(run(keys).good(), "second\n");
    input.unchanged();
}

#[test]
fn what_needs_an_etcd_database_refuses_and_says_what_the_file_is_and_what_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let to = tempfile::tempdir().unwrap();
    let to = to.path().join("new");
    let to = to.to_str().unwrap();
    let new = ["-o", to];
    for (command, more) in [
        ("status", &[][..]),
        ("hashkv", &[]),
        ("verify", &[]),
        ("copy", &[to]),
        ("defrag", &new),
        ("bolt pages", &[]),
        ("seal", &new),
    ] {
        ask(&input, command, more)
            .says(3, &["is an SQLite database, as k3s keeps without etcd", "`coldbolt inspect`"]);
    }
    assert!(!Path::new(to).exists());
}

#[test]
fn a_torn_log_is_read_up_to_the_commit_before_it_and_told() {
    let (log, dir) = (packed(LOG), tempfile::tempdir().unwrap());
    // In the middle of the third frame of sixteen, each a page and 24 bytes; behind these are those of an earlier round.
    let input = state(dir.path(), &packed("state.db"), Some(&log[..32 + 2 * 4120 + 100]));
    let run = ask(&input, "inspect", &["-w", "json"]);
    let found = &run.json()["findings"][0];
    assert_eq!((run.code, &found["code"]), (0, &json!(Code::SqliteLog.name())), "{run}");
    // One bit of the first frame: nothing of the log counts, as for SQLite.
    let (mut log, dir) = (log, tempfile::tempdir().unwrap());
    log[200] ^= 1;
    let input = state(dir.path(), &packed("state.db"), Some(&log));
    let run = ask(&input, "get", &["/fixture/updated", "--print-value-only"]);
    run.shows(0, &["second"]).says(0, &["sqlite-log"]);
    // No header.
    log[0] ^= 1;
    fs::write(dir.path().join(LOG), &log).unwrap();
    let run = coldbolt(["keys", dir.path().to_str().unwrap()]);
    run.says(0, &["its header is none"]);
}

#[test]
fn a_cut_file_is_damage_and_what_is_left_of_it_is_had_when_asked_for() {
    let (file, dir) = (packed("state.db"), tempfile::tempdir().unwrap());
    // The log's pages would be in the place of those that are cut off.
    let input = state(dir.path(), &file[..10 * 4096], None);
    let run = ask(&input, "keys", &[]);
    assert_eq!(run.code, 1, "{run}");
    let some = ask(&input, "keys", &["--allow-damage"]);
    some.shows(1, &["/registry/health"]);
    ask(&input, "inspect", &[]).shows(1, &["a database of kine", "file-too-short"]);
}

#[test]
fn a_database_of_another_program_and_a_transaction_that_was_not_finished_are_refused() {
    let file = packed("state.db");
    let changed = |from: &[u8], to: &[u8]| {
        let at = file.windows(from.len()).position(|is| is == from).unwrap();
        let mut file = file.clone();
        file[at..at + to.len()].copy_from_slice(to);
        let dir = tempfile::tempdir().unwrap();
        let input = state(dir.path(), &file, None);
        ask(&input, "keys", &[])
    };
    changed(b"tablekinekine", b"tablekinokino").says(3, &["not kine's: it has no table kine"]);
    changed(b"prev_revision INTEGER", b"prev_revisiox INTEGER")
        .says(3, &["its table kine has other columns"]);
    let dir = tempfile::tempdir().unwrap();
    let journal = [&[0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7][..], &[0; 504]].concat();
    fs::write(dir.path().join("state.db-journal"), journal).unwrap();
    let input = state(dir.path(), &file, None);
    ask(&input, "keys", &[]).says(3, &["has a transaction in it that was not finished", "sqlite3"]);
}

#[test]
fn encrypted_secrets_open_with_the_api_servers_keys() {
    let dir = tempfile::tempdir().unwrap();
    let input = left(dir.path());
    let config = fixture("kube/encrypted-1.37/encryption.json");
    let run = ask(
        &input,
        "kube get",
        &[
            "secret",
            "s01-aescbc-first-0",
            "-n",
            "vault",
            "--encryption-config",
            config.to_str().unwrap(),
            "-o",
            "json",
        ],
    );
    assert_eq!((run.code, &run.json()["metadata"]["name"]), (0, &json!("s01-aescbc-first-0")), "{run}");
}

#[test]
fn where_no_page_is_looked_at_nothing_is_said_to_be_left_over() {
    let dir = tempfile::tempdir().unwrap();
    ask(&left(dir.path()), "carve", &[]).says(4, &["not looked at: free pages of SQLite"]);
}
