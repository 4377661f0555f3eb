//! `bolt surgery`: each change by hand, what is refused, and what stays as it is.

use std::fs;
use std::ops::Range;
use std::path::Path;

use coldbolt::bolt::{Db, Freelist};
use coldbolt::io::Source;
use serde_json::Value;
use support::image::Image;
use support::{Input, Run, coldbolt_in, fixture};

fn input(dir: &Path, change: impl FnOnce(&mut Image)) -> (Input, Image) {
    let mut image = Image::snapshot(fs::read(fixture("etcd-3.5.1/snapshot.db")).unwrap());
    change(&mut image);
    let path = dir.join("a.db");
    fs::write(&path, &image.bytes).unwrap();
    (Input::new(path), image)
}

fn surgery(dir: &Path, words: &[&str]) -> Run {
    coldbolt_in(dir, [&["bolt", "surgery"], words].concat())
}

fn verdict(dir: &Path, name: &str) -> Value {
    coldbolt_in(dir, ["verify", name, "-w", "json"]).json()["files"][0]["verdict"].clone()
}

#[test]
fn what_is_made_of_a_good_file_is_a_good_file_with_a_right_trailer() {
    for words in [
        &["revert-meta-page"][..],
        &["freelist-abandon"],
        &["freelist-rebuild"],
        &["set-consistent-index", "99", "--term", "4"],
        &["drop-bucket", "lease"],
        &["fix-trailer"],
        &["meta-update", "--meta-page", "1"],
    ] {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = input(dir.path(), |_| {});
        let dry = surgery(dir.path(), &[words, &["a.db", "--dry-run"]].concat());
        assert_eq!(dry.code, 0, "{dry}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        let run = surgery(dir.path(), &[words, &["a.db", "-o", "b.db"]].concat());
        assert_eq!(run.code, 0, "{run}");
        // The same is told of what is done as of what would be.
        let edits = |run: &Run| run.text().lines().filter(|l| l.starts_with("byte")).count();
        assert_eq!(edits(&run), edits(&dry));
        assert_eq!(verdict(dir.path(), "b.db"), "good", "{words:?}");
        file.unchanged();
    }
}

#[test]
fn the_free_pages_that_are_stored_are_those_that_no_tree_holds() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), |_| {});
    assert_eq!(surgery(dir.path(), &["freelist-rebuild", "a.db", "-o", "b.db"]).code, 0);
    let source = Source::open(&dir.path().join("b.db")).unwrap();
    let db = Db::open(&source).unwrap();
    let list = Freelist::read(&db).unwrap().unwrap();
    let pages = coldbolt_in(dir.path(), ["bolt", "pages", "a.db", "-w", "json"]).json();
    let free = pages["pages"].as_array().unwrap().iter().filter(|page| page["type"] == "free");
    let due: usize = free.map(|page| page["overflow"].as_u64().map_or(1, |n| 1 + n as usize)).sum();
    assert!(due > 0 && list.ids.len() == due, "{} {due}", list.ids.len());
    let again = surgery(dir.path(), &["freelist-rebuild", "b.db", "--dry-run"]);
    assert_eq!(again.code, 1, "{again}");
    assert!(again.err.contains("a freelist is stored, at page "), "{again}");
}

#[test]
fn a_meta_page_that_is_broken_is_made_one_again() {
    let dir = tempfile::tempdir().unwrap();
    let (_, image) = input(dir.path(), |image| {
        let root = image.root();
        // Both are gone: no magic, no checksum.
        for meta in [0, 1] {
            let at = meta * image.page(1);
            image.set(at + 16, &[0; 8]);
            image.set(at + 72, &[0; 8]);
        }
        assert_ne!(root, 0);
    });
    let run = surgery(dir.path(), &["meta-update", "--meta-page", "0", "a.db", "-o", "b.db"]);
    let made = fs::read(dir.path().join("b.db")).unwrap();
    assert!(run.text().contains("meta page 0: magic, version and checksum"), "{run}");
    let both = surgery(dir.path(), &["meta-update", "--meta-page", "1", "b.db", "-o", "c.db"]);
    assert_eq!(both.code, 0, "{both}");
    assert_eq!(made.len(), image.bytes.len());
    // The file did not look like one with a trailer while it had no meta page.
    assert_eq!(surgery(dir.path(), &["fix-trailer", "c.db", "-o", "d.db"]).code, 0);
    assert_eq!(verdict(dir.path(), "d.db"), "good");
}

