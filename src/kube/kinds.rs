//! What a keyspace holds of each kind.

use std::collections::BTreeMap;

use super::cluster::Cluster;
use super::decode::{Encoding, Glance, NoObject};
use super::envelope::or_none;
use super::key::{KeyKind, ObjectKey};
use crate::etcd::KeyRange;
use crate::io::Window;
use crate::io::parallel::map_chunks;
use crate::store::KeyState;
use crate::words::error::Result;

/// Keys that are looked at together, and of these so many on one core.
const BATCH: usize = 16_384;
const CHUNK: usize = 512;

/// What is stored of one kind in one version.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct KindReport {
    /// The group; empty for the core group.
    pub group: String,
    /// The version in which it is stored; empty where only the keys are readable.
    pub version: String,
    /// The kind; of what is encrypted as its key tells.
    pub kind: String,
    /// The resource, as the keys have it.
    pub resource: String,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Live objects.
    pub objects: u64,
    /// Versions that are stored of them and of deleted ones, deletions included.
    pub stored_versions: u64,
    /// Bytes of all these, keys and values.
    pub bytes: u64,
    /// How they are encoded, with the number of objects.
    pub encodings: BTreeMap<String, u64>,
    /// Objects with fields that are not known.
    pub unknown_fields: u64,
    /// Objects that could not be decoded.
    pub undecoded: u64,
}

/// What the keys of an API server are.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize)]
pub struct KindsReport {
    /// By resource, group and version.
    pub kinds: Vec<KindReport>,
    /// Keys that an API server keeps for itself.
    pub bookkeeping: u64,
    /// Other keys.
    pub other: u64,
    /// Objects whose key says something else than they do.
    pub misplaced: u64,
}

impl Cluster<'_> {
    /// Counts what is there, by kind and version.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn kinds(&self) -> Result<KindsReport> {
        let (mut report, mut rows) = (KindsReport::default(), BTreeMap::new());
        let mut states = self.view().keys(KeyRange::all()).with_deleted().fuse();
        loop {
            let batch = states.by_ref().take(BATCH).collect::<Result<Vec<_>>>()?;
            if batch.is_empty() {
                break;
            }
            for part in map_chunks(&batch, CHUNK, |states| self.kinds_of(states)) {
                let part = part?;
                report.bookkeeping = report.bookkeeping.saturating_add(part.bookkeeping);
                report.other = report.other.saturating_add(part.other);
                report.misplaced = report.misplaced.saturating_add(part.misplaced);
                part.kinds.into_iter().for_each(|row| add_row(&mut rows, row));
            }
        }
        Ok(KindsReport { kinds: merged(rows.into_values()), ..report })
    }

    /// The kinds of some keys.
    fn kinds_of(&self, states: &[KeyState]) -> Result<KindsReport> {
        let (mut report, mut rows, mut window) = (KindsReport::default(), Rows::new(), Window::scattered());
        for state in states {
            let key = match self.key(&state.key) {
                KeyKind::Object(key) => key,
                other => {
                    let own = matches!(other, KeyKind::Bookkeeping(_));
                    let sum = if own { &mut report.bookkeeping } else { &mut report.other };
                    *sum = sum.saturating_add(u64::from(!state.deleted));
                    continue;
                }
            };
            let resource = self.resources().iter().find(|resource| resource.holds(&key));
            let mut row = KindReport { resource: key.resource.to_owned(), ..KindReport::default() };
            row.group = key.group.or(resource.map(|r| &*r.group)).unwrap_or_default().to_owned();
            row.kind = resource.map_or_else(String::new, |resource| resource.kind.clone());
            row.namespaced = resource.map_or(key.namespace.is_some(), |resource| resource.namespaced);
            if !state.deleted {
                let misplaced = self.view().value(state, &mut window, |value| row.look(value, &key))?;
                report.misplaced = report.misplaced.saturating_add(u64::from(misplaced));
            }
            row.stored_versions = state.revisions;
            row.bytes = state.bytes;
            add_row(&mut rows, row);
        }
        Ok(KindsReport { kinds: rows.into_values().collect(), ..report })
    }
}

/// By resource, group, version and kind.
type Rows = BTreeMap<(String, String, String, String), KindReport>;

fn add_row(rows: &mut Rows, row: KindReport) {
    let at = (row.resource.clone(), row.group.clone(), row.version.clone(), row.kind.clone());
    match rows.get_mut(&at) {
        None => drop(rows.insert(at, row)),
        Some(sum) => KindReport::add(sum, row),
    }
}

impl KindReport {
    /// Looks at a live object; whether it says that it is of another place.
    fn look(&mut self, value: &[u8], key: &ObjectKey<'_>) -> bool {
        self.objects = 1;
        let encoding = match Glance::of(value) {
            Ok(glance) => {
                self.group = glance.group().to_owned();
                self.version = glance.version().to_owned();
                self.unknown_fields = u64::from(glance.unknown);
                self.encodings.insert(glance.encoding.name().to_owned(), 1);
                let agrees = key.is_of(glance.group(), &glance.namespace, &glance.name);
                self.kind = glance.kind;
                return !agrees;
            }
            Err(NoObject::Encrypted(encrypted)) => format!("encrypted ({})", or_none(encrypted.provider)),
            Err(NoObject::Other) => "other".to_owned(),
            Err(NoObject::Bad(encoding, _)) => format!("{} (broken)", Encoding::name(encoding)),
        };
        self.undecoded = 1;
        self.encodings.insert(encoding, 1);
        false
    }

    fn add(&mut self, other: KindReport) {
        for (sum, more) in [
            (&mut self.objects, other.objects),
            (&mut self.stored_versions, other.stored_versions),
            (&mut self.bytes, other.bytes),
            (&mut self.unknown_fields, other.unknown_fields),
            (&mut self.undecoded, other.undecoded),
        ] {
            *sum = sum.saturating_add(more);
        }
        for (encoding, more) in other.encodings {
            let sum = self.encodings.entry(encoding).or_default();
            *sum = sum.saturating_add(more);
        }
    }
}

/// What only has a key, as it is encrypted or deleted, goes with the readable ones of its resource, if all of these are
/// of one kind and version.
fn merged(rows: impl Iterator<Item = KindReport>) -> Vec<KindReport> {
    let (readable, mut others): (Vec<_>, Vec<_>) = rows.partition(|row| !row.version.is_empty());
    let mut merged = readable;
    for other in others.drain(..) {
        let mut same =
            merged.iter_mut().filter(|row| row.resource == other.resource && !row.version.is_empty());
        match (same.next(), same.next()) {
            (Some(row), None) => row.add(other),
            _ => merged.push(other),
        }
    }
    merged.sort_by(|a, b| {
        (&a.group, &a.resource, &a.version, &a.kind).cmp(&(&b.group, &b.resource, &b.version, &b.kind))
    });
    merged
}
