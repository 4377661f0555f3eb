//! What is compressed or in an archive is read as it is: every wrapper, every command, and what is wrong with wrappers.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use flate2::Compression;
use support::run::binary;
use support::{Input, Run, coldbolt, coldbolt_in, command, fixture};
use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

/// A snapshot file of a real etcd.
fn snapshot() -> Vec<u8> {
    fs::read(fixture("small-3.5.1/snapshot.db")).unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ruzstd::encoding::compress_to_vec(bytes, ruzstd::encoding::CompressionLevel::Fastest)
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut writer = lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).unwrap();
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut writer = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
    let mut writer = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = tar::Builder::new(Vec::new());
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        writer.append_data(&mut header, name, *bytes).unwrap();
    }
    writer.into_inner().unwrap()
}

fn zip(files: &[(&str, &[u8])], method: CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in files {
        writer.start_file(*name, SimpleFileOptions::default().compression_method(method)).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A file in every wrapper, with the name that it has then and that of what is inside.
fn wrapped(name: &str, bytes: &[u8]) -> Vec<(String, Vec<u8>, String)> {
    let file = [(name, bytes)];
    type Pack = fn(&[u8]) -> Vec<u8>;
    let streams: [(&str, Pack); 5] = [("gz", gzip), ("zst", zstd), ("xz", xz), ("bz2", bzip2), ("lz4", lz4)];
    let mut all = Vec::new();
    for (end, pack) in streams {
        all.push((format!("{name}.{end}"), pack(bytes), format!("{name}.{end}")));
        all.push((format!("t.tar.{end}"), pack(&tar(&file)), format!("t.tar.{end}:/{name}")));
    }
    all.push(("t.tar".to_owned(), tar(&file), format!("t.tar:/{name}")));
    for (end, method) in [("stored", CompressionMethod::Stored), ("deflated", CompressionMethod::Deflated)] {
        all.push((format!("{end}.zip"), zip(&file, method), format!("{end}.zip:/{name}")));
    }
    all.push(("z.db.gz.xz".to_owned(), xz(&gzip(bytes)), "z.db.gz.xz".to_owned()));
    let packed = tar(&[("backup.db.gz", &gzip(bytes))]);
    all.push(("in.tar".to_owned(), packed, "in.tar:/backup.db.gz".to_owned()));
    let nested = zip(&[("deep/n.tar.gz", &gzip(&tar(&file)))], CompressionMethod::Stored);
    all.push(("n.zip".to_owned(), nested, format!("n.zip:/deep/n.tar.gz:/{name}")));
    all
}

const ANSWERS: [&[&str]; 18] = [
    &["status", "-w", "json", "FILE"],
    &["snapshot", "status", "FILE"],
    &["hashkv", "FILE"],
    &["get", "FILE", "", "--prefix", "-w", "json"],
    &["keys", "FILE"],
    &["history", "FILE", "--prefix", ""],
    &["events", "FILE"],
    &["timeline", "FILE"],
    &["export", "FILE"],
    &["leases", "FILE"],
    &["auth", "FILE"],
    &["alarms", "FILE"],
    &["members", "FILE"],
    &["bolt", "buckets", "FILE"],
    &["bolt", "page", "FILE", "0"],
    &["bolt", "check", "FILE"],
    &["diff", "PLAIN", "FILE"],
    &["compare", "PLAIN", "FILE"],
];

fn filled<'a>(args: &[&'a str], plain: &'a str, file: &'a str) -> Vec<&'a str> {
    let fill = |arg: &&'a str| match *arg {
        "FILE" => file,
        "PLAIN" => plain,
        other => other,
    };
    args.iter().map(fill).collect()
}

