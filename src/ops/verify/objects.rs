//! Level objects: the Kubernetes objects in a keyspace, one by one and against each other.
//!
//! Two walks over the live keys: the first learns where objects lie, as a definition may come after what it defines;
//! the second decodes each value, on all threads. What is kept of an object is its uid and those of its owners, by
//! their numbers: names are read again for what is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{Level, Outcome, Run, pages_are_missing};
use crate::bolt::Db;
use crate::codec::array_at;
use crate::codec::checksum::sha256;
use crate::etcd::stored::{self, BUCKET, Revisions, Stored};
use crate::etcd::{BucketKey, KeyValue, Revision};
use crate::io::parallel::map_each;
use crate::kube::decode::{NoObject, Object};
use crate::kube::envelope::{is_encrypted, or_none};
use crate::kube::key::KeyKind;
use crate::kube::places::ObjectPlaces;
use crate::ops::live_keys::{is_live, places};
use crate::store::ValueOpener;
use crate::store::scan::Scan;
use crate::words::corrupt::At;
use crate::words::error::{Error, Result};
use crate::words::finding::{Code, Finding};
use crate::words::monitor::{Monitor, Relay};
use crate::words::text::show_bytes;

/// Objects and bytes of them that are decoded at a time, by all threads.
const BATCH: usize = 1 << 13;
const BATCH_BYTES: usize = 8 << 20;
/// Objects that one thread takes at a time.
const PART: usize = 64;

/// A uid: of the form that Kubernetes gives it its number, of any other a hash.
fn number(uid: &str) -> u128 {
    let digits: String = uid.chars().filter(|c| *c != '-').collect();
    let hex = digits.len() == 32 && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    let form = hex && uid.len() == 36;
    u128::from_str_radix(&digits, 16)
        .ok()
        .filter(|_| form)
        .or_else(|| array_at(&sha256(uid.as_bytes()), 0).map(u128::from_be_bytes))
        .unwrap_or_default()
}

/// A live value that an API server wrote.
struct Item {
    revision: Revision,
    key: Vec<u8>,
    value: Vec<u8>,
}

/// What is wrong with one object.
type Fault = (Code, String);

/// What one value is.
#[derive(Default)]
struct Look {
    faults: Vec<Fault>,
    encrypted: Option<String>,
    decoded: bool,
    uid: Option<u128>,
    owners: Vec<u128>,
    namespace: Option<String>,
    /// If it is one, or its key says so.
    is_namespace: Option<String>,
}

impl Look {
    fn at(item: &Item, places: &ObjectPlaces, opener: Option<ValueOpener<'_>>) -> Look {
        let mut look = Look::default();
        let key = places.key(&item.key);
        if let KeyKind::Object(key) = key {
            look.namespace = key
                .namespace
                .map(str::to_owned)
                .filter(|_| places.resource_at(&key).is_some_and(|resource| resource.namespaced));
            let namespace = key.resource == "namespaces" && key.group.is_none() && key.namespace.is_none();
            look.is_namespace = namespace.then(|| key.name.to_owned());
        }
        let plain = opener.and_then(|opener| opener.open(&item.key, &item.value));
        match Object::decode(plain.as_deref().unwrap_or(&item.value)) {
            Ok(object) => look.object(&key, &object, places),
            Err(NoObject::Encrypted(encrypted)) => {
                look.encrypted = Some(show_bytes(or_none(encrypted.provider).as_bytes()));
                look.faults.extend(opener.and_then(|opener| opener.why(&item.key, &item.value)));
            }
            Err(NoObject::Other) if is_encrypted(&item.value) => {
                let what =
                    "it begins as an encrypted value and does not say by what: its prefix is not whole";
                look.faults.push((Code::ObjectCiphertext, what.to_owned()));
            }
            Err(NoObject::Other) => {
                let what =
                    format!("its {} bytes are no object of Kubernetes, and not encrypted", item.value.len());
                look.faults.push((Code::ObjectForeign, what));
            }
            Err(NoObject::Bad(encoding, at)) => {
                let (name, len) = (encoding.name(), item.value.len());
                let what = format!(
                    "its {len} bytes begin as an object in {name} and cannot be one past byte {}",
                    at.0
                );
                look.faults.push((Code::ObjectUndecodable, what));
            }
        }
        look
    }

