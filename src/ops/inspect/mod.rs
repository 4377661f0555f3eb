//! `inspect`: what is this file or directory, and everything in it that identifies it.

mod disagree;
pub mod kubernetes;
mod log;
mod report;
#[cfg(feature = "packed")]
mod resources;

use std::collections::BTreeMap;
use std::path::Path;

#[cfg(feature = "kine")]
pub use report::KineKeyspaceReport;
pub use report::{
    BucketReport, DatabaseReport, DirectoryReport, Disagreement, EtcdReport, HashReport, InspectReport,
    LagReport, MetaReport, PagesReport, RaftSnapshotReport, ResourceKind, SegmentReport, SnapshotRecord,
    Stated, StaticResource, WalReport,
};

use self::disagree::disagreements;
use self::kubernetes::kubernetes;
use self::log::{lag, raft_snapshot, wal};
use crate::bolt::Db;
use crate::codec::checksum;
use crate::etcd::Input;
#[cfg(feature = "kine")]
use crate::etcd::datadir::Foreign;
use crate::etcd::datadir::{self, DataDir, FileKind};
use crate::etcd::facts::LeaseFact;
use crate::etcd::schema::storage_version;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::io::gate::with_read_ahead;
use crate::io::source::Lock;
use crate::io::{Source, tree};
#[cfg(feature = "kine")]
use crate::ops::kine::KineOptions;
#[cfg(feature = "fs")]
use crate::replay::increments::Chain;
use crate::snap::backup::Trailer;
use crate::store::digest::{mismatch, trailer};
use crate::store::scan::{KeyDepth, Scan, ScanOptions, scan};
use crate::words::collector::Teller;
use crate::words::error::{At, Error, Result};
use crate::words::finding::{Code, Finding};
#[cfg(feature = "fs")]
use crate::words::monitor::Relay;
use crate::words::monitor::{Monitor, Quiet};

/// Attached keys that are named for each lease.
const LEASE_KEYS: usize = 100;

/// How deep to look.
#[derive(Debug, Clone, Copy)]
pub struct InspectOptions {
    /// Compute the SHA-256 and compare it with the trailer: reads every byte of the file.
    pub hash: bool,
    /// How many findings of each code to keep.
    pub max_findings: u64,
}

impl Default for InspectOptions {
    fn default() -> InspectOptions {
        InspectOptions { hash: false, max_findings: 20 }
    }
}

/// Looks at a file or directory.
///
/// # Errors
/// [`Error::Unreadable`] when it is nothing of etcd's or bbolt's; damage is in the report.
pub fn inspect(
    input: impl Into<Input>,
    options: &InspectOptions,
    monitor: &dyn Monitor,
) -> Result<InspectReport> {
    let input = input.into();
    #[cfg(feature = "kine")]
    if let Some(state) = input.is_dir().then(|| datadir::kine_in(input.path())).flatten() {
        return inspect_kine(&state.into(), *options, monitor);
    }
    #[cfg(feature = "fs")]
    if let Some(chain) = input.as_open().is_none().then(|| Chain::of_store(input.path())).flatten() {
        return inspect_chain(&chain, *options, monitor);
    }
    if input.is_dir() {
        return inspect_dir(&input.directory()?, *options, monitor);
    }
    let source = match input.open() {
        Ok(source) => source,
        #[cfg(feature = "packed")]
        Err(error @ Error::Unreadable { .. }) => return resources::resources(input.path())?.ok_or(error),
        Err(error) => return Err(error),
    };
    #[cfg(feature = "kine")]
    if datadir::file_kind(&source)? == FileKind::Foreign(Foreign::Sqlite) {
        return inspect_kine(&input, *options, monitor);
    }
    inspect_file(&source, *options, monitor)
}

#[cfg(feature = "kine")]
fn inspect_kine(input: &Input, options: InspectOptions, monitor: &dyn Monitor) -> Result<InspectReport> {
    let silent = Relay::new(monitor).without_findings();
    let kine = crate::ops::kine(input, &KineOptions { allow_damage: true }, &silent)?;
    let mut report = inspect_made(&kine.database, kine.findings, options, monitor)?;
    report.kind = "a database of kine, which k3s keeps in SQLite".to_owned();
    report.kine = report.database.take().map(|database| KineKeyspaceReport::new(kine.report, database));
    Ok(report)
}

