//! The table that reads Kubernetes' messages, beside prost with the messages written out: random ones are read alike.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::kube::decode::Object;
use proptest::collection::{btree_map, vec};
use proptest::option::of;
use proptest::prelude::*;
use prost::Message;
use serde_json::{Map, Value, json};

#[derive(Clone, PartialEq, Message)]
struct Time {
    #[prost(int64, optional, tag = "1")]
    seconds: Option<i64>,
    #[prost(int32, optional, tag = "2")]
    nanos: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct OwnerReference {
    #[prost(string, optional, tag = "1")]
    kind: Option<String>,
    #[prost(string, optional, tag = "3")]
    name: Option<String>,
    #[prost(bool, optional, tag = "6")]
    controller: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct ObjectMeta {
    #[prost(string, optional, tag = "1")]
    name: Option<String>,
    #[prost(string, optional, tag = "3")]
    namespace: Option<String>,
    #[prost(string, optional, tag = "5")]
    uid: Option<String>,
    #[prost(int64, optional, tag = "7")]
    generation: Option<i64>,
    #[prost(message, optional, tag = "8")]
    creation_timestamp: Option<Time>,
    #[prost(btree_map = "string, string", tag = "11")]
    labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "12")]
    annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "13")]
    owner_references: Vec<OwnerReference>,
    #[prost(string, repeated, tag = "14")]
    finalizers: Vec<String>,
}

#[derive(Clone, PartialEq, Message)]
struct ConfigMap {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, string", tag = "2")]
    data: BTreeMap<String, String>,
    #[prost(btree_map = "string, bytes", tag = "3")]
    binary_data: BTreeMap<String, Vec<u8>>,
    #[prost(bool, optional, tag = "4")]
    immutable: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
struct Secret {
    #[prost(message, optional, tag = "1")]
    metadata: Option<ObjectMeta>,
    #[prost(btree_map = "string, bytes", tag = "2")]
    data: BTreeMap<String, Vec<u8>>,
    #[prost(string, optional, tag = "3")]
    r#type: Option<String>,
    #[prost(bool, optional, tag = "5")]
    immutable: Option<bool>,
}

fn base64(map: &BTreeMap<String, Vec<u8>>) -> Value {
    map.iter()
        .map(|(name, bytes)| (name.clone(), BASE64_STANDARD.encode(bytes).into()))
        .collect::<Map<_, _>>()
        .into()
}

/// Fields that are there: what is not is null or empty here.
fn there(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let empty = |value: &Value| {
                value.is_null()
                    || value == ""
                    || value == &json!({})
                    || value == &json!([])
                    || value == &json!(0)
            };
            map.into_iter()
                .map(|(name, value)| (name, there(value)))
                .filter(|(_, value)| !empty(value))
                .collect::<Map<_, _>>()
                .into()
        }
        Value::Array(items) => items.into_iter().map(there).collect::<Vec<_>>().into(),
        other => other,
    }
}

fn metadata(meta: &ObjectMeta) -> Value {
    let owners: Vec<_> = meta
        .owner_references
        .iter()
        .map(|owner| json!({"kind": owner.kind, "name": owner.name, "controller": owner.controller}))
        .collect();
    let created = meta.creation_timestamp.as_ref().and_then(|time| time.seconds);
    let created = created.map(|seconds| jiff::Timestamp::from_second(seconds).unwrap().to_string());
    json!({
        "name": meta.name, "namespace": meta.namespace, "uid": meta.uid, "generation": meta.generation,
        "creationTimestamp": created, "labels": meta.labels, "annotations": meta.annotations,
        "ownerReferences": owners, "finalizers": meta.finalizers,
    })
}

fn objects() -> impl Strategy<Value = ObjectMeta> {
    let text = || of("[a-zü<\n]{0,6}");
    let owner = (text(), text(), of(any::<bool>())).prop_map(|(kind, name, controller)| OwnerReference {
        kind,
        name,
        controller,
    });
    let time = of(0i64..4_000_000_000)
        .prop_map(|seconds| seconds.map(|seconds| Time { seconds: Some(seconds), nanos: Some(0) }));
    let map = || btree_map("[a-z/]{0,5}", ".{0,5}", 0..4);
    let first = (text(), text(), text(), of(any::<i64>()), time);
    (first, map(), map(), vec(owner, 0..3), vec("[a-z]{1,4}", 0..3)).prop_map(
        |(
            (name, namespace, uid, generation, creation_timestamp),
            labels,
            annotations,
            owner_references,
            finalizers,
        )| {
            ObjectMeta {
                name,
                namespace,
                uid,
                generation,
                creation_timestamp,
                labels,
                annotations,
                owner_references,
                finalizers,
            }
        },
    )
}

/// The message as it is stored, read by the table.
fn read(kind: &str, message: &impl Message) -> Value {
    #[derive(Clone, PartialEq, Message)]
    struct TypeMeta {
        #[prost(string, tag = "1")]
        api_version: String,
        #[prost(string, tag = "2")]
        kind: String,
    }
    #[derive(Clone, PartialEq, Message)]
    struct Unknown {
        #[prost(message, optional, tag = "1")]
        type_meta: Option<TypeMeta>,
        #[prost(bytes = "vec", tag = "2")]
        raw: Vec<u8>,
    }
    let type_meta = Some(TypeMeta { api_version: "v1".to_owned(), kind: kind.to_owned() });
    let envelope = Unknown { type_meta, raw: message.encode_to_vec() }.encode_to_vec();
    let object = Object::decode(&[b"k8s\0", envelope.as_slice()].concat()).unwrap();
    assert!(object.known && object.unknown.is_empty() && object.remarks.is_empty(), "{object:?}");
    there(object.json.into())
}

proptest! {
    #[test]
    fn a_config_map_is_read_as_prost_reads_it(
        meta in objects(),
        data in btree_map("[a-z.]{0,5}", ".{0,8}", 0..4),
        binary_data in btree_map("[a-z.]{0,5}", vec(any::<u8>(), 0..9), 0..4),
        immutable in of(any::<bool>()),
    ) {
        let message = ConfigMap { metadata: Some(meta.clone()), data, binary_data, immutable };
        let due = json!({
            "kind": "ConfigMap", "apiVersion": "v1", "metadata": metadata(&meta), "data": message.data,
            "binaryData": base64(&message.binary_data), "immutable": immutable,
        });
        prop_assert_eq!(read("ConfigMap", &message), there(due));
    }

    #[test]
    fn a_secret_is_read_as_prost_reads_it(
        meta in objects(),
        data in btree_map("[a-z.]{0,5}", vec(any::<u8>(), 0..9), 0..4),
        r#type in of("[A-Za-z/.]{1,8}"),
        immutable in of(any::<bool>()),
    ) {
        let message = Secret { metadata: Some(meta.clone()), data, r#type, immutable };
        let due = json!({
            "kind": "Secret", "apiVersion": "v1", "metadata": metadata(&meta), "data": base64(&message.data),
            "type": message.r#type, "immutable": immutable,
        });
        prop_assert_eq!(read("Secret", &message), there(due));
    }
}
