//! Requests about leases (`api/etcdserverpb/rpc.proto`).

use prost::Message;

/// `LeaseGrantRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseGrantRequest {
    /// Seconds.
    #[prost(int64, tag = "1")]
    pub ttl: i64,
    /// The lease.
    #[prost(int64, tag = "2")]
    pub id: i64,
}

/// `LeaseRevokeRequest`: the lease ends, its keys are deleted.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseRevokeRequest {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
}

/// `LeaseCheckpoint`: how long a lease has left.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseCheckpoint {
    /// The lease.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Seconds.
    #[prost(int64, tag = "2")]
    pub remaining_ttl: i64,
}

/// `LeaseCheckpointRequest`.
#[derive(Clone, PartialEq, Message)]
pub struct LeaseCheckpointRequest {
    /// The leases.
    #[prost(message, repeated, tag = "1")]
    pub checkpoints: Vec<LeaseCheckpoint>,
}
