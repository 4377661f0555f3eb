//! A full snapshot of etcd-backup-restore and its increments, as one of a real etcd (`fixtures/etcdbr`).

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use coldbolt::codec::checksum::sha256;
use coldbolt::etcd::etcdbr::{BackupName, Packing};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::{Value, json};
use tempfile::TempDir;

use support::{Input, Run, coldbolt, fixture};

/// A directory, and one in it for a chain.
fn dirs() -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("v2");
    fs::create_dir(&store).unwrap();
    (dir, store)
}

/// The files of the chain in a new directory, in their order.
pub fn chain(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(fixture("etcdbr"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| BackupName::parse(path.file_name().unwrap()).is_some())
        .map(|path| {
            let to = dir.join(path.file_name().unwrap());
            fs::copy(path, &to).unwrap();
            to
        })
        .collect();
    files.sort();
    assert_eq!(files.len(), 5);
    files
}

fn recorded() -> Vec<(i64, u32)> {
    let text = fs::read_to_string(fixture("etcdbr/hashkv.txt")).unwrap();
    let numbers = text.lines().map(|line| line.split_once(' ').unwrap());
    numbers.map(|(revision, hash)| (revision.parse().unwrap(), hash.parse().unwrap())).collect()
}

fn ask(input: &Input, args: &[&str]) -> Run {
    let run = coldbolt(args);
    input.unchanged();
    run
}

/// An increment of these events: revision, key, and value unless it is deleted.
fn increment(changes: &[(i64, &str, Option<&str>)]) -> Vec<u8> {
    use base64::Engine;
    let text = |text: &str| base64::prelude::BASE64_STANDARD.encode(text);
    let event = |(revision, key, value): &(i64, &str, Option<&str>)| match value {
        None => {
            json!({"etcdEvent": {"type": 1, "kv": {"key": text(key), "mod_revision": revision}}, "time": ""})
        }
        Some(value) => json!({"etcdEvent": {"kv": {
            "key": text(key), "create_revision": revision, "mod_revision": revision, "version": 1, "value": text(value)
        }}, "time": ""}),
    };
    let mut bytes = serde_json::to_vec(&changes.iter().map(event).collect::<Vec<_>>()).unwrap();
    bytes.extend(sha256(&bytes));
    bytes
}

#[test]
fn at_every_revision_it_hashes_as_the_real_etcd_did() {
    let (dir, store) = dirs();
    chain(&store);
    let (input, path) = (Input::new(&store), store.to_str().unwrap());
    assert_eq!(recorded().len(), 5);
    for (revision, hash) in recorded() {
        let out = dir.path().join(format!("at-{revision}.db"));
        let copy = ask(
            &input,
            &["copy", path, out.to_str().unwrap(), "--to-revision", &revision.to_string(), "-w", "json"],
        );
        assert_eq!(
            (copy.code, &copy.json()["hashkv"], &copy.json()["revision"]),
            (0, &json!(hash), &json!(revision))
        );
        coldbolt(["verify", out.to_str().unwrap()]).shows(0, &["good at levels"]);
    }
    // To its end without being asked, and every reading command with it.
    let range: Value = serde_json::from_slice(&fs::read(fixture("etcdbr/range.json")).unwrap()).unwrap();
    let run = ask(&input, &["get", path, "", "--prefix", "-w", "json"]);
    assert_eq!((run.code, &run.json()["kvs"]), (0, &range["kvs"]));
    ask(&input, &["get", path, "/a/4", "--rev", "9"]).shows(0, &["first 4"]);
    ask(&input, &["history", path, "/a/4"]).shows(0, &["15"]);
    ask(&input, &["inspect", path]).shows(
        0,
        &["a full snapshot of etcd-backup-restore with 4 increments, 13 changes, revisions 7 to 17"],
    );
}

#[test]
fn whatever_the_full_snapshot_is_packed_in() {
    let (dir, store) = dirs();
    let files = chain(&store);
    let out = dir.path().join("full.db");
    let at = ["copy", store.to_str().unwrap(), out.to_str().unwrap(), "--to-revision", "7"];
    coldbolt(at).good();
    let plain = fs::read(&out).unwrap();
    fs::remove_file(&out).unwrap();
    let packed = |end: &str| -> Vec<u8> {
        match end {
            ".gz" => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                packer.write_all(&plain).unwrap();
                packer.finish().unwrap()
            }
            ".zlib" => {
                let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
                packer.write_all(&plain).unwrap();
                packer.finish().unwrap()
            }
            _ => plain.clone(),
        }
    };
    for end in ["", ".gz", ".zlib", ".gz.final"] {
        let full = files[0].to_str().unwrap().replace(".Z", end);
        fs::remove_file(&files[0]).ok();
        fs::write(&full, packed(end.trim_end_matches(".final"))).unwrap();
        let run = coldbolt(["verify", store.to_str().unwrap()]);
        let hash = format!("HashKV {} at 17", recorded()[4].1);
        run.shows(0, &["4 increments, 13 changes, revisions 7 to 17", "SHA-256 of", &hash]);
        fs::remove_file(&full).unwrap();
    }
}

