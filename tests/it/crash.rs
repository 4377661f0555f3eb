//! A destination is absent or complete, whatever step the writer dies at.

use std::fs;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use coldbolt::io::Source;
use coldbolt::io::dest::dir::{Step, Steps};
use coldbolt::ops::restore::{Destination, RestoreOptions, restore_with};
use coldbolt::words::monitor::Quiet;

use support::peers::strace;
use support::run::binary;
use support::{Input, coldbolt, fixture};

const CLUSTER: &str = "a=http://127.0.0.1:1,b=http://127.0.0.1:2";

fn options(destination: Destination) -> RestoreOptions {
    RestoreOptions { token: "t".to_owned(), ..RestoreOptions::new(CLUSTER, destination) }
}

/// Every file and directory below, sorted.
fn tree(dir: &Path) -> Vec<PathBuf> {
    let (mut dirs, mut all) = (vec![dir.to_path_buf()], Vec::new());
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort();
    all
}

/// Restores again and again; the n-th time the n-th step fails. `whole` tells what the directory `home` holds
/// afterwards.
fn dies_everywhere(home: &Path, destination: &Destination, finals: &[PathBuf], files: &[&str]) {
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let source = Source::open(&input.path).unwrap();
    let before = tree(home);
    for fatal in 0.. {
        let seen = Mutex::new((0, Vec::new()));
        // What is there at each step is what a kill at that step leaves, but for the step's own effect.
        let hook = |step: Step, _: &Path| {
            let mut seen = seen.lock().unwrap();
            for path in finals.iter().filter(|path| path.exists()) {
                let missing = files.iter().find(|file| path.is_dir() && !path.join(file).is_file());
                assert!(
                    missing.is_none() || path.file_name().is_some_and(|n| n == "log"),
                    "{} lacks {missing:?}",
                    path.display()
                );
            }
            let now = seen.0;
            seen.0 += 1;
            seen.1.push(step);
            if now == fatal { Err(Error::from(ErrorKind::StorageFull)) } else { Ok(()) }
        };
        let done = restore_with(&source, &options(destination.clone()), &Steps::hooked(&hook), &Quiet);
        let steps = seen.into_inner().unwrap().1;
        match done {
            Ok(_) => {
                assert!(fatal > 15 && steps.len() == fatal, "{fatal} steps: {steps:?}");
                for kind in [Step::Create, Step::Write, Step::Sync, Step::Rename] {
                    assert!(steps.contains(&kind), "{kind:?}");
                }
                assert!(finals.iter().all(|path| path.exists()));
                break;
            }
            Err(coldbolt::Error::Output { .. }) => {
                assert_eq!(tree(home), before, "step {fatal}, {:?}", steps.last())
            }
            Err(other) => panic!("step {fatal}: {other}"),
        }
    }
    input.unchanged();
}

#[test]
fn one_member_is_restored_whole_or_not_at_all() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("made/data");
    let destination = member(&data_dir, None);
    let files = [
        "member/snap/db",
        "member/snap/0000000000000001-0000000000000002.snap",
        "member/wal/0000000000000000-0000000000000000.wal",
    ];
    dies_everywhere(temp.path(), &destination, &[data_dir], &files);
}

#[test]
fn an_empty_directory_that_is_there_stays_there_and_empty() {
    let temp = tempfile::tempdir().unwrap();
    let data_dir = temp.path().join("data");
    fs::create_dir(&data_dir).unwrap();
    let files = [
        "snap/db",
        "snap/0000000000000001-0000000000000002.snap",
        "wal/0000000000000000-0000000000000000.wal",
    ];
    dies_everywhere(temp.path(), &member(&data_dir, None), &[data_dir.join("member")], &files);
}

#[test]
fn a_log_elsewhere_goes_with_its_database() {
    let temp = tempfile::tempdir().unwrap();
    let (data_dir, log) = (temp.path().join("data"), temp.path().join("log"));
    let files = ["member/snap/db", "member/snap/0000000000000001-0000000000000002.snap"];
    dies_everywhere(temp.path(), &member(&data_dir, Some(&log)), &[data_dir, log.clone()], &files);
    assert!(log.join("0000000000000000-0000000000000000.wal").is_file());
}

