//! `coldbolt bolt` and `coldbolt explain` through the binary.

use std::ffi::OsStr;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use coldbolt::bolt::writer::Options;
use coldbolt::bolt::{Db, Pgid, RawPage};
use coldbolt::io::{Source, Window};
use coldbolt::ops::bolt::{bucket_at, elements, page_use};
use coldbolt::words::finding::Code;
use coldbolt::words::monitor::Quiet;
use serde_json::Value;
use support::content::database;
use support::run::run;
use support::{Input, Run, args, coldbolt, command, fixture};

const NESTED: &str = "bolt/nested-1024.db";
const RULE: &str = "===============================================\n";

/// Runs `coldbolt bolt` and expects that exit code.
fn bolt(code: i32, args: &[&OsStr]) -> Run {
    let ran = coldbolt([&["bolt".as_ref()], args].concat());
    assert_eq!(ran.code, code, "{args:?}: {}{}", ran.err, ran.out.escape_ascii());
    ran
}

fn recorded(name: &str) -> String {
    fs::read_to_string(fixture("bolt").join(name)).unwrap()
}

fn assert_holds(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

fn json(ran: &Run) -> Value {
    serde_json::from_slice(&ran.out).unwrap_or_else(|error| panic!("{error}: {}", ran.out.escape_ascii()))
}

/// The rows, without the schema that the first of them names.
fn ndjson(ran: &Run) -> Vec<Value> {
    let mut rows: Vec<Value> = ran.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let schema = rows.first_mut().and_then(|row| row.as_object_mut()?.shift_remove("schema"));
    assert!(schema.is_none_or(|schema| schema.as_str().unwrap().starts_with("coldbolt.bolt-")));
    rows
}

#[test]
fn answers_are_those_recorded_from_bbolt() {
    let nested = Input::new(fixture(NESTED));
    let etcd = Input::new(fixture("small-3.5.1/snapshot.db"));
    let cases: [(&[&OsStr], &str); 11] = [
        (args!["pages", nested], "nested-1024.pages.txt"),
        (args!["page", nested, "0", "1", "3", "4", "7", "8", "12"], "nested-1024.page.txt"),
        (args!["buckets", nested], "nested-1024.buckets.txt"),
        (args!["keys", nested, "nested", "1"], "nested-1024.keys.txt"),
        (args!["get", nested, "nested", "1", "2", "key-0"], "nested-1024.get.txt"),
        (args!["page-item", nested, "4", "2"], "nested-1024.page-item.txt"),
        (args!["pages", etcd], "small-3.5.1.pages.txt"),
        (args!["page", "--all", "--format-value", "redacted", etcd], "small-3.5.1.page-all-redacted.txt"),
        (args!["buckets", etcd], "small-3.5.1.buckets.txt"),
        (args!["keys", etcd, "key"], "small-3.5.1.keys.txt"),
        (args!["get", etcd, "cluster", "clusterVersion"], "small-3.5.1.get.txt"),
    ];
    for (arguments, answer) in cases {
        let ran = bolt(0, arguments);
        assert_eq!(ran.text(), recorded(answer), "{answer}");
        assert_eq!(ran.err, "", "{answer}");
    }
    // bbolt says "Prining page 24 failed" of a free page that holds no page of its own.
    let all = bolt(0, args!["page", "--all", "--format-value", "redacted", nested]);
    let theirs = recorded("nested-1024.page-all-redacted.txt");
    let (ours, theirs): (Vec<&str>, Vec<&str>) =
        (all.text().split(RULE).collect(), theirs.split(RULE).collect());
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(theirs) {
        match theirs.strip_prefix("Prining page ") {
            Some(id) => {
                assert_eq!(
                    *ours,
                    format!(
                        "Page ID:    {}\nPage Type:  free\nTotal Size: 1024 bytes\nOverflow pages: 0\n",
                        &id[..2]
                    )
                )
            }
            None => assert_eq!(*ours, theirs),
        }
    }
    nested.unchanged();
    etcd.unchanged();
}

#[test]
fn options_choose_format_and_part() {
    let nested = Input::new(fixture(NESTED));
    let item = |option: &str| bolt(0, args!["page-item", nested, "3", "1", option]).text().to_owned();
    assert_eq!(item("--key-only"), "key-0\n");
    assert_eq!(item("--value-only"), "\n");
    assert_eq!(item("--format=hex"), "6b65792d30\n\n");
    assert_eq!(item("--format=ascii-encoded"), "\"key-0\"\n\"\"\n");
    let key = |options: &[&OsStr]| bolt(0, &[args!["get", nested, "nested", "1", "2"], options].concat()).out;
    let plain = key(args!["key-0", "--format", "bytes"]);
    assert_eq!(plain.len(), 21, "20 bytes and a new line, nothing encoded");
    assert_eq!(key(args!["6B65792d30", "--parse-format", "hex", "--format", "bytes"]), plain);
    let sha256 = coldbolt::codec::checksum::hex(&coldbolt::codec::checksum::sha256(&plain[..20]));
    let redacted = String::from_utf8(key(args!["key-0", "--format", "redacted"])).unwrap();
    assert_eq!(redacted, format!("<redacted len:20 sha256:{sha256}>\n"));
    assert_eq!(
        bolt(0, args!["keys", nested, "nested", "-f", "hex"]).text(),
        "31\n6b65792d30\n6b65792d31\n6b65792d32\n"
    );
    assert_eq!(
        bolt(0, args!["buckets", nested, "nested", "1"]).text(),
        "2\n",
        "only buckets, of a nested bucket"
    );
    let stdin = fs::File::open(&nested.path).unwrap();
    let mut piped = command(["bolt", "buckets", "-"]);
    piped.stdin(stdin);
    assert_eq!(run(piped).text(), recorded("nested-1024.buckets.txt"));
    nested.unchanged();
}

#[test]
fn json_holds_what_the_text_says() {
    let nested = Input::new(fixture(NESTED));
    let keys = json(&bolt(0, args!["keys", nested, "nested", "1", "-w", "json"]));
    assert_eq!(keys["schema"], "coldbolt.bolt-keys/1");
    assert_eq!(keys["keys"][0], serde_json::json!({"key": {"text": "2"}, "bucket": true}));
    assert_eq!(
        ndjson(&bolt(0, args!["keys", nested, "nested", "1", "-w", "ndjson"])),
        *keys["keys"].as_array().unwrap()
    );
    let hex = ndjson(&bolt(0, args!["keys", nested, "flat", "-w", "ndjson"]));
    assert!(hex.len() == 12 && hex.iter().all(|key| key["key"]["hex"].is_string()));

    let buckets = json(&bolt(0, args!["buckets", nested, "-w", "json"]));
    let names: Vec<_> =
        buckets["buckets"].as_array().unwrap().iter().map(|b| b["name"]["text"].as_str().unwrap()).collect();
    assert_eq!(names.join("\n") + "\n", recorded("nested-1024.buckets.txt"));
    assert_eq!(buckets["buckets"][2]["bucket"], serde_json::json!({"root": null, "sequence": 1u64 << 40}));

    let pages = json(&bolt(0, args!["pages", nested, "-w", "json"]));
    let row = |page: &Value| {
        let text = |field: &str| {
            page[field]
                .as_u64()
                .filter(|n| field == "items" || *n > 0)
                .map_or(String::new(), |n| n.to_string())
        };
        format!(
            "{:<8} {:<10} {:<6} {:<6}\n",
            page["id"].as_u64().unwrap(),
            page["type"].as_str().unwrap(),
            text("items"),
            text("overflow")
        )
    };
    let rows: String = pages["pages"].as_array().unwrap().iter().map(row).collect();
    assert!(recorded("nested-1024.pages.txt").ends_with(&rows));

    let page = json(&bolt(0, args!["page", nested, "0", "7", "8", "12", "-w", "json"]));
    let page = page["pages"].as_array().unwrap();
    assert_eq!(
        (&page[0]["meta"]["high_water"], &page[0]["meta"]["checksum"]),
        (&47.into(), &"109246859492b8b7".into())
    );
    assert_eq!(page[1]["items"][0], serde_json::json!({"key": {"text": "pages-0"}, "child": 5}));
    assert_eq!(page[2]["items"][1]["bucket"], serde_json::json!({"root": 0, "sequence": 0}));
    assert_eq!(
        (&page[3]["free"]["count"], page[3]["free"]["ids"].as_array().unwrap().len()),
        (&22.into(), 22)
    );
    nested.unchanged();
}

#[test]
fn nothing_that_could_steer_a_terminal_is_printed_unasked() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("steers.db");
    let evil = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}";
    fs::write(&path, database([(evil, [(evil, evil)])], Options::default())).unwrap();
    let input = Input::new(path);
    for arguments in [
        args!["buckets", input],
        args!["keys", input, evil],
        args!["get", input, evil, evil],
        args!["page", input, "--all"],
        args!["buckets", input, "-w", "json"],
        args!["keys", input, evil, "-w", "ndjson"],
        args!["page", input, "--all", "-w", "json"],
    ] {
        let ran = bolt(0, arguments);
        assert!(
            ran.text().chars().all(|c| c == '\n' || (' '..='~').contains(&c)),
            "{arguments:?}: {}",
            ran.text().escape_debug()
        );
    }
    for arguments in [
        args!["keys", input, "\u{1b}[2J"],
        args!["get", input, evil, "\u{1b}[2J"],
        args!["get", input, evil, "\u{1b}", "--parse-format=hex"],
    ] {
        let ran = coldbolt([&["bolt".as_ref()], arguments].concat());
        assert!(ran.code != 0 && !ran.err.contains('\u{1b}'), "{}", ran.err.escape_debug());
    }
    input.unchanged();
}