/// The newest full snapshot of etcd-backup-restore, brought forward.
#[cfg(feature = "fs")]
fn inspect_chain(chain: &Chain, options: InspectOptions, monitor: &dyn Monitor) -> Result<InspectReport> {
    let forward = chain.forward(None, &Relay::new(monitor).without_findings())?;
    let report = inspect_made(&forward.database, forward.findings, options, monitor)?;
    let kind = format!("a full snapshot of etcd-backup-restore with {}", forward.report);
    Ok(InspectReport { kind, ..report })
}

/// A database that was made of something else, in which that was found.
#[cfg(feature = "fs")]
fn inspect_made(
    source: &Source,
    findings: Vec<Finding>,
    options: InspectOptions,
    monitor: &dyn Monitor,
) -> Result<InspectReport> {
    let mut found = Teller::new(options.max_findings, monitor);
    findings.into_iter().for_each(|finding| found.push(finding));
    let database = Some(database(source, options, &mut found)?);
    Ok(with_findings(InspectReport { path: source.name(), database, ..InspectReport::default() }, found))
}

fn inspect_file(source: &Source, options: InspectOptions, monitor: &dyn Monitor) -> Result<InspectReport> {
    let mut report = InspectReport { path: source.name(), ..InspectReport::default() };
    let mut found = Teller::new(options.max_findings, monitor);
    match datadir::file_kind(source)? {
        FileKind::Wal => {
            report.kind = "a WAL segment".to_owned();
            let name = source.path().file_name().unwrap_or_default().to_string_lossy().into_owned();
            let dir = source.path().parent().unwrap_or(Path::new("."));
            report.wal = Some(wal(dir, &[(name, source)], &mut found).0);
        }
        FileKind::RaftSnapshot => {
            report.kind = "a raft snapshot".to_owned();
            let snap = raft_snapshot(source, &mut found);
            report.raft_snapshots.push(snap);
        }
        _ => {
            datadir::require_database(source)?;
            let database = database(source, options, &mut found)?;
            report.kind = database_kind(&database);
            report.database = Some(database);
        }
    }
    Ok(with_findings(report, found))
}

fn inspect_dir(dir: &DataDir, options: InspectOptions, monitor: &dyn Monitor) -> Result<InspectReport> {
    let mut report = InspectReport { path: crate::words::error::show(&dir.path), ..InspectReport::default() };
    let mut found = Teller::new(options.max_findings, monitor);
    report.kind = match (&dir.db, dir.wals.is_empty()) {
        (Some(_), false) => "a member's data directory",
        (Some(_), true) => "a member's data directory without its WAL",
        (None, false) => "a WAL directory",
        (None, true) => "a directory of raft snapshots",
    }
    .to_owned();
    if let Some(db) = &dir.db {
        match tree::open(db).and_then(|source| {
            datadir::require_database(&source)?;
            database(&source, options, &mut found)
        }) {
            Ok(database) => report.database = Some(database),
            // The rest of the directory can still be told.
            Err(Error::Damaged { path, corrupt }) => {
                found.corrupt(&crate::words::error::show(&path), *corrupt)
            }
            Err(Error::Unreadable { path, cause }) => {
                let (file, what) = (crate::words::error::show(&path), cause.to_string());
                found.push(Finding::new(Code::Unreadable, &file, At::default(), what).hint(cause.hint()));
            }
            Err(other) => return Err(other),
        }
    }
    for path in &dir.snaps {
        let snap = raft_snapshot(&tree::open(path)?, &mut found);
        report.raft_snapshots.push(snap);
    }
    let sources = dir.wals.iter().map(|path| tree::open(path)).collect::<Result<Vec<_>>>()?;
    let named: Vec<(String, &Source)> = sources
        .iter()
        .map(|s| (s.path().file_name().unwrap_or_default().to_string_lossy().into_owned(), s))
        .collect();
    let mut records = Vec::new();
    if let Some(wal_dir) = &dir.wal_dir
        && !named.is_empty()
    {
        let (log, all) = wal(wal_dir, &named, &mut found);
        (report.wal, records) = (Some(log), all);
    }
    let names = |paths: &[std::path::PathBuf]| paths.iter().map(|p| crate::words::error::show(p)).collect();
    report.directory = Some(DirectoryReport {
        snap_dbs: names(&dir.snap_dbs),
        leftovers: names(&dir.leftovers),
        strangers: names(&dir.strangers),
        wal_lock: sources.last().map(Source::ofd_lock),
    });
    report.lag = lag(&report);
    let etcd = report.database.as_ref().and_then(|database| database.etcd.as_ref());
    if let Some(etcd) = etcd {
        report.disagreements =
            disagreements(&etcd.facts, dir.snaps.last().map(std::path::PathBuf::as_path), &records);
    }
    Ok(with_findings(report, found))
}

