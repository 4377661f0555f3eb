//! What people give us in place of a backup, or as one: each is called what it is.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};

use coldbolt::codec::checksum::sha256;
use serde_json::Value;
use support::backup::{Backup, verify};
use support::image::Image;
use support::member::Member;
use support::trio::{IDS, one};
use support::{Input, binary, coldbolt_in, fixture};

fn write(dir: &Path, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(dir.join(name), bytes).unwrap();
}

fn codes(answer: &Value) -> Vec<&str> {
    answer["files"][0]["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap()).collect()
}

#[test]
fn what_is_appended_to_a_snapshot_is_counted_and_its_sha_256_still_compared() {
    let dir = tempfile::tempdir().unwrap();
    let good = Backup::of(3).bytes();
    for (bytes, filler) in [(480, 0u8), (480, 7), (512, 0), (512, 9), (1, 1), (4096, 0)] {
        write(dir.path(), "padded.db", [good.clone(), vec![filler; bytes]].concat());
        let input = Input::new(dir.path().join("padded.db"));
        let (code, answer) = verify(dir.path(), &["padded.db"]);
        assert_eq!((code, codes(&answer)), (0, vec!["trailing-bytes"]), "{bytes} {filler}: {answer:#}");
        let file = &answer["files"][0];
        assert_eq!(
            (&file["levels"][1]["outcome"], &file["kind"]),
            (&"passed".into(), &"snapshot file".into())
        );
        let detail = file["findings"][0]["detail"].as_str().unwrap();
        assert!(detail.starts_with(&format!("{bytes} bytes are appended")), "{detail}");
        input.unchanged();
    }
    // What is not the SHA-256 of what is before it is none.
    let mut bad = [good.clone(), vec![0; 480]].concat();
    bad[good.len() - 1] ^= 1;
    write(dir.path(), "bad.db", bad);
    let (code, answer) = verify(dir.path(), &["bad.db"]);
    assert_eq!((code, codes(&answer)), (4, vec!["trailing-bytes", "trailer-absent"]), "{answer:#}");
}

#[test]
fn what_spoilt_a_backup_on_its_way_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    let crlf: Vec<u8> =
        good.iter().flat_map(|b| if *b == b'\n' { b"\r\n".to_vec() } else { vec![*b] }).collect();
    assert_ne!(crlf.len(), good.len());
    let utf16: Vec<u8> = [0xff, 0xfe].into_iter().chain(good.iter().flat_map(|b| [*b, 0])).collect();
    let line = b"Defaulted container \"etcd\" out of: etcd, sidecar\r\n";
    for (name, bytes, what) in [
        (
            "stdout",
            [&line[..], &good].concat(),
            format!("up to byte {0}, where an etcd snapshot", line.len()),
        ),
        ("stdout", [&line[..], &good].concat(), format!("`tail -c +{} FILE", line.len() + 1)),
        ("bom", [b"\xef\xbb\xbf", &good[..]].concat(), "up to byte 3, where an etcd snapshot".to_owned()),
        ("crlf", crlf, "every LF was made CR LF".to_owned()),
        ("utf16", utf16, "a text in UTF-16".to_owned()),
        ("openssl", [b"Salted__", &good[..]].concat(), "an OpenSSL-encrypted file".to_owned()),
        ("pgp", b"\x85\x02\x0c\x03abc".to_vec(), "a PGP-encrypted file".to_owned()),
        ("pgp.asc", b"-----BEGIN PGP MESSAGE-----\n".to_vec(), "a PGP-encrypted file".to_owned()),
    ] {
        write(dir.path(), name, bytes);
        for command in ["verify", "status", "inspect"] {
            let done = coldbolt_in(dir.path(), [command, name]);
            assert!(command == "inspect" || done.code == 3, "{done}");
            let told = format!("{}{}", done.err, String::from_utf8_lossy(&done.out));
            assert!(told.contains(&what) || command == "inspect" && what.starts_with('`'), "{what}: {done}");
        }
    }
    // As it says, so it is.
    write(dir.path(), "back", &fs::read(dir.path().join("stdout")).unwrap()[line.len()..]);
    coldbolt_in(dir.path(), ["verify", "back"]).says(0, &[]);
}

#[test]
fn of_another_programs_database_the_numbers_of_etcds_tools_are_printed_with_a_remark() {
    let file = fixture("bolt/nested-1024.db");
    let file = file.to_str().unwrap();
    for (args, due) in [
        (&["status", file, "--compat", "3.5"][..], "70228eee, 0, 37, 48 kB\n"),
        (&["status", file], "70228eee, 0, 0, 48 kB, \n"),
        (&["hashkv", file], "1084519789, 1, -1\n"),
    ] {
        let done = support::coldbolt(args);
        done.says(0, &["is a bbolt database, but not etcd's"]);
        assert_eq!(done.text(), due);
    }
    let etcds = fixture("etcd-3.6.14/snapshot.db");
    for command in ["status", "hashkv"] {
        support::coldbolt([command, etcds.to_str().unwrap()]).good();
    }
}

