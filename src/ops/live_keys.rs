//! The live keys of a database that was scanned, and where Kubernetes objects lie among them.

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::places::ObjectPlaces;
use crate::store::ValueOpener;
use crate::store::scan::Scan;
use crate::words::monitor::Monitor;

/// Whether a stored version is its key's live one.
pub(super) fn is_live(scan: &Scan, stored: &Stored<'_>) -> bool {
    !stored.key.tombstone && scan.newest.is_newest(stored.key, &stored.kv)
}

/// Learns where objects lie from all live keys.
pub(super) fn places(
    scan: &Scan,
    db: &Db<'_>,
    opener: Option<ValueOpener<'_>>,
    monitor: &dyn Monitor,
) -> ObjectPlaces {
    struct Learn<'s> {
        scan: &'s Scan,
        opener: Option<ValueOpener<'s>>,
        monitor: &'s dyn Monitor,
        places: ObjectPlaces,
    }
    impl Revisions for Learn<'_> {
        fn each(&mut self, stored: &Stored<'_>) {
            let (key, value) = (stored.kv.key, stored.kv.value);
            if self.places.teaches(key, value) && is_live(self.scan, stored) {
                let plain = self.opener.and_then(|opener| opener.open(key, value));
                self.places.learn(key, plain.as_deref().unwrap_or(value));
            }
        }
        fn enough(&self) -> bool {
            self.monitor.cancelled()
        }
    }
    stored::skim(db, monitor, Learn { scan, opener, monitor, places: ObjectPlaces::default() }).places
}
