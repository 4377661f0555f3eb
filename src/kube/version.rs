//! Which Kubernetes wrote a keyspace, and what it would have answered otherwise than it is stored.

use std::collections::BTreeSet;

use serde_json::Value;

use super::cluster::Cluster;
use super::decode::Object;
use super::envelope::Form;
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

/// The minor of a Kubernetes 1, and from what it is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerVersion {
    /// As 24.
    pub minor: u32,
    /// What in the file tells so.
    pub because: String,
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

/// What in a keyspace tells which Kubernetes wrote it, the surest first.
#[derive(Default)]
struct Evidence {
    control_plane: Option<ServerVersion>,
    lease: Option<ServerVersion>,
    kubelet: Option<ServerVersion>,
    kind: Option<ServerVersion>,
}

/// Nodes that are looked at.
const NODES: usize = 10_000;

impl Cluster<'_> {
    /// The Kubernetes that wrote this: by the image of a kube-apiserver or kubeadm's configuration, else by fields that
    /// only older ones write, else by kubelets and kinds, than which an API server is not older. One walk, and the
    /// values of those objects.
    ///
    /// # Errors
    /// [`Error::Damaged`](crate::Error::Damaged) when pages cannot be read.
    pub fn server_version(&self) -> Result<Option<ServerVersion>> {
        let (mut evidence, mut seen, mut nodes) = (Evidence::default(), BTreeSet::new(), 0usize);
        let mut newest_lease: Option<KeyState> = None;
        for state in self.view().keys(KeyRange::all()) {
            let state = state?;
            let Some(key) = self.key(&state.key).object() else { continue };
            let in_kube_system = key.namespace == Some("kube-system");
            let first = !seen.contains(key.resource) && seen.insert(key.resource.to_owned());
            nodes = nodes.saturating_add(usize::from(key.resource == "nodes"));
            let wanted = match key.resource {
                "pods" => in_kube_system,
                "configmaps" => in_kube_system && key.name == "kubeadm-config",
                "nodes" => nodes <= NODES,
                _ => false,
            };
            if first || wanted {
                evidence.take(&self.view().read(&state)?.value);
            }
            let newer = |old: &KeyState| old.revision < state.revision;
            if key.resource == "leases" && newest_lease.as_ref().is_none_or(newer) {
                newest_lease = Some(state);
            }
        }
        // Leases are written all the time: the newest is by the last server.
        if let Some(state) = newest_lease {
            let value = self.view().read(&state)?.value;
            let name = self.key(&state.key).object().map_or("", |key| key.name);
            evidence.lease = has_cluster_name(&value).then(|| ServerVersion {
                minor: LAST_WITH_CLUSTER_NAME,
                because: format!("a metadata.clusterName in the Lease {name}, which no later one writes"),
            });
        }
        let Evidence { control_plane, lease, kubelet, kind } = evidence;
        let not_older = [kubelet, kind].into_iter().flatten().max_by_key(|version| version.minor);
        Ok(control_plane.or(lease).or(not_older))
    }
}

impl Evidence {
    fn take(&mut self, value: &[u8]) {
        if let Ok(Form::Protobuf(envelope)) = Form::of(value) {
            let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
            let (version, kind) = (text(envelope.api_version), text(envelope.kind));
            let first = schema().kind(version, kind).map(|info| u32::from(info.first));
            let because = || format!("objects of {kind} in {version}, which no earlier one has");
            newer(&mut self.kind, first, because);
        }
        let Ok(object) = Object::decode(value) else { return };
        let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or_default().to_owned();
        let inside = |first: &str, second: &str| object.json.get(first).and_then(|value| value.get(second));
        match &*object.kind {
            "Pod" => {
                for container in inside("spec", "containers").and_then(Value::as_array).into_iter().flatten()
                {
                    let image = text(container.get("image"));
                    if text(container.get("name")) == "kube-apiserver" {
                        let found = image.rsplit_once(':').and_then(|(_, tag)| minor(tag));
                        let because = || format!("the image {image} of the pod {}", object.name());
                        newer(&mut self.control_plane, found, because);
                    }
                }
            }
            "ConfigMap" if object.name() == "kubeadm-config" => {
                let data = text(inside("data", "ClusterConfiguration"));
                let version = data.lines().find_map(|line| line.strip_prefix("kubernetesVersion:"));
                let version = version.unwrap_or_default().trim();
                let because = || format!("kubernetesVersion {version} in the ConfigMap kubeadm-config");
                newer(&mut self.control_plane, minor(version), because);
            }
            "Node" => {
                let version = text(inside("status", "nodeInfo").and_then(|info| info.get("kubeletVersion")));
                let because = || format!("the kubelet {version} of the node {}", object.name());
                newer(&mut self.kubelet, minor(&version), because);
            }
            _ => {}
        }
    }
}

fn newer(known: &mut Option<ServerVersion>, minor: Option<u32>, because: impl FnOnce() -> String) {
    if let Some(minor) = minor.filter(|minor| known.as_ref().is_none_or(|known| known.minor < *minor)) {
        *known = Some(ServerVersion { minor, because: because() });
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