#[test]
fn every_command_answers_of_what_is_in_every_wrapper_as_of_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    fs::write(dir.path().join("plain.db"), &bytes).unwrap();
    let wrapped = wrapped("plain.db", &bytes);
    for (name, packed, _) in &wrapped {
        fs::write(dir.path().join(name), packed).unwrap();
    }
    let input = Input::new(dir.path());
    for args in ANSWERS {
        let plain = coldbolt_in(dir.path(), filled(args, "plain.db", "plain.db"));
        for (name, _, inside) in &wrapped {
            let run = coldbolt_in(dir.path(), filled(args, "plain.db", name));
            assert_eq!(run.code, plain.code, "{run}");
            // Columns are as wide as the name.
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            let mut text = run.text().replace(inside, "plain.db");
            // What it was packed in is all that JSON says more.
            if let Some(at) = text.find(r#","packed":""#).filter(|_| args[0] == "status") {
                text.replace_range(at..text.len() - 2, "");
            }
            assert_eq!(words(&text), words(plain.text()), "{name}: {run}");
        }
    }
    for (name, _, inside) in &wrapped {
        let verified = coldbolt_in(dir.path(), ["verify", name, "-w", "json"]).json();
        let file = &verified["files"][0];
        assert_eq!(
            (&verified["verdict"], &file["path"]),
            (&"good".into(), &inside.as_str().into()),
            "{verified}"
        );
        assert!(file["measured"]["packed"].is_string(), "{verified}");
        let status = coldbolt_in(dir.path(), ["status", "-w", "json", name]).json();
        assert_eq!(status["packed"], file["measured"]["packed"]);
        let told = file["levels"].to_string();
        assert!(name == "t.tar" || told.contains(" bytes unpacked to "), "{told}");
        coldbolt_in(dir.path(), ["inspect", name]).shows(0, &[inside, "packed  "]);
        coldbolt_in(dir.path(), ["inspect", inside]).shows(0, &[inside]);
    }
    input.unchanged();
}

#[test]
fn what_is_made_of_what_is_packed_is_what_is_made_of_the_file_itself() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    fs::write(dir.path().join("plain.db"), &bytes).unwrap();
    let restored = |name: &str, to: &str| {
        let run = coldbolt_in(dir.path(), ["restore", name, "--data-dir", to, "--target-version", "3.5"]);
        assert_eq!(run.code, 0, "{run}");
        fs::read(dir.path().join(to).join("member/snap/db")).unwrap()
    };
    let made = |args: &[&str]| {
        let run = coldbolt_in(dir.path(), args);
        assert_eq!(run.code, 0, "{run}");
        let new = dir.path().join("new");
        let bytes = fs::read(&new).unwrap();
        fs::remove_file(new).unwrap();
        bytes
    };
    let due = (
        made(&["copy", "plain.db", "new"]),
        made(&["defrag", "plain.db", "-o", "new"]),
        made(&["unseal", "plain.db", "-o", "new"]),
        restored("plain.db", "plain"),
    );
    for (name, packed, _) in wrapped("plain.db", &bytes) {
        let input = Input::write(dir.path(), &name, &packed);
        let is = (
            made(&["copy", &name, "new"]),
            made(&["defrag", &name, "-o", "new"]),
            made(&["unseal", &name, "-o", "new"]),
            restored(&name, &format!("of-{name}")),
        );
        assert!(is == due, "{name}");
        // What is closed is what is there, and not what is inside.
        input.unchanged();
    }
}

#[test]
fn kubernetes_objects_are_read_where_they_are_packed() {
    let packed = Input::new(fixture("kube/plain-1.37/snapshot.db.gz"));
    let dir = tempfile::tempdir().unwrap();
    let plain = support::packed::snapshot(dir.path(), "plain-1.37");
    for args in [
        &["kube", "get", "FILE", "pods", "-A"][..],
        &["kube", "get", "FILE", "all-kinds", "-A", "-o", "name"],
        &["kube", "kinds", "FILE"],
        &["kube", "encryption", "FILE"],
        &["kube", "diff", "FILE", "FILE"],
    ] {
        let due = coldbolt(filled(args, "", plain.name()));
        let is = coldbolt(filled(args, "", packed.name()));
        assert_eq!(
            (is.code, is.text().replace(packed.name(), plain.name())),
            (due.code, due.text().to_owned()),
            "{is}"
        );
    }
    let new = dir.path().join("new.db");
    let object = dir.path().join("namespace.yaml");
    fs::write(&object, "apiVersion: v1\nkind: Namespace\nmetadata: {name: packed}\n").unwrap();
    let args = ["kube", "put", packed.name(), "-f", object.to_str().unwrap(), "-o", new.to_str().unwrap()];
    coldbolt(args).says(0, &[]);
    coldbolt(["kube", "get", new.to_str().unwrap(), "namespaces", "packed", "-o", "name"])
        .shows(0, &["namespace/packed"]);
    packed.unchanged();
}

