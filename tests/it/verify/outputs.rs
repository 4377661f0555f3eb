//! What `verify` leaves for other programs, and its exit codes. tests/interop_reports.rs holds the reports against
//! their schemas.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::Command;

use coldbolt::codec::checksum::{crc32c, hex, sha256};
use serde_json::Value;

use support::backup::{Backup, verify};
use support::run::run;
use support::{binary, coldbolt_in};

/// `good.db`, `bad.db` (a byte of a value flipped), `bare.db` (no trailer), `text` (nothing of etcd's).
fn files() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    Backup::of(3).write(&dir.path().join("good.db"));
    let mut bad = Backup::of(3).bytes();
    let at = bad.windows(5).position(|w| w == b"value").unwrap();
    bad[at] ^= 1;
    fs::write(dir.path().join("bad.db"), bad).unwrap();
    Backup { trailer: false, ..Backup::of(3) }.write(&dir.path().join("bare.db"));
    fs::write(dir.path().join("text"), "hello").unwrap();
    dir
}

/// The content of every file, to prove that nothing was written.
fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let files = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    files
        .filter(|f| f.is_file())
        .map(|f| (f.file_name().unwrap().to_string_lossy().into_owned(), fs::read(&f).unwrap()))
        .collect()
}

const REPORTS: [&str; 8] =
    ["--junit", "out.xml", "--sarif", "out.sarif", "--markdown", "out.md", "--prometheus", "out.prom"];

#[test]
fn exit_codes_say_how_it_ended() {
    let dir = files();
    let before = contents(dir.path());
    for (args, due) in [
        (&["good.db"][..], 0),
        (&["bad.db"], 1),
        (&["bad.db", "text"], 1),
        (&["good.db", "--min-revision", "100"], 1),
        (&["--nonsense"], 2),
        (&["good.db", "--policy", "none.toml"], 2),
        (&["good.db", "--ndjson", "-w", "json"], 2),
        (&["good.db", "--junit", "none/out.xml"], 3),
        (&["good.db", "--junit", "/dev/null"], 2),
        (&["text"], 3),
        (&["none.db"], 3),
        (&["good.db", "none.db"], 3),
        (&["good.db", "--check-manifest", "none.json"], 3),
        (&["good.db", "--check-manifest", "text"], 3),
        (&["bare.db"], 4),
        (&["bare.db", "good.db"], 4),
        (&["bare.db", "--strict"], 1),
        (&["good.db", "--strict"], 0),
        (&["text", "--strict"], 3),
        (&["bare.db", "--strict", "--trailer", "optional"], 0),
    ] {
        let output = coldbolt_in(dir.path(), [&["verify"], args].concat());
        assert_eq!(output.code, due, "{args:?}: {}", output.err);
    }
    assert_eq!(contents(dir.path()), before, "an input changed");
}

#[test]
fn reports_are_written_whatever_the_verdict_and_replace_those_of_the_last_run() {
    let dir = files();
    for input in [&["good.db"][..], &["bad.db", "bare.db"], &["none.db"], &["text", "good.db"]] {
        for (_, file) in REPORTS.chunks(2).map(|pair| (pair[0], pair[1])) {
            fs::write(dir.path().join(file), "of the last run").unwrap();
        }
        coldbolt_in(dir.path(), [&["verify"], input, &REPORTS].concat());
        let now = contents(dir.path());
        for file in ["out.xml", "out.sarif", "out.md", "out.prom"] {
            let text = String::from_utf8(now[file].clone()).unwrap();
            assert!(!text.contains("of the last run"), "{file}");
            input.iter().for_each(|name| assert!(text.contains(name), "{file} does not name {name}: {text}"));
        }
        assert!(!now.keys().any(|name| name.ends_with(".partial")), "{:?}", now.keys());
    }
}

#[test]
fn no_report_costs_a_file() {
    let dir = files();
    fs::create_dir(dir.path().join("sub")).unwrap();
    fs::hard_link(dir.path().join("good.db"), dir.path().join("link")).unwrap();
    fs::write(dir.path().join("p.toml"), "min-revision = 1").unwrap();
    fs::write(dir.path().join("old.json"), "evidence").unwrap();
    let before = contents(dir.path());
    for (args, due) in [
        (&["--junit", "good.db"][..], "is an input"),
        (&["--sarif", "sub/../good.db"], "is an input"),
        (&["--prometheus", "link"], "is an input"),
        (&["--policy", "p.toml", "--markdown", "p.toml"], "is an input"),
        (&["--markdown", "bare.db"], "of etcd's"),
        (&["--junit", "x", "--sarif", "./x"], "for two reports"),
        (&["--junit", "sub"], "not a regular file"),
        (&["--manifest", "old.json"], "never overwritten"),
    ] {
        let output = coldbolt_in(dir.path(), [&["verify", "good.db"], args].concat());
        let code = if args[0] == "--manifest" { 1 } else { 2 };
        assert_eq!((output.code, output.out.len()), (code, 0), "{args:?}");
        assert!(output.err.contains(due), "{args:?}: {}", output.err);
    }
    assert_eq!(contents(dir.path()), before);
}

