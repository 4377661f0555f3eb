//! When a Kubernetes object was written at the earliest, as its value tells: the newest time in it that is of a
//! moment before the write. Times to come (a certificate's) and times of conditions are left alone; of the time at
//! which a deletion is to be done its grace is taken off, which leaves when it was asked for. The value is JSON or
//! CBOR, with the names of JSON, or, in an [`Envelope`], protobuf:
//!
//! ```text
//! any object          1 metadata
//! ObjectMeta          8 creationTimestamp | 9 deletionTimestamp | 10 deletionGracePeriodSeconds
//!                     17 managedFields (each: 1 manager | 4 time)
//! Lease               2 spec
//! LeaseSpec           1 holderIdentity | 2 leaseDurationSeconds | 3 acquireTime | 4 renewTime | 5 leaseTransitions
//! Event, v1           6 firstTimestamp | 7 lastTimestamp | 10 eventTime | 11 series { 1 count | 2 lastObservedTime }
//! Event, events...    2 eventTime | 3 series
//! Time, MicroTime     1 seconds | 2 nanos
//! ```
//!
//! Source: `k8s.io/api/{core,coordination,events}/v1/generated.proto`,
//! `k8s.io/apimachinery/pkg/apis/meta/v1/generated.proto`.

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::cbor;
use super::envelope::{Envelope, Form};
use crate::codec::wire::{WireValue, fields};

/// What the keys of Leases begin with. Kubernetes renews one for every node and controller each few seconds, so the
/// newest time in them tells when a snapshot was taken, whatever time a copy of the file carries.
const LEASES: &[u8] = b"/registry/leases/";

/// When the Lease under a key was renewed last (`renewTime`), as far as its value tells; an encrypted one does not, nor
/// does what is no Lease.
pub fn renewed(key: &[u8], value: &[u8]) -> Option<Timestamp> {
    if !key.starts_with(LEASES) {
        return None;
    }
    match Stored::of(value)? {
        Stored::Protobuf(envelope) => time(message(envelope.raw, 2)?, 4),
        Stored::Named(named) => parse(named.read::<Lease>()?.spec.renew_time.as_deref()),
    }
}

/// When an object was written at the earliest. Its creation counts only if it is `new`: an old object that is written
/// again has it still.
pub fn written(value: &[u8], new: bool) -> Option<Timestamp> {
    let found = match Stored::of(value)? {
        Stored::Protobuf(envelope) => written_protobuf(&envelope, new),
        Stored::Named(named) => written_named(&named, new),
    };
    // Go writes a time that was not set as one of the year 1.
    found.filter(|time| time.as_second() > 0)
}

/// Who wrote an object last, as its managed fields tell: the managers of those with the newest time, in the order of
/// their names, and that time, which is to the second.
pub fn last_writers(value: &[u8]) -> Option<(Timestamp, Vec<String>)> {
    let all: Vec<(Timestamp, String)> = match Stored::of(value)? {
        Stored::Protobuf(envelope) => {
            let managed = fields(message(envelope.raw, 1)?).map_while(Result::ok);
            let entry = |(number, field)| match field {
                WireValue::Bytes(managed) if number == 17 => {
                    let manager = message(managed, 1).unwrap_or_default();
                    Some((time(managed, 4)?, String::from_utf8_lossy(manager).into_owned()))
                }
                _ => None,
            };
            managed.filter_map(entry).collect()
        }
        Stored::Named(named) => {
            let managed = named.read::<Object>()?.metadata?.managed_fields?;
            let entry = |managed: Managed| Some((parse(managed.time.as_deref())?, managed.manager?));
            managed.into_iter().filter_map(entry).collect()
        }
    };
    let newest = all.iter().map(|(time, _)| *time).max()?;
    let mut writers: Vec<String> =
        all.into_iter().filter(|(time, _)| *time == newest).map(|(_, manager)| manager).collect();
    writers.sort();
    writers.dedup();
    Some((newest, writers))
}

