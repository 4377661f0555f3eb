//! `restore`: from a snapshot file or a bare database to the data directories of a new cluster.
//!
//! The source is verified first, all of it. Then the database is written anew through
//! [`bolt::writer`](crate::bolt::writer), the log and the raft snapshot as etcdutl of the target version writes them
//! ([`bootstrap`]), all in a directory beside the destination that is renamed when everything is on the disk and was
//! read back.

mod database;
mod part;
mod raise;
mod report;
mod source;
mod start;

use std::io::{self, Seek, Write};
use std::path::{Path, PathBuf};

use self::database::Edits;
use self::part::Part;
pub use self::raise::{Bump, Raise};
pub use self::report::{
    Destination, MemberReport, NamedMember, OutFile, RestoreOptions, RestoreReport, Warning,
};
use self::source::{refuse_unchecked, verified};
use super::verify::{Level, Verification};
use crate::bolt::Db;
use crate::bolt::writer::Summary;
use crate::codec::to_u64;
use crate::etcd::Input;
use crate::etcd::bootstrap;
use crate::etcd::datadir::{self, DataDir};
use crate::etcd::identity::{NewCluster, NewMember};
use crate::etcd::schema::{Minor, storage_version};
use crate::etcd::small;
use crate::io::Source;
use crate::io::dest::dir::{self, DestDir, Steps};
use crate::io::dest::{self, room};
use crate::io::gate::is_cold;
use crate::io::source::Stamp;
use crate::ops::overlap::{beside, while_syncing};
use crate::store::hashkv::{HashKvOptions, hashkv};
pub use crate::store::keep::KeyFilter;
use crate::store::rewrite;
use crate::store::scan::Crc;
use crate::wal::SegmentName;
use crate::wal::writer::SEGMENT_SIZE;
use crate::words::cause::Cause;
use crate::words::error::{Corrupt, Error, Result, show};
use crate::words::hint::{Hint, Note};
use crate::words::ids::MemberId;
use crate::words::monitor::Monitor;
use crate::words::refusal::Refusal;
use crate::words::text::Told;

/// Restores.
///
/// # Errors
/// [`Error::Refused`] in etcd's words for what does not fit or exists already, [`Error::Damaged`] when the source is,
/// [`Error::Output`] when the directories could not be written. Then nothing of them is left.
pub fn restore(
    input: impl Into<Input>,
    options: &RestoreOptions,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let input = input.into();
    if input.is_dir() && DataDir::list(input.path(), None)?.db.is_some() {
        return Err(Error::unreadable(input.path(), Cause::DirectoryWithLog));
    }
    restore_with(&input.open()?, options, &Steps::free(), monitor)
}

/// Restores, and asks `steps` before each thing that is done to the destination.
///
/// # Errors
/// As [`restore`].
#[doc(hidden)]
pub fn restore_with(
    source: &Source,
    options: &RestoreOptions,
    steps: &Steps<'_>,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let mut cluster = NewCluster::parse(&options.initial_cluster, &options.token)?;
    cluster.make_learners(&options.learners)?;
    let layout = Layout::new(&cluster, &options.destination)?;
    cluster.check()?;
    layout.check()?;
    if !options.skip_hash_check && !options.allow_damage {
        refuse_unchecked(source)?;
    }
    // Reading a cold file for two ends at once would have its disk go back and forth.
    let first = options.dry_run || is_cold(source);
    let ((verification, warnings), (plan, built, length)) = beside(
        first,
        monitor,
        |monitor| verified(source, options, monitor),
        |monitor| {
            let plan = Plan::new(source, &cluster, options, monitor)?;
            let built = if options.dry_run { None } else { Some(layout.build(&plan, steps, monitor)?) };
            // How long it would be is known when it is written, to nowhere.
            let length = if built.is_some() { 0 } else { plan.write(io::empty(), monitor)?.0.bytes };
            Ok((plan, built, length))
        },
    )?;
    let db_length = match built {
        Some(built) => built.place(&plan, &verification)?,
        None => length,
    };
    Ok(RestoreReport {
        source: source.name(),
        kind: verification.kind,
        dry_run: options.dry_run,
        target_version: plan.version,
        revision: plan.revision(),
        hashkv: verification.measured.hashkv.unwrap_or_default(),
        result_hashkv: plan.edits.hash.or(verification.measured.hashkv).filter(|_| !plan.edits.bumped),
        cluster_id: cluster.id,
        members: layout.report(&plan, db_length),
        members_before: plan.before.len(),
        named_before: plan.before,
        raised: plan.raised,
        changes: plan.edits.changes,
        warnings,
        advice: plan.advice,
    })
}

