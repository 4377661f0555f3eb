//! What differs between two objects makes the second of the first, and of an object and itself nothing does. The two
//! are the parts of the input, or one of it and the same with another byte.
#![no_main]

use coldbolt::kube::changes::fields::{FieldDelta, PathStep, field_diff};
use coldbolt::kube::changes::found::FieldChanges;
use coldbolt::kube::changes::noise::Noise;
use coldbolt::kube::decode::Object;
use serde_json::Value;

fn down<'v>(root: &'v mut Value, path: &[PathStep<'_>]) -> &'v mut Value {
    path.iter().fold(root, |value, step| match step {
        PathStep::Field(name) => value.get_mut(name).unwrap(),
        PathStep::Element(at) => value.get_mut(at).unwrap(),
    })
}

fn apply(root: &mut Value, path: &[PathStep<'_>], delta: &FieldDelta<'_>) {
    if let FieldDelta::Reordered(order) = delta {
        let list = down(root, path).as_array_mut().unwrap();
        let was = std::mem::take(list);
        assert_eq!(was.len(), order.len());
        *list = order.iter().map(|at| was[*at].clone()).collect();
        return;
    }
    let (last, before) = path.split_last().unwrap();
    match (down(root, before), last, delta) {
        (Value::Object(map), PathStep::Field(name), FieldDelta::Removed(_)) => {
            drop(map.remove(*name).unwrap())
        }
        (Value::Object(map), PathStep::Field(name), FieldDelta::Added(b) | FieldDelta::Changed(_, b)) => {
            map.insert((*name).to_owned(), (*b).clone());
        }
        (Value::Array(list), PathStep::Element(at), FieldDelta::Added(b)) => list.insert(*at, (*b).clone()),
        (Value::Array(list), PathStep::Element(at), FieldDelta::Removed(_)) => drop(list.remove(*at)),
        (Value::Array(list), PathStep::Element(at), FieldDelta::Changed(_, b)) => list[*at] = (*b).clone(),
        (value, step, _) => panic!("{step:?} of {value}"),
    }
}

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
