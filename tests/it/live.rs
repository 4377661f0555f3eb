//! Members that run, played by servers that are none or lie: what comes of it is a right file or none, in a time that
//! is known, and the exit code and the message say which.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

use support::fake_etcd::{Fake, Part, sent, something_else, status};
use support::{Input, Run, coldbolt, command, fixture, run};

/// A database as etcd sends it: a snapshot file without its trailer.
fn database() -> Vec<u8> {
    let file = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    file[..file.len() - 32].to_vec()
}

fn save(dir: &Path, endpoints: &str, more: &[&str]) -> Run {
    let out = dir.join("out.db");
    let args = ["save", "--endpoints", endpoints, "-o", out.to_str().unwrap(), "--timeout", "1"];
    coldbolt([&args, more].concat())
}

/// Nothing is there, whole or half.
#[track_caller]
fn nothing(dir: &Path) {
    let names: Vec<_> = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(names.is_empty(), "{names:?}");
}

#[test]
fn what_a_member_sends_is_the_file_that_etcdctl_would_have_saved() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Fake::new(sent(&database())).start();
    let run = save(dir.path(), &endpoint, &[]);
    run.shows(0, &["good at levels identity, bytes, pages, mvcc, restore", "the leader"]);
    let due = Input::new(fixture("etcd-3.6.14/snapshot.db"));
    assert!(fs::read(dir.path().join("out.db")).unwrap() == fs::read(&due.path).unwrap());
    save(dir.path(), &endpoint, &[]).says(1, &["exists already"]);
}

/// The one file of an ending in a directory.
fn ending(dir: &Path, end: &str) -> std::path::PathBuf {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<_> = all.filter(|path| path.to_str().unwrap().ends_with(end)).collect();
    assert_eq!(found.len(), 1, "{end}: {found:?}");
    found.pop().unwrap()
}

fn sha256(bytes: &[u8]) -> String {
    coldbolt::codec::checksum::hex(&coldbolt::codec::checksum::sha256(bytes))
}

#[test]
fn what_is_saved_compressed_unpacks_to_the_file_and_its_manifest_tells_of_both() {
    let due = fs::read(fixture("etcd-3.6.14/snapshot.db")).unwrap();
    let home = tempfile::tempdir().unwrap();
    let keys = support::age::KeyFiles::write(home.path());
    for (how, end, kind) in [("gzip", ".db.gz", "gzip"), ("zstd", ".db.zst", "zstd")] {
        let endpoint = Fake::new(sent(&database())).start();
        for closed in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let into = format!("{}/", dir.path().display());
            let mut args =
                vec!["save", "--endpoints", &endpoint, "-o", &into, "--compress", how, "-w", "json"];
            let recipients = keys.of("recipients");
            if closed {
                args.extend(["--encrypt-to", &recipients]);
            }
            let saved = coldbolt(args);
            assert_eq!(saved.code, 0, "{saved}");
            let end = if closed { format!("{end}.age") } else { end.to_owned() };
            let (file, manifest) = (ending(dir.path(), &end), ending(dir.path(), ".manifest.json"));
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
            let (name, bytes) = (file.to_str().unwrap(), fs::read(&file).unwrap());
            let written: serde_json::Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
            let entry = &written["files"][0];
            assert_eq!((&entry["size"], &entry["sha256"]), (&bytes.len().into(), &sha256(&bytes).into()));
            let content = serde_json::json!({
                "size": due.len(), "sha256": sha256(&due), "payload_sha256": sha256(&due[..due.len() - 32])
            });
            assert_eq!(entry["content"], content);
            assert_eq!(saved.json()["compressed"]["compression"], kind, "{saved}");
            let key = keys.of("key");
            let with = |args: &[&str]| {
                let key: &[&str] = if closed { &["--age-identity", &key] } else { &[] };
                coldbolt([args, key].concat())
            };
            let both = "length, SHA-256, CRC-32, CRC-32C, length and SHA-256 of what is in it against";
            with(&["verify", name]).shows(0, &[both, "manifest.json"]);
            with(&["status", name]).shows(
                0,
                &[coldbolt(["status", fixture("etcd-3.6.14/snapshot.db").to_str().unwrap()]).good()],
            );
            if closed {
                coldbolt(["verify", name]).shows(4, &["length, SHA-256, CRC-32, CRC-32C against"]);
                continue;
            }
            // Packed anew, what is in it is the same, and the file is another one.
            let again = if kind == "gzip" {
                let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
                packer.write_all(&due).unwrap();
                packer.finish().unwrap()
            } else {
                ruzstd::encoding::compress_to_vec(&*due, ruzstd::encoding::CompressionLevel::Uncompressed)
            };
            fs::write(&file, &again).unwrap();
            let run = coldbolt(["verify", name]);
            run.says(1, &["manifest-mismatch", &format!("the length is {}", again.len())]);
            assert!(!run.err.contains("of what is in it is"), "{run}");
        }
    }
}