#[test]
fn ndjson_is_findings_and_then_the_verdict() {
    let dir = files();
    let output =
        coldbolt_in(dir.path(), ["verify", "bad.db", "bare.db", "text", "--ndjson", "--min-revision", "1"]);
    let lines: Vec<Value> = output.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<&str> = lines.iter().map(|l| l["type"].as_str().unwrap()).collect();
    assert_eq!((output.code, kinds), (1, vec!["finding", "finding", "unreadable", "verdict"]));
    assert_eq!(
        (&lines[0]["code"], &lines[1]["code"]),
        (&Value::from("trailer-mismatch"), &Value::from("trailer-absent"))
    );
    assert_eq!(lines[2]["path"], "text");
    // The last line is the JSON answer without the findings.
    let (_, mut answer) = verify(dir.path(), &["bad.db", "bare.db", "text", "--min-revision", "1"]);
    for file in answer["files"].as_array_mut().unwrap() {
        file.as_object_mut().unwrap().remove("findings");
    }
    let mut last = lines[3].clone();
    assert_eq!(last.as_object_mut().unwrap().remove("type"), Some(Value::from("verdict")));
    assert_eq!(last, answer);
    // Whoever reads one line has read enough.
    let sh = "\"$1\" verify bad.db --ndjson | head -n 1; exit ${PIPESTATUS[0]}";
    let mut bash = Command::new("bash");
    bash.current_dir(dir.path()).args(["-c", sh, "bash"]).arg(binary());
    let bash = run(bash);
    assert!([0, 1].contains(&bash.code), "{}", bash.err);
}

#[test]
fn junit_has_a_test_for_each_level_and_rule() {
    let dir = files();
    let rules = ["--min-revision", "100", "--cluster-id", "1", "--require-prefix", "<\"&'>"];
    coldbolt_in(
        dir.path(),
        [&["verify", "bad.db", "bare.db", "none.db", "--junit", "out.xml"], &rules[..]].concat(),
    );
    let xml = fs::read_to_string(dir.path().join("out.xml")).unwrap();
    let lines: Vec<&str> = xml.lines().map(str::trim).collect();
    for due in [
        r#"<testsuites name="coldbolt verify" tests="19" failures="6" errors="4" time=""#,
        r#"<testsuite name="bad.db" tests="9" failures="4" errors="1" skipped="1" time=""#,
        r#"<testsuite name="bare.db" tests="9" failures="2" errors="2" skipped="1" time=""#,
        r#"<testsuite name="none.db" tests="1" failures="0" errors="1" skipped="0" time=""#,
        r#"<testcase classname="bad.db" name="level pages"/>"#,
        r#"<failure type="damage" message="SHA-256 of "#,
        r#"<error type="inconclusive" message="no trailer to compare with">"#,
        r#"<failure type="policy" message="the revision is 4, at least 100 is due">"#,
        r#"<testcase classname="bare.db" name="policy required &lt;\&quot;&amp;\&apos;&gt;">"#,
        r#"<error type="unreadable" message="none.db: No such file or directory (os error 2)">"#,
    ] {
        assert!(lines.iter().any(|line| line.starts_with(due)), "no {due} in {xml}");
    }
    assert!(xml.contains("[trailer-mismatch]\n</failure>"), "{xml}");
}

