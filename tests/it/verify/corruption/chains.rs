//! Increments of etcd-backup-restore.

use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::Code;
use coldbolt::ops::verify::{Verification, verify};
use coldbolt::words::monitor::Quiet;

use super::{Break, Due, Entry, due, entry, nowhere, options};
use crate::chain::chain;

/// What `verify` says of a chain that was changed: of its files the full snapshot is the first. Of a lease that was
/// granted after that only the file of the key that has it tells.
fn changed(code: Code, change: impl FnOnce(&Path, &[PathBuf])) -> (Verification, Vec<Due>) {
    let dir = tempfile::tempdir().unwrap();
    let files = chain(dir.path());
    change(dir.path(), &files);
    let mut dues = vec![due(code, nowhere())];
    let report = verify(&files[0], &options(), &Quiet).unwrap();
    if code != Code::IncrementGap {
        dues.push(due(Code::LeaseMissing, nowhere()));
    }
    (report, dues)
}

pub fn entries() -> Vec<Entry> {
    use Break::Other;
    vec![
        entry(
            Code::IncrementInvalid,
            "a byte of the last increment, which is packed in gzip, is another one",
            Other(|| {
                changed(Code::IncrementInvalid, |_, files| {
                    let mut bytes = fs::read(&files[4]).unwrap();
                    let middle = bytes.len() / 2;
                    bytes[middle] ^= 1;
                    fs::write(&files[4], bytes).unwrap();
                })
            }),
        ),
        entry(
            Code::IncrementGap,
            "the second of four increments is not there",
            Other(|| changed(Code::IncrementGap, |_, files| fs::remove_file(&files[2]).unwrap())),
        ),
        entry(
            Code::IncrementGap,
            "the last increment is named as if it went on",
            Other(|| {
                let (report, mut dues) = changed(Code::IncrementGap, |dir, files| {
                    let name = files[4].file_name().unwrap().to_str().unwrap();
                    fs::rename(&files[4], dir.join(name.replace("-00000017-1", "-00000018-1"))).unwrap();
                });
                dues.push(due(Code::LeaseMissing, nowhere()));
                (report, dues)
            }),
        ),
        entry(
            Code::IncrementName,
            "the last increment is named as if it began earlier",
            Other(|| {
                changed(Code::IncrementName, |dir, files| {
                    let name = files[4].file_name().unwrap().to_str().unwrap();
                    fs::rename(
                        &files[4],
                        dir.join(name.replace("-00000017-00000017-", "-00000016-00000017-")),
                    )
                    .unwrap();
                })
            }),
        ),
    ]
}
