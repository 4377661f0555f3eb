//! How the values of a database are protected, by resource.

use serde::Serialize;

use super::tally::{ResourceProtection, Tally};
use super::wrapped::{WrappedKey, WrappedKeys};
use crate::bolt::Db;
use crate::kube::places::ObjectPlaces;
use crate::kube::resource::Resource;
use crate::kube::versions::{FreeValues, Wanted, each_version};
use crate::store::scan::Scan;
use crate::words::monitor::Monitor;

/// What is wanted.
#[derive(Debug, Clone, Copy)]
pub struct ProtectionOptions<'o> {
    /// Values of these resources only, by any of their names; of all.
    pub only: Option<&'o [String]>,
    /// Values of objects in this namespace only.
    pub namespace: Option<&'o str>,
    /// Names of values that are left, at most, for each resource.
    pub names: usize,
    /// Also when the newest was written.
    pub times: bool,
    /// Keys that a KMS wrapped, at most so many.
    pub wrapped: usize,
}

impl Default for ProtectionOptions<'_> {
    fn default() -> Self {
        ProtectionOptions { only: None, namespace: None, names: 20, times: true, wrapped: 0 }
    }
}

/// How the values of a database are protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProtectionReport {
    /// By resource.
    pub resources: Vec<ResourceProtection>,
    /// What free pages hold.
    pub free_pages: FreeValues,
    /// What a KMS wrapped, if it is wanted: the newest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub wrapped: Vec<WrappedKey>,
    /// Values with a wrapped key that is not among them.
    pub wrapped_beyond: u64,
    /// Words of those that were asked for which no resource is called.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unknown: Vec<String>,
}

/// Looks at every stored version of every object, and at what free pages still hold.
#[must_use]
pub fn protections(
    db: &Db<'_>,
    scan: &Scan,
    places: &ObjectPlaces,
    options: &ProtectionOptions<'_>,
    monitor: &dyn Monitor,
) -> ProtectionReport {
    let is_unknown = |word: &&String| places.resource(word).is_none();
    let unknown = options.only.iter().copied().flatten().filter(is_unknown).cloned().collect();
    let only: Option<Vec<&Resource>> =
        options.only.map(|words| words.iter().filter_map(|word| places.resource(word)).collect());
    let wanted = Wanted { places, only, namespace: options.namespace, times: options.times };
    let (mut tally, mut wrapped) = (Tally::new(options.names), WrappedKeys::new(options.wrapped));
    let free_pages = each_version(db, scan, &wanted, monitor, &mut |found| {
        tally.add(found);
        wrapped.add(found);
    });
    let (wrapped, wrapped_beyond) = wrapped.finish();
    let resources = tally.finish(|group, resource| wanted.called(group, resource));
    ProtectionReport { resources, free_pages, wrapped, wrapped_beyond, unknown }
}
