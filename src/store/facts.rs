//! What the small buckets say: members, leases, alarms, users and roles.

use std::collections::HashMap;

use crate::etcd::{Facts, KeyRange};
use crate::store::Store;
use crate::words::error::Result;
use crate::words::ids::LeaseId;

impl Store<'_> {
    /// All that the buckets other than `key` say.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when one of them cannot be read.
    pub fn facts(&self) -> Result<Facts> {
        self.small_buckets(&[])
    }

    /// The same, and for each lease the live keys that are attached to it: all are counted, the first `names` are
    /// named, in order.
    ///
    /// ```
    /// # use std::path::Path;
    /// # use coldbolt::{io::Source, words::monitor::Quiet, store::{Store, StoreOptions}};
    /// # fn main() -> coldbolt::Result<()> {
    /// let file = Source::open(Path::new("fixtures/etcd-3.7.1/snapshot.db"))?;
    /// let store = Store::open(&file, &StoreOptions::default(), &Quiet)?;
    /// let lease = &store.facts_with_leases(1)?.leases[0];
    /// assert_eq!((lease.ttl, lease.attached), (3600, Some(2)));
    /// assert_eq!(lease.keys, ["/leased/a"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`Store::facts`].
    pub fn facts_with_leases(&self, names: usize) -> Result<Facts> {
        let mut facts = self.facts()?;
        let places: HashMap<LeaseId, usize> =
            facts.leases.iter().enumerate().map(|(place, lease)| (lease.id, place)).collect();
        for lease in &mut facts.leases {
            lease.attached = Some(0);
        }
        for state in self.at(None)?.keys(KeyRange::all()) {
            let state = state?;
            let lease = places.get(&state.lease).and_then(|place| facts.leases.get_mut(*place));
            if let Some(lease) = lease.filter(|_| !state.lease.is_none()) {
                lease.attached = Some(lease.attached.unwrap_or(0).saturating_add(1));
                if lease.keys.len() < names {
                    lease.keys.push(state.key.escape_ascii().to_string());
                }
            }
        }
        Ok(facts)
    }
}
