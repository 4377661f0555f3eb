//! What a program that uses the library writes: plain calls, no item that the documentation does not show.

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use coldbolt::etcd::KeyRange;
use coldbolt::etcd::datadir::{FileKind, Foreign};
use coldbolt::io::Source;
use coldbolt::ops::defrag::{DefragOptions, defrag};
use coldbolt::ops::fold::{FoldInMemoryOptions, fold_in_memory};
use coldbolt::ops::output::OutputForm;
use coldbolt::ops::restore::{Destination, RestoreOptions, restore};
use coldbolt::ops::seal::{seal, unseal};
use coldbolt::ops::verify::{Verdict, VerifyOptions, verify};
use coldbolt::ops::{CopyOptions, InspectOptions, RankOptions, copy, inspect, rank, status};
use coldbolt::store::{HashKvOptions, OwnedKeyValue, Store, StoreOptions, hashkv};
use coldbolt::words::cause::Cause;
use coldbolt::words::monitor::{Collect, Quiet};
use coldbolt::{Code, Error, Severity};

const SNAPSHOT: &str = "fixtures/etcd-3.7.1/snapshot.db";

/// A struct of a program's own that keeps a keyspace open.
struct Backup {
    store: Store<'static>,
}

impl Backup {
    fn open(path: &str) -> coldbolt::Result<Backup> {
        Ok(Backup { store: Store::open(path, &StoreOptions::default(), &Quiet)? })
    }

    fn under(&self, prefix: &[u8]) -> coldbolt::Result<Vec<OwnedKeyValue>> {
        self.store.at(None)?.items(KeyRange::prefix(prefix)).collect()
    }
}

#[test]
fn the_live_keys_under_a_prefix_are_listed_with_their_values() {
    let backup = Backup::open(SNAPSHOT).unwrap();
    let all = backup.under(b"/registry/configmaps/ns-0/").unwrap();
    assert!(!all.is_empty() && all.is_sorted_by(|a, b| a.key < b.key));
    let now = backup.store.at(None).unwrap();
    for kv in &all {
        assert_eq!(now.get(&kv.key).unwrap().as_ref(), Some(kv));
    }
    // What is deleted is told of who asks for it, and only then.
    let live = now.keys(KeyRange::all()).map(Result::unwrap).collect::<Vec<_>>();
    let stored = now.keys(KeyRange::all()).with_deleted().map(Result::unwrap).collect::<Vec<_>>();
    assert!(live.iter().all(|state| !state.deleted) && stored.iter().any(|state| state.deleted));
    assert_eq!(live, stored.into_iter().filter(|state| !state.deleted).collect::<Vec<_>>());
    assert_eq!(live.len() as u64, status(SNAPSHOT, &Quiet).unwrap().live_keys);
}

#[test]
fn a_backup_is_verified_and_its_findings_are_printed() {
    let good = verify(SNAPSHOT, &VerifyOptions::default(), &Quiet).unwrap();
    assert_eq!((good.verdict, good.worst), (Verdict::Good, None));

    let mut bytes = fs::read(SNAPSHOT).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    let (broken, heard) = (Source::from_bytes("broken.db", bytes), Collect::default());
    let bad = verify(&broken, &VerifyOptions::default(), &heard).unwrap();
    assert_eq!(bad.verdict, Verdict::Bad);
    let damage = bad.findings.iter().find(|finding| finding.severity == Severity::Damage).unwrap();
    assert_eq!(damage.code, Code::TrailerMismatch);
    assert!(damage.to_string().contains("broken.db"), "{damage}");
    assert_eq!(heard.into_findings(), bad.findings);
}

#[test]
fn a_backup_is_restored_and_what_was_restored_is_read() {
    let home = tempfile::tempdir().unwrap();
    let data_dir = home.path().join("data");
    let destination = Destination::Member {
        name: "a".to_owned(),
        advertised: "http://127.0.0.1:2380".to_owned(),
        data_dir: data_dir.clone(),
        wal_dir: None,
    };
    let options = RestoreOptions::new("a=http://127.0.0.1:2380", destination);
    let report = restore(SNAPSHOT, &options, &Quiet).unwrap();
    assert_eq!(report.revision, 106);
    let hash = |path: &Path| hashkv(path, &HashKvOptions::default(), &Quiet).unwrap();
    assert_eq!(hash(&data_dir.join("member/snap/db")), hash(Path::new(SNAPSHOT)));
    // There once: a second time is refused.
    assert!(matches!(restore(SNAPSHOT, &options, &Quiet), Err(Error::Refused(_))));
}

