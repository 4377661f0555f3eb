//! How much is said, in which colours and formats.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;
use support::run::run;
use support::{Input, coldbolt, command, fixture, unpack};

const SNAPSHOT: &str = "etcd-3.6.14/snapshot.db";

fn snapshot() -> String {
    fixture(SNAPSHOT).to_str().unwrap().to_owned()
}

/// The snapshot without its end.
fn cut(dir: &tempfile::TempDir) -> String {
    let bytes = std::fs::read(fixture(SNAPSHOT)).unwrap();
    let path = dir.path().join("cut.db");
    std::fs::write(&path, &bytes[..30_000]).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn colour_is_for_terminals_or_for_who_asks_and_changes_no_word() {
    let dir = tempfile::tempdir().unwrap();
    let cut = cut(&dir);
    let plain = coldbolt(["verify", &cut]);
    let painted = coldbolt(["verify", "--color", "always", &cut]);
    assert!(!plain.text().contains('\u{1b}') && !plain.err.contains('\u{1b}'), "{plain}");
    assert!(painted.err.contains("\u{1b}[1m\u{1b}[31mdamage\u{1b}[0m: "), "{painted}");
    assert!(painted.text().contains("\u{1b}[1m\u{1b}[31mBAD"), "{painted}");
    let without = |text: &str| {
        ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"]
            .iter()
            .fold(text.to_owned(), |text, code| text.replace(code, ""))
    };
    assert_eq!(
        (without(painted.text()), without(&painted.err)),
        (plain.text().to_owned(), plain.err.clone())
    );
    let mut by_variable = command(["verify", &cut]);
    by_variable.env("COLDBOLT_COLOR", "always");
    assert_eq!(run(by_variable).text(), painted.text());
    let mut outdone = command(["verify", &cut, "--color", "never"]);
    outdone.env("COLDBOLT_COLOR", "always");
    assert_eq!(run(outdone).text(), plain.text());
    for (value, colour) in [("0", false), ("1", true)] {
        let mut forced = command(["verify", &cut]);
        forced.env("CLICOLOR_FORCE", value);
        assert_eq!(run(forced).text().contains('\u{1b}'), colour, "CLICOLOR_FORCE={value}");
    }
    // Where it is for nobody to see, it is not asked for by what a file holds.
    let same = coldbolt(["diff", "--color", "always", &snapshot(), &snapshot()]);
    assert!(!same.good().contains('\u{1b}'), "{same}");
}

#[test]
fn quiet_leaves_notes_out_and_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    let secrets = fixture("kube/plain-1.37/snapshot.db.gz");
    let get = ["kube", "get", secrets.to_str().unwrap(), "secrets", "-A", "-o", "yaml", "--plain-hashes"];
    let usual = coldbolt(get);
    assert!(usual.err.contains("is redacted"), "{usual}");
    let quiet = coldbolt(get.into_iter().chain(["-q"]));
    assert_eq!((quiet.good(), quiet.err.as_str()), (usual.text(), ""));
    // What an exit code is of is no note.
    let none = ["kube", "get", secrets.to_str().unwrap(), "pods", "nope", "-n", "none", "-q"];
    coldbolt(none).says(1, &["\"nope\" not found"]);
    let cut = cut(&dir);
    coldbolt(["status", "-q", &cut]).says(1, &["damage: ", "Error: "]);
    coldbolt(["status", "-q", "-v", &cut]).says(2, &["cannot be used with"]);
}

#[test]
fn verbose_tells_what_was_read_and_how_fast() {
    let snapshot = snapshot();
    let run = coldbolt(["-v", "verify", &snapshot]);
    assert_eq!((run.code, run.text()), (0, coldbolt(["verify", &snapshot]).good()));
    let told = run.err.lines().find(|line| line.contains(" in 0.")).unwrap_or_default();
    assert!(told.ends_with("/s") && told.contains(" kB in "), "{run}");
}

