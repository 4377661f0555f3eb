//! `coldbolt bolt` against the real `bbolt` of three versions, on files that the real library made.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};

use support::peers::{BBOLTS, find};
use support::{Input, Run, args, fixture};

const RULE: &str = "===============================================\n";

/// Files of every page size, with and without a freelist: nested, inline, big values, branches of several levels,
/// free pages.
fn files(dir: &Path) -> Option<Vec<Input>> {
    let mkbolt = find("mkbolt/mkbolt")?;
    let mut files =
        vec![Input::new(fixture("small-3.5.1/snapshot.db")), Input::new(fixture("bolt/nested-1024.db"))];
    for (size, keys) in [("1024", "700"), ("4096", "1500"), ("16384", "900"), ("65536", "2500")] {
        for freelist in ["true", "false"] {
            let path = dir.join(format!("{size}-{freelist}.db"));
            let freelist = format!("-freelist={freelist}");
            let made = theirs(
                &mkbolt,
                args![
                    "-o",
                    path,
                    "-page-size",
                    size,
                    "-keys",
                    keys,
                    "-delete-every",
                    "3",
                    "-nested",
                    "4",
                    freelist
                ],
            );
            assert_eq!(made.code, 0, "{}", made.err);
            files.push(Input::new(path));
        }
    }
    Some(files)
}

fn theirs(program: &Path, args: &[&OsStr]) -> Run {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::null());
    Run::of(command)
}

/// Runs the same command on both; `flags` stand before the file, as Go's flag package wants them.
fn both(bbolt: &Path, command: &str, flags: &[&str], file: &Input, words: &[&OsStr]) -> (Run, Run) {
    let mut arguments: Vec<&OsStr> = vec![command.as_ref()];
    arguments.extend(flags.iter().map(OsStr::new));
    arguments.push(file.as_ref());
    arguments.extend(words);
    let theirs = theirs(bbolt, &arguments);
    arguments.insert(0, "bolt".as_ref());
    // Values are printed as they are, secrets too.
    (theirs, Run::of(support::command(&arguments)))
}

fn same(bbolt: &Path, command: &str, flags: &[&str], file: &Input, words: &[&OsStr]) -> Vec<u8> {
    let (theirs, ours) = both(bbolt, command, flags, file, words);
    let what = format!("{} {command} {flags:?} {} {words:?}", bbolt.display(), file.path.display());
    assert_eq!((theirs.code, ours.code), (0, 0), "{what}: {}{}", theirs.err, ours.err);
    assert!(ours.err.is_empty(), "{what}: {}", ours.err);
    differ(&what, &theirs.out, &ours.out);
    ours.out
}

/// Fails where the two answers part, if they do.
fn differ(what: &str, theirs: &[u8], ours: &[u8]) {
    if theirs != ours {
        let at = theirs.iter().zip(ours).take_while(|(a, b)| a == b).count();
        let near = |text: &[u8]| {
            text[at.saturating_sub(40).min(text.len())..text.len().min(at + 40)].escape_ascii().to_string()
        };
        panic!("{what}: at byte {at}\n   bbolt {}\ncoldbolt {}", near(theirs), near(ours));
    }
}

/// The page a block of `page --all` is about, and whether bbolt could not print it.
fn page_of(block: &str) -> (u64, bool) {
    let number = |text: &str| text.split(|c: char| !c.is_ascii_digit()).next().unwrap().parse().unwrap();
    match block.strip_prefix("Prining page ") {
        Some(rest) => (number(rest), true),
        None => (number(block.strip_prefix("Page ID:    ").unwrap()), false),
    }
}

