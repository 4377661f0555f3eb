//! What is to be changed, and what became of it.

use serde::Serialize;
use serde_json::{Map, Value};

use crate::kube::decode::Encoding;

/// A change of one object.
#[derive(Debug, Clone, PartialEq)]
pub enum KubeEdit {
    /// It is to be like this: an object as kubectl prints it, or a manifest.
    Put(Map<String, Value>),
    /// It is to be deleted.
    Delete {
        /// What its kind is called, as `deploy` or `deployments.apps`.
        resource: String,
        /// Its name.
        name: String,
    },
}

/// What became of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum EditAction {
    /// It was not there.
    Created,
    /// It was there.
    Changed,
    /// It is gone.
    Deleted,
}

/// An object that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EditedObject {
    /// What became of it.
    pub action: EditAction,
    /// Group and version that it is stored in; empty if it could not be read.
    pub api_version: String,
    /// The kind.
    pub kind: String,
    /// The namespace, if it is in one.
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
    /// The key.
    pub key: String,
    /// How it is encoded.
    pub encoding: Option<Encoding>,
    /// Its uid.
    pub uid: Option<String>,
    /// The revision of its last change before.
    pub revision_before: Option<i64>,
    /// That of this change.
    pub revision: i64,
    /// How many changes it has had since it was made, this one included; 0 if it is deleted.
    pub version: i64,
    /// Bytes of the value before.
    pub bytes_before: Option<u64>,
    /// Bytes of the value now.
    pub bytes: Option<u64>,
    /// What a person should know, as what was kept of the object that was there.
    pub notes: Vec<String>,
}

/// An object as messages name it.
pub(super) fn told(kind: &str, namespace: Option<&str>, name: &str) -> String {
    match namespace {
        Some(namespace) => format!("{kind} {namespace}/{name}"),
        None => format!("{kind} {name}"),
    }
}
