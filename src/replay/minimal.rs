//! The oldest etcd that can read a log, as etcd tells it from the entries after the newest raft snapshot: the newest
//! version that a request, a field or a value of an enumeration in them came with. Of those that came after 3.5 one
//! request alone is ever logged, `downgrade_version_test`, and that names a version besides.
//!
//! Source: `server/storage/wal/version.go MinimalEtcdVersion` @ v3.6.14, v3.8.0-alpha.0; the versions stand in
//! `api/etcdserverpb/{raft_internal,rpc}.proto`.

use std::collections::BTreeMap;

use super::apply::held::{Held, held};
use super::member_log::MemberLog;
use crate::etcd::request::with_room;
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::raft::EntryView;
use crate::words::error::Result;
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// The oldest version that can read what the log has after its newest raft snapshot, if that is newer than 3.5.
///
/// # Errors
/// [`Error::Cancelled`](crate::words::error::Error::Cancelled).
pub fn minimal_version(log: &MemberLog, monitor: &dyn Monitor) -> Result<Option<Semver>> {
    let mut needed = BTreeMap::new();
    let read = log.read_each(monitor, &mut |entry| {
        needed.split_off(&entry.index);
        if let Some(version) = with_room(entry.bytes(), |most| needs(entry, most)) {
            needed.insert(entry.index, version);
        }
    })?;
    let begin =
        read.summary.valid_snapshots().last().map_or(RaftIndex::default(), |record| record.last_index());
    Ok(needed.range(begin.next()..).map(|(_, version)| *version).max())
}

fn needs(entry: &EntryView<'_>, most: usize) -> Option<Semver> {
    let Ok(Held::V3(request)) = held(entry, most) else { return None };
    let test = request.downgrade_version_test?;
    let named = Semver::of(&test.ver).ok();
    named.max(Some(Minor::V36.first()))
}