#[test]
fn options_of_every_command_are_taken_from_variables_and_wrong_ones_refused() {
    let asked = |name: &str, value: &str| {
        let mut command = command(["status", &snapshot()]);
        command.env(name, value);
        run(command)
    };
    let due = coldbolt(["status", &snapshot()]);
    for (name, value) in
        [("COLDBOLT_JOBS", "1"), ("COLDBOLT_PROGRESS", "never"), ("COLDBOLT_MAX_UNPACKED", "1G")]
    {
        assert_eq!(asked(name, value).good(), due.good(), "{name}");
    }
    asked("COLDBOLT_JOBS", "many").says(2, &["invalid value 'many'", "--jobs"]);
    asked("COLDBOLT_AGE_IDENTITY", "/nowhere/key").says(3, &["/nowhere/key"]);
}

#[test]
fn a_format_is_asked_for_as_kubectl_does_too() {
    let snapshot = snapshot();
    for words in [&["status"][..], &["inspect"], &["kube", "kinds"], &["bolt", "buckets"], &["alarms"]] {
        let ask = |flag: &str| {
            let run = coldbolt(words.iter().copied().chain([snapshot.as_str(), flag, "json"]));
            run.good().to_owned()
        };
        assert!(serde_json::from_str::<Value>(&ask("-w")).is_ok(), "{words:?}");
        assert_eq!((ask("-o"), ask("--output")), (ask("-w"), ask("-w")), "{words:?}");
    }
    // There it names a file.
    let help = coldbolt(["defrag", "--help"]);
    assert!(!help.good().contains("short aliases"), "{help}");
}

#[test]
fn the_first_line_of_a_listing_names_its_schema() {
    let snapshot = snapshot();
    for (words, schema) in [
        (&["keys"][..], "coldbolt.keys/"),
        (&["events"], "coldbolt.events/"),
        (&["bolt", "pages"], "coldbolt."),
    ] {
        let run = coldbolt(words.iter().copied().chain([snapshot.as_str(), "-w", "ndjson"]));
        let lines: Vec<Value> = run.good().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() > 1 && lines[0]["schema"].as_str().unwrap().starts_with(schema), "{run}");
        assert!(lines[0].as_object().unwrap().len() > 1, "it is a row: {run}");
        assert!(lines[1..].iter().all(|line| line.get("schema").is_none()), "{run}");
    }
}

#[test]
fn shells_offer_kinds_and_commands() {
    let script = coldbolt(["completion", "bash"]);
    for offered in ["daemonsets", "all-kinds", "rbac-escalate"] {
        assert!(script.good().contains(offered), "{offered}");
    }
    // Offered, and not all that is taken.
    coldbolt(["kube", "get", &snapshot(), "sparks.example.org"]).says(0, &["No resources found"]);
}

#[test]
fn the_names_of_before_are_taken_still() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::new(unpack("3.6.14", "cold", dir.path()));
    let (db, member) = (snapshot(), input.path.to_str().unwrap().to_owned());
    let older = fixture("etcd-3.5.1/snapshot.db").to_str().unwrap().to_owned();
    let kube = fixture("kube/plain-1.37/snapshot.db.gz").to_str().unwrap().to_owned();
    // NEW is a name that is free, and is left out of what is compared.
    let rows = [
        ("copy MEMBER -o NEW", "copy MEMBER NEW"),
        ("copy MEMBER -o NEW --to-rev 133", "copy MEMBER NEW --to-revision 133"),
        ("replay MEMBER --to-rev 133 -o NEW", "replay MEMBER --to-revision 133 -o NEW"),
        ("restore DB --data-dir NEW --rev 100", "restore DB --data-dir NEW --revision 100"),
        ("diff OLDER DB --exclude-prefix k", "diff OLDER DB --ignore-prefix k"),
        ("timeline KUBE --kind secrets", "timeline KUBE --object secrets"),
        ("verify DB -w ndjson", "verify DB --ndjson"),
        ("member list MEMBER", "member list --data-dir MEMBER"),
        ("wal dump MEMBER -w simple", "wal dump MEMBER -w text"),
        ("status DB -w table", "status DB -o table"),
    ];
    for (n, (now, before)) in rows.into_iter().enumerate() {
        let answer = |line: &str, side: &str| {
            let new = dir.path().join(format!("{n}-{side}")).to_str().unwrap().to_owned();
            let word = |word: &str| match word {
                "MEMBER" => member.clone(),
                "DB" => db.clone(),
                "OLDER" => older.clone(),
                "KUBE" => kube.clone(),
                "NEW" => new.clone(),
                word => word.to_owned(),
            };
            let ran = coldbolt(line.split(' ').map(word));
            (ran.code, ran.text().replace(&new, "NEW"), ran.err.replace(&new, "NEW"))
        };
        let (due, found) = (answer(now, "now"), answer(before, "before"));
        assert!(due.0 < 2 && !(due.1.is_empty() && due.2.is_empty()), "{now}: {due:?}");
        assert_eq!(found, due, "{before}");
    }
}

