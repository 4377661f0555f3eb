//! `carve`: versions of keys that are stored no more and are in the file, or in the log beside it, all the same.

mod log;

pub use self::log::{CarvedRequest, Condition, LogCarve, LogCarveReport, Superfluous};

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::ops::ControlFlow;

use serde::Serialize;

use crate::bolt::{Cursor, Db};
use crate::codec::{to_u64, to_usize};
use crate::etcd::{BucketKey, KeyRange, KeyValue, datadir, stored};
use crate::io::Window;
use crate::ops::protection::scanned;
use crate::store::Store;
use crate::store::carve::{CarveCounts, Carved, begun, carve as each_carved};
use crate::words::error::{Corrupt, Error, Result};
use crate::words::monitor::{Monitor, Relay};

/// Which versions.
#[derive(Clone, Copy)]
pub struct CarveOptions<'o> {
    /// Of these keys.
    pub wanted: &'o dyn Fn(&[u8]) -> bool,
    /// Only of keys that are not live any more.
    pub deleted_only: bool,
}

/// A version of a key that is stored no more.
#[derive(Debug, Clone, Copy)]
pub struct CarvedVersion<'c> {
    /// Its revision, and whether it is a deletion.
    pub key: BucketKey,
    /// What was put, as far as it is there: of a deletion the key only.
    pub kv: KeyValue<'c>,
    /// Where the KeyValue is in the file.
    pub offset: u64,
    /// The number of the element, if the page is still a leaf page that has it.
    pub element: Option<u32>,
    /// Whether the value is there to its end.
    pub whole: bool,
    /// Whether the file stores another version under this revision: then one of the two is of another history.
    pub contradicts: bool,
    /// The revision (main) that the key is live at now.
    pub live: Option<i64>,
}

/// What was found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CarveReport {
    /// What was gone through.
    #[serde(flatten)]
    pub counts: CarveCounts,
    /// Versions that are stored no more, each once.
    pub versions: u64,
    /// Of these: deletions.
    pub deletions: u64,
    /// Of these: those whose value is not there to its end.
    pub cut: u64,
    /// Other copies of the same, or of what is still stored.
    pub copies: u64,
}

/// A place where one was found.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    key: BucketKey,
    /// Whole ones first, and of those that are cut the longest.
    cut: bool,
    left: Reverse<u64>,
    /// A hash of the bytes.
    hash: u64,
    element: Option<u32>,
    offset: u64,
    /// Whether the file stores another one.
    contradicts: bool,
}

/// Looks through every page that no tree holds, and behind the end of the others; hands out what was found in the order
/// of the revisions. What is still stored, live or in history, is not handed out.
///
/// Memory is some 70 bytes for each version, and the keys.
///
/// # Errors
/// As [`Store::at`]; [`Error::Cancelled`].
pub fn carve(
    store: &Store<'_>,
    options: CarveOptions<'_>,
    monitor: &dyn Monitor,
    take: &mut dyn FnMut(&CarvedVersion<'_>) -> ControlFlow<()>,
) -> Result<CarveReport> {
    let source = store.source();
    let db = datadir::database(source)?;
    let scan = scanned(store, &db, monitor)?;
    let part = Relay::new(monitor).as_part().without_findings();
    monitor.begin("carving", source.len());
    let mut gather = Gather::default();
    let counts = each_carved(&db, &scan.reached, store.revision(), &part, &mut |carved| {
        if (options.wanted)(carved.kv.key) {
            gather.take(carved);
        }
        ControlFlow::Continue(())
    });
    monitor.end();
    if monitor.cancelled() {
        return Err(Error::Cancelled);
    }
    for state in store.at(None)?.keys(KeyRange::all()) {
        let state = state?;
        if let Some(live) = gather.keys.get_mut(&*state.key) {
            *live = Some(state.revision.main);
        }
    }
    let Gather { places, keys, .. } = gather;
    let found = to_u64(places.len());
    let places = not_stored(&db, places).map_err(|corrupt| Error::damaged(source.path(), corrupt))?;
    let copies = found.saturating_sub(to_u64(places.len()));
    let mut report = CarveReport { counts, copies, ..CarveReport::default() };
    let mut window = Window::scattered();
    for place in places {
        let bytes = window.get(source, place.offset, to_usize(place.left.0));
        let bytes = bytes.map_err(|corrupt| Error::damaged(source.path(), corrupt))?;
        let kv = match place.element {
            Some(_) => KeyValue::decode(bytes).ok(),
            None => begun(place.key, bytes).map(|(kv, ..)| kv),
        };
        let Some(kv) = kv else { continue };
        let live = keys.get(kv.key).copied().flatten();
        if options.deleted_only && live.is_some() {
            continue;
        }
        report.count(&place);
        let opener = store.opener().filter(|_| !place.key.tombstone && !place.cut);
        let plain = opener.and_then(|opener| opener.open(kv.key, kv.value));
        let kv = plain.as_deref().map_or(kv, |value| KeyValue { value, ..kv });
        let Place { key, offset, element, contradicts, .. } = place;
        let version = CarvedVersion { key, kv, offset, element, whole: !place.cut, contradicts, live };
        if take(&version).is_break() {
            break;
        }
    }
    Ok(report)
}

impl CarveReport {
    fn count(&mut self, place: &Place) {
        self.versions = self.versions.saturating_add(1);
        self.deletions = self.deletions.saturating_add(u64::from(place.key.tombstone));
        self.cut = self.cut.saturating_add(u64::from(place.cut));
    }
}

/// Where versions were found, and the keys of these with the revisions that they are live at.
#[derive(Default)]
struct Gather {
    places: Vec<Place>,
    keys: HashMap<Box<[u8]>, Option<i64>>,
    hashed: RandomState,
}

impl Gather {
    fn take(&mut self, carved: &Carved<'_>) {
        self.places.push(Place {
            key: carved.key,
            cut: !carved.whole,
            left: Reverse(to_u64(carved.bytes.len())),
            hash: self.hashed.hash_one(carved.bytes),
            element: carved.element.and_then(|index| u32::try_from(index).ok()),
            offset: carved.offset,
            contradicts: false,
        });
        if !self.keys.contains_key(carved.kv.key) {
            self.keys.insert(carved.kv.key.into(), None);
        }
    }
}

/// Those that the file does not store, each once and in order: of a revision a whole one, and what differs from it.
fn not_stored(db: &Db<'_>, mut places: Vec<Place>) -> Result<Vec<Place>, Box<Corrupt>> {
    places.sort();
    places.dedup_by(|next, kept| next.key == kept.key && (next.cut || next.hash == kept.hash));
    if let Some(stored) = &db.root().bucket(stored::BUCKET)? {
        let (mut cursor, mut window) = (stored.cursor(), Window::scattered());
        places.retain_mut(|place| {
            let bytes = window.get(db.source(), place.offset, to_usize(place.left.0)).unwrap_or_default();
            let still = still(&mut cursor, place.key, bytes);
            place.contradicts = still == Some(false);
            still != Some(true)
        });
    }
    Ok(places)
}

/// Whether what is stored under this revision begins with these bytes; `None` if nothing is.
fn still(cursor: &mut Cursor<'_, '_>, key: BucketKey, bytes: &[u8]) -> Option<bool> {
    let key = key.to_bytes();
    let item = cursor.seek(&key).ok().flatten().filter(|item| item.key == key)?;
    Some(item.value.starts_with(bytes))
}
