//! All places in a database, each once, however many versions of it there are.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::look::look;
use super::named::{Exposed, ExposedField, Look};
use crate::bolt::Db;
use crate::codec::to_u64;
use crate::io::parallel::map_each;
use crate::kube::decode::{NoObject, Object};
use crate::kube::envelope::is_encrypted;
use crate::kube::places::ObjectPlaces;
use crate::kube::versions::{FreeValues, ValuePlace, Wanted, each_version};
use crate::store::ValueOpener;
use crate::store::scan::Scan;
use crate::words::monitor::Monitor;
use crate::words::text::Told;

/// Values and bytes of them that are looked at together, by all threads.
const BATCH: usize = 1 << 12;
const BATCH_BYTES: usize = 8 << 20;
/// Values that one thread takes at a time.
const PART: usize = 64;

/// An object, or what else there is, with secrets in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposure {
    /// What lies there.
    pub what: Exposed,
    /// As `secrets` or `deployments.apps`; empty for what is no object.
    pub resource: Told,
    /// Its namespace, if it is in one.
    pub namespace: Told,
    /// Its name.
    pub name: Told,
    /// The type of a Secret.
    #[serde(rename = "type", skip_serializing_if = "Told::is_empty")]
    pub kind_of_secret: Told,
    /// Where in it, in any of its versions.
    pub fields: Vec<ExposedField>,
    /// When the first certificate in it ends, or the bootstrap token that it is: of the live version, if there is one.
    #[serde(serialize_with = "text", skip_serializing_if = "Option::is_none")]
    pub ends: Option<Timestamp>,
    /// Whether it is live.
    pub live: bool,
    /// Earlier versions and deleted ones that are stored.
    pub history: u64,
    /// Versions in free pages that are stored no more.
    pub free: u64,
    /// How many of all these are encrypted, and were opened: who has the file alone cannot read them.
    pub encrypted: u64,
}

/// What is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct ExposureOptions<'o> {
    /// Objects in this namespace only.
    pub namespace: Option<&'o str>,
    /// What opens encrypted values.
    pub opener: Option<ValueOpener<'o>>,
}

fn text<S: Serializer>(time: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| time.to_string()).serialize(serializer)
}

/// All of them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ExposureReport {
    /// By what they are, then by where.
    pub places: Vec<Exposure>,
    /// Versions that lie where objects do.
    pub versions: u64,
    /// Versions of other objects than Secrets that are encrypted, and were not looked into.
    pub encrypted: u64,
    /// Versions that are no objects, or cannot be decoded.
    pub undecoded: u64,
    /// What free pages hold.
    pub free_pages: FreeValues,
}

/// What it is, by group and resource in its key, namespace and name.
type Id = (Exposed, String, String, String, String);

#[derive(Default)]
struct Sum {
    kind_of_secret: String,
    fields: BTreeSet<ExposedField>,
    ends: Option<Timestamp>,
    live: bool,
    history: u64,
    free: u64,
    encrypted: u64,
}

struct Item {
    key: Vec<u8>,
    id: [String; 4],
    place: ValuePlace,
    value: Vec<u8>,
}

enum Seen {
    /// And whether it was encrypted.
    Looks(Vec<Look>, bool),
    Encrypted,
    Undecoded,
}

