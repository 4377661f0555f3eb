//! Leases: bucket `lease`, key the id as 8 bytes big-endian, value `leasepb.Lease`.

use crate::words::ids::LeaseId;

/// A lease. Keys attached to it are not stored here: they name it in their own `lease` field.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Lease {
    /// Its id.
    #[prost(int64, tag = "1")]
    pub id: i64,
    /// Seconds it lives after each renewal.
    #[prost(int64, tag = "2")]
    pub ttl: i64,
    /// Seconds that were left at the last checkpoint; 0 where checkpoints are not kept.
    #[prost(int64, tag = "3")]
    pub remaining_ttl: i64,
}

impl Lease {
    /// Its id.
    #[must_use]
    pub fn lease_id(&self) -> LeaseId {
        LeaseId::new(self.id)
    }
}
