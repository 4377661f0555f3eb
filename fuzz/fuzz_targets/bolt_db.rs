//! A database: whatever its bytes say, every reader ends, and they agree on whether it is sound.
//!
//! A changed meta page hardly ever keeps its checksum, so the checksums are made to hold first: what matters lies
//! behind them.
#![no_main]

use std::sync::atomic::{AtomicBool, Ordering};

use coldbolt::codec::checksum::fnv1a64;
use coldbolt::io::Source;
use coldbolt::ops::inspect;
use coldbolt::ops::{InspectOptions, status};
use coldbolt::store::hashkv;
use coldbolt::store::hashkv::HashKvOptions;
use coldbolt::words::finding::{Code, Finding};
use coldbolt::words::monitor::{Monitor, Quiet};
use coldbolt::{Error, Severity};

#[derive(Default)]
struct Heard(AtomicBool);

impl Monitor for Heard {
    fn finding(&self, finding: Finding) {
        drop(finding.to_string());
        self.0.fetch_or(finding.severity == Severity::Damage, Ordering::Relaxed);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let source = Source::from_bytes("fuzz.db", with_good_metas(data.to_vec()));
    let heard = Heard::default();
    let stated = status(&source, &heard);
    let sound = stated.is_ok() && !heard.0.load(Ordering::Relaxed);
    let options = InspectOptions { hash: true, max_findings: 3 };
    let inspected = inspect(&source, &options, &Heard::default());
    let hashed = hashkv(&source, &HashKvOptions::default(), &Heard::default());
    if let (Ok(report), Ok(stated)) = (&inspected, &stated) {
        let database = report.database.as_ref().unwrap();
        let damage = report
            .findings
            .iter()
            .filter(|f| f.severity == Severity::Damage && f.code != Code::TrailerMismatch)
            .count();
        assert_eq!(damage == 0, sound, "{:?}", report.findings);
        if let Some(etcd) = &database.etcd {
            assert_eq!(
                (etcd.live_keys, etcd.last_revision.map_or(0, |r| r.main)),
                (stated.live_keys, stated.revision)
            );
        }
        // What is sound for one reader is sound for all.
        if sound && database.etcd.is_some() {
            assert!(matches!(hashed, Ok(_) | Err(Error::Refused(_))), "{hashed:?}");
        }
        drop(serde_json::to_string(report).unwrap());
    }
    let _ = hashkv(&source, &HashKvOptions { revision: Some(1), compact_revision: Some(1) }, &Quiet);
});

fn with_good_metas(mut bytes: Vec<u8>) -> Vec<u8> {
    let word = |bytes: &[u8], at: usize| {
        bytes.get(at..at + 4).map(|word| u32::from_le_bytes(word.try_into().unwrap()))
    };
    if word(&bytes, 16) != Some(0xED0C_DAED) {
        return bytes;
    }
    let second = word(&bytes, 24).filter(|size| (1024..=65536).contains(size)).unwrap_or(4096) as usize;
    for meta in [0, second] {
        if let Some(body) = bytes.get_mut(meta + 16..meta + 80) {
            let checksum = fnv1a64(&body[..56]);
            body[56..].copy_from_slice(&checksum.to_le_bytes());
        }
    }
    bytes
}
