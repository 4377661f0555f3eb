//! Many inputs, each verified with the same options: files and directories as they were named, manifests beside them,
//! one policy for all.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::evidence::Ask;
use super::manifest::{Against, Manifest, ManifestEntry};
use super::policy::{Policy, Previous, apply};
use super::targets::{Choice, PassedOver, SIDECAR, Targets};
use super::verify;
use super::{Answer, Judged, Level, Unreadable, Verification, VerifyOptions};
use crate::etcd::Input;
use crate::replay::apply::Version;
use crate::store::ValueOpener;
use crate::words::error::{Error, Result, show};
use crate::words::monitor::{Monitor, Quiet};

/// Opens standard input, if that or something in it is what a path stands for.
pub type StandardInput<'s> = dyn Fn(&Path) -> Option<Result<Input>> + Sync + 's;

/// How to verify many inputs.
#[derive(Clone, Copy)]
pub struct FleetOptions<'o> {
    /// The deepest level to run.
    pub level: Level,
    /// Findings kept for each code of each input.
    pub max_findings: u64,
    /// Also compute the digests of whole files, for a manifest.
    pub digests: bool,
    /// What every input has to keep.
    pub policy: Option<&'o Policy>,
    /// An earlier snapshot, which the policy compares with.
    pub previous: Option<&'o Path>,
    /// The manifest of all inputs: what it names and is not among them counts as unreadable. Without one each input is
    /// compared with the manifest that lies beside it, if there is one.
    pub manifest: Option<&'o Path>,
    /// Where the log of a data directory is, if it is elsewhere.
    pub wal_dir: Option<&'o Path>,
    /// What opens encrypted values for level `objects`.
    pub opener: Option<ValueOpener<'o>>,
    /// The etcd by whose rules they are judged, also if they state a version that is not known here.
    pub etcd_version: Option<Version>,
    /// Puts into words why an input cannot be read, where the answer holds that as text.
    pub say: fn(&Error) -> String,
    /// Opens standard input, if that or something in it is what a path stands for.
    pub standard_input: Option<&'o StandardInput<'o>>,
}

impl Default for FleetOptions<'_> {
    fn default() -> Self {
        let VerifyOptions { level, max_findings, digests, .. } = VerifyOptions::default();
        FleetOptions {
            level,
            max_findings,
            digests,
            policy: None,
            previous: None,
            manifest: None,
            wal_dir: None,
            opener: None,
            etcd_version: None,
            say: |error| error.to_string(),
            standard_input: None,
        }
    }
}

/// The inputs behind some paths.
#[derive(Debug, Default)]
pub struct Fleet {
    /// Files and data directories, each once.
    pub files: Vec<PathBuf>,
    /// Paths behind which there is none, and why.
    pub unreadable: Vec<(PathBuf, Error)>,
    /// What lies beside the files in directories and is no input, and what it is instead.
    pub passed_over: Vec<(PathBuf, &'static str)>,
}

/// Verifies everything that the paths lead to.
///
/// # Errors
/// [`Error::Unreadable`] when [`FleetOptions::manifest`] cannot be read or does not tell inputs apart,
/// [`Error::Cancelled`]. What is wrong with the inputs is in the answer.
pub fn verify_all(paths: &[PathBuf], options: &FleetOptions<'_>, monitor: &dyn Monitor) -> Result<Answer> {
    let besides = [options.manifest, options.previous];
    Fleet::of(paths, &Choice::default(), besides.into_iter().flatten()).verify(options, monitor, &mut |_| {})
}

impl Fleet {
    /// The inputs that the paths lead to. What is read `besides` is no input, even if it lies among them.
    pub fn of<'p>(paths: &[PathBuf], choice: &Choice, besides: impl Iterator<Item = &'p Path>) -> Fleet {
        let (mut fleet, mut seen) = (Fleet::default(), BTreeSet::new());
        let besides: Vec<PathBuf> = besides.filter_map(|file| file.canonicalize().ok()).collect();
        for path in paths {
            let Targets { files, passed_over, unreadable } = Targets::of(path, choice, &besides);
            fleet.files.extend(files.into_iter().filter(|file| seen.insert(file.clone())));
            fleet.unreadable.extend(unreadable);
            fleet.passed_over.extend(passed_over);
        }
        fleet.passed_over.sort();
        fleet.passed_over.dedup();
        fleet
    }

