//! Pods and what makes them.

use jiff::Timestamp;
use serde_json::Value;

use super::super::type_meta::{group_of, qualified};
use super::columns::{AGE, Around, Column, column, wide};
use super::values::{
    Json, NONE, UNSET, at, condition, entries, human, is_true, labels, list, number, or, selector, since,
    text, text_in, time,
};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Pod") => PODS,
        ("", "ReplicationController") => REPLICATION_CONTROLLERS,
        ("", "PodTemplate") => POD_TEMPLATES,
        ("apps" | "extensions", "Deployment") => DEPLOYMENTS,
        ("apps" | "extensions", "ReplicaSet") => REPLICA_SETS,
        ("apps" | "extensions", "DaemonSet") => DAEMON_SETS,
        ("apps", "StatefulSet") => STATEFUL_SETS,
        ("apps", "ControllerRevision") => CONTROLLER_REVISIONS,
        ("batch", "Job") => JOBS,
        ("batch", "CronJob") => CRON_JOBS,
        ("scheduling.k8s.io", "PodGroup") => POD_GROUPS,
        ("scheduling.k8s.io", "CompositePodGroup") => COMPOSITE_POD_GROUPS,
        _ => return None,
    })
}

// Of what makes pods by a template.
const CONTAINERS: Column = wide("CONTAINERS", |json, _| containers(json, "spec.template.spec", "name"));
const IMAGES: Column = wide("IMAGES", |json, _| containers(json, "spec.template.spec", "image"));
const SELECTOR: Column = wide("SELECTOR", |json, _| selector(at(json, "spec.selector")));

const PODS: &[Column] = &[
    column("READY", |json, around| pod(json, around).ready),
    column("STATUS", |json, around| pod(json, around).status),
    column("RESTARTS", |json, around| pod(json, around).restarts),
    AGE,
    wide("IP", |json, _| or(list(json, "status.podIPs").first().map_or("", |ip| text_in(ip, "ip")), NONE)),
    wide("NODE", |json, _| or(text(json, "spec.nodeName"), NONE)),
    wide("NOMINATED NODE", |json, _| or(text(json, "status.nominatedNodeName"), NONE)),
    wide("READINESS GATES", |json, _| readiness_gates(json)),
];

