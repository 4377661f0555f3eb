//! The keys and seeds that a KMS wrapped, as the values hold them: what its plugin must be asked for.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Serialize;

use crate::kube::envelope::Encrypted;
use crate::kube::kms::KmsValue;
use crate::kube::versions::{FoundVersion, ValuePlace};
use crate::words::text::Told;

/// A key or seed that a KMS wrapped. It is ciphertext: only the KMS makes the plain one of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct WrappedKey {
    /// Of the provider: `v1` or `v2`.
    pub version: Told,
    /// Of the provider in the API server's configuration.
    pub name: Told,
    /// By which the plugin knows its own key; version 1 does not tell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kms_key: Option<Told>,
    /// `key`, or `seed` of which a key is made for each value.
    pub source: &'static str,
    /// In base64.
    pub wrapped: String,
    /// What the plugin wants to be told again: values in base64.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
    /// Live values that it is for.
    pub live: u64,
    /// Those that are stored and not live.
    pub history: u64,
    /// Those that are stored no more, and found in free pages.
    pub free: u64,
    /// The revision of the newest of them.
    pub revision: i64,
    /// The etcd key of that.
    pub key: Told,
}

/// Gathers them, so many of them at most.
pub(super) struct WrappedKeys {
    limit: usize,
    found: BTreeMap<Id, WrappedKey>,
    /// Values with another one.
    beyond: u64,
}

/// Version and name of the provider, and what the plugin is asked with.
type Id = (String, String, Vec<u8>, Vec<u8>, BTreeMap<String, String>);

impl WrappedKeys {
    pub(super) fn new(limit: usize) -> WrappedKeys {
        WrappedKeys { limit, found: BTreeMap::new(), beyond: 0 }
    }

    pub(super) fn add(&mut self, value: &FoundVersion<'_>) {
        if self.limit == 0 {
            return;
        }
        let Some(by) = Encrypted::parse(value.value) else { return };
        let Some(Ok(kms)) = KmsValue::of(&by) else { return };
        let annotation = |(name, bytes): (&[u8], &[u8])| {
            (String::from_utf8_lossy(name).into_owned(), BASE64_STANDARD.encode(bytes))
        };
        let annotations: BTreeMap<String, String> = kms.annotations().map(annotation).collect();
        let kms_id = kms.id.unwrap_or_default().as_bytes().to_vec();
        let id =
            (by.version.to_owned(), by.name.to_owned(), kms_id, kms.wrapped.to_vec(), annotations.clone());
        if self.found.len() >= self.limit && !self.found.contains_key(&id) {
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        let one = self.found.entry(id).or_insert_with(|| WrappedKey {
            version: by.version.into(),
            name: by.name.into(),
            kms_key: kms.id.map(Told::from),
            source: if kms.source == 1 { "seed" } else { "key" },
            wrapped: BASE64_STANDARD.encode(kms.wrapped),
            annotations,
            live: 0,
            history: 0,
            free: 0,
            revision: 0,
            key: "".into(),
        });
        let sum = match value.place {
            ValuePlace::Live => &mut one.live,
            ValuePlace::History => &mut one.history,
            ValuePlace::Free => &mut one.free,
        };
        *sum = sum.saturating_add(1);
        if value.revision.main > one.revision {
            one.revision = value.revision.main;
            one.key = String::from_utf8_lossy(value.key).into_owned().into();
        }
    }

    /// The newest first, and how many values have one that is not among them.
    pub(super) fn finish(self) -> (Vec<WrappedKey>, u64) {
        let mut all: Vec<_> = self.found.into_values().collect();
        all.sort_by_key(|one| std::cmp::Reverse(one.revision));
        (all, self.beyond)
    }
}
