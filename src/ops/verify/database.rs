//! Levels identity to mvcc: one pass over one database.

use std::sync::Arc;

use super::{
    Database, Level, OtherMeta, Outcome, Run, consistency, evidence, pages_are_missing, refuse_damage,
};
use crate::bolt::{Db, Pgid};
use crate::etcd::datadir::NEWEST_STORAGE;
use crate::etcd::schema::storage_version;
use crate::etcd::small::facts_and_last;
use crate::io::gate::{OpenAtEnd, is_cold};
use crate::io::parallel::behind;
use crate::io::source::Lock;
use crate::io::{Gate, Source};
use crate::ops::inspect::metas;
use crate::ops::protection;
use crate::snap::backup::{TRAILER, Trailer};
use crate::store::digest::{Digests, digests, mismatch, trailer};
use crate::store::scan::{KeyDepth, Scan, ScanOptions, scan};
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::{Hint, Note};
use crate::words::monitor::Relay;
use crate::words::text::Told;

/// What one pass over a file gives, as far as it was asked for.
struct Read {
    digest: Option<Result<Digests, Box<Corrupt>>>,
    scan: Option<Scan>,
}

impl Run<'_> {
    /// Levels identity to mvcc. `alone`: it is a file by itself, from which a trailer is expected.
    pub(super) fn database(&mut self, source: &Source, alone: bool) -> Result<Database> {
        let name = source.name();
        self.is_in_use(source);
        self.measure_file(source);
        let db = match Db::open(source) {
            Ok(db) => db,
            Err(corrupt) => return Ok(self.no_meta(source, *corrupt)),
        };
        let (trailer, alone) = self.trailer(&db, alone);
        let measured = &mut self.verification.measured;
        measured.payload_size = trailer.payload(source);
        measured.page_size = db.page_size();
        measured.db_size = db.size();
        measured.txid = db.meta().txid.0;
        measured.metas = metas(&db);
        measured.trailer = super::TrailerState::from(&trailer);
        self.trailer_form(&db, trailer, alone);

        let hashing = self.digesting()
            || self.closeness.sealing
            || (self.options.level >= Level::Bytes
                && !matches!(trailer, Trailer::Absent | Trailer::Lost { .. }));
        let walking = self.options.level >= Level::Pages;
        let Read { digest, scan } = self.read(&db, trailer, hashing, walking)?;

        match &scan {
            Some(scan) => {
                self.take_scan(scan, &db)?;
                self.take_faults(scan.faults.kept.iter().cloned(), &name);
                for (code, count) in &scan.faults.counts {
                    if let Some(found) = self.found.all.counts.get_mut(code) {
                        *found = (*count).max(*found);
                    }
                }
            }
            None => self.take_faults(db.faults(), &name),
        }
        if let Some(what) = source.changed() {
            self.found.say(Code::InUse, &name, format!("the file {what}"));
        }
        self.other_meta(&db, &name)?;
        let (pages, size, meta) = (db.meta().high_water, db.page_size(), db.meta_number());
        let what = format!("{pages} pages of {size} bytes, meta page {meta} of txid {}", db.meta().txid);
        self.judge(Level::Identity, what);
        self.bytes(&db, trailer, digest, alone);
        self.judge_scan(&db, scan.as_ref(), &name)?;
        self.objects(&db, scan.as_ref(), &name)?;
        let knows_members = scan.as_ref().is_some_and(|s| s.knows("members"));
        let mut facts = None;
        if let Some(scan) = scan {
            self.verification.reached = Some(Arc::new(scan.reached));
            facts = scan.is_etcd.then_some(scan.facts);
        }
        Ok(Database { name, trailer: Some(trailer), facts, knows_members })
    }

    fn is_in_use(&mut self, source: &Source) {
        if source.flock() == Lock::Held {
            let what = "a running etcd holds the lock of this database: what is read here may be torn";
            self.found.say(Code::InUse, &source.name(), what);
        }
    }

    /// The trailer, and whether one is still expected: a file whose end cannot be read is not without one.
    fn trailer(&mut self, db: &Db<'_>, alone: bool) -> (Trailer, bool) {
        // A member's own database has none, whatever its last bytes look like.
        let trailer = match (alone, self.options.level >= Level::Bytes) {
            (false, _) => Ok(Trailer::Absent),
            (true, true) => trailer(db, self.monitor),
            (true, false) => Trailer::read(db.source(), db.size()),
        };
        match trailer {
            Ok(trailer) => {
                self.appended(db, trailer);
                (trailer, alone)
            }
            Err(corrupt) => {
                self.found.push(Finding::from_corrupt(&db.source().name(), *corrupt));
                (Trailer::Absent, false)
            }
        }
    }

    /// What stands behind a trailer that stands right behind the database.
    fn appended(&mut self, db: &Db<'_>, trailer: Trailer) {
        let (source, end) = (db.source(), db.size().saturating_add(TRAILER));
        let bytes = source.len().saturating_sub(end);
        if matches!(trailer, Trailer::Present { payload, .. } if payload == db.size()) && bytes > 0 {
            let what = format!(
                "{bytes} bytes are appended to the file: its SHA-256, which is right, ends before them"
            );
            self.found.push(Finding::new(Code::TrailingBytes, &source.name(), At::offset(end), what));
        }
    }

    /// Undecodable values belong to a level that may not have been asked for.
    fn take_faults(&mut self, faults: impl Iterator<Item = Corrupt>, name: &str) {
        for corrupt in faults.filter(|corrupt| Level::of(corrupt.code) <= self.options.level) {
            self.found.push(Finding::from_corrupt(name, corrupt));
        }
    }

    /// Of a damaged database: whether a restore that allows damage takes it, which writes all of it anew.
    fn can_be_restored(&mut self, db: &Db<'_>) -> Result<()> {
        let damaged = self.found.all.worst(|code| Level::of(code) < Level::Wal) == Some(Severity::Damage);
        if !damaged || self.options.level < Level::Restore {
            return Ok(());
        }
        let taken = refuse_damage(&self.found.all.kept, true).and_then(|()| facts_and_last(db).map(drop));
        #[cfg(feature = "fs")]
        let taken = taken.and_then(|()| {
            let part = Relay::new(self.monitor).as_part().without_findings();
            crate::store::rewrite::can_be_written(db, &part)
        });
        match taken {
            Err(Error::Cancelled) => return Err(Error::Cancelled),
            Err(Error::Damaged { corrupt, .. }) => self.past_restoring = Some(corrupt.to_string()),
            Err(other) => self.past_restoring = Some(other.to_string()),
            Ok(()) => {}
        }
        Ok(())
    }

    fn no_meta(&mut self, source: &Source, corrupt: Corrupt) -> Database {
        self.found.push(Finding::from_corrupt(&source.name(), corrupt));
        self.judge(Level::Identity, "no meta page can be used");
        self.past_restoring = Some("no meta page can be used".to_owned());
        for level in [Level::Bytes, Level::Pages, Level::Mvcc] {
            self.level(level, Outcome::NotRun, "no meta page can be used");
        }
        Database { name: source.name(), ..Database::default() }
    }

    fn trailer_form(&mut self, db: &Db<'_>, trailer: Trailer, alone: bool) {
        let (source, size) = (db.source(), db.size());
        let name = &source.name();
        let payload = trailer.payload(source);
        if payload < size {
            // What stands at the end of a file without its end is no trailer.
            return;
        }
        let beyond = payload.saturating_sub(size);
        // bbolt makes its files longer by whole pages; snapshot save writes exactly the database.
        let padded = matches!(trailer, Trailer::Absent) && payload.checked_rem(db.page_size()) == Some(0);
        if alone && beyond > 0 && !padded && !matches!(trailer, Trailer::Cut { .. }) && source.len() > 4096 {
            let what = format!(
                "{beyond} bytes stand after the database's {size}, where {} is due",
                if matches!(trailer, Trailer::Absent) { "nothing or a trailer of 32" } else { "the trailer" }
            );
            self.found.push(Finding::new(Code::TrailingBytes, name, At::offset(size), what));
        }
        match trailer {
            Trailer::Absent if alone => {
                let what = "the file has no SHA-256 trailer: it is a database as a member keeps it, not made by snapshot save";
                self.found.say(Code::TrailerAbsent, name, what);
            }
            Trailer::Cut { bytes } => {
                self.found.say(
                    Code::TrailerCut,
                    name,
                    format!(
                        "{bytes} bytes follow the database, a trailer has 32: the end of the file is missing"
                    ),
                );
            }
            Trailer::Zeroed { payload } => {
                let what =
                    "32 zero bytes stand where the SHA-256 is due: the end of the file was never written";
                self.found.push(Finding::new(Code::TrailerZeroed, name, At::offset(payload), what));
            }
            Trailer::Absent | Trailer::Lost { .. } | Trailer::Present { .. } => {}
        }
    }

    /// Whether the digests of the whole file are needed.
    pub(super) fn digesting(&self) -> bool {
        self.options.digests
            || (self.options.level >= Level::Bytes && self.options.against.is_some_and(|a| a.entry.is_some()))
    }

    /// Hashes on one thread and walks on the others, both in the same pass over the file.
    fn read(&self, db: &Db<'_>, trailer: Trailer, hashing: bool, walking: bool) -> Result<Read> {
        let source = db.source();
        // Every byte counts once: those of the pass over all of them, if there is one.
        let total = if hashing { source.len() } else { db.size().min(source.len()) };
        self.monitor.begin("verifying", total);
        let part = Relay::new(self.monitor).as_part().without_findings();
        let walked = if hashing { part.without_progress() } else { part };
        let gate = (walking && is_cold(source)).then(Gate::default);
        let payload = trailer.payload(source);
        let (needed, digesting) = (hashing || gate.is_some(), self.digesting());
        let reader = || {
            let _open = gate.as_ref().map(OpenAtEnd);
            let wanted = hashing.then_some(digesting);
            needed.then(|| digests(source, payload, wanted, gate.as_ref(), &part))
        };
        // One of each is needed for the verdict, even if none is to be shown.
        let limit = self.options.max_findings.max(1);
        let walker = || {
            walking.then(|| scan(db, ScanOptions { limit, gate: gate.as_ref(), keys: self.keys() }, &walked))
        };
        let (digest, scan) = behind(reader, walker);
        let scan = scan.transpose()?;
        self.monitor.end();
        Ok(Read { digest: digest.filter(|_| hashing), scan })
    }

    fn take_scan(&mut self, scan: &Scan, db: &Db<'_>) -> Result<()> {
        let keys = self.keys();
        let measured = &mut self.verification.measured;
        measured.free_bytes = scan.free_pages.saturating_mul(db.page_size());
        measured.status_hash = (keys != KeyDepth::Pages).then_some(scan.hash);
        measured.key_bucket = scan.key_bucket;
        if !scan.is_etcd {
            return Ok(());
        }
        let facts = &scan.facts;
        let counted = matches!(keys, KeyDepth::Live | KeyDepth::History);
        measured.compact_revision = facts.compact_revision();
        // Of a store in which a compaction has left nothing, the compaction is all that tells.
        let last = scan.keyspace.last.map(|r| r.main);
        measured.revision =
            last.or(measured.compact_revision.filter(|_| counted)).map(|last| facts.current_revision(last));
        measured.live_keys = counted.then(|| scan.newest.live());
        measured.revisions = counted.then_some(scan.keyspace.revisions);
        measured.storage_version = storage_version(facts).version.map(|v| v.to_string());
        measured.cluster_version = facts.cluster_version.as_ref().map(Told::to_string);
        measured.consistent_index = facts.consistent_index;
        measured.members = facts.members.iter().map(|m| m.id).collect();
        measured.member_names = facts.members.iter().map(|m| m.name.to_string()).collect();
        measured.alarms = facts
            .alarms
            .iter()
            .map(|a| a.alarm.map_or_else(String::new, |a| format!("{a:?}").to_uppercase()))
            .collect();
        measured.compaction_unfinished = facts.compaction_is_unfinished();
        if let Some(ask) = self.options.ask {
            let seen = evidence::look(scan, db, ask);
            (measured.key_counts, measured.newest_evidence) = (seen.counts, seen.newest);
            measured.protection = protection::asked(scan, db, &ask.protection, self.monitor)?;
        }
        Ok(())
    }

    fn bytes(
        &mut self,
        db: &Db<'_>,
        trailer: Trailer,
        digest: Option<Result<Digests, Box<Corrupt>>>,
        alone: bool,
    ) {
        let (source, size) = (db.source(), db.size());
        let name = source.name();
        let digest = match digest {
            Some(Ok(digest)) => Some(digest),
            Some(Err(corrupt)) => {
                self.found.push(Finding::from_corrupt(&name, *corrupt));
                None
            }
            None => None,
        };
        let payload = digest.as_ref().map(|d| d.payload);
        // A file that ends early has lost its trailer: the 32 bytes at its end are none, unless they fit.
        let matches = match (payload, trailer) {
            (Some(computed), Trailer::Present { digest, .. }) => computed == digest,
            _ => false,
        };
        let lost = trailer.payload(source) < size && !matches;
        if let (Some(computed), Trailer::Present { digest: stored, payload }) = (payload, trailer)
            && !matches
            && !lost
        {
            let wrong = mismatch(&stored, &computed, payload);
            self.found.push(Finding::from_corrupt(&name, wrong));
        }
        self.verification.measured.payload_sha256 = payload;
        let against = self.manifest(source, digest.as_ref());
        let against = self.compared_contents(against);
        self.verification.measured.digests = digest.filter(|_| self.options.digests);
        if self.options.level < Level::Bytes {
            return self.level(Level::Bytes, Outcome::NotRun, "not asked for");
        }
        self.judge_bytes(trailer, against, alone);
    }

    /// What was compared with a trailer or a manifest, or why nothing was.
    fn judge_bytes(&mut self, trailer: Trailer, against: Option<Result<String, String>>, alone: bool) {
        let hashed = match trailer {
            Trailer::Present { payload, .. } | Trailer::Zeroed { payload } => {
                Some(format!("SHA-256 of {payload} bytes against the trailer"))
            }
            Trailer::Absent | Trailer::Cut { .. } | Trailer::Lost { .. } => None,
        };
        match against {
            Some(Ok(compared)) => {
                return self
                    .judge(Level::Bytes, hashed.map_or(compared.clone(), |h| format!("{h}; {compared}")));
            }
            Some(Err(why)) if self.worst(Level::Bytes).is_none() => {
                return self.level(Level::Bytes, Outcome::Inconclusive, why);
            }
            Some(Err(_)) | None => {}
        }
        match trailer {
            _ if self.worst(Level::Bytes).is_some()
                && !matches!(trailer, Trailer::Present { .. } | Trailer::Zeroed { .. }) =>
            {
                self.judge(Level::Bytes, "not all bytes could be read");
            }
            Trailer::Lost { .. } => {
                let why = "the end of the file is missing, and with it the trailer if there was one";
                self.level(Level::Bytes, Outcome::NotRun, why);
            }
            Trailer::Absent if alone => {
                self.level(Level::Bytes, Outcome::Inconclusive, "no trailer to compare with")
            }
            Trailer::Absent => {
                self.level(Level::Bytes, Outcome::NotApplicable, "a member's own database has no trailer")
            }
            Trailer::Cut { .. } => self.level(Level::Bytes, Outcome::NotRun, "the trailer is cut off"),
            Trailer::Present { payload, .. } | Trailer::Zeroed { payload } => {
                self.judge(Level::Bytes, format!("SHA-256 of {payload} bytes against the trailer"));
            }
        }
    }

    fn judge_scan(&mut self, db: &Db<'_>, scan: Option<&Scan>, name: &str) -> Result<()> {
        let Some(scan) = scan else {
            self.level(Level::Pages, Outcome::NotRun, "not asked for");
            self.level(Level::Mvcc, Outcome::NotRun, "not asked for");
            return Ok(());
        };
        let mut all = scan.root.clone();
        scan.buckets.iter().for_each(|b| all.add(&b.stats));
        let detail = format!(
            "{} pages of {} buckets reached, {} free",
            all.pages(),
            scan.buckets.len(),
            scan.free_pages
        );
        let cut = [Code::FileTooShort, Code::Unreadable]
            .iter()
            .any(|code| self.found.all.counts.contains_key(code));
        if cut {
            self.level(Level::Pages, Outcome::Failed, format!("{detail}; others cannot be read"));
        } else {
            self.judge(Level::Pages, detail);
        }
        self.judge_history(db, scan, name);
        self.can_be_restored(db)
    }

    fn judge_history(&mut self, db: &Db<'_>, scan: &Scan, name: &str) {
        if self.keys() != KeyDepth::History {
            self.level(Level::Mvcc, Outcome::NotRun, "not asked for");
            return;
        }
        if !scan.is_etcd && !scan.root_is_whole {
            self.level(
                Level::Mvcc,
                Outcome::NotRun,
                "the root bucket is damaged: which buckets there are cannot be told",
            );
            return;
        }
        if !scan.is_etcd {
            self.level(Level::Mvcc, Outcome::NotApplicable, "the buckets are not etcd's");
            return;
        }
        let newer = consistency::check(scan, db, name, &mut self.found);
        let unknown = newer.filter(|_| self.options.etcd_version.is_none());
        let hash = match &scan.hashkv {
            Some(Ok(hash)) if !pages_are_missing(scan) => {
                self.verification.measured.hashkv = Some(*hash);
                let last = scan.keyspace.last.map_or(0, |r| r.main);
                format!("HashKV {hash} at {}", scan.facts.current_revision(last))
            }
            Some(Err(corrupt)) if !pages_are_missing(scan) => format!("no HashKV, {corrupt}"),
            _ => "no HashKV, pages are missing".to_owned(),
        };
        let detail =
            format!("{} revisions of {} live keys; {hash}", scan.keyspace.revisions, scan.newest.live());
        let damaged = self.worst(Level::Mvcc) == Some(Severity::Damage);
        if pages_are_missing(scan) && !damaged {
            let what = format!("pages are missing, and with them what is to be judged; read: {detail}");
            self.level(Level::Mvcc, Outcome::NotRun, what);
        } else if let Some(version) = unknown.filter(|_| !damaged) {
            let what = format!(
                "{detail}, by the rules of {NEWEST_STORAGE}: what {version} changed, and whether it starts from this, is not known here"
            );
            self.level(Level::Mvcc, Outcome::Inconclusive, Note::with(what, Hint::EtcdVersion));
        } else {
            self.judge(Level::Mvcc, detail);
        }
    }

    /// When the meta page in use or its tree is damaged, whether the other one's tree is whole: that is the way out.
    fn other_meta(&mut self, db: &Db<'_>, name: &str) -> Result<()> {
        let damaged = [Level::Identity, Level::Pages, Level::Mvcc]
            .into_iter()
            .any(|level| self.worst(level) == Some(Severity::Damage));
        let other = db.slots().iter().find(|s| s.number != db.meta_number()).map_or(0, |s| s.number);
        let Some(other) = db.with_meta(other).filter(|o| damaged && o.meta().root != db.meta().root) else {
            return Ok(());
        };
        if self.options.level < Level::Pages {
            return Ok(());
        }
        let part = Relay::new(self.monitor).as_part().without_findings();
        let scan = scan(&other, ScanOptions { limit: 1, gate: None, keys: KeyDepth::Live }, &part)?;
        // A bad first meta page is no fault of the other one's tree.
        let faults = scan
            .faults
            .counts
            .iter()
            .filter(|(code, _)| **code != Code::MetaInvalid)
            .fold(0u64, |n, (_, c)| n.saturating_add(*c));
        let txid = other.meta().txid.0;
        let what = if faults == 0 {
            format!(
                "the tree of the other meta page (txid {txid}) is whole: the state at that commit can be had"
            )
        } else {
            format!("the tree of the other meta page (txid {txid}) is damaged too: {faults} faults")
        };
        self.found.push(Finding::new(
            Code::MetaFallback,
            name,
            At::page(u64::from(other.meta_number()), other.offset_of(Pgid(u64::from(other.meta_number())))),
            what,
        ));
        self.verification.other_meta = Some(OtherMeta { txid, whole: faults == 0, faults });
        Ok(())
    }
}