#[test]
fn an_increment_that_is_cut_or_changed_anywhere_is_told_and_what_is_before_it_can_be_had() {
    let (dir, store) = dirs();
    let files = chain(&store);
    let path = store.to_str().unwrap();
    for (n, file) in files.iter().enumerate().skip(1) {
        let good = fs::read(file).unwrap();
        // The revision before it.
        let before = BackupName::parse(file.file_name().unwrap()).unwrap().first - 1;
        let step = (good.len() / 20).max(1);
        let cut = (0..good.len()).step_by(step).map(|len| good[..len].to_vec());
        let changed = (0..good.len()).step_by(step).map(|at| {
            let mut bytes = good.clone();
            bytes[at] ^= 0x20;
            bytes
        });
        let mut told = 0;
        for bytes in cut.chain(changed) {
            fs::write(file, &bytes).unwrap();
            let run = coldbolt(["verify", path]);
            // A gzip header has bytes that mean nothing.
            assert!(run.code == 1 && run.text().contains("increment-invalid") || run.code == 0, "{n}: {run}");
            told += usize::from(run.code == 1);
        }
        assert!(told >= 38, "{told}");
        let out = dir.path().join(format!("before-{n}"));
        let out = out.to_str().unwrap();
        fs::write(file, &good[..good.len() / 2]).unwrap();
        coldbolt(["copy", path, out]).says(1, &["Error: ", file.file_name().unwrap().to_str().unwrap()]);
        assert!(!Path::new(out).exists());
        coldbolt(["copy", path, out, "--to-revision", &before.to_string()]).shows(0, &["copy "]);
        fs::remove_file(out).unwrap();
        fs::write(file, &good).unwrap();
    }
}

#[test]
fn what_is_missing_or_named_otherwise_is_told() {
    let (dir, store) = dirs();
    let files = chain(&store);
    let path = store.to_str().unwrap();
    let away = dir.path().join("away");
    fs::rename(&files[2], &away).unwrap();
    coldbolt(["verify", path]).shows(1, &["increment-gap (1)"]);
    let out = dir.path().join("out.db");
    let out = out.to_str().unwrap();
    coldbolt(["copy", path, out]).says(1, &["goes on with revision 15", "ends with 11"]);
    fs::rename(&away, &files[2]).unwrap();
    // Renamed: the revisions in it count.
    let name = files[4].to_str().unwrap().replace("00000017-00000017", "00000017-00000019");
    fs::rename(&files[4], &name).unwrap();
    coldbolt(["verify", path]).shows(1, &["increment-gap (1)"]);
    coldbolt(["copy", path, out]).says(1, &["it ends at revision 17, its name says 19"]);
    fs::rename(&name, &files[4]).unwrap();
    coldbolt(["copy", path, out, "--to-revision", "18"]).says(1, &["ends at revision 17, before 18"]);
    coldbolt(["copy", path, out, "--to-revision", "3"])
        .says(1, &["is at revision 7", "`coldbolt replay PATH --base OLDER`"]);
    // Increments alone.
    fs::remove_file(&files[0]).unwrap();
    coldbolt(["copy", path, out]).says(3, &["0 full snapshots and 4 increments"]);
    coldbolt(["verify", path]).says(3, &["holds changes since a full snapshot", "that is not here"]);
    assert!(!Path::new(out).exists());
}

