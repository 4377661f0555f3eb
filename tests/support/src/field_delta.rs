//! Changes objects as they are said to differ. The fuzz target of field diffs has it too.

use coldbolt::kube::changes::fields::{FieldDelta, PathStep};
use serde_json::Value;

fn down<'v>(root: &'v mut Value, path: &[PathStep<'_>]) -> &'v mut Value {
    path.iter().fold(root, |value, step| match step {
        PathStep::Field(name) => value.get_mut(name).unwrap(),
        PathStep::Element(at) => value.get_mut(at).unwrap(),
    })
}

/// Changes an object in one field, which must be as it is said to be.
pub fn apply(root: &mut Value, path: &[PathStep<'_>], delta: &FieldDelta<'_>) {
    if let FieldDelta::Reordered(order) = delta {
        let list = down(root, path).as_array_mut().unwrap();
        let was = std::mem::take(list);
        assert_eq!(was.len(), order.len());
        *list = order.iter().map(|at| was[*at].clone()).collect();
        return;
    }
    let (last, before) = path.split_last().unwrap();
    match (down(root, before), last) {
        (Value::Object(map), PathStep::Field(name)) => match delta {
            FieldDelta::Added(value) => assert!(map.insert((*name).to_owned(), (*value).clone()).is_none()),
            FieldDelta::Removed(value) => assert_eq!(map.remove(*name).as_ref(), Some(*value)),
            FieldDelta::Changed(a, b) => {
                assert!(a != b);
                assert_eq!(map.insert((*name).to_owned(), (*b).clone()).as_ref(), Some(*a));
            }
            FieldDelta::Reordered(_) => unreachable!(),
        },
        (Value::Array(list), PathStep::Element(at)) => match delta {
            FieldDelta::Added(value) => list.insert(*at, (*value).clone()),
            FieldDelta::Removed(value) => assert_eq!(list.remove(*at), **value),
            FieldDelta::Changed(a, b) => assert_eq!(std::mem::replace(&mut list[*at], (*b).clone()), **a),
            FieldDelta::Reordered(_) => unreachable!(),
        },
        (value, step) => panic!("{step:?} of {value}"),
    }
}