/// A data directory with a log that goes on after its database, unpacked and as it is kept.
fn member(dir: &Path) -> (Input, Input) {
    let packed = Input::new(fixture("etcd-3.7.1/cold.tar.gz"));
    (packed, Input::new(support::unpack("3.7.1", "cold", dir)))
}

#[test]
fn a_data_directory_in_an_archive_is_one_with_its_log() {
    let dir = tempfile::tempdir().unwrap();
    let (packed, plain) = member(dir.path());
    let inside = format!("{}:/cold", packed.name());
    for args in [
        &["inspect", "FILE"][..],
        &["verify", "FILE"],
        &["get", "FILE", "", "--prefix", "--fold"],
        &["keys", "FILE", "--fold"],
        &["events", "FILE", "--fold"],
        &["timeline", "FILE"],
        &["wal", "dump", "FILE"],
        &["wal", "dump", "FILE", "--raw"],
        &["members", "FILE"],
        &["rank", "FILE"],
        &["member", "list", "FILE"],
    ] {
        let due = coldbolt(filled(args, "", plain.name()));
        for name in [packed.name(), &inside, &format!("{}:cold", packed.name())] {
            let is = coldbolt(filled(args, "", name));
            let text = is.text().replace(&inside, plain.name());
            // That it is packed is told, and nothing else differs.
            let text: String = text.lines().filter(|line| !line.starts_with("packed ")).collect();
            let text = text.replace("; in tar in gzip, 216271 bytes unpacked to 128153600", "");
            let due_text: String = due.text().lines().collect();
            let squeezed = |text: String| text.split_whitespace().collect::<Vec<_>>().join(" ");
            assert_eq!((is.code, squeezed(text)), (due.code, squeezed(due_text)), "{name}: {is}");
        }
    }
    let copy = |from: &str, to: &str| {
        let to = dir.path().join(to);
        coldbolt(["copy", from, to.to_str().unwrap()]).says(0, &[]);
        fs::read(to).unwrap()
    };
    assert!(copy(packed.name(), "of-packed") == copy(plain.name(), "of-plain"));
    let (as_dir, new) = (dir.path().join("as-dir"), dir.path().join("again"));
    coldbolt(["copy", packed.name(), as_dir.to_str().unwrap(), "--as", "data-dir"]).says(0, &[]);
    coldbolt(["verify", as_dir.to_str().unwrap()]).says(0, &[]);
    let segment = format!("{inside}/member/wal/0000000000000000-0000000000000000.wal");
    coldbolt(["wal", "dump", &segment, "--raw"]).says(0, &[]);
    let snap = format!("{inside}/member/snap/0000000000000002-000000000000007a.snap");
    coldbolt(["snap", "show", &snap]).shows(0, &["122"]);
    // A database alone is refused where its log has more, as on a disk.
    coldbolt(["restore", packed.name(), "--data-dir", new.to_str().unwrap()]).says(3, &["its log has"]);
    packed.unchanged();
    plain.unchanged();
}

#[test]
fn a_data_directory_is_found_wherever_in_an_archive_it_is_and_however_it_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let (_, plain) = member(dir.path());
    let due = coldbolt(["get", plain.name(), "", "--prefix", "--fold"]);
    for (root, long) in [("", false), ("var/lib/etcd/", false), ("member-of/", true)] {
        let root = format!(
            "{root}{}",
            if long { "n".repeat(90) + "/" + &"m".repeat(90) + "/" } else { String::new() }
        );
        let path = dir.path().join("d.tar");
        let mut writer = tar::Builder::new(File::create(&path).unwrap());
        writer.sparse(true);
        writer.append_dir_all(format!("{root}member"), plain.path.join("member")).unwrap();
        writer.finish().unwrap();
        // Holes stay holes: the archive is small.
        assert!(path.metadata().unwrap().len() < 60_000_000);
        let is = coldbolt_in(dir.path(), ["get", "d.tar", "", "--prefix", "--fold"]);
        assert_eq!((is.code, is.text()), (due.code, due.text()), "{is}");
        is.says(0, &[&format!("d.tar:/{}", root.trim_end_matches('/'))]);
        coldbolt_in(dir.path(), ["status", &format!("d.tar:{root}member/snap/db")]).says(0, &[]);
    }
    coldbolt_in(dir.path(), ["status", "d.tar:member/snap/nothing"])
        .says(3, &["nothing: ", "no such file in the archive"]);
}