#[test]
fn sarif_has_a_rule_for_each_result_and_the_byte() {
    let dir = files();
    let path = dir.path().join("bad.db");
    let args = [
        "verify",
        path.to_str().unwrap(),
        "bare.db",
        "none.db",
        "--sarif",
        "out.sarif",
        "--min-revision",
        "100",
        "--cluster-id",
        "1",
    ];
    coldbolt_in(dir.path(), args);
    let log: Value = serde_json::from_slice(&fs::read(dir.path().join("out.sarif")).unwrap()).unwrap();
    let run = &log["runs"][0];
    let rules: Vec<&str> = run["tool"]["driver"]["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| r["id"].as_str().unwrap())
        .collect();
    assert_eq!(rules, ["trailer-mismatch", "trailer-absent", "policy/min-revision", "policy/cluster-id"]);
    let results = run["results"].as_array().unwrap();
    let brief: Vec<_> =
        results.iter().map(|r| (r["ruleId"].as_str().unwrap(), r["level"].as_str().unwrap())).collect();
    let policy = [("policy/min-revision", "error"), ("policy/cluster-id", "none")];
    assert_eq!(
        brief,
        [&[("trailer-mismatch", "error")][..], &policy, &[("trailer-absent", "note")], &policy].concat()
    );
    let place = &results[0]["locations"][0]["physicalLocation"];
    assert_eq!(place["artifactLocation"]["uri"], format!("file://{}", path.display()));
    assert_eq!(place["region"]["byteOffset"], u64::try_from(Backup::of(3).bytes().len() - 32).unwrap());
    assert_eq!(run["invocations"][0]["executionSuccessful"], false);
    assert!(
        run["invocations"][0]["toolExecutionNotifications"][0]["message"]["text"]
            .as_str()
            .unwrap()
            .contains("none.db")
    );
    let help = run["tool"]["driver"]["rules"][0]["help"]["text"].as_str().unwrap();
    assert!(
        help.contains(coldbolt::Code::TrailerMismatch.remedy())
            && help.contains(coldbolt::Code::TrailerMismatch.etcd()),
        "{help}"
    );
}

#[test]
fn prometheus_has_each_series_once() {
    let dir = files();
    let rules = ["--min-revision", "100", "--cluster-id", "1", "--require-prefix", "a\"b\\c"];
    coldbolt_in(
        dir.path(),
        [
            &["verify", "bad.db", "./bad.db", "bad.db", "bare.db", "none.db", "--prometheus", "out.prom"],
            &rules[..],
        ]
        .concat(),
    );
    let text = fs::read_to_string(dir.path().join("out.prom")).unwrap();
    for due in [
        "coldbolt_verify_success{path=\"bad.db\"} 0",
        "coldbolt_verify_success{path=\"none.db\"} 0",
        "coldbolt_verify_revision{path=\"bad.db\"} 4",
        "coldbolt_verify_keys{path=\"bad.db\"} 3",
        "coldbolt_verify_level{path=\"bad.db\",level=\"bytes\"} 0",
        "coldbolt_verify_level{path=\"bare.db\",level=\"bytes\"} NaN",
        "coldbolt_verify_verdict{path=\"none.db\",verdict=\"unreadable\"} 1",
        "coldbolt_verify_findings{path=\"bad.db\",code=\"trailer-mismatch\",severity=\"damage\"} 1",
        "coldbolt_verify_check{path=\"bad.db\",id=\"min-revision\",keys=\"\",severity=\"error\"} 0",
        "coldbolt_verify_check{path=\"bad.db\",id=\"cluster-id\",keys=\"\",severity=\"error\"} NaN",
        "coldbolt_verify_check{path=\"bad.db\",id=\"required\",keys=\"a\\\\\\\"b\\\\\\\\c\",severity=\"error\"} 0",
    ] {
        assert_eq!(text.lines().filter(|line| *line == due).count(), 1, "{due} in {text}");
    }
    let series: Vec<&str> =
        text.lines().filter(|l| !l.starts_with('#')).map(|l| l.rsplit_once(' ').unwrap().0).collect();
    let mut once = series.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), series.len());
    coldbolt_in(dir.path(), ["verify", "good.db", "--prometheus", "out.prom"]);
    assert!(
        fs::read_to_string(dir.path().join("out.prom"))
            .unwrap()
            .contains("coldbolt_verify_success{path=\"good.db\"} 1\n")
    );
}

#[test]
fn markdown_says_what_was_checked_and_what_to_do() {
    let dir = files();
    coldbolt_in(dir.path(), ["verify", "bad.db", "none.db", "--markdown", "out.md", "--min-revision", "100"]);
    let text = fs::read_to_string(dir.path().join("out.md")).unwrap();
    for due in [
        "## coldbolt verify: 0 good, 1 bad, 0 inconclusive, 1 unreadable",
        "### ❌ bad.db",
        "| level pages | passed |",
        "| level bytes | FAILED |",
        "| policy min-revision | BROKEN | the revision is 4, at least 100 is due |",
        "| trailer-mismatch | damage | bad.db: byte ",
        "- trailer-mismatch: Take another copy",
        "- ❌ none.db: ",
    ] {
        assert!(text.contains(due), "no {due} in {text}");
    }
}

