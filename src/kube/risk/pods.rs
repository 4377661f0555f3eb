//! What pods ask of their nodes, and where their images come from.

use std::collections::BTreeSet;

use serde_json::Value;

use super::object::{field, inside, is_true, items, strings, text};
use super::rule::{Risk, RiskRule};
use crate::kube::decode::Object;

/// Capabilities that level baseline of the Pod Security Standards allows.
const BASELINE: [&str; 13] = [
    "AUDIT_WRITE",
    "CHOWN",
    "DAC_OVERRIDE",
    "FOWNER",
    "FSETID",
    "KILL",
    "MKNOD",
    "NET_BIND_SERVICE",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_CHROOT",
];

/// Capabilities that lead out of a container.
const ESCAPES: [&str; 8] =
    ["ALL", "BPF", "DAC_READ_SEARCH", "SYS_ADMIN", "SYS_BOOT", "SYS_MODULE", "SYS_PTRACE", "SYS_RAWIO"];

/// Directories and files of a node that are the node: all in them, too.
const NODE: [&str; 12] = [
    "/boot",
    "/dev",
    "/etc",
    "/proc",
    "/root",
    "/run/containerd",
    "/run/crio",
    "/var/lib/containerd",
    "/var/lib/docker",
    "/var/lib/etcd",
    "/var/lib/kubelet",
    "/var/lib/rancher",
];
/// What lies above these, alone.
const ABOVE: [&str; 6] = ["/", "/home", "/run", "/var", "/var/lib", "/var/run"];

/// Sysctls that level baseline allows.
const SYSCTLS: [&str; 10] = [
    "kernel.shm_rmid_forced",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ip_local_reserved_ports",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_syncookies",
];

/// Types of SELinux that level baseline allows.
const SELINUX: [&str; 5] = ["", "container_t", "container_init_t", "container_kvm_t", "container_engine_t"];

