//! coldbolt under the names of bbolt and etcd-dump-db, without the real ones: answers that were recorded of them, and
//! what must hold whatever the file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::image::{Image, plain};
use support::run::{binary, run};
use support::{Input, Run, fixture, unpack};

/// Runs it under a name.
fn named(name: &str, words: &[&str]) -> Run {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join(name);
    symlink(binary(), &link).unwrap();
    let mut command = Command::new(&link);
    command.args(words).stdin(std::process::Stdio::null());
    run(command)
}

fn bbolt(words: &[&str]) -> Run {
    named("bbolt", words)
}

fn recorded(name: &str) -> String {
    fs::read_to_string(fixture("bolt").join(name)).unwrap()
}

#[test]
fn answers_are_those_recorded_of_bbolt() {
    let nested = Input::new(fixture("bolt/nested-1024.db"));
    let etcd = Input::new(fixture("small-3.5.1/snapshot.db"));
    let (n, e) = (nested.name(), etcd.name());
    for (words, answer) in [
        (&["pages", n][..], "nested-1024.pages.txt"),
        (&["page", n, "0", "1", "3", "4", "7", "8", "12"], "nested-1024.page.txt"),
        (&["buckets", n], "nested-1024.buckets.txt"),
        (&["keys", n, "nested", "1"], "nested-1024.keys.txt"),
        (&["get", n, "nested", "1", "2", "key-0"], "nested-1024.get.txt"),
        (&["page-item", n, "4", "2"], "nested-1024.page-item.txt"),
        (&["pages", e], "small-3.5.1.pages.txt"),
        (&["page", e, "--all", "--format-value", "redacted"], "small-3.5.1.page-all-redacted.txt"),
        (&["keys", e, "key"], "small-3.5.1.keys.txt"),
        (&["get", e, "cluster", "clusterVersion"], "small-3.5.1.get.txt"),
    ] {
        assert_eq!(bbolt(words).good(), recorded(answer), "{words:?}");
    }
    assert_eq!(bbolt(&["check", n]).good(), "OK\n");
    assert_eq!(bbolt(&["info", n]).good(), "Page Size: 1024\n");
    nested.unchanged();
    etcd.unchanged();
}

#[test]
fn what_is_wrong_is_said_in_its_words_with_exit_code_1() {
    let file = Input::new(fixture("small-3.5.1/snapshot.db"));
    let name = file.name();
    for (words, due) in [
        (&["check"][..], "Error: accepts 1 arg(s), received 0"),
        (&["keys"], "Error: requires at least 2 arg(s), only received 0"),
        (&["stats"], "Error: accepts between 1 and 2 arg(s), received 0"),
        (&["chek"], "Error: unknown command \"chek\" for \"bbolt\""),
        (&["check", "--nosuch"], "Error: unknown flag: --nosuch"),
        (&["check", "missing.db"], "Error: source database file \"missing.db\" doesn't exist"),
        (&["page", name], "Error: page id required"),
        (&["page", name, "0", "--all"], "Error: invalid args: either use '--all' or 'pageid...'"),
        (&["keys", name, "nosuch"], "Error: bucket not found"),
        (&["keys", name, "key", "--format", "x"], "Error: formatBytes: unsupported format: x"),
        (&["get", name, "cluster", "no"], "Error: Error key not found for key: \"no\" hex: \"6e6f\""),
        (&["page-item", name, "3", "999"], "leafPageElement: expected item index less than "),
        (&["surgery", "clear-page", name, "--pageId", "3"], "Error: required flag(s) \"output\" not set"),
        (&["surgery", "freelist", "rebuild", name, "--output", name], "already exists"),
    ] {
        let ran = bbolt(words);
        ran.says(1, &[due]);
        assert_eq!(ran.text(), "", "{words:?}");
    }
    file.unchanged();
}

#[test]
fn check_tells_of_each_rule_that_is_broken_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let broken = |name: &str, change: &dyn Fn(&mut Image)| {
        let mut image = plain();
        change(&mut image);
        image.seal_metas();
        Input::write(dir.path(), name, &image.bytes)
    };
    let leaf = plain().leaves("flat")[0];
    let wrong_number = broken("number.db", &|image| {
        let page = image.page(leaf);
        image.set_u64(page, 999);
    });
    let ran = bbolt(&["check", wrong_number.name()]);
    ran.says(1, &["Error: invalid value"])
        .shows(1, &["the page's header says it is page 999", "errors found"]);
    let order = broken("order.db", &|image| {
        let elements = image.elements(leaf);
        let (first, second) = (&elements[0], &elements[1]);
        let (a, b) = (image.bytes[first.key.clone()].to_vec(), image.bytes[second.key.clone()].to_vec());
        image.set(first.key.start, &b);
        image.set(second.key.start, &a);
    });
    bbolt(&["check", order.name()]).shows(1, &["needs to be > (found <) than previous element (hex)"]);
    for input in [wrong_number, order] {
        input.unchanged();
    }
}

