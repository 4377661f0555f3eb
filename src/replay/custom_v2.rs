//! What clients of the v2 API left in a member's files: 3.5 serves it, 3.6 does not start from it.
//!
//! Source: `etcdutl/etcdutl/check_command.go` @ v3.5.35.

use super::member_log::MemberLog;
use super::remarks::Remark;
use crate::etcd::DataDir;
use crate::snap::file::has_custom_content;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;
use crate::words::ids::RaftIndex;
use crate::words::monitor::Monitor;

/// Where there is anything of the v2 API's clients.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CustomV2 {
    /// In the v2 store of the raft snapshot that etcd begins at.
    pub store: bool,
    /// In the entries of the log after that.
    pub log: bool,
}

/// Looks for it. A directory without a log has none.
///
/// # Errors
/// [`Error::Unreadable`] when a file cannot be opened, [`Error::Damaged`] when etcd would not read log or store;
/// [`Error::Cancelled`].
pub fn custom_v2(dir: &DataDir, monitor: &dyn Monitor) -> Result<CustomV2> {
    let log = MemberLog::open(dir)?;
    let (read, remarks) = log.remarked(monitor)?;
    let damaged = |corrupt| Err(Error::damaged(log.place(), Box::new(corrupt)));
    if let Some(fault) = read.faults.iter().find(|fault| !fault.harmless) {
        return damaged(fault.corrupt.clone());
    }
    let snap = log.raft_snapshot(RaftIndex::new(u64::MAX), read);
    let store = match snap.as_ref().map(|snap| has_custom_content(snap.snapshot.data())) {
        Some(None) => {
            let at = At::default().index(snap.map(|snap| snap.index()).unwrap_or_default());
            return damaged(*Corrupt::new(
                Code::SnapInvalid,
                at,
                "what the raft snapshot holds is no v2 store",
            ));
        }
        found => found.flatten().unwrap_or(false),
    };
    let from = snap.map(|snap| snap.index()).unwrap_or_default().next();
    let mut custom = CustomV2 { store, log: false };
    for (index, remark) in remarks.0.range(from..) {
        match remark {
            Remark::V2(request) => custom.log |= !request.is_etcds_own(),
            Remark::Wrong(why) => {
                return damaged(*Corrupt::new(Code::ReplayRefused, At::default().index(*index), why.clone()));
            }
            _ => {}
        }
    }
    Ok(custom)
}
