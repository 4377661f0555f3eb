//! Which Kubernetes wrote a keyspace, and what it would have answered otherwise than it is stored.

use std::collections::BTreeSet;

use super::cluster::Cluster;
use super::decode::Object;
use super::envelope::Form;
use super::key::ObjectKey;
use super::schema::schema;
use crate::codec::wire::{self, WireValue};
use crate::etcd::KeyRange;
use crate::store::keys::KeyState;
use crate::words::error::Result;

/// The last minor of Kubernetes 1 whose types print a creation time that is not set.
pub const LAST_WITH_NULL_TIMES: u32 = 33;

/// The last one whose objects have a `metadata.clusterName`, always, be it empty: field 15.
const LAST_WITH_CLUSTER_NAME: u32 = 24;
const CLUSTER_NAME: u32 = 15;

/// The Kubernetes that wrote a keyspace, as far as it can be inferred: no file says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// As `1.30.2`, or `1.30` where no more is known.
    pub version: String,
    /// The minor by which its habits are told, as 30: if an upper bound is known, that.
    pub minor: u32,
    /// Whether it may be a newer one.
    pub at_least: bool,
    /// What tells so, the surest first.
    pub reasons: Vec<String>,
}

/// Kinds that are stored in an older version than they are answered in: group, kind, version, and the minor since when
/// it is answered by itself.
const ANSWERED: [(&str, &str, &str, u32); 13] = [
    ("autoscaling", "HorizontalPodAutoscaler", "v2", 23),
    ("batch", "CronJob", "v1", 21),
    ("certificates.k8s.io", "CertificateSigningRequest", "v1", 19),
    ("discovery.k8s.io", "EndpointSlice", "v1", 21),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", "v1", 29),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", "v1beta2", 23),
    ("flowcontrol.apiserver.k8s.io", "FlowSchema", "v1beta3", 26),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "v1", 29),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "v1beta2", 23),
    ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration", "v1beta3", 26),
    ("networking.k8s.io", "Ingress", "v1", 19),
    ("policy", "PodDisruptionBudget", "v1", 21),
    ("storage.k8s.io", "CSIStorageCapacity", "v1", 24),
];

/// The version in which an API server of that minor answers with an object, if it is not the stored one.
#[must_use]
pub fn answered_in(object: &Object, minor: u32) -> Option<&'static str> {
    let of_kind =
        ANSWERED.iter().filter(|(group, kind, ..)| *group == object.group() && *kind == object.kind);
    let (_, _, version, _) =
        of_kind.filter(|(.., since)| *since <= minor).max_by_key(|(.., since)| *since)?;
    (*version != object.version()).then_some(*version)
}

/// The minors whose tables are gapless begin after this one: a kind that the table has from here on may be older.
const FIRST_KNOWN: u8 = 20;

/// A version that something names.
#[derive(Debug, Clone)]
struct Clue {
    minor: u32,
    version: String,
    because: String,
}

/// What in a keyspace tells which Kubernetes wrote it. Of each sort the newest counts.
#[derive(Debug, Default)]
pub struct VersionClues {
    image: Option<Clue>,
    kubeadm: Option<Clue>,
    kubelet: Option<Clue>,
    kind: Option<Clue>,
    /// The newest Lease: its revision, and what it tells. Leases are written all the time, the newest by the last
    /// server.
    lease: Option<(i64, Option<Clue>)>,
}

impl VersionClues {
    /// Whether the value of an object tells more than its kind.
    #[must_use]
    pub fn wants(key: &ObjectKey<'_>) -> bool {
        match (key.resource, key.namespace) {
            ("pods", Some("kube-system")) => key.name.starts_with("kube-apiserver"),
            ("configmaps", Some("kube-system")) => key.name == "kubeadm-config",
            ("nodes", None) | ("leases", _) => true,
            _ => false,
        }
    }

