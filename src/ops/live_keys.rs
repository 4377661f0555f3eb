//! The live keys of a database that was scanned, and where Kubernetes objects lie among them.

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::places::ObjectPlaces;
use crate::store::scan::Scan;
use crate::words::monitor::Monitor;

/// Whether a stored version is its key's live one.
pub(super) fn is_live(scan: &Scan, stored: &Stored<'_>) -> bool {
    !stored.key.tombstone && scan.newest.is_newest(stored.key, &stored.kv)
}

/// Learns where objects lie from all live keys.
pub(super) fn places(scan: &Scan, db: &Db<'_>, monitor: &dyn Monitor) -> ObjectPlaces {
    struct Learn<'s> {
        scan: &'s Scan,
        monitor: &'s dyn Monitor,
        places: ObjectPlaces,
    }
    impl Revisions for Learn<'_> {
        fn each(&mut self, stored: &Stored<'_>) {
            let (key, value) = (stored.kv.key, stored.kv.value);
            if self.places.teaches(key, value) && is_live(self.scan, stored) {
                self.places.learn(key, value);
            }
        }
        fn enough(&self) -> bool {
            self.monitor.cancelled()
        }
    }
    stored::skim(db, monitor, Learn { scan, monitor, places: ObjectPlaces::default() }).places
}
