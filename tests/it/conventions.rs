//! Backups where and as other programs leave them.

use std::fs;
use std::io::Write;
use std::path::Path;

use flate2::Compression;
use flate2::write::GzEncoder;
use support::age::PAIR;
use support::{Input, coldbolt, coldbolt_in, fixture, unpack};

use crate::kube_secrets::{CERTIFICATE, ENDS};

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut packer = GzEncoder::new(Vec::new(), Compression::fast());
    packer.write_all(bytes).unwrap();
    packer.finish().unwrap()
}

/// What `cluster-backup.sh` of OpenShift leaves: a snapshot, and beside it the static pods in an archive.
fn openshift(dir: &Path) -> String {
    fs::copy(fixture("small-3.5.1/snapshot.db"), dir.join("snapshot_2026-11-28_170000.db")).unwrap();
    let pod = fs::read(fixture("kubeadm/cp1.yaml")).unwrap();
    let files: [(&str, &[u8]); 5] = [
        ("static-pod-resources/etcd-pod-7/etcd-pod.yaml", &pod),
        ("static-pod-resources/kube-apiserver-pod-9/kube-apiserver-pod.yaml", b"kind: Pod\n"),
        (
            "static-pod-resources/etcd-certs/secrets/etcd-all-certs/etcd-serving-cp1.crt",
            CERTIFICATE.as_bytes(),
        ),
        (
            "static-pod-resources/etcd-certs/secrets/etcd-all-certs/etcd-serving-cp1.key",
            b"-----BEGIN EC PRIVATE KEY-----\n",
        ),
        (
            "static-pod-resources/kube-apiserver-pod-9/secrets/encryption-config/encryption-config",
            b"kind: EncryptionConfiguration\n",
        ),
    ];
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        tar.append_data(&mut header, name, bytes).unwrap();
    }
    let archive = dir.join("static_kuberesources_2026-11-28_170000.tar.gz");
    fs::write(&archive, gzip(&tar.into_inner().unwrap())).unwrap();
    archive.to_str().unwrap().to_owned()
}

#[test]
fn the_static_pods_beside_a_snapshot_of_openshift_are_listed_and_one_tells_how_to_restore() {
    let dir = tempfile::tempdir().unwrap();
    let archive = openshift(dir.path());
    let input = Input::new(dir.path());
    let listed = coldbolt(["inspect", &archive]);
    listed.shows(0, &["static pods of a control plane", "encryption configuration", "private key"]);
    let pod = format!("{archive}:/static-pod-resources/etcd-pod-7/etcd-pod.yaml");
    listed.shows(0, &["pod of etcd", &pod, ENDS]);
    let json = coldbolt(["inspect", &archive, "-w", "json"]).json();
    assert_eq!(json["resources"].as_array().map(Vec::len), Some(5));
    assert!(json["resources"][0]["path"] == *pod && json["resources"][0]["what"] == "etcd-pod");
    let snapshot = dir.path().join("snapshot_2026-11-28_170000.db");
    let snapshot = snapshot.to_str().unwrap();
    coldbolt(["verify", dir.path().to_str().unwrap()]).shows(0, &["1 good", "1 passed over"]);
    let new = tempfile::tempdir().unwrap();
    let plain = fixture("kubeadm/cp1.yaml");
    let dry = |manifest: &str, data: &str| {
        let data = new.path().join(data);
        let args = [
            "restore",
            snapshot,
            "--data-dir",
            data.to_str().unwrap(),
            "--dry-run",
            "--from-manifest",
            manifest,
        ];
        coldbolt(args).shows(0, &["cp1"]).text().replace(manifest, "MANIFEST")
    };
    assert_eq!(dry(&pod, "data"), dry(plain.to_str().unwrap(), "data"));
    // An archive with one of etcd's needs no name for it.
    assert_eq!(dry(&archive, "data"), dry(plain.to_str().unwrap(), "data"));
    input.unchanged();
}