/// Equal block by block, but for two things. Where bbolt fails on a free page, coldbolt says that it is free. And
/// where bbolt follows the overflow count left in a free page over pages in use, or stops at the older meta page's
/// high water mark, coldbolt prints them.
fn same_pages(bbolt: &Path, flags: &[&str], file: &Input) {
    let (theirs, ours) = both(bbolt, "page", flags, file, &[]);
    let what = format!("{} page {flags:?} {}", bbolt.display(), file.path.display());
    assert_eq!((theirs.code, ours.code), (0, 0), "{what}: {}{}", theirs.err, ours.err);
    let mut blocks = ours.text().split(RULE).peekable();
    let (mut equal, mut more) = (0, 0);
    for theirs in theirs.text().split(RULE) {
        let (id, failed) = page_of(theirs);
        while blocks.peek().is_some_and(|block| page_of(block).0 < id) {
            blocks.next();
            more += 1;
        }
        let ours = blocks.next().unwrap_or_else(|| panic!("{what}: page {id} is not there"));
        if failed {
            assert!(
                ours.starts_with(&format!("Page ID:    {id}\nPage Type:  free\n")),
                "{what}: {theirs}{ours}"
            );
        } else {
            differ(&format!("{what}: page {id}"), theirs.as_bytes(), ours.as_bytes());
            equal += 1;
        }
    }
    assert!(equal > more, "{what}: {equal} pages equal, {more} pages that bbolt passed over");
}

#[test]
fn pages_buckets_and_page_all_are_bbolts() {
    let dir = tempfile::tempdir().unwrap();
    let Some(files) = files(dir.path()) else { return };
    for version in BBOLTS {
        let Some(bbolt) = find(&format!("bbolt-{version}/bbolt")) else { return };
        for file in &files {
            same(&bbolt, "pages", &[], file, &[]);
            same(&bbolt, "buckets", &[], file, &[]);
            // 1.3.12 prints the wrong SHA-256 for redacted values.
            for format in ["auto", "hex", "redacted"].iter().take(if version == "1.3.12" { 2 } else { 3 }) {
                same_pages(&bbolt, &["--all", "--format-value", format], file);
            }
            same(&bbolt, "page", &[], file, args!["0", "1"]);
        }
    }
    files.iter().for_each(Input::unchanged);
}

#[test]
fn keys_and_values_are_bbolts_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    let Some(files) = files(dir.path()) else { return };
    for version in BBOLTS {
        let Some(bbolt) = find(&format!("bbolt-{version}/bbolt")) else { return };
        let formats = ["auto", "hex", "ascii-encoded", "bytes", "redacted"];
        let formats = &formats[..if version == "1.3.12" { 4 } else { 5 }];
        for file in &files {
            let etcd = file.path.ends_with("snapshot.db");
            let paths: &[&[&str]] = if etcd {
                &[&["key"], &["meta"], &["auth"], &["lease"]]
            } else {
                &[
                    &["flat"],
                    &["nested"],
                    &["nested", "1"],
                    &["nested", "1", "2"],
                    &["overflow"],
                    &["inline-0"],
                    &["inline-5"],
                ]
            };
            for path in paths {
                let words: Vec<&OsStr> = path.iter().map(OsStr::new).collect();
                for format in formats {
                    same(&bbolt, "keys", &["--format", format], file, &words);
                }
                let keys = same(&bbolt, "keys", &["--format", "hex"], file, &words);
                let keys = String::from_utf8(keys).unwrap();
                let nested = |key: &&str| !(path[0] == "nested" && key.len() == 2);
                let picked: Vec<&str> = keys.lines().filter(nested).collect();
                for key in picked.iter().step_by(picked.len() / 4 + 1) {
                    let words: Vec<&OsStr> = words.iter().copied().chain([OsStr::new(key)]).collect();
                    for format in formats {
                        // Many random bytes hold characters that are newer than the Unicode tables of Go 1.26: it
                        // escapes them.
                        if *format == "ascii-encoded" && path[0] == "overflow" {
                            continue;
                        }
                        same(&bbolt, "get", &["--parse-format", "hex", "--format", format], file, &words);
                    }
                }
            }
        }
        let nested = &files[1];
        for (page, item) in [("4", "0"), ("4", "11"), ("3", "0")] {
            for format in formats {
                same(&bbolt, "page-item", &["--format", format], nested, args![page, item]);
                same(&bbolt, "page-item", &["--key-only", "--format", format], nested, args![page, item]);
                same(&bbolt, "page-item", &["--value-only", "--format", format], nested, args![page, item]);
            }
        }
    }
    files.iter().for_each(Input::unchanged);
}
