//! Damaged files of every kind that was seen to kill the other tools, before `coldbolt verify` and the real `bbolt
//! check`.
//!
//! Of each file verify must make an end in time, in little memory, without a signal, and with the right exit code;
//! and what a bbolt that survives says of it, verify must say too. Without the programs of `tests/peers` only the
//! first half is proven, unless `COLDBOLT_INTEROP=required`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use support::image::{self, BRANCH, FREELIST, Image, LEAF};
use support::{binary, peers};

const BBOLTS: [&str; 3] = ["bbolt-1.3.12/bbolt", "bbolt-1.4.3/bbolt", "bbolt-1.5.0/bbolt"];
const MOST_TIME: Duration = Duration::from_secs(5);
/// In KiB, for `ulimit -d`: what a process may allocate.
const MOST_MEMORY: &str = "307200";

/// A file that is good, and where in it things are broken.
struct Base {
    name: &'static str,
    image: Image,
    /// A bucket with at least one branch page.
    bucket: &'static str,
}

impl Base {
    fn leaf(&self) -> u64 {
        self.image.leaves(self.bucket)[1]
    }

    fn branch(&self) -> u64 {
        let above_leaves = |id: &u64| self.image.flags(self.image.elements(*id)[0].child) == LEAF;
        self.image.branches(self.bucket).into_iter().find(above_leaves).unwrap()
    }

    /// The field at this offset of element 2 of the page.
    fn field(&self, page: u64, offset: usize) -> usize {
        self.image.elements(page)[2].at + offset
    }

    fn has_freelist(&self) -> bool {
        self.image.freelist() != u64::MAX
    }
}

/// What verify must exit with.
#[derive(Clone, Copy, PartialEq)]
enum Due {
    /// Damage.
    Bad,
    /// What nothing in the file tells, a trailer aside.
    Invisible,
    /// A warning.
    Warning,
    /// Damage or a warning, as the numbers in the list happen to be.
    Either,
    /// It is no database.
    Unreadable,
}

type Break = fn(&Base, &mut Image);