    /// Verifies them one after the other. Findings go to the monitor as they come, each input that cannot be read to
    /// `refused`.
    ///
    /// # Errors
    /// As [`verify_all`].
    pub fn verify(
        self,
        options: &FleetOptions<'_>,
        monitor: &dyn Monitor,
        refused: &mut dyn FnMut(&Unreadable),
    ) -> Result<Answer> {
        let manifest = options.manifest.map(Manifest::read).transpose()?;
        let say = |path: &Path, error: &Error| Unreadable { path: show(path), error: (options.say)(error) };
        let mut lost: Vec<_> = self.unreadable.iter().map(|(path, error)| say(path, error)).collect();
        if let Some((path, manifest)) = options.manifest.zip(manifest.as_ref()) {
            lost.extend(missing(manifest, path, &self.files)?);
        }
        let work = Work {
            options,
            ask: options.policy.and_then(Policy::ask),
            previous: options.previous.map(|path| previous(path, options.say)),
            manifest: options.manifest.zip(manifest.as_ref()),
        };
        let passed_over = self.passed_over.iter().map(|(path, why)| PassedOver::new(path, why)).collect();
        let mut answer = Answer { passed_over, ..Answer::default() };
        let mut refuse = |answer: &mut Answer, unreadable: Unreadable| {
            refused(&unreadable);
            answer.unreadable.push(unreadable);
        };
        lost.into_iter().for_each(|unreadable| refuse(&mut answer, unreadable));
        for file in self.files {
            if monitor.cancelled() {
                return Err(Error::Cancelled);
            }
            let begun = Instant::now();
            let own = work.sidecar(&file);
            let manifest = match &own {
                Some((path, Ok(manifest))) => Some((path.as_path(), manifest)),
                Some((path, Err(error))) => {
                    refuse(&mut answer, say(path, error));
                    None
                }
                None => work.manifest,
            };
            match work.one(&file, manifest, monitor) {
                Ok(verification) => answer.files.push(Judged { verification, took: begun.elapsed() }),
                Err(Error::Cancelled) => return Err(Error::Cancelled),
                Err(error) => refuse(&mut answer, say(&file, &error)),
            }
        }
        answer.verdict = answer.judge();
        Ok(answer)
    }
}

/// What the previous snapshot is. It is verified itself; what is wrong with it is no finding of ours.
fn previous(path: &Path, say: fn(&Error) -> String) -> Previous {
    let options = VerifyOptions { level: Level::Mvcc, ..VerifyOptions::default() };
    match verify(path, &options, &Quiet) {
        Ok(verification) => Previous::of(&verification),
        Err(error) => {
            Previous { path: show(path), state: Err(format!("could not be read ({})", say(&error))) }
        }
    }
}

/// Files that a manifest names and that are not among the inputs.
fn missing(manifest: &Manifest, path: &Path, files: &[PathBuf]) -> Result<Vec<Unreadable>> {
    let mut found: Vec<&ManifestEntry> = Vec::new();
    for file in files {
        found.extend(manifest.entry(path, file)?);
    }
    let lost = manifest.files.iter().filter(|entry| !found.iter().any(|f| f.path == entry.path));
    Ok(lost
        .map(|entry| {
            let name = show(Path::new(&entry.path));
            let error = format!("{name}: is named in {} and not among the inputs", show(path));
            Unreadable { path: name, error }
        })
        .collect())
}

/// What every input is verified with.
struct Work<'a> {
    options: &'a FleetOptions<'a>,
    ask: Option<Ask>,
    previous: Option<Previous>,
    manifest: Option<(&'a Path, &'a Manifest)>,
}

impl Work<'_> {
    fn one(
        &self,
        file: &Path,
        manifest: Option<(&Path, &Manifest)>,
        monitor: &dyn Monitor,
    ) -> Result<Verification> {
        let name = manifest.map(|(path, _)| show(path)).unwrap_or_default();
        let entry = manifest.map(|(path, manifest)| manifest.entry(path, file)).transpose()?;
        let against = entry.map(|entry| Against { manifest: &name, entry });
        let options = VerifyOptions {
            level: self.options.level,
            max_findings: self.options.max_findings,
            digests: self.options.digests,
            ask: self.ask.as_ref(),
            against,
            opener: self.options.opener,
            etcd_version: self.options.etcd_version,
        };
        let mut verification = match self.options.standard_input.and_then(|of| of(file)) {
            Some(given) => {
                let mut verification = verify(given?, &options, monitor)?;
                // Of the copy that was made of it.
                verification.measured.modified = None;
                verification
            }
            None => {
                let input = Input::from(file).with_wal_dir(self.options.wal_dir.map(Path::to_path_buf));
                verify(input, &options, monitor)?
            }
        };
        if let Some(policy) = self.options.policy {
            apply(policy, &mut verification, self.previous.as_ref(), jiff::Timestamp::now());
        }
        Ok(verification)
    }

    /// The manifest beside a file, unless another one was given.
    fn sidecar(&self, file: &Path) -> Option<(PathBuf, Result<Manifest>)> {
        let mut name = file.file_name()?.to_owned();
        name.push(SIDECAR);
        let sidecar = file.with_file_name(name);
        let there = self.manifest.is_none() && sidecar.symlink_metadata().is_ok();
        there.then(|| (sidecar.clone(), Manifest::read(&sidecar)))
    }
}
