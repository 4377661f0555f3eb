//! A database file: verify makes an end, and its words and its verdict agree. The meta pages are made to fit first,
//! so that what lies behind them is reached.
#![no_main]

use coldbolt::Severity;
use coldbolt::codec::checksum::sha256;
use coldbolt::io::Source;
use coldbolt::ops::verify::{Verdict, VerifyOptions, verify};
use coldbolt::words::monitor::Quiet;
use coldbolt_fuzz::fit_meta_pages;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut bytes = data.to_vec();
    // Every eighth input keeps its checksums.
    if data.len() % 8 != 7 {
        fit_meta_pages(&mut bytes);
    }
    if bytes.len() % 512 == 32 {
        let payload = bytes.len() - 32;
        let digest = sha256(&bytes[..payload]);
        bytes[payload..].copy_from_slice(&digest);
    }
    let source = Source::from_bytes("file.db", bytes);
    for max_findings in [0, 1000] {
        let options = VerifyOptions { max_findings, ..VerifyOptions::default() };
        let Ok(report) = verify(&source, &options, &Quiet) else { return };
        let damage = report.findings.iter().any(|finding| finding.severity == Severity::Damage);
        assert!(!damage || report.verdict == Verdict::Bad);
        assert!(
            max_findings == 0
                || report.finding_counts.keys().all(|code| report.findings.iter().any(|f| f.code == *code))
        );
        for finding in &report.findings {
            drop(finding.to_string());
        }
    }
});