/// The damage of `peers-cli.md`, table C1, and what bbolt's own check knows besides.
fn classes() -> Vec<(&'static str, Due, Break)> {
    use Due::{Bad, Either, Invisible, Unreadable, Warning};
    let mut all: Vec<(&'static str, Due, Break)> = vec![
        ("nothing", Invisible, |_, _| {}),
        ("half of it", Bad, |_, i| i.bytes.truncate(i.bytes.len() / 2)),
        ("half of it and 1000 bytes", Bad, |_, i| i.bytes.truncate(i.bytes.len() / 2 + 1000)),
        ("two pages", Bad, |_, i| i.bytes.truncate(i.page(2))),
        ("the last page cut", Bad, |_, i| i.bytes.truncate(i.page(i.high_water() - 1))),
        ("one byte", Unreadable, |_, i| i.bytes.truncate(1)),
        ("no byte", Unreadable, |_, i| i.bytes.clear()),
        ("bit flip in a value", Invisible, |b, i| {
            let at = i.elements(b.leaf())[3].value.end - 1;
            i.bytes[at] ^= 1;
        }),
        ("bit flip in a key", Bad, |b, i| {
            let at = i.elements(b.leaf())[3].key.start;
            i.bytes[at] ^= 0x40;
        }),
        ("two equal keys", Bad, |b, i| {
            let elements = i.elements(b.leaf());
            let (before, own) = (&elements[2], &elements[3]);
            i.set_u32(own.at + 4, (before.key.start - own.at) as u32);
            i.set_u32(own.at + 8, before.key.len() as u32);
            i.set_u32(own.at + 12, 0);
        }),
        ("last key past the next leaf", Bad, |b, i| {
            let at = i.elements(b.leaf()).last().unwrap().key.start;
            i.bytes[at] = 0x7f;
        }),
        ("first key before the leaf before", Bad, |b, i| {
            let key = i.elements(b.leaf())[0].key.clone();
            i.bytes[key].fill(0);
        }),
        ("a branch key too great", Bad, |b, i| {
            let at = i.elements(b.branch())[2].key.start;
            i.bytes[at] = 0x7f;
        }),
        ("a branch key too small", Bad, |b, i| {
            let at = i.elements(b.branch())[2].key.clone();
            i.bytes[at].fill(0);
        }),
        ("leaf flags 0", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 8, 0)),
        ("leaf flagged as freelist", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 8, FREELIST)),
        ("leaf flagged as branch", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 8, BRANCH)),
        ("branch flagged as leaf", Bad, |b, i| i.set_u16(i.page(b.branch()) + 8, LEAF)),
        ("branch flagged as freelist", Bad, |b, i| i.set_u16(i.page(b.branch()) + 8, FREELIST)),
        ("leaf flagged as meta", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 8, 4)),
        ("wrong page id", Bad, |b, i| i.set_u64(i.page(b.leaf()), 999)),
        ("page id of a sibling", Bad, |b, i| i.set_u64(i.page(b.leaf()), i.leaves(b.bucket)[2])),
        ("child 999999", Bad, |b, i| i.set_u64(b.field(b.branch(), 8), 999_999)),
        ("child 2^60", Bad, |b, i| i.set_u64(b.field(b.branch(), 8), 1 << 60)),
        ("child at the high water mark", Bad, |b, i| i.set_u64(b.field(b.branch(), 8), i.high_water())),
        ("child 0", Bad, |b, i| i.set_u64(b.field(b.branch(), 8), 0)),
        ("branch to itself", Bad, |b, i| i.set_u64(b.field(b.branch(), 8), b.branch())),
        ("two branches to one leaf", Bad, |b, i| {
            i.set_u64(b.field(b.branch(), 8), i.elements(b.branch())[1].child)
        }),
        ("count 65535", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 10, 0xffff)),
        ("count 0", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 10, 0)),
        ("count one less", Bad, |b, i| i.set_u16(i.page(b.leaf()) + 10, i.count(b.leaf()) as u16 - 1)),
        ("branch count 1", Bad, |b, i| i.set_u16(i.page(b.branch()) + 10, 1)),
        ("pos 2^31-1", Bad, |b, i| i.set_u32(b.field(b.leaf(), 4), 0x7fff_ffff)),
        ("ksize 2^31-1", Bad, |b, i| i.set_u32(b.field(b.leaf(), 8), 0x7fff_ffff)),
        ("vsize 2^31-1", Bad, |b, i| i.set_u32(b.field(b.leaf(), 12), 0x7fff_ffff)),
        ("pos 2^32-1", Bad, |b, i| i.set_u32(b.field(b.leaf(), 4), u32::MAX)),
        ("ksize 0", Bad, |b, i| i.set_u32(b.field(b.leaf(), 8), 0)),
        ("element flags 1: a bucket", Bad, |b, i| i.set_u32(b.field(b.leaf(), 0), 1)),
        ("element flags 6", Bad, |b, i| i.set_u32(b.field(b.leaf(), 0), 6)),
        ("overflow 2^32-16", Bad, |b, i| i.set_u32(i.page(b.leaf()) + 12, 0xffff_fff0)),
        ("overflow 1 over another page", Bad, |b, i| {
            let leaves = i.leaves(b.bucket);
            let id = leaves.iter().find(|id| i.overflow(**id) == 0 && leaves.contains(&(**id + 1))).unwrap();
            i.set_u32(i.page(*id) + 12, 1);
        }),
        ("zeroed leaf", Bad, |b, i| {
            let at = i.page(b.leaf());
            i.bytes[at..at + i.page_size].fill(0);
        }),
        ("zeroed branch", Bad, |b, i| {
            let at = i.page(b.branch());
            i.bytes[at..at + i.page_size].fill(0);
        }),
        ("zeroed root", Bad, |_, i| {
            let at = i.page(i.root());
            i.bytes[at..at + i.page_size].fill(0);
        }),
        ("root pgid out of range", Bad, |_, i| i.set_metas(32, 999_999)),
        ("root pgid 0", Bad, |_, i| i.set_metas(32, 0)),
        ("high water mark 2^40", Bad, |_, i| i.set_metas(56, 1 << 40)),
        ("high water mark twice the file", Bad, |_, i| i.set_metas(56, 2 * i.high_water())),
        ("high water mark below the root", Bad, |_, i| i.set_metas(56, 3)),
        ("page size 0", Bad, |_, i| set_page_size(i, 0)),
        ("page size 12345", Bad, |_, i| set_page_size(i, 12345)),
        ("page size 2^31", Bad, |_, i| set_page_size(i, 1 << 31)),
        ("freelist id of a leaf", Bad, |b, i| i.set_metas(48, b.leaf())),
        ("freelist id out of range", Bad, |_, i| i.set_metas(48, 999_999)),
        ("magic of meta 0 gone", Bad, |_, i| i.set_u32(16, 0)),
        ("magic of meta 1 gone", Bad, |_, i| i.set_u32(i.page_size + 16, 0)),
        ("checksum of both metas", Bad, |_, i| {
            i.bytes[72] ^= 1;
            let second = i.page_size + 72;
            i.bytes[second] ^= 1;
        }),
        ("bucket value of 8 bytes", Bad, |b, i| i.set_u32(i.entry(b.bucket).at + 12, 8)),
        ("bucket root out of range", Bad, |b, i| i.set_u64(i.entry(b.bucket).value.start, 999_999)),
        ("bucket that is no bucket", Bad, |b, i| i.set_u32(i.entry(b.bucket).at, 0)),
    ];
    let listed: [(&'static str, Due, Break); 8] = [
        ("a leaf is free", Bad, |b, i| i.set_u64(i.page(i.freelist()) + 16, b.leaf())),
        ("a page is free twice", Bad, |_, i| {
            i.set_u64(i.page(i.freelist()) + 16, i.u64(i.page(i.freelist()) + 24))
        }),
        ("a free page past the high water mark", Bad, |_, i| {
            i.set_u64(i.page(i.freelist()) + 16, i.high_water() + 3)
        }),
        ("a free page is not listed", Warning, |_, i| {
            let count = i.page(i.freelist()) + 10;
            i.set_u16(count, i.u16(count) - 1);
        }),
        ("freelist count 65000", Bad, |_, i| i.set_u16(i.page(i.freelist()) + 10, 65_000)),
        ("freelist count escape", Either, |_, i| i.set_u16(i.page(i.freelist()) + 10, 0xffff)),
        ("freelist flagged as leaf", Bad, |_, i| i.set_u16(i.page(i.freelist()) + 8, LEAF)),
        ("freelist with another id", Bad, |_, i| i.set_u64(i.page(i.freelist()), 3)),
    ];
    all.extend(listed.map(|(name, due, change)| (name, due, change)));
    all
}