    /// Looks at a live object that was last changed at a revision.
    pub fn take(&mut self, key: &ObjectKey<'_>, value: &[u8], mod_revision: i64) {
        if let Ok(Form::Protobuf(envelope)) = Form::of(value) {
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            let (version, kind) = (text(envelope.api_version), text(envelope.kind));
            let first = schema().kind(version, kind).map(|info| info.first);
            if let Some(first) = first.filter(|first| *first > FIRST_KNOWN) {
                let because = || format!("no older Kubernetes stores a {kind} of {version}");
                newer(&mut self.kind, &format!("1.{first}"), because);
            }
        }
        if !Self::wants(key) {
            return;
        }
        if key.resource == "leases" {
            if self.lease.as_ref().is_none_or(|(newest, _)| *newest < mod_revision) {
                self.lease = Some((mod_revision, of_lease(key, value)));
            }
            return;
        }
        let Ok(object) = Object::decode(value) else { return };
        let name = key.name;
        match key.resource {
            "pods" => {
                let containers = object.json.get("spec").and_then(|spec| spec.get("containers")?.as_array());
                for image in containers.into_iter().flatten().filter_map(|one| one.get("image")?.as_str()) {
                    let file = image.rsplit('/').next().unwrap_or_default();
                    let tag = file.strip_prefix("kube-apiserver:").unwrap_or_default();
                    let tag = tag.split('@').next().unwrap_or_default();
                    newer(&mut self.image, tag, || format!("the pod {name} has the image {image}"));
                }
            }
            "configmaps" => {
                let data =
                    object.json.get("data").and_then(|data| data.get("ClusterConfiguration")?.as_str());
                let mut lines = data.unwrap_or_default().lines();
                let version = lines.find_map(|line| line.strip_prefix("kubernetesVersion:"));
                let version = version.unwrap_or_default().trim();
                newer(&mut self.kubeadm, version, || format!("the ConfigMap {name} says {version}"));
            }
            _ => {
                let version = kubelet(&object).unwrap_or_default();
                let because = || {
                    format!("no API server is older than its kubelets: that of the node {name} is {version}")
                };
                newer(&mut self.kubelet, version, because);
            }
        }
    }

    /// What they come to.
    #[must_use]
    pub fn conclude(self) -> Option<ServerVersion> {
        let VersionClues { image, kubeadm, kubelet, kind, lease } = self;
        let lease = lease.and_then(|(_, clue)| clue);
        let newest = |one: &Option<Clue>, other: &Option<Clue>| {
            one.iter().chain(other).max_by_key(|clue| clue.minor).cloned()
        };
        let stated = newest(&image, &kubeadm);
        let least = newest(&kubelet, &kind).map(|clue| clue.minor);
        let reasons = [image, kubeadm, lease.clone(), kubelet, kind].into_iter().flatten();
        let reasons = reasons.map(|clue| clue.because).collect();
        match (stated, lease, least) {
            (Some(clue), _, _) if least.is_none_or(|least| least <= clue.minor) => {
                Some(ServerVersion { version: clue.version, minor: clue.minor, at_least: false, reasons })
            }
            (_, Some(most), least) if least.is_none_or(|least| least <= most.minor) => {
                let (version, at_least) = match least {
                    Some(least) => (format!("1.{least}"), least < most.minor),
                    None => (most.version, false),
                };
                Some(ServerVersion { version, minor: most.minor, at_least, reasons })
            }
            (_, _, Some(minor)) => {
                Some(ServerVersion { version: format!("1.{minor}"), minor, at_least: true, reasons })
            }
            _ => None,
        }
    }
}

impl Cluster<'_> {
    /// The Kubernetes that wrote this. One walk, and the values of the objects that tell it.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn server_version(&self) -> Result<Option<ServerVersion>> {
        let (mut clues, mut seen) = (VersionClues::default(), BTreeSet::new());
        let mut newest_lease: Option<KeyState> = None;
        for state in self.view().keys(KeyRange::all()) {
            let state = state?;
            let Some(key) = self.key(&state.key).object() else { continue };
            let first = !seen.contains(key.resource) && seen.insert(key.resource.to_owned());
            if key.resource == "leases" {
                if newest_lease.as_ref().is_none_or(|newest| newest.revision < state.revision) {
                    newest_lease = Some(state);
                }
            } else if first || VersionClues::wants(&key) {
                clues.take(&key, &self.view().read(&state)?.value, state.revision.main);
            }
        }
        if let Some(state) = newest_lease {
            let value = self.view().read(&state)?.value;
            if let Some(key) = self.key(&state.key).object() {
                clues.take(&key, &value, state.revision.main);
            }
        }
        Ok(clues.conclude())
    }
}

/// The version of a Node's kubelet.
#[must_use]
pub fn kubelet(node: &Object) -> Option<&str> {
    let version = node.json.get("status")?.pointer("/nodeInfo/kubeletVersion")?.as_str()?;
    (!version.is_empty()).then_some(version)
}

