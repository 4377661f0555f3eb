//! Files closed with age: `encrypt` and `decrypt`, what is told of one without its key, and the verbs that make one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use coldbolt::codec::checksum::{hex, sha256};
use serde_json::Value;
use support::age::{KeyFiles, OTHER, PAIR, PASSPHRASE};
use support::fake_etcd::{Fake, sent};
use support::packed::unpacked;
use support::peers::strace;
use support::{Input, Run, binary, coldbolt, command, fixture, unpack};

const SNAPSHOT: &str = "small-3.5.1/snapshot.db";

struct Home {
    dir: tempfile::TempDir,
    keys: KeyFiles,
}

impl Home {
    fn new() -> Home {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("keys")).unwrap();
        let keys = KeyFiles::write(&dir.path().join("keys"));
        fs::create_dir(dir.path().join("out")).unwrap();
        Home { dir, keys }
    }

    /// A place for what is made.
    fn place(&self, name: &str) -> String {
        self.dir.path().join("out").join(name).to_str().unwrap().to_owned()
    }

    /// What was made, in order.
    fn made(&self) -> Vec<String> {
        let entries = fs::read_dir(self.dir.path().join("out")).unwrap();
        let mut names: Vec<_> = entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn encrypt(&self, input: &str, name: &str, more: &[&str]) -> PathBuf {
        let place = self.place(name);
        answers(&coldbolt([&["encrypt", input, "-o", &place], more].concat()), 0, &["closed for"]);
        place.into()
    }

    /// Opens what must open.
    fn decrypted(&self, file: &Path) -> Vec<u8> {
        let place = self.place("opened");
        let args = ["decrypt", file.to_str().unwrap(), "-o", &place, "--identity", &self.keys.of("key")];
        answers(&coldbolt(args), 0, &["content"]);
        let bytes = fs::read(&place).unwrap();
        fs::remove_file(place).unwrap();
        bytes
    }

    /// A small file that is closed for the key.
    fn small(&self) -> Input {
        let plain = Input::write(self.dir.path(), "plain", b"what is in it");
        Input::new(self.encrypt(plain.name(), "small.age", &["--to", PAIR.0]))
    }
}

/// Ends with that code, and has these words on standard output.
#[track_caller]
fn answers(run: &Run, code: i32, words: &[&str]) {
    assert_eq!(run.code, code, "{run}");
    words.iter().for_each(|word| assert!(run.text().contains(word), "{word}: {run}"));
}

fn piped(args: &[&str], stdin: &Path) -> Run {
    let mut command = command(args);
    command.stdin(Stdio::from(fs::File::open(stdin).unwrap()));
    Run::of(command)
}

#[test]
fn what_is_closed_is_opened_again_by_each_recipient_and_by_the_passphrase_and_by_nobody_else() {
    let home = Home::new();
    let (key, other, recipients) =
        (home.keys.of("key"), home.keys.of("other-key"), home.keys.of("recipients"));
    let (passphrase, another) = (home.keys.of("passphrase"), home.keys.of("other-passphrase"));
    let input = Input::new(fixture(SNAPSHOT));
    let bytes = fs::read(&input.path).unwrap();
    for (n, (to, opens, refused)) in [
        (
            &["--to", PAIR.0][..],
            vec![["--identity", &key]],
            vec![(["--identity", &other], "none of the keys")],
        ),
        (&["--to", &recipients], vec![["--identity", &key], ["-i", &other]], vec![]),
        (
            &["--to", PAIR.0, "--to", OTHER.0],
            vec![["--identity", &key], ["-i", &other]],
            vec![(["--passphrase-file", &passphrase], "a passphrase does not open it; give the key")],
        ),
        (
            &["--passphrase-file", &passphrase],
            vec![["--passphrase-file", &passphrase]],
            vec![
                (["--identity", &key], "is closed with a passphrase, and keys do not open it; give it with"),
                (["--passphrase-file", &another], "the passphrase does not open it"),
            ],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let closed = home.place(&format!("{n}.age"));
        let made = coldbolt([&["encrypt", input.name(), "-o", &closed, "-w", "json"], to].concat());
        made.says(0, &[]);
        let report: Value = serde_json::from_slice(&made.out).unwrap();
        let file = Input::new(&closed);
        assert_eq!(fs::metadata(&closed).unwrap().permissions().mode() & 0o777, 0o600);
        let sums = [(&report["plain"], &bytes), (&report["closed"], &fs::read(&closed).unwrap())];
        for (said, bytes) in sums {
            assert_eq!((said["bytes"].as_u64(), said["sha256"].as_str()), sum(bytes), "{made}");
        }
        assert_eq!(
            (&report["schema"], &report["source"]),
            (&"coldbolt.encrypt/1".into(), &input.name().into())
        );
        for who in opens {
            let place = home.place("opened.db");
            let opened = coldbolt([&["decrypt", &closed, "-o", &place, "-w", "json"], &who[..]].concat());
            opened.says(0, &[]);
            let again: Value = serde_json::from_slice(&opened.out).unwrap();
            assert_eq!((&again["plain"], &again["closed"]), (&report["plain"], &report["closed"]));
            assert!(fs::read(&place).unwrap() == bytes);
            assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o600);
            let again = coldbolt([&["decrypt", &closed, "-o", &place], &who[..]].concat());
            again.says(1, &["exists already"]);
            fs::remove_file(place).unwrap();
            let poured = Run::of(command([&["decrypt", &closed, "-o", "-"], &who[..]].concat()));
            assert!((poured.code, poured.err.as_str(), &poured.out) == (0, "", &bytes));
        }
        for (who, why) in refused {
            let place = home.place("opened.db");
            coldbolt([&["decrypt", &closed, "-o", &place], &who[..]].concat()).says(3, &[why, "--"]);
        }
        file.unchanged();
    }
    assert_eq!(home.made(), ["0.age", "1.age", "2.age", "3.age"]);
    input.unchanged();
}