#[test]
fn two_that_are_saved_within_a_second_have_names_of_their_own() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Fake::new(sent(&database())).start();
    let into = format!("{}/", dir.path().display());
    let save = |more: &[&str]| {
        coldbolt([&["save", "--endpoints", &endpoint, "-o", &into, "--compress", "gzip"], more].concat())
    };
    save(&[]).says(0, &[]);
    save(&[]).says(0, &[]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 4);
    // One in the clear is none of the same moment either.
    coldbolt(["save", "--endpoints", &endpoint, "-o", &into]).says(0, &[]);
    save(&["--keep-last", "1"]).shows(0, &["removed"]);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    coldbolt(["verify", &into]).shows(0, &["1 good, 0 bad"]);
}

#[test]
fn a_stream_that_is_not_as_it_says_leaves_no_file() {
    let good = sent(&database());
    let with = |parts: &[Part]| [&good[..2], parts].concat();
    let mut wrong_sum = good.clone();
    *wrong_sum.last_mut().unwrap() = Part::Blob(0, vec![7; 32]);
    let without_sum = good[..good.len() - 1].to_vec();
    let mut damaged = database();
    damaged[20_000..60_000].fill(0xee);
    let first = match &good[0] {
        Part::Blob(remaining, bytes) => (*remaining, bytes.clone()),
        _ => unreachable!(),
    };
    let (broke_off, nonsense) = ("broke off after", "of its snapshot leaves");
    let cases: Vec<(&str, Vec<Part>, i32, &str)> = vec![
        ("nothing", vec![], 3, "broke off after 0 of 0 bytes"),
        ("a wrong sum", wrong_sum, 1, "the member says that the SHA-256 of its snapshot is 0707"),
        ("no sum", without_sum, 3, broke_off),
        ("bytes behind the sum", [&good[..], &[Part::Blob(0, vec![1])]].concat(), 3, "follow the SHA-256"),
        ("a part twice", with(&[good[1].clone()]), 3, nonsense),
        ("too much", with(&[Part::Blob(0, vec![0; 1 << 19])]), 3, nonsense),
        ("a length that is none", vec![Part::Blob(u64::MAX, vec![1])], 3, "begins with 1 bytes"),
        ("a length without room for it", vec![Part::Blob(1 << 60, vec![1])], 3, "bytes are needed"),
        ("an end without parts", vec![Part::Blob(0, vec![])], 3, "begins with 0 bytes"),
        ("a reset", with(&[Part::Reset]), 3, "broke off"),
        ("an error of etcd's", with(&[Part::Status(14, "etcdserver: stopped")]), 3, "etcdserver: stopped"),
        ("no message", with(&[Part::Raw(vec![0xff; 100])]), 3, broke_off),
        ("a message of a gigabyte", with(&[Part::Raw(vec![0, 0x40, 0, 0, 0])]), 3, broke_off),
        ("one that ends early", with(&[Part::Raw(vec![0, 0, 0, 9, 9, 1])]), 3, broke_off),
        ("silence", with(&[Part::Silence]), 3, "the next 32 KiB of its snapshot took longer than 1 s"),
        ("drops", vec![Part::Drops(60_000)], 3, "the next 32 KiB of its snapshot took longer than 1 s"),
        ("empty parts for ever", with(&[Part::Forever(first.0, vec![])]), 3, nonsense),
        ("the first part for ever", vec![Part::Forever(first.0, first.1.clone())], 3, nonsense),
        ("a database that is damaged", sent(&damaged), 1, "http://127.0.0.1"),
    ];
    let dir = tempfile::tempdir().unwrap();
    for (what, parts, code, why) in cases {
        let endpoint = Fake::new(parts).start();
        let run = save(dir.path(), &endpoint, &["--retries", "0"]);
        assert!(run.code == code && run.err.contains(why), "{what}: {run}");
        assert!(run.err.contains(&endpoint) || run.err.contains("out.db"), "{what}: {run}");
        assert!(run.took < Duration::from_secs(20), "{what}: {run}");
        nothing(dir.path());
    }
}

