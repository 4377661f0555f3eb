//! A database with pages of 64 KiB, as etcd makes it where the system has such: some kernels of arm64.

use std::path::Path;

use support::packed::unpacked;
use support::{Input, coldbolt, coldbolt_in, fixture};

fn given(dir: &Path) -> Input {
    Input::write(dir, "backup.db", &unpacked(&fixture("pages-64k/snapshot.db.gz")))
}

#[test]
fn pages_of_64_kib_are_read_as_the_real_programs_read_them() {
    let dir = tempfile::tempdir().unwrap();
    let input = given(dir.path());
    for (call, answer) in [("snapshot status", "status.json"), ("hashkv", "hashkv.json")] {
        let words = ["as", "etcdutl"].into_iter().chain(call.split(' ')).chain([input.name(), "-w", "json"]);
        let due = std::fs::read_to_string(fixture("pages-64k").join(answer)).unwrap();
        assert_eq!(coldbolt(words).text(), due, "{call}");
    }
    coldbolt(["verify", input.name()]).shows(0, &["snapshot file, good", "5 pages of 65536 bytes"]);
    coldbolt(["inspect", input.name()]).shows(0, &["5 pages of 65536", "24 live"]);
    coldbolt(["bolt", "pages", input.name()]).shows(0, &["leaf"]);
    input.unchanged();
}

#[test]
fn what_is_made_of_pages_of_64_kib_has_such_and_the_same_content() {
    let dir = tempfile::tempdir().unwrap();
    let input = given(dir.path());
    for (call, made) in [
        ("copy backup.db copied.db", "copied.db"),
        ("defrag backup.db -o defragmented.db", "defragmented.db"),
        ("salvage backup.db -o salvaged.db", "salvaged.db"),
        ("restore backup.db --data-dir restored", "restored/member/snap/db"),
    ] {
        let run = coldbolt_in(dir.path(), call.split(' '));
        assert_eq!(run.code, 0, "{run}");
        let made = dir.path().join(made);
        let made = made.to_str().unwrap();
        let verified = coldbolt(["verify", made]);
        assert!(verified.text().contains("pages of 65536 bytes"), "{verified}");
        coldbolt(["hashkv", made]).shows(0, &["2442192801"]);
    }
    input.unchanged();
}
