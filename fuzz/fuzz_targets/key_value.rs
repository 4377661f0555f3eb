//! `KeyValue::decode` and prost, on the same bytes: both refuse, or both read the same. Only groups prost skips and we refuse: protobuf gave
//! them up before etcd was written, so one in a stored value is damage.
#![no_main]

use coldbolt::etcd::KeyValue;
use prost::Message;

#[derive(Clone, PartialEq, Message)]
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

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match (KeyValue::decode(data), Oracle::decode(data)) {
        (Ok(kv), Ok(oracle)) => {
            let ours = (kv.key, kv.create_revision, kv.mod_revision, kv.version, kv.value, kv.lease);
            let Oracle { key, create_revision, mod_revision, version, value, lease } = &oracle;
            assert_eq!(ours, (key.as_slice(), *create_revision, *mod_revision, *version, value.as_slice(), *lease));
        }
        (Err(_), Err(_)) => {}
        (Err(bad), Ok(_)) => assert!(matches!(data[bad.0] & 7, 3 | 4), "{bad:?}"),
        (ours, oracle) => panic!("ours: {ours:?}; prost: {oracle:?}"),
    }
});
