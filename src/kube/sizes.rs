//! What the bytes of a cluster are: by namespace, and by the parts of its objects.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use serde::Serialize;
use serde_json::value::RawValue;

use super::cbor;
use super::cluster::Cluster;
use super::envelope::Form;
use super::schema::schema;
use crate::codec::to_u64;
use crate::codec::wire::{self, WireValue};
use crate::etcd::KeyRange;
use crate::store::EventKind;
use crate::words::error::Result;

/// What is stored in one namespace.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct NamespaceReport {
    /// The namespace; empty for what is in none.
    pub namespace: String,
    /// Live objects.
    pub objects: u64,
    /// Versions that are stored of them and of deleted ones, deletions included.
    pub stored_versions: u64,
    /// Bytes of all these, keys and values.
    pub bytes: u64,
}

/// A part of what is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Part {
    /// The keys.
    Keys,
    /// Who wrote which field.
    ManagedFields,
    /// Annotations, those of `kubectl apply` among them.
    Annotations,
    /// Labels.
    Labels,
    /// The rest of the metadata.
    Metadata,
    /// What is wanted.
    Spec,
    /// What is.
    Status,
    /// `data`, `stringData`, `binaryData`.
    Data,
    /// Other fields, and what is around the object.
    Rest,
    /// What is encrypted, or no object.
    Undecoded,
}

impl Part {
    /// All of them.
    pub const ALL: [Part; 10] = [
        Part::Keys,
        Part::ManagedFields,
        Part::Annotations,
        Part::Labels,
        Part::Metadata,
        Part::Spec,
        Part::Status,
        Part::Data,
        Part::Rest,
        Part::Undecoded,
    ];

    /// As `managedFields`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Part::Keys => "keys",
            Part::ManagedFields => "managedFields",
            Part::Annotations => "annotations",
            Part::Labels => "labels",
            Part::Metadata => "metadata",
            Part::Spec => "spec",
            Part::Status => "status",
            Part::Data => "data",
            Part::Rest => "rest",
            Part::Undecoded => "undecoded",
        }
    }

    fn of_field(name: &str) -> Part {
        match name {
            "metadata" => Part::Metadata,
            "spec" => Part::Spec,
            "status" => Part::Status,
            "data" | "stringData" | "binaryData" => Part::Data,
            _ => Part::Rest,
        }
    }

    fn of_metadata(name: &str) -> Part {
        match name {
            "managedFields" => Part::ManagedFields,
            "annotations" => Part::Annotations,
            "labels" => Part::Labels,
            _ => Part::Metadata,
        }
    }
}

/// Bytes of parts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parts {
    bytes: BTreeMap<Part, u64>,
}

impl Parts {
    /// The bytes of a part.
    #[must_use]
    pub fn of(&self, part: Part) -> u64 {
        self.bytes.get(&part).copied().unwrap_or_default()
    }