#[test]
fn an_archive_of_several_things_says_which_and_verify_takes_them_all() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    let packed = gzip(&tar(&[
        ("notes.txt", b"text"),
        ("a/monday.db", &bytes),
        ("a/tuesday.db.gz", &gzip(&bytes)),
        ("m/member/snap/db", &bytes),
    ]));
    let input = Input::write(dir.path(), "all.tar.gz", &packed);
    coldbolt_in(dir.path(), ["status", "all.tar.gz"]).says(
        3,
        &[
            "holds 3 things of etcd's; name one of them: ",
            "all.tar.gz:/a/monday.db",
            "all.tar.gz:/a/tuesday.db.gz",
            "all.tar.gz:/m",
        ],
    );
    for name in ["all.tar.gz:a/monday.db", "all.tar.gz:/a/tuesday.db.gz", "all.tar.gz:./m/member/snap/db"] {
        coldbolt_in(dir.path(), ["status", name]).says(0, &[]);
    }
    let answer = coldbolt_in(dir.path(), ["verify", "all.tar.gz", "-w", "json"]).json();
    let paths: Vec<_> =
        answer["files"].as_array().unwrap().iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(paths, ["all.tar.gz:/m", "all.tar.gz:/a/monday.db", "all.tar.gz:/a/tuesday.db.gz"]);
    let none = gzip(&tar(&[("notes.txt", b"text")]));
    Input::write(dir.path(), "none.tar.gz", &none);
    coldbolt_in(dir.path(), ["inspect", "none.tar.gz"]).says(3, &["holds nothing of etcd's", "its 1 files"]);
    // A file of that name comes first.
    Input::write(dir.path(), "all.tar.gz:a", b"text");
    coldbolt_in(dir.path(), ["status", "all.tar.gz:a"]).says(3, &["is a text file"]);
    input.unchanged();
}

#[test]
fn of_many_files_in_a_zip_only_some_stay_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    // Each is more than is kept in memory, so that it is a file as long as it is kept.
    let mut bytes = snapshot();
    bytes.resize(33 << 20, 0);
    let names: Vec<String> = (0..30).map(|n| format!("{n}.db")).collect();
    let files: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), &*bytes)).collect();
    let input = Input::write(dir.path(), "many.zip", &zip(&files, CompressionMethod::Deflated));
    let mut limited = Command::new("sh");
    limited
        .current_dir(dir.path())
        .args(["-c", "ulimit -n 32; exec \"$0\" verify many.zip -w json"])
        .arg(binary());
    let answer = Run::of(limited).json();
    let judged = answer["files"].as_array().map(Vec::len);
    assert_eq!((judged, answer["unreadable"].as_array().map(Vec::len)), (Some(30), Some(0)), "{answer}");
    input.unchanged();
}

#[test]
fn what_openshift_and_k3s_leave_is_read_as_it_is() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    let static_pods = gzip(&tar(&[("static-pod-resources/etcd-pod.yaml", b"kind: Pod")]));
    let both = tar(&[
        ("backup/snapshot_2026-11-29_120000.db", &bytes),
        ("backup/static_kuberesources_2026-11-29_120000.tar.gz", &static_pods),
    ]);
    Input::write(dir.path(), "openshift.tar", &both);
    let k3s = zip(&[("etcd-snapshot-node-1764417600", &bytes)], CompressionMethod::Deflated);
    Input::write(dir.path(), "etcd-snapshot-node-1764417600.zip", &k3s);
    for name in ["openshift.tar", "etcd-snapshot-node-1764417600.zip"] {
        coldbolt_in(dir.path(), ["verify", name]).says(0, &[]);
    }
    fs::create_dir(dir.path().join("backup")).unwrap();
    fs::write(dir.path().join("backup/snapshot_2026-11-29_120000.db"), &bytes).unwrap();
    fs::write(dir.path().join("backup/static_kuberesources_2026-11-29_120000.tar.gz"), static_pods).unwrap();
    coldbolt_in(dir.path(), ["verify", "backup", "-v"]).shows(0, &["companion of an OpenShift backup"]);
}

