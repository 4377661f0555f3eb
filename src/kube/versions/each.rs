//! The walks over a database that was scanned.

use jiff::Timestamp;

use super::free::{FreeValues, free_values};
use super::place::{FoundVersion, ValuePlace};
use super::wanted::Wanted;
use crate::bolt::Db;
use crate::etcd::stored::{self, BUCKET, Revisions, Stored};
use crate::kube::times::written;
use crate::store::scan::Scan;
use crate::words::monitor::Monitor;

/// Hands out what is wanted: what is stored in order of revision, then what free pages hold in order of the file.
pub(in crate::kube) fn each_version(
    db: &Db<'_>,
    scan: &Scan,
    wanted: &Wanted<'_>,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(&FoundVersion<'_>),
) -> FreeValues {
    stored::skim(db, monitor, Walk { scan, monitor, wanted, newest: None, take });
    let root = db.root();
    let keys = root.bucket(BUCKET).ok().flatten();
    free_values(db, (&scan.reached, keys.as_ref()), wanted, monitor, take)
}

struct Walk<'w> {
    scan: &'w Scan,
    monitor: &'w dyn Monitor,
    wanted: &'w Wanted<'w>,
    /// The newest time that was told up to here.
    newest: Option<Timestamp>,
    take: &'w mut dyn FnMut(&FoundVersion<'_>),
}

impl Revisions for Walk<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let (key, kv) = (stored.key, &stored.kv);
        if key.tombstone {
            return;
        }
        // The time of a write is told by what else was written before it, whatever that is.
        if self.wanted.times && self.wanted.places.key(kv.key).object().is_some() {
            self.newest = self.newest.max(written(kv.value, kv.begins()));
        }
        let Some(at) = self.wanted.key(kv.key) else { return };
        let live = self.scan.newest.is_newest(key, kv);
        (self.take)(&FoundVersion {
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
