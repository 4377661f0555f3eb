//! Passes over the `key` bucket: every stored version handed out, every broken rule noted.

use std::ops::RangeInclusive;

use crate::bolt::Bucket;
use crate::bolt::walk::{Shared, Visited, walk, walk_back, walk_parallel};
use crate::etcd::small::{self, Small};
use crate::etcd::stored::{self, OnFault, Reader, Revisions, Stored};
use crate::etcd::{BucketKey, Facts, Revision, schema};
use crate::io::gate::with_read_ahead;
use crate::store::{OwnedKeyValue, Store, TOLD};
use crate::words::cause::Cause;
use crate::words::error::{Corrupt, Error, Result};
use crate::words::finding::Code;

/// Main revisions, the first and the last one.
pub(super) type Span = RangeInclusive<i64>;

impl Store<'_> {
    fn reader<R: Revisions>(&self, to: R, span: &Span) -> Reader<R> {
        let policy = if self.options.allow_damage { OnFault::Tell(TOLD) } else { OnFault::Strict(TOLD) };
        Reader::within(span.clone(), to, policy)
    }

    fn bounds(span: &Span) -> [Vec<u8>; 2] {
        [(*span.start()).max(0), span.end().saturating_add(1)]
            .map(|main| BucketKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes())
    }

    /// Every stored version in the span, on all threads: each of the parts that were made gets its own in order, and
    /// comes before the next.
    pub(super) fn parallel<R: Revisions + Send>(
        &self,
        span: Span,
        make: impl Fn() -> R + Sync,
    ) -> Result<Vec<R>> {
        if !self.options.allow_damage {
            let parts = self
                .forward(&span, |keys, shared| walk_parallel(keys, shared, || self.reader(make(), &span)))?;
            if !parts.iter().any(|part| part.faults.counts.contains_key(&Code::PageShared)) {
                return self.judged(parts);
            }
        }
        // On one thread the answer is the same each time, see `walk_or_rerun_alone`.
        self.in_order(span, make())
    }

    /// Every stored version in the span, on one thread, in order.
    pub(super) fn in_order<R: Revisions>(&self, span: Span, to: R) -> Result<Vec<R>> {
        let parts = self.forward(&span, |keys, shared| {
            let mut reader = self.reader(to, &span);
            walk(keys, shared, &mut reader);
            vec![reader]
        })?;
        self.judged(parts)
    }

    fn forward<R>(
        &self,
        span: &Span,
        walk: impl FnOnce(&Bucket<'_, '_>, Shared<'_>) -> Vec<Reader<R>>,
    ) -> Result<Vec<Reader<R>>> {
        let db = self.db();
        let Some(keys) = self.keys_bucket(&db)? else { return Ok(Vec::new()) };
        let [from, until] = Self::bounds(span);
        let visited = Visited::new(&db);
        self.monitor.begin("reading keys", db.size());
        let parts = with_read_ahead(self.source(), |gate| {
            walk(
                &keys,
                Shared {
                    gate,
                    from: Some(&from),
                    until: Some(&until),
                    ..Shared::new(&visited, self.monitor)
                },
            )
        });
        self.monitor.end();
        Ok(parts)
    }

    fn judged<R>(&self, parts: Vec<Reader<R>>) -> Result<Vec<R>> {
        let mut all = Vec::new();
        let mut faults = Vec::new();
        for part in parts {
            faults.extend(part.faults.kept);
            all.push(part.to);
        }
        self.tell_or_fail(&faults)?;
        self.check_cancelled()?;
        Ok(all)
    }

    /// Versions from the last one of the span towards the first, page by page, until one of the parts `enough`. Where
    /// a page is reached twice they are gone through twice, the second time on one thread.
    fn backward<R: Revisions + Send>(
        &self,
        span: Span,
        make: impl Fn() -> R + Sync,
        mut enough: impl FnMut(R) -> bool,
    ) -> Result<()> {
        let db = self.db();
        let Some(keys) = self.keys_bucket(&db)? else { return Ok(()) };
        let [from, until] = Self::bounds(&span);
        let strict = !self.options.allow_damage;
        for alone in [!strict, true] {
            let visited = Visited::new(&db);
            let shared = Shared {
                from: Some(&from),
                until: Some(&until),
                alone,
                ..Shared::new(&visited, self.monitor)
            };
            self.monitor.begin("reading keys backwards", db.size());
            let mut faults = Vec::new();
            walk_back(
                &keys,
                shared,
                || self.reader(make(), &span),
                |part| {
                    let damaged = strict && !part.faults.is_empty();
                    faults.extend(part.faults.kept);
                    enough(part.to) || damaged
                },
            );
            self.monitor.end();
            if alone || !faults.iter().any(|fault| fault.code == Code::PageShared) {
                self.tell_or_fail(&faults)?;
                break;
            }
        }
        self.check_cancelled()
    }

    /// The newest version of a key up to a revision.
    pub(super) fn find(&self, key: &[u8], revision: i64) -> Result<Option<(BucketKey, OwnedKeyValue)>> {
        struct Find<'k> {
            key: &'k [u8],
            found: Option<(BucketKey, OwnedKeyValue)>,
        }
        impl Revisions for Find<'_> {
            fn each(&mut self, stored: &Stored<'_>) {
                let Stored { key: at, kv, .. } = *stored;
                if kv.key == self.key && self.found.as_ref().is_none_or(|(before, _)| *before < at) {
                    self.found = Some((at, kv.into()));
                }
            }
            fn enough(&self) -> bool {
                self.found.is_some()
            }
        }
        if key.is_empty() {
            return Ok(None);
        }
        let mut found = None;
        self.backward(
            0..=revision,
            || Find { key, found: None },
            |part| {
                found = part.found;
                found.is_some()
            },
        )?;
        Ok(found.map(|(at, mut kv)| {
            if let Some(plain) = self.opener.and_then(|opener| opener.open(&kv.key, &kv.value)) {
                kv.value = plain;
            }
            (at, kv)
        }))
    }

    /// The main part of the last stored revision; 0 when there is none.
    pub(super) fn last_revision(&self) -> Result<i64> {
        struct Last(Option<i64>);
        impl Revisions for Last {
            fn each(&mut self, stored: &Stored<'_>) {
                self.0 = self.0.max(Some(stored.key.revision.main));
            }
            fn enough(&self) -> bool {
                self.0.is_some()
            }
        }
        let mut last = None;
        self.backward(
            0..=i64::MAX,
            || Last(None),
            |part| {
                last = part.0;
                last.is_some()
            },
        )?;
        Ok(last.unwrap_or(0))
    }

    /// What these of the small buckets say; none are all of them.
    pub(super) fn small_buckets(&self, wanted: &[&[u8]]) -> Result<Facts> {
        let wanted = |name: &[u8]| name != stored::BUCKET && (wanted.is_empty() || wanted.contains(&name));
        let db = self.db();
        let small = small::read(&db, &wanted, TOLD, self.monitor);
        let Small { top, missing, .. } = &small;
        let is_etcd = schema::is_etcd(top.found.iter().map(|bucket| bucket.name.as_slice()));
        if missing.is_empty() && top.faults.is_empty() && !is_etcd {
            let cause = Cause::NotEtcds { buckets: top.found.len() };
            return Err(Error::unreadable(self.source().path(), cause));
        }
        let faults: Vec<Corrupt> = small.all_faults().cloned().collect();
        self.tell_or_fail(&faults)?;
        Ok(small.facts)
    }
}
