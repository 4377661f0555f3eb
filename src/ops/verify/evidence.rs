//! What a policy wants to know of the live keys: how many there are of some, and when the newest of them was written.
//!
//! Kubernetes renews a Lease for every node and controller each few seconds, so the newest `renewTime` under `/registry/leases/` tells when
//! the snapshot was taken, whatever time a copy of the file carries. The value is JSON or, behind `k8s\0`, protobuf:
//!
//! ```text
//! runtime.Unknown   1 typeMeta | 2 raw: Lease
//! Lease             1 metadata | 2 spec
//! LeaseSpec         1 holderIdentity | 2 leaseDurationSeconds | 3 acquireTime | 4 renewTime | 5 leaseTransitions
//! MicroTime         1 seconds | 2 nanos
//! ```
//!
//! Source: `k8s.io/api/coordination/v1/generated.proto`, `k8s.io/apimachinery/pkg/runtime/generated.proto`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::bolt::walk::{Shared, Visited, Visitor, walk};
use crate::bolt::{Db, Page};
use crate::bytes::wire::{Value, fields};
use crate::error::Corrupt;
use crate::etcd::{BucketKey, KeyValue};
use crate::monitor::Quiet;
use crate::ops::scan::Scan;

/// Where Kubernetes keeps its Leases.
const LEASES: &[u8] = b"/registry/leases/";

/// Which live keys are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// All that begin with this.
    Prefix(String),
    /// This one.
    Key(String),
}

impl Selector {
    fn matches(&self, key: &[u8]) -> bool {
        match self {
            Selector::Prefix(prefix) => key.starts_with(prefix.as_bytes()),
            Selector::Key(name) => key == name.as_bytes(),
        }
    }
}

/// What to look for; it costs one walk over the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Keys to count.
    pub keys: Vec<Selector>,
    /// Whether the time is wanted.
    pub times: bool,
}

/// How many live keys a selector finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    /// Which.
    pub keys: Selector,
    /// How many.
    pub count: u64,
}

/// A time that something inside the file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// When.
    #[serde(serialize_with = "text")]
    pub time: Timestamp,
    /// The key whose value tells it, escaped.
    pub key: String,
}

fn text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// One for each selector, in the same order.
    pub counts: Vec<KeyCount>,
    /// The newest time.
    pub newest: Option<Evidence>,
}

/// Walks over the live keys.
#[must_use]
pub fn look(scan: &Scan, db: &Db<'_>, ask: &Ask) -> Seen {
    let counts = ask.keys.iter().map(|keys| KeyCount { keys: keys.clone(), count: 0 }).collect();
    let mut look = Look { scan, times: ask.times, seen: Seen { counts, newest: None } };
    if let Ok(Some(keys)) = db.root().bucket(b"key") {
        let visited = Visited::new(db);
        walk(&keys, Shared::new(&visited, &Quiet), &mut look);
    }
    look.seen
}

struct Look<'s> {
    scan: &'s Scan,
    times: bool,
    seen: Seen,
}

impl Visitor for Look<'_> {
    fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
        for element in page.leaves() {
            let (Ok(key), Ok(kv)) = (BucketKey::parse(element.key), KeyValue::decode(element.value)) else { continue };
            if key.tombstone || !self.scan.newest.is_newest(key, &kv) {
                continue;
            }
            for counted in self.seen.counts.iter_mut().filter(|c| c.keys.matches(kv.key)) {
                counted.count = counted.count.saturating_add(1);
            }
            if !self.times || !kv.key.starts_with(LEASES) {
                continue;
            }
            if let Some(time) = renewed(kv.value)
                && self.seen.newest.as_ref().is_none_or(|newest| time > newest.time)
            {
                self.seen.newest = Some(Evidence { time, key: kv.key.escape_ascii().to_string() });
            }
        }
    }

    fn fault(&mut self, _: Corrupt) {}
}

/// When a Lease was renewed last, as far as its value tells; an encrypted one does not.
fn renewed(value: &[u8]) -> Option<Timestamp> {
    let Some(unknown) = value.strip_prefix(b"k8s\0") else { return renewed_json(value) };
    let time = message(message(message(unknown, 2)?, 2)?, 4)?;
    let seconds = i64::try_from(number(time, 1)?).ok()?;
    let nanos = i32::try_from(number(time, 2).unwrap_or(0)).ok()?;
    Timestamp::new(seconds, nanos).ok()
}

fn renewed_json(value: &[u8]) -> Option<Timestamp> {
    #[derive(Deserialize)]
    struct Lease {
        spec: Spec,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Spec {
        renew_time: String,
    }
    let lease: Lease = serde_json::from_slice(value).ok()?;
    lease.spec.renew_time.parse().ok()
}

fn last(bytes: &[u8], wanted: u32) -> Option<Value<'_>> {
    fields(bytes).map_while(Result::ok).filter(|(number, _)| *number == wanted).map(|(_, value)| value).last()
}

fn message(bytes: &[u8], wanted: u32) -> Option<&[u8]> {
    match last(bytes, wanted)? {
        Value::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn number(bytes: &[u8], wanted: u32) -> Option<u64> {
    match last(bytes, wanted)? {
        Value::Varint(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_tells_its_time_in_either_form() {
        let due: Timestamp = "2026-03-04T05:06:07.000008Z".parse().unwrap();
        let json = br#"{"kind":"Lease","spec":{"holderIdentity":"n1","renewTime":"2026-03-04T05:06:07.000008Z"}}"#;
        assert_eq!(renewed(json), Some(due));
        let field = |number: u8, bytes: &[u8]| [&[number << 3 | 2, bytes.len() as u8], bytes].concat();
        let mut time = vec![0x08];
        prost::encoding::encode_varint(due.as_second().cast_unsigned(), &mut time);
        time.extend([0x10, 0xc0, 0x3e]); // 8000 ns
        let spec = [field(1, b"n1"), vec![0x10, 40], field(4, &time)].concat();
        let lease = [field(1, b"\x0a\x02n1"), field(2, &spec)].concat();
        let unknown = [field(1, b"\x0a\x16coordination.k8s.io/v1\x12\x05Lease"), field(2, &lease), field(3, b""), field(4, b"")].concat();
        assert_eq!(renewed(&[b"k8s\0", unknown.as_slice()].concat()), Some(due));
    }

    #[test]
    fn what_is_no_lease_tells_nothing() {
        for value in
            [&b"k8s:enc:aescbc:v1:key1:\x01\x02"[..], b"k8s\0", b"k8s\0\x12\x05ab", b"", b"{}", b"{\"spec\":{\"renewTime\":\"soon\"}}"]
        {
            assert_eq!(renewed(value), None, "{}", value.escape_ascii());
        }
    }
}
