//! Configuration, access, nodes and what an API server needs.

use serde_json::Value;

use super::super::type_meta::qualified;
use super::columns::{AGE, CREATED_AT, Column, column, wide};
use super::values::{
    Json, NONE, UNKNOWN, UNSET, at, at_most_three, condition, entries, is_true, list, number, or, text,
    text_in,
};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "ConfigMap") => CONFIG_MAPS,
        ("", "Secret") => SECRETS,
        ("", "Namespace") => NAMESPACES,
        ("", "Node") => NODES,
        ("", "LimitRange")
        | ("rbac.authorization.k8s.io", "Role" | "ClusterRole")
        // It has columns of its own in Go, and the server does not ask for them.
        | ("storage.k8s.io", "CSIStorageCapacity") => CREATED,
        ("apiextensions.k8s.io", "CustomResourceDefinition") => DEFINITIONS,
        ("rbac.authorization.k8s.io", "RoleBinding" | "ClusterRoleBinding") => BINDINGS,
        ("policy", "PodDisruptionBudget") => BUDGETS,
        ("scheduling.k8s.io", "PriorityClass") => PRIORITY_CLASSES,
        ("node.k8s.io", "RuntimeClass") => RUNTIME_CLASSES,
        ("coordination.k8s.io", "Lease") => LEASES,
        (
            "admissionregistration.k8s.io",
            "ValidatingWebhookConfiguration" | "MutatingWebhookConfiguration",
        ) => WEBHOOKS,
        ("apiregistration.k8s.io", "APIService") => API_SERVICES,
        ("coordination.k8s.io", "LeaseCandidate") => LEASE_CANDIDATES,
        ("internal.apiserver.k8s.io", "StorageVersion") => STORAGE_VERSIONS,
        ("storagemigration.k8s.io", "StorageVersionMigration") => MIGRATIONS,
        _ => return None,
    })
}

const CREATED: &[Column] = &[CREATED_AT];

const CONFIG_MAPS: &[Column] = &[
    column("DATA", |json, _| entries(json, "data").saturating_add(entries(json, "binaryData")).to_string()),
    AGE,
];

const SECRETS: &[Column] = &[
    column("TYPE", |json, _| text(json, "type").to_owned()),
    column("DATA", |json, _| entries(json, "data").to_string()),
    AGE,
];

const NAMESPACES: &[Column] = &[column("STATUS", |json, _| text(json, "status.phase").to_owned()), AGE];

const NODES: &[Column] = &[
    column("STATUS", |json, _| node_status(json)),
    column("ROLES", |json, _| roles(json)),
    AGE,
    column("VERSION", |json, _| text(json, "status.nodeInfo.kubeletVersion").to_owned()),
    wide("INTERNAL-IP", |json, _| address(json, "InternalIP")),
    wide("EXTERNAL-IP", |json, _| address(json, "ExternalIP")),
    wide("OS-IMAGE", |json, _| or(text(json, "status.nodeInfo.osImage"), UNKNOWN)),
    wide("KERNEL-VERSION", |json, _| {
        let kernel = text(json, "status.nodeInfo.kernelVersion");
        match text(json, "status.nodeInfo.architecture") {
            "" => or(kernel, UNKNOWN),
            architecture => format!("{} ({architecture})", or(kernel, UNKNOWN)),
        }
    }),
    wide("CONTAINER-RUNTIME", |json, _| or(text(json, "status.nodeInfo.containerRuntimeVersion"), UNKNOWN)),
];

const BINDINGS: &[Column] = &[
    column("ROLE", |json, _| format!("{}/{}", text(json, "roleRef.kind"), text(json, "roleRef.name"))),
    AGE,
    wide("USERS", |json, _| subjects(json, "User")),
    wide("GROUPS", |json, _| subjects(json, "Group")),
    wide("SERVICEACCOUNTS", |json, _| subjects(json, "ServiceAccount")),
];

const BUDGETS: &[Column] = &[
    column("MIN AVAILABLE", |json, _| number_or_text(json, "spec.minAvailable")),
    column("MAX UNAVAILABLE", |json, _| number_or_text(json, "spec.maxUnavailable")),
    column("ALLOWED DISRUPTIONS", |json, _| number(json, "status.disruptionsAllowed").to_string()),
    AGE,
];

const PRIORITY_CLASSES: &[Column] = &[
    column("VALUE", |json, _| number(json, "value").to_string()),
    column("GLOBAL-DEFAULT", |json, _| (at(json, "globalDefault") == Some(&Value::Bool(true))).to_string()),
    AGE,
    column("PREEMPTIONPOLICY", |json, _| or(text(json, "preemptionPolicy"), UNKNOWN)),
];

const RUNTIME_CLASSES: &[Column] = &[column("HANDLER", |json, _| text(json, "handler").to_owned()), AGE];

const LEASES: &[Column] = &[column("HOLDER", |json, _| text(json, "spec.holderIdentity").to_owned()), AGE];

