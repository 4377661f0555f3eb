//! Passes over the `key` bucket: every stored version handed out, every broken rule noted.

use std::collections::BTreeMap;

use crate::bolt::walk::{Buckets, Shared, Visited, Visitor, walk, walk_back, walk_parallel};
use crate::bolt::{Bucket, Page};
use crate::etcd::{BucketKey, Facts, KeyValue, Revision, schema};
use crate::io::gate::with_read_ahead;
use crate::store::{OwnedKeyValue, TOLD};
use crate::store::{Position, Store};
use crate::words::cause::Cause;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::finding::Code;

/// Does something with stored versions.
pub(super) trait Each {
    fn each(&mut self, key: BucketKey, kv: &KeyValue<'_>, position: Position);
    /// The versions of a page have been handed out.
    fn page_ends(&mut self) {}
    /// Asked between pages: whether nothing more is wanted.
    fn enough(&self) -> bool {
        false
    }
}

/// Main revisions, the first and the last one.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub first: i64,
    pub last: i64,
}

struct Pass<E> {
    each: E,
    span: Span,
    strict: bool,
    faults: Vec<Corrupt>,
    counts: BTreeMap<Code, usize>,
}

impl<E: Each> Pass<E> {
    fn take(&mut self, corrupt: Corrupt) {
        let count = self.counts.entry(corrupt.code).or_default();
        *count = count.saturating_add(1);
        if *count <= TOLD {
            self.faults.push(Corrupt { at: corrupt.at.bucket(b"key"), ..corrupt });
        }
    }
}

impl<E: Each> Visitor for Pass<E> {
    fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
        for element in page.leaves() {
            let at = || page.element_at(element.index).key(element.key);
            if element.is_bucket {
                self.take(*Corrupt::new(Code::RevisionKey, at(), "a bucket stands where a revision is due"));
                continue;
            }
            let key = match BucketKey::parse(element.key) {
                Ok(key) => key,
                Err(why) => {
                    self.take(*Corrupt::new(Code::RevisionKey, at(), why.to_string()));
                    continue;
                }
            };
            // The pages at the ends of the span hold more than it.
            if key.revision.main < self.span.first || key.revision.main > self.span.last {
                continue;
            }
            let at = || At { revision: Some(key.revision.to_string()), ..at() };
            match KeyValue::decode(element.value) {
                Ok(kv) => match kv.check(key, element.value) {
                    Ok(()) => self.each.each(key, &kv, Position::new(page.id, element.index)),
                    Err((code, what)) => self.take(*Corrupt::new(code, at(), what)),
                },
                Err(bad) => {
                    let what = format!("the KeyValue cannot be read past its byte {}", bad.0);
                    self.take(*Corrupt::new(Code::ValueUndecodable, at(), what));
                }
            }
        }
        self.each.page_ends();
    }

    fn fault(&mut self, corrupt: Corrupt) {
        self.take(corrupt);
    }

    fn enough(&self) -> bool {
        self.each.enough() || (self.strict && !self.faults.is_empty())
    }
}

impl<'s> Store<'s> {
    fn pass<E: Each>(&self, each: E, span: Span) -> Pass<E> {
        Pass { each, span, strict: !self.options.allow_damage, faults: Vec::new(), counts: BTreeMap::new() }
    }

    fn bounds(span: Span) -> [Vec<u8>; 2] {
        [span.first.max(0), span.last.saturating_add(1)]
            .map(|main| BucketKey { revision: Revision { main, sub: 0 }, tombstone: false }.to_bytes())
    }

    /// Every stored version in the span, on all threads: each of the parts that were made gets its own in order, and
    /// comes before the next.
    pub(super) fn parallel<E: Each + Send>(&self, span: Span, make: impl Fn() -> E + Sync) -> Result<Vec<E>> {
        if !self.options.allow_damage {
            let parts =
                self.forward(span, |keys, shared| walk_parallel(keys, shared, || self.pass(make(), span)))?;
            if !parts.iter().any(|part| part.counts.contains_key(&Code::PageShared)) {
                return self.judged(parts);
            }
        }
        // On one thread the answer is the same each time, see `settled`.
        self.in_order(span, make())
    }

    /// Every stored version in the span, on one thread, in order.
    pub(super) fn in_order<E: Each>(&self, span: Span, each: E) -> Result<Vec<E>> {
        let parts = self.forward(span, |keys, shared| {
            let mut pass = self.pass(each, span);
            walk(keys, shared, &mut pass);
            vec![pass]
        })?;
        self.judged(parts)
    }

