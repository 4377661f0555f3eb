//! Files that coldbolt closes and Go's age opens, and the other way.

use std::fs;
use std::path::Path;

use support::age::{KeyFiles, OTHER, PAIR, PASSPHRASE};
use support::server::run;
use support::{coldbolt, peers};

/// Lengths about those of chunks.
const LENGTHS: [usize; 7] = [0, 1, 65_535, 65_536, 65_537, 131_072, 3_000_000];

fn content(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i ^ (i >> 9)) as u8).collect()
}

fn name(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_closed_for_keys_here_age_opens_and_the_other_way() {
    let Some(age) = peers::find("age-1.3.2/age") else { return };
    let home = tempfile::tempdir().unwrap();
    let keys = KeyFiles::write(home.path());
    let [plain, closed, opened] = ["plain", "closed.age", "opened"].map(|name| home.path().join(name));
    for len in LENGTHS {
        fs::write(&plain, content(len)).unwrap();
        let to = ["--to", &keys.of("recipients")];
        coldbolt([&["encrypt", name(&plain), "-o", name(&closed)], &to[..]].concat()).says(0, &[]);
        for key in ["key", "other-key"] {
            let done =
                run(peers::command(&age, home.path()).args(["-d", "-i", &keys.of(key)]).arg(&closed), b"");
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
            assert!(done.stdout == content(len), "{len}");
        }
        let made = run(peers::command(&age, home.path()).args(["-r", PAIR.0, "-r", OTHER.0]), &content(len));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(&closed, made.stdout).unwrap();
        let verified = coldbolt(["verify", name(&closed)]);
        let due = format!("2 of kind X25519; its length fits {len} bytes of content");
        assert!(verified.code == 4 && verified.text().contains(&due), "{verified}");
        for key in ["key", "other-key"] {
            let args = ["decrypt", name(&closed), "-o", name(&opened), "-i", &keys.of(key)];
            coldbolt(args).says(0, &[]);
            assert!(fs::read(&opened).unwrap() == content(len), "{len}");
            fs::remove_file(&opened).unwrap();
        }
        fs::remove_file(&closed).unwrap();
    }
}

#[test]
fn what_is_closed_with_a_passphrase_here_age_opens_and_the_other_way() {
    let Some(age) = peers::find("age-peer/age-peer") else { return };
    let home = tempfile::tempdir().unwrap();
    let keys = KeyFiles::write(home.path());
    let [plain, closed, opened] = ["plain", "closed.age", "opened"].map(|name| home.path().join(name));
    fs::write(&plain, content(70_000)).unwrap();
    let passphrase = ["--passphrase-file", &keys.of("passphrase")];
    coldbolt([&["encrypt", name(&plain), "-o", name(&closed)], &passphrase[..]].concat()).says(0, &[]);
    let peer = |verb: &str, passphrase: &str, work: &str, stdin: &[u8]| {
        run(peers::command(&age, home.path()).args([verb, passphrase, work]), stdin)
    };
    let done = peer("decrypt", PASSPHRASE, "18", &fs::read(&closed).unwrap());
    assert!(done.status.success() && done.stdout == content(70_000));
    assert!(!peer("decrypt", "another", "18", &fs::read(&closed).unwrap()).status.success());
    // What age makes of its own accord, and less.
    for work in ["18", "10"] {
        let made = peer("encrypt", PASSPHRASE, work, &content(70_000));
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        fs::write(&closed, made.stdout).unwrap();
        let verified = coldbolt(["verify", name(&closed)]);
        let due = format!("a passphrase (scrypt, work factor {work})");
        assert!(verified.code == 4 && verified.text().contains(&due), "{verified}");
        coldbolt([&["decrypt", name(&closed), "-o", name(&opened)], &passphrase[..]].concat()).says(0, &[]);
        assert!(fs::read(&opened).unwrap() == content(70_000));
        fs::remove_file(&opened).unwrap();
        let other = ["--passphrase-file", &keys.of("other-passphrase")];
        let refused = coldbolt([&["decrypt", name(&closed), "-o", name(&opened)], &other[..]].concat());
        refused.says(3, &["the passphrase does not open it"]);
    }
}