#[test]
fn what_is_not_there_is_said_and_is_exit_code_1() {
    let nested = Input::new(fixture(NESTED));
    let err = |arguments: &[&OsStr]| {
        let ran = bolt(1, arguments);
        assert_eq!(ran.text(), "");
        ran.err
    };
    assert_holds(&err(args!["keys", nested, "nope"]), &["nested-1024.db: there is no bucket \"nope\""]);
    assert_holds(
        &err(args!["keys", nested, "nested", "nope"]),
        &["there is no bucket \"nope\" in bucket \"nested\""],
    );
    assert_holds(
        &err(args!["buckets", nested, "nested", "key-0"]),
        &["there is no bucket \"key-0\" in bucket \"nested\""],
    );
    assert_holds(
        &err(args!["get", nested, "nested", "nope"]),
        &["key \"nope\" in bucket \"nested\" is not there"],
    );
    assert_holds(
        &err(args!["get", nested, "nested", "1"]),
        &["key \"1\" in bucket \"nested\" is a bucket, not a value"],
    );
    assert_holds(&err(args!["page-item", nested, "3", "4"]), &["page 3: there is no item 4, the page has 4"]);
    assert_holds(&err(args!["page-item", nested, "7", "0"]), &["page 7: it is a branch page"]);
    nested.unchanged();
}

