//! `bolt surgery` beside the real one, and what it makes in a real etcd.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs;

use support::content::elements;
use support::image::Image;
use support::peers;
use support::restored::Member;
use support::server::{Server, free_ports, run};
use support::{coldbolt, fixture};

#[test]
fn what_bbolt_changes_is_what_is_changed_here() {
    let programs = ["1.4.3", "1.5.0"].map(|version| peers::find(&format!("bbolt-{version}/bbolt")));
    let [Some(one), Some(other)] = programs else { return };
    let dir = tempfile::tempdir().unwrap();
    let image = Image::snapshot(fs::read(fixture("etcd-3.5.1/snapshot.db")).unwrap()).without_trailer();
    let leaves = image.leaves("key");
    let branch = image.branches("key")[0];
    let source = dir.path().join("a.db");
    fs::write(&source, &image.bytes).unwrap();
    let (first, second) = (leaves[0].to_string(), leaves[1].to_string());
    let branch_page = branch.to_string();
    // Our words, theirs, and the page of which the elements are the same and not all bytes.
    let cases: Vec<(Vec<&str>, Vec<&str>, Option<u64>)> = vec![
        (vec!["revert-meta-page"], vec!["revert-meta-page"], None),
        (vec!["freelist-abandon"], vec!["freelist", "abandon"], None),
        (
            vec!["copy-page", "--from-page", &first, "--to-page", &second],
            vec!["copy-page", "--from-page", &first, "--to-page", &second],
            None,
        ),
        (
            vec!["meta-update", "--meta-page", "1", "--root", "7", "--pgid", "30", "--freelist", "9"],
            vec!["meta", "update", "--meta-page", "1", "--fields", "root:7,pgid:30,freelist:9"],
            None,
        ),
        (vec!["meta-update"], vec!["meta", "update"], None),
        (vec!["clear-page", "--page", &first], vec!["clear-page", "--pageId", &first], Some(leaves[0])),
        (
            vec!["clear-page-elements", "--page", &first, "--from-index", "1", "--to-index", "3"],
            vec!["clear-page-elements", "--pageId", &first, "--from-index", "1", "--to-index", "3"],
            Some(leaves[0]),
        ),
        (
            vec!["clear-page-elements", "--page", &branch_page, "--from-index", "1", "--to-index", "-1"],
            vec!["clear-page-elements", "--pageId", &branch_page, "--from-index", "1", "--to-index", "-1"],
            Some(branch),
        ),
    ];
    for (at, (ours, theirs, same)) in cases.iter().enumerate() {
        let mine = dir.path().join(format!("{at}.db"));
        let words = [&["bolt", "surgery"], &ours[..]].concat();
        let made = coldbolt([&words[..], &[source.to_str().unwrap(), "-o", mine.to_str().unwrap()]].concat());
        assert!(made.code <= 1, "{made}");
        for (version, bbolt) in [("1.4.3", &one), ("1.5.0", &other)] {
            let real = dir.path().join(format!("{at}-{version}.db"));
            let mut command = peers::command(bbolt, dir.path());
            command.arg("surgery").args(theirs).arg(&source).arg("--output").arg(&real);
            let output = run(&mut command, b"");
            assert!(output.status.success(), "{theirs:?}: {output:?}");
            match same {
                Some(page) => assert_eq!(elements(&mine, *page), elements(&real, *page), "{theirs:?}"),
                None => {
                    let mut real = Image::snapshot(fs::read(&real).unwrap());
                    if theirs[0] == "meta" {
                        // It sets flags in the body of the page, which nobody reads and bbolt itself never sets.
                        let meta = if theirs.contains(&"--meta-page") { real.page(1) } else { 0 };
                        real.set_u32(meta + 28, 0);
                        real.seal_meta(meta);
                    }
                    assert!(fs::read(&mine).unwrap() == real.bytes, "{version} {theirs:?}");
                }
            }
        }
    }
    assert_eq!(fs::read(&source).unwrap(), image.bytes);
}

#[test]
fn what_was_changed_by_hand_is_restored_and_served() {
    let Some(etcdutl) = peers::find("etcd-3.6.14/etcdutl") else { return };
    let Some(bbolt) = peers::find("bbolt-1.4.3/bbolt") else { return };
    let Some(mut server) = Server::start("3.6.14", &[]) else { return };
    for round in 0..200 {
        server.ctl(&["put", &format!("/k/{}", round % 40), &"v".repeat(round * 7)]);
    }
    let snapshot = server.home().join("s.db");
    server.save(&snapshot);
    let due = server.ctl_json(&["get", "", "--from-key"], b"")["kvs"].clone();
    let dir = tempfile::tempdir().unwrap();
    let mut last = snapshot;
    // One after the other, so that what is served has gone through all of them.
    for words in [
        &["freelist-rebuild"][..],
        &["freelist-abandon"],
        &["set-consistent-index", "4711", "--term", "9"],
        &["drop-bucket", "lease"],
        &["freelist-rebuild"],
        &["fix-trailer"],
    ] {
        let next = dir.path().join(format!("{}.db", fs::read_dir(dir.path()).unwrap().count()));
        let paths = [last.to_str().unwrap(), "-o", next.to_str().unwrap()];
        let run = coldbolt([&["bolt", "surgery"], words, &paths[..]].concat());
        assert_eq!(run.code, 0, "{run}");
        let checked = peers::command(&bbolt, dir.path()).arg("check").arg(&next).output().unwrap();
        // Pages of a bucket that went are free, and no freelist of the file says so.
        assert!(checked.status.success(), "{words:?}: {checked:?}");
        last = next;
    }
    server.stop();
    let data = dir.path().join("data");
    let [client, peer] = free_ports();
    let peer = format!("http://127.0.0.1:{peer}");
    let cluster = format!("n1={peer}");
    let identity = ["--name", "n1", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer];
    let words = ["snapshot", "restore", last.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    let restored = run(peers::command(&etcdutl, dir.path()).args(words).args(identity), b"");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let mut member = Member::start("3.6.14", &data, client, &identity, &peer);
    assert_eq!(member.json(&["get", "", "--from-key"])["kvs"], due);
    member.ctl(&["put", "after", "1"], b"");
    member.stop();
}