/// Looks at every version of every object.
#[must_use]
pub fn exposures(
    db: &Db<'_>,
    scan: &Scan,
    places: &ObjectPlaces,
    options: ExposureOptions<'_>,
    monitor: &dyn Monitor,
) -> ExposureReport {
    let ExposureOptions { namespace, opener } = options;
    let wanted = Wanted { places, only: None, namespace, times: false };
    let mut gather = Gather { opener, ..Gather::default() };
    let free_pages = each_version(db, scan, &wanted, monitor, &mut |found| {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let id = [
            text(found.at.group),
            text(Some(found.at.resource)),
            text(found.at.namespace),
            text(Some(found.at.name)),
        ];
        gather.bytes = gather.bytes.saturating_add(found.value.len());
        let (key, value) = (found.key.to_vec(), found.value.to_vec());
        gather.batch.push(Item { key, id, place: found.place, value });
        if gather.batch.len() >= BATCH || gather.bytes >= BATCH_BYTES {
            gather.look();
        }
    });
    gather.look();
    let called = |group: &str, resource: &str| wanted.called(group, resource);
    let places = gather.sums.into_iter().map(|(id, sum)| place(id, sum, &called)).collect();
    ExposureReport { places, free_pages, ..gather.report }
}

fn place(id: Id, sum: Sum, called: &dyn Fn(&str, &str) -> String) -> Exposure {
    let (what, group, resource, namespace, name) = id;
    Exposure {
        what,
        resource: called(&group, &resource).into(),
        namespace: namespace.into(),
        name: name.into(),
        kind_of_secret: sum.kind_of_secret.into(),
        fields: sum.fields.into_iter().collect(),
        ends: sum.ends,
        live: sum.live,
        history: sum.history,
        free: sum.free,
        encrypted: sum.encrypted,
    }
}

#[derive(Default)]
struct Gather<'o> {
    opener: Option<ValueOpener<'o>>,
    batch: Vec<Item>,
    bytes: usize,
    sums: BTreeMap<Id, Sum>,
    report: ExposureReport,
}

impl Gather<'_> {
    fn look(&mut self) {
        let batch = std::mem::take(&mut self.batch);
        self.bytes = 0;
        self.report.versions = self.report.versions.saturating_add(to_u64(batch.len()));
        let opener = self.opener;
        let seen: Vec<_> = map_each(&batch, PART, |item| see(item, opener)).collect();
        for (item, seen) in batch.into_iter().zip(seen) {
            let count = match seen {
                Seen::Looks(looks, encrypted) => {
                    looks.into_iter().for_each(|look| self.add(&item, look, encrypted));
                    continue;
                }
                Seen::Encrypted => &mut self.report.encrypted,
                Seen::Undecoded => &mut self.report.undecoded,
            };
            *count = count.saturating_add(1);
        }
    }

    fn add(&mut self, item: &Item, look: Look, encrypted: bool) {
        let [group, resource, namespace, name] = item.id.clone();
        let sum = self.sums.entry((look.what, group, resource, namespace, name)).or_default();
        sum.fields.extend(look.fields);
        sum.encrypted = sum.encrypted.saturating_add(u64::from(encrypted));
        let live = item.place == ValuePlace::Live;
        if live {
            (sum.live, sum.ends, sum.kind_of_secret) = (true, look.ends, look.kind_of_secret);
            return;
        }
        if !sum.live {
            sum.ends = [sum.ends, look.ends].into_iter().flatten().min();
            sum.kind_of_secret = look.kind_of_secret;
        }
        let count = if item.place == ValuePlace::History { &mut sum.history } else { &mut sum.free };
        *count = count.saturating_add(1);
    }
}

fn see(item: &Item, opener: Option<ValueOpener<'_>>) -> Seen {
    let [group, resource, ..] = &item.id;
    let plain = opener.and_then(|opener| opener.open(&item.key, &item.value));
    let (value, opened) = (plain.as_deref().unwrap_or(&item.value), plain.is_some());
    if is_encrypted(value) {
        let secret = group.is_empty() && resource == "secrets";
        let look = || Seen::Looks(vec![Look::of(Exposed::EncryptedSecret)], false);
        return if secret { look() } else { Seen::Encrypted };
    }
    match Object::decode(value) {
        Ok(object) => Seen::Looks(look(&object), opened),
        Err(NoObject::Encrypted(_)) => Seen::Encrypted,
        Err(NoObject::Other | NoObject::Bad(..)) => Seen::Undecoded,
    }
}
