//! coldbolt under the names of bbolt and etcd-dump-db beside the real ones: the same calls on the same files, and the
//! same answer and exit code, but for what a table of reasons allows; each reason must be needed.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use coldbolt::bolt::{Bucket, Db, Freelist, Pgid};
use coldbolt::io::Source;
use coldbolt::ops::bolt::{Use, page_use};
use coldbolt::words::monitor::Quiet;
use support::content::elements;
use support::image::{Image, plain, plain_without_freelist};
use support::run::binary;
use support::{Input, fixture, peers, unpack};

const RULE: &str = "===============================================\n";

/// Calls of bbolt; `@` is the file.
const CALLS: &str = "\
check @|check @ --from-page 3|check @ --from-page 0x4|check --from-page=1 @|check @ --from-page x|check|check @ @
info @|stats @|stats @ k|stats @ nosuch|inspect @|buckets @|pages @
dump @ 0|dump @ 0 1 3|dump @ 999999|dump @ x|dump @|dump @ '' 1
page @ 0|page @ 0 1 2 3 4|page @ 999|page @|page @ '' --all|page @ 0 ''|page @ 0 --all|page @ 18446744073709551615
page @ --all|page --all --format-value hex @|page @ --all --format-value redacted|page @ 3 4 --format-value bogus
page-item @ 3 0|page-item @ 3 0 --key-only|page-item @ 4 1 --value-only --format hex|page-item @ 3 999|page-item @ 0 0
page-item @ 3 0 --key-only --value-only|page-item @ x 0|page-item @ 3 0 --format bogus|page-item @ 2 0|page-item @ 3
keys @ key|keys @ nested 1|keys @ flat -f hex|keys @ flat -fbytes|keys @ nosuch|keys @ meta --format ascii-encoded|keys @ key --format bogus
get @ meta consistent_index|get @ cluster clusterVersion --format redacted|get @ cluster nokey|get @ cluster 6e6f --parse-format hex
get @ cluster 6g --parse-format hex|get @ cluster 636 --parse-format hex|get @ cluster x --parse-format y|get @ nested 1 2 key-0 --format bytes
get @ a|get @ meta ''|surgery meta validate @";

/// Calls that need no file.
const BARE: &str = "\
|help|--help|-h|help page|page --help|surgery|surgery --help|surgery nosuch|surgery meta|help surgery freelist rebuild|check -h
compact --help|bench --help|stats --help|pages --help|get --help|surgery clear-page-elements --help|surgery meta update --help
nosuch|chek|--nosuch|check --nosuch|check -x|help nosuch|completion|version --help|compact|compact x|surgery copy-page x --output y
surgery copy-page x --output y --from-page 1 --to-page 1|surgery clear-page x --output y --pageId 1|info a b
version|--version|completion bash|completion zsh|completion fish|completion powershell";

/// Each of these allows a difference, and says why there is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// bbolt panics, or dies of a signal, where the file is damaged. Here what is wrong is told, and the exit code is 1.
    Panics,
    /// bbolt takes what is behind the end of a file that is cut for pages without elements. Here they are missing.
    Missing,
    /// Where a free page holds nothing of its own any more, bbolt calls that a failure. Here the page is free.
    FreePage,
    /// It is another program, and says which.
    Version,
    /// The scripts that complete words on a command line are clap's.
    Completion,
}

fn words(call: &str, file: &Path) -> Vec<String> {
    let word = |word: &str| match word {
        "@" => file.to_str().unwrap().to_owned(),
        "''" => String::new(),
        word => word.to_owned(),
    };
    call.split(' ').filter(|word| !word.is_empty()).map(word).collect()
}

fn calls(table: &str) -> impl Iterator<Item = &str> {
    table.lines().flat_map(|line| line.split('|'))
}

fn ran(program: &Path, words: &[String]) -> Output {
    Command::new(program).args(words).stdin(Stdio::null()).output().unwrap()
}

/// coldbolt by another name.
fn named(dir: &Path, name: &str) -> PathBuf {
    let link = dir.join(name);
    symlink(binary(), &link).unwrap();
    link
}

