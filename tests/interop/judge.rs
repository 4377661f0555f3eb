//! One judge: what is called good, copy takes, and the real etcd of its version starts on it and serves what the copy
//! holds. Directories and snapshot files of each version are changed, with every checksum made right again, judged,
//! and those that are called good are given to the real etcd.
//!
//! A few by default; `COLDBOLT_JUDGED=500 cargo test --test interop judge:: -- --nocapture` for a campaign, whose
//! counts are printed. `COLDBOLT_SEED` repeats one.

use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::bolt::writer::Options;
use coldbolt::etcd::request::{
    AlarmRequest, Attributes, ClusterMemberAttrSetRequest, CompactionRequest, DeleteRangeRequest,
    DowngradeInfoSetRequest, InternalRaftRequest, LeaseGrantRequest, NameRequest, PutRequest, RequestHeader,
    RequestOp, TxnRequest, V2Request, VersionRequest, request_op,
};
use coldbolt::io::Source;
use coldbolt::raft::{ConfChange, Entry, HardState};
use coldbolt::wal::writer::LogWriter;
use coldbolt::wal::{RecordKind, Segment};
use prost::Message;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::cluster::{Member, members};
use support::content::{Content, content, database};
use support::history::{Rng, Seed, number};
use support::{VERSIONS, coldbolt, fixture, peers, unpack};

const SEGMENT: &str = "member/wal/0000000000000000-0000000000000000.wal";

/// The records of a log.
type Records = Vec<(RecordKind, Option<Vec<u8>>)>;

fn pick<'a, T>(rng: &mut Rng, all: &'a [T]) -> &'a T {
    &all[usize::try_from(rng.between(0, all.len() as i64 - 1)).unwrap()]
}

fn place(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.between(0, len as i64 - 1)).unwrap()
}

fn records(path: &Path) -> Records {
    let source = Source::open(path).unwrap();
    let mut segment = Segment::new(&source, 0, true);
    let mut all = Records::new();
    while let Some(record) = segment.next() {
        all.push((record.kind, record.data.map(<[u8]>::to_vec)));
    }
    all
}

fn written(records: &Records) -> Vec<u8> {
    let mut log = LogWriter::new(0);
    // The first is the checksum that every segment begins with.
    records.iter().skip(1).for_each(|(kind, data)| log.record(*kind, data.as_deref()));
    let mut bytes = log.into_bytes();
    bytes.resize(bytes.len() + 8192, 0);
    bytes
}

/// A byte, a bit, a length.
fn garble(rng: &mut Rng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.push(1);
    }
    let at = place(rng, bytes.len());
    match rng.between(0, 5) {
        0 => bytes[at] ^= 1 << rng.between(0, 7),
        1 => bytes[at] = *pick(rng, &[0, 1, 0x7f, 0x80, 0xff, b'.', b' ', b'9']),
        2 => bytes.truncate(at),
        3 => bytes.insert(at, *pick(rng, &[0, 1, b'0', b'.', 0xff])),
        4 => drop(bytes.remove(at)),
        _ => bytes.extend_from_slice(&[0x18, 1]),
    }
}

fn text(rng: &mut Rng) -> &'static str {
    pick::<&'static str>(
        rng,
        &["", "a", "root", "3.6", "3.5.0", "3.6.0", "3.4.0", "3.7. ", "99.0.0", "/registry/x", "x\u{ff}"],
    )
}

fn id(rng: &mut Rng) -> u64 {
    *pick(rng, &[0, 1, 2, 77, 1 << 63, u64::MAX, 0x8e9e_05c5_2164_694d])
}