/// Whether a path of a node is the node itself.
pub(super) fn is_node(path: &str) -> bool {
    let whole = format!("/{}", path.split('/').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/"));
    let inside =
        |dir: &&str| whole.strip_prefix(*dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    ABOVE.contains(&&*whole) || NODE.iter().any(inside) || whole.ends_with(".sock") || whole.contains("/../")
}

/// The metadata of the pods of an object and what they are made of, if it makes pods or is one.
fn pod(object: &Object) -> Option<[&Value; 2]> {
    let (spec, names) = (field(object, "spec"), ["metadata", "spec"]);
    let template = match &*object.kind {
        "Pod" => return Some(names.map(|name| field(object, name))),
        "PodTemplate" => field(object, "template"),
        "CronJob" => inside(inside(inside(spec, "jobTemplate"), "spec"), "template"),
        "DaemonSet"
        | "Deployment"
        | "DeploymentConfig"
        | "Job"
        | "ReplicaSet"
        | "ReplicationController"
        | "StatefulSet" => inside(spec, "template"),
        _ => return None,
    };
    Some(names.map(|name| inside(template, name)))
}

fn spec(object: &Object) -> Option<&Value> {
    pod(object).map(|[_, spec]| spec)
}

fn containers(spec: &Value) -> impl Iterator<Item = &Value> {
    let kinds = ["initContainers", "containers", "ephemeralContainers"];
    kinds.into_iter().flat_map(|kind| items(inside(spec, kind)))
}

/// What is said of a pod, or of what makes pods.
pub(super) fn of(object: &Object, found: &mut Vec<Risk>) {
    let Some([metadata, spec]) = pod(object) else { return };
    let mut add = |rule, detail: String| found.push(Risk { rule, detail: detail.into() });
    for name in ["hostPID", "hostIPC", "hostNetwork"] {
        if is_true(spec, name) {
            add(RiskRule::PodHostNamespace, name.to_owned());
        }
    }
    let context = inside(spec, "securityContext");
    if is_true(inside(context, "windowsOptions"), "hostProcess") {
        add(RiskRule::PodPrivileged, "the pod is a process of its Windows node".to_owned());
    }
    unconfined(context, "the pod", &mut add);
    for volume in items(inside(spec, "volumes")) {
        if let Value::Object(path) = inside(volume, "hostPath") {
            let path = path.get("path").and_then(Value::as_str).unwrap_or_default();
            let rule = if is_node(path) { RiskRule::PodHostRoot } else { RiskRule::PodHostPath };
            add(rule, host_path(spec, text(volume, "name"), path));
        }
    }
    for one in containers(spec) {
        container(one, &mut add);
    }
    for sysctl in items(inside(context, "sysctls")) {
        let name = text(sysctl, "name");
        if !SYSCTLS.contains(&name) {
            add(RiskRule::PodUnconfined, format!("the pod: sysctl {name}"));
        }
    }
    let annotations = inside(metadata, "annotations");
    annotated(annotations, &mut add);
    let mirrored = inside(annotations, "kubernetes.io/config.mirror");
    if let Some(hash) = mirrored.as_str().filter(|_| object.kind == "Pod") {
        add(RiskRule::PodStatic, format!("the hash of its file is {hash}"));
    }
    for registry in containers(spec).map(|one| registry(text(one, "image"))).collect::<BTreeSet<_>>() {
        add(RiskRule::ImageRegistry, registry);
    }
}

/// Walls that were taken down by annotations, before there were fields for it.
fn annotated(annotations: &Value, add: &mut impl FnMut(RiskRule, String)) {
    for (name, value) in annotations.as_object().into_iter().flatten() {
        let apparmor = name.starts_with("container.apparmor.security.beta.kubernetes.io/");
        let seccomp = name.contains("seccomp.security.alpha.kubernetes.io/");
        if (apparmor || seccomp) && value == "unconfined" {
            add(RiskRule::PodUnconfined, format!("annotation {name}"));
        }
    }
}

/// A directory of the node, and who may write to it.
fn host_path(spec: &Value, volume: &str, path: &str) -> String {
    let writes = |one: &&Value| {
        let mounts = items(inside(one, "volumeMounts")).iter();
        mounts.filter(|mount| text(mount, "name") == volume).any(|mount| !is_true(mount, "readOnly"))
    };
    let names: Vec<_> = containers(spec).filter(writes).map(|one| text(one, "name")).collect();
    match names.is_empty() {
        true => format!("{path}, to read"),
        false => format!("{path}, written by {}", names.join(", ")),
    }
}

fn container(container: &Value, add: &mut impl FnMut(RiskRule, String)) {
    let name = text(container, "name");
    let context = inside(container, "securityContext");
    if is_true(context, "privileged") {
        add(RiskRule::PodPrivileged, format!("container {name}"));
    }
    if is_true(inside(context, "windowsOptions"), "hostProcess") {
        add(RiskRule::PodPrivileged, format!("container {name} is a process of its Windows node"));
    }
    let bare = |word: &str| word.to_uppercase().trim_start_matches("CAP_").to_owned();
    let added = strings(inside(context, "capabilities"), "add").into_iter().map(bare);
    let added = added.filter(|word| !BASELINE.contains(&word.as_str()));
    let (escapes, others): (Vec<_>, Vec<_>) = added.partition(|word| ESCAPES.contains(&word.as_str()));
    for (rule, all) in [(RiskRule::PodEscapes, escapes), (RiskRule::PodCapabilities, others)] {
        if !all.is_empty() {
            add(rule, format!("container {name}: {}", all.join(", ")));
        }
    }
    unconfined(context, &format!("container {name}"), add);
    if text(context, "procMount") == "Unmasked" {
        add(RiskRule::PodUnconfined, format!("container {name}: /proc"));
    }
    for port in items(inside(container, "ports")) {
        if let Some(number) = inside(port, "hostPort").as_u64().filter(|port| *port > 0) {
            add(RiskRule::PodHostPort, format!("container {name}: {number}"));
        }
    }
}

fn unconfined(context: &Value, whose: &str, add: &mut impl FnMut(RiskRule, String)) {
    for (name, called) in [("seccompProfile", "seccomp"), ("appArmorProfile", "AppArmor")] {
        if text(inside(context, name), "type") == "Unconfined" {
            add(RiskRule::PodUnconfined, format!("{whose}: {called}"));
        }
    }
    let selinux = text(inside(context, "seLinuxOptions"), "type");
    if !SELINUX.contains(&selinux) {
        add(RiskRule::PodUnconfined, format!("{whose}: SELinux type {selinux}"));
    }
}

/// Where an image comes from: what is before its first `/`, if that is the name of a host.
/// Source: `github.com/distribution/reference/normalize.go splitDockerDomain`.
fn registry(image: &str) -> String {
    let host = image.split_once('/').map_or("", |(host, _)| host);
    let is_host = host.contains(['.', ':']) || host == "localhost" || host.chars().any(char::is_uppercase);
    if is_host { host.to_owned() } else { "docker.io".to_owned() }
}

/// The images of a pod, or of what makes pods, each once.
pub(super) fn images(object: &Object) -> String {
    let images = spec(object).into_iter().flat_map(containers).map(|one| text(one, "image"));
    images.collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(", ")
}

/// What its containers run, for comparing: names, images, commands and arguments. Of what makes no pods nothing.
pub(super) fn runs(object: &Object) -> Vec<[String; 4]> {
    let words = |one: &Value, name: &str| strings(one, name).join(" ");
    let one = |one: &Value| {
        [
            text(one, "name").to_owned(),
            text(one, "image").to_owned(),
            words(one, "command"),
            words(one, "args"),
        ]
    };
    spec(object).into_iter().flat_map(containers).map(one).collect()
}