#[test]
fn a_static_pod_is_known_by_what_is_in_it_and_what_is_none_is_told_by_its_place() {
    let dir = tempfile::tempdir().unwrap();
    let pod = fs::read(fixture("kubeadm/cp1.yaml")).unwrap();
    let json = br#"{"kind":"Pod","apiVersion":"v1","spec":{"containers":[{"name":"kube-apiserver"}]}}"#;
    let write = |name: &str, files: &[(&str, &[u8])]| {
        let mut tar = tar::Builder::new(Vec::new());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            tar.append_data(&mut header, format!("static-pod-resources/{name}"), *bytes).unwrap();
        }
        fs::write(dir.path().join(name), gzip(&tar.into_inner().unwrap())).unwrap();
        dir.path().join(name).to_str().unwrap().to_owned()
    };
    let one = write(
        "one.tar.gz",
        &[("a/pod.yaml", &pod), ("b/pod.yaml", json), ("c/etcd-pod.yaml", b"kind: Secret")],
    );
    let json = coldbolt(["inspect", &one, "-w", "json"]).json();
    let whats: Vec<_> = json["resources"].as_array().unwrap().iter().map(|one| one["what"].clone()).collect();
    assert_eq!(whats, ["etcd-pod", "pod", "other"]);
    let snapshot = fixture("small-3.5.1/snapshot.db");
    let restore = |manifest: &str| {
        let data = dir.path().join("data");
        let [data, snapshot] = [&data, &snapshot].map(|path| path.to_str().unwrap());
        coldbolt(["restore", snapshot, "--data-dir", data, "--dry-run", "--from-manifest", manifest])
    };
    restore(&one).says(3, &["etcd-pod.yaml", "its kind is \"Secret\""]);
    let two = write("two.tar.gz", &[("1/etcd-pod.yaml", &pod), ("2/etcd-pod.yaml", &pod)]);
    restore(&two)
        .says(3, &["holds 2 manifests of etcd's", "two.tar.gz:/static-pod-resources/2/etcd-pod.yaml"]);
    let none = write("none.tar.gz", &[("x", &pod)]);
    restore(&none).says(3, &["none of the 1 files in it is called etcd.yaml or etcd-pod.yaml"]);
    let text = dir.path().join("text");
    fs::write(&text, "kind: Pod\nspec:\n  containers: 7\n").unwrap();
    restore(text.to_str().unwrap())
        .says(3, &["is not the manifest of a pod: it cannot be read as one at line 3, column"]);
}

#[test]
fn a_copy_that_kubeadm_made_before_an_upgrade_is_found_by_its_directory() {
    let dir = tempfile::tempdir().unwrap();
    let backup = dir.path().join("kubeadm-backup-etcd-2026-11-28-17-00-00");
    fs::create_dir(&backup).unwrap();
    fs::rename(unpack("3.6.14", "cold", dir.path()), backup.join("etcd")).unwrap();
    let name = backup.to_str().unwrap();
    coldbolt(["verify", name]).shows(0, &["etcd: data directory"]);
    let data = format!("its data directory is {name}/etcd");
    coldbolt(["copy", name, dir.path().join("new.db").to_str().unwrap()]).says(3, &[&data]);
    coldbolt(["inspect", name]).says(3, &[&data]);
}

#[test]
fn what_k3s_packs_and_keeps_beside_is_verified_and_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file("etcd-snapshot-node1-1764000000", zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(&fs::read(fixture("etcd-3.5.1/snapshot.db")).unwrap()).unwrap();
    fs::write(dir.path().join("etcd-snapshot-node1-1764000000.zip"), zip.finish().unwrap().into_inner())
        .unwrap();
    fs::create_dir(dir.path().join(".metadata")).unwrap();
    fs::write(dir.path().join(".metadata/etcd-snapshot-node1-1764000000.zip"), "{}").unwrap();
    let run = coldbolt(["verify", dir.path().to_str().unwrap()]);
    run.shows(0, &["1 good, 0 bad, 0 inconclusive, 0 unreadable, 1 passed over", "zip"]);
}