/// Why the answers may differ; panics where there is no reason for it.
fn allowed(call: &str, theirs: &Output, ours: &Output) -> Option<Reason> {
    let what = || format!("{call}\n real {theirs:?}\n ours {ours:?}");
    assert!(ours.status.code().is_some_and(|code| code < 2), "{}", what());
    if (theirs.status.code(), &theirs.stdout) == (ours.status.code(), &ours.stdout) {
        return None;
    }
    let reason = match theirs.status.code() {
        None | Some(2) => {
            // The damage may lie elsewhere than below a page, or among the names.
            let told = ours.status.code() == Some(1) && !ours.stderr.is_empty();
            assert!(told || call.contains("--from-page") || call == "buckets @", "{}", what());
            return Some(Reason::Panics);
        }
        Some(0) if ours.status.code() == Some(1) => {
            let told = String::from_utf8_lossy(&ours.stderr);
            assert!(told.contains("[file-too-short]"), "{}", what());
            return Some(Reason::Missing);
        }
        _ if call.starts_with("page ") && call.contains("--all") => Reason::FreePage,
        _ if call.starts_with("version") || call == "--version" => Reason::Version,
        _ if call.starts_with("completion ") => Reason::Completion,
        _ => panic!("no reason for {}", what()),
    };
    assert_eq!(theirs.status, ours.status, "{}", what());
    if reason == Reason::FreePage {
        let blocks = |output: &Output| -> Vec<String> {
            String::from_utf8_lossy(&output.stdout).split(RULE).map(str::to_owned).collect()
        };
        let mut left = blocks(ours).into_iter();
        for block in blocks(theirs) {
            let Some(failed) = block.strip_prefix("Prining page ") else {
                assert!(left.any(|ours| ours == block), "{block} is not in {}", what());
                continue;
            };
            let id = failed.split(' ').next().unwrap();
            let free = format!("Page ID:    {id}\nPage Type:  free\n");
            assert!(
                left.any(|ours| ours == block || ours.starts_with(&free)),
                "{block} is not in {}",
                what()
            );
        }
    }
    Some(reason)
}

/// Files of four etcds, of other programs with pages of three sizes, and what is no database.
fn files(dir: &Path, mkbolt: &Path) -> Vec<Input> {
    let mut files: Vec<_> = ["etcd-3.4.23", "etcd-3.5.1", "etcd-3.6.14", "etcd-3.7.1"]
        .map(|version| Input::new(fixture(&format!("{version}/snapshot.db"))))
        .into();
    files.push(Input::new(fixture("bolt/nested-1024.db")));
    for (size, keys) in [("1024", "700"), ("4096", "900"), ("65536", "1200")] {
        for freelist in ["true", "false"] {
            let path = dir.join(format!("{size}-{freelist}.db"));
            let made = Command::new(mkbolt)
                .args(["-page-size", size, "-keys", keys, "-delete-every", "3", "-nested", "4", "-o"])
                .arg(&path)
                .arg(format!("-freelist={freelist}"))
                .output()
                .unwrap();
            assert!(made.status.success(), "{made:?}");
            files.push(Input::new(path));
        }
    }
    let whole = fs::read(dir.join("4096-true.db")).unwrap();
    let other = fs::read(dir.join("4096-false.db")).unwrap();
    let mut no_first = whole.clone();
    no_first[16] ^= 1;
    for (name, bytes) in [
        ("empty.db", vec![]),
        ("text.db", b"no database\n".repeat(2000)),
        ("short.db", b"no database\n".to_vec()),
        ("cut.db", whole[..60_000].to_vec()),
        ("cut-in-metas.db", whole[..5000].to_vec()),
        ("cut-without-freelist.db", other[..other.len() / 8192 * 4096].to_vec()),
        ("no-first-meta.db", no_first),
    ] {
        files.push(Input::write(dir, name, &bytes));
    }
    files
}

