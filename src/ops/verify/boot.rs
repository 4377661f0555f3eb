//! Whether etcd starts on a directory: its log is applied in memory, by the same rules as for a copy.

use super::Run;
use super::files::Files;
use crate::bolt::Db;
use crate::replay::FoldOptions;
use crate::replay::boot::fold_directory;
use crate::replay::fold::Fold;
use crate::replay::starts::starts;
use crate::words::error::{At, Error, Result, show};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::Relay;

impl Run<'_> {
    /// Has the log applied in memory; what that comes to in words, or why it cannot be told.
    pub(super) fn starts(&mut self, files: &Files<'_>) -> Result<std::result::Result<String, Note>> {
        let Some(source) = files.empty.as_ref().or(files.database.as_ref()) else {
            return Ok(Ok(String::new()));
        };
        // Of what is damaged nobody makes anything; that the database is behind, the log makes good.
        let behind = |code| matches!(code, Code::DbBehindSnapshot | Code::DbMissing);
        if self.found.all.worst(|code| !behind(code)) == Some(Severity::Damage) {
            return Ok(Ok(String::new()));
        }
        let assumed = self.options.etcd_version;
        let newer = self.found.all.worst(|code| code == Code::StorageVersionUnknown) == Some(Severity::Note);
        if newer && assumed.is_none() {
            let what = "whether the etcd that wrote it starts from it is not known here";
            return Ok(Err(Note::with(what, Hint::EtcdVersion)));
        }
        let monitor = Relay::new(self.monitor).without_findings();
        let folded =
            Db::open(source).map_err(|corrupt| Error::damaged(source.path(), corrupt)).and_then(|db| {
                self.verification.starts = starts(&db, files.log(), &monitor)?;
                let options = FoldOptions { version: assumed, ..FoldOptions::default() };
                fold_directory(&db, files.log(), options, &monitor)
            });
        match folded {
            Ok(Fold { report, raft, .. }) => {
                for starts in &mut self.verification.starts {
                    starts.older = starts.etcd < raft.version.minor;
                }
                // Of these it is told where they are found.
                let told =
                    |code| matches!(code, Code::V2Keys | Code::MembersDisagree | Code::DbBehindSnapshot);
                // And that an older one refuses what a newer one states is no news to who says so.
                let told = newer || self.found.all.worst(told).is_some();
                let own = self.verification.starts.iter().find(|s| s.etcd == raft.version.minor && !told);
                if let Some((etcd, why)) = own.and_then(|own| Some((own.etcd, own.refuses.as_ref()?))) {
                    let what = format!("etcd {} does not start from it: {why}", etcd.name());
                    self.found.say(Code::ReplayRefused, &show(files.log().place()), what);
                }
                Ok(Ok(match report.last_applied {
                    Some(last) => format!("; applied up to entry {last}, revision {}", report.revision_after),
                    None => String::new(),
                }))
            }
            Err(Error::Damaged { path, corrupt }) => {
                let finding = Finding::from_corrupt(&show(&path), *corrupt);
                self.found.push(Finding { severity: Severity::Damage, ..finding });
                Ok(Ok(String::new()))
            }
            Err(Error::Refused(refusal)) => {
                let (text, hint) = (refusal.to_string(), refusal.hint());
                let finding = Finding::new(Code::ReplayVersion, &source.name(), At::default(), text.clone());
                self.found.push(finding.hint(hint));
                Ok(Err(Note { text, hint }))
            }
            Err(other) => Err(other),
        }
    }
}