#[test]
fn no_command_fails_of_itself_on_a_file_that_is_cut_or_changed() {
    let dir = tempfile::tempdir().unwrap();
    let whole = plain().bytes;
    let mut files: Vec<(String, Vec<u8>)> =
        [0, 1, 79, 1024, 4095, 4096, 4097, 9000, whole.len() / 2, whole.len() - 1]
            .map(|length| (format!("cut-{length}.db"), whole[..length.min(whole.len())].to_vec()))
            .into();
    for (at, byte) in [(8, 0xff), (12, 0xff), (15, 0x7f), (24, 1), (32, 9), (48, 4), (56, 0xff), (63, 0x7f)] {
        // Meta pages, leaves and branches; each change in one of them, and each page with some of the changes.
        for page in (0..whole.len() / 1024).filter(|page| page % 31 == at % 31 || *page < 2) {
            let mut bytes = whole.clone();
            bytes[page * 1024 + at] = byte;
            let mut image = Image { bytes, ..plain() };
            if page < 2 {
                image.seal_meta(page * 1024);
            }
            files.push((format!("changed-{page}-{at}.db"), image.bytes));
        }
    }
    for (name, bytes) in files {
        let input = Input::write(dir.path(), &name, &bytes);
        let file = input.name();
        let new = dir.path().join("new.db");
        let new = new.to_str().unwrap();
        for words in [
            &["check", file][..],
            &["check", file, "--from-page", "3"],
            &["stats", file],
            &["inspect", file],
            &["pages", file],
            &["page", file, "--all"],
            &["dump", file, "0", "2"],
            &["keys", file, "flat"],
            &["compact", file, "-o", new],
            &["surgery", "clear-page", file, "--pageId", "3", "--output", new],
            &["surgery", "revert-meta-page", file, "--output", new],
        ] {
            let ran = bbolt(words);
            assert!(ran.code <= 1, "{words:?}: {ran}");
            let _ = fs::remove_file(new);
        }
        let dumped = named("etcd-dump-db", &["scan-keys", file, "0"]);
        assert!(dumped.code <= 1, "{dumped}");
        input.unchanged();
    }
}

#[test]
fn pages_and_buckets_that_hold_one_another_are_followed_no_further() {
    let dir = tempfile::tempdir().unwrap();
    // Each child of a branch page becomes that page itself, or the page of all buckets becomes each bucket's.
    let mut own = plain();
    let branch = own.branches("flat")[0];
    let (page, count) = (own.page(branch), own.count(branch));
    for index in 0..count {
        own.set_u64(page + 16 + index * 16 + 8, branch);
    }
    let mut all = plain();
    let root = all.root();
    for name in ["flat", "long", "tree"] {
        let value = all.entry(name).value.start;
        all.set_u64(value, root);
    }
    for (name, image) in [("own.db", own), ("all.db", all)] {
        let input = Input::write(dir.path(), name, &image.bytes);
        let file = input.name();
        let new = dir.path().join("new.db");
        bbolt(&["check", file]).shows(1, &["multiple references", "errors found"]);
        for words in [
            &["stats", file][..],
            &["inspect", file],
            &["pages", file],
            &["compact", file, "-o", new.to_str().unwrap()],
        ] {
            let ran = bbolt(words);
            ran.says(1, &["is reached a second time"]);
            assert!(ran.took.as_secs() < 20, "{ran}");
        }
        assert!(!new.exists());
        input.unchanged();
    }
}

#[test]
fn a_compacted_file_takes_the_place_of_an_empty_one_only() {
    let dir = tempfile::tempdir().unwrap();
    let source = Input::new(fixture("bolt/nested-1024.db"));
    let to = dir.path().join("new.db");
    let compact = || bbolt(&["compact", "-o", to.to_str().unwrap(), source.name()]);
    fs::write(&to, b"").unwrap();
    assert!(compact().good().contains(" bytes (gain="));
    assert_eq!(bbolt(&["check", to.to_str().unwrap()]).good(), "OK\n");
    let made = fs::read(&to).unwrap();
    compact().says(1, &["exists already"]);
    assert_eq!(fs::read(&to).unwrap(), made);
    source.unchanged();
}

#[test]
fn bench_says_what_it_measures_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    for mode in ["seq", "rnd-nest"] {
        let path = dir.path().join("b.db");
        let words =
            ["bench", "--count", "1000", "--batch-size", "100", "--write-mode", mode, "--read-mode", "rnd"];
        let ran = bbolt(&[&words[..], &["--path", path.to_str().unwrap()]].concat());
        ran.says(0, &["not transactions of bbolt", "starting write benchmark.", "starting read benchmark."]);
        ran.shows(0, &["# Write\t1000(ops)\t", "# Read\t"]);
        assert!(!path.exists());
    }
    bbolt(&["bench", "--cpuprofile", "x"]).says(1, &["Go's runtime"]);
}

#[test]
fn etcd_dump_db_answers_for_a_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let data: PathBuf = unpack("3.6.14", "cold", dir.path());
    let db = Input::new(data.join("member/snap/db"));
    let dump = |words: &[&str]| named("etcd-dump-db", words);
    let place = data.to_str().unwrap();
    assert!(
        dump(&["list-bucket", place]).good().starts_with("alarm\nauth\nauthRoles\nauthUsers\ncluster\nkey\n")
    );
    let hash = dump(&["hash", place]);
    let path: &Path = &db.path;
    // Of etcd-dump-db 3.6.14.
    assert_eq!(hash.good(), format!("db path: {}\nHash: 4237210206\n", path.display()));
    let roles = dump(&["iterate-bucket", place, "authRoles", "--decode"]);
    let due = "role=\"reader\", keyPermission=[key:\"/registry/\" range_end:\"/registry0\" ]\n";
    assert_eq!(roles.good(), due);
    let last = dump(&["iterate-bucket", place, "key", "--decode", "--limit", "1"]);
    let due = "rev={Revision:{Main:132 Sub:0} tombstone:true}, value=[key \"/after/snap-7\" | val \"\" | created 0 | mod 0 | ver 0]\n";
    assert_eq!(last.good(), due);
    dump(&["iterate-bucket", place, "nosuch"]).says(1, &["got nil bucket for nosuch"]);
    db.unchanged();
}
