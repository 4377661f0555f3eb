//! What is wrong with a log, as findings about its files.

use crate::wal::{Fault, Log};
use crate::words::finding::{Finding, Severity};

/// The finding for a fault of this log.
pub(in crate::ops) fn log_finding(log: &Log<'_>, fault: Fault) -> Finding {
    let file = log.segments().get(fault.segment).map_or_else(String::new, |segment| segment.source.name());
    let severity = if fault.harmless { Severity::Warning } else { Severity::Damage };
    Finding { severity, ..Finding::from_corrupt(&file, fault.corrupt) }
}
