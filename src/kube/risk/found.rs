//! Rules over all objects of a keyspace, and over those that differ between two.

use std::collections::hash_map::RandomState;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::BuildHasher;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::object::{field, inside, items, text};
use super::rule::{Risk, RiskRule, RiskSeverity};
use super::{access, changes, pods, rbac};
use crate::codec::to_u64;
use crate::io::Window;
use crate::io::parallel::map_each;
use crate::kube::cluster::{Cluster, Scope, StoredObject};
use crate::kube::decode::{NoObject, Object};
use crate::kube::key::{KeyKind, ObjectKey};
use crate::store::KeyState;
use crate::store::diff::{DiffOptions, DifferenceKind, diff};
use crate::words::error::Result;
use crate::words::text::Told;

/// Objects that one thread takes at a time.
const PART: usize = 64;

/// What makes pods, and is looked at before them.
const OWNERS: [&str; 7] = [
    "cronjobs",
    "daemonsets",
    "deployments",
    "jobs",
    "replicasets",
    "replicationcontrollers",
    "statefulsets",
];

/// What else rules are about.
const LOOKED_AT: [&str; 22] = [
    "apiservices",
    "certificatesigningrequests",
    "clusterrolebindings",
    "clusterroles",
    "configmaps",
    "customresourcedefinitions",
    "deploymentconfigs",
    "mutatingadmissionpolicies",
    "mutatingadmissionpolicybindings",
    "mutatingwebhookconfigurations",
    "namespaces",
    "networkpolicies",
    "persistentvolumes",
    "pods",
    "podtemplates",
    "rolebindings",
    "roles",
    "secrets",
    "services",
    "validatingadmissionpolicies",
    "validatingadmissionpolicybindings",
    "validatingwebhookconfigurations",
];

/// What is looked at.
#[derive(Debug, Clone, Copy, Default)]
pub struct RiskOptions<'o> {
    /// Objects in this namespace only.
    pub namespace: Option<&'o str>,
    /// Also the roles and bindings that every API server makes by itself.
    pub own: bool,
}

/// One risk of one object.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RiskFound {
    /// What, and to whom.
    #[serde(flatten)]
    pub risk: Risk,
    /// Group and version, as `apps/v1`; empty for what is etcd's own.
    pub api_version: Told,
    /// The kind, as `Deployment`.
    pub kind: Told,
    /// Its namespace, if it is in one.
    #[serde(skip_serializing_if = "Told::is_empty")]
    pub namespace: Told,
    /// Its name.
    pub name: Told,
    /// The revision of its last change; of what is gone, of the last before.
    pub mod_revision: i64,
    /// The last entry of its managed fields: who wrote, and when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written: Option<Written>,
    /// Whether it is what every API server gives by itself.
    pub own: bool,
}

/// Who wrote an object last, as its managed fields say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Written {
    /// The manager: a program, as it calls itself.
    pub by: Told,
    /// When.
    #[serde(serialize_with = "time")]
    pub at: Timestamp,
}

fn time<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What is new.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewRisk {
    /// How the object differs.
    pub difference: DifferenceKind,
    /// What it is now.
    #[serde(flatten)]
    pub found: RiskFound,
}

/// What was looked at, and what was found in all.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RiskReport {
    /// Objects that rules are about; between two keyspaces those that differ.
    pub objects: u64,
    /// How many times each rule spoke.
    pub rules: BTreeMap<RiskRule, u64>,
    /// What is the API server's own and was left out.
    pub own: u64,
    /// Objects that are encrypted, and were not looked into.
    pub encrypted: u64,
    /// Values that cannot be decoded.
    pub undecoded: u64,
}

impl RiskReport {
    fn count(&mut self, risk: &Risk) {
        let count = self.rules.entry(risk.rule).or_default();
        *count = count.saturating_add(1);
    }

    fn hide(&mut self, hidden: Hidden) {
        let count = match hidden {
            Hidden::Encrypted => &mut self.encrypted,
            Hidden::Undecoded => &mut self.undecoded,
        };
        *count = count.saturating_add(1);
    }
}