/// The report with what was found on the way.
fn with_findings(report: InspectReport, found: Teller<'_>) -> InspectReport {
    InspectReport { findings: found.all.kept, finding_counts: found.all.counts, ..report }
}

fn database_kind(database: &DatabaseReport) -> String {
    let owner = if database.etcd.is_some() { "an etcd" } else { "a bbolt" };
    match database.trailer {
        Trailer::Present { .. } | Trailer::Zeroed { .. } => {
            format!("{owner} snapshot file")
        }
        _ if database.path.ends_with(".snap.db") => {
            "a database that an etcd leader sent (.snap.db)".to_owned()
        }
        Trailer::Cut { .. } => format!("{owner} snapshot file, cut off"),
        Trailer::Lost { .. } => {
            format!("{owner} database or snapshot file, cut off")
        }
        Trailer::Absent => format!("{owner} database"),
    }
}

fn database(source: &Source, options: InspectOptions, found: &mut Teller<'_>) -> Result<DatabaseReport> {
    let report = read(source, options, found);
    if let Some(what) = source.changed() {
        found.push(Finding::new(Code::InUse, &source.name(), At::default(), format!("the file {what}")));
    }
    report
}

fn read(source: &Source, options: InspectOptions, found: &mut Teller<'_>) -> Result<DatabaseReport> {
    let name = source.name();
    let lock = source.flock();
    if lock == Lock::Held {
        let what = "a running etcd holds the lock of this database: what is read here may be torn";
        found.push(Finding::new(Code::InUse, &name, At::default(), what));
    }
    let db = Db::open(source).map_err(|c| Error::damaged(source.path(), c))?;
    let scan = with_read_ahead(source, |gate| {
        scan(&db, ScanOptions { limit: found.all.limit(), gate, keys: KeyDepth::Live }, found.monitor)
    })?;
    for corrupt in &scan.faults.kept {
        found.corrupt(&name, corrupt.clone());
    }
    for (code, count) in &scan.faults.counts {
        found.all.counts.insert(*code, *count);
    }
    let trailer = trailer(&db, &Quiet).map_err(|c| Error::damaged(source.path(), c))?;
    let sha256 = options.hash.then(|| hash(source, trailer, found)).transpose()?;
    let mut leases = BTreeMap::new();
    if scan.keyspace.leased {
        leases = attached(&db, &scan, found.monitor);
    }
    Ok(DatabaseReport {
        path: name,
        file_size: source.len(),
        packed: source.packed(),
        page_size: db.page_size(),
        size: db.size(),
        trailer,
        sha256,
        lock,
        metas: metas(&db),
        pages: pages(&db, &scan),
        buckets: scan.buckets.iter().map(bucket).collect(),
        kubernetes: if scan.is_etcd { kubernetes(&db, &scan, found.monitor) } else { None },
        etcd: scan.is_etcd.then(|| etcd(scan, leases)),
    })
}