    fn object(&mut self, key: &KeyKind<'_>, object: &Object, places: &ObjectPlaces) {
        self.decoded = true;
        let unknown: Vec<_> = object.unknown.iter().filter(|field| !field.is_empty()).collect();
        if !object.known {
            let what = format!("kind {:?} of {:?} is not known", object.kind, object.api_version);
            self.faults.push((Code::ObjectUnknownFields, what));
        } else if let Some(first) = unknown.first() {
            let of = if first.path.is_empty() { "the object" } else { &first.path };
            let what = format!(
                "{} fields are not known, the first is number {} of {of}",
                unknown.len(),
                first.number
            );
            self.faults.push((Code::ObjectUnknownFields, what));
        }
        let KeyKind::Object(key) = key else { return };
        if let Some(what) = places.disagreement(key, object) {
            self.faults.push((Code::ObjectMisplaced, what));
        }
        self.uid = object.metadata("uid").filter(|uid| !uid.is_empty()).map(number);
        let owners = object.json.get("metadata").and_then(|all| all.get("ownerReferences")?.as_array());
        let uids = owners.into_iter().flatten().filter_map(|owner| owner.get("uid")?.as_str());
        self.owners = uids.filter(|uid| !uid.is_empty()).map(number).collect();
        if !object.namespace().is_empty() {
            self.namespace = Some(object.namespace().to_owned());
        }
        if object.kind == "Namespace" && object.group().is_empty() && !object.name().is_empty() {
            self.is_namespace = Some(object.name().to_owned());
        }
    }
}

/// What all values come to.
#[derive(Default)]
struct Sum {
    objects: u64,
    decoded: u64,
    encrypted: BTreeMap<String, u64>,
    undecoded: u64,
    uids: HashMap<u128, Revision>,
    /// A uid's first and another revision.
    twice: Vec<(Revision, Revision)>,
    owned: Vec<(u128, Revision)>,
    namespaces: BTreeSet<String>,
    /// Objects in each, and the first.
    inside: BTreeMap<String, (u64, Revision)>,
}

/// Gathers live values, and looks at as many at a time as are to be in memory together.
struct Gather<'g, 'm> {
    scan: &'g Scan,
    places: &'g ObjectPlaces,
    opener: Option<ValueOpener<'g>>,
    monitor: &'g dyn Monitor,
    batch: Vec<Item>,
    bytes: usize,
    sum: Sum,
    say: &'g mut (dyn FnMut(Code, At, String) + 'm),
}

impl Revisions for Gather<'_, '_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let KeyValue { key, value, .. } = stored.kv;
        if !is_live(self.scan, stored) || matches!(self.places.key(key), KeyKind::Other) {
            return;
        }
        self.bytes = self.bytes.saturating_add(value.len());
        let (key, value) = (key.to_vec(), value.to_vec());
        self.batch.push(Item { revision: stored.key.revision, key, value });
        if self.batch.len() >= BATCH || self.bytes >= BATCH_BYTES {
            self.look();
        }
    }

    fn enough(&self) -> bool {
        self.monitor.cancelled()
    }
}

impl Gather<'_, '_> {
    fn look(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        let (places, opener) = (self.places, self.opener);
        let looks = map_each(&batch, PART, |item| Look::at(item, places, opener));
        for (item, look) in batch.iter().zip(looks) {
            self.add(item, look);
        }
    }

    fn add(&mut self, item: &Item, look: Look) {
        for (code, what) in look.faults {
            (self.say)(code, place(item.revision, &item.key), what);
        }
        let (sum, one) = (&mut self.sum, |n: &mut u64| *n = n.saturating_add(1));
        one(&mut sum.objects);
        match look.encrypted {
            Some(provider) => one(sum.encrypted.entry(provider).or_default()),
            None if look.decoded => one(&mut sum.decoded),
            None => one(&mut sum.undecoded),
        }
        if let Some(uid) = look.uid {
            let first = *sum.uids.entry(uid).or_insert(item.revision);
            if first != item.revision {
                sum.twice.push((first, item.revision));
            }
        }
        sum.owned.extend(look.owners.into_iter().map(|owner| (owner, item.revision)));
        sum.namespaces.extend(look.is_namespace);
        if let Some(namespace) = look.namespace {
            one(&mut sum.inside.entry(namespace).or_insert((0, item.revision)).0);
        }
    }
}

fn place(revision: Revision, key: &[u8]) -> At {
    At { revision: Some(revision.to_string()), ..At::default().key(key) }
}

