//! Where `verify` leaves its answer for other programs.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use coldbolt::etcd::datadir::{FileKind, file_kind};
use coldbolt::io::dest::{self, Existing};
use coldbolt::io::{Source, os};
use coldbolt::ops::verify::Answer;
use coldbolt::report::{junit, manifest, markdown, prometheus, sarif};
use coldbolt::words::error::{Error, show};

use super::context::Fail;

/// What else to write.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Reports (each replaces the last run's in one step)")]
pub struct Reports {
    /// JUnit XML: a test suite for each input, a test for each level and rule.
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// SARIF 2.1.0: a result for each finding and broken rule.
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Markdown, as for $GITHUB_STEP_SUMMARY.
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Metrics for the textfile collector of the Prometheus node exporter.
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
    /// Evidence for later: digests of each file, what is in it, how it was judged. Never replaces a file.
    #[arg(long, value_name = "FILE")]
    manifest: Option<PathBuf>,
}

type Report = fn(&Answer, &mut dyn Write) -> io::Result<()>;

impl Reports {
    /// Whether the digests of whole files are wanted.
    pub fn digests(&self) -> bool {
        self.manifest.is_some()
    }

    fn each(&self) -> impl Iterator<Item = (&Path, Existing)> {
        let replaced = [&self.junit, &self.sarif, &self.markdown, &self.prometheus].into_iter().flatten();
        let kept = self.manifest.iter().map(|path| (path.as_path(), Existing::Keep));
        replaced.map(|path| (path.as_path(), Existing::Replace)).chain(kept)
    }

    /// Refuses, before the work, what could not be written after it or would cost data: an input, or anything else of
    /// etcd's.
    pub fn check<'p>(&self, inputs: impl Iterator<Item = &'p Path>) -> Result<(), Fail> {
        let usage = |path: &Path, what: &str| Fail::Usage(format!("{}: {what}", show(path)));
        let identity = |path: &Path| os::identity_of(path).ok();
        let inputs: Vec<_> = inputs.filter_map(identity).collect();
        let mut seen: Vec<PathBuf> = Vec::new();
        for (path, existing) in self.each() {
            if path == Path::new("-") {
                return Err(usage(path, "standard output has the answer; a report goes to a file"));
            }
            if identity(path).is_some_and(|id| inputs.contains(&id)) {
                return Err(usage(path, "is an input, and inputs are never written"));
            }
            dest::claim(path, existing)?;
            let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
            let whole =
                fs::canonicalize(parent).unwrap_or_default().join(path.file_name().unwrap_or_default());
            if seen.contains(&whole) {
                return Err(usage(path, "is named for two reports"));
            }
            seen.push(whole);
            let kind = Source::open(path).and_then(|source| file_kind(&source));
            if matches!(
                kind,
                Ok(FileKind::Bolt | FileKind::BoltBigEndian | FileKind::Wal | FileKind::RaftSnapshot)
            ) {
                return Err(usage(path, "is a file of etcd's, and no report replaces one"));
            }
        }
        Ok(())
    }

    /// Writes them all; the first that fails is told after the others are written.
    pub fn write(&self, answer: &Answer) -> Result<(), Error> {
        let mut done = Ok(());
        let mut put = |path: &Option<PathBuf>, report: Report, existing| {
            if let Some(path) = path {
                let mut bytes = Vec::new();
                let written = report(answer, &mut bytes)
                    .map_err(|source| Error::Output { what: show(path), source })
                    .and_then(|()| dest::write(path, existing, &bytes));
                done = std::mem::replace(&mut done, Ok(())).and(written);
            }
        };
        put(&self.junit, junit::write, Existing::Replace);
        put(&self.sarif, sarif::write, Existing::Replace);
        put(&self.markdown, markdown::write, Existing::Replace);
        put(&self.prometheus, prometheus::write, Existing::Replace);
        put(&self.manifest, manifest::write, Existing::Keep);
        done
    }
}