#[test]
fn a_file_cut_within_its_first_pages_has_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let good = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    for len in [20, 40, 79, 80, 100, 1000, 4095, 4096, 4100, 4176, 5000, 8191, 8192] {
        write(dir.path(), "cut.db", &good[..len]);
        let (code, answer) = verify(dir.path(), &["cut.db"]);
        assert_eq!((code, codes(&answer)), (1, vec!["file-too-short"]), "{len}: {answer:#}");
        let detail = answer["files"][0]["findings"][0]["detail"].as_str().unwrap();
        assert!(detail.contains(&len.to_string()) && !detail.contains("when it was opened"), "{detail}");
    }
}

#[test]
fn meta_pages_that_lead_astray_or_are_gone_are_one_finding() {
    let dir = tempfile::tempdir().unwrap();
    let pristine = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    let mut image = Image::snapshot(pristine.clone());
    let (top, leaf) = (image.top("key"), image.leaves("key")[0]);
    for page in [top, leaf] {
        image.set_metas(32, page);
        image.seal_metas();
        image.seal();
        write(dir.path(), "astray.db", &image.bytes);
        let (code, answer) = verify(dir.path(), &["astray.db"]);
        assert_eq!((code, codes(&answer)), (1, vec!["element-flags"]), "{answer:#}");
        let found = &answer["files"][0]["findings"][0];
        assert_eq!(found["at"]["page"].as_u64().or(found["page"].as_u64()), Some(page), "{found:#}");
        assert!(found["detail"].as_str().unwrap().contains("leads here as to the root"), "{found:#}");
    }
    let mut gone = pristine;
    gone[..8192].fill(0);
    write(dir.path(), "gone.db", gone);
    let (code, answer) = verify(dir.path(), &["gone.db"]);
    assert_eq!((code, codes(&answer)), (1, vec!["meta-invalid"]));
    assert!(answer.to_string().contains("pages of 4096 bytes carry their numbers: this was a database"));
    write(dir.path(), "noise", sha256(b"seed").repeat(4096));
    coldbolt_in(dir.path(), ["verify", "noise"]).says(3, &["is not an etcd snapshot or database"]);
}

/// The command at the end of a pipe from `sh -c FEED`.
fn fed(dir: &Path, feed: &str, args: &[&str]) -> support::Run {
    let mut command = Command::new("sh");
    command.args(["-c", &format!("({feed}) | \"$0\" \"$@\"")]).arg(binary()).args(args);
    command.current_dir(dir).env("TMPDIR", dir).stdin(Stdio::null());
    support::run::run(command)
}

#[test]
fn a_stream_without_end_is_judged_by_its_front_and_never_kept_whole() {
    let dir = tempfile::tempdir().unwrap();
    Backup::of(3).write(&dir.path().join("good.db"));
    // Each of these would go on for ever.
    fed(dir.path(), "yes", &["verify", "-"]).says(3, &["is a text file"]);
    fed(dir.path(), "cat /dev/zero", &["status", "-"]).says(3, &["is not an etcd snapshot"]);
    fed(dir.path(), "cat good.db; yes", &["verify", "-"]).says(3, &["goes on after", "its meta page"]);
    fed(dir.path(), "cat good.db; yes", &["verify", "-", "--max-input", "2M"])
        .says(3, &["goes on after 2097152 bytes", "--max-input"]);
    fed(dir.path(), "cat good.db", &["verify", "-", "--max-input", "100K"]).says(0, &[]);
    fed(dir.path(), "cat good.db", &["status", "-", "--max-input", "4K"])
        .says(3, &["goes on after 4096 bytes"]);
    fed(dir.path(), "true", &["status", "-", "--max-input", "4X"]).says(2, &["no unit"]);
}

#[test]
fn the_rest_of_a_segment_is_read_as_far_as_etcd_could_have_written_it() {
    let dir = tempfile::tempdir().unwrap();
    let files = Member::good().files();
    files.write(&dir.path().join("m"));
    let wal = dir.path().join("m").join(files.last_wal());
    let due = coldbolt_in(dir.path(), ["wal", "dump", "m"]).text().to_owned();
    File::options().write(true).open(&wal).unwrap().set_len(1 << 40).unwrap();
    for args in [&["wal", "dump", "m"][..], &["verify", "m"]] {
        let done = coldbolt_in(dir.path(), args);
        assert!(done.code == 0 && done.took.as_secs() < 60, "{done}");
    }
    assert_eq!(coldbolt_in(dir.path(), ["wal", "dump", "m"]).text(), due);
}

#[test]
fn a_log_of_more_segments_than_files_may_be_open_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut member = one(IDS[0], 24, 22);
    let last = member.segments.pop().unwrap();
    // Segments as a start of etcd leaves them, which hold nothing but the term.
    for sequence in 1..200 {
        member.segments.push(support::member::Segment {
            sequence,
            index: 15,
            node: last.node,
            records: vec![support::member::state(2, 14)],
        });
    }
    member.segments.push(support::member::Segment { sequence: 200, ..last });
    member.files().write(&dir.path().join("m"));
    for args in ["wal dump m", "verify m", "copy m out.db --etcd-version 3.6.14"] {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("ulimit -n 40 && exec \"$0\" {args}")]).arg(binary());
        command.current_dir(dir.path());
        support::run::run(command).says(0, &[]);
    }
}