#[test]
fn what_the_file_has_not_is_refused_with_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let (file, image) = input(dir.path(), |_| {});
    let leaf = image.leaves("key")[0].to_string();
    for (words, due) in [
        (
            &["clear-page-elements", "--page", &leaf, "--from-index", "0", "--to-index", "999"][..],
            "up to 999",
        ),
        (&["clear-page-elements", "--page", &leaf, "--from-index", "3", "--to-index", "3"], "3 up to 3"),
        (&["clear-page", "--page", "9999"], "page 9999"),
        (&["copy-page", "--from-page", &leaf, "--to-page", "99999"], "would end at byte"),
        (&["drop-bucket", "nosuch"], "there is no bucket \"nosuch\""),
    ] {
        let run = surgery(dir.path(), &[words, &["a.db", "-o", "b.db"]].concat());
        assert_eq!(run.code, 1, "{run}");
        assert!(run.err.contains("a.db") && run.err.contains(due), "{due}: {run}");
    }
    fs::write(dir.path().join("there.db"), "x").unwrap();
    let there = surgery(dir.path(), &["fix-trailer", "a.db", "-o", "there.db"]);
    assert_eq!(there.code, 1, "{there}");
    assert_eq!(surgery(dir.path(), &["fix-trailer", "nosuch.db", "-o", "b.db"]).code, 3);
    let text = surgery(dir.path(), &["freelist-abandon", "there.db", "-o", "b.db"]);
    assert_eq!(text.code, 3, "{text}");
    assert_eq!(surgery(dir.path(), &["fix-trailer", "a.db"]).code, 2);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    file.unchanged();
}

#[test]
fn elements_that_go_are_gone_and_the_others_are_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let (_, image) = input(dir.path(), |_| {});
    let leaf = image.leaves("key")[0];
    let page = leaf.to_string();
    let words = ["clear-page-elements", "--page", &page, "--from-index", "1", "--to-index", "3"];
    let run = surgery(dir.path(), &[&words[..], &["a.db", "-o", "b.db", "-w", "json"]].concat());
    let after = Image::snapshot(fs::read(dir.path().join("b.db")).unwrap());
    let contents = |image: &Image| -> Vec<(Vec<u8>, Vec<u8>)> {
        let bytes = |at: Range<usize>| image.bytes[at].to_vec();
        image.elements(leaf).into_iter().map(|e| (bytes(e.key), bytes(e.value))).collect()
    };
    let mut due = contents(&image);
    due.drain(1..3);
    assert_eq!(contents(&after), due);
    assert_eq!(run.json()["edits"].as_array().unwrap().len(), 1);
    assert_eq!(after.bytes.len(), image.bytes.len());
}

#[test]
fn what_was_wrong_with_the_source_is_said_of_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let (_, image) = input(dir.path(), |_| {});
    let mut bytes = image.bytes.clone();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(dir.path().join("wrong.db"), &bytes).unwrap();
    let wrong = surgery(dir.path(), &["freelist-abandon", "wrong.db", "--dry-run"]);
    assert!(wrong.text().contains("note: the SHA-256 at the end of the source is "), "{wrong}");
    let good = surgery(dir.path(), &["freelist-abandon", "a.db", "--dry-run"]);
    assert!(!good.text().contains("note:"), "{good}");
    bytes = image.bytes[..image.payload()].to_vec();
    bytes.extend([7; 5000]);
    fs::write(dir.path().join("long.db"), &bytes).unwrap();
    let long = surgery(dir.path(), &["fix-trailer", "long.db", "--dry-run"]);
    assert!(
        long.text().contains("note: 5000 bytes behind the database of the source are left off"),
        "{long}"
    );
}

#[test]
fn free_pages_are_not_listed_of_a_file_that_lacks_most_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    input(dir.path(), |image| {
        image.set_metas(56, 100_000_000);
        image.seal();
    });
    let run = surgery(dir.path(), &["freelist-rebuild", "a.db", "--dry-run"]);
    assert!(run.code == 1 && run.err.contains("a.db"), "{run}");
}
