//! What is encoded, what is refused, and how that is said.

use serde_json::{Value, json};

use super::*;
use crate::kube::decode::UnknownField;

fn object(json: Value) -> Object {
    let Value::Object(json) = json else { panic!("{json}") };
    let text = |name: &str| json[name].as_str().unwrap().to_owned();
    Object {
        encoding: Encoding::Protobuf,
        api_version: text("apiVersion"),
        kind: text("kind"),
        json,
        known: true,
        unknown: Vec::new(),
        remarks: Vec::new(),
    }
}

fn pod(more: Value) -> Object {
    let mut pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}});
    pod.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    object(pod)
}

#[test]
fn what_does_not_fit_is_told_by_its_place_and_never_by_its_value() {
    for (more, due) in [
        (json!({"spec": {"containrs": []}}), "spec.containrs: no known Kubernetes has this field"),
        (
            json!({"spec": {"containers": [{"name": 7}]}}),
            "spec.containers[0].name: a string is due, this is a number",
        ),
        (
            json!({"spec": {"containers": [{"env": {"a": "hunter2"}}]}}),
            "spec.containers[0].env: a list is due, this is an object",
        ),
        (
            json!({"metadata": {"labels": {"a": 1}}}),
            "metadata.labels[\"a\"]: a string is due, this is a number",
        ),
        (
            json!({"spec": {"priority": 3_000_000_000_u64}}),
            "spec.priority: a whole number of 32 bits is due, this is a number",
        ),
        (
            json!({"spec": {"priority": 1.5}}),
            "spec.priority: a whole number of 32 bits is due, this is a number with a fraction",
        ),
        (json!({"spec": []}), "spec: an object is due, this is a list"),
        (
            json!({"metadata": {"creationTimestamp": "hunter2"}}),
            "metadata.creationTimestamp: a time, as 2026-11-28T19:30:00Z, is due, this is a string",
        ),
        (
            json!({"spec": {"overhead": {"cpu": "hunter2"}}}),
            "spec.overhead[\"cpu\"]: a quantity, as 500m or 2Gi, is due, this is a string",
        ),
    ] {
        let error = encode(&pod(more), &Like::newest()).unwrap_err();
        assert_eq!(error.to_string(), due);
    }
    let other = object(json!({"apiVersion": "v9", "kind": "Pod"}));
    let error = encode(&other, &Like::newest()).unwrap_err();
    assert_eq!(error.to_string(), "no known Kubernetes has this kind in this version");
}

#[test]
fn a_field_that_nobody_knows_stays_where_it_was_or_is_told_to_be_lost() {
    let field = |path: &str, wire, bytes: &[u8]| UnknownField {
        path: path.to_owned(),
        number: 1000,
        wire,
        bytes: bytes.to_vec(),
    };
    let mut pod = pod(json!({"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}));
    pod.unknown = vec![
        field("", 0, &7u64.to_le_bytes()),
        field("spec", 1, &[1; 8]),
        field("spec.containers[1]", 2, b"new"),
        field("spec.containers[1]", 5, &[2; 4]),
    ];
    let value = encode(&pod, &Like::newest()).unwrap();
    let again = Object::decode(&value).unwrap();
    assert_eq!(again.unknown, pod.unknown);
    pod.unknown.push(field("spec.containers[2]", 2, b"lost"));
    let error = encode(&pod, &Like::newest()).unwrap_err();
    assert_eq!((error.path.as_str(), error.why), ("spec.containers[2]", Unfit::Lost(1000)));
}

#[test]
fn a_field_that_nobody_knows_stays_in_the_entry_of_a_map_or_in_its_value() {
    let field = |path: &str, bytes: &[u8]| UnknownField {
        path: path.to_owned(),
        number: 1000,
        wire: 2,
        bytes: bytes.to_vec(),
    };
    let attributes = json!({"size": {"string": "s"}, "sort": {"string": "t"}});
    let mut slice = object(json!({
        "apiVersion": "resource.k8s.io/v1", "kind": "ResourceSlice",
        "metadata": {"name": "a", "labels": {"b": "c", "d": ""}},
        "spec": {"devices": [{"name": "e", "attributes": attributes}]},
    }));
    slice.unknown = vec![
        field("metadata.labels{\"b\"}", b"of b"),
        field("metadata.labels{\"d\"}", b"of d"),
        field("spec.devices[0].attributes{\"size\"}", b"of the entry"),
        field("spec.devices[0].attributes[\"size\"]", b"of the value"),
    ];
    let value = encode(&slice, &Like::newest()).unwrap();
    let has = |bytes: &[u8]| value.windows(bytes.len()).any(|window| window == bytes);
    // Key, value, field 1000 with its length.
    assert!(has(b"\x0a\x01b\x12\x01c\xc2\x3e\x04of b") && has(b"\x0a\x01d\x12\x00\xc2\x3e\x04of d"));
    let decoded = Object::decode(&value).unwrap();
    assert_eq!(decoded.unknown, slice.unknown);
    assert_eq!(encode(&decoded, &Like::of(&value)).unwrap(), value);
    // With the label goes what was beside it, and that is told.
    slice.json["metadata"]["labels"] = json!({"d": ""});
    let error = encode(&slice, &Like::newest()).unwrap_err();
    assert_eq!((error.path.as_str(), error.why), ("metadata.labels{\"b\"}", Unfit::Lost(1000)));
}

#[test]
fn what_is_written_like_a_value_has_the_fields_of_its_writer() {
    // Of some other version: without a status, and a name only.
    let old = [MAGIC, b"\x0a\x09\x0a\x02v1\x12\x03Pod\x12\x05\x0a\x03\x0a\x01a\x1a\x00\x22\x00"].concat();
    let pod = pod(json!({}));
    assert_eq!(encode(&pod, &Like::of(&old)).unwrap(), old);
    assert!(encode(&pod, &Like::newest()).unwrap().len() > old.len() + 20);
}

#[test]
fn what_is_too_deep_is_refused() {
    let mut schema = json!({});
    for _ in 0..400 {
        schema = json!({"not": schema});
    }
    let definition = object(json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "spec": {"versions": [{"schema": {"openAPIV3Schema": schema}}]},
    }));
    assert_eq!(encode(&definition, &Like::newest()).unwrap_err().why, Unfit::Deep);
}
