//! `evidence`: a case holds what every command says of a file, and proves that the file is as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;
use support::packed::snapshot;
use support::{Input, coldbolt, coldbolt_in, fixture};

fn manifest(case: &Path) -> Value {
    serde_json::from_slice(&fs::read(case.join("manifest.json")).unwrap()).unwrap()
}

#[test]
fn a_case_holds_what_the_commands_say_and_checks_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let run = coldbolt_in(dir.path(), ["evidence", input.name(), "-o", "case", "-w", "json"]);
    assert_eq!(run.code, 0, "{run}");
    let case = dir.path().join("case");
    let manifest = manifest(&case);
    assert_eq!(run.json()["manifest"], manifest);
    for step in manifest["steps"].as_array().unwrap() {
        let arguments = step["arguments"].as_array().unwrap().iter().map(|word| word.as_str().unwrap());
        let again = coldbolt(arguments.collect::<Vec<_>>());
        assert_eq!(step["exit_code"], again.code, "{step}");
        let answer = case.join(step["answer"].as_str().unwrap());
        assert!(fs::read(&answer).unwrap() == again.out, "{step}");
        assert_eq!(answer.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    }
    let answers = manifest["files"].as_array().unwrap().iter().filter(|file| file["size"] != 0);
    assert!(answers.count() > 8, "{manifest}");
    let file = &manifest["inputs"][0]["before"][0];
    assert_eq!(file["size"], input.path.metadata().unwrap().len());
    assert_eq!(manifest["inputs"][0]["changed"], Value::Array(vec![]));
    let check = coldbolt_in(dir.path(), ["evidence", "--check", "case", input.name(), "-w", "json"]);
    assert_eq!(check.code, 0, "{check}");
    assert_eq!(check.json()["check"]["manifest_sha256"], run.json()["manifest_sha256"]);
    assert_eq!(check.json()["check"]["input_files"], 1);
    input.unchanged();
}

#[test]
fn what_is_not_as_the_manifest_says_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    assert_eq!(coldbolt_in(dir.path(), ["evidence", input.name(), "-o", "case"]).code, 0);
    let case = dir.path().join("case");
    let check = |due: &str| {
        let run = coldbolt_in(dir.path(), ["evidence", "--check", "case", input.name()]);
        assert_eq!(run.code, i32::from(!due.is_empty()), "{run}");
        assert!(run.text().contains(due), "{due}: {run}");
    };
    check("");
    let path = case.join("verify.json");
    let old = fs::read(&path).unwrap();
    let mut bytes = old.clone();
    bytes[10] ^= 1;
    fs::write(&path, &bytes).unwrap();
    check("verify.json: the SHA-256 was ");
    fs::write(&path, &bytes[1..]).unwrap();
    check("verify.json: the length was ");
    fs::remove_file(&path).unwrap();
    check("verify.json: is not there");
    fs::write(&path, old).unwrap();
    fs::write(case.join("planted.txt"), "x").unwrap();
    check("planted.txt: is new");
    fs::remove_file(case.join("planted.txt")).unwrap();
    check("");
    let (place, elsewhere) = (case.join("verify.txt"), dir.path().join("elsewhere"));
    fs::rename(&place, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &place).unwrap();
    check("verify.txt: is no file of its own");
    fs::remove_file(&place).unwrap();
    fs::rename(&elsewhere, &place).unwrap();
    check("");
    let two = ["evidence", "--check", "case", input.name(), "--against", input.name()];
    let two = coldbolt_in(dir.path(), two);
    assert!(two.code == 3 && two.err.contains("is of 1 inputs, 2 are to be compared"), "{two}");
    let mut bytes = fs::read(&input.path).unwrap();
    bytes[100] ^= 1;
    fs::write(&input.path, bytes).unwrap();
    check("NOT as it was");
}