pub(super) fn metas(db: &Db<'_>) -> Vec<MetaReport> {
    let report = |slot: &crate::bolt::MetaSlot| MetaReport {
        number: slot.number,
        offset: slot.offset,
        live: slot.number == db.meta_number(),
        valid: slot.fault.is_none(),
        fault: slot.fault.as_ref().or(slot.header_fault.as_ref()).map(|f| f.detail.clone()),
        meta: slot.meta,
    };
    db.slots().iter().map(report).collect()
}

fn pages(db: &Db<'_>, scan: &Scan) -> PagesReport {
    let mut all = scan.root.clone();
    scan.buckets.iter().for_each(|b| all.add(&b.stats));
    let total = db.meta().high_water.0;
    let freelist = crate::bolt::Freelist::read(db).ok().flatten().map_or(0, |list| list.pages);
    PagesReport {
        total,
        missing: total.saturating_sub(db.pages_present()),
        branch: all.branch_pages,
        leaf: all.leaf_pages,
        overflow: all.overflow_pages,
        freelist,
        free: scan.free_pages,
        bytes: all.bytes,
        bytes_used: all.bytes_used,
    }
}

fn bucket(bucket: &crate::store::scan::BucketScan) -> BucketReport {
    let name = bucket.path.iter().map(|n| n.escape_ascii().to_string()).collect::<Vec<_>>().join("/");
    BucketReport { name, inline: bucket.inline, sequence: bucket.sequence, stats: bucket.stats.clone() }
}

fn etcd(scan: Scan, mut leases: BTreeMap<i64, (u64, Vec<String>)>) -> EtcdReport {
    let live_keys = scan.newest.live();
    let mut facts = scan.facts;
    for lease in &mut facts.leases {
        let LeaseFact { id, attached, keys, .. } = lease;
        let (count, names) = leases.remove(&id.get()).unwrap_or_default();
        (*attached, *keys) = (Some(count), names);
    }
    EtcdReport {
        storage: storage_version(&facts),
        first_revision: scan.keyspace.first,
        last_revision: scan.keyspace.last,
        compact_revision: facts.compact_revision(),
        compaction_unfinished: facts.compaction_is_unfinished(),
        live_keys,
        revisions: scan.keyspace.revisions,
        tombstones: scan.keyspace.tombstones,
        user_bytes: scan.keyspace.user_bytes,
        facts,
    }
}

/// Live keys by the lease they are attached to.
fn attached(db: &Db<'_>, scan: &Scan, monitor: &dyn Monitor) -> BTreeMap<i64, (u64, Vec<String>)> {
    struct Attached<'s> {
        scan: &'s Scan,
        leases: BTreeMap<i64, (u64, Vec<String>)>,
    }
    impl Revisions for Attached<'_> {
        fn each(&mut self, stored: &Stored<'_>) {
            let Stored { key, kv, .. } = stored;
            if kv.lease != 0 && !key.tombstone && self.scan.newest.is_newest(*key, kv) {
                let (count, names) = self.leases.entry(kv.lease).or_default();
                *count = count.saturating_add(1);
                if names.len() < LEASE_KEYS {
                    names.push(kv.key.escape_ascii().to_string());
                }
            }
        }
    }
    stored::skim(db, monitor, Attached { scan, leases: BTreeMap::new() }).leases
}

fn hash(source: &Source, trailer: Trailer, found: &mut Teller<'_>) -> Result<HashReport> {
    let payload = trailer.payload(source);
    let digest = crate::store::digest::sha256(source, payload, found.monitor)
        .map_err(|c| Error::damaged(source.path(), c))?;
    let stored = match trailer {
        Trailer::Present { digest, .. } => Some(digest),
        Trailer::Zeroed { .. } => Some([0; 32]),
        Trailer::Absent | Trailer::Lost { .. } | Trailer::Cut { .. } => None,
    };
    if let Some(stored) = stored.filter(|stored| *stored != digest) {
        found.corrupt(&source.name(), mismatch(&stored, &digest, payload));
    }
    Ok(HashReport { digest: checksum::hex(&digest), matches: stored.map(|s| s == digest) })
}
