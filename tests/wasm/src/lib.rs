//! The library behind plain exports: who calls writes a file into memory of ours and asks questions about it. Each
//! answer is JSON in UTF-8.
//!
//! `input(len)` gives where to write the file's `len` bytes; `ask(question)` gives the length of the answer and
//! `answer()` where it is, until the next question. Both places move when memory grows.
//!
//! No pointer is followed here: what is exported are places of vectors that are kept, and JavaScript reads and writes
//! there. The one unsafe thing is `no_mangle`, which would let two functions of one name be mixed up; the names below
//! are in no other crate of this module.

use std::sync::{Mutex, MutexGuard, PoisonError};

use coldbolt::etcd::KeyRange;
use coldbolt::io::Source;
use coldbolt::ops::inspect;
use coldbolt::ops::verify;
use coldbolt::ops::{InspectOptions, VerifyOptions, status};
use coldbolt::store::{HashKvOptions, Store, StoreOptions, hashkv};
use coldbolt::words::monitor::Quiet;
use serde_json::{Value, json};

static INPUT: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());

fn bytes(of: &Mutex<Vec<u8>>) -> MutexGuard<'_, Vec<u8>> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Room for a file of `len` bytes.
#[unsafe(no_mangle)]
pub extern "C" fn input(len: usize) -> *mut u8 {
    let mut input = bytes(&INPUT);
    *input = vec![0; len];
    input.as_mut_ptr()
}

/// Answers a question about the file: 0 status, 1 hashkv, 2 verify, 3 inspect, 4 keyspace, 5 opening a file.
#[unsafe(no_mangle)]
pub extern "C" fn ask(question: u32) -> usize {
    let source = Source::from_bytes("input.db", bytes(&INPUT).clone());
    let given = match question {
        0 => of_status(&source),
        1 => of_hashkv(&source),
        2 => verify(&source, &VerifyOptions::default(), &Quiet).map(|report| json!(report)),
        3 => inspect(&source, &InspectOptions::default(), &Quiet).map(|report| json!(report)),
        4 => of_keyspace(&source),
        _ => Source::open("/etc/hostname".as_ref()).map(|source| json!(source.name())),
    };
    let given = given.unwrap_or_else(|error| json!({ "error": error.to_string() }));
    let mut answer = bytes(&ANSWER);
    *answer = given.to_string().into_bytes();
    answer.len()
}

/// Where the last answer is.
#[unsafe(no_mangle)]
pub extern "C" fn answer() -> *const u8 {
    bytes(&ANSWER).as_ptr()
}

fn of_status(source: &Source) -> coldbolt::Result<Value> {
    let status = status(source, &Quiet)?;
    Ok(json!({
        "hash": status.hash,
        "revision": status.revision,
        "liveKeys": status.live_keys,
        "allKeys": status.all_keys,
        "totalSize": status.total_size,
        "version": status.version,
    }))
}

fn of_hashkv(source: &Source) -> coldbolt::Result<Value> {
    let report = hashkv(source, &HashKvOptions::default(), &Quiet)?;
    Ok(
        json!({ "hash": report.hash, "hashRevision": report.revision, "compactRevision": report.compact_revision }),
    )
}

/// Every live key with its value, as text.
fn of_keyspace(source: &Source) -> coldbolt::Result<Value> {
    let store = Store::open(source, &StoreOptions::default(), &Quiet)?;
    let now = store.at(None)?;
    let mut keys = serde_json::Map::new();
    for kv in now.items(KeyRange::all()) {
        let kv = kv?;
        let value = String::from_utf8_lossy(&kv.value).into_owned();
        keys.insert(
            String::from_utf8_lossy(&kv.key).into_owned(),
            json!({ "value": value, "modRevision": kv.mod_revision, "version": kv.version }),
        );
    }
    Ok(json!({ "revision": store.revision(), "keys": keys }))
}
