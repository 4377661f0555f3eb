//! What is not a database at all, what may not be read, and what changes or goes away while it is read.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use coldbolt::io::Source;
use coldbolt::io::source::Lock;
use coldbolt::ops::{InspectOptions, inspect, status};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::words::cause::Cause;
use coldbolt::words::finding::Code;
use coldbolt::words::monitor::Collect;
use coldbolt::{Error, Severity};

use support::image::Image;
use support::run::{run, wait};
use support::{Input, Run, binary, coldbolt, command, fixture, unpack};

/// The commands that need a database.
const OF_A_FILE: [&[&str]; 5] =
    [&["status"], &["hashkv"], &["snapshot", "status"], &["bolt", "pages"], &["bolt", "buckets"]];

/// None of the commands takes it, and each says the same of it.
fn all_refuse(input: &Input, what: &str) {
    let name = input.name();
    for args in OF_A_FILE.into_iter().chain([&["inspect"][..]]) {
        let run = coldbolt(args.iter().chain([&name]));
        run.says(3, &[&format!("{name}: "), what]);
        assert_eq!(run.text(), "", "{run}");
    }
    input.unchanged();
}

#[test]
fn a_missing_file_is_refused() {
    for args in OF_A_FILE.into_iter().chain([&["inspect"][..], &["wal", "dump"], &["snap", "show"]]) {
        let run = coldbolt(args.iter().chain([&"/nowhere/backup.db"]));
        run.says(3, &["/nowhere/backup.db: ", "No such file or directory"]);
    }
}

#[test]
fn a_directory_is_refused_where_a_file_is_due_with_the_way_to_its_database() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::new(dir.path());
    let of_pages: Vec<_> = OF_A_FILE.into_iter().filter(|args| args[0] == "bolt").collect();
    for args in &of_pages {
        coldbolt(args.iter().chain([&input.name()]))
            .says(3, &[&format!("{}: is a directory, a file is needed here\n", input.name())]);
    }
    for args in [&["inspect"][..], &["status"], &["hashkv"], &["snapshot", "status"]] {
        let words = format!("{}: holds no etcd data", input.name());
        coldbolt(args.iter().chain([&input.name()])).says(3, &[&words]);
    }
    input.unchanged();
    let cold = Input::new(unpack("3.5.1", "cold", dir.path()));
    for args in &of_pages {
        let words = format!(
            "is a directory, a file is needed here; its database is {}/member/snap/db, and its log may hold more",
            cold.name()
        );
        coldbolt(args.iter().chain([&cold.name()])).says(3, &[&words]);
    }
    cold.unchanged();
}

#[test]
fn a_file_is_refused_where_a_directory_is_due() {
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    coldbolt(["wal", "dump", input.name()])
        .says(3, &[input.name(), "is a bbolt database, not a WAL segment"]);
    coldbolt(["snap", "show", input.name()])
        .says(3, &[input.name(), "is a bbolt database, not a raft snapshot"]);
    let readme = Input::new(fixture("small-3.5.1/status.json"));
    coldbolt(["wal", "dump", readme.name()]).says(3, &[readme.name(), "is a text file, not a WAL segment"]);
    readme.unchanged();
    coldbolt(["inspect", &format!("{}/member", input.name())])
        .says(3, &["snapshot.db/member: Not a directory"]);
    input.unchanged();
}

#[test]
fn what_is_something_else_is_named_by_what_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let filled = |head: &[u8]| [head, &[0x5a; 5000]].concat();
    let tar = |mut bytes: Vec<u8>| {
        bytes[257..262].copy_from_slice(b"ustar");
        bytes
    };
    // A character that the first 4096 bytes cut in two.
    let long_text = ["a".repeat(4095), "\u{e9}".repeat(100)].concat();
    for (name, bytes, what) in [
        ("empty", vec![], "is empty (0 bytes)"),
        ("text", b"apiVersion: v1\n".to_vec(), "is a text file, not an etcd snapshot or database"),
        ("long text", long_text.into_bytes(), "is a text file, not an etcd snapshot or database"),
        ("backup.db.Z", filled(b"\x1f\x9d"), "is a compress (.Z) file; unpack it first"),
        (
            "backup.age",
            filled(b"age-encryption.org/v1\n"),
            "is an age-encrypted file, and has to be opened first",
        ),
        (
            "backup.asc.age",
            filled(b"-----BEGIN AGE ENCRYPTED FILE-----\n"),
            "is an age-encrypted file as text (armored); unpack it first",
        ),
        ("backup.tar", tar(filled(b"member/snap/db")), "is a tar file; unpack it first"),
        ("zeros", vec![0; 9000], "is not an etcd snapshot or database: no bbolt meta page in its 9000 bytes"),
        ("one byte", vec![0], "is not an etcd snapshot or database: no bbolt meta page in its 1 bytes"),
    ] {
        all_refuse(&Input::write(dir.path(), name, &bytes), what);
    }
    // What kine keeps there is read: a broken one is damaged.
    let sqlite = Input::write(dir.path(), "state.db", &filled(b"SQLite format 3\0"));
    for args in OF_A_FILE {
        coldbolt(args.iter().chain([&sqlite.name()])).says(3, &["state.db: is an SQLite database"]);
    }
    coldbolt(["inspect", sqlite.name()]).says(1, &["state.db: page 1 (byte 0x10): "]);
    sqlite.unchanged();
    let mut swapped = Image::pristine();
    swapped.put_metas(16, &0xED0C_DAED_u32.to_be_bytes());
    all_refuse(
        &Input::write(dir.path(), "s390x.db", &swapped.bytes),
        "written by a big-endian machine (s390x)",
    );
}

