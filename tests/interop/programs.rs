//! coldbolt under the names of the real programs, beside them: each call is made with both, and standard output, exit
//! code and the names of the files that were made must be equal. Where they are not, the table of reasons says why; a
//! reason that no call needs fails too.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::programs_calls::calls;
use support::run::binary;
use support::server::run;
use support::{fixture, peers, unpack};

/// Real programs, each with the name under which coldbolt stands in for it.
const PROGRAMS: [(&str, &str); 6] = [
    ("etcdutl-3.7.3/etcdutl", "etcdutl"),
    ("etcdutl-3.6.16/etcdutl", "etcdutl"),
    ("etcdutl-3.5.35/etcdutl", "etcdutl"),
    ("etcd-3.5.1/etcdctl", "etcdctl"),
    ("etcd-3.4.23/etcdctl", "etcdctl"),
    ("etcd-dump-logs-3.6/etcd-dump-logs", "etcd-dump-logs"),
];

/// Both answers to a call of a program.
struct Asked<'a> {
    program: &'a str,
    call: &'a str,
    their: &'a Answer,
    our: &'a Answer,
}

impl Asked<'_> {
    fn of(&self, programs: &[&str]) -> bool {
        programs.iter().any(|program| self.program.starts_with(program))
    }

    fn codes(&self, their: i32, our: i32) -> bool {
        (self.their.code, self.our.code) == (Some(their), Some(our))
    }

    /// Only what is printed differs.
    fn only_text(&self) -> bool {
        self.their.code == self.our.code && self.their.files == self.our.files
    }
}

type Reason = (&'static str, fn(&Asked<'_>) -> bool);

/// Why answers are to differ, and which do. The first that fits counts.
const REASONS: [Reason; 13] = [
    ("the real one ends by Go's panic or by a signal, coldbolt by an error or an answer", |a| {
        !a.of(&["etcd-dump-logs"]) && matches!(a.their.code, Some(2) | None) && a.our.code != Some(2)
    }),
    ("the real one leaves what it had begun to restore or to back up, coldbolt nothing", |a| {
        let text = a.codes(1, 1) && a.their.out == a.our.out;
        let writes = a.call.contains("restore") || a.call.contains("backup");
        writes && text && a.our.files.is_subset(&a.their.files)
    }),
    (
        "a backup's log replaces the directory that it is to go to, with all in it: coldbolt overwrites nothing",
        |a| a.call.contains("--backup-wal-dir dir") && a.codes(0, 1),
    ),
    ("the real one takes the log of another member for this one's", |a| {
        a.call.contains("cold35 --wal-dir cold-v2/member/wal") && a.codes(0, 1)
    }),
    ("the real one does not see, or takes, that a meta page is destroyed", |a| {
        a.call.contains("zeroed.db") && (a.codes(0, 1) || a.codes(4, 1)) && a.our.out.is_empty()
    }),
    ("an empty file has no keyspace: the real one makes a database in it", |a| {
        a.call.contains("hashkv empty") && (a.codes(0, 1) || a.codes(4, 1))
    }),
    ("there is no revision -1, and a hash of nothing says nothing", |a| {
        a.call.contains("--rev -1") && a.codes(0, 1) && a.our.out.is_empty()
    }),
    ("up to 3.5 the format was looked at before the file", |a| {
        let old = a.of(&["etcdutl-3.5.35", "etcd-3.5.1", "etcd-3.4.23"]);
        old && a.call.ends_with("missing.db --write-out=xml") && a.codes(4, 1)
    }),
    ("up to 3.6 etcdutl had other tables, answers, help and flags: coldbolt answers as 3.7", |a| {
        let old = a.of(&["etcdutl-3.6.16", "etcdutl-3.5.35"]);
        let defaults = ["snapshot restore", "snapshot restore s37.db", "snapshot restore --name m s37.db"];
        old && (a.only_text() || a.of(&["etcdutl-3.5.35"]) && defaults.contains(&a.call))
    }),
    ("etcdctl's help had a layout of its own, and is here of what needs no server", |a| {
        let old = a.of(&["etcd-3.5.1/etcdctl", "etcd-3.4.23/etcdctl"]);
        old && a.only_text() && a.their.out.contains("NAME:\n")
    }),
    ("coldbolt answers as etcdctl 3.5.1", |a| {
        a.of(&["etcd-3.4.23"]) && a.call.contains("version") && a.only_text()
    }),
    ("etcdctl 3.5 goes on to ask a server when it has defragmented", |a| {
        a.of(&["etcd-3.5.1/etcdctl"]) && a.call == "defrag --data-dir=cold37" && a.codes(1, 0)
    }),
    ("before it fails the real one prints what it logs, or the first lines", |a| {
        let begun = ["nosuch.snap", "-wal-dir missing", "./missing"];
        a.of(&["etcd-dump-logs"]) && begun.iter().any(|part| a.call.contains(part)) && a.only_text()
    }),
];

/// Files and directories by the names that the calls have for them: a fixture of a version, changed or not.
const FILES: [(&str, &str); 4] =
    [("s34.db", "3.4.23"), ("s35.db", "3.5.1"), ("s36.db", "3.6.14"), ("s37.db", "3.7.1")];
