//! A file beside what a manifest says of it.

use super::manifest::Against;
use super::{Code, Level, Run};
use crate::io::Source;
use crate::store::digest::Digests;

impl Run<'_> {
    /// Compares with the manifest: what was compared, or why nothing could be; `None` when there is none.
    pub(super) fn manifest(
        &mut self,
        source: &Source,
        digest: Option<&Digests>,
    ) -> Option<Result<String, String>> {
        let Against { manifest, entry } =
            self.options.against.filter(|_| self.options.level >= Level::Bytes)?;
        let Some(entry) = entry else { return Some(Err(format!("{manifest} does not name this file"))) };
        // Where an entry is of a file around it, both are compared.
        let (of, content) = match entry.content.as_ref().filter(|_| source.packed().is_some()) {
            Some(content) => (source.outer(), Some(content)),
            None => (Some(source), None),
        };
        let around = match of.filter(|_| content.is_some() && digest.is_some()) {
            Some(outer) => match self.hash(outer) {
                Ok(around) => Some(around),
                Err(error) => return Some(Err(error.to_string())),
            },
            None => None,
        };
        let mut differences =
            of.map(|of| entry.differences(of.len(), around.as_ref().or(digest))).unwrap_or_default();
        differences.extend(content.into_iter().flat_map(|content| content.differences(source.len(), digest)));
        if !differences.is_empty() {
            self.found.say(
                Code::ManifestMismatch,
                &source.name(),
                format!("{} ({manifest})", differences.join("; ")),
            );
        }
        Some(match digest {
            Some(_) => Ok(format!("{} against {manifest}", entry.compared(of.is_some(), content.is_some()))),
            None => Err("the file could not be hashed".to_owned()),
        })
    }
}