/// RKE puts each snapshot into a zip, in a directory of it; rke2 keeps them as k3s does, below its own name.
#[test]
fn what_rancher_keeps_of_rke_and_rke2_is_verified_and_read() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = fixture("small-3.5.1/snapshot.db");
    let due = coldbolt(["status", snapshot.to_str().unwrap()]).good().to_owned();
    let rke = dir.path().join("opt/rke/etcd-snapshots");
    let rke2 = dir.path().join("var/lib/rancher/rke2/server/db/snapshots");
    fs::create_dir_all(&rke).unwrap();
    fs::create_dir_all(&rke2).unwrap();
    let packed = rke.join("c-abcde-rl-xyz12_2026-11-28T17:00:00Z.zip");
    let mut zip = zip::ZipWriter::new(fs::File::create(&packed).unwrap());
    let options = zip::write::SimpleFileOptions::default();
    zip.start_file("backup/c-abcde-rl-xyz12_2026-11-28T17:00:00Z", options).unwrap();
    zip.write_all(&fs::read(&snapshot).unwrap()).unwrap();
    zip.finish().unwrap();
    let plain = rke2.join("etcd-snapshot-node-1-1764349200");
    fs::copy(&snapshot, &plain).unwrap();
    for (file, place) in [(&packed, &rke), (&plain, &rke2)] {
        let input = Input::new(file);
        assert_eq!(coldbolt(["status", input.name()]).good(), due);
        coldbolt(["verify", place.to_str().unwrap()]).says(0, &[]);
        input.unchanged();
    }
}

#[test]
fn what_talos_backup_stores_is_read_by_its_key_and_by_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let snapshot = fs::read(fixture("small-3.5.1/snapshot.db")).unwrap();
    let packed = ruzstd::encoding::compress_to_vec(&*snapshot, ruzstd::encoding::CompressionLevel::Fastest);
    fs::write(dir.path().join("c1.snap.zst"), packed).unwrap();
    fs::write(dir.path().join("key"), format!("{}\n", PAIR.1)).unwrap();
    fs::write(dir.path().join("other"), format!("{}\n", support::age::OTHER.1)).unwrap();
    let run = |args: &[&str]| coldbolt_in(dir.path(), args);
    run(&["encrypt", "c1.snap.zst", "-o", "c1.snap.zst.age", "--to", PAIR.0]).shows(0, &[]);
    let plain = coldbolt(["status", fixture("small-3.5.1/snapshot.db").to_str().unwrap()]);
    assert_eq!(run(&["status", "c1.snap.zst.age", "--age-identity", "key"]).text(), plain.text());
    run(&["verify", "c1.snap.zst.age", "--age-identity", "key"]).shows(0, &["good at levels", "zstd in age"]);
    run(&["--age-identity", "key", "copy", "c1.snap.zst.age", "new.db"]).shows(0, &["revision     41"]);
    run(&["status", "c1.snap.zst.age", "--age-identity", "other"])
        .says(3, &["the keys that were given do not open it"]);
    run(&["status", "c1.snap.zst.age"]).says(3, &["age-encrypted"]);
    run(&["status", "c1.snap.zst.age", "--age-identity", "none"]).says(3, &["none: "]);
    // Cut or changed it is damaged wherever that is.
    let closed = fs::read(dir.path().join("c1.snap.zst.age")).unwrap();
    for at in (400..closed.len()).step_by(closed.len() / 10) {
        let mut changed = closed.clone();
        changed[at] ^= 1;
        for bytes in [&closed[..at], &changed] {
            fs::write(dir.path().join("bad.age"), bytes).unwrap();
            let verified = run(&["verify", "bad.age", "--age-identity", "key"]);
            assert!(verified.code == 1 && verified.text().contains("packed-damaged"), "{at}: {verified}");
        }
    }
}