#[test]
fn a_name_with_control_characters_is_shown_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "a\x1b[2Jb", b"text");
    let run = coldbolt(["status", input.name()]);
    run.says(3, &["a\\u{1b}[2Jb: is a text file"]);
    input.unchanged();
}

#[test]
fn a_fifo_is_refused_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("fifo");
    assert!(Command::new("mkfifo").arg(&path).status().unwrap().success());
    for args in OF_A_FILE.into_iter().chain([&["inspect"][..]]) {
        let run = coldbolt(args.iter().chain([&path.to_str().unwrap()]));
        run.says(3, &["fifo: is not a regular file"]);
        assert!(run.took.as_secs() < 60, "{run}");
    }
    coldbolt(["status", "/dev/null"]).says(3, &["/dev/null: is not a regular file"]);
    coldbolt(["status", "/dev/zero"]).says(3, &["/dev/zero: is not a regular file"]);
}

/// Runs the binary as a user who is nobody. Tests that run as root need `setpriv`, which every Linux has.
fn as_ordinary_user(dir: &Path, args: &[&str]) -> Run {
    if !rustix_is_root() {
        return coldbolt(args);
    }
    // The binary is where nobody need be allowed to go.
    let copy = dir.join("coldbolt");
    if !copy.exists() {
        fs::copy(binary(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
    }
    let mut setpriv = Command::new("setpriv");
    setpriv
        .args(["--reuid", "65534", "--regid", "65534", "--clear-groups"])
        .arg(&copy)
        .args(args)
        .stdin(Stdio::null());
    assert!(
        Command::new("setpriv").arg("--version").output().is_ok(),
        "setpriv (util-linux) is needed to test as an ordinary user"
    );
    run(setpriv)
}

fn rustix_is_root() -> bool {
    use std::os::unix::fs::MetadataExt;
    fs::metadata("/proc/self").unwrap().uid() == 0
}

#[test]
fn a_file_that_may_not_be_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let input = Input::write(dir.path(), "backup.db", &Image::pristine().bytes);
    fs::set_permissions(&input.path, fs::Permissions::from_mode(0o000)).unwrap();
    let input = Input::new(&input.path);
    for args in OF_A_FILE.into_iter().chain([&["inspect"][..]]) {
        let args: Vec<&str> = args.iter().copied().chain([input.name()]).collect();
        as_ordinary_user(dir.path(), &args).says(3, &[input.name(), "Permission denied"]);
    }
    fs::set_permissions(&input.path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_read_only_file_in_a_read_only_directory_is_read_by_an_ordinary_user() {
    let outer = tempfile::tempdir().unwrap();
    fs::set_permissions(outer.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let dir = outer.path().join("backups");
    fs::create_dir(&dir).unwrap();
    let path = Input::write(&dir, "backup.db", &Image::pristine().bytes).path;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o555)).unwrap();
    let (input, name) = (Input::new(&dir), path.to_str().unwrap());
    assert_eq!(as_ordinary_user(outer.path(), &["status", name]).good(), "4f637741, 41, 24, 61 kB, \n");
    assert_eq!(as_ordinary_user(outer.path(), &["hashkv", name]).good(), "3594300538, 41, 29\n");
    assert!(as_ordinary_user(outer.path(), &["inspect", "--hash", name]).good().contains("24 live"));
    assert!(as_ordinary_user(outer.path(), &["bolt", "pages", name]).good().contains("branch"));
    input.unchanged();
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_database_that_is_in_use_is_refused_at_once_by_status_and_still_inspected() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "db", &Image::pristine().bytes);
    let held = File::options().read(true).write(true).open(&input.path).unwrap();
    held.lock().unwrap();
    for args in [&["status"][..], &["hashkv"]] {
        let run = coldbolt(args.iter().chain([&input.name()]));
        run.says(3, &[input.name(), "is in use: a running etcd holds its lock"]);
        assert!(run.took.as_secs() < 60, "{run}");
    }
    let run = coldbolt(["inspect", input.name()]);
    run.says(0, &["warning", "a running etcd holds the lock of this database", "[in-use]"]);
    assert!(run.text().contains("IN USE") && run.text().contains("24 live"), "{run}");
    assert_eq!(coldbolt(["inspect", "-w", "json", input.name()]).json()["database"]["lock"], "held");
    drop(held);
    assert_eq!(coldbolt(["status", input.name()]).good(), "4f637741, 41, 24, 61 kB, \n");
    input.unchanged();
}

#[test]
fn our_own_test_of_the_lock_does_not_keep_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "db", &Image::pristine().bytes);
    let source = Source::open(&input.path).unwrap();
    assert_eq!(source.flock(), Lock::Free);
    File::open(&input.path).unwrap().try_lock().unwrap();
    input.unchanged();
}