fn own_version(stated: Option<Told>) -> Result<Minor> {
    match stated.as_ref().map(Told::raw).and_then(Minor::of) {
        Some(version) => Ok(version),
        None => Err(Refusal::VersionUnknown { stated }.into()),
    }
}

/// What goes into every directory.
struct Plan<'p, 's> {
    cluster: &'p NewCluster,
    version: Minor,
    edits: Edits,
    db: Db<'s>,
    /// The revision that the source is at.
    current: i64,
    /// The members that the source names.
    before: Vec<NamedMember>,
    /// How far the revision is raised.
    raised: Option<Raise>,
    /// Whether values may be as wrong as they are in the source.
    allow_damage: bool,
    /// What follows from what was asked for.
    advice: Vec<Note>,
    /// The source as it was before anything was read.
    stamp: Option<Stamp>,
}

impl<'p, 's> Plan<'p, 's> {
    fn new(
        source: &'s Source,
        cluster: &'p NewCluster,
        options: &RestoreOptions,
        monitor: &dyn Monitor,
    ) -> Result<Plan<'p, 's>> {
        let stamp = source.stamp();
        let db = datadir::database(source)?;
        let (facts, last) = small::facts_and_last(&db)?;
        let version = match options.target {
            Some(version) => version,
            None => own_version(storage_version(&facts).version)?,
        };
        let mut edits = Edits::new(cluster, version, &facts);
        let (mut from, mut advice) = (last, Vec::new());
        let current = facts.current_revision(last);
        if let Some(mut part) = Part::new(&db, options, &facts, current, monitor)? {
            advice.append(&mut part.advice);
            from = part.revision;
            edits.keep_only(part);
        }
        let raised = Raise::new(&options.bump, from, current.max(from))?;
        if let Some(raised) = &raised {
            edits.raise(from, raised.to);
            if cluster.members.len() > 1
                && matches!(
                    (&options.bump, &options.destination),
                    (Bump::Auto(_), Destination::Member { .. })
                )
            {
                let what = "the other members must be raised as far";
                advice.push(Note::with(what, Hint::RaiseOthers(raised.by)));
            }
        }
        if options.clear_alarms {
            edits.clear_alarms(&facts);
        }
        if options.disable_auth {
            edits.disable_auth(&facts);
        }
        Ok(Plan {
            cluster,
            version,
            edits,
            db,
            current,
            before: facts.members.into_iter().map(NamedMember::of).collect(),
            raised,
            allow_damage: options.allow_damage,
            advice,
            stamp,
        })
    }

    /// Writes the database.
    fn write<W: Write + Seek>(&self, out: W, monitor: &dyn Monitor) -> Result<(Summary, u32)> {
        self.edits.write(&self.db, out, monitor)
    }

    /// The revision that the result is at.
    fn revision(&self) -> i64 {
        self.edits.revision.unwrap_or(self.current)
    }
}

/// One member's directories, named as they will be and as they are while they are built.
struct Home<'c> {
    member: &'c NewMember,
    data_dir: PathBuf,
    wal_dir: PathBuf,
    /// Below the root of the layout: where `snap` and `wal` are.
    inside: PathBuf,
}

/// Everything, written and read back, not yet in its place.
struct Built<'h> {
    dest: DestDir<'h>,
    log_dest: Option<DestDir<'h>>,
    /// Length of the database in bytes.
    length: u64,
    /// Of its bucket `key`.
    keys: Crc,
}

impl Built<'_> {
    /// Compares it with the source as it was verified, and puts it in place. Gives the length of the database.
    fn place(self, plan: &Plan<'_, '_>, source: &Verification) -> Result<u64> {
        if plan.stamp != plan.db.source().stamp() {
            return Err(Error::unreadable(
                plan.db.source().path(),
                Cause::changed("changed while it was read; nothing was kept"),
            ));
        }
        let (ours, theirs) = (self.keys, source.measured.key_bucket);
        if plan.edits.keys_are_the_sources() && ours != theirs {
            let told = format!("its keys have the CRC-32C {:08x}, the source's {:08x}", ours.crc, theirs.crc);
            return Err(Error::Miswritten { what: show(self.dest.partial()), told });
        }
        dir::place_with_log(self.dest, self.log_dest, &first_segment())?;
        Ok(self.length)
    }
}