/// A request, as likely as not one that no etcd ever made.
fn request(rng: &mut Rng) -> Vec<u8> {
    let mut r = InternalRaftRequest::default();
    if rng.between(0, 5) > 0 {
        r.header = Some(RequestHeader { id: 7, ..RequestHeader::default() });
    }
    let put = PutRequest {
        key: text(rng).into(),
        value: b"v".to_vec(),
        lease: rng.between(-1, 1),
        ..Default::default()
    };
    match rng.between(0, 13) {
        0 => r.put = Some(PutRequest { ignore_value: true, ..put }),
        1 => {
            r.delete_range =
                Some(DeleteRangeRequest { key: text(rng).into(), range_end: vec![0], prev_kv: false })
        }
        2 => {
            let op = RequestOp { request: Some(request_op::Request::Put(put)) };
            r.txn = Some(TxnRequest { success: vec![op.clone(), op], ..TxnRequest::default() });
        }
        3 => r.compaction = Some(CompactionRequest { revision: rng.between(0, 200), physical: false }),
        4 => r.lease_grant = Some(LeaseGrantRequest { ttl: rng.between(-1, 100), id: rng.between(0, 3) }),
        5 => {
            let (action, alarm) = (rng.between(0, 3) as i32, rng.between(0, 3) as i32);
            r.alarm = Some(AlarmRequest { action, member_id: id(rng), alarm });
        }
        6 => r.cluster_version_set = Some(VersionRequest { ver: text(rng).into() }),
        7 => {
            let attributes = Attributes { name: text(rng).into(), ..Attributes::default() };
            let member_attributes = Some(attributes).filter(|_| rng.between(0, 3) > 0);
            r.cluster_member_attr_set =
                Some(ClusterMemberAttrSetRequest { member_id: id(rng), member_attributes });
        }
        8 => {
            r.downgrade_info_set =
                Some(DowngradeInfoSetRequest { enabled: rng.between(0, 1) == 1, ver: text(rng).into() });
        }
        9 => {
            let (method, path) =
                (*pick(rng, &["PUT", "DELETE", "SYNC"]), *pick(rng, &["/0/version", "/1/x"]));
            let v2 = V2Request {
                method: method.into(),
                path: path.into(),
                val: text(rng).into(),
                ..Default::default()
            };
            return v2.encode_to_vec();
        }
        10 => r.auth_user_delete = Some(NameRequest { name: text(rng).into() }),
        11 => r.auth_role_add = Some(NameRequest { name: text(rng).into() }),
        12 => {}
        _ => r.put = Some(put),
    }
    let mut bytes = r.encode_to_vec();
    if rng.between(0, 7) == 0 {
        garble(rng, &mut bytes);
    }
    bytes
}

fn conf_change(rng: &mut Rng) -> Vec<u8> {
    let (member, named) = (id(rng), id(rng));
    let learner = if rng.between(0, 1) == 0 { ",\"isLearner\":true" } else { "" };
    let named = if rng.between(0, 2) > 0 { member } else { named };
    let context =
        format!("{{\"id\":{named},\"peerURLs\":[\"http://127.0.0.1:{}\"]{learner}}}", rng.between(1, 3));
    let change = ConfChange {
        id: Some(1),
        kind: Some(rng.between(0, 5) as i32),
        node_id: Some(member),
        context: Some(context.into_bytes()),
    };
    change.encode_to_vec()
}

/// Adds entries behind the last one, as the sole voter would have written them.
fn append(rng: &mut Rng, all: &mut Records) -> String {
    let decoded = |(kind, data): &(RecordKind, Option<Vec<u8>>)| {
        (*kind == RecordKind::Entry).then(|| Entry::decode(data.as_deref()?).ok()).flatten()
    };
    let Some(last) = all.iter().rev().find_map(decoded) else { return "nothing".into() };
    let count = rng.between(1, 3);
    for n in 1..=count {
        let (kind, data) = match rng.between(0, 7) {
            0 | 1 => (1, conf_change(rng)),
            2 => (*pick(rng, &[2, 3, 0]), Vec::new()),
            _ => (0, request(rng)),
        };
        let entry = Entry {
            kind: Some(kind),
            term: last.term,
            index: last.index.map(|index| index + n as u64),
            data: Some(data),
        };
        all.push((RecordKind::Entry, Some(entry.encode_to_vec())));
    }
    format!("{count} entries after {}", last.index())
}

