//! Manifests: of every file of a directory, and of what `copy` made.

use std::fs;

use serde_json::Value;
use support::backup::{Backup, verify};
use support::member::Member;
use support::{Input, coldbolt_in, unpack};

#[test]
fn the_manifest_of_a_directory_covers_every_file_by_its_path() {
    let home = tempfile::tempdir().unwrap();
    let files = Member::good().files();
    files.write(&home.path().join("m1"));
    let at = |path: &str| home.path().join("m1").join(path);
    let wal = files.last_wal();
    coldbolt_in(home.path(), ["verify", "m1", "--manifest", "ev.json"]).says(0, &[]);
    let manifest: Value = serde_json::from_slice(&fs::read(home.path().join("ev.json")).unwrap()).unwrap();
    let named: Vec<&str> = manifest["files"][0]["contents"]
        .as_array()
        .unwrap()
        .iter()
        .map(|f| f["path"].as_str().unwrap())
        .collect();
    assert_eq!(named, files.0.keys().map(String::as_str).collect::<Vec<_>>());

    let check = |dir: &str| verify(home.path(), &[dir, "--check-manifest", "ev.json"]);
    let outcome = |answer: &Value| answer["files"][0]["levels"][1]["outcome"].as_str().unwrap().to_owned();
    let (code, answer) = check("m1");
    assert_eq!((code, outcome(&answer)), (0, "passed".to_owned()), "{answer:#}");
    assert!(answer["files"][0]["levels"][1]["detail"].as_str().unwrap().contains("SHA-256 of 4 files"));
    // Wherever the copy is.
    fs::create_dir(home.path().join("elsewhere")).unwrap();
    files.write(&home.path().join("elsewhere/m1"));
    assert_eq!(check("elsewhere/m1").0, 0);

    let snap = files.0.keys().find(|name| name.ends_with(".snap")).unwrap().clone();
    let whole = fs::read(at(&wal)).unwrap();
    // Past the end of the records nothing but the manifest knows what was there.
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() = 1;
    let mut longer = whole.clone();
    longer.extend([0; 8]);
    for (path, bytes, what) in [
        (&wal, Some(changed), "the SHA-256 is "),
        (&wal, Some(longer), "the length is "),
        (&snap, None, "is in the manifest, and not there"),
        (&"member/snap/new".to_owned(), Some(vec![1]), "is there, and not in the manifest"),
        (
            &"member/snap/db".to_owned(),
            Some([Member::good().buckets.bare().bytes, vec![0; 4096]].concat()),
            "the length is",
        ),
    ] {
        let before = fs::read(at(path)).ok();
        match &bytes {
            Some(bytes) => fs::write(at(path), bytes).unwrap(),
            None => fs::remove_file(at(path)).unwrap(),
        }
        let (code, answer) = check("m1");
        let found = answer["files"][0]["findings"].as_array().unwrap();
        let found = found.iter().filter(|f| f["code"] == "manifest-mismatch").collect::<Vec<_>>();
        assert_eq!((code, outcome(&answer), found.len()), (1, "failed".to_owned(), 1), "{path}: {answer:#}");
        assert!(found[0]["file"].as_str().unwrap().ends_with(path.as_str()), "{path}: {answer:#}");
        assert!(found[0]["detail"].as_str().unwrap().contains(what), "{path}: {answer:#}");
        match before {
            Some(before) => fs::write(at(path), before).unwrap(),
            None => fs::remove_file(at(path)).unwrap(),
        }
    }
    assert_eq!(check("m1").0, 0);
    // One that an older coldbolt made says nothing about the others.
    let mut old = manifest.clone();
    old["files"][0].as_object_mut().unwrap().remove("contents");
    fs::write(home.path().join("ev.json"), old.to_string()).unwrap();
    let (code, answer) = check("m1");
    assert_eq!((code, outcome(&answer)), (4, "inconclusive".to_owned()));
    assert!(answer.to_string().contains("names its database only"));
}

#[test]
fn the_manifest_that_copy_wrote_is_what_verify_compares_with() {
    let home = tempfile::tempdir().unwrap();
    let input = Input::new(unpack("3.6.14", "cold", home.path()));
    let copy =
        |to: &str, manifest: &str| coldbolt_in(home.path(), ["copy", "cold", to, "--manifest", manifest]);
    copy("copy.db", "x.json").says(0, &[]);
    coldbolt_in(home.path(), ["verify", "copy.db", "--check-manifest", "x.json"])
        .shows(0, &["length, SHA-256, CRC-32, CRC-32C, payload SHA-256 against x.json"]);
    // Beside it, it is found by itself; on a stream too.
    let sh = format!(
        "{} copy cold - --manifest s.json > s.db && {0} verify - --check-manifest s.json < s.db",
        support::binary().display()
    );
    let mut piped = std::process::Command::new("sh");
    piped.args(["-c", &sh]).current_dir(home.path());
    support::run::run(piped).shows(0, &["payload SHA-256 against s.json"]);
    // Evidence replaces none.
    copy("again.db", "x.json").says(1, &["x.json"]);
    let other = Backup { member: "another", ..Backup::of(3) };
    other.write(&home.path().join("copy.db"));
    coldbolt_in(home.path(), ["verify", "copy.db", "--check-manifest", "x.json"])
        .says(1, &["[manifest-mismatch]"]);
    input.unchanged();
}
