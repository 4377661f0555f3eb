//! `KeyValue::decode` and prost, on the same bytes: both refuse, or both read the same. Only groups prost skips and
//! we refuse: protobuf gave them up before etcd was written, so one in a stored value is damage.
#![no_main]

#[path = "../../tests/support/src/key_value.rs"]
mod oracle;

use coldbolt::etcd::KeyValue;
use prost::Message;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match (KeyValue::decode(data), oracle::KeyValue::decode(data)) {
        (Ok(kv), Ok(oracle)) => {
            let ours = (kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.value, kv.lease);
            let oracle::KeyValue { key, create_revision, mod_revision, version, value, lease } = &oracle;
            assert_eq!(
                ours,
                (key.as_slice(), *create_revision, *mod_revision, *version, value.as_slice(), *lease)
            );
        }
        (Err(_), Err(_)) => {}
        (Err(bad), Ok(_)) => assert!(matches!(data[bad.0] & 7, 3 | 4), "{bad:?}"),
        (ours, oracle) => panic!("ours: {ours:?}; prost: {oracle:?}"),
    }
});