#[test]
fn changes_that_the_full_snapshot_has_already_are_passed_over_and_no_others() {
    let (dir, store) = dirs();
    let files = chain(&store);
    files[1..].iter().for_each(|file| fs::remove_file(file).unwrap());
    let path = store.to_str().unwrap();
    let put = |name: &str, bytes: Vec<u8>| {
        let file = store.join(name);
        fs::write(&file, bytes).unwrap();
        file
    };
    // etcd-backup-restore issue 844: the name of a full snapshot may be behind what is in it.
    let full = files[0].to_str().unwrap().replace("00000007", "00000005");
    fs::rename(&files[0], full).unwrap();
    let first = put(
        "Incr-00000006-00000008-1795969999",
        increment(&[(6, "/a/5", Some("x")), (7, "/x", None), (8, "/new", Some("new"))]),
    );
    coldbolt(["verify", path])
        .shows(0, &["1 increments, 1 changes, revisions 7 to 8; 2 more are in the full snapshot already"]);
    coldbolt(["get", path, "/new"]).shows(0, &["new"]);
    put(
        "Incr-00000009-00000010-1795970000",
        increment(&[(9, "/b", Some("b")), (8, "/c", Some("c")), (10, "/d", None)]),
    );
    coldbolt(["verify", path]).shows(1, &["increment-invalid"]);
    put("Incr-00000009-00000010-1795970000", increment(&[(9, "", Some("b"))]));
    coldbolt(["verify", path]).shows(1, &["increment-invalid"]);
    // A chain ends where the next full snapshot begins.
    fs::remove_file(store.join("Incr-00000009-00000010-1795970000")).unwrap();
    let next = dir.path().join("next.db");
    coldbolt(["copy", path, next.to_str().unwrap()]).good();
    fs::rename(next, store.join("Full-00000000-00000008-1795970100")).unwrap();
    put("Incr-00000009-00000009-1795970200", increment(&[(9, "/new", None)]));
    coldbolt(["verify", path]).shows(0, &["2 good, 0 bad", "1 increments, 1 changes, revisions 8 to 9"]);
    coldbolt(["get", path, "/new"]).says(1, &[]);
    assert!(first.exists());
}

#[test]
fn an_increment_that_holds_less_than_it_says_is_no_good_one() {
    let (_dir, store) = dirs();
    let files = chain(&store);
    let path = store.to_str().unwrap();
    for (name, changes) in [
        ("Incr-00000018-00000018-1795969999", &[][..]),
        ("Incr-00000018-00000030-1795969999", &[(18, "/a", Some("x"))]),
        ("Incr-00000018-00000018-1795969999", &[(-8, "/a", Some("x"))]),
    ] {
        let file = store.join(name);
        fs::write(&file, increment(changes)).unwrap();
        coldbolt(["verify", path]).shows(1, &["increment-"]);
        fs::remove_file(&file).unwrap();
    }
    assert_eq!(files.len(), 5);
    coldbolt(["verify", path]).shows(0, &["1 good"]);
}

#[test]
fn a_chain_in_an_archive_is_found_and_verified_there() {
    let (dir, store) = dirs();
    chain(&store);
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("backups/v2", &store).unwrap();
    let archive = dir.path().join("chain.tar");
    fs::write(&archive, tar.into_inner().unwrap()).unwrap();
    let (archive, inside) = (archive.to_str().unwrap(), format!("{}:backups/v2", archive.display()));
    for path in [archive, &inside] {
        coldbolt(["verify", path]).shows(0, &["4 increments, 13 changes, revisions 7 to 17"]);
        coldbolt(["get", path, "/a/4"]).shows(0, &["again"]);
        let out = dir.path().join("out.db");
        coldbolt(["copy", path, out.to_str().unwrap(), "--to-revision", "12"]).shows(0, &["revision     12"]);
        fs::remove_file(out).unwrap();
    }
}

#[test]
fn of_several_full_snapshots_in_an_archive_each_is_judged_and_what_follows_none_is_told() {
    let (dir, store) = dirs();
    chain(&store);
    // One that is older, with an increment before it.
    fs::copy(fixture("small-3.5.1/snapshot.db"), store.join("Full-00000000-00000041-1795960000")).unwrap();
    fs::write(store.join("Incr-00000001-00000002-1795950000"), increment(&[(1, "/a", None)])).unwrap();
    let mut tar = tar::Builder::new(Vec::new());
    tar.append_dir_all("v2", &store).unwrap();
    let archive = dir.path().join("chain.tar");
    fs::write(&archive, tar.into_inner().unwrap()).unwrap();
    for path in [archive.to_str().unwrap(), store.to_str().unwrap()] {
        let run = coldbolt(["verify", path]);
        run.shows(3, &["2 good, 0 bad, 0 inconclusive, 1 unreadable", "4 increments, 13 changes"]);
        run.says(3, &["Incr-00000001-00000002-1795950000: holds changes since a full snapshot"]);
    }
}