const NEEDS_FREELIST: [&str; 8] = [
    "a leaf is free",
    "a page is free twice",
    "a free page past the high water mark",
    "a free page is not listed",
    "freelist count 65000",
    "freelist count escape",
    "freelist flagged as leaf",
    "freelist with another id",
];

fn set_page_size(image: &mut Image, size: u32) {
    for meta in [0, image.page_size] {
        image.set_u32(meta + 24, size);
        image.seal_meta(meta);
    }
}

fn bases() -> Vec<Base> {
    let mut bases = vec![
        Base { name: "small-3.5.1", image: Image::pristine(), bucket: "key" },
        Base {
            name: "small-3.5.1 without its trailer",
            image: Image::pristine().without_trailer(),
            bucket: "key",
        },
        Base { name: "plain, with a freelist", image: image::plain(), bucket: "flat" },
    ];
    for (name, page_size) in [("mkbolt, pages of 1024", 1024), ("mkbolt, pages of 4096", 4096)] {
        let Some(mkbolt) = peers::find("mkbolt/mkbolt") else { continue };
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("made.db");
        let size = page_size.to_string();
        let made = peers::command(&mkbolt, directory.path())
            .args(["-page-size", &size, "-keys", "1500", "-o"])
            .arg(&file)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let mut image = Image { bytes: fs::read(&file).unwrap(), page_size, trailer: false };
        // The newer meta page becomes the first, and the second is made like it, as `snapshot save` leaves them.
        if image.u64(page_size + 64) > image.u64(64) {
            image.bytes.copy_within(page_size + 16..page_size + 80, 16);
        }
        let txid = image.u64(64);
        image.bytes.copy_within(16..80, page_size + 16);
        image.set_u64(page_size + 64, txid - 1);
        image.seal_metas();
        image.bytes.truncate(image.page(image.high_water()));
        bases.push(Base { name, image, bucket: "flat" });
    }
    bases
}