#[test]
fn unreadable_files_are_exit_code_3_and_wrong_usage_2() {
    let dir = tempfile::tempdir().unwrap();
    let (text, empty) = (dir.path().join("text"), dir.path().join("empty"));
    fs::write(&text, "no database ".repeat(1000)).unwrap();
    fs::write(&empty, "").unwrap();
    let inputs = [Input::new(&text), Input::new(&empty)];
    let missing = dir.path().join("missing");
    for path in [&text, &empty, &missing, &dir.path().to_path_buf()] {
        for command in [
            args!["buckets", path],
            args!["keys", path, "b"],
            args!["get", path, "b", "k"],
            args!["pages", path],
        ] {
            assert_holds(&bolt(3, command).err, &[path.to_str().unwrap()]);
        }
        for command in
            [args!["page", path, "0"], args!["page", path, "--all"], args!["page-item", path, "0", "0"]]
        {
            assert_holds(&bolt(3, command).err, &[path.to_str().unwrap()]);
        }
    }
    let nested = Input::new(fixture(NESTED));
    for command in [
        args!["page", nested],
        args!["page", nested, "0", "--all"],
        args!["page", nested, "x"],
        args!["page", nested, "0", "--page-size", "1000"],
        args!["keys", nested],
        args!["get", nested, "b"],
        args!["get", nested, "nested", "6b6", "--parse-format", "hex"],
        args!["keys", nested, "b", "--format", "base64"],
        args!["page-item", nested, "3", "0", "--key-only", "--value-only"],
    ] {
        bolt(2, command);
    }
    inputs.iter().for_each(Input::unchanged);
    nested.unchanged();
}