const DIRECTORIES: [(&str, &str); 5] = [
    ("cold-v2", "3.3.27"),
    ("cold34", "3.4.23"),
    ("cold35", "3.5.1"),
    ("cold36", "3.6.14"),
    ("cold37", "3.7.1"),
];
const CHANGED: [&str; 8] =
    ["bare.db", "zeroed.db", "half.db", "page.db", "flipped.db", "text", "empty", "dir"];

/// A directory that is only read, unpacked once.
fn cold(version: &str, shared: &Path) -> PathBuf {
    let home = shared.join(version);
    if !home.exists() {
        fs::create_dir(&home).unwrap();
        unpack(version, "cold", &home);
    }
    home.join("cold")
}

/// Puts there what the call names.
fn prepare(call: &[String], home: &Path, shared: &Path) {
    let named = |name: &str| call.iter().any(|word| word.split(['=', '/']).any(|part| part == name));
    let snapshot = |version| fs::read(fixture(&format!("etcd-{version}/snapshot.db"))).unwrap();
    for (name, version) in FILES.into_iter().filter(|(name, _)| named(name)) {
        fs::write(home.join(name), snapshot(version)).unwrap();
    }
    for (name, version) in DIRECTORIES.into_iter().filter(|(name, _)| named(name)) {
        if call.iter().any(|word| word == "migrate" || word == "defrag") {
            fs::rename(unpack(version, "cold", home), home.join(name)).unwrap();
        } else {
            symlink(cold(version, shared), home.join(name)).unwrap();
        }
    }
    for name in CHANGED.into_iter().filter(|name| named(name)) {
        let mut bytes = snapshot("3.7.1");
        match name {
            "bare.db" => bytes.truncate(bytes.len() - 32),
            "zeroed.db" => bytes[..512].fill(0),
            "half.db" => bytes.truncate(30_000),
            "page.db" => bytes.truncate(4096),
            "flipped.db" => bytes[20_000] ^= 1,
            "text" => bytes = b"hello\n".to_vec(),
            "empty" => bytes.clear(),
            _ => {
                fs::create_dir(home.join(name)).unwrap();
                fs::write(home.join("dir/file"), "").unwrap();
                continue;
            }
        }
        fs::write(home.join(name), bytes).unwrap();
    }
    if call.iter().any(|word| word.contains("decode.sh")) {
        let script = "#!/bin/sh\nwhile read line; do echo \"OK|${#line}\"; done\n";
        fs::write(home.join("decode.sh"), script).unwrap();
        fs::set_permissions(home.join("decode.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    }
}

#[derive(PartialEq, Eq)]
struct Answer {
    code: Option<i32>,
    out: String,
    files: BTreeSet<PathBuf>,
}

fn ask(program: &Path, call: &[String], shared: &Path) -> Answer {
    let home = tempfile::tempdir().unwrap();
    prepare(call, home.path(), shared);
    let output = run(peers::command(program, home.path()).env("PATH", "/usr/bin:/bin").args(call), b"");
    let (mut files, mut dirs) = (BTreeSet::new(), vec![home.path().to_path_buf()]);
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_type().unwrap().is_dir() {
                dirs.push(entry.path());
            }
            files.insert(entry.path().strip_prefix(home.path()).unwrap().to_path_buf());
        }
    }
    Answer { code: output.status.code(), out: String::from_utf8_lossy(&output.stdout).into_owned(), files }
}

#[test]
fn each_program_and_coldbolt_under_its_name_answer_alike_but_for_the_table_of_reasons() {
    let temp = tempfile::tempdir().unwrap();
    let (mut count, mut wrong, mut used) = (0, BTreeMap::new(), BTreeSet::new());
    for (program, name) in PROGRAMS {
        let Some(real) = peers::find(program) else { return };
        let ours = temp.path().join(name);
        let _ = symlink(binary(), &ours);
        for call in calls(program) {
            count += 1;
            let words: Vec<_> = call.split_whitespace().map(str::to_owned).collect();
            let (their, our) = (ask(&real, &words, temp.path()), ask(&ours, &words, temp.path()));
            if their == our {
                continue;
            }
            let asked = Asked { program, call: &call, their: &their, our: &our };
            let reason = REASONS.iter().position(|(_, is)| is(&asked));
            match reason {
                Some(at) => drop(used.insert(at)),
                None => {
                    let files = their.files.symmetric_difference(&our.files).collect::<Vec<_>>();
                    let short = |answer: &Answer| answer.out.chars().take(300).collect::<String>();
                    let (a, b) =
                        if their.out == our.out { Default::default() } else { (short(&their), short(&our)) };
                    let told = format!("{:?}/{:?} {files:?}\n<{a}>\n<{b}>", their.code, our.code);
                    wrong.insert(format!("{program} {call}"), told);
                }
            }
        }
    }
    let told: String = wrong.iter().map(|(call, told)| format!("{call}: {told}\n")).collect();
    assert!(wrong.is_empty(), "{} of {count} calls differ:\n{told}", wrong.len());
    let unused: Vec<_> =
        REASONS.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, (why, _))| why).collect();
    assert!(unused.is_empty(), "reasons that no call needs: {unused:?}");
    assert!(count > 771, "{count} calls");
}
