//! What an object needs to do its work: the names of others in it, by one table of the places where they stand.

use serde_json::{Map, Value};

use super::super::cluster::Cluster;
use super::super::key::ObjectKey;

/// An object that another one needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize)]
pub struct Needed {
    /// The group, where keys have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// As `configmaps`.
    pub resource: String,
    /// The namespace; none of what is in none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace: Option<String>,
    /// The name.
    pub name: String,
}

impl Needed {
    /// What a key is of.
    #[must_use]
    pub fn of(key: &ObjectKey<'_>) -> Needed {
        Needed {
            group: key.group.map(str::to_owned),
            resource: key.resource.to_owned(),
            namespace: key.namespace.map(str::to_owned),
            name: key.name.to_owned(),
        }
    }
}

/// What a name is of.
#[derive(Clone, Copy)]
enum Of {
    /// A resource in the namespace of the object, or the one that stands beside the name.
    Namespaced(&'static str),
    /// The same, of what does no harm if it is not there.
    Wished(&'static str),
    /// A resource in no namespace.
    Cluster(&'static str),
    /// The kind that stands beside the name.
    Kind,
}

/// A place where a name stands: what is around it, the field, and what it is of. `*` is each item of a list or map.
type Site = (&'static [&'static str], &'static str, Of);

const SECRET: Of = Of::Namespaced("secrets");
const CONFIG: Of = Of::Namespaced("configmaps");
const SERVICE: Of = Of::Namespaced("services");
const CLASS: Of = Of::Cluster("storageclasses");

/// In the `spec` of a Pod.
const POD: [Site; 14] = [
    (&[], "serviceAccountName", Of::Namespaced("serviceaccounts")),
    (&["imagePullSecrets", "*"], "name", SECRET),
    (&[], "priorityClassName", Of::Cluster("priorityclasses")),
    (&[], "runtimeClassName", Of::Cluster("runtimeclasses")),
    (&["volumes", "*", "configMap"], "name", CONFIG),
    (&["volumes", "*", "secret"], "secretName", SECRET),
    (&["volumes", "*", "persistentVolumeClaim"], "claimName", Of::Namespaced("persistentvolumeclaims")),
    (&["volumes", "*", "projected", "sources", "*", "configMap"], "name", CONFIG),
    (&["volumes", "*", "projected", "sources", "*", "secret"], "name", SECRET),
    (&["volumes", "*", "ephemeral", "volumeClaimTemplate", "spec"], "storageClassName", CLASS),
    (&["volumes", "*", "csi", "nodePublishSecretRef"], "name", SECRET),
    (&["volumes", "*", "azureFile"], "secretName", SECRET),
    // Of CephFS, Cinder, FlexVolume, iSCSI, RBD, ScaleIO, StorageOS.
    (&["volumes", "*", "*", "secretRef"], "name", SECRET),
    (&["resourceClaims", "*"], "resourceClaimTemplateName", Of::Namespaced("resourceclaimtemplates")),
];

/// In each container of a Pod.
const CONTAINER: [Site; 4] = [
    (&["env", "*", "valueFrom", "configMapKeyRef"], "name", CONFIG),
    (&["env", "*", "valueFrom", "secretKeyRef"], "name", SECRET),
    (&["envFrom", "*", "configMapRef"], "name", CONFIG),
    (&["envFrom", "*", "secretRef"], "name", SECRET),
];

/// Where the `spec` of a Pod is, by kind.
const PODS: [(&str, &[&str]); 9] = [
    ("pod", &["spec"]),
    ("podtemplate", &["template", "spec"]),
    ("replicationcontroller", &["spec", "template", "spec"]),
    ("daemonset.apps", &["spec", "template", "spec"]),
    ("deployment.apps", &["spec", "template", "spec"]),
    ("replicaset.apps", &["spec", "template", "spec"]),
    ("statefulset.apps", &["spec", "template", "spec"]),
    ("job.batch", &["spec", "template", "spec"]),
    ("cronjob.batch", &["spec", "jobTemplate", "spec", "template", "spec"]),
];

/// In objects of other kinds.
const OTHERS: [(&str, Site); 22] = [
    ("statefulset.apps", (&["spec"], "serviceName", SERVICE)),
    ("statefulset.apps", (&["spec", "volumeClaimTemplates", "*", "spec"], "storageClassName", CLASS)),
    ("persistentvolumeclaim", (&["spec"], "volumeName", Of::Cluster("persistentvolumes"))),
    ("persistentvolumeclaim", (&["spec"], "storageClassName", CLASS)),
    (
        "persistentvolumeclaim",
        (&["spec"], "volumeAttributesClassName", Of::Cluster("volumeattributesclasses")),
    ),
    ("persistentvolume", (&["spec"], "storageClassName", CLASS)),
    ("persistentvolume", (&["spec", "csi", "controllerExpandSecretRef"], "name", SECRET)),
    ("persistentvolume", (&["spec", "csi", "controllerPublishSecretRef"], "name", SECRET)),
    ("persistentvolume", (&["spec", "csi", "nodePublishSecretRef"], "name", SECRET)),
    ("persistentvolume", (&["spec", "csi", "nodeStageSecretRef"], "name", SECRET)),
    ("serviceaccount", (&["imagePullSecrets", "*"], "name", SECRET)),
    ("serviceaccount", (&["secrets", "*"], "name", Of::Wished("secrets"))),
    ("ingress.networking.k8s.io", (&["spec"], "ingressClassName", Of::Cluster("ingressclasses"))),
    ("ingress.networking.k8s.io", (&["spec", "tls", "*"], "secretName", SECRET)),
    (
        "ingress.networking.k8s.io",
        (&["spec", "rules", "*", "http", "paths", "*", "backend", "service"], "name", SERVICE),
    ),
    ("ingress.networking.k8s.io", (&["spec", "defaultBackend", "service"], "name", SERVICE)),
    ("horizontalpodautoscaler.autoscaling", (&["spec", "scaleTargetRef"], "name", Of::Kind)),
    ("rolebinding.rbac.authorization.k8s.io", (&["roleRef"], "name", Of::Kind)),
    ("clusterrolebinding.rbac.authorization.k8s.io", (&["roleRef"], "name", Of::Kind)),
    (
        "validatingwebhookconfiguration.admissionregistration.k8s.io",
        (&["webhooks", "*", "clientConfig", "service"], "name", SERVICE),
    ),
    (
        "mutatingwebhookconfiguration.admissionregistration.k8s.io",
        (&["webhooks", "*", "clientConfig", "service"], "name", SERVICE),
    ),
    ("apiservice.apiregistration.k8s.io", (&["spec", "service"], "name", SERVICE)),
];

/// More than any StatefulSet has Pods for; what it says is not believed further.
const REPLICAS: u64 = 1000;

/// Hands out what an object needs, and whether it cannot do without. `kind` is as `deployment.apps`.
pub(super) fn each(
    cluster: &Cluster<'_>,
    kind: &str,
    key: &ObjectKey<'_>,
    object: &Map<String, Value>,
    take: &mut dyn FnMut(Needed, bool),
) {
    let mut finder = Finder { cluster, namespace: key.namespace, take };
    if let Some(namespace) = key.namespace {
        finder.cluster_wide("namespaces", namespace, true);
    }
    // Kubernetes' own that have their group in the key have no definition.
    if let Some(group) = key.group.filter(|group| !matches!(*group, DEFINITIONS | "apiregistration.k8s.io")) {
        let definition = Needed {
            group: Some(DEFINITIONS.to_owned()),
            resource: "customresourcedefinitions".to_owned(),
            namespace: None,
            name: format!("{}.{group}", key.resource),
        };
        (finder.take)(definition, true);
    }
    let at = |path: &[&str]| {
        let (first, rest) = path.split_first()?;
        rest.iter().try_fold(object.get(*first)?, |value, name| value.get(*name))
    };
    if let Some(spec) = PODS.iter().find(|(of, _)| *of == kind).and_then(|(_, path)| at(path)) {
        POD.iter().for_each(|(path, field, of)| finder.find(spec, path, field, *of));
        for list in ["initContainers", "containers", "ephemeralContainers"] {
            let containers = spec.get(list).and_then(Value::as_array).into_iter().flatten();
            for container in containers {
                CONTAINER.iter().for_each(|(path, field, of)| finder.find(container, path, field, *of));
            }
        }
    }
    for (_, (path, field, of)) in OTHERS.iter().filter(|(of, _)| *of == kind) {
        if let Some((first, rest)) = path.split_first()
            && let Some(value) = object.get(*first)
        {
            finder.find(value, rest, field, *of);
        }
    }
    if kind == "statefulset.apps" {
        finder.claims(object);
    }
}

/// A ConfigMap that a controller makes in each namespace.
const ROOT_CA: &str = "kube-root-ca.crt";

const DEFINITIONS: &str = "apiextensions.k8s.io";

struct Finder<'f, 'c> {
    cluster: &'f Cluster<'c>,
    namespace: Option<&'f str>,
    take: &'f mut dyn FnMut(Needed, bool),
}

impl Finder<'_, '_> {
    fn cluster_wide(&mut self, resource: &str, name: &str, must: bool) {
        let (resource, name) = (resource.to_owned(), name.to_owned());
        (self.take)(Needed { group: None, resource, namespace: None, name }, must);
    }

    fn find(&mut self, value: &Value, path: &[&str], field: &str, of: Of) {
        match (path.split_first(), value) {
            (None, holder) => self.take(holder, field, of),
            (Some((&"*", rest)), Value::Array(items)) => {
                items.iter().for_each(|item| self.find(item, rest, field, of));
            }
            (Some((&"*", rest)), Value::Object(map)) => {
                map.values().for_each(|item| self.find(item, rest, field, of));
            }
            (Some((first, rest)), value) => {
                if let Some(inner) = value.get(*first) {
                    self.find(inner, rest, field, of);
                }
            }
        }
    }

    fn take(&mut self, holder: &Value, field: &str, of: Of) {
        let text = |name: &str| holder.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let Some(name) = text(field) else { return };
        let optional = holder.get("optional") == Some(&Value::Bool(true));
        let must = !optional && !matches!(of, Of::Wished(_)) && name != ROOT_CA;
        match of {
            Of::Cluster(resource) => self.cluster_wide(resource, name, must),
            Of::Namespaced(resource) | Of::Wished(resource) => {
                let namespace = text("namespace").or(self.namespace).map(str::to_owned);
                let (resource, name) = (resource.to_owned(), name.to_owned());
                (self.take)(Needed { group: None, resource, namespace, name }, must);
            }
            Of::Kind => {
                let group = text("apiGroup").or_else(|| Some(text("apiVersion")?.rsplit_once('/')?.0));
                let kind = text("kind").unwrap_or_default();
                let word = group.map_or_else(|| kind.to_owned(), |group| format!("{kind}.{group}"));
                let Some(found) = self.cluster.resource(&word) else { return };
                let needed = Needed {
                    group: found.group_in_key.then(|| found.group.clone()),
                    resource: found.plural.clone(),
                    namespace: self.namespace.filter(|_| found.namespaced).map(str::to_owned),
                    name: name.to_owned(),
                };
                (self.take)(needed, must);
            }
        }
    }

    /// The claims of a StatefulSet, which are named by its templates and the numbers of its Pods, if there are any yet.
    fn claims(&mut self, set: &Map<String, Value>) {
        let spec = set.get("spec");
        let number = |path: &[&str]| {
            path.iter().try_fold(spec?, |value, name| value.get(*name)).and_then(Value::as_u64)
        };
        let name = set.get("metadata").and_then(|metadata| metadata.get("name")?.as_str());
        let (Some(name), replicas) = (name, number(&["replicas"]).unwrap_or(1).min(REPLICAS)) else {
            return;
        };
        let start = number(&["ordinals", "start"]).unwrap_or(0);
        let templates = spec.and_then(|spec| spec.get("volumeClaimTemplates")?.as_array());
        for template in templates.into_iter().flatten() {
            let Some(template) = template.pointer("/metadata/name").and_then(Value::as_str) else { continue };
            for n in start..start.saturating_add(replicas) {
                let needed = Needed {
                    group: None,
                    resource: "persistentvolumeclaims".to_owned(),
                    namespace: self.namespace.map(str::to_owned),
                    name: format!("{template}-{name}-{n}"),
                };
                (self.take)(needed, false);
            }
        }
    }
}

/// The ServiceAccounts that a binding is for: by namespace and name; of all in a namespace without a name.
pub(super) fn accounts(
    key: &ObjectKey<'_>,
    binding: &Map<String, Value>,
    take: &mut dyn FnMut(&str, Option<&str>),
) {
    const GROUP: &str = "system:serviceaccounts:";
    let subjects = binding.get("subjects").and_then(Value::as_array);
    for subject in subjects.into_iter().flatten() {
        let text = |name: &str| subject.get(name).and_then(Value::as_str);
        match (text("kind"), text("name")) {
            (Some("ServiceAccount"), Some(name)) => {
                if let Some(namespace) = text("namespace").or(key.namespace) {
                    take(namespace, Some(name));
                }
            }
            (Some("Group"), Some(name)) => {
                if let Some(namespace) = name.strip_prefix(GROUP) {
                    take(namespace, None);
                }
            }
            _ => {}
        }
    }
}