#[test]
fn a_status_that_is_none_is_refused_and_what_it_says_does_not_steer_the_terminal() {
    let dir = tempfile::tempdir().unwrap();
    for (bytes, why) in [(vec![], "its status names no member"), (vec![0xff; 50], "answers")] {
        let endpoint = Fake { status: bytes, snapshot: sent(&database()) }.start();
        save(dir.path(), &endpoint, &["--retries", "0"]).says(3, &[&endpoint, why]);
        nothing(dir.path());
    }
    let nasty = status(1, "3.6\u{1b}[2J", &["a\u{1b}[31mb", "memberID:9 alarm:NOSPACE "]);
    let endpoint = Fake { status: nasty, snapshot: sent(&database()) }.start();
    for form in ["table", "simple", "json"] {
        let run = coldbolt(["status", "--endpoints", &endpoint, "-w", form]);
        assert_eq!(run.code, 1, "{run}");
        assert!(!run.text().contains('\u{1b}') && run.text().contains("NOSPACE"), "{run}");
    }
    let run = save(dir.path(), &endpoint, &[]);
    assert!(run.code == 0 && !run.text().contains('\u{1b}'), "{run}");
}

#[test]
fn a_member_that_says_it_is_corrupt_is_not_asked_for_a_snapshot() {
    let dir = tempfile::tempdir().unwrap();
    let corrupt = status(1, "3.6.14", &["memberID:1 alarm:CORRUPT "]);
    let endpoint = Fake { status: corrupt, snapshot: sent(&database()) }.start();
    save(dir.path(), &endpoint, &[]).says(1, &["alarm CORRUPT"]);
    nothing(dir.path());
}

#[test]
fn a_snapshot_that_ends_before_what_the_member_had_answered_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let endpoint = Fake { status: status(9_000_000, "3.6.14", &[]), snapshot: sent(&database()) }.start();
    save(dir.path(), &endpoint, &["--retries", "0"]).says(3, &["before 9000000, which it had answered with"]);
    nothing(dir.path());
}

#[test]
fn what_is_no_etcd_is_told_and_not_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let silent = something_else(b"");
    save(dir.path(), &silent, &["--retries", "0"]).says(3, &[&silent, "took longer than 1 s"]);
    let web = something_else(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
    save(dir.path(), &web, &["--retries", "0"])
        .says(3, &[&web, "did not answer as etcd does to its clients"]);
    let https = web.replace("http://", "https://");
    save(dir.path(), &https, &["--retries", "0", "--insecure-skip-tls-verify"]).says(3, &[&https, "TLS: "]);
    save(dir.path(), &https, &["--retries", "0"]).says(3, &[&https, "--cacert"]);
    let nobody = "http://127.0.0.1:1";
    let run = save(dir.path(), nobody, &["--retries", "1"]);
    run.says(3, &["no connection", "trying again"]);
    let both = format!("{nobody},{silent}");
    save(dir.path(), &both, &["--retries", "0"]).says(3, &["no member answers", nobody, &silent]);
    save(dir.path(), "http://no-such-host.invalid:1", &["--retries", "0"]).says(3, &["no-such-host.invalid"]);
    nothing(dir.path());
    coldbolt(["status", "--endpoints", &both, "--timeout", "1"]).says(3, &[nobody, &silent]);
}

#[test]
fn a_member_that_fails_is_left_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let bad = Fake::new(sent(&database())[..1].to_vec()).start();
    let good = Fake::new(sent(&database())).start();
    let run = save(dir.path(), &format!("{bad},{good}"), &["-w", "json"]);
    run.says(0, &[&format!("{bad}: the snapshot broke off"), "trying again"]);
    assert_eq!((&run.json()["endpoint"], run.json()["failed"].as_array().unwrap().len()), (&good.into(), 1));
}

