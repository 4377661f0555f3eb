//! The README's way out of a disaster, command by command, and restores by manifests.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use serde_json::Value;
use support::{Input, Run, args, coldbolt, fixture};

use crate::readme::{Machine, check};

#[test]
fn the_readmes_way_out_of_a_disaster_is_one() {
    let machine = Machine::stopped();
    let backup = Input::new(machine.path("home/backup.db"));
    let sections = ["A Kubernetes control plane is lost", "A smaller file, without what was deleted"];
    let count: usize = sections.map(|section| check(&machine, section)).iter().sum();
    assert!(count >= 8, "{count} commands");
    for dir in ["var/lib/etcd", "home/restored/cp1", "home/restored/cp2", "home/restored/cp3"] {
        let ran = coldbolt(args!["verify", machine.path(dir)]);
        assert_eq!(ran.code, 0, "{dir}: {}", ran.text());
    }
    let db = |dir: &str| fs::read(machine.path(dir).join("member/snap/db")).unwrap();
    assert!(db("home/restored/cp1") == db("home/restored/cp3"));
    assert!(machine.path("etc/kubernetes/manifests/etcd.yaml").is_file());
    backup.unchanged();
}

fn restore(input: &Input, manifest: &Path, more: &[&str]) -> Run {
    let mut args = args!["restore", input, "--from-manifest", manifest, "--dry-run", "-w", "json"].to_vec();
    args.extend(more.iter().map(std::ffi::OsStr::new));
    coldbolt(&args)
}

fn json(ran: &Run) -> Value {
    assert_eq!(ran.code, 0, "{}", ran.err);
    serde_json::from_slice(&ran.out).unwrap()
}

fn taken(report: &Value) -> BTreeMap<&str, &str> {
    report["taken"]
        .as_array()
        .unwrap()
        .iter()
        .map(|t| (t["flag"].as_str().unwrap(), t["value"].as_str().unwrap()))
        .collect()
}

#[test]
fn flags_count_more_than_the_manifest() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let manifest = Input::new(fixture("kubeadm/cp1.yaml"));
    let dir = temp.path().join("data");
    let report = json(&restore(&input, &manifest.path, &["--data-dir", dir.to_str().unwrap()]));
    let due = [
        ("initial-advertise-peer-urls", "https://10.0.0.11:2380"),
        ("initial-cluster", "cp1=https://10.0.0.11:2380"),
        ("name", "cp1"),
        ("target-version", "3.5"),
    ];
    assert_eq!(taken(&report), due.into());
    assert_eq!(report["members"][0]["data_dir"].as_str(), dir.to_str());
    let mine = [
        "--data-dir",
        dir.to_str().unwrap(),
        "--name",
        "x",
        "--initial-cluster",
        "x=http://x:1,y=http://y:1",
        "--initial-advertise-peer-urls",
        "http://x:1",
        "--initial-cluster-token",
        "mine",
        "--target-version",
        "3.6",
    ];
    let report = json(&restore(&input, &manifest.path, &mine));
    assert_eq!((taken(&report).len(), &report["target_version"]), (0, &"3.6".into()));
    input.unchanged();
    manifest.unchanged();
}

#[test]
fn a_manifest_of_all_members_makes_all_and_one_that_names_fewer_is_told() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let all = temp.path().join("all");
    let report =
        json(&restore(&input, &fixture("kubeadm/cp3.yaml"), &["--all-members", all.to_str().unwrap()]));
    assert_eq!(report["members"].as_array().unwrap().len(), 3);
    assert_eq!(taken(&report).into_keys().collect::<Vec<_>>(), ["initial-cluster", "target-version"]);
    let told = report["advice"][0].as_str().unwrap();
    assert!(told.starts_with("the manifest names 3 members, the source had 1"), "{report}");
    let dir = temp.path().join("data");
    let auto = ["--data-dir", dir.to_str().unwrap(), "--bump-revision", "auto", "--mark-compacted"];
    let report = json(&restore(&input, &fixture("kubeadm/cp2.yaml"), &auto));
    assert!(report["advice"][0].as_str().unwrap().contains("--bump-revision 1000000000"), "{report}");
    input.unchanged();
}

#[test]
fn what_a_manifest_does_not_tell_is_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let input = Input::new(fixture("small-3.5.1/snapshot.db"));
    let manifest = fs::read_to_string(fixture("kubeadm/cp1.yaml")).unwrap();
    for (from, to, why) in [
        (
            "--initial-cluster=cp1=https://10.0.0.11:2380",
            "--x",
            "has no --initial-cluster; give the flag to restore",
        ),
        (
            "path: /var/lib/etcd\n",
            "x: y\n",
            "--data-dir is /var/lib/etcd, which is on no volume of the host; give --data-dir to restore",
        ),
        ("--name=cp1", "--name=$(NODE)", "--name is $(NODE), which the kubelet fills in"),
        ("kind: Pod", "kind: Deployment", "its kind is \"Deployment\""),
        ("spec:\n  containers:", "spec:\n  containers: [", "is not the manifest of a pod"),
    ] {
        let path = temp.path().join("etcd.yaml");
        assert!(manifest.contains(from));
        fs::write(&path, manifest.replace(from, to)).unwrap();
        let ran = restore(&input, &path, &[]);
        assert!(ran.code == 3 && ran.err.contains(why), "{ran:?}");
    }
    let ran = restore(&input, &temp.path().join("missing.yaml"), &[]);
    assert!(ran.code == 3 && ran.err.contains("No such file"), "{ran:?}");
    input.unchanged();
}