/// A copy of the fixture with some bytes replaced.
fn patched(dir: &Path, patches: &[(usize, &[u8])]) -> Input {
    Input::changed(dir, NESTED, |bytes| {
        for (at, patch) in patches {
            bytes[*at..at + patch.len()].copy_from_slice(patch);
        }
    })
}

#[test]
fn a_lost_page_hides_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    // Page 3 is the leaf of bucket `nested`; page 5 the first of the two of `overflow`.
    let bad = patched(dir.path(), &[(3 * 1024, &[9]), (5 * 1024, &[8])]);
    let keys = bolt(1, args!["keys", bad, "overflow"]);
    assert_eq!(keys.text(), "pages-2\npages-3\npages-4\npages-5\n");
    assert_holds(
        &keys.err,
        &[
            "nested-1024.db: page 5 (byte 0x1400)",
            "says it is page 8, its place says 5",
            "bucket overflow",
            "[page-id]",
        ],
    );
    assert_holds(&bolt(1, args!["get", bad, "overflow", "pages-1"]).err, &["page 5 (byte 0x1400)"]);
    bolt(0, args!["get", bad, "overflow", "pages-3"]);

    let pages = bolt(1, args!["pages", bad, "-w", "ndjson"]);
    let of = |id: u64| ndjson(&pages).into_iter().find(|page| page["id"] == id).unwrap();
    assert_eq!((&of(3)["use"], &of(3)["items"]), (&"lost".into(), &Value::Null));
    assert_eq!((&of(2)["use"], &of(2)["type"]), (&"lost".into(), &"leaf".into()), "its parent is page 3");
    assert_eq!((&of(9)["use"], &of(32)["overflow"]), (&"free".into(), &14.into()));
    assert_holds(
        bolt(1, args!["pages", bad]).text(),
        &["\n2        leaf?      4            \n3        ?                       \n"],
    );

    let page = bolt(1, args!["page", bad, "3", "4"]);
    let (broken, whole) = page.text().split_once(RULE).unwrap();
    assert_holds(
        broken,
        &[
            "Page ID:    3\n",
            "Damage:     page 3 (byte 0xc00): the page's header says it is page 9",
            "\"key-0\": \n",
        ],
    );
    assert!(recorded("nested-1024.page.txt").contains(whole));
    assert_holds(&page.err, &["nested-1024.db: page 3 (byte 0xc00)"]);
    let all = bolt(1, args!["page", bad, "--all"]);
    assert_eq!(
        all.text().matches("Page ID:    ").count(),
        47 - 14 - 8,
        "pages are passed over only where one that is whole claims them"
    );
    bad.unchanged();
}

#[test]
fn a_damaged_element_is_marked_and_the_others_are_shown() {
    let dir = tempfile::tempdir().unwrap();
    // Page 3: element 1's key lies far away, element 2's value is too long, element 3 has flags; the header claims 4
    // of them.
    let element = |i: usize, field: usize| 3 * 1024 + 16 + i * 16 + field;
    let bad = patched(
        dir.path(),
        &[(element(1, 4), &[0, 0, 1, 0]), (element(2, 12), &[0, 0, 0, 1]), (element(3, 0), &[8])],
    );
    let page = bolt(1, args!["page", bad, "3"]);
    assert_holds(
        page.text(),
        &[
            "\"1\": <pgid=2,seq=0>\n<element 1>: <damaged: key lies at bytes 65568 to 65573 of the page, which has 1024 [element-bounds]>\n",
            "\"key-1\": <damaged: value lies at bytes",
            "\"key-2\": <damaged: element flags are 0x8; only 0 and 1 are defined [element-flags]>\n",
        ],
    );
    assert_holds(
        &page.err,
        &["page 3, element 1 (byte 0xc20): key lies", "page 3, element 2", "page 3, element 3"],
    );
    let shown = json(&bolt(1, args!["page", bad, "3", "-w", "json"]));
    assert_eq!(shown["pages"][0]["faults"].as_array().unwrap().len(), 3);
    assert_eq!(bolt(1, args!["keys", bad, "nested"]).text(), "1\n");
    assert_eq!(bolt(0, args!["page-item", bad, "3", "2", "--key-only"]).text(), "key-1\n");
    assert_holds(
        &bolt(1, args!["page-item", bad, "3", "2"]).err,
        &["page 3, element 2 (byte 0xc30): value lies"],
    );

    let bad = patched(dir.path(), &[(3 * 1024 + 10, &[0xff, 0xff])]);
    let page = bolt(1, args!["page", bad, "3"]);
    assert_holds(
        page.text(),
        &[
            "Damage:     page 3 (byte 0xc00): 65535 elements are claimed, the page's 1024 bytes have room for 63",
            "\"key-2\": <damaged: the key lies",
        ],
    );
    bad.unchanged();
}