const DEPLOYMENTS: &[Column] = &[
    column("READY", |json, _| ready_of(json)),
    column("UP-TO-DATE", |json, _| number(json, "status.updatedReplicas").to_string()),
    column("AVAILABLE", |json, _| number(json, "status.availableReplicas").to_string()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICA_SETS: &[Column] = &[
    column("DESIRED", |json, _| number(json, "spec.replicas").to_string()),
    column("CURRENT", |json, _| number(json, "status.replicas").to_string()),
    column("READY", |json, _| number(json, "status.readyReplicas").to_string()),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const REPLICATION_CONTROLLERS: &[Column] = &[
    column("DESIRED", |json, _| number(json, "spec.replicas").to_string()),
    column("CURRENT", |json, _| number(json, "status.replicas").to_string()),
    column("READY", |json, _| number(json, "status.readyReplicas").to_string()),
    AGE,
    CONTAINERS,
    IMAGES,
    wide("SELECTOR", |json, _| labels(at(json, "spec.selector"))),
];

const STATEFUL_SETS: &[Column] = &[column("READY", |json, _| ready_of(json)), AGE, CONTAINERS, IMAGES];

const DAEMON_SETS: &[Column] = &[
    column("DESIRED", |json, _| number(json, "status.desiredNumberScheduled").to_string()),
    column("CURRENT", |json, _| number(json, "status.currentNumberScheduled").to_string()),
    column("READY", |json, _| number(json, "status.numberReady").to_string()),
    column("UP-TO-DATE", |json, _| number(json, "status.updatedNumberScheduled").to_string()),
    column("AVAILABLE", |json, _| number(json, "status.numberAvailable").to_string()),
    column("NODE SELECTOR", |json, _| labels(at(json, "spec.template.spec.nodeSelector"))),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const JOBS: &[Column] = &[
    column("STATUS", |json, _| job_status(json).to_owned()),
    column("COMPLETIONS", |json, _| completions(json)),
    column("DURATION", job_duration),
    AGE,
    CONTAINERS,
    IMAGES,
    SELECTOR,
];

const CRON_JOBS: &[Column] = &[
    column("SCHEDULE", |json, _| text(json, "spec.schedule").to_owned()),
    column("TIMEZONE", |json, _| or(text(json, "spec.timeZone"), NONE)),
    column("SUSPEND", |json, _| match at(json, "spec.suspend").and_then(Value::as_bool) {
        Some(true) => "True".to_owned(),
        Some(false) => "False".to_owned(),
        None => UNSET.to_owned(),
    }),
    column("ACTIVE", |json, _| entries(json, "status.active").to_string()),
    column("LAST SCHEDULE", |json, around| match time(json, "status.lastScheduleTime") {
        Some(last) => since(Some(last), around.now),
        None => NONE.to_owned(),
    }),
    AGE,
    wide("CONTAINERS", |json, _| containers(json, "spec.jobTemplate.spec.template.spec", "name")),
    wide("IMAGES", |json, _| containers(json, "spec.jobTemplate.spec.template.spec", "image")),
    wide("SELECTOR", |json, _| selector(at(json, "spec.jobTemplate.spec.selector"))),
];

const POD_TEMPLATES: &[Column] = &[
    column("CONTAINERS", |json, _| containers(json, "template.spec", "name")),
    column("IMAGES", |json, _| containers(json, "template.spec", "image")),
    column("POD LABELS", |json, _| labels(at(json, "template.metadata.labels"))),
];

const CONTROLLER_REVISIONS: &[Column] = &[
    column("CONTROLLER", |json, _| {
        let owners = list(json, "metadata.ownerReferences");
        let controller = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)));
        controller.map_or_else(|| NONE.to_owned(), owner)
    }),
    column("REVISION", |json, _| number(json, "revision").to_string()),
    AGE,
];

const POLICY: Column = column("POLICY", |json, _| match at(json, "spec.schedulingPolicy.gang") {
    Some(_) => "Gang".to_owned(),
    None => "Basic".to_owned(),
});
const WORKLOAD: Column = column("WORKLOAD", |json, _| match at(json, "spec.workloadRef") {
    Some(workload) => text_in(workload, "workloadName").to_owned(),
    None => NONE.to_owned(),
});

const POD_GROUPS: &[Column] = &[
    POLICY,
    WORKLOAD,
    column("STATUS", |json, _| match condition(json, "DisruptionTarget") {
        Some(target) => text_in(target, "reason").to_owned(),
        None if is_true(json, "PodGroupInitiallyScheduled") => "Scheduled".to_owned(),
        None if condition(json, "PodGroupInitiallyScheduled").is_some() => "Unschedulable".to_owned(),
        None => "Pending".to_owned(),
    }),
    AGE,
];

const COMPOSITE_POD_GROUPS: &[Column] = &[POLICY, WORKLOAD, AGE];

/// `statefulset.apps/web`.
fn owner(owner: &Value) -> String {
    let kind = qualified(&text_in(owner, "kind").to_lowercase(), group_of(text_in(owner, "apiVersion")));
    format!("{kind}/{}", text_in(owner, "name"))
}

fn ready_of(json: &Json) -> String {
    format!("{}/{}", number(json, "status.readyReplicas"), number(json, "spec.replicas"))
}

fn containers(json: &Json, spec: &str, name: &str) -> String {
    let all: Vec<&str> = list(json, &format!("{spec}.containers")).iter().map(|c| text_in(c, name)).collect();
    all.join(",")
}

fn job_status(json: &Json) -> &'static str {
    if is_true(json, "Complete") {
        "Complete"
    } else if is_true(json, "Failed") {
        "Failed"
    } else if at(json, "metadata.deletionTimestamp").is_some() {
        "Terminating"
    } else {
        let states = ["Suspended", "FailureTarget", "SuccessCriteriaMet"];
        states.into_iter().find(|state| is_true(json, state)).unwrap_or("Running")
    }
}

fn completions(json: &Json) -> String {
    let succeeded = number(json, "status.succeeded");
    match (at(json, "spec.completions").and_then(Value::as_i64), number(json, "spec.parallelism")) {
        (Some(due), _) => format!("{succeeded}/{due}"),
        (None, parallel) if parallel > 1 => format!("{succeeded}/1 of {parallel}"),
        (None, _) => format!("{succeeded}/1"),
    }
}

fn job_duration(json: &Json, around: Around) -> String {
    let Some(start) = time(json, "status.startTime") else { return String::new() };
    let end = time(json, "status.completionTime").unwrap_or(around.now);
    human(end.duration_since(start).as_secs())
}

fn readiness_gates(json: &Json) -> String {
    let gates = list(json, "spec.readinessGates");
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let ready = gates.iter().filter(|gate| is_true(json, text_in(gate, "conditionType"))).count();
    format!("{ready}/{}", gates.len())
}