#[test]
fn a_file_that_shrinks_while_it_is_read_is_unreadable_where_it_ends() {
    for len in [0, 4096, 30_000, 45_000] {
        let dir = tempfile::tempdir().unwrap();
        let input = Input::write(dir.path(), "db", &Image::pristine().bytes);
        let source = Source::open(&input.path).unwrap();
        File::options().write(true).open(&input.path).unwrap().set_len(len).unwrap();
        let mut told = Vec::new();
        for error in [
            status(&source, &Collect::default()).map(|_| ()).unwrap_err(),
            hashkv(&source, &HashKvOptions::default(), &Collect::default()).map(|_| ()).unwrap_err(),
        ] {
            told.push(error.to_string());
            let code = match &error {
                Error::Damaged { corrupt, .. } | Error::Unreadable { cause: Cause::Corrupt(corrupt), .. } => {
                    corrupt.code
                }
                other => panic!("{other}"),
            };
            assert!([Code::Unreadable, Code::MetaInvalid].contains(&code), "{error}");
        }
        let inspected = coldbolt::ops::inspect(&source, &InspectOptions::default(), &Collect::default());
        match inspected {
            Ok(report) => {
                assert!(report.finding_counts.contains_key(&Code::Unreadable), "{:?}", report.findings);
                assert_eq!(report.worst(), Some(Severity::Damage));
            }
            Err(error) => told.push(error.to_string()),
        }
        for message in told {
            let ends = format!("the file ends at byte {len} (it had 61472 when it was opened)");
            assert!(message.contains(input.name()) && message.contains(&ends), "{message}");
        }
    }
}

#[test]
fn a_file_that_changes_while_it_is_inspected_is_said_to() {
    struct Touch(std::path::PathBuf);
    impl coldbolt::words::monitor::Monitor for Touch {
        fn begin(&self, _: &str, _: u64) {
            File::options()
                .write(true)
                .open(&self.0)
                .unwrap()
                .set_modified(std::time::SystemTime::UNIX_EPOCH)
                .unwrap();
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("db");
    fs::write(&path, Image::pristine().bytes).unwrap();
    let report = inspect(&path, &InspectOptions::default(), &Touch(path.clone())).unwrap();
    assert!(
        report
            .findings
            .iter()
            .any(|f| f.code == Code::InUse && f.detail.contains("changed while it was read"))
    );
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let small = fixture("small-3.5.1/snapshot.db");
    let small = small.to_str().unwrap();
    for args in [
        &["inspect", small][..],
        &["inspect", "-w", "json", small],
        &["status", small],
        &["bolt", "page", small, "5"],
        &["completion", "bash"],
        &["man"],
        &["version"],
    ] {
        let mut child = command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = wait(child, "a reader that goes away");
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{args:?}");
    }
}

#[test]
fn an_answer_that_cannot_be_written_is_an_error_and_no_crash() {
    let small = fixture("small-3.5.1/snapshot.db");
    let full = || File::options().write(true).open("/dev/full").unwrap();
    let output =
        command([Path::new("inspect"), &small]).stdout(full()).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output: No space left on device"));
    // Nobody hears the messages, and that changes nothing.
    let status = command(["status", "/nowhere"]).stdout(Stdio::null()).stderr(full()).status().unwrap();
    assert_eq!(status.code(), Some(3));
}

#[test]
fn standard_input_that_is_no_database_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let text = Input::write(dir.path(), "text", b"apiVersion: v1\n");
    let mut piped = command(["status", "-"]);
    piped.stdin(File::open(&text.path).unwrap());
    run(piped).says(3, &["(standard input): is a text file"]);
    run(command(["status", "-"])).says(3, &["(standard input): is empty"]);
    let mut directory = command(["status", "-"]);
    directory.stdin(File::open(dir.path()).unwrap());
    run(directory).says(3, &["(standard input): Is a directory"]);
    text.unchanged();
}

#[test]
fn a_damaged_part_of_a_directory_leaves_the_rest_to_be_shown() {
    let dir = tempfile::tempdir().unwrap();
    let cold = unpack("3.5.1", "cold", dir.path());
    let db = cold.join("member/snap/db");
    let sound = fs::read(&db).unwrap();
    for (bytes, what) in
        [(&sound[..5000], "[file-too-short]"), (&[][..], "is empty (0 bytes)"), (b"text", "is a text file")]
    {
        fs::write(&db, bytes).unwrap();
        let input = Input::new(&cold);
        let run = coldbolt(["inspect", input.name()]);
        run.says(1, &["member/snap/db", what]);
        assert!(run.text().contains("WAL SEGMENT") && run.text().contains("RAFT SNAPSHOT"), "{run}");
        input.unchanged();
    }
    fs::remove_file(&db).unwrap();
    fs::create_dir(&db).unwrap();
    let run = coldbolt(["inspect", cold.to_str().unwrap()]);
    run.says(1, &["member/snap/db", "is a directory"]);
    assert!(run.text().contains("WAL SEGMENT"), "{run}");
}
