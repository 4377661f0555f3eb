//! The stored versions of an object: what each changed, and who wrote it.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::found::FieldChanges;
use super::noise::Noise;
use crate::kube::cluster::Cluster;
use crate::kube::decode::Object;
use crate::kube::secret::Redactor;
use crate::kube::times::written;
use crate::store::EventKind;
use crate::store::events::{Change, Version};
use crate::words::error::Result;

/// Who wrote fields of an object, as its `managedFields` tell.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FieldWriter {
    /// The name that the client gave, as `kubectl-edit`.
    pub manager: String,
    /// `Apply`, or `Update` for everything else.
    pub operation: String,
    /// As `status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// When, to the second.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub time: String,
}

/// A stored version of an object.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ObjectVersion {
    /// The revision in which it was written.
    pub revision: i64,
    /// What it was to the object.
    pub change: Change,
    /// Whether it is at or before the compact revision, so that versions before it may be gone.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub compacted: bool,
    /// The revision in which its key was created; not of a deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub create_revision: Option<i64>,
    /// How often the key was written since; not of a deletion.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<i64>,
    /// Bytes of its value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value_len: Option<usize>,
    /// The newest time in it that is not after the moment it was written.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub not_before: Option<Timestamp>,
    /// Its uid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    /// Who wrote it: the entries of `managedFields` that are new or have a new time, or other fields in the same
    /// second. None where these do not tell.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub writers: Vec<FieldWriter>,
    /// Why it could not be decoded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub undecoded: Option<String>,
    /// What differs from the last one before it that can be decoded.
    #[serde(flatten)]
    pub fields: Option<FieldChanges>,
}

fn as_text<S: serde::Serializer>(time: &Option<Timestamp>, to: S) -> std::result::Result<S::Ok, S::Error> {
    match time {
        Some(time) => to.collect_str(time),
        None => to.serialize_none(),
    }
}

/// Hands out every stored version of the object under a key, oldest first. Secrets are redacted by `redactor`, if there
/// is one, and `hidden` is left out.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when a page cannot be read.
pub fn object_history(
    cluster: &Cluster<'_>,
    key: &[u8],
    hidden: &[Noise],
    redactor: Option<&Redactor>,
    take: &mut dyn FnMut(ObjectVersion) -> ControlFlow<()>,
) -> Result<()> {
    let mut last: Option<Object> = None;
    cluster.view().store().history(key, &mut |version| {
        if version.event.revision.main > cluster.view().revision() {
            return ControlFlow::Break(());
        }
        let mut found = ObjectVersion::new(&version);
        if version.event.kind == EventKind::Put {
            match Object::decode(version.event.kv.value) {
                Ok(mut object) => {
                    cluster.serve(&mut object, version.event.revision.main);
                    if let Some(redactor) = redactor {
                        redactor.redact(key, &mut object);
                    }
                    found.uid = object.metadata("uid").map(str::to_owned);
                    found.writers = writers(last.as_ref(), &object);
                    found.fields = last.as_ref().map(|last| FieldChanges::between(last, &object, hidden));
                    last = Some(object);
                }
                Err(why) => found.undecoded = Some(why.to_string()),
            }
        }
        take(found)
    })
}

impl ObjectVersion {
    fn new(version: &Version<'_>) -> ObjectVersion {
        let event = &version.event;
        let put = (event.kind == EventKind::Put).then_some(event.kv);
        let new = version.change != Change::Updated;
        ObjectVersion {
            revision: event.revision.main,
            change: version.change,
            compacted: event.compacted,
            create_revision: put.map(|kv| kv.create_revision),
            version: put.map(|kv| kv.version),
            value_len: put.map(|kv| kv.value.len()),
            not_before: put.and_then(|kv| written(kv.value, new)),
            uid: None,
            writers: Vec::new(),
            undecoded: None,
            fields: None,
        }
    }
}

/// Who wrote an object: who says so in another way than in the version before.
fn writers(before: Option<&Object>, after: &Object) -> Vec<FieldWriter> {
    let entries = |object: &Object| {
        let managed = object.json.get("metadata").and_then(|metadata| metadata.get("managedFields"));
        managed.and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let before = before.filter(|before| before.metadata("uid") == after.metadata("uid")).map(entries);
    let before = before.unwrap_or_default();
    // More than an API server ever keeps; each is looked for among as many.
    let after: Vec<Value> = entries(after).into_iter().take(1000).collect();
    let known = |entry: &Value, fields: &[&str]| {
        before.iter().take(1000).any(|old| fields.iter().all(|field| old.get(field) == entry.get(field)))
    };
    let who = ["manager", "operation", "subresource", "apiVersion", "time"];
    let differ =
        |fields: &[&str]| -> Vec<&Value> { after.iter().filter(|entry| !known(entry, fields)).collect() };
    let mut found = differ(&who);
    if found.is_empty() {
        // Who lost fields to another has others too, but not the newest time.
        let newest = after.iter().filter_map(|entry| entry.get("time")?.as_str()).max();
        found = differ(&[&who[..], &["fieldsV1"]].concat());
        found.retain(|entry| entry.get("time").and_then(Value::as_str) == newest);
    }
    found.into_iter().map(FieldWriter::of).collect()
}

impl FieldWriter {
    fn of(entry: &Value) -> FieldWriter {
        let text = |name| entry.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        FieldWriter {
            manager: text("manager"),
            operation: text("operation"),
            subresource: text("subresource"),
            time: text("time"),
        }
    }
}