fn change_log(rng: &mut Rng, all: &mut Records) -> String {
    let at = 2 + place(rng, all.len() - 2);
    match rng.between(0, 9) {
        0 => {
            let mut bytes = all[at].1.clone().unwrap_or_default();
            garble(rng, &mut bytes);
            all[at].1 = Some(bytes);
            format!("record {at} garbled")
        }
        1 => {
            all.remove(at);
            format!("record {at} gone")
        }
        2 => {
            let record = all[at].clone();
            all.insert(at, record);
            format!("record {at} twice")
        }
        3 => {
            all.truncate(at);
            format!("cut before record {at}")
        }
        4 => {
            let Ok(mut entry) = Entry::decode(all[at].1.as_deref().unwrap_or_default()) else {
                return "none".into();
            };
            if all[at].0 != RecordKind::Entry {
                return "none".into();
            }
            entry.data = Some(if rng.between(0, 2) == 0 { conf_change(rng) } else { request(rng) });
            all[at].1 = Some(entry.encode_to_vec());
            format!("entry {} is another", entry.index())
        }
        5 => {
            let first = rng.between(2, 140) as usize;
            all.drain(2..first.min(all.len()));
            format!("the log begins with record {first}")
        }
        6 => {
            let state = HardState { term: Some(2), vote: Some(1), commit: Some(rng.between(1, 200) as u64) };
            all.push((RecordKind::State, Some(state.encode_to_vec())));
            format!("{} committed", state.commit())
        }
        _ => append(rng, all),
    }
}

fn change_content(rng: &mut Rng, all: &mut Content) -> String {
    let names: Vec<Vec<u8>> =
        all.iter().filter(|(_, items)| !items.is_empty()).map(|(name, _)| name.clone()).collect();
    let small: Vec<Vec<u8>> = names.iter().filter(|name| *name != b"key").cloned().collect();
    let name = if rng.between(0, 3) == 0 { b"key".to_vec() } else { pick(rng, &small).clone() };
    let items = all.get_mut(&name).unwrap();
    let keys: Vec<Vec<u8>> = items.keys().cloned().collect();
    let mut key = pick(rng, &keys).clone();
    let mut value = items.remove(&key).unwrap();
    let what = format!("{}/{}", name.escape_ascii(), key.escape_ascii());
    match rng.between(0, 9) {
        0 => return format!("{what} gone"),
        1 => garble(rng, &mut key),
        2 if name != b"key" => value = text(rng).into(),
        _ => garble(rng, &mut value),
    }
    if !key.is_empty() {
        items.insert(key, value);
    }
    format!("{what} garbled")
}

/// Changes the files of a directory; what was changed.
fn change_directory(rng: &mut Rng, data: &Path) -> String {
    let mut said = Vec::new();
    let mut all = records(&data.join(SEGMENT));
    let snaps = || {
        let all = fs::read_dir(data.join("member/snap")).unwrap().map(|entry| entry.unwrap().path());
        let mut snaps: Vec<PathBuf> =
            all.filter(|path| path.extension().is_some_and(|e| e == "snap")).collect();
        snaps.sort();
        snaps
    };
    for _ in 0..rng.between(1, 2) {
        match rng.between(0, 11) {
            0 => {
                if let Some(newest) = snaps().last() {
                    fs::write(newest, b"").unwrap();
                    said.push("the newest .snap is empty".to_owned());
                }
            }
            1 => {
                if let Some(newest) = snaps().last() {
                    fs::remove_file(newest).unwrap();
                    said.push("the newest .snap is gone".to_owned());
                }
            }
            2 | 3 => {
                let mut all = content(&data.join("member/snap/db"));
                said.push(change_content(rng, &mut all));
                fs::write(data.join("member/snap/db"), database(&all, Options::default())).unwrap();
            }
            _ => said.push(change_log(rng, &mut all)),
        }
    }
    let mut bytes = written(&all);
    if rng.between(0, 11) == 0 {
        let cut = bytes.len() - 8192 - place(rng, 64);
        bytes.truncate(cut);
        said.push(format!("cut off at byte {cut}"));
    }
    fs::write(data.join(SEGMENT), bytes).unwrap();
    said.join(", ")
}