fn sum(bytes: &[u8]) -> (Option<u64>, Option<&'static str>) {
    (Some(bytes.len() as u64), Some(hex(&sha256(bytes)).leak()))
}

#[test]
fn contents_of_every_length_go_through_pipes_and_come_back() {
    let home = Home::new();
    for len in [0, 1, 65_535, 65_536, 65_537, 131_072, (1 << 20) + 70_000] {
        let bytes: Vec<u8> = (0..len as u32).map(|i| (i ^ (i >> 7)) as u8).collect();
        let plain = Input::write(home.dir.path(), "plain", &bytes);
        let closed = piped(&["encrypt", "-", "-o", "-", "--to", PAIR.0], &plain.path);
        assert_eq!((closed.code, closed.err.as_str()), (0, ""));
        let file = Input::write(home.dir.path(), "closed", &closed.out);
        let opened = piped(&["decrypt", "-", "-o", "-", "-i", &home.keys.of("key")], &file.path);
        assert!((opened.code, &opened.out) == (0, &bytes), "{len}");
        let verified = coldbolt(["verify", file.name(), "-w", "json"]);
        assert!(verified.text().contains(&format!("its length fits {len} bytes of content")), "{verified}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_neither_opened_nor_good() {
    let home = Home::new();
    let file = home.small();
    let bytes = fs::read(&file.path).unwrap();
    let place = home.place("opened");
    for end in 0..bytes.len() {
        let cut = Input::write(home.dir.path(), "cut.age", &bytes[..end]);
        let opened = coldbolt(["decrypt", cut.name(), "-o", &place, "-i", &home.keys.of("key")]);
        assert!(matches!(opened.code, 1 | 3), "{end}: {opened}");
        // What has lost more than a tag's length cannot be told from a shorter content without its key.
        let verified = coldbolt(["verify", cut.name()]);
        let due = if end < 19 {
            3
        } else if end < bytes.len() - b"what is in it".len() {
            1
        } else {
            4
        };
        assert_eq!(verified.code, due, "{end}: {verified}");
        cut.unchanged();
    }
    assert_eq!(home.made(), ["small.age"]);
}

#[test]
fn a_file_in_which_any_byte_is_another_is_not_opened() {
    let home = Home::new();
    let file = home.small();
    let bytes = fs::read(&file.path).unwrap();
    let place = home.place("opened");
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 1;
        let other = Input::write(home.dir.path(), "other.age", &other);
        let opened = coldbolt(["decrypt", other.name(), "-o", &place, "-i", &home.keys.of("key")]);
        assert!(matches!(opened.code, 1 | 3), "{at}: {opened}");
        assert!(opened.err.starts_with("Error: "), "{at}: {opened}");
    }
    assert_eq!(home.made(), ["small.age"]);
}

#[test]
fn chunks_that_are_changed_moved_or_missing_are_told_by_number_and_place() {
    let home = Home::new();
    let plain = Input::write(home.dir.path(), "plain", &vec![7; 3 * 65_536]);
    let file = home.encrypt(plain.name(), "three.age", &["--to", PAIR.0]);
    let bytes = fs::read(file).unwrap();
    let sealed = 65_552;
    let begins = bytes.len() - 3 * sealed;
    let chunk = |n: usize| &bytes[begins + n * sealed..][..sealed];
    let mut flipped = bytes.clone();
    flipped[begins + sealed + 100] ^= 1;
    let moved = [&bytes[..begins], chunk(0), chunk(2), chunk(1)].concat();
    let without_last = bytes[..begins + 2 * sealed].to_vec();
    let longer = [&bytes[..], &[0; 40]].concat();
    for (what, changed, number) in
        [("flipped", flipped, 1), ("moved", moved, 1), ("cut", without_last, 2), ("longer", longer, 3)]
    {
        let changed = Input::write(home.dir.path(), what, &changed);
        let place = home.place("opened");
        let refused = coldbolt(["decrypt", changed.name(), "-o", &place, "-i", &home.keys.of("key")]);
        let at = format!("byte {:#x}", begins + number * sealed);
        refused.says(1, &[&at, &format!("chunk {number} does not open"), what]);
        // A pipe has what opened before.
        let poured = coldbolt(["decrypt", changed.name(), "-o", "-", "-i", &home.keys.of("key")]);
        assert_eq!((poured.code, poured.out.len() <= 3 * 65_536), (1, true), "{poured}");
    }
    assert_eq!(home.made(), ["three.age"]);
}

#[test]
fn what_is_no_age_file_or_not_a_binary_one_is_told_with_what_helps() {
    let home = Home::new();
    let place = home.place("opened");
    let armored = Input::write(home.dir.path(), "text.age", b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n");
    let database = Input::new(fixture(SNAPSHOT));
    for (input, said) in [
        (&armored, ["as text (armored)", "age -d -i KEY"]),
        (&database, ["is no age file", "coldbolt inspect"]),
    ] {
        let args = ["decrypt", input.name(), "-o", &place, "-i", &home.keys.of("key")];
        coldbolt(args).says(3, &said);
        input.unchanged();
    }
    assert_eq!(home.made(), [""; 0]);
}

#[test]
fn keys_and_passphrases_are_told_to_be_wrong_without_a_word_of_them_and_to_be_readable_by_others() {
    let home = Home::new();
    let (input, place) = (Input::new(fixture(SNAPSHOT)), home.place("new"));
    let file =
        |name: &str, text: &str| Input::write(home.dir.path(), name, text.as_bytes()).name().to_owned();
    let encrypt = |more: &[&str]| coldbolt([&["encrypt", input.name(), "-o", &place], more].concat());
    let no = home.place("none");
    for (more, code, said) in [
        (vec!["--to", "age1canary"], 2, "age1canary: is no recipient"),
        (vec!["--to", &home.keys.of("key")], 3, "line 3 is a secret key"),
        (vec!["--to", &file("comments", "# none\n")], 3, "holds no key"),
        (vec!["--to", &no], 3, "No such file"),
        (vec!["--to", "/dev/zero"], 3, "is longer than"),
        (vec!["--passphrase-file", &file("empty", "\n")], 3, "holds no passphrase"),
        (vec!["--passphrase-file", &file("two", "a\nb\n")], 3, "holds 2 lines"),
        (vec!["--passphrase-file", "p", "--to", PAIR.0], 2, "cannot be used with"),
        (vec![], 2, "required"),
    ] {
        let run = encrypt(&more);
        run.says(code, &[said]);
        assert!(!run.err.contains(PAIR.1), "{run}");
    }
    let decrypt = ["decrypt", input.name(), "-o", &place, "-i"];
    let run = coldbolt([&decrypt[..], &[&home.keys.of("recipients")]].concat());
    run.says(3, &["line 2 is no secret key"]);
    assert_eq!(home.made(), [""; 0]);
    let open = file("open", &format!("{PASSPHRASE}\n"));
    fs::set_permissions(&open, fs::Permissions::from_mode(0o644)).unwrap();
    let run = encrypt(&["--passphrase-file", &open]);
    run.says(0, &["holds keys, and others than its owner can use it (mode 0644)"]);
    assert!(!run.err.contains("canary"), "{run}");
}

#[test]
fn a_file_that_asks_for_more_work_than_is_allowed_is_refused_at_once() {
    let home = Home::new();
    let body = "5G8+Y6Ex/T41Q4VeFSTUPdW0MvNd4zEkVhNkEcfzdRM";
    let mac = "--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n";
    for work in ["21", "40", "63", "200", "4294967295"] {
        let header = format!("age-encryption.org/v1\n-> scrypt bBjlhJVYZeE4aqUdmtRHfw {work}\n{body}\n{mac}");
        let file = Input::write(home.dir.path(), "big.age", &[header.as_bytes(), &[0; 40]].concat());
        let place = home.place("opened");
        let args = ["decrypt", file.name(), "-o", &place, "--passphrase-file", &home.keys.of("passphrase")];
        let run = support::run::coldbolt_within_limits(args);
        run.says(3, &[&format!("2^{work} steps"), "2^20 are allowed", "--max-work-factor"]);
    }
    assert_eq!(home.made(), [""; 0]);
}

#[test]
fn wherever_a_path_is_a_database_an_age_file_is_told_to_be_one() {
    let home = Home::new();
    let file = home.encrypt(&fixture(SNAPSHOT).display().to_string(), "a.db.age", &["--to", PAIR.0]);
    let file = Input::new(file);
    let (name, new) = (file.name(), home.place("new"));
    for args in [
        vec!["status", name],
        vec!["hashkv", name],
        vec!["inspect", name],
        vec!["get", name, "key"],
        vec!["keys", name],
        vec!["copy", name, &new],
        vec!["seal", name, "-o", &new],
        vec!["defrag", name, "-o", &new],
        vec!["restore", name, "--data-dir", &new],
        vec!["export", name],
        vec!["kube", "kinds", name],
        vec!["bolt", "buckets", name],
    ] {
        let run = coldbolt(&args);
        run.says(
            3,
            &[
                "is an age-encrypted file",
                "`coldbolt decrypt FILE -o NEW` opens it, or --age-identity KEYS here",
            ],
        );
    }
    assert_eq!(home.made(), ["a.db.age"]);
    file.unchanged();
}

#[test]
fn without_its_key_a_file_is_judged_by_its_header_its_length_and_its_manifest_and_by_nothing_else() {
    let home = Home::new();
    let file = home.encrypt(&fixture(SNAPSHOT).display().to_string(), "a.db.age", &["--to", PAIR.0]);
    let file = Input::new(file);
    let manifest = home.place("a.json");
    let levels = |args: &[&str]| -> (i32, Vec<(String, String)>) {
        let run = coldbolt([&["verify", "-w", "json"], args].concat());
        let report: Value = serde_json::from_slice(&run.out).unwrap_or_else(|_| panic!("{run}"));
        let levels = report["files"][0]["levels"].as_array().unwrap();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        (run.code, levels.iter().map(|l| (text(&l["level"]), text(&l["outcome"]))).collect())
    };
    let due = |bytes: &str| {
        [
            "identity passed",
            &format!("bytes {bytes}"),
            "pages inconclusive",
            "mvcc inconclusive",
            "wal not-applicable",
            "restore inconclusive",
        ]
        .map(|pair| pair.split_once(' ').map(|(l, o)| (l.to_owned(), o.to_owned())).unwrap())
        .to_vec()
    };
    let alone = levels(&[file.name(), "--manifest", &manifest]);
    assert_eq!(alone, (4, due("inconclusive")));
    assert_eq!(levels(&[file.name(), "--strict"]).0, 1);
    let against = levels(&[file.name(), "--check-manifest", &manifest]);
    assert_eq!(against, (4, due("passed")));
    file.unchanged();

    let mut bytes = fs::read(&file.path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let other = Input::write(home.dir.path(), "a.db.age", &bytes);
    assert_eq!(levels(&[other.name()]), (4, due("inconclusive")));
    let run = coldbolt(["verify", other.name(), "--check-manifest", &manifest]);
    run.says(1, &["the SHA-256 is"]);
    let (level, outcome) = &levels(&[other.name(), "--check-manifest", &manifest]).1[1];
    assert_eq!((level.as_str(), outcome.as_str()), ("bytes", "failed"));
    let header = bytes.windows(5).position(|at| at == b"\n--- ").unwrap() + 49;
    let cut = Input::write(home.dir.path(), "cut.age", &bytes[..header + 20]);
    coldbolt(["verify", cut.name()]).says(1, &["age-cut"]);
    bytes[30] = b' ';
    let broken = Input::write(home.dir.path(), "broken.age", &bytes);
    coldbolt(["verify", broken.name()]).says(1, &["age-header"]);
}

/// What each verb that writes a snapshot makes in the clear, and closed: arguments up to the place of the output.
fn makers(home: &Home) -> Vec<Vec<String>> {
    let member = unpack("3.5.1", "cold", home.dir.path());
    let unsealed = Input::changed(home.dir.path(), SNAPSHOT, |bytes| bytes.truncate(bytes.len() - 32));
    let (member, snapshot) = (member.to_str().unwrap(), fixture(SNAPSHOT));
    let snapshot = snapshot.to_str().unwrap();
    [
        vec!["copy", member],
        vec!["copy", snapshot, "--exact"],
        vec!["copy", snapshot, "--no-wal"],
        vec!["replay", member, "--to-index", "145", "-o"],
        vec!["seal", unsealed.name(), "-o"],
        vec!["defrag", snapshot, "-o"],
        vec!["defrag", unsealed.name(), "--live-only", "-o"],
        vec!["export", snapshot, "-o"],
        vec!["export", snapshot, "--all-revisions", "-w", "csv", "-o"],
    ]
    .map(|args| args.into_iter().map(str::to_owned).collect())
    .to_vec()
}

#[test]
fn what_a_verb_closes_is_what_it_makes_in_the_clear() {
    let home = Home::new();
    for (n, maker) in makers(&home).into_iter().enumerate() {
        let (clear, closed) = (home.place(&format!("{n}")), home.place(&format!("{n}.age")));
        let args: Vec<&str> = maker.iter().map(String::as_str).collect();
        let made = coldbolt([&args[..], &[&clear]].concat());
        assert_eq!(made.code, 0, "{made}");
        let run = coldbolt([&args[..], &[&closed, "--encrypt-to", PAIR.0, "--encrypt-to", OTHER.0]].concat());
        assert_eq!(run.code, 0, "{run}");
        let bytes = fs::read(&closed).unwrap();
        if args[0] != "export" {
            answers(&run, 0, &[&hex(&sha256(&bytes)), "age file"]);
        }
        assert_eq!(fs::metadata(&closed).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(bytes.starts_with(b"age-encryption.org/v1\n-> X25519 "));
        assert!(home.decrypted(Path::new(&closed)) == fs::read(&clear).unwrap(), "{args:?}");
        let again = coldbolt([&args[..], &[&closed, "--encrypt-to", PAIR.0]].concat());
        again.says(1, &["exists already"]);
    }
    assert_eq!(home.made().len(), 18, "{:?}", home.made());
}

#[test]
fn nothing_of_what_is_closed_is_ever_written_in_the_clear() {
    if strace().is_none() {
        return;
    }
    let home = Home::new();
    let traced = |args: &[&str]| {
        let calls = home.dir.path().join("calls");
        let mut command = strace().unwrap();
        command.args(["-e", "trace=write,pwrite64,writev,pwritev,pwritev2,copy_file_range,sendfile,mmap"]);
        command.args(["-s", "10000000", "-o"]).arg(&calls).arg(binary()).args(args).stdin(Stdio::null());
        assert!(command.output().unwrap().status.success(), "{args:?}");
        let calls = fs::read_to_string(calls).unwrap();
        let kernel = calls.contains("copy_file_range(") || calls.contains("sendfile(");
        // The name of a bucket, as strace prints it.
        calls.contains("alarm") || calls.contains("\\\"key\\\":") || kernel
    };
    let makers = makers(&home);
    for (n, maker) in makers.into_iter().filter(|maker| !maker.contains(&"csv".to_owned())).enumerate() {
        let (clear, closed) = (home.place(&format!("{n}")), home.place(&format!("{n}.age")));
        let args: Vec<&str> = maker.iter().map(String::as_str).collect();
        assert!(traced(&[&args[..], &[&clear]].concat()), "what is written in the clear is seen: {args:?}");
        let closing = [&args[..], &[&closed, "--encrypt-to", PAIR.0]].concat();
        assert!(!traced(&closing), "{args:?}");
    }
    let snapshot = fs::read(fixture(SNAPSHOT)).unwrap();
    let endpoint = Fake::new(sent(&snapshot[..snapshot.len() - 32])).start();
    for how in ["gzip", "zstd"] {
        let (clear, closed) = (home.place(&format!("save.{how}")), home.place(&format!("save.{how}.age")));
        let save = ["save", "--endpoints", &endpoint, "--compress", how, "-o"];
        assert!(traced(&[&save[..], &[&clear]].concat()), "what is compressed is in the clear before");
        assert!(!traced(&[&save[..], &[&closed, "--encrypt-to", PAIR.0]].concat()), "{how}");
    }
}

#[test]
fn a_closed_copy_has_a_manifest_of_both_and_goes_to_standard_output_too() {
    let home = Home::new();
    let input = Input::new(fixture(SNAPSHOT));
    let (closed, manifest) = (home.place("a.age"), home.place("a.json"));
    let passphrase = home.keys.of("passphrase");
    let args = ["copy", input.name(), &closed, "--manifest", &manifest, "--passphrase-file", &passphrase];
    answers(&coldbolt(args), 0, &["who knows the passphrase"]);
    let read: Value = serde_json::from_slice(&fs::read(&manifest).unwrap()).unwrap();
    let entry = &read["files"][0];
    assert_eq!((entry["size"].as_u64(), entry["sha256"].as_str()), sum(&fs::read(&closed).unwrap()));
    let opened = home.place("a.db");
    coldbolt(["decrypt", &closed, "-o", &opened, "--passphrase-file", &passphrase]).says(0, &[]);
    let bytes = fs::read(&opened).unwrap();
    let content = &entry["content"];
    assert_eq!((content["size"].as_u64(), content["sha256"].as_str()), sum(&bytes));
    assert_eq!(content["payload_sha256"].as_str(), sum(&bytes[..bytes.len() - 32]).1);
    answers(&coldbolt(["verify", &closed, "--check-manifest", &manifest]), 4, &["against"]);
    coldbolt(["verify", &opened]).says(0, &[]);
    for args in [
        vec!["copy", input.name(), "-", "--encrypt-to", PAIR.0],
        vec!["export", input.name(), "--encrypt-to", PAIR.0],
    ] {
        let poured = coldbolt(&args);
        assert_eq!(poured.code, 0, "{poured}");
        let file = Input::write(home.dir.path(), "poured.age", &poured.out);
        let clear = Run::of(command(args.iter().filter(|arg| !arg.contains("encrypt") && **arg != PAIR.0)));
        assert!(home.decrypted(&file.path) == clear.out);
    }
    input.unchanged();
}

#[test]
fn what_a_pipe_brings_is_not_kept_in_the_clear_to_be_closed() {
    let home = Home::new();
    let new = home.place("new");
    for args in [vec!["defrag", "-", "-o", &new], vec!["export", "-", "-o", &new]] {
        let mut cat = std::process::Command::new("cat");
        let mut cat = cat.arg(fixture(SNAPSHOT)).stdout(Stdio::piped()).spawn().unwrap();
        let mut command = command([&args[..], &["--encrypt-to", PAIR.0]].concat());
        command.stdin(cat.stdout.take().unwrap());
        support::run::run(command).says(3, &["is a pipe", "`coldbolt encrypt -`"]);
        cat.wait().unwrap();
        // A file that stands there is read where it is.
        let closed = piped(&[&args[..], &["--encrypt-to", PAIR.0]].concat(), &fixture(SNAPSHOT));
        assert_eq!(closed.code, 0, "{closed}");
        fs::remove_file(&new).unwrap();
    }
    assert_eq!(home.made(), [""; 0]);
}

#[test]
fn of_what_k3s_keeps_in_sqlite_no_database_is_kept_in_the_clear_to_be_closed() {
    let home = Home::new();
    let state = Input::write(home.dir.path(), "state.db", &unpacked(&fixture("kine/state.db.gz")));
    let new = home.place("new");
    coldbolt(["export", state.name(), "-o", &new, "--encrypt-to", PAIR.0])
        .says(3, &["is an SQLite database", "TMPDIR"]);
    assert_eq!(home.made(), [""; 0]);
    state.unchanged();
}

#[test]
fn what_etcd_starts_from_is_never_closed() {
    let home = Home::new();
    let member = unpack("3.5.1", "cold", home.dir.path());
    let (member, new) = (member.to_str().unwrap(), home.place("new"));
    for args in [
        vec!["copy", member, &new, "--as", "data-dir", "--encrypt-to", PAIR.0],
        vec!["defrag", "--data-dir", member, "--encrypt-to", PAIR.0],
    ] {
        coldbolt(args).says(2, &["never closed"]);
    }
    assert_eq!(home.made(), [""; 0]);
}