/// What is said of a pod, from all its containers (`printPod`).
struct Pod {
    ready: String,
    status: String,
    restarts: String,
}

#[derive(Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, container: &Value) {
        self.count =
            self.count.saturating_add(container.get("restartCount").and_then(Value::as_i64).unwrap_or(0));
        let finished = container.pointer("/lastState/terminated/finishedAt").and_then(Value::as_str);
        self.last = self.last.max(finished.and_then(|time| time.parse().ok()));
    }
}

fn state<'c>(container: &'c Value, name: &str) -> Option<&'c Value> {
    container.get("state")?.get(name).filter(|state| !state.is_null())
}

/// Why a container that has ended did so.
fn ended(terminated: &Value) -> String {
    let number = |name| terminated.get(name).and_then(Value::as_i64).unwrap_or_default();
    match (text_in(terminated, "reason"), number("signal")) {
        ("", 0) => format!("ExitCode:{}", number("exitCode")),
        ("", signal) => format!("Signal:{signal}"),
        (reason, _) => reason.to_owned(),
    }
}

fn pod(json: &Json, around: Around) -> Pod {
    let phase = text(json, "status.phase");
    let mut status = or(text(json, "status.reason"), phase);
    if condition(json, "PodScheduled").is_some_and(|found| text_in(found, "reason") == "SchedulingGated") {
        "SchedulingGated".clone_into(&mut status);
    }
    let init = list(json, "spec.initContainers");
    let is_sidecar = |name: &str| {
        init.iter().any(|c| text_in(c, "name") == name && text_in(c, "restartPolicy") == "Always")
    };
    let sidecars = init.iter().filter(|c| text_in(c, "restartPolicy") == "Always").count();
    let total = list(json, "spec.containers").len().saturating_add(sidecars);
    let (mut restarts, mut of_sidecars) = (Restarts::default(), Restarts::default());
    let (mut ready, mut initializing) = (0usize, false);
    for (at, container) in list(json, "status.initContainerStatuses").iter().enumerate() {
        restarts.add(container);
        let sidecar = is_sidecar(text_in(container, "name"));
        if sidecar {
            of_sidecars.add(container);
        }
        let is = |name| container.get(name) == Some(&Value::Bool(true));
        let (terminated, waiting) = (state(container, "terminated"), state(container, "waiting"));
        match (terminated, waiting.map_or("", |waiting| text_in(waiting, "reason"))) {
            (Some(end), _) if end.get("exitCode").and_then(Value::as_i64).unwrap_or(0) == 0 => continue,
            _ if sidecar && is("started") => {
                ready = ready.saturating_add(usize::from(is("ready")));
                continue;
            }
            (Some(end), _) => status = format!("Init:{}", ended(end)),
            (None, "" | "PodInitializing") => status = format!("Init:{at}/{}", init.len()),
            (None, reason) => status = format!("Init:{reason}"),
        }
        initializing = true;
        break;
    }
    if !initializing || is_true(json, "Initialized") {
        restarts = of_sidecars;
        let running = main_containers(json, &mut restarts, &mut ready, &mut status);
        if status == "Completed" && running {
            (if is_true(json, "Ready") { "Running" } else { "NotReady" }).clone_into(&mut status);
        }
    }
    if at(json, "metadata.deletionTimestamp").is_some() {
        if text(json, "status.reason") == "NodeLost" {
            "Unknown".clone_into(&mut status);
        } else if !matches!(phase, "Failed" | "Succeeded") {
            "Terminating".clone_into(&mut status);
        }
    }
    let restarts = match restarts.last {
        Some(last) if restarts.count != 0 => {
            format!("{} ({} ago)", restarts.count, since(Some(last), around.now))
        }
        _ => restarts.count.to_string(),
    };
    Pod { ready: format!("{ready}/{total}"), status, restarts }
}

/// Goes through the containers that are not for initializing, the last first; whether one is running.
fn main_containers(json: &Json, restarts: &mut Restarts, ready: &mut usize, status: &mut String) -> bool {
    let mut running = false;
    for container in list(json, "status.containerStatuses").iter().rev() {
        restarts.add(container);
        let waiting = state(container, "waiting").map_or("", |waiting| text_in(waiting, "reason"));
        if !waiting.is_empty() {
            waiting.clone_into(status);
        } else if let Some(end) = state(container, "terminated") {
            *status = ended(end);
        } else if container.get("ready") == Some(&Value::Bool(true)) && state(container, "running").is_some()
        {
            running = true;
            *ready = ready.saturating_add(1);
        }
    }
    running
}
