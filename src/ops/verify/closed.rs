//! A file that is closed with age, without its key: what it is, whether it can be whole, and whether it is the one that
//! a manifest describes. What is in it is for nobody to judge who cannot open it.

use super::{InputKind, Level, Outcome, Run, Verification};
use crate::codec::age::{AgeHeader, LONGEST_HEADER};
use crate::io::Source;
use crate::store::digest::{Digests, digests};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::Finding;
use crate::words::hint::{Hint, Note};

impl Run<'_> {
    pub(super) fn closed(mut self, source: &Source) -> Result<Verification> {
        let name = source.name();
        self.verification.kind = InputKind::Closed;
        self.measure_file(source);
        match header(source) {
            Ok((header, content)) => {
                let what = format!(
                    "an age file for {}; its length fits {content} bytes of content",
                    header.recipients()
                );
                self.judge(Level::Identity, what);
            }
            Err(corrupt) => {
                self.found.push(Finding::from_corrupt(&name, *corrupt));
                self.judge(Level::Identity, "an age file that cannot be opened as a whole");
            }
        }
        let digest = if self.digesting() { Some(self.hash(source)?) } else { None };
        let against = self.manifest(source, digest.as_ref());
        self.verification.measured.digests = digest.filter(|_| self.options.digests);
        match against {
            _ if self.options.level < Level::Bytes => {
                self.level(Level::Bytes, Outcome::NotRun, "not asked for")
            }
            Some(Ok(compared)) => self.judge(Level::Bytes, compared),
            Some(Err(why)) => self.level(Level::Bytes, Outcome::Inconclusive, why),
            None => {
                let why = "closed with age: without its key a manifest alone could tell a changed byte";
                self.level(Level::Bytes, Outcome::Inconclusive, Note::with(why, Hint::Decrypt));
            }
        }
        for level in [Level::Pages, Level::Mvcc] {
            if self.options.level < level {
                self.level(level, Outcome::NotRun, "not asked for");
            } else {
                let why = "closed with age: what is in it cannot be looked at";
                self.level(level, Outcome::Inconclusive, Note::with(why, Hint::Decrypt));
            }
        }
        self.level(Level::Wal, Outcome::NotApplicable, super::NO_LOG);
        if let Some(what) = source.changed() {
            self.found.say(crate::Code::InUse, &name, format!("the file {what}"));
        }
        Ok(self.done())
    }

    /// Its length, and when it was written.
    pub(super) fn measure_file(&mut self, source: &Source) {
        let measured = &mut self.verification.measured;
        measured.file_size = source.len();
        measured.packed = source.packed();
        measured.modified =
            source.stamp().and_then(|s| jiff::Timestamp::new(s.modified.0, 0).ok()).map(|t| t.to_string());
    }

    pub(super) fn hash(&self, source: &Source) -> Result<Digests> {
        self.monitor.begin("verifying", source.len());
        let digest = digests(source, source.len(), Some(true), None, self.monitor);
        self.monitor.end();
        digest.map_err(|corrupt| Error::unreadable(source.path(), corrupt))
    }
}

/// What the header says, and how long the content is.
fn header(source: &Source) -> Result<(AgeHeader, u64), Box<Corrupt>> {
    let header = AgeHeader::read(&source.head(LONGEST_HEADER)?)?;
    let content = header.content(source.len())?;
    Ok((header, content))
}