impl Run<'_> {
    /// The level, if it was asked for.
    pub(super) fn objects(&mut self, db: &Db<'_>, scan: Option<&Scan>, name: &str) -> Result<()> {
        let Some(scan) = scan.filter(|_| self.options.level >= Level::Objects) else { return Ok(()) };
        if !scan.is_etcd {
            self.level(Level::Objects, Outcome::NotApplicable, "the buckets are not etcd's");
            return Ok(());
        }
        if pages_are_missing(scan) {
            let what = "pages are missing, and with them objects: which there are cannot be told";
            self.level(Level::Objects, Outcome::NotRun, what);
            return Ok(());
        }
        let monitor = Relay::new(self.monitor).as_part().without_findings().without_progress();
        let opener = self.options.opener;
        let places = places(scan, db, opener, &monitor);
        if places.is_empty() {
            let what = "no live key and value are those of a Kubernetes API server";
            self.level(Level::Objects, Outcome::NotApplicable, what);
            return Ok(());
        }
        let found = &mut self.found;
        let mut say = |code, at, what: String| found.push(Finding::new(code, name, at, what));
        let gather = Gather {
            scan,
            places: &places,
            opener,
            monitor: &monitor,
            batch: Vec::new(),
            bytes: 0,
            sum: Sum::default(),
            say: &mut say,
        };
        let mut gathered = stored::skim(db, &monitor, gather);
        gathered.look();
        let sum = gathered.sum;
        if self.monitor.cancelled() {
            return Err(Error::Cancelled);
        }
        let unsure = self.against_each_other(db, &sum, name);
        self.judge_objects(&sum, unsure);
        Ok(())
    }

    /// What objects say of one another. Returns how many owners may be among what could not be looked into.
    fn against_each_other(&mut self, db: &Db<'_>, sum: &Sum, name: &str) -> u64 {
        for (first, other) in &sum.twice {
            self.tell(Code::ObjectUidTwice, name, || {
                let (one, two) = (key_at(db, *first), key_at(db, *other));
                let what = format!("its uid is also that of {}, revision {first}", show_bytes(&one));
                (place(*other, &two), what)
            });
        }
        let (hidden, mut unsure) = (sum.decoded < sum.objects, 0u64);
        for (owner, owned) in sum.owned.iter().filter(|(owner, _)| !sum.uids.contains_key(owner)) {
            if hidden {
                unsure = unsure.saturating_add(1);
                continue;
            }
            self.tell(Code::ObjectOwnerGone, name, || {
                (place(*owned, &key_at(db, *owned)), owner_at(db, *owned, *owner))
            });
        }
        for (namespace, (count, first)) in
            sum.inside.iter().filter(|(namespace, _)| !sum.namespaces.contains(*namespace))
        {
            self.tell(Code::ObjectNamespaceGone, name, || {
                let what = format!(
                    "namespace {namespace:?} is not there; of {count} objects in it this is the first"
                );
                (place(*first, &key_at(db, *first)), what)
            });
        }
        unsure
    }

    /// One more finding; of one that is only counted nothing is read again.
    fn tell(&mut self, code: Code, name: &str, what: impl FnOnce() -> (At, String)) {
        let found = self.found.all.counts.get(&code).copied().unwrap_or(0);
        if found < self.found.all.limit() {
            let (at, what) = what();
            self.found.push(Finding::new(code, name, at, what));
        } else {
            self.found.all.count(code);
        }
    }

    fn judge_objects(&mut self, sum: &Sum, unsure: u64) {
        let mut detail = format!(
            "{} of {} objects decoded, in {} namespaces",
            sum.decoded,
            sum.objects,
            sum.namespaces.len()
        );
        if sum.undecoded > 0 {
            detail.push_str(&format!("; {} are none", sum.undecoded));
        }
        let encrypted = sum.encrypted.values().fold(0u64, |all, n| all.saturating_add(*n));
        if encrypted > 0 {
            let by = sum.encrypted.iter().map(|(provider, n)| format!("{provider} {n}")).collect::<Vec<_>>();
            detail.push_str(&format!(
                "; {encrypted} are encrypted and were not looked into ({})",
                by.join(", ")
            ));
        }
        if unsure > 0 {
            detail.push_str(&format!("; whether {unsure} owners are there cannot be told"));
        }
        if encrypted > 0 && self.worst(Level::Objects) != Some(super::Severity::Damage) {
            self.level(Level::Objects, Outcome::Inconclusive, detail);
        } else {
            self.judge(Level::Objects, detail);
        }
    }
}

/// Reads what is stored at a revision again.
fn stored_at<R>(db: &Db<'_>, revision: Revision, with: impl FnOnce(&KeyValue<'_>) -> R) -> Option<R> {
    let key = BucketKey { revision, tombstone: false };
    let value = db.root().bucket(BUCKET).ok()??.get(&key.to_bytes()).ok()??;
    stored::read_value(key, &value).ok().map(|kv| with(&kv))
}

fn key_at(db: &Db<'_>, revision: Revision) -> Vec<u8> {
    stored_at(db, revision, |kv| kv.key.to_vec()).unwrap_or_default()
}

/// The owner of that number, as the object at a revision names it.
fn owner_at(db: &Db<'_>, revision: Revision, owner: u128) -> String {
    let named = stored_at(db, revision, |kv| {
        let object = Object::decode(kv.value).ok()?;
        let owners = object.json.get("metadata")?.get("ownerReferences")?.as_array()?;
        let text = |value: &serde_json::Value, name| value.get(name)?.as_str().map(str::to_owned);
        let found = owners.iter().find(|one| text(one, "uid").is_some_and(|uid| number(&uid) == owner))?;
        let part = |name| text(found, name).unwrap_or_default();
        Some(format!("its owner, {} {:?} of uid {:?}, is not there", part("kind"), part("name"), part("uid")))
    });
    named.flatten().unwrap_or_else(|| "its owner is not there".to_owned())
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn a_uid_is_its_number_and_anything_else_a_hash() {
        assert_eq!(number("00000000-0000-0000-0000-0000000000ff"), 255);
        for other in ["", "ff", "00000000-0000-0000-0000-0000000000FF", "000000000000000000000000000000ff"] {
            assert_ne!(number(other), 255, "{other}");
        }
        assert_ne!(number("a"), number("b"));
    }
}
