//! Which rows are printed.

use clap::builder::NonEmptyStringValueParser;
use coldbolt::etcd::KeyRange;
use coldbolt::kube::audit::AuditEvent;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::extract::Chosen;
use coldbolt::kube::key::KeyKind;
use coldbolt::kube::places::ObjectPlaces;
use coldbolt::kube::resource::Resource;
use coldbolt::ops::timeline::{Happening, Timeline};
use coldbolt::store::Store;
use jiff::Timestamp;

use crate::cli::context::Fail;
use crate::cli::keyspace::Which;
use crate::cli::kube::get;

/// Which rows are wanted.
#[derive(Debug, clap::Args)]
pub struct Wanted {
    #[command(flatten)]
    which: Which,
    /// Only this Kubernetes object, or all of a kind: KIND/NAME or KIND, as `kube get` takes it.
    #[arg(long, alias = "object", value_name = "KIND[/NAME]", conflicts_with_all = ["prefix", "key"])]
    kind: Option<String>,
    /// With --kind: only in this namespace.
    #[arg(short, long, value_name = "NAMESPACE", requires = "kind")]
    namespace: Option<String>,
    /// Only what may have happened at this time or revision, or later.
    #[arg(long, value_name = "TIME|REVISION", value_parser = moment)]
    since: Option<Moment>,
    /// Only what may have happened at this time or revision, or before.
    #[arg(long, value_name = "TIME|REVISION", value_parser = moment)]
    until: Option<Moment>,
    /// Only what this manager of fields wrote, or this user asked for.
    #[arg(long, value_name = "MANAGER", value_parser = NonEmptyStringValueParser::new())]
    who: Option<String>,
    /// Leave out what is written all the time: Leases, Events, and the API server's own leases. They tell the times all
    /// the same.
    #[arg(long)]
    no_heartbeats: bool,
}

impl Wanted {
    /// Whether no row can be.
    pub fn is_nothing(&self) -> bool {
        match (self.since, self.until) {
            (Some(Moment::Time(since)), Some(Moment::Time(until))) => since > until,
            (Some(Moment::Revision(since)), Some(Moment::Revision(until))) => since > until,
            _ => false,
        }
    }
}

/// A place in the order.
#[derive(Debug, Clone, Copy)]
enum Moment {
    Time(Timestamp),
    Revision(i64),
}

fn moment(text: &str) -> Result<Moment, String> {
    if let Ok(revision) = text.parse() {
        return Ok(Moment::Revision(revision));
    }
    let what = "a time is written as 2026-03-04T05:06:07Z, a revision as 105";
    text.parse().map(Moment::Time).map_err(|_| what.to_owned())
}

/// Which rows are printed.
pub struct Filter<'f> {
    wanted: &'f Wanted,
    chosen: Option<Vec<Chosen>>,
    told: &'f Timeline<'f>,
}

