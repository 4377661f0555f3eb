//! Cluster members as etcd stores them in JSON: bucket `members`, and in conf changes and v2 snapshots.

use serde::{Deserialize, Serialize};

use crate::words::ids::MemberId;
use crate::words::text::Told;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Member {
    /// Its id.
    #[serde(default, deserialize_with = "id")]
    pub id: MemberId,
    /// Its name; empty until it has published itself.
    #[serde(default)]
    pub name: Told,
    /// Where other members reach it.
    #[serde(default, rename(deserialize = "peerURLs"), deserialize_with = "null_is_empty")]
    pub peer_urls: Vec<Told>,
    /// Where clients reach it.
    #[serde(default, rename(deserialize = "clientURLs"), deserialize_with = "null_is_empty")]
    pub client_urls: Vec<Told>,
    /// Whether it only learns.
    #[serde(default, rename(deserialize = "isLearner"))]
    pub is_learner: bool,
}

/// The raft membership as `meta/confState` keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct StoredConfState {
    /// Members that vote.
    #[serde(default, deserialize_with = "ids")]
    pub voters: Vec<MemberId>,
    /// Members that learn.
    #[serde(default, deserialize_with = "ids")]
    pub learners: Vec<MemberId>,
    /// Voters of the configuration that is being left.
    #[serde(default, deserialize_with = "ids")]
    pub voters_outgoing: Vec<MemberId>,
    /// Learners once it is left.
    #[serde(default, deserialize_with = "ids")]
    pub learners_next: Vec<MemberId>,
    /// Whether it is left by itself.
    #[serde(default)]
    pub auto_leave: bool,
}

/// `cluster/downgrade`.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Downgrade {
    /// The version the cluster is going down to.
    #[serde(default, rename(deserialize = "target-version"))]
    pub target_version: Told,
    /// Whether a downgrade is going on.
    #[serde(default)]
    pub enabled: bool,
}

/// etcd's JSON has the number.
fn id<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<MemberId, D::Error> {
    u64::deserialize(deserializer).map(MemberId::new)
}

fn ids<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<MemberId>, D::Error> {
    let numbers: Vec<u64> = null_is_empty(deserializer)?;
    Ok(numbers.into_iter().map(MemberId::new).collect())
}

fn null_is_empty<'de, D: serde::Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Vec<T>, D::Error> {
    Ok(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default())
}
