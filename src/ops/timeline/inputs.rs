//! What is read, and whether it is of one cluster.

use super::gather::{Contradiction, Gathered};
use super::row::{Row, Sources};
use crate::replay::MemberLog;
use crate::replay::fold::FoldReport;
use crate::store::Store;
use crate::words::cause::Cause;
use crate::words::error::{At, Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::ids::ClusterId;
use crate::words::monitor::Monitor;
use crate::words::text::show_bytes;

/// What is read.
#[derive(Clone, Copy)]
pub struct TimelineInput<'i> {
    /// A keyspace, its log applied or not.
    pub store: &'i Store<'i>,
    /// Whether its pages are looked at that no tree holds.
    pub carved: bool,
    /// The log beside it, which [keeps](MemberLog::keep_after) all entries.
    pub log: Option<&'i MemberLog>,
    /// What of the log was applied.
    pub applied: Option<&'i FoldReport>,
}

/// The cluster that the inputs are of, as far as logs say so.
///
/// # Errors
/// [`Error::Unreadable`] if they are of several.
pub(super) fn one_cluster(inputs: &[TimelineInput<'_>], monitor: &dyn Monitor) -> Result<Option<ClusterId>> {
    let mut found: Option<(ClusterId, String)> = None;
    for input in inputs {
        let Some(log) = input.log else { continue };
        let Some(metadata) = log.read(monitor)?.summary.metadata else { continue };
        let name = input.store.source().name();
        match &found {
            Some((cluster, first)) if *cluster != metadata.cluster() => {
                let what = format!(
                    "its log is of cluster {}, and that of {first} of cluster {cluster}: what happened in two clusters has no common order",
                    metadata.cluster()
                );
                return Err(Error::unreadable(log.place(), Cause::Content(what)));
            }
            Some(_) => {}
            None => found = Some((metadata.cluster(), name)),
        }
    }
    Ok(found.map(|(cluster, _)| cluster))
}

/// Looks for what cannot have happened in one cluster: different changes at one revision; at how many there are some.
/// Of two databases of which no logs say that they are of one cluster it is the other one's history, and its times are
/// of that.
///
/// # Errors
/// [`Error::Unreadable`] for two such databases.
pub(super) fn contradictions(
    gathered: &mut Gathered,
    inputs: &[TimelineInput<'_>],
    monitor: &dyn Monitor,
) -> Result<u64> {
    let logged = |sources: Sources| {
        let mut inputs = sources.each().filter_map(|(at, _)| inputs.get(at));
        inputs.any(|input| input.log.is_some())
    };
    let one = |a: Sources, b: Sources| {
        let same = a.each().any(|(one, _)| b.each().any(|(other, _)| one == other));
        same || logged(a) && logged(b)
    };
    let Some(Contradiction { one, other, apart, count }) = gathered.contradictions(&one) else {
        return Ok(0);
    };
    let source = |row: &Row| {
        let input = row.sources.each().next().and_then(|(at, _)| inputs.get(at));
        input.map(|input| input.store.source())
    };
    let name = |row: &Row| source(row).map_or_else(String::new, |source| source.name());
    let change = |row: &Row| format!("{} of {}", row.what.name(), show_bytes(gathered.keys.get(row.key)));
    let (here, there) = (change(&one), change(&other));
    let value = if here == there { ", with another value" } else { "" };
    let differ =
        format!("revision {}.{} is {here} here, and {there} in {}{value}", one.main, one.sub, name(&other));
    if let Some(source) = source(&one).filter(|_| apart) {
        let what = format!(
            "{differ}: what happened in two clusters, or in one that went apart, has no common order"
        );
        return Err(Error::unreadable(source.path(), Cause::Content(what)));
    }
    let what = format!(
        "{differ}; at {count} revisions they do not agree: they are not of one cluster, or it went apart"
    );
    monitor.finding(Finding::new(Code::KeyspaceDiffers, &name(&one), At::default(), what));
    Ok(count)
}