/// Runs a command on what a pipe brings.
fn piped(args: &[&str], bytes: &[u8]) -> Run {
    let mut command = command(args);
    let mut pipe = std::io::pipe().unwrap();
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(pipe.0)));
    let bytes = bytes.to_vec();
    // Who has read enough goes away.
    let writer = std::thread::spawn(move || drop(pipe.1.write_all(&bytes)));
    let run = support::run::run(command);
    writer.join().unwrap();
    run
}

#[test]
fn what_a_pipe_or_a_redirected_file_brings_is_unpacked_too() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    let due = piped(&["status", "-"], &bytes).good().to_owned();
    for (name, packed, _) in wrapped("plain.db", &bytes) {
        for args in [&["status", "-"][..], &["verify", "-"], &["get", "-", "", "--prefix"], &["hashkv", "-"]]
        {
            piped(args, &packed).says(0, &[]);
        }
        assert_eq!(piped(&["status", "-"], &packed).good(), due, "{name}");
        let input = Input::write(dir.path(), &name, &packed);
        let mut command = command(["status", "-"]);
        command.stdin(File::open(&input.path).unwrap());
        assert_eq!(support::run::run(command).good(), due, "{name}");
        input.unchanged();
        let cut = piped(&["status", "-"], &packed[..packed.len() / 2]);
        assert!(matches!(cut.code, 1 | 3), "{name}: {cut}");
    }
    piped(&["status", "-", "--max-input", "4096"], &gzip(&bytes)).says(3, &["--max-input"]);
    piped(&["status", "-", "--max-unpacked", "4096"], &gzip(&bytes))
        .says(3, &["unpacks to more than 4096 bytes"]);
}

#[test]
fn a_wrapper_that_is_cut_anywhere_is_damage_that_names_it_and_no_answer() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    for (name, packed, _) in wrapped("plain.db", &bytes) {
        for twentieth in 1..20 {
            // The header of a tar is what it is known by.
            let cut = &packed[..(packed.len() * twentieth / 20).max(512)];
            if packed[cut.len()..].iter().all(|byte| *byte == 0) {
                // Of the two blocks at the end of a tar one is enough.
                continue;
            }
            let input = Input::write(dir.path(), &name, cut);
            let run = coldbolt(["status", input.name()]);
            run.says(1, &[&name, "cut off"]);
            assert!(run.text().is_empty(), "{run}");
            let verified = coldbolt(["verify", input.name()]);
            verified.says(1, &[&name, "cut off"]);
            verified.shows(1, &["packed file, BAD", "packed-damaged"]);
            input.unchanged();
        }
        // The last byte is one that counts, unless it is one of the zeros behind a tar.
        let input = Input::write(dir.path(), &name, &packed[..packed.len() - 1]);
        let code = coldbolt(["verify", input.name()]).code;
        assert!(code == 1 || (code == 0 && name.ends_with("tar")), "{name}: {code}");
    }
}

#[test]
fn a_byte_that_was_changed_in_a_wrapper_is_found_and_no_other_content_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    for (name, packed, _) in wrapped("plain.db", &bytes) {
        // A tar has no checksum of what is in it; the trailer of the snapshot in it is one.
        let due = |code: i32| code == 1 || code == 3;
        for at in (0..packed.len()).step_by(packed.len() / 40 + 1).chain([packed.len() / 2]) {
            let mut changed = packed.clone();
            changed[at] ^= 0x10;
            let input = Input::write(dir.path(), &name, &changed);
            let run = coldbolt(["verify", input.name(), "-w", "json"]);
            // A byte may be one that says nothing: a time, a name, a flag.
            let same = run.code == 0 && run.json()["files"][0]["measured"]["status_hash"].is_number();
            assert!(due(run.code) || same, "{name}, byte {at}: {run}");
            input.unchanged();
        }
    }
}