/// A program that is ended when its time is over.
fn run(command: &mut Command, most: Duration) -> Option<(Output, Duration)> {
    let start = Instant::now();
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let (mut out, mut err) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
    std::thread::scope(|threads| {
        let read = |pipe: &mut dyn std::io::Read| {
            let mut bytes = Vec::new();
            pipe.read_to_end(&mut bytes).unwrap();
            bytes
        };
        let out = threads.spawn(move || read(&mut out));
        let err = threads.spawn(move || read(&mut err));
        let status: Option<ExitStatus> = loop {
            match child.try_wait().unwrap() {
                Some(status) => break Some(status),
                None if start.elapsed() > most => {
                    child.kill().unwrap();
                    child.wait().unwrap();
                    break None;
                }
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        };
        let took = start.elapsed();
        let (stdout, stderr) = (out.join().unwrap(), err.join().unwrap());
        Some((Output { status: status?, stdout, stderr }, took))
    })
}

/// The findings of verify, once it has come to the exit code that is due.
fn verify(file: &Path, context: &str, due: &[i32], wrong: &mut Vec<String>) -> Vec<Value> {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -d \"$0\" && exec \"$@\"", MOST_MEMORY]).arg(binary());
    command.args(["verify", "-w", "json", "--max-findings", "1000000"]).arg(file);
    let (output, took) =
        run(&mut command, MOST_TIME).unwrap_or_else(|| panic!("{context}: verify makes no end"));
    let err = String::from_utf8_lossy(&output.stderr);
    let code = output.status.code().unwrap_or_else(|| panic!("{context}: {}: {err}", output.status));
    if !due.contains(&code) {
        wrong.push(format!("{context}: exit code {code}, {due:?} due: {err}"));
    }
    assert!(took < MOST_TIME, "{context}: {took:?}");
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{context}: {e}"));
    answer["files"][0]["findings"].as_array().cloned().unwrap_or_default()
}

/// What became of a `bbolt check`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    Fine,
    Reports,
    Refuses,
    Dies,
    NoEnd,
}

/// The messages of a bbolt that survives.
fn check(bbolt: &Path, file: &Path, home: &Path) -> (Fate, Vec<String>) {
    let copy = home.join(format!("copy-{}.db", bbolt.parent().unwrap().file_name().unwrap().display()));
    fs::copy(file, &copy).unwrap();
    // Go takes as much memory as the file asks for: that is a death, not the test's.
    let mut command = peers::command(Path::new("/bin/sh"), home);
    command.args(["-c", "ulimit -v 3000000; exec \"$0\" check \"$1\""]).arg(bbolt).arg(&copy);
    let ended = run(&mut command, Duration::from_secs(10));
    fs::remove_file(&copy).unwrap();
    let Some((output, _)) = ended else { return (Fate::NoEnd, Vec::new()) };
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    let died = output.status.code().is_none_or(|code| code == 2) || said.contains("goroutine ");
    let messages: Vec<String> = said.lines().map(str::to_owned).filter(|line| is_message(line)).collect();
    let fate = match (died, output.status.success()) {
        (true, _) => Fate::Dies,
        (false, true) => Fate::Fine,
        (false, false) if messages.is_empty() => Fate::Refuses,
        (false, false) => Fate::Reports,
    };
    (fate, messages)
}

