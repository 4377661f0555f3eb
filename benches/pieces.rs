//! The pieces that long runs are made of, one at a time, so that what becomes slower has an address.
//!
//! ```text
//! cargo bench --bench pieces
//! ```

use std::fs::File;
use std::hint::black_box;
use std::io::{Cursor, Read};
use std::ops::ControlFlow;

use coldbolt::bolt::Db;
use coldbolt::bolt::writer::{FreelistPage, Options, Writer};
use coldbolt::codec::checksum;
use coldbolt::etcd::{BucketKey, KeyRange, KeyValue, Revision};
use coldbolt::io::Source;
use coldbolt::kube::decode::{Glance, Object};
use coldbolt::raft::Entry;
use coldbolt::store::scan::{self, KeyDepth, scan};
use coldbolt::store::{Store, StoreOptions};
use coldbolt::wal::Scan;
use coldbolt::wal::{Log, Metadata, SnapshotRecord, writer};
use coldbolt::words::monitor::Quiet;
use criterion::{Criterion, Throughput};
use flate2::read::GzDecoder;

/// Revisions in the database, and entries in the log.
const COUNT: u64 = 20_000;

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decode(&mut criterion);
    stitch(&mut criterion);
    write(&mut criterion);
    walk(&mut criterion);
    log(&mut criterion);
    kube(&mut criterion);
    criterion.final_summary();
}

/// Objects as a real API server stored them: to what kubectl prints, and to what they say they are.
fn kube(criterion: &mut Criterion) {
    let packed = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/kube/plain-1.37/snapshot.db.gz");
    let mut bytes = Vec::new();
    GzDecoder::new(File::open(packed).expect("a fixture")).read_to_end(&mut bytes).expect("packed whole");
    let source = Source::from_bytes("snapshot.db", bytes);
    let store = Store::open(&source, &StoreOptions::default(), &Quiet).expect("a good file");
    let items = store.at(None).expect("the last revision").items(KeyRange::all());
    let values: Vec<Vec<u8>> = items.map(|kv| kv.expect("readable").value.to_vec()).collect();
    for (name, prefix) in [("protobuf", &b"k8s\0"[..]), ("json", b"{")] {
        let values: Vec<&[u8]> =
            values.iter().map(|value| &**value).filter(|v| v.starts_with(prefix)).collect();
        let mut group = criterion.benchmark_group(format!("kube {name}"));
        group.throughput(Throughput::Bytes(values.iter().map(|value| value.len() as u64).sum()));
        group.bench_function("object", |bencher| {
            bencher.iter(|| values.iter().filter(|value| Object::decode(value).is_ok()).count());
        });
        group.bench_function("glance", |bencher| {
            bencher.iter(|| values.iter().filter(|value| Glance::of(value).is_ok()).count());
        });
        group.finish();
    }
}

fn record(n: u64) -> Vec<u8> {
    let key = format!("/registry/pods/namespace-{:02}/name-{:06}", n % 100, n / 2);
    let revision = i64::try_from(n).expect("small") + 2;
    let (value, version) = (vec![b'v'; 800], 1 + i64::from(n % 2 == 1));
    let create_revision = revision - version + 1;
    KeyValue {
        key: key.as_bytes(),
        create_revision,
        mod_revision: revision,
        version,
        value: &value,
        lease: 0,
    }
    .encode()
}

fn database() -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let options = Options { page_size: 4096, freelist: FreelistPage::Absent, txid: 3, ..Options::default() };
    let mut writer = Writer::new(&mut file, options).expect("a page size of bbolt's");
    writer.begin_bucket(b"key", 0).expect("the first bucket");
    for n in 0..COUNT {
        let revision = Revision { main: i64::try_from(n).expect("small") + 2, sub: 0 };
        writer.put(&BucketKey { revision, tombstone: false }.to_bytes(), &record(n)).expect("in order");
    }
    writer.end_bucket().expect("it is open");
    writer.begin_bucket(b"meta", 0).expect("after key");
    writer.put(b"consistent_index", &COUNT.to_be_bytes()).expect("in order");
    writer.end_bucket().expect("it is open");
    writer.finish().expect("memory takes it");
    file.into_inner()
}

fn decode(criterion: &mut Criterion) {
    let bytes = record(7);
    let mut group = criterion.benchmark_group("etcd::KeyValue");
    group.throughput(Throughput::Elements(1));
    group.bench_function("decode", |bench| {
        bench.iter(|| KeyValue::decode(black_box(&bytes)).map(|kv| kv.mod_revision))
    });
    group.finish();
}

fn stitch(criterion: &mut Criterion) {
    let bytes = vec![7; 1 << 20];
    let mut group = criterion.benchmark_group("bytes::checksum");
    group.throughput(Throughput::Bytes(1 << 20));
    group.bench_function("crc32c of 1 MiB", |bench| bench.iter(|| checksum::crc32c(0, black_box(&bytes))));
    group.throughput(Throughput::Elements(1));
    group.bench_function("crc32c_combine", |bench| {
        bench.iter(|| checksum::crc32c_combine(black_box(1), 2, black_box(871)))
    });
    group.finish();
}

fn write(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("bolt::writer");
    group.throughput(Throughput::Bytes(u64::try_from(database().len()).expect("small")));
    group.bench_function("bulk load", |bench| bench.iter(database));
    group.finish();
}

fn walk(criterion: &mut Criterion) {
    let source = Source::from_bytes("made", database());
    let db = Db::open(&source).expect("it was just made");
    let mut group = criterion.benchmark_group("store::scan");
    group.throughput(Throughput::Bytes(source.len()));
    for (name, keys) in [
        ("pages and names", KeyDepth::Stored),
        ("newest revisions", KeyDepth::Live),
        ("history and HashKV", KeyDepth::History),
    ] {
        let run = || {
            scan(&db, scan::ScanOptions { limit: 1, gate: None, keys }, &Quiet).expect("nobody cancels").hash
        };
        group.bench_function(name, |bench| bench.iter(run));
    }
    group.finish();
}

fn log(criterion: &mut Criterion) {
    let mut writer = writer::LogWriter::new(0);
    writer.metadata(&Metadata::default());
    writer.snapshot(&SnapshotRecord { index: Some(0), term: Some(0), conf_state: None });
    for n in 1..=COUNT {
        writer.entry(&Entry { term: Some(2), index: Some(n), data: Some(record(n)), ..Entry::default() });
    }
    let source = Source::from_bytes("made", writer.into_bytes());
    let log = Log::new([("0000000000000000-0000000000000000.wal", &source)]);
    let mut group = criterion.benchmark_group("wal::Log");
    group.throughput(Throughput::Bytes(source.len()));
    group.bench_function("scan", |bench| {
        bench.iter(|| {
            let summary = log.scan(Scan::default(), &mut |_| {}, &mut |_| ControlFlow::Continue(()));
            assert_eq!(summary.last, Some(COUNT));
        });
    });
    group.finish();
}