#[test]
fn a_full_snapshot_by_itself_is_read_however_it_is_packed() {
    let (dir, store) = dirs();
    let files = chain(&store);
    let out = dir.path().join("full.db");
    coldbolt(["copy", store.to_str().unwrap(), out.to_str().unwrap(), "--to-revision", "7"]).good();
    // As it was before it was packed.
    let mut plain = Vec::new();
    let packed = fs::File::open(&files[0]).unwrap();
    std::io::Read::read_to_end(&mut Packing::Lzw.unpack(packed), &mut plain).unwrap();
    fs::write(&out, &plain).unwrap();
    let due = coldbolt(["status", out.to_str().unwrap()]).good().to_owned();
    let hash = coldbolt(["hashkv", out.to_str().unwrap()]).good().to_owned();
    let alone = dir.path().join("alone");
    fs::create_dir(&alone).unwrap();
    let zlib = {
        let mut packer = ZlibEncoder::new(Vec::new(), Compression::default());
        packer.write_all(&plain).unwrap();
        packer.finish().unwrap()
    };
    let lzw = fs::read(&files[0]).unwrap();
    let name = "Full-00000000-00000007-1795968000";
    for (bytes, end, what) in [(&lzw, ".Z", "LZW"), (&zlib, ".zlib", "zlib"), (&zlib, "", "zlib")] {
        let input = Input::write(&alone, &format!("{name}{end}"), bytes);
        ask(&input, &["status", input.name()]).shows(0, &[&due]);
        ask(&input, &["hashkv", input.name()]).shows(0, &[&hash]);
        ask(&input, &["inspect", input.name()]).shows(0, &[what]);
        ask(&input, &["verify", input.name()]).shows(0, &["good at levels", what]);
        ask(&input, &["get", input.name(), "/a/4"]).shows(0, &[]);
        let (copy, data) = (dir.path().join("copy.db"), dir.path().join("data"));
        ask(&input, &["copy", input.name(), copy.to_str().unwrap()]).says(0, &[]);
        ask(&input, &["restore", input.name(), "--data-dir", data.to_str().unwrap()]).says(0, &[]);
        fs::remove_file(copy).unwrap();
        fs::remove_dir_all(data).unwrap();
        // Cut, or with something behind it, it is damaged.
        for bad in [
            bytes[..bytes.len() / 2].to_vec(),
            bytes[..bytes.len() - 1].to_vec(),
            [bytes, &[7; 4096][..]].concat(),
        ] {
            let bad = Input::write(&alone, "bad", &bad);
            coldbolt(["status", bad.name()]).says(1, &[what]);
        }
        fs::remove_file(&input.path).unwrap();
    }
}

#[test]
fn what_is_no_snapshot_by_itself_is_called_what_it_is_and_the_way_is_told() {
    let (dir, store) = dirs();
    let (files, new) = (chain(&store), dir.path().join("new"));
    let (new, copy) = (new.to_str().unwrap(), "`coldbolt copy DIR -o NEW.db` makes one snapshot file");
    for file in &files[1..] {
        let path = file.to_str().unwrap();
        for args in [
            &["status", path][..],
            &["hashkv", path],
            &["verify", path],
            &["inspect", path],
            &["get", path, "/a/4"],
            &["copy", path, new],
            &["restore", path, "--data-dir", new],
        ] {
            coldbolt(args).says(3, &["changes since a full snapshot of etcd-backup-restore", copy]);
        }
    }
    let path = store.to_str().unwrap();
    let restore = coldbolt(["restore", path, "--data-dir", new]);
    restore.says(3, &["backups of etcd-backup-restore: 1 full snapshots and 4 increments", copy]);
    // All of a chain is one database.
    coldbolt(["hashkv", path]).shows(0, &["1163466683, 17, -1"]);
    coldbolt(["status", path]).shows(0, &[", 17, 7, "]);
}

#[test]
fn a_chain_that_was_closed_with_age_is_one_to_who_has_the_key() {
    let (dir, store) = dirs();
    let keys = support::age::KeyFiles::write(dir.path());
    for file in chain(&store) {
        let closed = format!("{}.age", file.display());
        coldbolt(["encrypt", file.to_str().unwrap(), "-o", &closed, "--to", &keys.of("recipients")])
            .says(0, &[]);
        fs::remove_file(file).unwrap();
    }
    let (input, path, key) = (Input::new(&store), store.to_str().unwrap(), keys.of("key"));
    let with = ["--age-identity", &key];
    ask(&input, &[&["verify", path][..], &with].concat())
        .shows(0, &["4 increments, 13 changes, revisions 7 to 17"]);
    ask(&input, &[&["get", path, "/a/4"][..], &with].concat()).shows(0, &["again"]);
    for command in ["verify", "inspect"] {
        ask(&input, &[command, path]).says(3, &["age-encrypted", "--age-identity"]);
    }
}
