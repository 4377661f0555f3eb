//! How the values of a database are protected, by resource.

use serde::Serialize;

use super::tally::{ResourceProtection, Tally};
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
    /// Names of values that are left, at most, for each resource.
    pub names: usize,
    /// Also when the newest was written.
    pub times: bool,
}

impl Default for ProtectionOptions<'_> {
    fn default() -> Self {
        ProtectionOptions { only: None, names: 20, times: true }
    }
}

/// How the values of a database are protected.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ProtectionReport {
    /// By resource.
    pub resources: Vec<ResourceProtection>,
    /// What free pages hold.
    pub free_pages: FreeValues,
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
    let wanted = Wanted { places, only, times: options.times };
    let mut tally = Tally::new(options.names);
    let free_pages = each_version(db, scan, &wanted, monitor, &mut |found| tally.add(found));
    let resources = tally.finish(|group, resource| wanted.called(group, resource));
    ProtectionReport { resources, free_pages, unknown }
}