/// The file that a new log is.
fn first_segment() -> PathBuf {
    SegmentName::FIRST.to_string().into()
}

/// Reads the database with the reader: all pages, and whether it holds what was written. `hash` is the status hash of
/// that.
fn read_back(path: &Path, plan: &Plan<'_, '_>, hash: u32, monitor: &dyn Monitor) -> Result<Crc> {
    let wrong = |told: String| Error::Miswritten { what: show(path), told };
    let result = Source::open(path)?;
    let db = Db::open(&result).map_err(|c| wrong(c.to_string()))?;
    // Values that were allowed to be wrong are as wrong as they were; pages are our own.
    let allowed = |fault: &Corrupt| plan.allow_damage && Level::of(fault.code) == Level::Mvcc;
    let key_bucket = rewrite::read_back(&db, hash, allowed, monitor)?.map_err(wrong)?;
    if let Some(due) = plan.edits.hash.filter(|_| !plan.edits.bumped) {
        let ours = hashkv(&result, &HashKvOptions::default(), monitor)?.hash;
        if ours != due {
            return Err(wrong(format!("its HashKV is {ours}, {due} is due")));
        }
    }
    let (facts, last) = small::facts_and_last(&db).map_err(|e| wrong(e.to_string()))?;
    let last = facts.current_revision(last);
    let members: Vec<MemberId> = facts.members.iter().map(|member| member.id).collect();
    let mut ids: Vec<MemberId> = plan.cluster.members.iter().map(|member| member.id).collect();
    ids.sort_by_key(MemberId::to_string);
    let due = plan.revision();
    if last != due || facts.consistent_index != Some(bootstrap::commit(plan.cluster)) || members != ids {
        let (ours, theirs) = (members.len(), ids.len());
        return Err(wrong(format!(
            "it ends at revision {last} with {ours} members; due were {due} and {theirs}"
        )));
    }
    Ok(key_bucket)
}

/// What is built and where: one directory that is renamed to its place, and perhaps one for the log.
struct Layout<'c> {
    cluster: &'c NewCluster,
    root: PathBuf,
    /// A log that is kept elsewhere.
    log_root: Option<PathBuf>,
    homes: Vec<Home<'c>>,
    /// The data directory of one member, in etcd's words for what is in its way.
    data_dir: PathBuf,
}