/// With the log alone etcd would begin an empty cluster, without it one that counts anew. What it finds instead is a
/// first segment at which each version panics (cannot use none as id).
#[test]
fn whoever_is_killed_between_data_and_log_leaves_none_that_etcd_starts_from_and_the_next_run_says_or_does_what_is_due()
 {
    if strace().is_none() {
        return;
    }
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    // At each of the calls that bring it to its place: log, data, the log's name.
    for (n, at) in ["renameat2:signal=KILL:when=1", "renameat2:signal=KILL:when=2", "rename:signal=KILL"]
        .iter()
        .enumerate()
    {
        let home = tempfile::tempdir().unwrap();
        let (data, log) = (home.path().join("data"), home.path().join("log"));
        let place = |path: &Path| path.to_str().unwrap().to_owned();
        let (data_dir, wal_dir) = (place(&data), place(&log));
        let args = ["restore", input.name(), "--data-dir", &data_dir, "--wal-dir", &wal_dir];
        let mut command = strace().unwrap();
        command.args(["-e", "trace=rename,renameat2", "-e", &format!("inject={at}")]);
        command.arg("-o").arg(home.path().join("calls")).arg(binary()).args(args);
        assert!(!command.output().unwrap().status.success(), "{at}");
        assert_eq!((log.exists(), data.exists()), (n > 0, n > 1), "{at}");
        if n > 0 {
            assert_eq!(fs::read(log.join("0000000000000000-0000000000000000.wal")).unwrap(), b"\n", "{at}");
        }
        if n > 1 {
            let verified = coldbolt(["verify", &data_dir, "--wal-dir", &wal_dir]);
            assert_eq!(verified.code, 1, "{verified}");
            coldbolt(args).says(1, &["data-dir", "not empty"]);
            fs::remove_dir_all(&data).unwrap();
        }
        coldbolt(args).says(0, &["was left by a run that died, and is removed"]);
        let verified = coldbolt(["verify", &data_dir, "--wal-dir", &wal_dir]);
        assert_eq!(verified.code, 0, "{verified}");
    }
    input.unchanged();
}

#[test]
fn all_members_are_restored_or_none() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("all");
    let files =
        ["a/member/snap/db", "b/member/snap/db", "b/member/wal/0000000000000000-0000000000000000.wal"];
    dies_everywhere(temp.path(), &Destination::All(dir.clone()), &[dir], &files);
}

/// What is at the place of the `.partial` and has no lock file is of no run of ours: it is named, and stays.
#[test]
fn a_partial_directory_of_no_run_of_ours_is_reported_and_never_used() {
    let temp = tempfile::tempdir().unwrap();
    let source = Source::open(&fixture("small-3.5.1/snapshot.db")).unwrap();
    for (there, left) in [(false, "data.partial"), (true, "data/member.partial")] {
        let data_dir = temp.path().join("data");
        let left = temp.path().join(left);
        if there {
            fs::create_dir(&data_dir).unwrap();
        }
        fs::create_dir(&left).unwrap();
        fs::write(left.join("half"), "x").unwrap();
        let hook = |step: Step, path: &Path| -> std::io::Result<()> { panic!("{step:?} {}", path.display()) };
        let error = restore_with(&source, &options(member(&data_dir, None)), &Steps::hooked(&hook), &Quiet)
            .unwrap_err();
        assert!(error.to_string().contains(left.to_str().unwrap()), "{error}");
        assert_eq!(fs::read(left.join("half")).unwrap(), b"x");
        fs::remove_dir_all(&left).unwrap();
    }
}

fn member(data_dir: &Path, wal_dir: Option<&Path>) -> Destination {
    Destination::Member {
        name: "a".to_owned(),
        advertised: "http://127.0.0.1:1".to_owned(),
        data_dir: data_dir.to_path_buf(),
        wal_dir: wal_dir.map(Path::to_path_buf),
    }
}