#[test]
fn of_two_files_the_case_holds_what_changed_between_them() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let older = dir.path().join("older.db");
    fs::copy(&input.path, &older).unwrap();
    let arguments = ["evidence", input.name(), "--against", "older.db", "-o", "case"];
    let run = coldbolt_in(dir.path(), arguments);
    assert_eq!(run.code, 0, "{run}");
    let manifest = manifest(&dir.path().join("case"));
    assert_eq!(manifest["inputs"].as_array().unwrap().len(), 2);
    let answers = manifest["steps"].as_array().unwrap().iter().map(|step| step["answer"].as_str().unwrap());
    let answers: Vec<_> = answers.collect();
    for due in ["diff.ndjson", "kube-diff.ndjson", "kube-security-new.json"] {
        assert!(answers.contains(&due), "{answers:?}");
    }
}

#[test]
fn what_makes_no_case_is_refused_and_nothing_is_left() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let gone = coldbolt_in(dir.path(), ["evidence", "nosuch.db", "-o", "case"]);
    assert_eq!(gone.code, 3, "{gone}");
    let pipe = coldbolt_in(dir.path(), ["evidence", "-", "-o", "case"]);
    assert_eq!(pipe.code, 2, "{pipe}");
    fs::create_dir(dir.path().join("there")).unwrap();
    let there = coldbolt_in(dir.path(), ["evidence", input.name(), "-o", "there"]);
    assert_eq!(there.code, 1, "{there}");
    let none = coldbolt_in(dir.path(), ["evidence", "--check", "there"]);
    assert_eq!(none.code, 3, "{none}");
    fs::write(dir.path().join("there/manifest.json"), "{\"schema\": 1}").unwrap();
    let bad = coldbolt_in(dir.path(), ["evidence", "--check", "there"]);
    assert_eq!(bad.code, 3, "{bad}");
    assert!(bad.err.contains("is not the manifest of a case"), "{bad}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    fs::create_dir(dir.path().join("empty")).unwrap();
    let empty = coldbolt_in(dir.path(), ["evidence", "empty", "-o", "case"]);
    assert!(empty.code == 4 && empty.text().contains("unchanged, 0 files"), "{empty}");
    let check = coldbolt_in(dir.path(), ["evidence", "--check", "case", "empty"]);
    assert_eq!(check.code, 4, "{check}");
    let inside = coldbolt_in(dir.path(), ["evidence", "there", "-o", "there/case"]);
    assert_eq!(inside.code, 2, "{inside}");
    assert_eq!(fs::read_dir(dir.path().join("there")).unwrap().count(), 1);
    input.unchanged();
}

/// Somebody puts another file in its place for a moment, with its time.
#[test]
fn a_file_that_was_another_meanwhile_is_told() {
    use coldbolt::ops::evidence::{case_files, changes};
    use coldbolt::words::monitor::Quiet;
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("a.db");
    fs::write(&path, "one").unwrap();
    let modified = path.metadata().unwrap().modified().unwrap();
    let before = case_files(&path, &Quiet).unwrap();
    assert_eq!(before[0].file.path, "a.db");
    assert!(changes(&before, &case_files(&path, &Quiet).unwrap()).is_empty());
    fs::rename(&path, dir.path().join("kept")).unwrap();
    fs::write(&path, "two").unwrap();
    fs::rename(dir.path().join("kept"), &path).unwrap();
    assert_eq!(path.metadata().unwrap().modified().unwrap(), modified);
    let changes = changes(&before, &case_files(&path, &Quiet).unwrap());
    assert!(changes.len() == 1 && changes[0].how.contains("its name"), "{changes:?}");
}

#[test]
fn a_case_without_an_answer_is_of_what_could_not_be_read() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("notes.txt"), "none of etcd's").unwrap();
    let run = coldbolt_in(dir.path(), ["evidence", "notes.txt", "-o", "case"]);
    run.says(3, &["no command could read anything"]);
    let manifest = manifest(&dir.path().join("case"));
    assert!(manifest["steps"].as_array().unwrap().iter().all(|step| step["exit_code"] == 3), "{manifest:#}");
    assert_eq!(coldbolt_in(dir.path(), ["evidence", "--check", "case", "notes.txt"]).code, 0);
}