#[test]
fn what_bbolt_answers_is_answered_under_its_name() {
    let Some(mkbolt) = peers::find("mkbolt/mkbolt") else { return };
    let versions = ["1.5.0", "1.4.3"].map(|version| peers::find(&format!("bbolt-{version}/bbolt")));
    let [Some(bbolt), Some(older)] = versions else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = named(dir.path(), "bbolt");
    let files = files(dir.path(), &mkbolt);
    let mut needed = BTreeSet::new();
    let (mut equal, mut equal_older) = (0, 0);
    let places = [dir.path().join("missing.db"), dir.path().to_path_buf()];
    for file in files.iter().map(|file| &file.path).chain(&places) {
        for call in calls(CALLS) {
            let words = words(call, file);
            let made = ran(&ours, &words);
            let theirs = ran(&bbolt, &words);
            match allowed(call, &theirs, &made) {
                Some(reason) => drop(needed.insert(reason)),
                None => equal += 1,
            }
            // What it says of an error the older one prints as an answer, and flags stand first; of a file that is cut it
            // counts what is not there.
            if made.status.success() && !words.iter().any(|word| word.starts_with('-')) {
                let theirs = ran(&older, &words);
                if theirs.status.success() {
                    assert_eq!(theirs.stdout, made.stdout, "{call} {}", file.display());
                    equal_older += 1;
                }
            }
        }
    }
    for call in calls(BARE) {
        let words = words(call, Path::new(""));
        match allowed(call, &ran(&bbolt, &words), &ran(&ours, &words)) {
            Some(reason) => drop(needed.insert(reason)),
            None => equal += 1,
        }
    }
    let all = [Reason::Panics, Reason::Missing, Reason::FreePage, Reason::Version, Reason::Completion];
    assert_eq!(needed, BTreeSet::from(all));
    assert!(equal > 1000 && equal_older > 150, "{equal} {equal_older}");
    files.iter().for_each(Input::unchanged);
}

#[test]
fn what_is_ok_under_its_name_is_ok_for_bbolt_too() {
    let Some(bbolt) = peers::find("bbolt-1.5.0/bbolt") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = named(dir.path(), "bbolt");
    let (mut good, mut bad) = (0, 0);
    for whole in [plain(), plain_without_freelist()] {
        // Bits of headers, of elements and of what is behind them. Past a changed length bbolt may read on for ever, so
        // that it is asked of good files only; of bad ones it finds fewer.
        for at in (2048..whole.bytes.len()).step_by(whole.bytes.len() / 60) {
            for at in [at / 1024 * 1024 + at % 16, at / 1024 * 1024 + 16 + at % 48, at] {
                let mut bytes = whole.bytes.clone();
                bytes[at] ^= 1 << (at % 8);
                let input = Input::write(dir.path(), &format!("{good}-{bad}.db"), &bytes);
                let words = ["check", input.name()].map(str::to_owned);
                let made = ran(&ours, &words);
                if made.status.success() {
                    let theirs = ran(&bbolt, &words);
                    assert_eq!(theirs.stdout, made.stdout, "byte {at}: {theirs:?}");
                    good += 1;
                } else {
                    assert!(made.stdout.ends_with(b" errors found\n"), "byte {at}: {made:?}");
                    bad += 1;
                }
                fs::remove_file(&input.path).unwrap();
            }
        }
    }
    assert!(good > 50 && bad > 50, "{good} {bad}");
}

/// Surgery on a copy: what it is called with.
const SURGERY: &str = "\
revert-meta-page|freelist abandon|freelist rebuild|copy-page --from-page 3 --to-page 5|copy-page --from-page 0 --to-page 1
copy-page --from-page 999 --to-page 5|clear-page --pageId 3|clear-page --pageId 2|clear-page --pageId 999
clear-page-elements --pageId 3 --from-index 0 --to-index 1|clear-page-elements --pageId 3 --from-index 1 --to-index -1
clear-page-elements --pageId 3 --from-index 2 --to-index 1|clear-page-elements --pageId 3 --from-index 9999 --to-index -1
clear-page-elements --pageId 3 --from-index 0 --to-index 9999|clear-page-elements --pageId 3 --from-index 1 --to-index 1
meta update|meta update --meta-page 1|meta update --fields root:7,pgid:30 --fields freelist:9|meta update --meta-page 2
meta update --meta-page 1 --fields pageSize:8192|meta update --fields nosuch:1|meta update --fields root|meta update --fields root:x";

/// The free pages that a file has stored.
fn freelist(path: &Path) -> Vec<u64> {
    let source = Source::open(path).unwrap();
    let list = Freelist::read(&Db::open(&source).unwrap()).unwrap().unwrap();
    list.ids.iter().map(|id| id.0).collect()
}

