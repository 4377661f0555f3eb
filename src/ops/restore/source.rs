//! What a restore asks of its source.

use super::report::{RestoreOptions, Warning};
use crate::etcd::datadir;
use crate::io::Source;
use crate::ops::verify::{Closeness, Level, LevelReport, Outcome, Verification, refuse_damage, verify_file};
use crate::replay::apply::Version;
use crate::snap::backup::Trailer;
use crate::store::digest::trailer;
use crate::words::error::{Error, Result};
use crate::words::finding::{Code, Severity};
use crate::words::monitor::{Monitor, Quiet};
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// Refuses a database without a trailer: what of it was cut off cannot be told.
pub(super) fn refuse_unchecked(source: &Source) -> Result<()> {
    let db = datadir::database(source)?;
    let trailer = trailer(&db, &Quiet).map_err(|c| Error::damaged(source.path(), c))?;
    if trailer == Trailer::Absent {
        let (file, log_beside) = (source.name(), !datadir::log_beside(source.path()).is_empty());
        return Err(Refusal::NothingToCheck { file, log_beside }.into());
    }
    Ok(())
}

/// Verifies the source, and refuses it if it is damaged.
pub(super) fn verified(
    source: &Source,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<(Verification, Vec<Warning>)> {
    // Who says for which etcd it is says by whose rules it is read.
    let etcd_version = options.target.map(|minor| Version { minor, patch: None });
    let closeness = Closeness { etcd_version, ..Closeness::default() };
    let verification = verify_file(source, Level::Mvcc, closeness, monitor)?;
    let mut warnings = Vec::new();
    for finding in &verification.findings {
        let trailer = matches!(finding.code, Code::TrailerMismatch | Code::TrailerZeroed | Code::TrailerCut);
        refuse_damage(
            std::slice::from_ref(finding),
            options.allow_damage || options.skip_hash_check && trailer,
        )?;
        if finding.severity > Severity::Note {
            warnings.push(Warning::Finding(finding.clone()));
        }
    }
    let mvcc = verification.levels.iter().find(|l| l.level == Level::Mvcc);
    if let Some(LevelReport { outcome, detail, .. }) = mvcc {
        let (file, why) = (source.name(), detail.clone());
        match outcome {
            Outcome::NotApplicable => return Err(Refusal::NotEtcds { file, why }.into()),
            Outcome::Inconclusive => {
                let stated = verification.measured.storage_version.as_deref().map(Told::from);
                return Err(Refusal::VersionUnknown { stated }.into());
            }
            _ => {}
        }
    }
    if !datadir::log_beside(source.path()).is_empty() {
        warnings.push(Warning::LogBeside { source: source.name() });
    }
    Ok((verification, warnings))
}
