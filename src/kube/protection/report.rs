//! The walk over a database that was scanned.

use jiff::Timestamp;
use serde::Serialize;

use super::free::{FreeValues, free_values};
use super::locate::Locate;
use super::tally::{ResourceProtection, Tally, Value, ValuePlace};
use crate::bolt::Db;
use crate::etcd::stored::{self, BUCKET, Revisions, Stored};
use crate::kube::places::ObjectPlaces;
use crate::kube::resource::Resource;
use crate::kube::times::written;
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
    let locate = Locate { places, only };
    let walk = Walk {
        scan,
        monitor,
        locate: &locate,
        times: options.times,
        newest: None,
        tally: Tally::new(options.names),
    };
    let mut tally = stored::skim(db, monitor, walk).tally;
    let root = db.root();
    let keys = root.bucket(BUCKET).ok().flatten();
    let free_pages = free_values(db, (&scan.reached, keys.as_ref()), &locate, &mut tally, monitor);
    let resources = tally.finish(|group, resource| locate.called(group, resource));
    ProtectionReport { resources, free_pages, unknown }
}

struct Walk<'w> {
    scan: &'w Scan,
    monitor: &'w dyn Monitor,
    locate: &'w Locate<'w>,
    times: bool,
    /// The newest time that was told up to here.
    newest: Option<Timestamp>,
    tally: Tally,
}

impl Revisions for Walk<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let (key, kv) = (stored.key, &stored.kv);
        if key.tombstone {
            return;
        }
        // The time of a write is told by what else was written before it, whatever that is.
        if self.times && self.locate.places.key(kv.key).object().is_some() {
            self.newest = self.newest.max(written(kv.value, kv.version == 1));
        }
        let Some(at) = self.locate.key(kv.key) else { return };
        let live = self.scan.newest.is_newest(key, kv);
        self.tally.add(&Value {
            at: &at,
            key: kv.key,
            value: kv.value,
            place: if live { ValuePlace::Live } else { ValuePlace::History },
            revision: key.revision,
            not_before: self.newest,
        });
    }

    fn enough(&self) -> bool {
        self.monitor.cancelled()
    }
}