impl<'f> Filter<'f> {
    pub fn of(
        wanted: &'f Wanted,
        store: Option<&Store<'_>>,
        prefix: Option<&str>,
        told: &'f Timeline<'f>,
    ) -> Result<Filter<'f>, Fail> {
        let (Some(object), Some(store)) = (&wanted.kind, store) else {
            return Ok(Filter { wanted, chosen: None, told });
        };
        let cluster = Cluster::open(store.at(None)?, prefix)?;
        let namespace = |resource: Option<&Resource>| {
            wanted.namespace.clone().filter(|_| resource.is_none_or(|resource| resource.namespaced))
        };
        let chosen = get::wanted(object, &[], &cluster)?.into_iter().map(|kind| Chosen {
            namespace: namespace(kind.resource.as_ref()),
            resource: kind.resource,
            names: kind.names,
        });
        let chosen = Some(chosen.collect());
        Ok(Filter { wanted, chosen, told })
    }

    /// What is filtered.
    pub fn told(&self) -> &'f Timeline<'f> {
        self.told
    }

    pub fn takes(&self, row: &Happening<'_>) -> bool {
        self.takes_key(row) && self.takes_time(row) && self.takes_who(row)
    }

    fn takes_key(&self, row: &Happening<'_>) -> bool {
        // A deletion of several keys may be of each in its range.
        if let Some((first, end)) = row.range {
            return self.takes_range(&KeyRange::request(first, end));
        }
        if self.wanted.no_heartbeats && row.key.is_some_and(|key| is_heartbeat(self.told.places.key(key))) {
            return false;
        }
        if let Some(chosen) = &self.chosen {
            let key = row.key.and_then(|key| self.told.places.key(key).object());
            let of_key = key.is_some_and(|key| chosen.iter().any(|one| one.takes(&key)));
            let asked = row.audit.filter(|_| row.key.is_none());
            return of_key || asked.is_some_and(|event| chosen.iter().any(|one| is_of(one, event)));
        }
        let range = self.wanted.which.range();
        range.is_none_or(|range| row.key.is_some_and(|key| range.contains(key)))
    }

    fn takes_range(&self, range: &KeyRange<'_>) -> bool {
        match &self.chosen {
            Some(chosen) => {
                let mut keys = chosen.iter().flat_map(|chosen| keys_of(chosen, &self.told.places));
                keys.any(|key| match &key {
                    Keys::One(key) => range.contains(key.as_bytes()),
                    Keys::Below(prefix) => range.meets(&KeyRange::prefix(prefix.as_bytes())),
                })
            }
            None => self.wanted.which.range().is_none_or(|wanted| range.meets(&wanted)),
        }
    }

    fn takes_time(&self, row: &Happening<'_>) -> bool {
        let first = row.revision.map(|(main, _)| main).or(row.after);
        let last = row.revision.map_or(row.until, |(main, _)| Some(main));
        let since = match self.wanted.since {
            Some(Moment::Revision(since)) => last.is_none_or(|last| last >= since),
            Some(Moment::Time(since)) => row.between.not_after.is_none_or(|time| time >= since),
            None => true,
        };
        since
            && match self.wanted.until {
                Some(Moment::Revision(until)) => first.is_none_or(|first| first <= until),
                // Times are printed to the second: one that was copied from there is all of it.
                Some(Moment::Time(until)) => {
                    row.between.not_before.is_none_or(|time| time.as_second() <= until.as_second())
                }
                None => true,
            }
    }

    fn takes_who(&self, row: &Happening<'_>) -> bool {
        let Some(who) = &self.wanted.who else { return true };
        let user = row.audit.is_some_and(|event| event.user == *who || event.impersonated == *who);
        user || row.who.split(", ").any(|manager| manager == who)
    }
}

/// Where chosen objects may lie.
enum Keys {
    One(String),
    Below(String),
}

/// The keys of objects that are chosen, behind each prefix that there is.
fn keys_of(chosen: &Chosen, places: &ObjectPlaces) -> Vec<Keys> {
    let Chosen { resource, namespace, names } = chosen;
    let below = |prefix: &str| {
        let Some(resource) = resource else { return vec![Keys::Below(format!("{prefix}/"))] };
        let mut place = format!("{prefix}/{}/", resource.path());
        match namespace {
            Some(namespace) => place += &format!("{namespace}/"),
            None if resource.namespaced => return vec![Keys::Below(place)],
            None => {}
        }
        match names.is_empty() {
            true => vec![Keys::Below(place)],
            false => names.iter().map(|name| Keys::One(format!("{place}{name}"))).collect(),
        }
    };
    places.prefixes().flat_map(below).collect()
}

/// Whether a key is of what is written all the time.
fn is_heartbeat(key: KeyKind<'_>) -> bool {
    match key {
        KeyKind::Object(key) => key.group.is_none() && matches!(key.resource, "leases" | "events"),
        KeyKind::Bookkeeping(path) => {
            path.starts_with("masterleases/") || path.starts_with("peerserverleases/")
        }
        KeyKind::Other => false,
    }
}

/// Whether a request was about what is chosen.
fn is_of(chosen: &Chosen, event: &AuditEvent) -> bool {
    let kind = |resource: &Resource| resource.plural == event.resource && resource.group == event.group;
    let named = chosen.names.is_empty() || chosen.names.contains(&event.name);
    named
        && chosen.resource.as_ref().is_none_or(kind)
        && chosen.namespace.as_ref().is_none_or(|namespace| *namespace == event.namespace)
}
