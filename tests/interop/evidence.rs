//! The manifest of a case signed by a key that the real minisign closed with a password, and checked by it.

use std::fs;
use std::process::Command;

use support::{coldbolt_in, fixture};

#[test]
fn what_is_signed_here_is_good_for_minisign_and_what_is_changed_is_not() {
    let there = Command::new("minisign").arg("-v").output().is_ok();
    let required = std::env::var_os("COLDBOLT_INTEROP").is_some_and(|set| set == "required");
    assert!(there || !required, "minisign is not there");
    if !there {
        println!("skipped: no minisign");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| fixture(name).to_str().unwrap().to_owned();
    fs::write(dir.path().join("password"), "a password\n").unwrap();
    let (file, key) = (path("small-3.5.1/snapshot.db"), path("minisign/closed.key"));
    let args = ["evidence", &file, "-o", "case", "--sign", &key, "--sign-password-file", "password"];
    coldbolt_in(dir.path(), args).says(0, &[]);
    let public = path("minisign/closed.pub");
    let minisign = || {
        let args = ["-V", "-q", "-m", "case/manifest.json", "-p", &public];
        Command::new("minisign").args(args).current_dir(dir.path()).status().unwrap().success()
    };
    assert!(minisign());
    // And the other way round.
    coldbolt_in(dir.path(), ["evidence", "--check", "case", "--public-key", &public]).says(0, &[]);
    let manifest = dir.path().join("case/manifest.json");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&manifest, text + " ").unwrap();
    assert!(!minisign());
    coldbolt_in(dir.path(), ["evidence", "--check", "case", "--public-key", &public]).says(1, &[]);
}
