//! What `inspect` tells of a Kubernetes cluster whose objects a database holds: which version wrote it, nodes,
//! namespaces, how many objects of what. No file says the version: it is inferred, and the reasons are named.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::decode::Object;
use crate::kube::envelope::Form;
use crate::kube::key::{KeyKind, ObjectKey};
use crate::kube::places::ObjectPlaces;
use crate::kube::schema::schema;
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
    let places = places(scan, db, &part);
    if places.is_empty() {
        return None;
    }
    let look = Look {
        scan,
        places: &places,
        monitor: &part,
        report: KubernetesReport::default(),
        clues: Clues::default(),
    };
    let Look { mut report, clues, .. } = stored::skim(db, &part, look);
    clues.conclude(&mut report);
    Some(report)
}

/// What tells of versions. The greater one of two of a sort counts.
#[derive(Default)]
struct Clues {
    /// Minor and text.
    api_server: Option<(u32, String)>,
    kubeadm: Option<(u32, String)>,
    kubelet: Option<(u32, String)>,
    /// Minor of the first version with that kind, and the kind.
    kind: Option<(u32, String)>,
}

/// The minor of `v1.30.2` and the like, and the version without the `v`.
fn version(text: &str) -> Option<(u32, String)> {
    let text = text.trim().trim_start_matches('v');
    let minor = text.strip_prefix("1.")?.split(|c: char| !c.is_ascii_digit()).next()?;
    Some((minor.parse().ok()?, text.to_owned()))
}

impl Clues {
    fn conclude(self, report: &mut KubernetesReport) {
        let stated = [
            (&self.api_server, "the image of a kube-apiserver Pod has version"),
            (&self.kubeadm, "ConfigMap kubeadm-config says version"),
        ];
        let lower = [
            (&self.kubelet, "no API server is older than its kubelets, of which the newest has version"),
            (&self.kind, "no older Kubernetes has a stored kind,"),
        ];
        let best = |clues: [(&Option<(u32, String)>, &str); 2]| {
            clues.into_iter().filter_map(|(clue, _)| clue.clone()).max_by_key(|(minor, _)| *minor)
        };
        let least = best(lower).map_or(0, |(minor, _)| minor);
        match best(stated) {
            Some((minor, text)) if minor >= least => report.version = Some(text.into()),
            _ if least > 0 => {
                (report.version, report.at_least) = (Some(format!("1.{least}").into()), true);
            }
            _ => {}
        }
        for (clue, how) in stated.into_iter().chain(lower) {
            report.reasons.extend(clue.iter().map(|(_, text)| Told::from(format!("{how} {text}"))));
        }
    }
}

fn newer(place: &mut Option<(u32, String)>, clue: Option<(u32, String)>) {
    if let Some((minor, text)) = clue
        && place.as_ref().is_none_or(|(known, _)| minor > *known)
    {
        *place = Some((minor, text));
    }
}

struct Look<'l> {
    scan: &'l Scan,
    places: &'l ObjectPlaces,
    monitor: &'l dyn Monitor,
    report: KubernetesReport,
    clues: Clues,
}

impl Revisions for Look<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        if !is_live(self.scan, stored) {
            return;
        }
        let KeyKind::Object(key) = self.places.key(stored.kv.key) else { return };
        let resource = match key.group {
            Some(group) => format!("{}.{group}", key.resource),
            None => key.resource.to_owned(),
        };
        let count = self.report.objects.entry(resource.into()).or_default();
        *count = count.saturating_add(1);
        match Form::of(stored.kv.value) {
            Ok(Form::Encrypted(_)) => self.report.encrypted = self.report.encrypted.saturating_add(1),
            Ok(Form::Protobuf(envelope)) => {
                let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
                self.kind(text(envelope.api_version), text(envelope.kind));
            }
            _ => {}
        }
        self.known(&key, stored.kv.value);
    }

    fn enough(&self) -> bool {
        self.monitor.cancelled()
    }
}

impl Look<'_> {
    /// The oldest minors of the table are not all known to be a kind's first.
    fn kind(&mut self, api_version: &str, kind: &str) {
        if let Some(info) = schema().kind(api_version, kind).filter(|info| info.first > 20) {
            let what = format!("{kind} of {api_version}, which came with 1.{}", info.first);
            newer(&mut self.clues.kind, Some((info.first.into(), what)));
        }
    }

    /// Looks into the few objects that tell of the cluster.
    fn known(&mut self, key: &ObjectKey<'_>, value: &[u8]) {
        if key.group.is_some() {
            return;
        }
        match (key.resource, key.namespace) {
            ("namespaces", None) => drop(self.report.namespaces.insert(key.name.into())),
            ("nodes", None) => {
                let node = Object::decode(value).ok();
                let kubelet = node
                    .as_ref()
                    .and_then(|node| node.json.get("status")?.pointer("/nodeInfo/kubeletVersion")?.as_str());
                let kubelet = kubelet.filter(|text| !text.is_empty());
                newer(&mut self.clues.kubelet, kubelet.and_then(version));
                self.report.nodes.insert(key.name.into(), kubelet.map(Told::from));
            }
            ("pods", Some("kube-system")) if key.name.starts_with("kube-apiserver") => {
                let Ok(pod) = Object::decode(value) else { return };
                let containers = pod.json.get("spec").and_then(|spec| spec.get("containers")?.as_array());
                for image in containers.into_iter().flatten().filter_map(|one| one.get("image")?.as_str()) {
                    let name = image.rsplit('/').next().unwrap_or_default();
                    let tag =
                        name.strip_prefix("kube-apiserver:").map(|tag| tag.split('@').next().unwrap_or(tag));
                    newer(&mut self.clues.api_server, tag.and_then(version));
                }
            }
            ("configmaps", Some("kube-system")) if key.name == "kubeadm-config" => {
                let Ok(map) = Object::decode(value) else { return };
                let text = map.json.get("data").and_then(|data| data.get("ClusterConfiguration")?.as_str());
                let line = text
                    .into_iter()
                    .flat_map(str::lines)
                    .find_map(|line| line.strip_prefix("kubernetesVersion:"));
                newer(&mut self.clues.kubeadm, line.and_then(version));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn concluded(clues: Clues) -> (Option<String>, bool) {
        let mut report = KubernetesReport::default();
        clues.conclude(&mut report);
        (report.version.map(|version| version.to_string()), report.at_least)
    }

    #[test]
    fn a_version_is_what_the_api_server_says_or_the_least_that_others_need() {
        let stated = || Clues { api_server: version("v1.30.2"), ..Clues::default() };
        assert_eq!(concluded(stated()), (Some("1.30.2".to_owned()), false));
        let kubelet = || Clues { kubelet: version("v1.29.4+k3s1"), ..Clues::default() };
        assert_eq!(concluded(kubelet()), (Some("1.29".to_owned()), true));
        let upgraded = Clues { kind: Some((31, "K".to_owned())), ..stated() };
        assert_eq!(concluded(upgraded), (Some("1.31".to_owned()), true), "a newer one wrote it since");
        assert_eq!(concluded(Clues::default()), (None, false));
        for none in ["", "v2.1.0", "latest", "1.x", "v1."] {
            assert_eq!(version(none), None, "{none}");
        }
    }
}