fn of_lease(key: &ObjectKey<'_>, value: &[u8]) -> Option<Clue> {
    has_cluster_name(value).then(|| Clue {
        minor: LAST_WITH_CLUSTER_NAME,
        version: format!("1.{LAST_WITH_CLUSTER_NAME}"),
        because: format!(
            "no Kubernetes after 1.{LAST_WITH_CLUSTER_NAME} writes a metadata.clusterName, and the newest Lease, {}, \
             has one",
            key.name
        ),
    })
}

fn newer(known: &mut Option<Clue>, version: &str, because: impl FnOnce() -> String) {
    let version = version.trim_start_matches('v');
    if let Some(minor) = minor(version)
        && known.as_ref().is_none_or(|known| known.minor < minor)
    {
        *known = Some(Clue { minor, version: version.to_owned(), because: because() });
    }
}

/// Whether the metadata has a field that later types do not.
fn has_cluster_name(value: &[u8]) -> bool {
    let Ok(Form::Protobuf(envelope)) = Form::of(value) else { return false };
    let Ok((_, (1, WireValue::Bytes(metadata)))) = wire::field(envelope.raw) else { return false };
    wire::fields(metadata).map_while(std::result::Result::ok).any(|(number, _)| number == CLUSTER_NAME)
}

/// The minor of `v1.24.17-eks-abc`.
#[must_use]
pub fn minor(version: &str) -> Option<u32> {
    let rest = version.strip_prefix('v').unwrap_or(version).strip_prefix("1.")?;
    let end = rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len());
    rest.get(..end)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clue(version: &str) -> Option<Clue> {
        let mut clue = None;
        newer(&mut clue, version, || "because".to_owned());
        clue
    }

    #[test]
    fn a_version_is_what_the_api_server_says_or_the_least_that_others_need() {
        let concluded =
            |clues: VersionClues| clues.conclude().map(|found| (found.version, found.minor, found.at_least));
        let due = |version: &str, minor, at_least| Some((version.to_owned(), minor, at_least));
        let stated = || VersionClues { image: clue("v1.30.2"), ..VersionClues::default() };
        assert_eq!(concluded(stated()), due("1.30.2", 30, false));
        let kubelet = VersionClues { kubelet: clue("v1.29.4+k3s1"), ..VersionClues::default() };
        assert_eq!(concluded(kubelet), due("1.29", 29, true));
        let upgraded = VersionClues { kind: clue("1.31"), ..stated() };
        assert_eq!(concluded(upgraded), due("1.31", 31, true), "a newer one wrote it since");
        let old = || VersionClues { lease: Some((7, clue("1.24"))), ..VersionClues::default() };
        assert_eq!(concluded(old()), due("1.24", 24, false));
        assert_eq!(concluded(VersionClues { kind: clue("1.22"), ..old() }), due("1.22", 24, true));
        assert_eq!(concluded(VersionClues { kind: clue("1.26"), ..old() }), due("1.26", 26, true));
        assert_eq!(concluded(VersionClues::default()), None);
        for none in ["", "v2.1.0", "latest", "1.x", "v1."] {
            assert!(clue(none).is_none(), "{none}");
        }
    }

    #[test]
    fn the_minor_of_a_version_is_read_whatever_stands_behind_it() {
        for (text, due) in [
            ("v1.24.17", Some(24)),
            ("1.37", Some(37)),
            ("v1.27.3-gke.100", Some(27)),
            ("1.24+", Some(24)),
            ("v2.0.0", None),
            ("1.", None),
            ("", None),
        ] {
            assert_eq!(minor(text), due, "{text}");
        }
    }

    #[test]
    fn old_servers_store_some_kinds_in_another_version_than_they_answer_in() {
        let object = |api_version: &str, kind: &str| {
            let json = serde_json::json!({"apiVersion": api_version, "kind": kind, "metadata": {}});
            Object::decode(json.to_string().as_bytes()).unwrap()
        };
        for (api_version, kind, minor, due) in [
            ("autoscaling/v1", "HorizontalPodAutoscaler", 24, Some("v2")),
            ("autoscaling/v1", "HorizontalPodAutoscaler", 22, None),
            ("autoscaling/v2", "HorizontalPodAutoscaler", 37, None),
            ("discovery.k8s.io/v1beta1", "EndpointSlice", 24, Some("v1")),
            ("policy/v1beta1", "PodDisruptionBudget", 24, Some("v1")),
            ("flowcontrol.apiserver.k8s.io/v1beta1", "FlowSchema", 24, Some("v1beta2")),
            ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", 29, Some("v1")),
            ("v1", "Pod", 24, None),
        ] {
            assert_eq!(answered_in(&object(api_version, kind), minor), due, "{api_version} {kind} {minor}");
        }
    }
}