    /// The bytes of all.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.bytes.values().copied().fold(0, u64::saturating_add)
    }

    fn add(&mut self, part: Part, bytes: u64) {
        let sum = self.bytes.entry(part).or_default();
        *sum = sum.saturating_add(bytes);
    }

    /// Adds a stored value, all of it.
    pub fn value(&mut self, value: &[u8]) {
        let mut parts = Parts::default();
        let len = to_u64(value.len());
        if parts.decoded(value).is_none() {
            return self.add(Part::Undecoded, len);
        }
        let known = parts.total();
        parts.add(Part::Rest, len.saturating_sub(known));
        parts.bytes.into_iter().for_each(|(part, bytes)| self.add(part, bytes));
    }

    fn decoded(&mut self, value: &[u8]) -> Option<()> {
        match Form::of(value).ok()? {
            Form::Protobuf(envelope) => {
                let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
                let info = schema().kind(text(envelope.api_version), text(envelope.kind));
                self.message(envelope.raw, info.map(|info| info.message), false)
            }
            Form::Json(text) => self.json(text, false),
            Form::Cbor(bytes) => self.cbor(bytes, false),
            Form::Encrypted(_) | Form::Other(_) => None,
        }
    }

    /// A message at a position of the table; of one that is not known field 1 is the metadata.
    fn message(&mut self, mut rest: &[u8], at: Option<u32>, metadata: bool) -> Option<()> {
        let message = at.and_then(|at| schema().messages()?.message(at));
        while !rest.is_empty() {
            let (behind, (number, value)) = wire::field(rest).ok()?;
            let mut len = to_u64(rest.len().saturating_sub(behind.len()));
            rest = behind;
            let name = match message.and_then(|message| message.field(number)) {
                Some((_, field)) => field.name,
                None if number == 1 && at.is_none() => "metadata",
                None => "",
            };
            let part = if metadata { Part::of_metadata(name) } else { Part::of_field(name) };
            if let (Part::Metadata, false, WireValue::Bytes(inside)) = (part, metadata, value) {
                len = len.saturating_sub(to_u64(inside.len()));
                self.message(inside, Some(schema().metadata()), true)?;
            }
            self.add(part, len);
        }
        Some(())
    }

    fn json(&mut self, text: &[u8], metadata: bool) -> Option<()> {
        let fields: BTreeMap<&str, &RawValue> = serde_json::from_slice(text).ok()?;
        for (name, value) in fields {
            // Two quotes and a colon.
            let around = to_u64(name.len()).saturating_add(3);
            self.field(name, value.get().as_bytes(), around, metadata, Parts::json);
        }
        Some(())
    }

    fn cbor(&mut self, bytes: &[u8], metadata: bool) -> Option<()> {
        for (name, around, value) in cbor::fields(bytes)? {
            self.field(&name, value, to_u64(around), metadata, Parts::cbor);
        }
        Some(())
    }

    fn field(
        &mut self,
        name: &str,
        value: &[u8],
        around: u64,
        metadata: bool,
        inside: fn(&mut Parts, &[u8], bool) -> Option<()>,
    ) {
        let part = if metadata { Part::of_metadata(name) } else { Part::of_field(name) };
        let len = to_u64(value.len()).saturating_add(around);
        let before = self.total();
        if part == Part::Metadata && !metadata {
            // What is no map is as long as it is.
            let _ = inside(self, value, true);
        }
        let known = self.total().saturating_sub(before);
        self.add(part, len.saturating_sub(known));
    }
}

impl Cluster<'_> {
    /// Counts what is stored in each namespace.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn namespaces(&self) -> Result<Vec<NamespaceReport>> {
        let mut rows: BTreeMap<String, NamespaceReport> = BTreeMap::new();
        for state in self.view().keys(KeyRange::all()).with_deleted() {
            let state = state?;
            let Some(key) = self.key(&state.key).object() else { continue };
            let namespace = key.namespace.unwrap_or_default();
            let row = match rows.get_mut(namespace) {
                Some(row) => row,
                None => rows.entry(namespace.to_owned()).or_insert_with(|| NamespaceReport {
                    namespace: namespace.to_owned(),
                    ..NamespaceReport::default()
                }),
            };
            row.objects = row.objects.saturating_add(u64::from(!state.deleted));
            row.stored_versions = row.stored_versions.saturating_add(state.revisions);
            row.bytes = row.bytes.saturating_add(state.bytes);
        }
        Ok(rows.into_values().collect())
    }

    /// What part of the bytes of all stored versions is what.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn parts(&self) -> Result<Parts> {
        let mut parts = Parts::default();
        let until = Some(self.view().revision());
        self.view().store().events(None, until, None, &mut |event| {
            if self.key(event.kv.key).object().is_some() {
                parts.add(Part::Keys, to_u64(event.kv.key.len()));
                if event.kind == EventKind::Put {
                    parts.value(event.kv.value);
                }
            }
            ControlFlow::Continue(())
        })?;
        Ok(parts)
    }
}