/// CRC-32 (IEEE), bit by bit.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(!0u32, |crc, byte| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 },
        )
    })
}

#[test]
fn a_manifest_is_evidence_of_the_bytes() {
    let dir = files();
    let bytes = fs::read(dir.path().join("good.db")).unwrap();
    let output = coldbolt_in(dir.path(), ["verify", "good.db", "--manifest", "m.json"]);
    assert_eq!(output.code, 0, "{}", output.err);
    let manifest: Value = serde_json::from_slice(&fs::read(dir.path().join("m.json")).unwrap()).unwrap();
    assert_eq!(manifest["schema"], "coldbolt.manifest/1");
    assert_eq!(manifest["tool"], concat!("coldbolt ", env!("CARGO_PKG_VERSION")));
    assert_eq!(manifest["command"].as_array().unwrap()[1..], ["verify", "good.db", "--manifest", "m.json"]);
    let file = &manifest["files"][0];
    assert_eq!((&file["path"], &file["size"]), (&Value::from("good.db"), &Value::from(bytes.len())));
    assert_eq!(file["sha256"], hex(&sha256(&bytes)));
    assert_eq!(file["payload_sha256"], hex(&sha256(&bytes[..bytes.len() - 32])));
    // The check value of CRC-32C, as object stores print it.
    assert_eq!(coldbolt::ops::verify::manifest::Crc::from(0xe306_9283).base64, "4waSgw==");
    for (name, crc) in [("crc32", crc32(&bytes)), ("crc32c", crc32c(0, &bytes))] {
        assert_eq!(file[name]["hex"], format!("{crc:08x}"), "{name}");
        let base64 = file[name]["base64"].as_str().unwrap();
        assert_eq!(
            base64::Engine::decode(&base64::prelude::BASE64_STANDARD, base64).unwrap(),
            crc.to_be_bytes(),
            "{name}"
        );
    }
    let evidence = &file["evidence"];
    assert_eq!(
        (&evidence["verdict"], &evidence["measured"]["revision"]),
        (&Value::from("good"), &Value::from(4))
    );
    assert_eq!(evidence["measured"]["metas"].as_array().unwrap().len(), 2);
    assert_eq!(evidence["levels"][1]["outcome"], "passed");
}