#[test]
fn bytes_behind_the_end_of_a_stream_are_told_unless_they_are_zeros_of_a_tape() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    for (end, pack) in
        [("gz", gzip as fn(&[u8]) -> Vec<u8>), ("bz2", bzip2), ("lz4", lz4), ("zst", zstd), ("xz", xz)]
    {
        let name = format!("x.{end}");
        let (front, rest) = bytes.split_at(20_000);
        let members = [pack(front), pack(rest)].concat();
        coldbolt(["verify", Input::write(dir.path(), &name, &members).name()]).says(0, &[]);
        let garbage = [pack(&bytes), b"garbage!".to_vec()].concat();
        coldbolt(["status", Input::write(dir.path(), &name, &garbage).name()]).says(1, &[&name, "stream"]);
        if matches!(end, "gz" | "bz2" | "xz") {
            let zeros = [pack(&bytes), vec![0; 1024]].concat();
            coldbolt(["verify", Input::write(dir.path(), &name, &zeros).name()]).says(0, &[]);
        }
    }
}

/// A stream of so many zeros, packed.
fn zeros(bytes: u64, front: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), Compression::best());
    writer.write_all(front).unwrap();
    std::io::copy(&mut std::io::repeat(0).take(bytes), &mut writer).unwrap();
    writer.finish().unwrap()
}

#[test]
fn no_bomb_is_unpacked() {
    let dir = tempfile::tempdir().unwrap();
    // Ten gigabytes of nothing: a front of it is all that is looked at. Ten members of a gigabyte are as good.
    let gigabyte = zeros(1 << 30, b"");
    let ten = gigabyte.repeat(10);
    let within = |args: [&str; 2]| support::run::coldbolt_within_limits(args);
    within(["status", Input::write(dir.path(), "z.gz", &ten).name()]).says(3, &["not an etcd snapshot"]);
    within(["status", Input::write(dir.path(), "zz.gz", &gzip(&ten)).name()])
        .says(3, &["not an etcd snapshot"]);
    // A database says how long it is, and no more comes.
    let database = snapshot();
    let long = [zeros(1 << 20, &database), gigabyte.clone()].concat();
    within(["status", Input::write(dir.path(), "long.db.gz", &long).name()])
        .says(3, &["twice what its meta page says"]);
    // An archive does not say it.
    let mut header = tar::Header::new_gnu();
    header.set_path("zeros").unwrap();
    header.set_size(10 << 30);
    header.set_cksum();
    let archive = [gzip(header.as_bytes()), ten.clone()].concat();
    let input = Input::write(dir.path(), "z.tar.gz", &archive);
    coldbolt(["inspect", input.name()]).says(3, &["500 times as much", "--max-unpacked"]);
    coldbolt(["inspect", input.name(), "--max-unpacked", "2G"]).says(3, &["more than 2147483648 bytes"]);
    let five = (0..5).fold(database.clone(), |bytes, _| gzip(&bytes));
    coldbolt(["status", Input::write(dir.path(), "5.gz", &five).name()])
        .says(3, &["packed more than 4 times"]);
    let mut names = database;
    for _ in 0..6 {
        names = tar(&[("again.tar", &names)]);
    }
    coldbolt(["status", Input::write(dir.path(), "6.tar", &names).name()]).says(3, &["6.tar"]);
}

#[test]
fn a_zip_of_files_that_are_the_same_bytes_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let honest = zip(&[("a.db", &snapshot()), ("b.db", &snapshot())], CompressionMethod::Deflated);
    coldbolt(["inspect", Input::write(dir.path(), "honest.zip", &honest).name()])
        .says(3, &["holds 2 things"]);
    // The second is said to begin where the first does.
    let mut lying = honest;
    let in_list =
        |bytes: &[u8]| (0..bytes.len() - 4).filter(|at| bytes[*at..].starts_with(b"PK\x01\x02")).nth(1);
    let at = in_list(&lying).unwrap() + 42;
    lying[at..at + 4].fill(0);
    for command in ["status", "inspect", "verify"] {
        let input = Input::write(dir.path(), "lying.zip", &lying);
        let run = coldbolt([command, input.name()]);
        assert!(run.code == 1 && run.err.contains("of several of its files"), "{run}");
    }
}