/// A value that tells something.
enum Stored<'v> {
    Protobuf(Envelope<'v>),
    Named(Named<'v>),
}

/// What brings the names of its fields along.
enum Named<'v> {
    Json(&'v [u8]),
    Cbor(Value),
}

impl<'v> Stored<'v> {
    fn of(value: &'v [u8]) -> Option<Stored<'v>> {
        Some(match Form::of(value).ok()? {
            Form::Protobuf(envelope) => Stored::Protobuf(envelope),
            Form::Json(text) => Stored::Named(Named::Json(text)),
            Form::Cbor(bytes) => Stored::Named(Named::Cbor(cbor::decode(bytes).ok()?)),
            Form::Encrypted(_) | Form::Other(_) => return None,
        })
    }
}

impl Named<'_> {
    fn read<T: DeserializeOwned>(&self) -> Option<T> {
        match self {
            Named::Json(text) => serde_json::from_slice(text).ok(),
            Named::Cbor(value) => T::deserialize(value).ok(),
        }
    }
}

fn written_protobuf(envelope: &Envelope<'_>, new: bool) -> Option<Timestamp> {
    let object = envelope.raw;
    let mut newest = None;
    let mut take = |time: Option<Timestamp>| newest = newest.max(time);
    if let Some(metadata) = message(object, 1) {
        if new {
            take(time(metadata, 8));
        }
        let grace = number(metadata, 10).map(u64::cast_signed);
        take(asked_for(time(metadata, 9), grace));
        for (_, value) in fields(metadata).map_while(Result::ok).filter(|(number, _)| *number == 17) {
            if let WireValue::Bytes(managed) = value {
                take(time(managed, 4));
            }
        }
    }
    match (envelope.api_version, envelope.kind) {
        (_, b"Lease") => {
            let spec = message(object, 2).unwrap_or_default();
            take(time(spec, 3));
            take(time(spec, 4));
        }
        (b"v1", b"Event") => {
            [6, 7, 10].into_iter().for_each(|number| take(time(object, number)));
            take(time(message(object, 11).unwrap_or_default(), 2));
        }
        (_, b"Event") => {
            take(time(object, 2));
            take(time(message(object, 3).unwrap_or_default(), 2));
        }
        _ => {}
    }
    newest
}

#[derive(Deserialize)]
struct Object {
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    creation_timestamp: Option<String>,
    #[serde(default)]
    deletion_timestamp: Option<String>,
    #[serde(default)]
    deletion_grace_period_seconds: Option<i64>,
    #[serde(default)]
    managed_fields: Option<Vec<Managed>>,
}

#[derive(Deserialize)]
struct Managed {
    #[serde(default)]
    manager: Option<String>,
    #[serde(default)]
    time: Option<String>,
}

#[derive(Deserialize)]
struct Lease {
    spec: LeaseSpec,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct LeaseSpec {
    #[serde(default)]
    acquire_time: Option<String>,
    #[serde(default)]
    renew_time: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    #[serde(default)]
    first_timestamp: Option<String>,
    #[serde(default)]
    last_timestamp: Option<String>,
    #[serde(default)]
    event_time: Option<String>,
    #[serde(default)]
    series: Option<Series>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Series {
    #[serde(default)]
    last_observed_time: Option<String>,
}

fn written_named(value: &Named<'_>, new: bool) -> Option<Timestamp> {
    let object: Object = value.read()?;
    let mut newest = None;
    if let Some(metadata) = &object.metadata {
        let deleted = parse(metadata.deletion_timestamp.as_deref());
        newest = asked_for(deleted, metadata.deletion_grace_period_seconds);
    }
    let mut take = |text: Option<&str>| newest = newest.max(parse(text));
    if let Some(metadata) = &object.metadata {
        take(metadata.creation_timestamp.as_deref().filter(|_| new));
        metadata.managed_fields.iter().flatten().for_each(|managed| take(managed.time.as_deref()));
    }
    match object.kind.as_deref() {
        Some("Lease") => {
            if let Some(Lease { spec }) = value.read() {
                take(spec.acquire_time.as_deref());
                take(spec.renew_time.as_deref());
            }
        }
        Some("Event") => {
            if let Some(event) = value.read::<Event>() {
                let series = event.series.and_then(|series| series.last_observed_time);
                [event.first_timestamp, event.last_timestamp, event.event_time, series]
                    .iter()
                    .for_each(|time| take(time.as_deref()));
            }
        }
        _ => {}
    }
    newest
}

/// When a deletion was asked for: the API server puts down that moment and the grace after it, both at once, and keeps
/// the moment when the grace is shortened (`k8s.io/apiserver/pkg/registry/rest/delete.go BeforeDelete`).
fn asked_for(deletion: Option<Timestamp>, grace: Option<i64>) -> Option<Timestamp> {
    let grace = grace.filter(|seconds| *seconds >= 0)?;
    deletion?.checked_sub(jiff::SignedDuration::from_secs(grace)).ok()
}

fn parse(text: Option<&str>) -> Option<Timestamp> {
    text?.parse().ok()
}

/// A field that is a time.
fn time(bytes: &[u8], wanted: u32) -> Option<Timestamp> {
    let time = message(bytes, wanted)?;
    let seconds = number(time, 1)?.cast_signed();
    let nanos = i32::try_from(number(time, 2).unwrap_or(0)).ok()?;
    Timestamp::new(seconds, nanos).ok()
}

fn last(bytes: &[u8], wanted: u32) -> Option<WireValue<'_>> {
    fields(bytes).map_while(Result::ok).filter(|(number, _)| *number == wanted).map(|(_, value)| value).last()
}

fn message(bytes: &[u8], wanted: u32) -> Option<&[u8]> {
    match last(bytes, wanted)? {
        WireValue::Bytes(bytes) => Some(bytes),
        _ => None,
    }
}

fn number(bytes: &[u8], wanted: u32) -> Option<u64> {
    match last(bytes, wanted)? {
        WireValue::Varint(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Timestamp> {
        Some(text.parse().unwrap())
    }

    const KEY: &[u8] = b"/registry/leases/kube-node-lease/n1";

    /// A field of a protobuf message.
    fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        prost::encoding::encode_varint(u64::from(number) << 3 | 2, &mut out);
        prost::encoding::encode_varint(bytes.len() as u64, &mut out);
        [out.as_slice(), bytes].concat()
    }

    fn stamp(text: &str) -> Vec<u8> {
        let time = at(text).unwrap();
        let mut out = vec![0x08];
        prost::encoding::encode_varint(time.as_second().cast_unsigned(), &mut out);
        out.push(0x10);
        prost::encoding::encode_varint(time.subsec_nanosecond() as u64, &mut out);
        out
    }

    fn envelope(version: &str, kind: &str, object: &[Vec<u8>]) -> Vec<u8> {
        let meta = [field(1, version.as_bytes()), field(2, kind.as_bytes())].concat();
        [
            b"k8s\0",
            [field(1, &meta), field(2, &object.concat()), field(3, b""), field(4, b"")].concat().as_slice(),
        ]
        .concat()
    }

    #[test]
    fn a_deletion_tells_when_it_was_asked_for_and_not_when_it_is_due() {
        let due = stamp("2026-03-01T00:00:30Z");
        let metadata = |grace: &[u8]| {
            [field(8, &stamp("2026-01-01T00:00:00Z")), field(9, &due), grace.to_vec()].concat()
        };
        let pod = |grace: &[u8]| envelope("v1", "Pod", &[field(1, &metadata(grace))]);
        assert_eq!(written(&pod(&[0x50, 30]), false), at("2026-03-01T00:00:00Z"));
        assert_eq!(written(&pod(&[0x50, 0]), false), at("2026-03-01T00:00:30Z"));
        // Without the grace it may be a time to come.
        assert_eq!(written(&pod(&[]), false), None);
        let json = |grace: &str| {
            let deletion = r#""deletionTimestamp":"2026-03-01T00:00:30Z""#;
            format!(r#"{{"kind":"Pod","apiVersion":"v1","metadata":{{{deletion}{grace}}}}}"#).into_bytes()
        };
        let of = |grace: &str| written(&json(grace), false);
        assert_eq!(of(r#","deletionGracePeriodSeconds":30"#), at("2026-03-01T00:00:00Z"));
        assert_eq!(of(r#","deletionGracePeriodSeconds":-1"#), None);
        assert_eq!(of(r#","deletionGracePeriodSeconds":9223372036854775807"#), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn a_lease_tells_its_time_in_either_form() {
        let due = at("2026-03-04T05:06:07.000008Z");
        let json =
            br#"{"kind":"Lease","spec":{"holderIdentity":"n1","renewTime":"2026-03-04T05:06:07.000008Z"}}"#;
        assert_eq!((renewed(KEY, json), written(json, false)), (due, due));
        let spec = [
            field(1, b"n1"),
            vec![0x10, 40],
            field(3, &stamp("2026-03-01T00:00:00Z")),
            field(4, &stamp("2026-03-04T05:06:07.000008Z")),
        ];
        let lease =
            envelope("coordination.k8s.io/v1", "Lease", &[field(1, b"\x0a\x02n1"), field(2, &spec.concat())]);
        assert_eq!((renewed(KEY, &lease), written(&lease, false)), (due, due));
        assert_eq!(renewed(b"/registry/pods/default/n1", &lease), None);
    }

    #[test]
    fn an_event_tells_when_it_was_seen_last() {
        let due = at("2026-03-04T05:06:09Z");
        let json = br#"{"kind":"Event","firstTimestamp":"2026-03-04T05:06:07Z","lastTimestamp":null,"eventTime":"2026-03-04T05:06:08.5Z",
            "series":{"count":3,"lastObservedTime":"2026-03-04T05:06:09Z"}}"#;
        assert_eq!(written(json, false), due);
        let (first, last) = (stamp("2026-03-04T05:06:07Z"), stamp("2026-03-04T05:06:09Z"));
        assert_eq!(written(&envelope("v1", "Event", &[field(6, &first), field(7, &last)]), false), due);
        let series = field(11, &[vec![0x08, 3], field(2, &last)].concat());
        assert_eq!(written(&envelope("v1", "Event", &[field(10, &first), series]), false), due);
        let newer = envelope("events.k8s.io/v1", "Event", &[field(2, &first), field(3, &field(2, &last))]);
        assert_eq!(written(&newer, false), due);
    }

    #[test]
    fn the_creation_of_an_object_counts_when_it_is_new_and_its_managers_times_always() {
        let (created, managed) = (at("2026-03-01T00:00:00Z"), at("2026-02-01T00:00:00Z"));
        let json = br#"{"kind":"Pod","metadata":{"creationTimestamp":"2026-03-01T00:00:00Z","deletionTimestamp":"2027-01-01T00:00:00Z",
            "managedFields":[{"time":"2026-01-01T00:00:00Z"},{"manager":"x"},{"time":"2026-02-01T00:00:00Z"}]},"spec":[1]}"#;
        assert_eq!((written(json, true), written(json, false)), (created, managed));
        let (one, two) = (
            field(17, &field(4, &stamp("2026-02-01T00:00:00Z"))),
            field(17, &field(4, &stamp("2026-01-01T00:00:00Z"))),
        );
        let metadata = [
            field(1, b"name"),
            field(8, &stamp("2026-03-01T00:00:00Z")),
            field(9, &stamp("2027-01-01T00:00:00Z")),
            one,
            two,
        ];
        let pod = envelope("v1", "Pod", &[field(1, &metadata.concat())]);
        assert_eq!((written(&pod, true), written(&pod, false)), (created, managed));
        // Not set: nothing, or the year 1.
        let none = envelope("v1", "Pod", &[field(1, &field(8, b""))]);
        assert_eq!(written(&none, true), None);
        assert_eq!(written(br#"{"metadata":{"creationTimestamp":null}}"#, true), None);
        assert_eq!(written(br#"{"metadata":{"creationTimestamp":"0001-01-01T00:00:00Z"}}"#, true), None);
    }

    #[test]
    fn the_last_writers_are_those_of_the_newest_managed_fields() {
        let due = at("2026-02-01T00:00:00Z").map(|time| (time, vec!["a".to_owned(), "b".to_owned()]));
        let json = br#"{"kind":"Pod","metadata":{"managedFields":[{"manager":"b","time":"2026-02-01T00:00:00Z"},
            {"manager":"c","time":"2026-01-01T00:00:00Z"},{"manager":"a","time":"2026-02-01T00:00:00Z"},{"manager":"d"}]}}"#;
        assert_eq!(last_writers(json), due);
        let entry = |manager: &[u8], time| field(17, &[field(1, manager), field(4, &stamp(time))].concat());
        let metadata = [
            entry(b"b", "2026-02-01T00:00:00Z"),
            entry(b"c", "2026-01-01T00:00:00Z"),
            entry(b"a", "2026-02-01T00:00:00Z"),
        ];
        assert_eq!(last_writers(&envelope("v1", "Pod", &[field(1, &metadata.concat())])), due);
        assert_eq!(last_writers(b"{}"), None);
    }

    /// JSON as CBOR: strings, lists and maps that are short.
    fn cbor(json: &Value) -> Vec<u8> {
        let head = |major: u8, len: usize| vec![major << 5 | 25, (len >> 8) as u8, len as u8];
        match json {
            Value::String(text) => [head(2, text.len()), text.as_bytes().to_vec()].concat(),
            Value::Array(items) => {
                items.iter().fold(head(4, items.len()), |out, item| [out, cbor(item)].concat())
            }
            Value::Object(map) => map.iter().fold(head(5, map.len()), |out, (name, value)| {
                [out, cbor(&name.as_str().into()), cbor(value)].concat()
            }),
            other => panic!("{other}"),
        }
    }

    #[test]
    fn cbor_tells_what_json_tells() {
        for (json, old, new) in [
            (
                r#"{"kind":"Boat","metadata":{"creationTimestamp":"2026-03-01T00:00:00Z","managedFields":[
                    {"time":"2026-02-01T00:00:00Z"},{"time":"2026-01-01T00:00:00Z"}]}}"#,
                at("2026-02-01T00:00:00Z"),
                at("2026-03-01T00:00:00Z"),
            ),
            (
                r#"{"kind":"Lease","spec":{"acquireTime":"2026-03-01T00:00:00Z","renewTime":"2026-03-04T05:06:07.000008Z"}}"#,
                at("2026-03-04T05:06:07.000008Z"),
                at("2026-03-04T05:06:07.000008Z"),
            ),
            (
                r#"{"kind":"Event","series":{"lastObservedTime":"2026-03-04T05:06:09Z"}}"#,
                at("2026-03-04T05:06:09Z"),
                at("2026-03-04T05:06:09Z"),
            ),
            (r#"{"kind":"Boat","metadata":{"creationTimestamp":"soon"}}"#, None, None),
        ] {
            let value = [cbor::MAGIC, &cbor(&serde_json::from_str(json).unwrap())].concat();
            assert_eq!((written(&value, false), written(&value, true)), (old, new), "{json}");
            assert_eq!(
                (written(json.as_bytes(), false), written(json.as_bytes(), true)),
                (old, new),
                "{json}"
            );
            let renewed_at = if json.contains("Lease") { old } else { None };
            assert_eq!(renewed(KEY, &value), renewed_at, "{json}");
        }
    }

    #[test]
    fn what_is_no_object_tells_nothing() {
        for value in [
            &b"k8s:enc:aescbc:v1:key1:\x01\x02"[..],
            b"k8s\0",
            b"k8s\0\x12\x05ab",
            b"",
            b"{}",
            b"{\"spec\":{\"renewTime\":\"soon\"}}",
            b"[]",
            b"7",
            b"\xd9\xd9\xf7\xbf",
            b"\xd9\xd9\xf7\x07",
        ] {
            assert_eq!((renewed(KEY, value), written(value, true)), (None, None), "{}", value.escape_ascii());
        }
    }
}
