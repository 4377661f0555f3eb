//! The reports of `verify` against their schemas: SARIF 2.1.0 of OASIS, JUnit of Jenkins' xUnit plugin, Prometheus'
//! own parser. Without `tests/peers/setup.sh` there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use support::backup::Backup;
use support::{Run, coldbolt_in, peers, unpack};

/// Good and bad files and names, and every kind of rule result.
fn reports(dir: &Path) {
    Backup::of(3).write(&dir.join("good.db"));
    Backup { trailer: false, ..Backup::of(3) }.write(&dir.join("bare.db"));
    Backup { alarm: true, compaction: Some(2), member: "a<&\"'\u{1b}\u{7}\u{fffe}", ..Backup::of(3) }
        .write(&dir.join("alarm.db"));
    let mut bad = Backup::of(30).bytes();
    for at in (8192..bad.len()).step_by(100) {
        bad[at] ^= 0x55;
    }
    for name in [&b"bad.db"[..], b"a b:<&\"'\\%\x1b\n\xff|.db"] {
        fs::write(dir.join(std::ffi::OsString::from_vec(name.to_vec())), &bad).unwrap();
    }
    fs::write(dir.join("text"), "hello").unwrap();
    fs::create_dir(dir.join("cluster")).unwrap();
    unpack("3.5.1", "cold", &dir.join("cluster"));
    let absolute = dir.join("good.db");
    let rules = [
        "--min-revision",
        "4",
        "--max-revision",
        "3",
        "--cluster-id",
        "1",
        "--members",
        "x",
        "--max-age",
        "1h",
        "--no-alarms",
        "--require-prefix",
        "</\"\\\u{1b}\n>>=3",
        "--require-prefix",
        "/k/",
        "--no-pending-compaction",
        "--max-fragmentation",
        "5",
    ];
    let inputs = [".", "cluster/cold", "none.db", "good.db", absolute.to_str().unwrap()];
    for (run, args) in [&["-w", "json"][..], &rules].into_iter().enumerate() {
        let outputs = ["junit", "sarif", "prometheus"]
            .map(|kind| [format!("--{kind}"), format!("cluster/{run}.{kind}")]);
        let outputs: Vec<&str> = outputs.iter().flatten().map(String::as_str).collect();
        let output = coldbolt_in(dir, [&["verify"], &inputs[..], args, &outputs].concat());
        assert_eq!(output.code, 1, "{}", output.err);
    }
}

fn check(kind: &str, file: &Path) -> Option<Run> {
    let schemas = peers::find("reports/sarif-2.1.0.json")?.parent()?.to_path_buf();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/check-report.py");
    let mut python = Command::new("python3");
    python.env("PYTHONPATH", schemas.join("lib")).env("SCHEMAS", schemas).arg(script).arg(kind).arg(file);
    Some(Run::of(python))
}

fn holds(kind: &str, breaks: &[(&str, &str)]) {
    let dir = tempfile::tempdir().unwrap();
    reports(dir.path());
    for run in 0..2 {
        let file = dir.path().join(format!("cluster/{run}.{kind}"));
        let Some(output) = check(kind, &file) else { return };
        assert_eq!(output.code, 0, "{kind}: {output}");
        // The check can fail: the report with one thing wrong is refused.
        let text = fs::read_to_string(&file).unwrap();
        for (good, bad) in breaks {
            assert!(text.contains(good), "{kind}: no {good}");
            fs::write(&file, text.replacen(good, bad, 1)).unwrap();
            assert_ne!(check(kind, &file).unwrap().code, 0, "{kind}: {bad} passes");
        }
    }
}

#[test]
fn sarif_is_valid() {
    holds(
        "sarif",
        &[
            ("\"version\": \"2.1.0\"", "\"version\": \"2.1\""),
            ("\"ruleId\"", "\"rule\""),
            ("\"byteOffset\": ", "\"byteOffset\": -"),
            ("\"uri\": \"", "\"uri\": \"a b"),
            ("\"level\": \"error\"", "\"level\": \"damage\""),
        ],
    );
}

#[test]
fn junit_is_valid() {
    holds(
        "junit",
        &[
            ("<testcase classname=", "<testcase file=\"x\" classname="),
            (" failures=\"", " failure=\""),
            ("&lt;", "<"),
            ("<testsuite name=", "<testsuite name=\"\u{1b}\" title="),
        ],
    );
}

#[test]
fn prometheus_text_is_valid() {
    holds(
        "prometheus",
        &[
            ("coldbolt_verify_revision{path=\"good.db\"} ", "coldbolt_verify_revision{path=\"good.db} "),
            ("coldbolt_verify_keys{path=\"good.db\"} ", "coldbolt_verify_revision{path=\"good.db\"} "),
            ("# TYPE coldbolt_verify_success gauge", "# TYPE coldbolt_verify_success gage"),
        ],
    );
}