#[test]
fn what_is_in_an_archive_on_a_pipe_can_be_a_directory_and_can_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let data = support::unpack("3.6.14", "cold", dir.path());
    let mut writer = tar::Builder::new(Vec::new());
    writer.append_dir_all("var/lib/etcd", &data).unwrap();
    let archive = gzip(&writer.into_inner().unwrap());
    let (out, due) = (dir.path().join("out.db"), dir.path().join("due.db"));
    let [out, due, data] = [&out, &due, &data].map(|path| path.to_str().unwrap());
    coldbolt(["copy", data, due]).says(0, &[]);
    for from in ["-", "-:/var/lib/etcd", "-:var/lib/etcd/member"] {
        piped(&["copy", from, out], &archive).says(0, &[]);
        assert_eq!(fs::read(out).unwrap(), fs::read(due).unwrap(), "{from}");
        fs::remove_file(out).unwrap();
        piped(&["verify", from], &archive).shows(0, &["var/lib/etcd"]);
        piped(&["inspect", from], &archive).shows(0, &["var/lib/etcd"]);
        let get = piped(&["get", from, "", "--prefix", "--fold"], &archive);
        assert_eq!(get.text(), coldbolt(["get", data, "", "--prefix", "--fold"]).text(), "{get}");
    }
    piped(&["status", "-"], &archive).says(3, &["(standard input):/var/lib/etcd: is a directory"]);
    piped(&["status", "-:/var/lib/etcd/member/snap/db"], &archive).says(0, &[]);
    piped(&["status", "-:/var/lib/etcd/no"], &archive).says(3, &["there is no such file in the archive"]);
    piped(&["status", "-:/x"], &gzip(&snapshot())).says(3, &["is no archive"]);
    piped(&["copy", "-", out], &gzip(&snapshot())).says(0, &[]);
}

#[test]
fn how_far_something_is_unpacked_is_told_meanwhile() {
    let noise: Vec<u8> = (0_u32..1 << 22).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let archive = gzip(&tar(&[("noise", &noise), ("a.db", &snapshot())]));
    let mut command = command(["status", "-", "--progress", "json"]);
    let (from, mut to) = std::io::pipe().unwrap();
    command.stdin(Stdio::from(std::os::fd::OwnedFd::from(from)));
    let writer = std::thread::spawn(move || {
        let (first, rest) = archive.split_at(archive.len() / 2);
        to.write_all(first).unwrap();
        std::thread::sleep(std::time::Duration::from_secs(1));
        to.write_all(rest).unwrap();
    });
    let run = support::run::run(command);
    writer.join().unwrap();
    run.says(0, &[r#""what":"unpacking""#]);
}

#[test]
fn an_archive_that_lies_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    // A zip that says another length, in its list and before the file.
    let honest = zip(&[("a.db", &bytes)], CompressionMethod::Deflated);
    let len = (bytes.len() as u32).to_le_bytes();
    for wrong in [bytes.len() as u32 - 32, bytes.len() as u32 + 4096, u32::MAX - 1, 0] {
        let mut lying = honest.clone();
        let places: Vec<usize> = (0..lying.len() - 4).filter(|at| lying[*at..*at + 4] == len).collect();
        assert!(places.len() >= 2);
        places.iter().for_each(|at| lying[*at..*at + 4].copy_from_slice(&wrong.to_le_bytes()));
        let input = Input::write(dir.path(), "lying.zip", &lying);
        let run = coldbolt(["status", input.name()]);
        assert!(matches!(run.code, 1 | 3) && run.text().is_empty(), "{wrong}: {run}");
    }
    // A tar whose file goes on after its end.
    let mut header = tar::Header::new_gnu();
    header.set_path("a.db").unwrap();
    header.set_size(1 << 40);
    header.set_cksum();
    let past = [header.as_bytes(), bytes.as_slice(), &[0; 1024]].concat();
    coldbolt(["status", Input::write(dir.path(), "past.tar", &past).name()])
        .says(1, &["1099511627776 bytes begin here"]);
    // Without its end nobody knows whether there was more.
    let whole = tar(&[("a.db", &bytes)]);
    coldbolt(["status", Input::write(dir.path(), "end.tar", &whole[..whole.len() - 1024]).name()])
        .says(1, &["end mark"]);
}

#[test]
fn no_name_and_no_link_in_an_archive_leads_out_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let bytes = snapshot();
    let outside = Input::write(dir.path(), "outside.db", &bytes);
    let path = dir.path().join("links.tar");
    let mut writer = tar::Builder::new(File::create(&path).unwrap());
    let mut add = |name: &[u8], kind, link: &str, bytes: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.as_old_mut().name[..name.len()].copy_from_slice(name);
        header.set_entry_type(kind);
        header.set_size(bytes.len() as u64);
        if !link.is_empty() {
            header.set_link_name(link).unwrap();
        }
        header.set_cksum();
        writer.append(&header, bytes).unwrap();
    };
    add(b"../up.db", tar::EntryType::Regular, "", &bytes);
    add(b"a/../../up.db", tar::EntryType::Regular, "", &bytes);
    add(b"link.db", tar::EntryType::Symlink, outside.name(), b"");
    add(b"hard.db", tar::EntryType::Link, outside.name(), b"");
    add(b"/absolute.db", tar::EntryType::Regular, "", &bytes);
    add(b"same.db", tar::EntryType::Link, "absolute.db", b"");
    writer.finish().unwrap();
    let input = Input::new(&path);
    let run = coldbolt(["status", input.name()]);
    run.says(3, &["holds 2 things of etcd's", "links.tar:/absolute.db", "links.tar:/same.db"]);
    for absent in ["link.db", "hard.db", "../up.db", "up.db", "../outside.db"] {
        let run = coldbolt(["status", &format!("{}:{absent}", input.name())]);
        assert_eq!(run.code, 3, "{absent}: {run}");
    }
    coldbolt(["status", &format!("{}:same.db", input.name())]).says(0, &[]);
    input.unchanged();
    outside.unchanged();
}