#[test]
fn a_bad_meta_page_is_told_and_the_other_one_read() {
    let dir = tempfile::tempdir().unwrap();
    // Page 1 is the newer one. The older one's tree is still whole but for the pages that were free before.
    let bad = patched(dir.path(), &[(16, &[0])]);
    let keys = bolt(1, args!["keys", bad, "nested", "1"]);
    assert_eq!(keys.text(), recorded("nested-1024.keys.txt"));
    assert_holds(&keys.err, &["nested-1024.db: page 0 (byte 0x0): magic is", "[meta-invalid]"]);
    assert_holds(
        bolt(1, args!["page", bad, "0"]).text(),
        &["Damage:     page 0 (byte 0x0): magic is 0xed0cda00", "Txn ID:     34\n"],
    );
    bad.unchanged();
}

#[test]
fn pages_can_be_read_without_any_meta_page() {
    let dir = tempfile::tempdir().unwrap();
    let zeros = [0; 2048];
    let broken: [&[(usize, &[u8])]; 2] = [&[(0, &zeros)], &[(72, &[0]), (1024 + 72, &[0])]];
    for patches in broken {
        let wiped = patched(dir.path(), patches);
        let without = coldbolt(args!["bolt", "page", wiped, "4"]);
        assert!(matches!(without.code, 1 | 3), "{}", without.err);
        let page = bolt(0, args!["page", wiped, "4", "--page-size", "1024"]);
        assert!(recorded("nested-1024.page.txt").contains(page.text()));
        assert_eq!(
            bolt(0, args!["page-item", wiped, "4", "2", "--page-size", "1024"]).text(),
            recorded("nested-1024.page-item.txt")
        );
        let all = bolt(1, args!["page", wiped, "--all", "--page-size", "1024"]);
        assert_holds(
            all.text(),
            &[
                "Page ID:    0\n",
                "Page ID:    12\nPage Type:  freelist\n",
                "Page ID:    32\nPage Type:  leaf\nTotal Size: 15360 bytes\n",
            ],
        );
        wiped.unchanged();
    }
    let bad = patched(dir.path(), &[(72, &[0]), (1024 + 72, &[0])]);
    assert_holds(
        &bolt(1, args!["page", bad, "4"]).err,
        &["neither meta page can be used", "checksum", "--page-size"],
    );
    bad.unchanged();
}

#[test]
fn a_cut_file_shows_the_pages_it_still_has() {
    let dir = tempfile::tempdir().unwrap();
    let cut = Input::changed(dir.path(), NESTED, |bytes| bytes.truncate(33 * 1024 + 100));
    let pages = bolt(1, args!["pages", cut]);
    assert_holds(
        &pages.err,
        &[
            "the page's overflow ends at byte 48128, the file at 33892",
            "14 pages are missing or cut",
            "[file-too-short]",
        ],
    );
    assert_holds(pages.text(), &["\n31       free", "\n32       leaf?      4      14    \n"]);
    let page = bolt(1, args!["page", cut, "32", "33"]);
    assert_holds(
        page.text(),
        &[
            "\"pages-2\": <damaged: value lies",
            "Page ID:    33\nDamage:     page 33 (byte 0x8400): the page ends at byte 34816, the file at 33892",
        ],
    );
    bolt(0, args!["keys", cut, "nested", "1"]);
    cut.unchanged();
}

