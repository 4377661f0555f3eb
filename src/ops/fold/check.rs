//! Whether a member's files are good enough to be copied or folded.

use super::input::{Input, Origin};
use crate::ops::verify::{Verification, refuse_damage};
use crate::replay::{Damage, FoldOptions};
use crate::store::scan::KeyDepth;
use crate::words::error::Result;
use crate::words::finding::{Code, Finding, Severity};
use crate::words::monitor::{Monitor, Relay};

/// Verifies the source, its keys so closely; gives what there is to say, which is damage only if that is allowed.
pub(crate) fn verified(
    input: &Input,
    keys: KeyDepth,
    options: FoldOptions<'_>,
    monitor: &dyn Monitor,
) -> Result<(Verification, Vec<Finding>)> {
    let mut findings = input.findings.clone();
    // They are told below, as far as they are news.
    let verification = input.verify(keys, &Relay::new(monitor).without_findings())?;
    for finding in &verification.findings {
        // A member's own database has no trailer, and that the log is ahead is what is made good here.
        let mut finding = finding.clone();
        let expected = match finding.code {
            Code::TrailerAbsent | Code::CompactionUnfinished => true,
            Code::DbLag => input.folds(),
            // An older database with a newer log.
            Code::SnapMissing => options.until.is_some(),
            // Whether no entry is missing between the two is told when they are applied.
            Code::DbBehindSnapshot if input.folds() => {
                finding.severity = Severity::Warning;
                options.until.is_some()
            }
            // Told when the files were opened.
            Code::DbMissing | Code::IndexMissing => input.origin == Origin::Empty,
            _ => false,
        };
        if !expected {
            findings.push(finding);
        }
    }
    tell(&findings, options.damage, monitor)?;
    Ok((verification, findings))
}

/// Passes findings on. Damage among them is an error unless it is allowed.
pub(crate) fn tell(findings: &[Finding], damage: Damage, monitor: &dyn Monitor) -> Result<()> {
    findings.iter().for_each(|finding| monitor.finding(finding.clone()));
    if damage == Damage::Allow { Ok(()) } else { refuse_damage(findings, false) }
}
