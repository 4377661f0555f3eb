//! Volumes, claims, and what provides them.

use serde_json::Value;

use super::columns::{AGE, Column, column, wide};
use super::values::{Json, UNSET, at, entries, list, or, text, text_in};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "PersistentVolume") => VOLUMES,
        ("", "PersistentVolumeClaim") => CLAIMS,
        ("storage.k8s.io", "StorageClass") => CLASSES,
        ("storage.k8s.io", "CSIDriver") => DRIVERS,
        ("storage.k8s.io", "CSINode") => NODES,
        ("storage.k8s.io", "VolumeAttachment") => ATTACHMENTS,
        ("storage.k8s.io", "VolumeAttributesClass") => ATTRIBUTES_CLASSES,
        _ => return None,
    })
}

const VOLUMES: &[Column] = &[
    column("CAPACITY", |json, _| text(json, "spec.capacity.storage").to_owned()),
    column("ACCESS MODES", |json, _| access_modes(json, "spec.accessModes")),
    column("RECLAIM POLICY", |json, _| text(json, "spec.persistentVolumeReclaimPolicy").to_owned()),
    column("STATUS", phase),
    column("CLAIM", |json, _| match at(json, "spec.claimRef") {
        Some(claim) => format!("{}/{}", text_in(claim, "namespace"), text_in(claim, "name")),
        None => String::new(),
    }),
    column("STORAGECLASS", |json, _| class(json)),
    column("VOLUMEATTRIBUTESCLASS", |json, _| or(text(json, "spec.volumeAttributesClassName"), UNSET)),
    column("REASON", |json, _| text(json, "status.reason").to_owned()),
    AGE,
    wide("VOLUMEMODE", |json, _| or(text(json, "spec.volumeMode"), UNSET)),
];

const CLAIMS: &[Column] = &[
    column("STATUS", phase),
    column("VOLUME", |json, _| text(json, "spec.volumeName").to_owned()),
    column("CAPACITY", |json, _| match text(json, "spec.volumeName") {
        "" => String::new(),
        _ => text(json, "status.capacity.storage").to_owned(),
    }),
    column("ACCESS MODES", |json, _| match text(json, "spec.volumeName") {
        "" => String::new(),
        _ => access_modes(json, "status.accessModes"),
    }),
    column("STORAGECLASS", |json, _| class(json)),
    column("VOLUMEATTRIBUTESCLASS", |json, _| or(text(json, "spec.volumeAttributesClassName"), UNSET)),
    AGE,
    wide("VOLUMEMODE", |json, _| or(text(json, "spec.volumeMode"), UNSET)),
];

const CLASSES: &[Column] = &[
    column("PROVISIONER", |json, _| text(json, "provisioner").to_owned()),
    column("RECLAIMPOLICY", |json, _| or(text(json, "reclaimPolicy"), "Delete")),
    column("VOLUMEBINDINGMODE", |json, _| or(text(json, "volumeBindingMode"), "Immediate")),
    column("ALLOWVOLUMEEXPANSION", |json, _| is(json, "allowVolumeExpansion", false)),
    AGE,
];

const DRIVERS: &[Column] = &[
    column("ATTACHREQUIRED", |json, _| is(json, "spec.attachRequired", true)),
    column("PODINFOONMOUNT", |json, _| is(json, "spec.podInfoOnMount", false)),
    column("STORAGECAPACITY", |json, _| is(json, "spec.storageCapacity", false)),
    column("TOKENREQUESTS", |json, _| {
        let audiences: Vec<_> =
            list(json, "spec.tokenRequests").iter().map(|request| text_in(request, "audience")).collect();
        if audiences.is_empty() { UNSET.to_owned() } else { audiences.join(",") }
    }),
    column("REQUIRESREPUBLISH", |json, _| is(json, "spec.requiresRepublish", false)),
    column("MODES", |json, _| {
        let modes: Vec<_> =
            list(json, "spec.volumeLifecycleModes").iter().filter_map(Value::as_str).collect();
        or(&modes.join(","), "<none>")
    }),
    AGE,
];

const NODES: &[Column] = &[column("DRIVERS", |json, _| entries(json, "spec.drivers").to_string()), AGE];

const ATTACHMENTS: &[Column] = &[
    column("ATTACHER", |json, _| text(json, "spec.attacher").to_owned()),
    column("PV", |json, _| text(json, "spec.source.persistentVolumeName").to_owned()),
    column("NODE", |json, _| text(json, "spec.nodeName").to_owned()),
    column("ATTACHED", |json, _| is(json, "status.attached", false)),
    AGE,
];

const ATTRIBUTES_CLASSES: &[Column] =
    &[column("DRIVERNAME", |json, _| text(json, "driverName").to_owned()), AGE];

fn is(json: &Json, path: &str, unset: bool) -> String {
    at(json, path).and_then(Value::as_bool).unwrap_or(unset).to_string()
}

fn phase(json: &Json, _: super::columns::Around) -> String {
    match at(json, "metadata.deletionTimestamp") {
        Some(_) => "Terminating".to_owned(),
        None => text(json, "status.phase").to_owned(),
    }
}

fn class(json: &Json) -> String {
    let annotations = at(json, "metadata.annotations");
    let beta = annotations.and_then(|all| all.get("volume.beta.kubernetes.io/storage-class")?.as_str());
    beta.unwrap_or_else(|| text(json, "spec.storageClassName")).to_owned()
}

fn access_modes(json: &Json, path: &str) -> String {
    let Some(modes) = at(json, path) else { return String::new() };
    let has = |mode: &str| modes.as_array().is_some_and(|modes| modes.iter().any(|item| item == mode));
    let short: Vec<_> = [
        ("ReadWriteOnce", "RWO"),
        ("ReadOnlyMany", "ROX"),
        ("ReadWriteMany", "RWX"),
        ("ReadWriteOncePod", "RWOP"),
    ]
    .into_iter()
    .filter(|(mode, _)| has(mode))
    .map(|(_, short)| short)
    .collect();
    short.join(",")
}