#[test]
fn the_freelist_is_weighed_against_the_trees() {
    let dir = tempfile::tempdir().unwrap();
    // Page 12 lists 22 free pages, the last of them 31.
    let leaked = patched(dir.path(), &[(12 * 1024 + 10, &[21])]);
    let pages = bolt(0, args!["pages", leaked]);
    assert_holds(
        &pages.err,
        &["warning: ", "page 31 (byte 0x7c00): page is neither in a tree nor listed as free [page-leaked]"],
    );
    assert_holds(
        &bolt(0, args!["pages", leaked, "-w", "ndjson"]).out.escape_ascii().to_string(),
        &[r#"\"id\":31,\"type\":null,\"use\":\"lost\""#],
    );
    let twice = patched(dir.path(), &[(12 * 1024 + 16, &[4])]);
    let pages = bolt(1, args!["pages", twice]);
    assert_holds(
        &pages.err,
        &[
            "page 4 is in use and listed as free [freelist-reachable]",
            "page 9 (byte 0x2400): page is neither",
        ],
    );
    assert_holds(pages.text(), &["\n4        leaf       12"]);
    twice.unchanged();
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let nested = Input::new(fixture(NESTED));
    for arguments in [
        args!["bolt", "page", "--all", nested],
        args!["bolt", "pages", nested],
        args!["bolt", "keys", nested, "flat"],
        args!["explain"],
    ] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = command(arguments).stdout(writer).output().unwrap();
        assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
    }
    nested.unchanged();
}

/// Everything the views do, in this process.
fn look_at_everything(bytes: Vec<u8>) {
    let source = Source::from_bytes("memory", bytes);
    let mut window = Window::new();
    for id in 0..source.len() / 1024 + 1 {
        if let Ok(raw) = RawPage::read(&source, 1024, Pgid(id), &mut window) {
            let page = raw.page;
            page.iter().for_each(|page| {
                (0..page.count.min(70)).for_each(|i| drop((page.loose_leaf(i), page.leaf(i), page.branch(i))))
            });
        }
    }
    let Ok(db) = Db::open(&source) else { return };
    let uses = page_use(&db, &Quiet).unwrap();
    assert!((0..db.pages_present()).all(|id| id > 1 || uses.of(Pgid(id)) == coldbolt::ops::bolt::Use::Used));
    for path in [&[][..], &[&b"nested"[..], b"1", b"2"], &[b"overflow"], &[b"inline-3"]] {
        let Ok(bucket) = bucket_at(&db, path) else { continue };
        let mut seen = 0u64;
        elements(&bucket, &Quiet, &mut |_, _| {
            seen += 1;
            if seen < 100_000 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(seen < 100_000, "there is no end");
    }
}

#[test]
fn no_changed_byte_and_no_cut_brings_the_views_down() {
    let whole = fs::read(fixture(NESTED)).unwrap();
    // The pages in use but for the values that fill pages 34 and on.
    for at in (0..9 * 1024).chain(12 * 1024..12 * 1024 + 300).chain(32 * 1024..32 * 1024 + 100) {
        for change in [0x01, 0xff] {
            let mut bytes = whole.clone();
            bytes[at] ^= change;
            look_at_everything(bytes);
        }
    }
    for len in (0..whole.len()).step_by(211) {
        look_at_everything(whole[..len].to_vec());
    }
}

#[test]
fn every_code_is_explained() {
    let list = coldbolt(args!["explain"]);
    let as_json = json(&coldbolt(args!["explain", "-w", "json"]));
    let codes = as_json["codes"].as_array().unwrap();
    assert_eq!((list.code, codes.len()), (0, Code::ALL.len()));
    for (code, object) in Code::ALL.iter().zip(codes) {
        assert_holds(list.text(), &[code.name(), code.meaning()]);
        assert_eq!((&object["code"], &object["remedy"]), (&code.name().into(), &code.remedy().into()));
        let one = coldbolt(args!["explain", code.name()]);
        assert_eq!(one.code, 0);
        assert_holds(
            one.text(),
            &[code.name(), &code.severity().to_string(), code.meaning(), code.etcd(), code.remedy()],
        );
    }
    // What it means where it is only a note.
    let ahead = coldbolt(args!["explain", "db-ahead"]);
    assert_holds(ahead.text(), &["db-ahead (damage)", "As note ", "a crash leaves it so. Nothing, for"]);
    let wrong = coldbolt(args!["explain", "page-shard"]);
    assert_eq!((wrong.code, wrong.text()), (2, ""));
    assert_holds(&wrong.err, &["'page-shard'", "a similar value exists: 'page-shared'"]);
}
