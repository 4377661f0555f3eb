//! Cluster members as etcd stores them in JSON: bucket `members`, and in conf changes and v2 snapshots.

use serde::{Deserialize, Serialize};

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    #[serde(default, serialize_with = "hex_id")]
    pub id: u64,
    /// Its name; empty until it has published itself.
    #[serde(default)]
    pub name: String,
    /// Where other members reach it.
    #[serde(default, rename(deserialize = "peerURLs"), deserialize_with = "null_is_empty")]
    pub peer_urls: Vec<String>,
    /// Where clients reach it.
    #[serde(default, rename(deserialize = "clientURLs"), deserialize_with = "null_is_empty")]
    pub client_urls: Vec<String>,
    /// Whether it only learns.
    #[serde(default, rename(deserialize = "isLearner"))]
    pub is_learner: bool,
}

/// The raft membership as `meta/confState` keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct ConfState {
    /// Members that vote.
    #[serde(default, serialize_with = "hex_ids", deserialize_with = "null_is_empty")]
    pub voters: Vec<u64>,
    /// Members that learn.
    #[serde(default, serialize_with = "hex_ids", deserialize_with = "null_is_empty")]
    pub learners: Vec<u64>,
    /// Voters of the configuration that is being left.
    #[serde(default, serialize_with = "hex_ids", deserialize_with = "null_is_empty")]
    pub voters_outgoing: Vec<u64>,
    /// Learners once it is left.
    #[serde(default, serialize_with = "hex_ids", deserialize_with = "null_is_empty")]
    pub learners_next: Vec<u64>,
    /// Whether it is left by itself.
    #[serde(default)]
    pub auto_leave: bool,
}

/// `cluster/downgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Downgrade {
    /// The version the cluster is going down to.
    #[serde(default, rename(deserialize = "target-version"))]
    pub target_version: String,
    /// Whether a downgrade is going on.
    #[serde(default)]
    pub enabled: bool,
}

/// A 64-bit id as etcdctl prints it.
#[must_use]
pub fn hex16(id: u64) -> String {
    format!("{id:016x}")
}

/// Serializes an id as 16 hex digits: JSON numbers lose bits past 2^53.
///
/// # Errors
/// The serializer's.
pub fn hex_id<S: serde::Serializer>(id: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&hex16(*id))
}

/// Serializes ids as 16 hex digits each.
///
/// # Errors
/// The serializer's.
pub fn hex_ids<S: serde::Serializer>(ids: &[u64], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(ids.iter().map(|id| hex16(*id)))
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