#[test]
fn a_directory_is_read_through_its_log_without_a_copy() {
    let home = tempfile::tempdir().unwrap();
    let data = support::unpack("3.6.14", "cold", home.path());
    let folded = fold_in_memory(&data, &FoldInMemoryOptions::default(), &Quiet).unwrap();
    let store = Store::open(&folded.source, &StoreOptions::default(), &Quiet).unwrap();
    let alone = Store::open(data.join("member/snap/db"), &StoreOptions::default(), &Quiet).unwrap();
    assert!(store.revision() >= alone.revision());
    assert_eq!(Some(store.revision()), folded.report.as_ref().map(|report| report.revision_after));
    let keys = store.at(None).unwrap().items(KeyRange::all()).collect::<coldbolt::Result<Vec<_>>>().unwrap();
    assert!(!keys.is_empty());
    folded.check_unchanged().unwrap();

    // As a file it is the same.
    let to = home.path().join("copy.db");
    copy(&data, &to, &CopyOptions::default(), &Quiet).unwrap();
    let copied = Store::open(to, &StoreOptions::default(), &Quiet).unwrap();
    assert_eq!(copied.at(None).unwrap().items(KeyRange::all()).map(Result::unwrap).collect::<Vec<_>>(), keys);
    assert_eq!(
        rank([&data], &RankOptions::default(), &Quiet).unwrap().members[0].revision,
        Some(store.revision())
    );
}

/// Why each verb cannot read an input.
fn causes(path: &Path) -> Vec<Cause> {
    let home = tempfile::tempdir().unwrap();
    let new = home.path().join("new");
    let cluster = "a=http://127.0.0.1:2380";
    let options = RestoreOptions {
        dry_run: true,
        ..RestoreOptions::new(cluster, Destination::All(home.path().join("all")))
    };
    let done: [(&str, coldbolt::Result<()>); 10] = [
        ("status", status(path, &Quiet).map(drop)),
        ("hashkv", hashkv(path, &HashKvOptions::default(), &Quiet).map(drop)),
        ("inspect", inspect(path, &InspectOptions::default(), &Quiet).map(drop)),
        ("verify", verify(path, &VerifyOptions::default(), &Quiet).map(drop)),
        ("store", Store::open(path, &StoreOptions::default(), &Quiet).map(drop)),
        ("copy", copy(path, &new, &CopyOptions::default(), &Quiet).map(drop)),
        ("restore", restore(path, &options, &Quiet).map(drop)),
        ("defrag", defrag(path, &DefragOptions::to(&new), &Quiet).map(drop)),
        ("seal", seal(path, &new, OutputForm::Clear, &Quiet).map(drop)),
        ("unseal", unseal(path, &new, &Quiet).map(drop)),
    ];
    let cause = |(verb, done)| match done {
        Err(Error::Unreadable { path: named, cause }) => {
            assert_eq!(named, path, "{verb}");
            cause
        }
        other => panic!("{verb}: {other:?}"),
    };
    let causes = done.into_iter().map(cause).collect();
    assert!(!new.exists());
    causes
}

#[test]
fn why_an_input_cannot_be_read_is_told_apart_by_types() {
    let home = tempfile::tempdir().unwrap();
    for cause in causes(&home.path().join("missing.db")) {
        assert!(matches!(&cause, Cause::Io(error) if error.kind() == ErrorKind::NotFound), "{cause:?}");
    }
    for cause in causes(Path::new("README.md")) {
        let text = Cause::NotThis {
            is: FileKind::Foreign(Foreign::Text),
            due: FileKind::Bolt,
            len: fs::metadata("README.md").unwrap().len(),
        };
        assert_eq!(cause.to_string(), text.to_string());
        assert!(
            matches!(cause, Cause::NotThis { is: FileKind::Foreign(Foreign::Text), due: FileKind::Bolt, .. }),
            "{cause:?}"
        );
    }
    let secret = home.path().join("secret.db");
    fs::copy(SNAPSHOT, &secret).unwrap();
    fs::set_permissions(&secret, Permissions::from_mode(0o000)).unwrap();
    // Nobody is kept from anything who may do everything.
    if fs::File::open(&secret).is_err() {
        for cause in causes(&secret) {
            assert!(
                matches!(&cause, Cause::Io(error) if error.kind() == ErrorKind::PermissionDenied),
                "{cause:?}"
            );
        }
    }
}