#[test]
fn an_archive_of_a_million_names_is_read_in_bounded_memory_or_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("many.tar.gz");
    let mut writer = flate2::write::GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
    let mut header = tar::Header::new_gnu();
    for number in 0..150_000 {
        header.set_path(format!("f/{number}")).unwrap();
        header.set_size(0);
        header.set_cksum();
        writer.write_all(header.as_bytes()).unwrap();
    }
    writer.write_all(&tar(&[("a.db", &snapshot())])).unwrap();
    writer.finish().unwrap();
    coldbolt(["status", path.to_str().unwrap()]).says(0, &[]);
}

#[test]
fn a_packed_file_that_changes_while_it_is_read_is_noticed_by_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "x.db.gz", &gzip(&snapshot()));
    let source = coldbolt::etcd::within::open(&input.path).unwrap();
    assert_eq!(source.changed(), None);
    let mut file = fs::OpenOptions::new().write(true).open(&input.path).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(b"more").unwrap();
    assert!(source.changed().unwrap().contains("changed while it was read"));
    // What is kept of it is of the file as it was.
    assert!(coldbolt::etcd::within::open(&input.path).is_err());
}

#[test]
fn a_file_that_a_running_etcd_holds_is_not_read_through_a_name_for_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let input = Input::write(dir.path(), "x.tar", &tar(&[("x.db", &snapshot())]));
    let file = File::open(&input.path).unwrap();
    file.lock().unwrap();
    coldbolt(["status", input.name()]).says(3, &["a running etcd holds its lock"]);
}

#[test]
fn what_is_packed_is_never_replaced_in_its_place() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("d/member/snap")).unwrap();
    fs::write(dir.path().join("d/member/snap/db"), gzip(&snapshot())).unwrap();
    let input = Input::new(dir.path().join("d"));
    coldbolt(["defrag", "--data-dir", input.name()]).says(3, &["is packed", "-o NEW"]);
    // And a directory that etcd would not start from is not called good because what is inside could be read.
    coldbolt(["verify", input.name()]).says(1, &["is a gzip file"]);
    input.unchanged();
}

#[test]
fn what_is_encrypted_is_the_file_and_not_what_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    let keys = support::age::KeyFiles::write(dir.path());
    let packed = gzip(&snapshot());
    let input = Input::write(dir.path(), "x.db.gz", &packed);
    let (closed, opened) = (dir.path().join("x.age"), dir.path().join("opened"));
    let (closed, opened) = (closed.to_str().unwrap(), opened.to_str().unwrap());
    coldbolt(["encrypt", input.name(), "-o", closed, "--to", &keys.of("recipients")]).says(0, &[]);
    coldbolt(["decrypt", closed, "-o", opened, "--identity", &keys.of("key")]).says(0, &[]);
    assert_eq!(fs::read(opened).unwrap(), packed);
    // A packed age file is no snapshot, and is called what it is.
    coldbolt(["status", Input::write(dir.path(), "y.gz", &gzip(&fs::read(closed).unwrap())).name()])
        .says(3, &["an age-encrypted file"]);
}