/// Whether two files are the same but for the bytes of a page, and that has the same elements: those that stay are
/// packed again here, and behind them is nothing left of the others.
fn same_but_cleared(theirs: &Path, ours: &Path, id: u64) -> bool {
    let (a, b) = (fs::read(theirs).unwrap(), fs::read(ours).unwrap());
    let source = Source::open(ours).unwrap();
    let size = usize::try_from(Db::open(&source).unwrap().page_size()).unwrap();
    let at = usize::try_from(id).unwrap() * size;
    let same = a[..at] == b[..at] && a[at..at + 16] == b[at..at + 16] && a[at + size..] == b[at + size..];
    same && elements(theirs, id) == elements(ours, id)
}

/// Everything in a bucket and in those inside it.
fn content(bucket: &Bucket<'_, '_>, into: &mut Vec<(Vec<u8>, Vec<u8>, u64)>) {
    let mut cursor = bucket.cursor();
    while let Some(item) = cursor.next().unwrap() {
        let (key, value) = (item.key.to_vec(), if item.is_bucket { vec![] } else { item.value.to_vec() });
        let inner = item.is_bucket.then(|| bucket.bucket(&key).unwrap().unwrap());
        into.push((key, value, inner.as_ref().map_or(0, |inner| inner.sequence)));
        if let Some(inner) = inner {
            content(&inner, into);
        }
    }
}

fn content_of(path: &Path) -> Vec<(Vec<u8>, Vec<u8>, u64)> {
    let (source, mut all) = (Source::open(path).unwrap(), Vec::new());
    content(&Db::open(&source).unwrap().root(), &mut all);
    all
}

#[test]
fn what_bbolt_makes_by_surgery_is_made_under_its_name() {
    let Some(bbolt) = peers::find("bbolt-1.5.0/bbolt") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = named(dir.path(), "bbolt");
    let snapshot = fs::read(fixture("etcd-3.5.1/snapshot.db")).unwrap();
    let files = [
        Input::new(fixture("etcd-3.6.14/snapshot.db")),
        Input::new(fixture("bolt/nested-1024.db")),
        Input::write(dir.path(), "plain.db", &Image::snapshot(snapshot).without_trailer().bytes),
    ];
    let (mut cleared, mut rebuilt, mut equal) = (0, 0, 0);
    for file in &files {
        for call in calls(SURGERY) {
            let [theirs, made] = ["theirs.db", "ours.db"].map(|name| dir.path().join(name));
            let words = |to: &Path| words(&format!("surgery {call} @ --output {}", to.display()), &file.path);
            let answers = (ran(&bbolt, &words(&theirs)), ran(&ours, &words(&made)));
            let what = format!("{call} {}: {answers:?}", file.path.display());
            assert_eq!(answers.0.status, answers.1.status, "{what}");
            assert_eq!(answers.0.stdout, answers.1.stdout, "{what}");
            if answers.0.status.success() {
                let (real, mine) = (fs::read(&theirs).unwrap(), fs::read(&made).unwrap());
                if call == "freelist rebuild" {
                    // A commit of bbolt moves pages too: free is what its trees do not reach.
                    let source = Source::open(&made).unwrap();
                    let db = Db::open(&source).unwrap();
                    let uses = page_use(&db, &Quiet).unwrap();
                    let stored = freelist(&made);
                    assert!(stored.iter().all(|id| uses.of(Pgid(*id)) == Use::Free), "{what}");
                    assert!(!freelist(&theirs).is_empty() && !stored.is_empty(), "{what}");
                    let checked = ran(&bbolt, &["check".to_owned(), made.to_str().unwrap().to_owned()]);
                    assert!(checked.status.success(), "{checked:?}");
                    rebuilt += 1;
                } else if real == mine {
                    equal += 1;
                } else {
                    let page = call.split("--pageId ").nth(1).expect(&what).split(' ').next().unwrap();
                    assert!(same_but_cleared(&theirs, &made, page.parse().unwrap()), "{what}");
                    cleared += 1;
                }
            } else {
                // Theirs leaves the copy; here nothing is left of what failed.
                assert!(!made.exists(), "{what}");
            }
            let _ = (fs::remove_file(&theirs), fs::remove_file(&made));
        }
        file.unchanged();
    }
    assert!(cleared > 0 && rebuilt > 0 && equal > 15, "{cleared} {rebuilt} {equal}");
}