fn is_message(line: &str) -> bool {
    ["page ", "key[", "the first key[", "unexpected page type", "panic: "]
        .iter()
        .any(|start| line.starts_with(start))
}

/// The numbers after these words of a message.
fn numbers_after(message: &str, words: &str) -> Vec<u64> {
    let Some((_, rest)) = message.split_once(words) else { return Vec::new() };
    let end = rest.find([']', ')', ':']).unwrap_or(rest.len());
    rest[..end].split(|c: char| !c.is_ascii_digit()).filter_map(|n| n.parse().ok()).collect()
}

/// Whether the finding is of a number that points to this page, where there can be none: it is placed where the
/// number stands.
fn points_to(finding: &Value, id: u64) -> bool {
    finding["code"] == "page-out-of-range"
        && finding["detail"].as_str().is_some_and(|d| d.contains(&format!("page number {id} is not between")))
}

/// Whether our findings include what bbolt says.
fn includes(findings: &[Value], message: &str, image: &Image) -> bool {
    let any = |codes: &[&str], judge: &dyn Fn(&Value, Option<u64>) -> bool| {
        findings
            .iter()
            .any(|f| codes.iter().any(|code| f["code"] == *code) && judge(f, f["at"]["page"].as_u64()))
    };
    let detail = |f: &Value| f["detail"].as_str().unwrap_or_default().to_owned();
    if message.starts_with("panic: ") {
        return findings.iter().any(|f| f["severity"] == "damage");
    }
    // Where no meta page can be used no page is reached, for us: bbolt follows what it says all the same.
    if findings.iter().any(|f| f["code"] == "meta-unusable") {
        return true;
    }
    if message.starts_with("key[") || message.starts_with("the first key[") {
        // bbolt names the child for a branch; the pages above are in its stack. Of two keys out of order it blames
        // the second, in the leaf after or above; a page that is reached twice, or is no leaf, it blames for its
        // keys.
        let mut pages = numbers_after(message, " page(");
        pages.extend(numbers_after(message, "tack: ["));
        let below: Vec<u64> = pages
            .iter()
            .filter(|id| image.flags(**id) == BRANCH)
            .flat_map(|id| image.elements(*id))
            .map(|e| e.child)
            .collect();
        return any(
            &["key-order", "branch-key", "key-empty", "page-shared", "element-flags", "element-bounds"],
            &|f, page| {
                page.is_some_and(|page| {
                    pages.contains(&page) || (f["code"] == "key-order" && below.contains(&page))
                })
            },
        );
    }
    if message.starts_with("unexpected page type") {
        let pages = numbers_after(message, "pgId:");
        return any(&["page-type", "page-id", "page-out-of-range"], &|f, page| {
            page.is_some_and(|page| pages.contains(&page)) || pages.iter().any(|id| points_to(f, *id))
        });
    }
    let Some(id) = numbers_after(message, "page ").first().copied() else { return false };
    let is_it = |f: &Value, page: Option<u64>| page == Some(id) || points_to(f, id);
    // A run of overflow pages is named by its first page.
    let runs_over = |_: &Value, page: Option<u64>| {
        page.is_some_and(|page| {
            page < image.high_water()
                && page <= id
                && image.page(page) + 16 <= image.bytes.len()
                && id <= page + image.overflow(page)
        })
    };
    if message.contains("already freed") {
        // A list that claims more than it has room for is not read.
        return any(&["freelist-invalid"], &|f, _| {
            detail(f).contains(&format!("page {id} ")) || detail(f).contains("are claimed")
        });
    }
    if message.contains("reachable freed") {
        return any(&["freelist-reachable"], &|f, _| detail(f).contains(&format!("page {id} ")));
    }
    if message.contains("out of bounds") {
        return any(&["page-out-of-range", "file-too-short"], &is_it);
    }
    if message.contains("multiple references") {
        return any(&["page-shared", "page-out-of-range"], &|f, page| is_it(f, page) || runs_over(f, page));
    }
    if message.contains("invalid type") {
        // A meta page is of the wrong type for bbolt, and out of range for us.
        return any(&["page-type", "page-id", "page-out-of-range"], &is_it);
    }
    if message.contains("unreachable unfreed") {
        let in_file = image.page(id) < image.bytes.len();
        return any(&["page-leaked"], &is_it)
            || (!in_file && any(&["file-too-short"], &|_, _| true))
            || any(&["freelist-invalid"], &|f, _| detail(f).contains("are claimed"));
    }
    false
}

