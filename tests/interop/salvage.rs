//! What is salvaged of the damaged snapshots of real etcds is restored and served by them: every key with the value that
//! it had at its revision. And what etcd's own tools make of the same files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use coldbolt::etcd::{BucketKey, KeyValue};
use serde_json::Value;
use support::content::{Content, Items, content};
use support::history::{History, Rng, Seed, number};
use support::restored::Member;
use support::server::{Server, free_ports, run};
use support::{VERSIONS, coldbolt, coldbolt_in, peers};

const PAGE: usize = 4096;

/// A snapshot of a server with a history, without its trailer, and all that was stored before the compaction.
fn saved(version: &str, dir: &Path, (seed, rounds): (u64, i64)) -> Option<(Vec<u8>, Truth)> {
    let server = Server::start(version, &[])?;
    let mut history = History::new(server, seed);
    history.steps(12);
    keep(&mut history, rounds);
    let file = dir.join("before.db");
    history.server.save(&file);
    let (before, _) = truth(&file);
    history.compact(history.revision - 8);
    history.steps(5);
    keep(&mut history, 3);
    let file = dir.join("snapshot.db");
    history.server.save(&file);
    let mut bytes = fs::read(&file).unwrap();
    bytes.truncate(bytes.len() / PAGE * PAGE);
    Some((bytes, before))
}

/// Puts of objects, fifty in a transaction; some over and over.
fn keep(history: &mut History, rounds: i64) {
    for round in 0..rounds {
        let (from, len) = (round % (rounds / 2 + 1) * 40, 100 + usize::try_from(round % 60).unwrap() * 90);
        let value: String =
            (0..len).map(|i| char::from(b'a' + u8::try_from((i * 7 + len) % 26).unwrap())).collect();
        let puts: String =
            (from..from + 50).map(|key| format!("put /keep/{key:03} v{round}-{key}-{value}\n")).collect();
        history.write(&["txn"], format!("\n{puts}\n\n").as_bytes());
    }
}

