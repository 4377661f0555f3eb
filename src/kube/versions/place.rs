//! One version, and where it is.

use jiff::Timestamp;
use serde::Serialize;

use crate::etcd::Revision;
use crate::kube::key::ObjectKey;

/// Where a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ValuePlace {
    /// It is its key's.
    Live,
    /// It was its key's, and is still stored.
    History,
    /// It is stored no more, and in a free page all the same.
    Free,
}

impl ValuePlace {
    /// As `live`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            ValuePlace::Live => "live",
            ValuePlace::History => "history",
            ValuePlace::Free => "free",
        }
    }
}

/// A version of an object.
pub(in crate::kube) struct FoundVersion<'v> {
    pub at: &'v ObjectKey<'v>,
    pub key: &'v [u8],
    pub value: &'v [u8],
    pub place: ValuePlace,
    pub revision: Revision,
    /// It was not written before, if times are wanted and known.
    pub not_before: Option<Timestamp>,
}
