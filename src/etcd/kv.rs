//! `mvccpb.KeyValue`: the values of etcd's `key` bucket, decoded without copying.
//!
//! Fields: 1 key, 2 create_revision, 3 mod_revision, 4 version, 5 value, 6 lease. Zero values are left out; a
//! tombstone has the key only. Source: `api/mvccpb/kv.proto`.

use prost::encoding::{WireType, encode_key, encode_varint};

use super::BucketKey;
use crate::codec::to_u64;
use crate::codec::wire::{BadField, WireValue, fields};
use crate::words::finding::Code;
use crate::words::ids::LeaseId;

/// One stored version of a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeyValue<'a> {
    /// The user's key.
    pub key: &'a [u8],
    /// The revision (main) in which this generation of the key was created.
    pub create_revision: i64,
    /// The revision (main) of this version.
    pub mod_revision: i64,
    /// 1 for a new generation, one more with each put.
    pub version: i64,
    /// The user's value.
    pub value: &'a [u8],
    /// The lease it is attached to; 0 is none.
    pub lease: i64,
}

impl<'a> KeyValue<'a> {
    /// Decodes a stored value. Unknown fields are skipped, as Go does; a repeated field's last value wins.
    ///
    /// # Errors
    /// The byte offset of the first field that cannot be read, or that has another wire type.
    pub fn decode(bytes: &'a [u8]) -> Result<KeyValue<'a>, BadField> {
        let mut kv = KeyValue::default();
        for field in fields(bytes) {
            match field? {
                (1, WireValue::Bytes(key)) => kv.key = key,
                (2, WireValue::Varint(n)) => kv.create_revision = n.cast_signed(),
                (3, WireValue::Varint(n)) => kv.mod_revision = n.cast_signed(),
                (4, WireValue::Varint(n)) => kv.version = n.cast_signed(),
                (5, WireValue::Bytes(value)) => kv.value = value,
                (6, WireValue::Varint(n)) => kv.lease = n.cast_signed(),
                (1..=6, _) => return Err(BadField(0)),
                _ => {}
            }
        }
        Ok(kv)
    }

    /// The lease it is attached to.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        LeaseId::new(self.lease)
    }

    /// Whether a put created the key: it is version 1. kine counts no versions, and what it makes then is of version 0.
    #[must_use]
    pub fn begins(&self) -> bool {
        let uncounted = self.version == 0 && self.create_revision > 0;
        self.version == 1 || uncounted && self.create_revision == self.mod_revision
    }