type Damage = (&'static str, fn(&mut Vec<u8>, &mut Rng));

/// That many in a hundred pages wiped.
fn wipe<const PERCENT: usize>(bytes: &mut [u8], rng: &mut Rng) {
    for _ in 0..(bytes.len() / PAGE * PERCENT).div_ceil(100) {
        let at = any_page(bytes, rng);
        bytes[at..at + PAGE].fill(0);
    }
}

/// That many in a hundred pages swapped; of each two one has a number.
fn swap<const PERCENT: usize>(bytes: &mut [u8], rng: &mut Rng) {
    for _ in 0..(bytes.len() / PAGE * PERCENT).div_ceil(200) {
        let (one, two) = (any_page(bytes, rng), any_page(bytes, rng));
        let has_number = |at: usize| bytes[at + 2..at + 8] == [0; 6] && matches!(bytes[at + 8], 1 | 2);
        if has_number(one) || has_number(two) {
            (0..PAGE).for_each(|at| bytes.swap(one + at, two + at));
        }
    }
}

fn cut<const TENTHS: usize>(bytes: &mut Vec<u8>, _: &mut Rng) {
    bytes.truncate(bytes.len() / PAGE * TENTHS / 10 * PAGE);
}

/// What else the long form of the table has.
const MORE: [Damage; 10] = [
    ("1 % of the pages wiped", |bytes, rng| wipe::<1>(bytes, rng)),
    ("10 % of the pages wiped", |bytes, rng| wipe::<10>(bytes, rng)),
    ("30 % of the pages wiped", |bytes, rng| wipe::<30>(bytes, rng)),
    ("1 % of the pages swapped", |bytes, rng| swap::<1>(bytes, rng)),
    ("30 % of the pages swapped", |bytes, rng| swap::<30>(bytes, rng)),
    ("pieces of 64 KiB in another order", |bytes, rng| {
        let mut pieces: Vec<Vec<u8>> = bytes.chunks(16 * PAGE).map(<[u8]>::to_vec).collect();
        let mut shuffled = Vec::new();
        while !pieces.is_empty() {
            let at = rng.between(0, i64::try_from(pieces.len()).unwrap() - 1);
            shuffled.push(pieces.swap_remove(usize::try_from(at).unwrap()));
        }
        *bytes = shuffled.concat();
    }),
    ("cut after 2 tenths", cut::<2>),
    ("cut after 4 tenths", cut::<4>),
    ("cut after 6 tenths", cut::<6>),
    ("cut after 9 tenths", cut::<9>),
];

fn any_page(bytes: &[u8], rng: &mut Rng) -> usize {
    usize::try_from(rng.between(0, i64::try_from(bytes.len() / PAGE).unwrap() - 1)).unwrap() * PAGE
}

const DAMAGES: [Damage; 6] = [
    ("first 4 KiB wiped", |bytes, _| bytes[..PAGE].fill(0)),
    ("both meta pages wiped", |bytes, _| bytes[..2 * PAGE].fill(0)),
    ("5 % of the pages wiped", |bytes, rng| wipe::<5>(bytes, rng)),
    ("10 % of the pages swapped", |bytes, rng| swap::<10>(bytes, rng)),
    ("cut after 8 tenths", cut::<8>),
    ("inside a larger file", |bytes, _| {
        let mut larger = vec![0x5a; 333 * 512];
        larger.append(bytes);
        *bytes = larger;
    }),
];

/// All that was stored, by key and revision.
type Truth = BTreeMap<(Vec<u8>, i64), Vec<u8>>;

fn truth(file: &Path) -> (Truth, usize) {
    let rows = content(file).remove(b"key".as_slice()).unwrap();
    let mut truth = Truth::new();
    for (row, value) in &rows {
        let (key, kv) = (BucketKey::parse(row).unwrap(), KeyValue::decode(value).unwrap());
        truth.insert((kv.key.to_vec(), key.revision.main), kv.value.to_vec());
    }
    (truth, live_of(&rows).len())
}

fn live_of(rows: &Items) -> BTreeSet<Vec<u8>> {
    let mut live = BTreeSet::new();
    for (row, value) in rows {
        let key = KeyValue::decode(value).unwrap().key;
        if BucketKey::parse(row).unwrap().tombstone {
            live.remove(key);
        } else {
            live.insert(key.to_vec());
        }
    }
    live
}

/// Keys that a member serves as they were at their revision; none otherwise.
fn served(member: &Member, truth: &Truth, context: &str) -> usize {
    use base64::Engine;
    let decode = |text: &Value| {
        base64::engine::general_purpose::STANDARD.decode(text.as_str().unwrap_or_default()).unwrap()
    };
    let kvs = member.json(&["get", "", "--from-key"])["kvs"].clone();
    let kvs = kvs.as_array().cloned().unwrap_or_default();
    for kv in &kvs {
        let key = (decode(&kv["key"]), number(&kv["mod_revision"]));
        let value = truth.get(&key).unwrap_or_else(|| panic!("{context}: {kv} never was"));
        assert!(*value == decode(&kv["value"]), "{context}: {} has another value", kv["key"]);
    }
    kvs.len()
}

/// Restores a snapshot file and starts that etcd on it.
fn started(version: &str, dir: &Path, file: &Path, name: &str) -> Member {
    let [client, peer] = free_ports();
    let url = format!("http://127.0.0.1:{peer}");
    let cluster = format!("m={url}");
    let identity = ["--name", "m", "--initial-cluster", &cluster, "--initial-advertise-peer-urls", &url];
    let minor = version.rsplit_once('.').unwrap().0;
    let args = ["restore", file.to_str().unwrap(), "--data-dir", name, "--target-version", minor];
    coldbolt_in(dir, [&args[..], &identity].concat()).says(0, &[]);
    Member::start(version, &dir.join(name), client, &identity, &url)
}

#[test]
fn every_etcd_serves_what_was_salvaged_of_its_snapshots() {
    for (n, version) in VERSIONS.into_iter().enumerate() {
        let dir = tempfile::tempdir().unwrap();
        let seed = Seed::draw();
        let Some((good, before)) = saved(version, dir.path(), (seed.0, 12)) else { return };
        let file = dir.path().join("file.db");
        fs::write(&file, &good).unwrap();
        let (mut truth, live) = truth(&file);
        truth.extend(before);
        for (at, (name, change)) in DAMAGES.into_iter().enumerate() {
            let mut bytes = good.clone();
            change(&mut bytes, &mut Rng::of(seed.0));
            fs::write(&file, &bytes).unwrap();
            let out = dir.path().join(format!("out-{at}.db"));
            let context = format!("{version}: {name}");
            let args = ["salvage", "--include-uncertain", "-w", "json", "-o", out.to_str().unwrap()];
            let run = coldbolt([&args[..], &[file.to_str().unwrap()]].concat());
            assert!(run.code <= 1, "{context}: {run}");
            let verified = coldbolt(["verify", out.to_str().unwrap()]);
            // Without any top page nothing tells which etcd it was.
            assert!(matches!(verified.code, 0 | 4), "{context}: {verified}");
            // To start each of them in each etcd takes long.
            if at % VERSIONS.len() != n {
                continue;
            }
            let mut member = started(version, dir.path(), &out, &format!("data-{at}"));
            let keys = served(&member, &truth, &context);
            let whole = matches!(at, 0 | 1 | 5);
            assert!(keys == live || !whole && keys > 0, "{context}: {keys} of {live} keys are served");
            let revision = number(&run.json()["measured"]["revision"]);
            let put = member.json(&["put", "/after", "x"]);
            assert_eq!(number(&put["header"]["revision"]), revision + 1, "{context}");
            member.stop();
        }
    }
}

/// What etcd's own tools make of a file: the keys that are served in the end, or where it ends.
fn by_etcd(version: &str, dir: &Path, file: &Path, name: &str, truth: &Truth) -> String {
    let tool = if version == "3.4.23" { "etcdctl" } else { "etcdutl" };
    let tool = peers::find(&format!("etcd-{version}/{tool}")).unwrap();
    let [client, peer] = free_ports();
    let url = format!("http://127.0.0.1:{peer}");
    let data = dir.join(name);
    let cluster = format!("m={url}");
    let args =
        ["snapshot", "restore", file.to_str().unwrap(), "--skip-hash-check", "--name", "m", "--data-dir"];
    let more = ["--initial-cluster", &cluster, "--initial-advertise-peer-urls", &url];
    let restored =
        run(peers::command(&tool, dir).env("ETCDCTL_API", "3").args(args).arg(&data).args(more), b"");
    if !restored.status.success() {
        return "not restored".to_owned();
    }
    let mut member = Member::spawn(version, &data, client, &["--name", "m"], &url);
    for _ in 0..100 {
        if member.try_ctl(&["endpoint", "health"], b"").status.success() {
            let told =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| served(&member, truth, name)));
            member.kill();
            return told.map_or("wrong values".to_owned(), |keys| format!("{keys} keys"));
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    member.kill();
    "does not start".to_owned()
}

/// With `COLDBOLT_SALVAGE` of all four etcds, with more keys and more kinds of damage: those that have its words in their
/// name, or `all`.
#[test]
fn what_etcds_own_tools_make_of_the_same_files() {
    let Ok(words) = std::env::var("COLDBOLT_SALVAGE") else { return beside("3.6.14", 12, &DAMAGES) };
    let asked = |damage: &&Damage| words == "all" || damage.0.contains(&words);
    let damages: Vec<Damage> = DAMAGES.iter().chain(&MORE).filter(asked).copied().collect();
    VERSIONS.into_iter().for_each(|version| beside(version, 120, &damages));
}

/// A line of the table for each damage: the keys that are served in the end.
fn beside(version: &str, rounds: i64, damages: &[Damage]) {
    let dir = tempfile::tempdir().unwrap();
    let Some((good, before)) = saved(version, dir.path(), (3, rounds)) else { return };
    let Some(bbolt) = peers::find("bbolt-1.4.3/bbolt") else { return };
    let file = dir.path().join("file.db");
    fs::write(&file, &good).unwrap();
    let (mut truth, live) = truth(&file);
    truth.extend(before);
    eprintln!("{version}, {} pages, of {live} keys:", good.len() / PAGE);
    for (at, (name, change)) in damages.iter().enumerate() {
        let mut bytes = good.clone();
        change(&mut bytes, &mut Rng::of(11));
        fs::write(&file, &bytes).unwrap();
        let out = dir.path().join(format!("out-{at}.db"));
        let _ =
            coldbolt(["salvage", "--include-uncertain", "-o", out.to_str().unwrap(), file.to_str().unwrap()]);
        let sure = dir.path().join(format!("sure-{at}.db"));
        let _ = coldbolt(["salvage", "-w", "json", "-o", sure.to_str().unwrap(), file.to_str().unwrap()]);
        let sure = if sure.exists() { content(&sure) } else { Content::new() };
        let sure = sure.get(b"key".as_slice()).map_or(0, |rows| live_of(rows).len());
        let mut ours = started(version, dir.path(), &out, &format!("ours-{at}"));
        let keys = served(&ours, &truth, name);
        ours.stop();
        let theirs = by_etcd(version, dir.path(), &file, &format!("theirs-{at}"), &truth);
        let reverted: PathBuf = dir.path().join(format!("reverted-{at}.db"));
        let mut surgery = peers::command(&bbolt, dir.path());
        surgery.args(["surgery", "revert-meta-page"]).arg(&file).arg("--output").arg(&reverted);
        let done = run(&mut surgery, b"").status.success();
        let surgery = match done {
            true => by_etcd(version, dir.path(), &reverted, &format!("surgery-{at}"), &truth),
            false => "fails".to_owned(),
        };
        eprintln!(
            "{name}: salvage {sure}, with what is uncertain {keys} | etcdutl and etcd: {theirs} | bbolt surgery: {surgery}"
        );
        assert!(keys > 0, "{name}");
    }
}
