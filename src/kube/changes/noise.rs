//! What changes all the time, and tells nobody anything.

use super::fields::PathStep;
use crate::kube::key::ObjectKey;

/// The annotation by which controllers elected a leader before there were Leases.
const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// A rule of what is noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noise {
    /// Objects: Leases.
    Leases,
    /// Objects: Events.
    Events,
    /// `metadata.managedFields`.
    ManagedFields,
    /// `metadata.resourceVersion`.
    ResourceVersion,
    /// `metadata.generation`, and `observedGeneration` of a status and its conditions.
    Generation,
    /// When a condition was last looked at: `lastHeartbeatTime`, `lastProbeTime`.
    Heartbeats,
    /// The annotation of a leader's election.
    LeaderElection,
}

impl Noise {
    /// All rules.
    pub const ALL: [Noise; 7] = [
        Noise::Leases,
        Noise::Events,
        Noise::ManagedFields,
        Noise::ResourceVersion,
        Noise::Generation,
        Noise::Heartbeats,
        Noise::LeaderElection,
    ];

    /// Its name, as `managed-fields`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Noise::Leases => "leases",
            Noise::Events => "events",
            Noise::ManagedFields => "managed-fields",
            Noise::ResourceVersion => "resource-version",
            Noise::Generation => "generation",
            Noise::Heartbeats => "heartbeats",
            Noise::LeaderElection => "leader-election",
        }
    }

    /// The rule that an object falls under as a whole.
    #[must_use]
    pub fn of_object(key: &ObjectKey<'_>) -> Option<Noise> {
        match (key.group, key.resource) {
            (None, "leases") => Some(Noise::Leases),
            (None, "events") => Some(Noise::Events),
            _ => None,
        }
    }

    /// The rule that a field falls under.
    #[must_use]
    pub fn of_field(path: &[PathStep<'_>]) -> Option<Noise> {
        use PathStep::{Element, Field};
        match path {
            [Field("metadata"), Field("managedFields"), ..] => Some(Noise::ManagedFields),
            [Field("metadata"), Field("resourceVersion")] => Some(Noise::ResourceVersion),
            [Field("metadata"), Field("generation")]
            | [Field("status"), Field("observedGeneration")]
            | [Field("status"), Field("conditions"), Element(_), Field("observedGeneration")] => {
                Some(Noise::Generation)
            }
            [
                Field("status"),
                Field("conditions"),
                Element(_),
                Field("lastHeartbeatTime" | "lastProbeTime"),
            ] => Some(Noise::Heartbeats),
            [Field("metadata"), Field("annotations"), Field(LEADER)] => Some(Noise::LeaderElection),
            _ => None,
        }
    }
}