pub fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_dir(&entry.path(), &to);
        } else if entry.path().extension().is_none_or(|e| e != "tmp") {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// All keys in an answer, without what versions write differently.
fn keys(answer: &Value) -> Vec<(String, String, [i64; 4])> {
    let of = |kv: &Value| {
        let text = |name: &str| kv[name].as_str().unwrap_or_default().to_owned();
        let numbers = ["create_revision", "mod_revision", "version", "lease"].map(|name| number(&kv[name]));
        (text("key"), text("value"), numbers)
    };
    answer["kvs"].as_array().into_iter().flatten().map(of).collect()
}

/// What a snapshot file holds: its revision and its keys.
fn held(file: &Path) -> (i64, Vec<(String, String, [i64; 4])>) {
    let run = coldbolt(["get", file.to_str().unwrap(), "", "--from-key", "-w", "json"]);
    assert_eq!(run.code, 0, "{run}");
    let answer = run.json();
    (number(&answer["header"]["revision"]), keys(&answer))
}

/// What the real etcd serves from a directory.
fn served(member: &mut Member, cluster: &str) -> Result<Value, String> {
    member.start(&["--initial-cluster", cluster]);
    let up = member.comes_up();
    let answer = up.and_then(|()| {
        // A member that was added and is not there may leave it without a leader.
        let all = json!({"key": "AA==", "range_end": "AA==", "serializable": true});
        match member.client().post("kv/range", &all) {
            Ok((200, answer)) => Ok(answer),
            // Whoever made users is not asked for their passwords here.
            Ok((_, answer)) => Ok(json!({ "refused": answer })),
            Err(error) => Err(error.to_string()),
        }
    });
    member.kill();
    answer
}

/// How many were judged, and what became of them.
#[derive(Debug, Default)]
struct Counts {
    judged: u32,
    good: u32,
    inconclusive: u32,
    bad: u32,
    booted: u32,
    compared: u32,
    waiting: u32,
    bad_booted: u32,
    bad_that_start: Vec<String>,
}

/// Judges one changed input; why the judge was wrong.
fn one(version: &str, seed: u64, home: &Path, counts: &mut Counts) -> Result<(), String> {
    let mut rng = Rng::of(seed);
    let (mut all, cluster) = members(version, 1, home);
    let member = &mut all[0];
    let input;
    let what;
    if rng.between(0, 3) == 0 {
        let mut all = content(&fixture(&format!("etcd-{version}/snapshot.db")));
        what = change_content(&mut rng, &mut all);
        let mut bytes = database(&all, Options::default());
        bytes.extend_from_slice(&Sha256::digest(&bytes));
        input = home.join("changed.db");
        fs::write(&input, bytes).unwrap();
    } else {
        let cold = unpack(version, "cold", &home.join("base"));
        input = home.join("changed");
        copy_dir(&cold, &input);
        what = change_directory(&mut rng, &input);
    }
    let path = input.to_str().unwrap();
    let context = |why: &str| format!("etcd {version}, {what}: {why}");
    let verify = coldbolt(["verify", path, "-w", "json"]);
    counts.judged += 1;
    match verify.code {
        0 => counts.good += 1,
        4 => counts.inconclusive += 1,
        1 => counts.bad += 1,
        _ => return Err(context(&format!("verify ended so: {verify}"))),
    }
    let copy = home.join("copy.db");
    let name = copy.to_str().unwrap();
    let boots = if input.is_dir() {
        let copied = coldbolt(["copy", path, name]);
        if verify.code == 0 && copied.code != 0 {
            return Err(context(&format!("good, and copy refuses it: {copied}")));
        }
        copy_dir(&input, &member.data());
        verify.code == 0 || (verify.code == 1 && rng.between(0, 3) == 0)
    } else {
        fs::create_dir_all(&member.home).unwrap();
        let (data, peer) = (member.data(), format!("http://127.0.0.1:{}", member.peer));
        let args = ["restore", path, "--data-dir", data.to_str().unwrap(), "--name", &member.name];
        let urls = ["--initial-cluster", &cluster, "--initial-advertise-peer-urls", &peer];
        let restored = coldbolt(args.iter().chain(&urls));
        if (verify.code == 0) != (restored.code == 0) {
            return Err(context(&format!("verify ends with {}, restore so: {restored}", verify.code)));
        }
        fs::copy(&input, &copy).unwrap();
        verify.code == 0
    };
    if !boots {
        return Ok(());
    }
    // What is known to end this version is told with what was called good.
    let starts = verify.json()["files"][0]["starts"].clone();
    let own = |starts: &&Value| version.starts_with(starts["etcd"].as_str().unwrap());
    let refuses =
        starts.as_array().into_iter().flatten().find(own).is_some_and(|own| own.get("refuses").is_some());
    let told = refuses
        || verify.err.contains("3.4.0 to 3.5.6 do not start")
        || verify.err.contains("do not start with it");
    let answer = served(member, &cluster);
    if verify.code == 1 {
        counts.bad_booted += 1;
        if answer.is_ok() {
            counts.bad_that_start.push(context(verify.err.lines().next().unwrap_or_default()));
        }
        return Ok(());
    }
    counts.booted += 1;
    let answer = match answer {
        Ok(answer) => answer,
        Err(_) if told => return Ok(()),
        // It lives and waits for a member that was added.
        Err(why) if !["panic", "fatal"].iter().any(|end| why.contains(end)) => {
            counts.waiting += 1;
            return Ok(());
        }
        Err(why) => return Err(context(&format!("good, and etcd does not start: {why}\n{}", verify.err))),
    };
    if answer.get("refused").is_some() {
        return Ok(());
    }
    let (mut revision, due) = held(&copy);
    // Which revision an older one goes on from, where versions differ.
    let older = verify.err.split("older ones from ").nth(1).and_then(|rest| rest.split(',').next());
    if let Some(older) = older.filter(|_| ["3.4.23", "3.5.1"].contains(&version)) {
        revision = older.parse().unwrap();
    }
    counts.compared += 1;
    if (number(&answer["header"]["revision"]), keys(&answer)) != (revision, due) {
        let theirs = number(&answer["header"]["revision"]);
        return Err(context(&format!(
            "good, and etcd serves other keys: revision {theirs}, ours {revision}\n{}",
            verify.err
        )));
    }
    Ok(())
}

#[test]
fn what_is_called_good_is_taken_by_copy_and_restore_and_served_by_the_real_etcd() {
    let count: u64 = std::env::var("COLDBOLT_JUDGED").map_or(8, |count| count.parse().expect("a number"));
    let (seed, mut counts, mut wrong) = (Seed::draw(), Counts::default(), Vec::new());
    let there: Vec<&str> = VERSIONS
        .into_iter()
        .filter(|version| peers::find(&format!("etcd-{version}/etcd")).is_some())
        .collect();
    if there.is_empty() {
        return;
    }
    for number in 0..count {
        let home = tempfile::tempdir().unwrap();
        let seed = seed.nth(number).0;
        let version = there[usize::try_from(seed % there.len() as u64).unwrap()];
        if let Err(why) = one(version, seed, home.path(), &mut counts) {
            eprintln!("COLDBOLT_SEED={seed} COLDBOLT_JUDGED=1: {why}\n");
            wrong.push(why);
        }
    }
    counts.bad_that_start.iter().for_each(|what| eprintln!("bad, and starts: {what}"));
    counts.bad_that_start.clear();
    eprintln!("{counts:?}, {} judged wrongly", wrong.len());
    assert!(wrong.is_empty(), "{} of {count} were judged wrongly:\n{}", wrong.len(), wrong.join("\n\n"));
}