#[test]
fn a_member_is_named_before_its_ids() {
    let dir = tempfile::tempdir().unwrap();
    let member = Input::new(unpack("3.6.14", "cold", dir.path()));
    let path = member.path.to_str().unwrap();
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    coldbolt(["member", "remove", path, "-o", out]).says(2, &["of which member? Give its ID behind "]);
    coldbolt(["member", "remove", path, "xyz", "-o", out]).says(2, &["\"xyz\" is no ID of a member"]);
    coldbolt(["member", "list"]).says(2, &["<PATH>"]);
    // By either way of naming it: no such member.
    for args in [
        &["member", "remove", path, "8e9e05c52164694d"][..],
        &["member", "remove", "--data-dir", path, "8e9e05c52164694d"],
    ] {
        coldbolt([args, &["-o", out]].concat()).says(1, &["the member does not exist"]);
    }
}

#[test]
fn an_empty_variable_is_as_one_that_is_not_set() {
    for name in ["PROGRESS", "COLOR", "JOBS", "MAX_INPUT", "MAX_UNPACKED", "AGE_IDENTITY"] {
        let mut empty = command(["status", &snapshot()]);
        empty.env(format!("COLDBOLT_{name}"), "");
        assert_eq!(run(empty).good(), coldbolt(["status", &snapshot()]).text(), "{name}");
    }
}

#[test]
fn an_empty_prefix_excludes_nothing_by_accident() {
    let other = fixture("etcd-3.5.1/snapshot.db").to_str().unwrap().to_owned();
    let new = tempfile::tempdir().unwrap();
    let new = new.path().join("new").to_str().unwrap().to_owned();
    for args in [
        &["diff", &snapshot(), &other, "--exclude-prefix", ""][..],
        &["restore", &snapshot(), "--data-dir", &new, "--exclude-prefix", ""],
    ] {
        coldbolt(args).says(2, &["--exclude-prefix is empty"]);
    }
}

#[test]
fn directories_of_any_name_are_written_to_by_the_programs_names() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::new(unpack("3.5.1", "cold", dir.path()));
    let odd = |name: &[u8]| dir.path().join(OsStr::from_bytes(name)).into_os_string();
    let [from, backup, restored] = [&b"da\xff"[..], b"ba\xff", b"re\xff"].map(odd);
    std::fs::rename(&input.path, &from).unwrap();
    let words = |words: &[&str]| words.iter().map(|word| OsString::from(*word)).collect::<Vec<_>>();
    let calls = [
        [
            words(&["as", "etcdutl", "backup", "--data-dir"]),
            vec![from.clone(), "--backup-dir".into(), backup],
        ]
        .concat(),
        [words(&["as", "etcdutl", "snapshot", "restore", &snapshot(), "--data-dir"]), vec![restored]]
            .concat(),
        [words(&["as", "etcdutl", "defrag", "--data-dir"]), vec![from]].concat(),
    ];
    for call in calls {
        let ran = coldbolt(&call);
        assert_eq!(ran.code, 0, "{ran}");
    }
}