#[test]
fn what_is_compacted_under_its_name_holds_all_that_the_source_holds() {
    let Some(bbolt) = peers::find("bbolt-1.5.0/bbolt") else { return };
    let Some(mkbolt) = peers::find("mkbolt/mkbolt") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = named(dir.path(), "bbolt");
    for file in files(dir.path(), &mkbolt) {
        let to = dir.path().join("compacted.db");
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        let (name, new) = (file.path.to_str().unwrap(), to.to_str().unwrap());
        let made = ran(&ours, &words(&["compact", "--tx-max-size", "100", "-o", new, name]));
        let real = dir.path().join("real.db");
        let theirs = ran(&bbolt, &words(&["compact", "-o", real.to_str().unwrap(), name]));
        let damaged = file.path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("cut"));
        assert_eq!(made.status.success(), theirs.status.success() && !damaged, "{name} {made:?} {theirs:?}");
        if made.status.success() {
            assert!(ran(&bbolt, &words(&["check", new])).status.success());
            for command in ["inspect", "buckets"] {
                assert_eq!(
                    ran(&bbolt, &words(&[command, new])).stdout,
                    ran(&bbolt, &words(&[command, name])).stdout
                );
            }
            assert!(content_of(&to) == content_of(&file.path), "{name}");
            assert!(content_of(&real) == content_of(&file.path), "{name}");
            // Something is there now.
            let again = ran(&ours, &words(&["compact", "-o", new, name]));
            assert_eq!(again.status.code(), Some(1), "{again:?}");
        } else {
            assert!(!to.exists(), "{name}");
        }
        let _ = (fs::remove_file(&to), fs::remove_file(&real));
        file.unchanged();
    }
}

/// Calls of etcd-dump-db; `@` is the data directory.
const DUMP: &str = "\
|--help|help hash|iterate-bucket --help|list-bucket --help|scan-keys --help|nosuch|hash --nosuch|list-bucket|hash nosuch
list-bucket @|list-bucket @/member/snap/db|list-bucket @ more|hash @|hash @/member/snap/db|hash @ --timeout 1s
scan-keys @ 0|scan-keys @ 100|scan-keys @ -1|scan-keys @ x|scan-keys @|iterate-bucket @ nosuch|iterate-bucket @
iterate-bucket @ alarm|iterate-bucket @ auth|iterate-bucket @ authRoles|iterate-bucket @ authUsers|iterate-bucket @ cluster
iterate-bucket @ key|iterate-bucket @ lease|iterate-bucket @ members|iterate-bucket @ members_removed|iterate-bucket @ meta
iterate-bucket @ alarm --decode|iterate-bucket @ auth --decode|iterate-bucket @ authRoles --decode|iterate-bucket @ authUsers --decode
iterate-bucket @ cluster --decode|iterate-bucket @ key --decode|iterate-bucket @ lease --decode|iterate-bucket @ members --decode
iterate-bucket @ meta --decode|iterate-bucket @ key --limit 2|iterate-bucket @ key --decode --limit=1";

#[test]
fn what_etcd_dump_db_answers_is_answered_under_its_name() {
    let Some(real) = peers::find("etcd-dump-db-3.6/etcd-dump-db") else { return };
    let dir = tempfile::tempdir().unwrap();
    let ours = named(dir.path(), "etcd-dump-db");
    for version in ["3.4.23", "3.5.1", "3.6.14", "3.7.1"] {
        let place = dir.path().join(version);
        fs::create_dir(&place).unwrap();
        let data = unpack(version, "cold", &place);
        let db = data.join("member/snap/db");
        let before = fs::read(&db).unwrap();
        for call in calls(DUMP) {
            let words: Vec<_> = call
                .split(' ')
                .filter(|word| !word.is_empty())
                .map(|word| word.replace('@', data.to_str().unwrap()))
                .collect();
            let theirs = ran(&real, &words);
            // It opens the file to write to it.
            fs::write(&db, &before).unwrap();
            let made = ran(&ours, &words);
            assert_eq!(made.status, theirs.status, "{call}: {made:?} {theirs:?}");
            assert!(made.stdout == theirs.stdout, "{call}: {made:?} {theirs:?}");
            assert!(fs::read(&db).unwrap() == before, "{call}");
        }
    }
}
