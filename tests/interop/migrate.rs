//! `coldbolt migrate` beside the real `etcdutl migrate`, and the real etcds that start from the result.

use std::fs;
use std::path::Path;
use std::process::Output;

use support::content::content;
use support::peers;
use support::server::run;
use support::{VERSIONS, args, coldbolt, unpack};

const TARGETS: [&str; 5] = ["3.4", "3.5", "3.6", "3.7", "3.8"];

/// Of each etcdutl the targets that it does not know and coldbolt does.
const NOT_YET: [(&str, &[&str]); 3] = [("3.6.14", &["3.7", "3.8"]), ("3.7.1", &["3.8"]), ("3.8.0", &[])];

fn theirs(etcdutl: &str, dir: &Path, target: &str) -> Output {
    let etcdutl = peers::find(&format!("etcd-{etcdutl}/etcdutl")).unwrap();
    let mut command = peers::command(&etcdutl, dir.parent().unwrap());
    run(command.args(["migrate", "--data-dir"]).arg(dir).args(["--target-version", target]), b"")
}

#[test]
fn each_etcdutl_leaves_the_same_database_and_the_same_exit_code_and_refusal() {
    if NOT_YET.iter().any(|(version, _)| peers::find(&format!("etcd-{version}/etcdutl")).is_none()) {
        return;
    }
    let mut compared = 0;
    for (etcdutl, not_yet) in NOT_YET {
        for (version, target) in VERSIONS.iter().flat_map(|v| TARGETS.map(|target| (v, target))) {
            // It knows no way from a newer version than its own either.
            let from_newer = etcdutl == "3.6.14" && *version == "3.7.1" && target != "3.7";
            if *version != "3.4.23"
                && (not_yet.contains(&target) && !version.starts_with(target) || from_newer)
            {
                continue;
            }
            let temp = tempfile::tempdir().unwrap();
            let [a, b] = ["theirs", "ours"].map(|name| {
                let home = temp.path().join(name);
                fs::create_dir(&home).unwrap();
                unpack(version, "cold", &home)
            });
            let their = theirs(etcdutl, &a, target);
            let our = coldbolt(args!["migrate", "--data-dir", b, "--target-version", target]);
            let context = format!("{version} to {target} by {etcdutl}: {their:?} {}", our.err);
            assert_eq!(their.status.success(), our.code == 0, "{context}");
            let [a, b] = [a, b].map(|dir| content(&dir.join("member/snap/db")));
            assert!(a == b, "{context}");
            let stderr = String::from_utf8(their.stderr).unwrap();
            if let Some(why) = stderr.lines().find_map(|line| line.strip_prefix("Error: ")) {
                assert!(our.err.contains(why.trim()), "{context}");
            }
            compared += 1;
        }
    }
    assert!(compared > 40, "{compared}");
}
