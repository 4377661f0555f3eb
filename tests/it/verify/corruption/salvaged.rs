//! What is salvaged of the files in which a rule is broken: no value that was not there, and of a tree that is broken all
//! that its other pages hold.

use std::collections::BTreeMap;
use std::fs;

use coldbolt::Error;
use coldbolt::etcd::BucketKey;
use coldbolt::io::Source;
use coldbolt::ops::salvage::{SalvageOptions, salvage};
use coldbolt::words::monitor::Quiet;
use support::buckets::Buckets;
use support::content::{Items, content};
use support::image::Image;

use super::{Break, all};

/// The revisions of a database, as far as it can be read.
fn rows(dir: &std::path::Path, bytes: &[u8]) -> Items {
    let path = dir.join("good.db");
    fs::write(&path, bytes).unwrap();
    content(&path).remove(b"key".as_slice()).unwrap_or_default()
}

#[test]
fn of_each_broken_file_that_is_etcds_what_is_salvaged_was_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let (mut kept, mut wrong) = (BTreeMap::new(), Vec::new());
    for (n, entry) in all().iter().enumerate() {
        let (good, broken) = match &entry.how {
            Break::Snapshot(change) | Break::Raw(change) => {
                let (good, mut image) = (Image::pristine(), Image::pristine());
                change(&mut image);
                (good.bytes, image.bytes)
            }
            Break::Store(change) => {
                let mut buckets = Buckets::good();
                change(&mut buckets);
                (Buckets::good().file().bytes, buckets.file().bytes)
            }
            _ => continue,
        };
        let is_store = matches!(entry.how, Break::Store(_));
        let due = rows(dir.path(), &good);
        let out = dir.path().join(format!("{n}.db"));
        let options = SalvageOptions { include_uncertain: true, ..SalvageOptions::default() };
        let source = Source::from_bytes("broken.db", broken);
        let what = format!("{}: {}", entry.code, entry.what);
        match salvage(&source, &out, &options, &mut |_| Ok(()), &Quiet) {
            Ok(_) => {
                let made = content(&out).remove(b"key".as_slice()).unwrap();
                let same = made.iter().filter(|(row, value)| due.get(*row) == Some(value)).count();
                // In a store something else was stored.
                if !is_store && same < made.len() {
                    let other = made.iter().find(|(row, value)| due.get(*row) != Some(value)).unwrap().0;
                    wrong.push(format!("{what}: {:?}", BucketKey::parse(other).unwrap().revision));
                }
                kept.insert(what, (same, due.len()));
            }
            Err(Error::Unreadable { .. }) => drop(kept.insert(what, (0, due.len()))),
            Err(error) => wrong.push(format!("{what}: {error}")),
        }
    }
    let all = |(kept, due): &&(usize, usize)| kept == due;
    println!("{} of {} files: all revisions", kept.values().filter(all).count(), kept.len());
    assert!(kept.len() > 60, "{}", kept.len());
    assert_eq!(wrong, Vec::<String>::new(), "{kept:#?}");
}
