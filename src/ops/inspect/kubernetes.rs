//! What `inspect` tells of a Kubernetes cluster whose objects a database holds: which version wrote it, nodes,
//! namespaces, how many objects of what. No file says the version: it is inferred, and the reasons are named.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::decode::Object;
use crate::kube::envelope::Form;
use crate::kube::k3s::BOOTSTRAP;
use crate::kube::key::{KeyKind, ObjectKey};
use crate::kube::places::ObjectPlaces;
use crate::kube::version::{VersionClues, kubelet};
use crate::ops::live_keys::{is_live, places};
use crate::store::scan::Scan;
use crate::words::monitor::{Monitor, Relay};
use crate::words::text::Told;

/// A cluster, as far as its keys and some of its objects tell.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KubernetesReport {
    /// The version of the API server, or the lowest that it can be; `None` where nothing tells.
    pub version: Option<Told>,
    /// Whether it may be a newer one.
    pub at_least: bool,
    /// What tells it, and what else was told of versions.
    pub reasons: Vec<Told>,
    /// `k3s` or `rke2`, or either, where servers of these keep what they share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub distribution: Option<&'static str>,
    /// The nodes, with the versions of their kubelets.
    pub nodes: BTreeMap<Told, Option<Told>>,
    /// The API servers, by the hosts that their identity Leases name.
    pub api_servers: BTreeSet<Told>,
    /// The namespaces.
    pub namespaces: BTreeSet<Told>,
    /// Live objects by resource and group, as `deployments` or `crontabs.stable.example.com`.
    pub objects: BTreeMap<Told, u64>,
    /// Objects that are encrypted: what they are is told by their keys only.
    pub encrypted: u64,
}

/// What the live keys tell; `None` when none of them is an API server's.
pub(super) fn kubernetes(db: &Db<'_>, scan: &Scan, monitor: &dyn Monitor) -> Option<KubernetesReport> {
    let part = Relay::new(monitor).as_part().without_findings().without_progress();
    let places = places(scan, db, None, &part);
    if places.is_empty() {
        return None;
    }
    let look = Look {
        scan,
        places: &places,
        monitor: &part,
        report: KubernetesReport::default(),
        clues: VersionClues::default(),
    };
    let Look { mut report, clues, .. } = stored::skim(db, &part, look);
    if let Some(server) = clues.conclude() {
        (report.version, report.at_least) = (Some(server.version.into()), server.at_least);
        report.reasons = server.reasons.into_iter().map(Told::from).collect();
    }
    report.distribution = report.distribution.map(|either| distribution(&report.nodes).unwrap_or(either));
    Some(report)
}

/// What the versions of kubelets tell, as `v1.37.2+k3s1` and `v1.37.2+rke2r1`.
fn distribution(nodes: &BTreeMap<Told, Option<Told>>) -> Option<&'static str> {
    let built = |name: &str| nodes.values().flatten().any(|kubelet| kubelet.raw().contains(name));
    ["k3s", "rke2"].into_iter().find(|name| built(&format!("+{name}")))
}

struct Look<'l> {
    scan: &'l Scan,
    places: &'l ObjectPlaces,
    monitor: &'l dyn Monitor,
    report: KubernetesReport,
    clues: VersionClues,
}

impl Revisions for Look<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        if !is_live(self.scan, stored) {
            return;
        }
        if stored.kv.key.starts_with(BOOTSTRAP) {
            self.report.distribution = Some("k3s or rke2");
        }
        let KeyKind::Object(key) = self.places.key(stored.kv.key) else { return };
        let resource = match key.group {
            Some(group) => format!("{}.{group}", key.resource),
            None => key.resource.to_owned(),
        };
        let count = self.report.objects.entry(resource.into()).or_default();
        *count = count.saturating_add(1);
        if let Ok(Form::Encrypted(_)) = Form::of(stored.kv.value) {
            self.report.encrypted = self.report.encrypted.saturating_add(1);
        }
        self.clues.take(&key, stored.kv.value, stored.kv.mod_revision);
        self.known(&key, stored.kv.value);
    }

    fn enough(&self) -> bool {
        self.monitor.cancelled()
    }
}

impl Look<'_> {
    /// Looks into the few objects that tell of the cluster.
    fn known(&mut self, key: &ObjectKey<'_>, value: &[u8]) {
        if key.group.is_some() {
            return;
        }
        match (key.resource, key.namespace) {
            ("namespaces", None) => drop(self.report.namespaces.insert(key.name.into())),
            ("nodes", None) => {
                let node = Object::decode(value).ok();
                let version = node.as_ref().and_then(kubelet).map(Told::from);
                self.report.nodes.insert(key.name.into(), version);
            }
            ("leases", Some("kube-system")) => self.identity(value),
            _ => {}
        }
    }

    /// The Lease by which an API server says that it is there.
    fn identity(&mut self, value: &[u8]) {
        let Ok(lease) = Object::decode(value) else { return };
        let labels = lease.json.get("metadata").and_then(|metadata| metadata.get("labels"));
        let label = |name: &str| labels?.get(name).and_then(Value::as_str);
        if label("apiserver.kubernetes.io/identity").or(label("k8s.io/component")) == Some("kube-apiserver") {
            let host = label("kubernetes.io/hostname").unwrap_or_else(|| lease.name());
            self.report.api_servers.insert(host.into());
        }
    }
}