/// All that is said of one object, whatever it was before; each once.
#[must_use]
pub fn risks_of(object: &Object) -> Vec<Risk> {
    let mut found = Vec::new();
    match &*object.kind {
        "ClusterRole" | "ClusterRoleBinding" | "Role" | "RoleBinding" => rbac::of(object, &mut found),
        _ => {
            pods::of(object, &mut found);
            access::of(object, &mut found);
        }
    }
    found.sort();
    found.dedup();
    found
}

/// Why an object was not looked into.
#[derive(Clone, Copy)]
enum Hidden {
    Encrypted,
    Undecoded,
}

fn decode(value: &[u8]) -> Result<Object, Hidden> {
    Object::decode(value).map_err(|why| match why {
        NoObject::Encrypted(_) => Hidden::Encrypted,
        NoObject::Other | NoObject::Bad(..) => Hidden::Undecoded,
    })
}

/// Hands out what rules say of each object, in order of the keys, until `take` breaks off. Two passes: what makes pods
/// first. Memory is a few thousand objects, and the risks of all that makes pods.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
pub fn risks(
    cluster: &Cluster<'_>,
    options: RiskOptions<'_>,
    take: &mut dyn FnMut(RiskFound) -> ControlFlow<()>,
) -> Result<RiskReport> {
    let owners = Owners::of(cluster)?;
    let mut report = RiskReport::default();
    let scope = Scope { namespace: options.namespace, ..Scope::default() };
    cluster.batches(&scope, &|key| key.object().is_some_and(|key| is_looked_at(&key)), &mut |batch| {
        report.objects = report.objects.saturating_add(to_u64(batch.len()));
        for seen in map_each(batch, PART, |stored| said(stored, &owners)) {
            let found = match seen {
                Ok(found) => found,
                Err(hidden) => {
                    report.hide(hidden);
                    continue;
                }
            };
            // Where nothing was before, nothing is new.
            for found in found.into_iter().filter(|found| found.risk.rule != RiskRule::ImageRegistry) {
                if found.own && !options.own {
                    report.own = report.own.saturating_add(1);
                    continue;
                }
                report.count(&found.risk);
                if take(found).is_break() {
                    return ControlFlow::Break(());
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(report)
}

fn said(stored: &StoredObject, owners: &Owners) -> Result<Vec<RiskFound>, Hidden> {
    let object = decode(&stored.kv.value)?;
    let risks = owners.judged(&object);
    Ok(risks.into_iter().map(|risk| RiskFound::of(&object, stored.kv.mod_revision, risk)).collect())
}

/// Hands out what the second keyspace has of risks that the first has not, in order of the keys, until `take` breaks
/// off; registries and etcd's own users last. Of memory it takes what [`risks`] does.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when one of the two cannot be read.
pub fn new_risks(
    before: &Cluster<'_>,
    after: &Cluster<'_>,
    wanted: &dyn Fn(&ObjectKey<'_>) -> bool,
    take: &mut dyn FnMut(NewRisk) -> ControlFlow<()>,
) -> Result<RiskReport> {
    let windows = [Window::scattered(), Window::scattered()];
    let owners = Owners::of(after)?;
    let mut work = Work { before, after, owners, windows, images: Vec::new(), report: RiskReport::default() };
    let (mut done, mut flow) = (Ok(()), ControlFlow::Continue(()));
    let keys = DiffOptions { content_only: true, ..DiffOptions::default() };
    diff(before.view(), after.view(), &keys, &mut |difference| {
        let key = |cluster: &Cluster<'_>| {
            cluster.key(difference.key).object().is_some_and(|key| is_looked_at(&key) && wanted(&key))
        };
        if !key(before) && !key(after) {
            return ControlFlow::Continue(());
        }
        match work.differs(difference.kind, difference.before, difference.after) {
            Ok(found) => {
                flow = found.into_iter().try_for_each(|found| work.tell(found, take));
                flow
            }
            Err(error) => {
                done = Err(error);
                ControlFlow::Break(())
            }
        }
    })?;
    done?;
    if flow.is_continue() {
        work.registries(take)?;
    }
    Ok(work.report)
}

struct Work<'w> {
    before: &'w Cluster<'w>,
    after: &'w Cluster<'w>,
    owners: Owners,
    windows: [Window; 2],
    /// Registries of what differs: whether they are new is known at the end.
    images: Vec<NewRisk>,
    report: RiskReport,
}

impl Work<'_> {
    fn tell(&mut self, new: NewRisk, take: &mut dyn FnMut(NewRisk) -> ControlFlow<()>) -> ControlFlow<()> {
        if new.found.risk.rule == RiskRule::ImageRegistry {
            self.images.push(new);
            return ControlFlow::Continue(());
        }
        self.report.count(&new.found.risk);
        take(new)
    }

    /// What is new of an object; of what cannot be decoded on one side nothing is known.
    fn differs(
        &mut self,
        kind: DifferenceKind,
        before: Option<&KeyState>,
        after: Option<&KeyState>,
    ) -> Result<Vec<NewRisk>> {
        self.report.objects = self.report.objects.saturating_add(1);
        let [one, other] = &mut self.windows;
        let a = before.map(|state| self.before.view().value(state, one, decode)).transpose()?;
        let b = after.map(|state| self.after.view().value(state, other, decode)).transpose()?;
        let (a, b) = match (a.transpose(), b.transpose()) {
            (Ok(a), Ok(b)) => (a, b),
            (Err(hidden), _) | (_, Err(hidden)) => {
                self.report.hide(hidden);
                return Ok(Vec::new());
            }
        };
        let mut risks = changes::of(a.as_ref(), b.as_ref());
        if let Some(b) = &b {
            let old = a.as_ref().map(|a| self.owners.all(a)).unwrap_or_default();
            risks.extend(self.owners.judged(b).into_iter().filter(|risk| !old.contains(risk)));
            risks.extend(a.as_ref().and_then(|a| runs_another(a, b)));
        }
        let revision = after.or(before).map_or(0, |state| state.revision.main);
        let Some(object) = b.as_ref().or(a.as_ref()) else { return Ok(Vec::new()) };
        let found = |risk| NewRisk { difference: kind, found: RiskFound::of(object, revision, risk) };
        Ok(risks.into_iter().map(found).collect())
    }

    fn registries(&mut self, take: &mut dyn FnMut(NewRisk) -> ControlFlow<()>) -> Result<()> {
        let images = std::mem::take(&mut self.images);
        let mut known = BTreeSet::new();
        if !images.is_empty() {
            let wanted =
                |key: KeyKind<'_>| key.object().is_some_and(|key| key.resource == "pods" || is_owner(&key));
            self.before.batches(&Scope::default(), &wanted, &mut |batch| {
                for object in map_each(batch, PART, |stored| decode(&stored.kv.value)) {
                    let risks = object.map(|object| risks_of(&object)).unwrap_or_default();
                    known.extend(risks.into_iter().filter(|risk| risk.rule == RiskRule::ImageRegistry));
                }
                ControlFlow::Continue(())
            })?;
        }
        for new in images.into_iter().filter(|new| !known.contains(&new.found.risk)) {
            self.report.count(&new.found.risk);
            if take(new).is_break() {
                return Ok(());
            }
        }
        let [before, after] = [self.before, self.after].map(|cluster| cluster.view().store().facts());
        let after = after?;
        for risk in changes::of_auth(&before?.auth, &after.auth) {
            self.report.count(&risk);
            let found = RiskFound::of_etcd(risk, self.after.view().revision());
            if take(NewRisk { difference: DifferenceKind::Changed, found }).is_break() {
                break;
            }
        }
        Ok(())
    }
}

impl RiskFound {
    fn of(object: &Object, mod_revision: i64, risk: Risk) -> RiskFound {
        RiskFound {
            api_version: object.api_version.clone().into(),
            kind: object.kind.clone().into(),
            namespace: object.namespace().to_owned().into(),
            name: object.name().to_owned().into(),
            mod_revision,
            written: written(object),
            own: rbac::is_own(object, &risk),
            risk,
        }
    }

    fn of_etcd(risk: Risk, mod_revision: i64) -> RiskFound {
        let nothing = Told::default();
        let (kind, name) = ("etcd".to_owned().into(), "auth".to_owned().into());
        let (api_version, namespace) = (nothing.clone(), nothing);
        RiskFound { risk, api_version, kind, namespace, name, mod_revision, written: None, own: false }
    }
}

fn written(object: &Object) -> Option<Written> {
    let entries = items(inside(field(object, "metadata"), "managedFields")).iter();
    let newest = entries.filter_map(|entry| Some((text(entry, "time").parse::<Timestamp>().ok()?, entry)));
    let (at, entry) = newest.max_by_key(|(at, _)| *at)?;
    Some(Written { by: text(entry, "manager").to_owned().into(), at })
}

/// That what is root on its node runs something else than before.
fn runs_another(before: &Object, after: &Object) -> Option<Risk> {
    let high = |risk: &Risk| risk.rule.severity() == RiskSeverity::High;
    let was = pods::runs(before);
    let differs = !was.is_empty() && was != pods::runs(after);
    let detail = pods::images(after).into();
    (differs && risks_of(after).iter().any(high)).then_some(Risk { rule: RiskRule::WorkloadChanged, detail })
}

/// What is said of all that makes pods, and of all roles, by kind, namespace and name.
struct Owners {
    owners: BTreeMap<(String, String, String), Owner>,
    hashes: RandomState,
}

struct Owner {
    uid: String,
    risks: Vec<Risk>,
    /// A hash of what its containers run, with a key of this run's own.
    runs: u64,
}

impl Owners {
    fn of(cluster: &Cluster<'_>) -> Result<Owners> {
        let mut owners = BTreeMap::new();
        let wanted = |key: KeyKind<'_>| key.object().is_some_and(|key| is_owner(&key) || is_role(&key));
        let hashes = RandomState::new();
        cluster.batches(&Scope::default(), &wanted, &mut |batch| {
            for owner in map_each(batch, PART, |stored| decode(&stored.kv.value)) {
                let Ok(owner) = owner else { continue };
                let id = (owner.kind.clone(), owner.namespace().to_owned(), owner.name().to_owned());
                let uid = owner.metadata("uid").unwrap_or_default().to_owned();
                let runs = hashes.hash_one(pods::runs(&owner));
                owners.insert(id, Owner { uid, risks: risks_of(&owner), runs });
            }
            ControlFlow::Continue(())
        })?;
        Ok(Owners { owners, hashes })
    }

    /// All that is said of an object, also by way of the role that it gives.
    fn all(&self, object: &Object) -> Vec<Risk> {
        let mut risks = risks_of(object);
        if rbac::is_binding(object) {
            risks.extend(self.given(object));
        }
        risks
    }

    /// What a binding gives by its role. All rights are a rule of their own.
    fn given(&self, object: &Object) -> Vec<Risk> {
        let id = rbac::role_of(object);
        let (kind, _, role) = &id;
        let Some(owner) = self.owners.get(&id).filter(|_| role != "cluster-admin") else { return Vec::new() };
        // That a role may grow gives nothing now.
        let allow = owner.risks.iter().filter(|risk| risk.rule != RiskRule::RbacAggregates);
        let mut rules: Vec<&str> = allow.map(|risk| risk.rule.name()).collect();
        rules.dedup();
        if rules.is_empty() {
            return Vec::new();
        }
        let rules = rules.join(", ");
        let risk = |who| Risk {
            rule: RiskRule::RbacBound,
            detail: format!("{who}: {kind} {role} ({rules})").into(),
        };
        rbac::subjects(object).map(|(.., who)| risk(who)).collect()
    }

    /// The same without what is said of the owner already. That it is called an owner is not enough: it must be there
    /// under the uid, and run the same; what it has not is the object's own.
    fn judged(&self, object: &Object) -> Vec<Risk> {
        let mut risks = self.all(object);
        let idle = field(object, "spec").get("replicas").and_then(Value::as_u64) == Some(0);
        for reference in items(inside(field(object, "metadata"), "ownerReferences")) {
            let [kind, name, uid] = ["kind", "name", "uid"].map(|field| text(reference, field).to_owned());
            let Some(owner) = self.owners.get(&(kind, object.namespace().to_owned(), name)) else { continue };
            if owner.uid == uid && (idle || owner.runs == self.hashes.hash_one(pods::runs(object))) {
                risks.retain(|risk| !owner.risks.contains(risk));
            }
        }
        risks
    }
}

fn is_role(key: &ObjectKey<'_>) -> bool {
    matches!(key.resource, "roles" | "clusterroles")
}

fn is_owner(key: &ObjectKey<'_>) -> bool {
    OWNERS.contains(&key.resource)
}

fn is_looked_at(key: &ObjectKey<'_>) -> bool {
    is_owner(key) || LOOKED_AT.contains(&key.resource)
}