const LEASE_CANDIDATES: &[Column] = &[
    column("LEASENAME", |json, _| text(json, "spec.leaseName").to_owned()),
    column("BINARYVERSION", |json, _| text(json, "spec.binaryVersion").to_owned()),
    column("EMULATIONVERSION", |json, _| text(json, "spec.emulationVersion").to_owned()),
    AGE,
];

const STORAGE_VERSIONS: &[Column] = &[
    column("COMMONENCODINGVERSION", |json, _| {
        let common = at(json, "status.commonEncodingVersion").and_then(Value::as_str);
        common.unwrap_or(UNSET).to_owned()
    }),
    column("STORAGEVERSIONS", |json, _| {
        let version =
            |of: &Value| format!("{}={}", text_in(of, "apiServerID"), text_in(of, "encodingVersion"));
        at_most_three(list(json, "status.storageVersions").iter().map(version), UNSET)
    }),
    AGE,
];

const MIGRATIONS: &[Column] = &[
    column("RESOURCE", |json, _| {
        qualified(text(json, "spec.resource.resource"), text(json, "spec.resource.group"))
    }),
    // Of several that are true the last.
    column("STATUS", |json, _| {
        let conditions = list(json, "status.conditions").iter().rev();
        let mut states = conditions.filter(|found| text_in(found, "status") == "True");
        let known = |found: &&str| matches!(*found, "Running" | "Failed" | "Succeeded");
        states.find_map(|found| Some(text_in(found, "type")).filter(known)).unwrap_or("Unknown").to_owned()
    }),
];

const WEBHOOKS: &[Column] = &[column("WEBHOOKS", |json, _| entries(json, "webhooks").to_string()), AGE];

const DEFINITIONS: &[Column] = &[
    column("SCOPE", |json, _| text(json, "spec.scope").to_owned()),
    column("VERSIONS", |json, _| {
        let marked = |version: &Value| {
            let stored = version.get("storage") == Some(&Value::Bool(true));
            format!("{}{}", text_in(version, "name"), if stored { "(storage)" } else { "" })
        };
        list(json, "spec.versions").iter().map(marked).collect::<Vec<_>>().join(",")
    }),
    CREATED_AT,
    wide("GROUP", |json, _| text(json, "spec.group").to_owned()),
    wide("KIND", |json, _| text(json, "spec.names.kind").to_owned()),
    wide("SHORTNAMES", |json, _| {
        let names = list(json, "spec.names.shortNames").iter().filter_map(Value::as_str);
        names.collect::<Vec<_>>().join(",")
    }),
    wide("ESTABLISHED", |json, _| is_true(json, "Established").to_string()),
];

const API_SERVICES: &[Column] = &[
    column("SERVICE", |json, _| match at(json, "spec.service") {
        Some(service) => format!("{}/{}", text_in(service, "namespace"), text_in(service, "name")),
        None => "Local".to_owned(),
    }),
    column("AVAILABLE", |json, _| match condition(json, "Available") {
        Some(found) if text_in(found, "status") == "True" => "True".to_owned(),
        Some(found) => format!("{} ({})", text_in(found, "status"), text_in(found, "reason")),
        None => UNKNOWN.to_owned(),
    }),
    AGE,
];

fn number_or_text(json: &Json, path: &str) -> String {
    match at(json, path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => "N/A".to_owned(),
    }
}

fn node_status(json: &Json) -> String {
    let mut status = match condition(json, "Ready") {
        Some(ready) if text_in(ready, "status") == "True" => "Ready",
        Some(_) => "NotReady",
        None => "Unknown",
    }
    .to_owned();
    if at(json, "spec.unschedulable") == Some(&Value::Bool(true)) {
        status.push_str(",SchedulingDisabled");
    }
    status
}

fn roles(json: &Json) -> String {
    let Some(Value::Object(labels)) = at(json, "metadata.labels") else { return NONE.to_owned() };
    let role = |(label, value): (&String, &Value)| match label.strip_prefix("node-role.kubernetes.io/") {
        Some(role) => Some(role.to_owned()).filter(|role| !role.is_empty()),
        None => (label == "kubernetes.io/role").then(|| value.as_str().unwrap_or_default().to_owned()),
    };
    let mut roles: Vec<String> = labels.iter().filter_map(role).filter(|role| !role.is_empty()).collect();
    roles.sort();
    or(&roles.join(","), NONE)
}

fn address(json: &Json, kind: &str) -> String {
    let found = list(json, "status.addresses").iter().find(|address| text_in(address, "type") == kind);
    or(found.map_or("", |address| text_in(address, "address")), NONE)
}

fn subjects(json: &Json, kind: &str) -> String {
    let name = |subject: &Value| match kind {
        "ServiceAccount" => format!("{}/{}", text_in(subject, "namespace"), text_in(subject, "name")),
        _ => text_in(subject, "name").to_owned(),
    };
    let of_kind = list(json, "subjects").iter().filter(|subject| text_in(subject, "kind") == kind);
    of_kind.map(name).collect::<Vec<_>>().join(", ")
}