/// The code of every finding in the only file, and how level bytes ended.
fn brief(answer: &Value) -> (Vec<String>, String) {
    let file = &answer["files"][0];
    let codes =
        file["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect();
    (codes, file["levels"][1]["outcome"].as_str().unwrap().to_owned())
}

#[test]
fn a_file_is_held_against_its_manifest() {
    let dir = files();
    let at = |name: &str| dir.path().join(name);
    assert_eq!(coldbolt_in(dir.path(), ["verify", "good.db", "bare.db", "--manifest", "m.json"]).code, 4);
    fs::remove_file(at("bad.db")).unwrap();
    let two = ["good.db", "bare.db", "--check-manifest", "m.json"];
    // The manifest stands in for the trailer that a member's own database lacks.
    let (exit, answer) = verify(dir.path(), &two);
    assert_eq!(
        (exit, answer["files"][1]["levels"][1]["outcome"].as_str()),
        (0, Some("passed")),
        "{answer:#}"
    );
    // By name, wherever the copy is; the manifest itself is no backup.
    fs::create_dir(at("copy")).unwrap();
    for name in ["good.db", "bare.db", "m.json"] {
        fs::copy(at(name), at("copy").join(name)).unwrap();
    }
    assert_eq!(verify(dir.path(), &["copy", "--check-manifest", "copy/m.json"]).0, 0);
    // A copy with another trailer that fits: only the manifest knows.
    let changed = Backup { member: "another", ..Backup::of(3) }.bytes();
    fs::write(at("copy/good.db"), &changed).unwrap();
    let (exit, answer) = verify(dir.path(), &["copy/good.db", "copy/bare.db", "--check-manifest", "m.json"]);
    assert_eq!((exit, brief(&answer)), (1, (vec!["manifest-mismatch".to_owned()], "failed".to_owned())));
    let detail = answer["files"][0]["findings"][0]["detail"].as_str().unwrap();
    for due in
        ["the SHA-256 is ", "the CRC-32 is", "the CRC-32C is", "the SHA-256 of the payload is", "(m.json)"]
    {
        assert!(detail.contains(due), "{detail}");
    }
    // A longer one.
    fs::write(at("copy/bare.db"), [fs::read(at("bare.db")).unwrap(), vec![0; 4096]].concat()).unwrap();
    let (_, answer) = verify(dir.path(), &["copy/bare.db", "--check-manifest", "m.json"]);
    assert!(answer["files"][0]["findings"].to_string().contains("the length is"), "{answer:#}");
    // One that is missing, and one that the manifest does not name.
    let (exit, answer) = verify(dir.path(), &["good.db", "--check-manifest", "m.json"]);
    assert_eq!((exit, answer["unreadable"][0]["path"].as_str()), (3, Some("bare.db")));
    Backup::of(2).write(&at("new.db"));
    let (exit, answer) = verify(dir.path(), &[&["new.db"], &two[..]].concat());
    assert_eq!((exit, brief(&answer)), (4, (vec![], "inconclusive".to_owned())));
    // Not asked for.
    let (exit, _) = verify(
        dir.path(),
        &["copy/good.db", "copy/bare.db", "--check-manifest", "m.json", "--level", "identity"],
    );
    assert_ne!(exit, 1);
}

#[test]
fn a_manifest_beside_a_file_is_used_and_said() {
    let dir = files();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir(at("backups")).unwrap();
    fs::copy(at("bare.db"), at("backups/bare.db")).unwrap();
    coldbolt_in(&at("backups"), ["verify", "bare.db", "--manifest", "bare.db.manifest.json"]);
    for path in ["backups/bare.db", "backups"] {
        let (exit, answer) = verify(dir.path(), &[path]);
        let detail = answer["files"][0]["levels"][1]["detail"].as_str().unwrap();
        assert!(exit == 0 && detail.contains("against backups/bare.db.manifest.json"), "{exit} {detail}");
        assert_eq!(answer["files"].as_array().unwrap().len(), 1);
    }
    fs::write(at("backups/bare.db"), fs::read(at("good.db")).unwrap()).unwrap();
    assert_eq!(
        brief(&verify(dir.path(), &["backups"]).1),
        (vec!["manifest-mismatch".to_owned()], "failed".to_owned())
    );
    // One that cannot be used is told, and the file is judged all the same.
    for broken in [
        "{}",
        "{\"schema\":\"coldbolt.manifest/9\",\"files\":[]}",
        "{\"schema\":\"coldbolt.manifest/1\",\"files\":[{\"path\":\"bare.db\",\"size\":1}]}",
    ] {
        fs::write(at("backups/bare.db.manifest.json"), broken).unwrap();
        let (exit, answer) = verify(dir.path(), &["backups/bare.db"]);
        assert_eq!((exit, &answer["files"][0]["verdict"]), (3, &Value::from("good")), "{broken}: {answer:#}");
        assert_eq!(answer["unreadable"][0]["path"], "backups/bare.db.manifest.json");
    }
}

#[test]
fn no_control_character_of_a_file_name_reaches_an_output() {
    let dir = tempfile::tempdir().unwrap();
    for name in [&b"a\x1b[31m\n\x07<&|`\"\\.db"[..], b"\xff\xc2\x9b.db"] {
        let name = std::ffi::OsString::from_vec(name.to_vec());
        Backup::of(1).write(&dir.path().join(&name));
        let mut bad = Backup::of(2).bytes();
        *bad.last_mut().unwrap() ^= 1;
        let mut second = name;
        second.push("2");
        fs::write(dir.path().join(second), bad).unwrap();
    }
    for mode in
        [&["--manifest", "out.json"][..], &["-w", "json"], &["--ndjson"], &["--check-manifest", "out.json"]]
    {
        let output = coldbolt_in(dir.path(), [&["verify", "."], mode, &REPORTS].concat());
        let texts = contents(dir.path())
            .into_iter()
            .filter(|(name, _)| name.starts_with("out."))
            .map(|(_, text)| String::from_utf8(text).unwrap());
        for text in texts.chain([output.text().to_owned(), output.err]) {
            assert!(!text.chars().any(|c| c.is_control() && c != '\n'), "{mode:?}: {text:?}");
        }
        REPORTS
            .iter()
            .filter(|r| r.starts_with("out"))
            .for_each(|report| fs::remove_file(dir.path().join(report)).unwrap());
    }
}

#[test]
fn for_a_note_of_what_mostly_is_more_nothing_is_to_do() {
    use coldbolt::{Code, Severity};
    assert_eq!(Code::DbTerm.remedy_of(Severity::Damage), Code::DbTerm.remedy());
    assert!(Code::DbTerm.remedy_of(Severity::Note).starts_with("Nothing"));
    assert_eq!(Code::DbLag.remedy_of(Severity::Note), Code::DbLag.remedy());
}
