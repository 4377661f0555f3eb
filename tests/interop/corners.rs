//! What few clusters hold, and real servers take all the same.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use support::server::Server;
use support::{VERSIONS, coldbolt, peers};

const ROLE: &[u8] = b"ro\xffle";

#[test]
fn a_role_whose_name_is_not_utf8_is_good_up_to_3_6_and_ends_3_7() {
    for version in ["3.4.23", "3.5.1", "3.6.14"] {
        let Some(mut server) = Server::start(version, &["--backend-batch-interval", "100s"]) else { return };
        let ctl = |args: &[&str]| {
            let role = OsStr::from_bytes(ROLE);
            assert!(server.ctl_command(args).arg(role).output().unwrap().status.success(), "{args:?}");
        };
        server.ctl(&["user", "add", "ann:x"]);
        ctl(&["role", "add"]);
        ctl(&["user", "grant-role", "ann"]);
        server.ctl(&["put", "a", "1"]);
        server.kill();
        let (data, copy) = (server.home().join("data"), server.home().join("copy.db"));
        let text = |path: &std::path::Path| path.to_str().unwrap().to_owned();
        // The log alone has it.
        coldbolt(["verify", &text(&data)]).says(0, &[]);
        coldbolt(["copy", &text(&data), &text(&copy)]).says(0, &[]);
        coldbolt(["verify", &text(&copy)])
            .says(0, &["user ann has roles whose names are not UTF-8: ro\\xffle"]);
        let roles = coldbolt(["auth", &text(&copy), "-w", "json"]).json();
        assert_eq!(roles["auth"]["users"][0]["roles"][0], "ro\\xffle", "{version}: {roles}");
        // The server goes on with it.
        server.restart();
        assert_eq!(server.ctl(&["get", "a"]), "a\n1\n");
        server.stop();
        coldbolt(["verify", &text(&data)]).says(0, &["[role-not-utf8]"]);
        let Some(newest) = peers::find("etcd-3.7.1/etcd") else { return };
        let log = ends_by_itself(&newest, &copy, server.home());
        assert!(log.contains("string field contains invalid UTF-8"), "{version}: {log}");
    }
}

/// Starts it on what is restored of a copy, and waits for its end.
fn ends_by_itself(etcd: &std::path::Path, copy: &std::path::Path, home: &std::path::Path) -> String {
    let data = home.join("restored");
    coldbolt([
        "restore",
        copy.to_str().unwrap(),
        "--target-version",
        "3.7",
        "--data-dir",
        data.to_str().unwrap(),
    ])
    .says(0, &[]);
    let [client, peer] = support::server::free_ports().map(|port| format!("http://127.0.0.1:{port}"));
    let mut command = peers::command(etcd, home);
    command.args(["--data-dir", data.to_str().unwrap(), "--listen-client-urls", &client]);
    command.args(["--advertise-client-urls", &client, "--listen-peer-urls", &peer]);
    let run = support::run::Run::of(command);
    assert_ne!(run.code, 0);
    run.err
}

/// `checkIntervals` does not see that a deletion up to the last key covers the put.
#[test]
fn a_key_that_one_transaction_deletes_and_puts_is_lost_by_the_etcds_that_the_finding_names() {
    for version in VERSIONS {
        let loses = ["3.6.14", "3.7.1"].contains(&version);
        for at in ["4", "5"] {
            let Some(mut server) = Server::start(version, &[]) else { return };
            server.ctl(&["put", "a", "1"]);
            server.ctl(&["put", "b", "1"]);
            server.ctl_stdin(&["txn"], b"\ndel a --from-key\nput b 2\n\n\n");
            let snapshot = server.home().join("s.db");
            server.save(&snapshot);
            let snapshot = snapshot.to_str().unwrap();
            let said = "key b, revision 4.2: the transaction that deleted the key at 4.1 put it again";
            coldbolt(["verify", snapshot]).says(0, &[said, "[deleted-and-put]"]);
            assert_eq!(coldbolt(["get", snapshot, "b"]).text(), "b\n2\n");
            server.ctl(&["put", "z", "1"]);
            server.ctl(&["compact", "--physical", at]);
            if at == "4" && loses {
                let get = server.ctl_command(&["get", "b", "--command-timeout", "2s"]).output().unwrap();
                assert!(!get.status.success(), "{version} keeps it");
                std::thread::sleep(Duration::from_millis(100));
                let log = std::fs::read_to_string(server.home().join("log")).unwrap();
                assert!(log.contains("range failed to find revision pair"), "{log}");
            } else {
                assert_eq!(server.ctl(&["get", "b"]), "b\n2\n", "{version}, compacted at {at}");
                let db = server.stop();
                let run = coldbolt(["verify", db.to_str().unwrap()]);
                assert!(!run.err.contains("deleted-and-put"), "{version}, compacted at {at}: {run}");
            }
        }
    }
}

/// As an operator rolls back: the newer etcd's term stays in the database.
#[test]
fn a_directory_that_3_4_restored_from_a_newer_etcd_is_good_and_copied_by_the_rules_of_3_4() {
    let Some(mut server) = Server::start("3.5.1", &[]) else { return };
    // A second leader's term, that the new log will not have come to.
    server.ctl(&["put", "a", "1"]);
    server.stop();
    server.restart();
    server.ctl(&["put", "b", "1"]);
    let (snapshot, data) = (server.home().join("s.db"), server.home().join("old"));
    server.save(&snapshot);
    let Some(etcdctl) = peers::find("etcd-3.4.23/etcdctl") else { return };
    let mut command = peers::command(&etcdctl, server.home());
    let words = [snapshot.to_str().unwrap(), "--data-dir", data.to_str().unwrap()];
    command.env("ETCDCTL_API", "3").args(["snapshot", "restore"]).args(words);
    assert!(command.output().unwrap().status.success());
    coldbolt(["verify", data.to_str().unwrap()]).says(0, &[": it was left by a newer etcd"]);

    let flags = ["--snapshot-count", "100000"];
    let [client, _] = support::server::free_ports();
    let peer = format!("http://127.0.0.1:{}", support::server::free_ports()[1]);
    let mut member = support::restored::Member::start("3.4.23", &data, client, &flags, &peer);
    member.ctl(&["put", "c", "1"], b"");
    member.kill();
    coldbolt(["verify", data.to_str().unwrap()]).says(0, &[]);
    let copy = server.home().join("copy.db");
    let run = coldbolt(["copy", data.to_str().unwrap(), copy.to_str().unwrap()]);
    assert!(run.code == 0 && run.text().contains("by etcd      3.4 (the log is of 3.4"), "{run}");
    assert_eq!(coldbolt(["get", copy.to_str().unwrap(), "c"]).text(), "c\n1\n");
}