#[test]
fn verify_survives_all_damage_and_says_what_bbolt_says() {
    let bbolts: Vec<(&str, PathBuf)> =
        BBOLTS.into_iter().filter_map(|name| Some((name, peers::find(name)?))).collect();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("damaged.db");
    let mut fates: BTreeMap<(&str, Fate), u32> = BTreeMap::new();
    let (mut files, mut compared, mut missing, mut wrong) = (0, 0, Vec::new(), Vec::new());
    for base in bases() {
        for (class, due, change) in classes() {
            if NEEDS_FREELIST.contains(&class) && !base.has_freelist() {
                continue;
            }
            for sealed in [false, true] {
                if sealed && !base.image.trailer {
                    continue;
                }
                let mut image = base.image.clone();
                change(&base, &mut image);
                let cut = image.bytes.len() != base.image.bytes.len();
                if sealed && cut {
                    continue;
                }
                if sealed {
                    image.seal();
                }
                let context =
                    format!("{}: {class}{}", base.name, if sealed { ", trailer made to fit" } else { "" });
                fs::write(&file, &image.bytes).unwrap();
                let changed = image.bytes != base.image.bytes;
                // What is invisible in pages may be seen in etcd's history, and by an old trailer always.
                let good = if base.image.trailer { 0 } else { 4 };
                let codes: &[i32] = match due {
                    Due::Unreadable => &[3],
                    Due::Bad => &[1],
                    Due::Invisible if !changed => &[good],
                    Due::Invisible if base.image.trailer && !sealed => &[1],
                    // A missing revision below the compaction is as invisible.
                    Due::Invisible if base.bucket == "key" && class != "bit flip in a value" => &[good, 1],
                    Due::Either => &[good, 1],
                    Due::Invisible | Due::Warning => &[good],
                };
                let findings = verify(&file, &context, codes, &mut wrong);
                assert!(fs::read(&file).unwrap() == image.bytes, "{context}: it was written to");
                files += 1;
                let answers: Vec<_> = std::thread::scope(|threads| {
                    let (file, home) = (&file, directory.path());
                    let all: Vec<_> = bbolts
                        .iter()
                        .map(|(name, bbolt)| (name, threads.spawn(move || check(bbolt, file, home))))
                        .collect();
                    all.into_iter().map(|(name, answer)| (*name, answer.join().unwrap())).collect()
                });
                for (name, (fate, messages)) in answers {
                    *fates.entry((name, fate)).or_default() += 1;
                    if fate == Fate::Reports {
                        compared += messages.len();
                        let not_said = messages.iter().filter(|m| !includes(&findings, m, &image));
                        missing.extend(not_said.take(3).map(|m| {
                            let ours: Vec<String> = findings
                                .iter()
                                .take(5)
                                .map(|f| format!("{} {}", f["code"], f["at"]))
                                .collect();
                            format!("{context}, {name}: {m}\n    ours: {ours:?}")
                        }));
                    }
                    assert!(
                        fate == Fate::Fine || due != Due::Invisible || changed,
                        "{context}: {name} does not like a good file: {messages:?}"
                    );
                }
            }
        }
    }
    eprintln!("{files} files; {compared} messages of bbolt compared; what became of bbolt check: {fates:?}");
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "wrong exit codes, and messages that are not ours:\n{}\n{}",
        wrong.join("\n"),
        missing.join("\n")
    );
    assert!(bbolts.is_empty() || compared > 100, "only {compared} messages");
}