#[test]
fn what_makes_no_sense_is_wrong_usage_and_a_password_is_never_an_argument() {
    let dir = tempfile::tempdir().unwrap();
    let at = |name: &str| dir.path().join(name).to_str().unwrap().to_owned();
    fs::write(at("pw"), "canary-password\n").unwrap();
    fs::write(at("two"), "canary-password\nmore\n").unwrap();
    let out = at("out.db");
    let usage = |args: &[&str], why: &str| {
        let run = coldbolt([&["save", "-o", &out], args].concat());
        assert!(run.code == 2 && run.err.contains(why), "{run}");
        assert!(!run.err.contains("canary"), "{run}");
    };
    usage(&[], "no endpoint");
    usage(&["--endpoints", "unix:///x"], "neither http nor https");
    usage(&["--endpoints", "http://root:canary@a"], "no user");
    usage(&["--endpoints", "a", "--user", "root:canary"], "--password-file");
    usage(&["--endpoints", "a", "--user", "root"], "the password of --user is missing");
    usage(&["--endpoints", "a", "--password-file", &at("pw")], "goes with --user");
    usage(&["--endpoints", "https://a", "--cert", &at("pw")], "go together");
    usage(&["--endpoints", "a", "--keep-last", "3"], "go with a directory");
    for keep in ["--keep-last", "--keep-daily", "--keep-weekly"] {
        usage(&["--endpoints", "a", keep, "0"], "zero");
    }
    coldbolt(["save", "-o", "-", "--endpoints", "a"]).says(2, &["never to standard output"]);
    let packed = at("out.db.gz");
    coldbolt(["save", "-o", &packed, "--endpoints", "a"]).says(2, &["--compress"]);
    coldbolt(["compare", "x"]).says(2, &["two or more"]);
    let user = ["save", "-o", &out, "--endpoints", "a", "--user", "root", "--password-file", &at("two")];
    let run = coldbolt(user);
    assert!(run.code == 3 && run.err.contains("one line") && !run.err.contains("canary"), "{run}");
    // The environment of etcdctl names the members of `save`, and never makes another command ask them.
    let mut with = command(["save", "-o", &out, "--retries", "0"]);
    with.env("ETCDCTL_ENDPOINTS", "http://127.0.0.1:1");
    run_in(with).says(3, &["http://127.0.0.1:1: no connection"]);
    let mut without = command(["status"]);
    without.env("ETCDCTL_ENDPOINTS", "http://127.0.0.1:1");
    assert_eq!(run_in(without).code, 2);
}

fn run_in(command: std::process::Command) -> Run {
    run::run(command)
}

#[test]
fn a_directory_keeps_what_the_rules_say_and_what_is_not_good_removes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let good = Fake::new(sent(&database())).start();
    let into = |endpoint: &str, more: &[&str]| {
        let dir = format!("{}/", dir.path().display());
        coldbolt([&["save", "--endpoints", endpoint, "-o", &dir, "--retries", "0"], more].concat())
    };
    let count = || fs::read_dir(dir.path()).unwrap().count();
    into(&good, &[]).says(0, &[]);
    assert_eq!(count(), 2);
    std::thread::sleep(Duration::from_millis(1100));
    let bad = Fake::new(sent(&database())[..1].to_vec()).start();
    into(&bad, &["--keep-last", "1"]).says(3, &["broke off"]);
    assert_eq!(count(), 2);
    fs::write(dir.path().join("etcd.db"), "mine").unwrap();
    into(&good, &["--keep-last", "1", "--keep-daily", "1"]).shows(0, &["removed "]);
    assert_eq!(count(), 3);
    coldbolt(["verify", dir.path().to_str().unwrap(), "--include", "etcd-*.db"]).shows(0, &["manifest.json"]);
    into(&good, &["--manifest", "x"]).says(2, &["goes with a file"]);
    let missing = format!("{}/no/", dir.path().display());
    coldbolt(["save", "--endpoints", &good, "-o", &missing])
        .says(3, &[&format!("{missing}: there is no directory here")]);
}