impl<'c> Layout<'c> {
    fn new(cluster: &'c NewCluster, destination: &Destination) -> Result<Layout<'c>> {
        match destination {
            Destination::Member { name, advertised, data_dir, wal_dir } => {
                let member = cluster.member(name, advertised)?;
                let (root, inside) = dir::root_of(data_dir);
                let own = data_dir.join("member/wal");
                let log_root = wal_dir.clone().filter(|dir| *dir != own);
                let wal_dir = wal_dir.clone().unwrap_or(own);
                let home = Home { member, data_dir: data_dir.clone(), wal_dir, inside };
                Ok(Layout { cluster, root, log_root, homes: vec![home], data_dir: data_dir.clone() })
            }
            Destination::All(dir) => {
                let mut homes = Vec::new();
                for member in &cluster.members {
                    let name = &member.name;
                    if name.is_empty()
                        || name == "."
                        || name == ".."
                        || name.contains(|c: char| c == '/' || c.is_control())
                    {
                        return Err(Refusal::MemberName { name: name.clone() }.into());
                    }
                    let data_dir = dir.join(name);
                    let wal_dir = data_dir.join("member/wal");
                    homes.push(Home { member, data_dir, wal_dir, inside: Path::new(name).join("member") });
                }
                Ok(Layout { cluster, root: dir.clone(), log_root: None, homes, data_dir: dir.clone() })
            }
        }
    }

    /// Refuses what is in the way, in etcd's words where etcd has some.
    fn check(&self) -> Result<()> {
        dest::refuse_unfinished(&self.root)?;
        let empty = || {
            std::fs::read_dir(&self.data_dir).is_ok_and(|mut entries| {
                entries.all(|entry| entry.is_ok_and(|entry| entry.path() == dest::partial_of(&self.root)))
            })
        };
        let whole = self.root == self.data_dir;
        if self.data_dir.symlink_metadata().is_ok() && (whole || !empty()) {
            return Err(Refusal::NotEmpty { path: self.data_dir.clone() }.into());
        }
        match &self.log_root {
            Some(dir) => dir::check_log_elsewhere(dir, &first_segment(), &self.data_dir),
            None => Ok(()),
        }
    }

    /// Writes everything and reads it back.
    fn build<'h>(&self, plan: &Plan<'_, '_>, steps: &Steps<'h>, monitor: &dyn Monitor) -> Result<Built<'h>> {
        let dest = DestDir::create(&self.root, steps.clone())?;
        let begin = |dir: &PathBuf| dir::log_elsewhere(dir, &first_segment(), steps.clone());
        let log_dest = self.log_root.as_ref().map(begin).transpose()?;
        let (place, name) = log_dest
            .as_ref()
            .map_or((&dest, &self.root), |log| (log, self.log_root.as_ref().unwrap_or(&self.root)));
        room::ask_in(place.partial(), name, SEGMENT_SIZE.saturating_mul(to_u64(self.homes.len())))?;
        let mut written: Option<(PathBuf, u64, Crc)> = None;
        for home in &self.homes {
            let snap = home.inside.join("snap");
            dest.dir(&snap)?;
            let mut file = dest.file(&snap.join("db"))?;
            let path = dest.partial().join(&snap).join("db");
            // The database is the same for all members.
            if let Some((first, ..)) = &written {
                let mut first_file = std::fs::File::open(first).map_err(|e| Error::unreadable(first, e))?;
                // In large pieces; flushed here, as dropping the buffer would swallow the error.
                let mut out = io::BufWriter::with_capacity(1 << 20, &mut file);
                let copied = io::copy(&mut first_file, &mut out).and_then(|_| out.flush());
                drop(out);
                copied.map_err(|source| Error::Output { what: show(&path), source })?;
                file.finish()?;
            } else {
                let (summary, hash) = plan.write(&mut file, monitor).map_err(|e| e.of_output(&path))?;
                let keys = while_syncing(|| file.finish(), || read_back(&path, plan, hash, monitor))?;
                written = Some((path, summary.bytes, keys));
            }
            if let Some((name, bytes)) = bootstrap::snapshot(plan.cluster, plan.version) {
                let mut file = dest.file(&snap.join(name.to_string()))?;
                file.put(&bytes)?;
                file.finish()?;
            }
            let (name, bytes) = bootstrap::log(plan.cluster, home.member, plan.version);
            let (log_dir, log_dest) = match &log_dest {
                Some(elsewhere) => (PathBuf::new(), elsewhere),
                None => (home.inside.join("wal"), &dest),
            };
            log_dest.dir(&log_dir)?;
            let path = log_dir.join(name.to_string());
            // Two directories do not come to their places at once: between, etcd must not take the one for all.
            let held_back = self.log_root.is_some();
            let mut file = if held_back { log_dest.file_held_back(&path) } else { log_dest.file(&path) }?;
            file.reserve(SEGMENT_SIZE)?;
            file.put(&bytes)?;
            file.finish()?;
        }
        let (length, keys) = written.map_or((0, Crc::default()), |(_, length, keys)| (length, keys));
        Ok(Built { dest, log_dest, length, keys })
    }

    fn report(&self, plan: &Plan<'_, '_>, db_length: u64) -> Vec<MemberReport> {
        let report = |member: &NewMember| {
            let home = self.homes.iter().find(|home| home.member.id == member.id);
            let files = home.map(|home| {
                let snap = home.data_dir.join("member/snap");
                let raft = bootstrap::snapshot(plan.cluster, plan.version);
                let (segment, _) = bootstrap::log(plan.cluster, member, plan.version);
                let file = |path: PathBuf, bytes| OutFile { path: show(&path), bytes };
                let mut files = vec![file(snap.join("db"), db_length)];
                files
                    .extend(raft.map(|(name, bytes)| file(snap.join(name.to_string()), to_u64(bytes.len()))));
                files.push(file(home.wal_dir.join(segment.to_string()), SEGMENT_SIZE));
                files
            });
            MemberReport {
                name: member.name.clone(),
                id: member.id,
                peer_urls: member.peer_urls.clone(),
                learner: member.learner,
                data_dir: home.map(|home| show(&home.data_dir)),
                wal_dir: home.map(|home| show(&home.wal_dir)),
                start: home.map(|home| {
                    let elsewhere = self.log_root.as_ref().map(|_| home.wal_dir.as_path());
                    start::command(home.member, &home.data_dir, elsewhere, plan.cluster)
                }),
                files: files.unwrap_or_default(),
            }
        };
        self.cluster.members.iter().map(report).collect()
    }
}
