//! What differs between two objects makes the second of the first, and of an object and itself nothing does. The two
//! are the parts of the input, or one of it and the same with another byte.
#![no_main]

use coldbolt::kube::changes::fields::field_diff;
use coldbolt::kube::changes::found::FieldChanges;
use coldbolt::kube::changes::noise::Noise;
use coldbolt::kube::decode::Object;
use serde_json::Value;

#[path = "../../tests/support/src/field_delta.rs"]
mod field_delta;

use field_delta::apply;

fn compare(a: &Object, b: &Object) {
    let (before, after) = (Value::Object(a.json.clone()), Value::Object(b.json.clone()));
    let (mut made, mut count) = (before.clone(), 0u64);
    field_diff(&a.json, &b.json, &mut |path, delta| {
        apply(&mut made, path, &delta);
        count += 1;
    });
    assert_eq!(made, after);
    assert_eq!(count == 0, before == after);
    let found = FieldChanges::between(a, b, &[]);
    assert!(found.changes.len() as u64 + found.more >= count && found.changes.len() <= 30_000);
    let hidden = FieldChanges::between(a, b, &Noise::ALL);
    assert!(hidden.changes.len() <= found.changes.len());
}

fn objects(one: &[u8], other: &[u8]) {
    if let (Ok(a), Ok(b)) = (Object::decode(one), Object::decode(other)) {
        compare(&a, &b);
        compare(&b, &a);
        compare(&a, &a);
    }
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Some(([at, to], rest)) = data.split_first_chunk::<2>().map(|([a, b], rest)| ([*a, *b], rest)) else {
        return;
    };
    objects(data, data);
    let place = rest.len() * usize::from(at) / 256;
    if let Some((one, other)) = rest.split_at_checked(place) {
        objects(one, other);
    }
    let mut changed = rest.to_vec();
    if let Some(byte) = changed.get_mut(place) {
        *byte = to;
    }
    objects(rest, &changed);
});
