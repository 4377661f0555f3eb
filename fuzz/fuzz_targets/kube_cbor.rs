//! CBOR: an item of no more values than it has bytes, or the place where it cannot be one; a tag before it says
//! nothing.
#![no_main]

use coldbolt::kube::cbor;
use coldbolt::kube::sizes::Parts;
use serde_json::Value;

fn values(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(map) => map.values().map(values).sum(),
        _ => 0,
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    match cbor::decode(data) {
        Ok(value) => {
            assert!(values(&value) <= data.len());
            let tagged = cbor::decode(&[cbor::MAGIC, data].concat());
            // One level deeper, it may be too deep.
            assert!(tagged.is_err() || tagged.as_ref() == Ok(&value));
        }
        Err(at) => assert!(at.0 <= data.len()),
    }
    let stored = [cbor::MAGIC, data].concat();
    for value in [data, stored.as_slice()] {
        let mut parts = Parts::default();
        parts.value(value);
        assert_eq!(parts.total(), value.len() as u64);
    }
});