    /// The bytes it is stored as: fields in order, zero values left out, as every etcd writes it.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.key.len().saturating_add(self.value.len()).saturating_add(48));
        let bytes = |number, bytes: &[u8], out: &mut Vec<u8>| {
            if !bytes.is_empty() {
                encode_key(number, WireType::LengthDelimited, out);
                encode_varint(to_u64(bytes.len()), out);
                out.extend_from_slice(bytes);
            }
        };
        let number = |number, value: i64, out: &mut Vec<u8>| {
            if value != 0 {
                encode_key(number, WireType::Varint, out);
                encode_varint(value.cast_unsigned(), out);
            }
        };
        bytes(1, self.key, &mut out);
        number(2, self.create_revision, &mut out);
        number(3, self.mod_revision, &mut out);
        number(4, self.version, &mut out);
        bytes(5, self.value, &mut out);
        number(6, self.lease, &mut out);
        out
    }

    /// Whether it can be what is stored under `key`, as far as it tells by itself. `stored` is the bytes it was
    /// decoded from.
    ///
    /// # Errors
    /// `value-undecodable` without a user key, `mod-revision` when it names another revision.
    pub fn check(&self, key: BucketKey, stored: &[u8]) -> Result<(), (Code, String)> {
        // The marker that a restore with a bumped revision leaves has no KeyValue at all.
        if stored.is_empty() {
            return Ok(());
        }
        if self.key.is_empty() {
            return Err((
                Code::ValueUndecodable,
                format!("the KeyValue of {} bytes names no key", stored.len()),
            ));
        }
        if !key.tombstone && self.mod_revision != key.revision.main {
            let what =
                format!("the value says mod_revision {}, its key {}", self.mod_revision, key.revision.main);
            return Err((Code::ModRevision, what));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(prost::Message)]
    struct Oracle {
        #[prost(bytes = "vec", tag = "1")]
        key: Vec<u8>,
        #[prost(int64, tag = "2")]
        create_revision: i64,
        #[prost(int64, tag = "3")]
        mod_revision: i64,
        #[prost(int64, tag = "4")]
        version: i64,
        #[prost(bytes = "vec", tag = "5")]
        value: Vec<u8>,
        #[prost(int64, tag = "6")]
        lease: i64,
    }

    /// prost skips a group that it does not know, and Go does too. Protobuf gave groups up before etcd was written:
    /// one here is damage.
    #[test]
    fn a_group_is_refused_though_prost_skips_it() {
        let kv = [&b"\x0a\x01k\x63"[..], b"\x08\x01\x64\x18\x07"].concat();
        assert_eq!(<Oracle as prost::Message>::decode(kv.as_slice()).unwrap().mod_revision, 7);
        assert_eq!(KeyValue::decode(&kv), Err(BadField(3)));
    }

    #[test]
    fn a_field_of_another_wire_type_is_refused_and_an_unknown_one_is_not() {
        for number in 1..=7u8 {
            let (varint, bytes) = ([number << 3, 1], [number << 3 | 2, 0]);
            let wrong = if matches!(number, 1 | 5) { varint } else { bytes };
            assert_eq!(KeyValue::decode(&wrong).is_err(), number <= 6, "field {number}");
            let right = if matches!(number, 1 | 5) { bytes } else { varint };
            assert!(KeyValue::decode(&right).is_ok(), "field {number}");
        }
    }

    #[test]
    fn a_value_that_cannot_be_its_keys_is_told() {
        let key = |main, tombstone| BucketKey { revision: crate::etcd::Revision { main, sub: 0 }, tombstone };
        let stored = b"\x0a\x01k\x18\x07";
        let kv = KeyValue::decode(stored).unwrap();
        assert_eq!(kv.check(key(7, false), stored), Ok(()));
        assert_eq!(kv.check(key(8, false), stored).unwrap_err().0, Code::ModRevision);
        // A deletion carries the key only.
        assert_eq!(kv.check(key(8, true), stored), Ok(()));
        assert_eq!(
            KeyValue::default().check(key(8, false), b"\x48\x00").unwrap_err().0,
            Code::ValueUndecodable
        );
        // The marker of a bumped revision.
        assert_eq!(KeyValue::default().check(key(1_000_000_008, false), b""), Ok(()));
    }

    proptest::proptest! {
        #[test]
        fn it_reads_what_prost_writes(
            key: Vec<u8>, create_revision: i64, mod_revision: i64, version: i64, value: Vec<u8>, lease: i64
        ) {
            let bytes = prost::Message::encode_to_vec(&Oracle {
                key: key.clone(), create_revision, mod_revision, version, value: value.clone(), lease,
            });
            let due = KeyValue { key: &key, create_revision, mod_revision, version, value: &value, lease };
            proptest::prop_assert_eq!(KeyValue::decode(&bytes), Ok(due));
            proptest::prop_assert_eq!(due.encode(), bytes);
        }

        #[test]
        fn it_agrees_with_prost_on_any_bytes(bytes: Vec<u8>) {
            let oracle = <Oracle as prost::Message>::decode(bytes.as_slice());
            if let (Ok(ours), Ok(theirs)) = (KeyValue::decode(&bytes), &oracle) {
                proptest::prop_assert_eq!(ours.key, theirs.key.as_slice());
                proptest::prop_assert_eq!(ours.value, theirs.value.as_slice());
                proptest::prop_assert_eq!(ours.lease, theirs.lease);
            }
        }
    }
}
