//! Copies with changed Kubernetes objects in the real etcd and etcdutl.
//!
//! Without the programs there is nothing to do, unless `COLDBOLT_INTEROP=required`.

use std::fs::{self};

use support::coldbolt;
use support::packed::unpacked;
use support::peers;
use support::restored::Member;
use support::server::{free_ports, run};

#[test]
fn a_copy_with_changed_objects_is_taken_restored_and_served_by_etcd_3_6() {
    let Some(etcdutl) = peers::find("etcd-3.6.14/etcdutl") else { return };
    if peers::find("etcd-3.6.14/etcd").is_none() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path();
    let place = |name: &str| home.join(name).to_str().unwrap().to_owned();
    fs::write(place("a.db"), unpacked(&support::fixture("kube/plain-1.37/snapshot.db.gz"))).unwrap();
    let got = coldbolt(["kube", "get", &place("a.db"), "cm/k-cm1", "-n", "every-kind", "-o", "yaml"]);
    fs::write(place("cm.yaml"), got.text().replace("foo: bar", "foo: changed")).unwrap();
    coldbolt(["kube", "put", &place("a.db"), "-f", &place("cm.yaml"), "-o", &place("b.db")]).says(0, &[]);
    let delete =
        ["kube", "delete", &place("b.db"), "secret/k-secret1", "-n", "every-kind", "-o", &place("c.db")];
    coldbolt(delete).says(0, &[]);
    let ours = coldbolt(["hashkv", &place("c.db"), "-w", "json"]).json();

    let status =
        run(peers::command(&etcdutl, home).args(["snapshot", "status", &place("c.db"), "-w", "json"]), b"");
    assert!(status.status.success(), "{}", String::from_utf8_lossy(&status.stderr));
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["revision"], 823);
    let data = home.join("data");
    let restore = [
        "snapshot",
        "restore",
        &place("c.db"),
        "--data-dir",
        &place("data"),
        "--name",
        "n1",
        "--initial-cluster",
        "n1=http://127.0.0.1:23987",
        "--initial-advertise-peer-urls",
        "http://127.0.0.1:23987",
    ];
    // It checks the SHA-256 at the end of the file.
    let restored = run(peers::command(&etcdutl, home).args(restore), b"");
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    let [client, peer] = free_ports();
    let peer = format!("http://127.0.0.1:{peer}");
    let mut member = Member::start("3.6.14", &data, client, &["--name", "n1"], &peer);
    let served = member.json(&["endpoint", "hashkv"]);
    assert_eq!(served[0]["HashKV"]["hash"], ours["hash"]);
    let key = "/registry/configmaps/every-kind/k-cm1";
    let kv = &member.json(&["get", key])["kvs"][0];
    assert_eq!((&kv["mod_revision"], &kv["version"]), (&822.into(), &2.into()));
    let value = member.try_ctl(&["get", key, "--print-value-only"], b"").stdout;
    assert!(value.windows(7).any(|seven| seven == b"changed"), "{}", value.escape_ascii());
    assert_eq!(member.ctl(&["get", "/registry/secrets/every-kind/k-secret1"], b""), "");
    // It goes on where the copy ends.
    assert_eq!(member.json(&["put", key, "next"])["header"]["revision"], 824);
    member.stop();
}