#[test]
fn a_damaged_file_makes_a_case_too() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    fs::write(dir.path().join("cut.db"), &bytes[..bytes.len() / 2]).unwrap();
    let run = coldbolt_in(dir.path(), ["evidence", "cut.db", "-o", "case"]);
    assert_eq!(run.code, 0, "{run}");
    let manifest = manifest(&dir.path().join("case"));
    let steps = manifest["steps"].as_array().unwrap();
    let verify = steps.iter().find(|step| step["answer"] == "verify.json").unwrap();
    assert_eq!(verify["exit_code"], 1);
    assert_eq!(coldbolt_in(dir.path(), ["evidence", "--check", "case", "cut.db"]).code, 0);
}

#[test]
fn a_signed_manifest_is_good_by_its_key_alone_and_as_it_was_signed() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let key = |name: &str| fixture(&format!("minisign/{name}")).to_str().unwrap().to_owned();
    let evidence = |more: &[&str]| coldbolt_in(dir.path(), [&["evidence"], more].concat());
    evidence(&[input.name(), "-o", "case", "--sign", &key("plain.key")]).says(0, &[]);
    let signature = dir.path().join("case/manifest.json.minisig");
    assert_eq!(signature.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let check = |public: &str| evidence(&["--check", "case", "--public-key", &key(public)]);
    let good = check("plain.pub");
    assert!(good.code == 0 && good.text().contains("signed by key 243D93D8E7E4ABC4"), "{good}");
    assert_eq!(check("closed.pub").code, 1);
    // Without a key a signature is no reason to call it signed.
    let unchecked = evidence(&["--check", "case"]);
    assert!(unchecked.code == 0 && unchecked.text().contains("not checked"), "{unchecked}");

    let path = dir.path().join("case/manifest.json");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"began\": \"2", "\"began\": \"1", 1)).unwrap();
    let forged = check("plain.pub");
    assert!(forged.code == 1 && forged.text().contains("NOT signed by this key"), "{forged}");
    fs::write(&path, text).unwrap();
    assert_eq!(check("plain.pub").code, 0);
    let signed = fs::read(&signature).unwrap();
    for wrong in
        [&b""[..], b"untrusted comment: x\nAAAA\n", &signed[..signed.len() / 2], &[0xff; 300], &[b'\n'; 100]]
    {
        fs::write(&signature, wrong).unwrap();
        let run = check("plain.pub");
        assert!(run.code == 1 && run.text().contains("NOT signed"), "{run}");
    }
    fs::remove_file(&signature).unwrap();
    let run = check("plain.pub");
    assert!(run.code == 1 && run.text().contains("is not there"), "{run}");
    input.unchanged();
}

#[test]
fn a_public_key_is_for_a_check_and_a_signature_is_a_file() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let public = fixture("minisign/plain.pub").to_str().unwrap().to_owned();
    let evidence = |args: &[&str]| coldbolt_in(dir.path(), [&["evidence"], args].concat());
    evidence(&[input.name(), "-o", "case", "--public-key", &public])
        .says(2, &["--public-key is for --check"]);
    assert!(!dir.path().join("case").exists());
    evidence(&[input.name(), "-o", "case"]).says(0, &[]);
    let made =
        std::process::Command::new("mkfifo").arg(dir.path().join("case/manifest.json.minisig")).status();
    assert!(made.unwrap().success());
    let run = evidence(&["--check", "case", "--public-key", &public]);
    assert!(run.code == 1 && run.text().contains("is no file of its own"), "{run}");
}

#[test]
fn a_key_that_does_not_open_is_told_before_the_work() {
    let dir = tempfile::tempdir().unwrap();
    let input = snapshot(dir.path(), "plain-1.37");
    let key = |name: &str| fixture(&format!("minisign/{name}")).to_str().unwrap().to_owned();
    for (file, says) in [
        (key("closed.key"), "is closed with a password: give it with --sign-password-file"),
        (key("plain.pub"), "is not a secret key of minisign"),
        (input.name().to_owned(), "no file of keys"),
        ("none.key".to_owned(), "No such file"),
    ] {
        let run = coldbolt_in(dir.path(), ["evidence", input.name(), "-o", "case", "--sign", &file]);
        assert!(run.code == 3 && run.err.contains(says), "{file}: {run}");
        assert!(!dir.path().join("case").exists());
    }
}