    fn forward<E>(
        &self,
        span: Span,
        walk: impl FnOnce(&Bucket<'_, 's>, Shared<'_>) -> Vec<Pass<E>>,
    ) -> Result<Vec<Pass<E>>> {
        let Some(keys) = self.keys_bucket()? else { return Ok(Vec::new()) };
        let [from, until] = Self::bounds(span);
        let visited = Visited::new(&self.db);
        self.monitor.begin("reading keys", self.db.size());
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

    fn judged<E>(&self, parts: Vec<Pass<E>>) -> Result<Vec<E>> {
        let mut each = Vec::new();
        let mut faults = Vec::new();
        for part in parts {
            faults.extend(part.faults);
            each.push(part.each);
        }
        self.judge(&faults)?;
        self.check_cancelled()?;
        Ok(each)
    }

    /// Versions from the last one of the span towards the first, page by page, until one of the parts `enough`. Where
    /// a page is reached twice they are gone through twice, the second time on one thread.
    fn backward<E: Each + Send>(
        &self,
        span: Span,
        make: impl Fn() -> E + Sync,
        mut enough: impl FnMut(E) -> bool,
    ) -> Result<()> {
        let Some(keys) = self.keys_bucket()? else { return Ok(()) };
        let [from, until] = Self::bounds(span);
        let strict = !self.options.allow_damage;
        for alone in [!strict, true] {
            let visited = Visited::new(&self.db);
            let shared = Shared {
                from: Some(&from),
                until: Some(&until),
                alone,
                ..Shared::new(&visited, self.monitor)
            };
            self.monitor.begin("reading keys backwards", self.db.size());
            let mut faults = Vec::new();
            walk_back(
                &keys,
                shared,
                || self.pass(make(), span),
                |part| {
                    let damaged = strict && !part.faults.is_empty();
                    faults.extend(part.faults);
                    enough(part.each) || damaged
                },
            );
            self.monitor.end();
            if alone || !faults.iter().any(|fault| fault.code == Code::PageShared) {
                self.judge(&faults)?;
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
        impl Each for Find<'_> {
            fn each(&mut self, at: BucketKey, kv: &KeyValue<'_>, _: Position) {
                if kv.key == self.key && self.found.as_ref().is_none_or(|(before, _)| *before < at) {
                    self.found = Some((at, (*kv).into()));
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
            Span { first: 0, last: revision },
            || Find { key, found: None },
            |part| {
                found = part.found;
                found.is_some()
            },
        )?;
        Ok(found)
    }

    /// The main part of the last stored revision; 0 when there is none.
    pub(super) fn last_revision(&self) -> Result<i64> {
        struct Last(Option<i64>);
        impl Each for Last {
            fn each(&mut self, at: BucketKey, _: &KeyValue<'_>, _: Position) {
                self.0 = self.0.max(Some(at.revision.main));
            }
            fn enough(&self) -> bool {
                self.0.is_some()
            }
        }
        let mut last = None;
        self.backward(
            Span { first: 0, last: i64::MAX },
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
        struct Small<'f> {
            bucket: &'f [u8],
            facts: &'f mut Facts,
            faults: Vec<Corrupt>,
        }
        impl Visitor for Small<'_> {
            fn leaf(&mut self, page: &Page<'_>, _: Option<usize>) {
                for element in page.leaves() {
                    if let Err(why) = self.facts.take(self.bucket, element.key, element.value) {
                        self.fault(*Corrupt::new(
                            Code::ValueUndecodable,
                            page.element_at(element.index).key(element.key),
                            why,
                        ));
                    }
                }
            }
            fn fault(&mut self, mut corrupt: Corrupt) {
                corrupt.at = corrupt.at.bucket(self.bucket);
                if self.faults.len() < TOLD {
                    self.faults.push(corrupt);
                }
            }
        }
        let db = &self.db;
        let visited = Visited::new(db);
        let shared = Shared::new(&visited, self.monitor);
        let mut top = Buckets::new(db);
        walk(&db.root(), shared, &mut top);
        let root_at = At::page(db.meta().root.0, db.offset_of(db.meta().root));
        let names = || top.found.iter().map(|b| b.name.as_slice());
        let missing = schema::missing(names(), &root_at);
        if missing.is_empty() && top.faults.is_empty() && !schema::is_etcd(names()) {
            let cause = Cause::NotEtcds { buckets: top.found.len() };
            return Err(Error::unreadable(self.source().path(), cause));
        }
        let mut faults: Vec<Corrupt> = top.faults.into_iter().chain(missing).collect();
        let mut facts = Facts::default();
        let small = |b: &&Bucket<'_, '_>| {
            b.name != b"key" && (wanted.is_empty() || wanted.contains(&b.name.as_slice()))
        };
        for bucket in top.found.iter().filter(small) {
            let mut small = Small { bucket: &bucket.name, facts: &mut facts, faults: Vec::new() };
            walk(bucket, shared, &mut small);
            faults.extend(small.faults);
        }
        self.judge(&faults)?;
        Ok(facts)
    }
}
