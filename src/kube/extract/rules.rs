//! What is taken out of an object so that a server takes it as a new one: one table.
//!
//! A field goes if the server or a controller gives it, and a value of another cluster would be refused, or be wrong.
//! Everything else stays. Compare velero's restore item actions (`pkg/restore/actions`), which these rules follow where
//! both know a field, and `k8s.io/kubernetes/pkg/registry/*/*/strategy.go` for what a server refuses.

use serde_json::{Map, Value};

/// Something that was taken out of an object.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Removal {
    /// As `spec.ports[0].nodePort`.
    pub path: String,
    /// Why a server would not do well with it.
    pub reason: &'static str,
}

/// A field that is taken out.
struct Rule {
    /// Of these kinds, as `deployment.apps`; of all.
    kinds: &'static [&'static str],
    /// Where it is; `*` is each item of a list.
    path: &'static [&'static str],
    /// If that is true of the object.
    only: fn(&Map<String, Value>) -> bool,
    /// If that is true of the value.
    of: fn(&Value) -> bool,
    reason: &'static str,
}

const ALWAYS: Rule = Rule { kinds: &[], path: &[], only: |_| true, of: |_| true, reason: "" };

/// A rule without conditions.
const fn rule(kinds: &'static [&'static str], path: &'static [&'static str], reason: &'static str) -> Rule {
    Rule { kinds, path, reason, ..ALWAYS }
}

const SERVER: &str = "the server gives it";
const DELETION: &str = "of a deletion that was under way";
const COUNTED: &str = "its controller counts it anew";
const ALLOCATED: &str = "allocated by the cluster it was in";
const BOUND: &str = "of the binding that the cluster it was in made: it is bound anew";
const RESULT: &str = "what its controller found, kept as an annotation";
const OF_JOB: &str = "made by the server of the Job's uid";
const UID: &str = "of an object that has another uid where it is made anew";

const METADATA: &str = "metadata";
const ANNOTATIONS: &str = "annotations";

const PODS: &[&str] = &["pod"];
const SERVICES: &[&str] = &["service"];
const CLAIMS: &[&str] = &["persistentvolumeclaim"];
const VOLUMES: &[&str] = &["persistentvolume"];
const JOBS: &[&str] = &["job.batch"];
const SCALERS: &[&str] = &["horizontalpodautoscaler.autoscaling"];

const RULES: [Rule; 48] = [
    rule(&[], &["status"], "the server and its controllers write it"),
    rule(&[], &[METADATA, "uid"], SERVER),
    rule(&[], &[METADATA, "resourceVersion"], SERVER),
    rule(&[], &[METADATA, "creationTimestamp"], SERVER),
    rule(&[], &[METADATA, "generation"], SERVER),
    rule(&[], &[METADATA, "selfLink"], SERVER),
    rule(&[], &[METADATA, "managedFields"], SERVER),
    rule(&[], &[METADATA, "deletionTimestamp"], DELETION),
    rule(&[], &[METADATA, "deletionGracePeriodSeconds"], DELETION),
    Rule {
        of: |value| is_one_of(value, &["foregroundDeletion", "orphan"]),
        ..rule(&[], &[METADATA, "finalizers", "*"], DELETION)
    },
    Rule {
        of: |value| is_one_of(value, &FINALIZERS),
        ..rule(&[], &[METADATA, "finalizers", "*"], "the controller that waits for it puts it there")
    },
    rule(
        &[],
        &[METADATA, ANNOTATIONS, "kubectl.kubernetes.io/last-applied-configuration"],
        "repeats the object, and is written anew when it is applied",
    ),
    rule(
        &[],
        &[METADATA, ANNOTATIONS, "control-plane.alpha.kubernetes.io/leader"],
        "who led when it was written",
    ),
    rule(&["namespace"], &["spec", "finalizers"], SERVER),
    rule(PODS, &["spec", "nodeName"], "the scheduler chooses a node"),
    rule(PODS, &["spec", "priority"], "the server reads it from the PriorityClass, and refuses another"),
    rule(PODS, &["spec", "ephemeralContainers"], "a server refuses them in a new Pod"),
    rule(PODS, &[METADATA, "labels", "controller-uid"], OF_JOB),
    rule(PODS, &[METADATA, "labels", "batch.kubernetes.io/controller-uid"], OF_JOB),
    Rule { of: |value| value != "None", ..rule(SERVICES, &["spec", "clusterIP"], ALLOCATED) },
    Rule {
        of: |value| value.as_array().is_none_or(|all| all.iter().any(|ip| ip != "None")),
        ..rule(SERVICES, &["spec", "clusterIPs"], ALLOCATED)
    },
    rule(SERVICES, &["spec", "healthCheckNodePort"], ALLOCATED),
    // Of other Services the port is the address that others know them by.
    Rule {
        only: |object| spec(object, "type") == Some("LoadBalancer"),
        ..rule(SERVICES, &["spec", "ports", "*", "nodePort"], "allocated, and the balancer is told another")
    },
    rule(CLAIMS, &["spec", "volumeName"], BOUND),
    rule(CLAIMS, &[METADATA, ANNOTATIONS, "pv.kubernetes.io/bind-completed"], BOUND),
    rule(CLAIMS, &[METADATA, ANNOTATIONS, "pv.kubernetes.io/bound-by-controller"], BOUND),
    rule(CLAIMS, &[METADATA, ANNOTATIONS, "volume.kubernetes.io/selected-node"], BOUND),
    rule(CLAIMS, &[METADATA, ANNOTATIONS, "volume.kubernetes.io/storage-provisioner"], BOUND),
    rule(CLAIMS, &[METADATA, ANNOTATIONS, "volume.beta.kubernetes.io/storage-provisioner"], BOUND),
    rule(VOLUMES, &["spec", "claimRef", "uid"], UID),
    rule(VOLUMES, &["spec", "claimRef", "resourceVersion"], UID),
    rule(VOLUMES, &[METADATA, ANNOTATIONS, "pv.kubernetes.io/bound-by-controller"], BOUND),
    rule(&["serviceaccount"], &["secrets"], "names of tokens that were made for it"),
    Rule { only: is_generated, ..rule(JOBS, &["spec", "selector"], OF_JOB) },
    Rule {
        only: is_generated,
        ..rule(JOBS, &["spec", "template", METADATA, "labels", "controller-uid"], OF_JOB)
    },
    Rule { only: is_generated, ..rule(JOBS, &["spec", "template", METADATA, "labels", "job-name"], OF_JOB) },
    Rule {
        only: is_generated,
        ..rule(JOBS, &["spec", "template", METADATA, "labels", "batch.kubernetes.io/controller-uid"], OF_JOB)
    },
    Rule {
        only: is_generated,
        ..rule(JOBS, &["spec", "template", METADATA, "labels", "batch.kubernetes.io/job-name"], OF_JOB)
    },
    rule(JOBS, &[METADATA, "labels", "controller-uid"], OF_JOB),
    rule(JOBS, &[METADATA, "labels", "batch.kubernetes.io/controller-uid"], OF_JOB),
    rule(
        &["deployment.apps", "replicaset.apps"],
        &[METADATA, ANNOTATIONS, "deployment.kubernetes.io/revision"],
        COUNTED,
    ),
    rule(&["daemonset.apps"], &[METADATA, ANNOTATIONS, "deprecated.daemonset.template.generation"], COUNTED),
    rule(&["statefulset.apps"], &["spec", "volumeClaimTemplates", "*", "status"], SERVER),
    rule(SCALERS, &[METADATA, ANNOTATIONS, "autoscaling.alpha.kubernetes.io/conditions"], RESULT),
    rule(SCALERS, &[METADATA, ANNOTATIONS, "autoscaling.alpha.kubernetes.io/current-metrics"], RESULT),
    rule(&["endpoints"], &["subsets", "*", "addresses", "*", "targetRef", "uid"], UID),
    rule(
        &["endpoints"],
        &[METADATA, ANNOTATIONS, "endpoints.kubernetes.io/last-change-trigger-time"],
        COUNTED,
    ),
    rule(&["endpointslice.discovery.k8s.io"], &["endpoints", "*", "targetRef", "uid"], UID),
];

/// Those of Kubernetes' own controllers, which add them when they need them.
const FINALIZERS: [&str; 4] = [
    "batch.kubernetes.io/job-tracking",
    "kubernetes.io/pv-protection",
    "kubernetes.io/pvc-protection",
    "service.kubernetes.io/load-balancer-cleanup",
];

fn is_one_of(value: &Value, among: &[&str]) -> bool {
    value.as_str().is_some_and(|text| among.contains(&text))
}

fn spec<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o str> {
    object.get("spec")?.get(name)?.as_str()
}

/// A Job that did not choose its own selector.
fn is_generated(job: &Map<String, Value>) -> bool {
    job.get("spec").and_then(|spec| spec.get("manualSelector")) != Some(&Value::Bool(true))
}

/// Takes out what a server would not take. `kind` is as `deployment.apps`; with `status` that is left; `is_extracted`
/// tells of an object's uid whether it is extracted too.
pub(super) fn apply(
    kind: &str,
    json: &mut Map<String, Value>,
    status: bool,
    is_extracted: &dyn Fn(&str) -> bool,
) -> Vec<Removal> {
    let mut removed = Vec::new();
    let wanted = |rule: &&Rule| {
        (rule.kinds.is_empty() || rule.kinds.contains(&kind)) && !(status && rule.path == ["status"])
    };
    for rule in RULES.iter().filter(wanted) {
        if (rule.only)(json) {
            let mut root = Value::Object(std::mem::take(json));
            take_out(&mut root, rule.path, "", rule, &mut removed);
            if let Value::Object(root) = root {
                *json = root;
            }
        }
    }
    owners(json, is_extracted, &mut removed);
    if kind == "pod" {
        tokens(json, &mut removed);
    }
    removed
}

/// Takes out what is at the path; a map or list that has nothing left in it goes as well.
fn take_out(value: &mut Value, path: &[&str], at: &str, rule: &Rule, removed: &mut Vec<Removal>) {
    let Some((first, rest)) = path.split_first() else { return };
    let before = removed.len();
    let taken = |path: String| Removal { path, reason: rule.reason };
    match value {
        Value::Array(items) if *first == "*" && rest.is_empty() => {
            retain(items, at, rule.reason, removed, |item| !(rule.of)(item));
        }
        Value::Array(items) if *first == "*" => {
            for (n, item) in items.iter_mut().enumerate() {
                take_out(item, rest, &format!("{at}[{n}]"), rule, removed);
            }
        }
        Value::Object(map) => {
            let Some(inner) = map.get_mut(*first) else { return };
            let path = below(at, first);
            if rest.is_empty() {
                if (rule.of)(inner) {
                    map.shift_remove(*first);
                    removed.push(taken(path));
                }
                return;
            }
            take_out(inner, rest, &path, rule, removed);
            if removed.len() > before && is_empty(inner) {
                map.shift_remove(*first);
            }
        }
        _ => {}
    }
}

/// Keeps those items of the list of which it is true.
fn retain(
    items: &mut Vec<Value>,
    at: &str,
    reason: &'static str,
    removed: &mut Vec<Removal>,
    stays: impl Fn(&Value) -> bool,
) {
    for (n, _) in items.iter().enumerate().filter(|(_, item)| !stays(item)) {
        removed.push(Removal { path: format!("{at}[{n}]"), reason });
    }
    items.retain(stays);
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        _ => false,
    }
}

/// The path of a field; a name that has points in it is quoted.
fn below(at: &str, name: &str) -> String {
    let plain = name.chars().all(|c| c.is_ascii_alphanumeric());
    match (plain, at) {
        (true, "") => name.to_owned(),
        (true, _) => format!("{at}.{name}"),
        (false, _) => format!("{at}[{name:?}]"),
    }
}

/// An owner is known by its uid, and none keeps it.
fn owners(json: &mut Map<String, Value>, is_extracted: &dyn Fn(&str) -> bool, removed: &mut Vec<Removal>) {
    let Some(Value::Object(metadata)) = json.get_mut(METADATA) else { return };
    let Some(owners) = metadata.shift_remove("ownerReferences") else { return };
    for (n, owner) in owners.as_array().into_iter().flatten().enumerate() {
        let known = owner.get("uid").and_then(Value::as_str).is_some_and(is_extracted);
        let reason = if known {
            "the owner gets another uid: with the old one this would be deleted as an orphan"
        } else {
            "the owner is not extracted: this would be deleted as an orphan"
        };
        removed.push(Removal { path: format!("metadata.ownerReferences[{n}]"), reason });
    }
}

/// Where a token of its ServiceAccount is put into each container that has nothing there.
const TOKENS: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

/// The volumes with a token that the server adds to a Pod, and their mounts.
fn tokens(pod: &mut Map<String, Value>, removed: &mut Vec<Removal>) {
    const REASON: &str = "the server adds a token of the ServiceAccount to each Pod";
    let Some(Value::Object(spec)) = pod.get_mut("spec") else { return };
    let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
    let injected = |volume: &Value| {
        let name = text(volume, "name")?;
        let secret = volume.get("secret").and_then(|secret| text(secret, "secretName"));
        let projected = volume.get("projected").is_some() && name.starts_with("kube-api-access-");
        (projected || secret.is_some_and(|secret| secret.contains("-token-"))).then_some(name)
    };
    let volumes = spec.get("volumes").and_then(Value::as_array).into_iter().flatten();
    let injected: Vec<String> = volumes.filter_map(injected).collect();
    let mut mounted = Vec::new();
    for list in ["initContainers", "containers"] {
        let containers = spec.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten();
        for (n, container) in containers.enumerate() {
            let Some(container) = container.as_object_mut() else { continue };
            let Some(Value::Array(mounts)) = container.get_mut("volumeMounts") else { continue };
            let path = format!("spec.{list}[{n}].volumeMounts");
            let is_token = |mount: &Value| {
                text(mount, "mountPath").is_some_and(|path| path == TOKENS)
                    && text(mount, "name").is_some_and(|name| injected.contains(&name))
            };
            mounted.extend(
                mounts.iter().filter(|mount| is_token(mount)).filter_map(|mount| text(mount, "name")),
            );
            let before = removed.len();
            retain(mounts, &path, REASON, removed, |mount| !is_token(mount));
            if mounts.is_empty() && removed.len() > before {
                container.shift_remove("volumeMounts");
            }
        }
    }
    let Some(Value::Array(volumes)) = spec.get_mut("volumes") else { return };
    let before = removed.len();
    retain(volumes, "spec.volumes", REASON, removed, |volume| {
        text(volume, "name").is_none_or(|name| !mounted.contains(&name))
    });
    if volumes.is_empty() && removed.len() > before {
        spec.shift_remove("volumes");
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(kind: &str, json: Value) -> (Value, Vec<String>) {
        let Value::Object(mut json) = json else { panic!("{json}") };
        let removed = apply(kind, &mut json, false, &|uid| uid == "known");
        let again = apply(kind, &mut json, false, &|uid| uid == "known");
        assert_eq!(again, [], "once is enough");
        (Value::Object(json), removed.into_iter().map(|removal| removal.path).collect())
    }

    #[test]
    fn a_pod_keeps_what_it_was_made_of() {
        let token = json!({"name": "kube-api-access-x", "mountPath": TOKENS});
        let own = json!({"name": "v", "mountPath": "/v"});
        let pod = json!({
            "metadata": {
                "name": "p", "uid": "u", "labels": {"app": "a"},
                "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{}"},
                "finalizers": ["batch.kubernetes.io/job-tracking", "my.own/one"],
                "ownerReferences": [{"uid": "known"}, {"uid": "other"}],
            },
            "spec": {
                "nodeName": "n1",
                "priority": 0,
                "containers": [
                    {"name": "a", "volumeMounts": [token, own]},
                    {"name": "b", "volumeMounts": [token]},
                ],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "kube-api-access-x", "projected": {}}],
            },
            "status": {"phase": "Running"},
        });
        let (json, removed) = applied("pod", pod);
        let due = json!({
            "metadata": {"name": "p", "labels": {"app": "a"}, "finalizers": ["my.own/one"]},
            "spec": {
                "containers": [{"name": "a", "volumeMounts": [own]}, {"name": "b"}],
                "volumes": [{"name": "v", "emptyDir": {}}],
            },
        });
        assert_eq!(json, due);
        let due = [
            "status",
            "metadata.uid",
            "metadata.finalizers[0]",
            r#"metadata.annotations["kubectl.kubernetes.io/last-applied-configuration"]"#,
            "spec.nodeName",
            "spec.priority",
            "metadata.ownerReferences[0]",
            "metadata.ownerReferences[1]",
            "spec.containers[0].volumeMounts[0]",
            "spec.containers[1].volumeMounts[0]",
            "spec.volumes[1]",
        ];
        assert_eq!(removed, due);
    }

    #[test]
    fn a_token_of_ones_own_is_left_where_it_is_mounted() {
        let pod = json!({
            "spec": {
                "containers": [{"volumeMounts": [{"name": "mine", "mountPath": TOKENS}]}],
                "volumes": [
                    {"name": "mine", "projected": {}},
                    {"name": "t", "secret": {"secretName": "a-token-b"}},
                ],
            },
        });
        assert_eq!(applied("pod", pod.clone()), (pod, Vec::new()));
    }

    #[test]
    fn addresses_that_a_cluster_gave_go_and_those_that_were_chosen_stay() {
        let service = |kind: &str, ip: &str| {
            json!({"spec": {
                "type": kind, "clusterIP": ip, "clusterIPs": [ip], "healthCheckNodePort": 30000,
                "ports": [{"port": 80, "nodePort": 30080}],
            }})
        };
        let ports = json!([{"port": 80, "nodePort": 30080}]);
        let (json, _) = applied("service", service("NodePort", "10.0.0.7"));
        assert_eq!(json, json!({"spec": {"type": "NodePort", "ports": ports}}));
        let (json, removed) = applied("service", service("LoadBalancer", "None"));
        let due = json!({"spec": {
            "type": "LoadBalancer", "clusterIP": "None", "clusterIPs": ["None"], "ports": [{"port": 80}],
        }});
        assert_eq!(json, due);
        assert_eq!(removed, ["spec.healthCheckNodePort", "spec.ports[0].nodePort"]);
        // What only is called so.
        let other = service("LoadBalancer", "10.0.0.7");
        assert_eq!(applied("service.example.com", other.clone()).0, other);
    }

    #[test]
    fn a_job_loses_what_the_server_made_of_its_uid_unless_it_chose_itself() {
        let labels = json!({"app": "a", "controller-uid": "u", "batch.kubernetes.io/job-name": "j"});
        let job = |manual: bool| {
            json!({"spec": {
                "manualSelector": manual, "selector": {"matchLabels": {"controller-uid": "u"}},
                "template": {"metadata": {"labels": labels}},
            }})
        };
        let due =
            json!({"spec": {"manualSelector": false, "template": {"metadata": {"labels": {"app": "a"}}}}});
        assert_eq!(applied("job.batch", job(false)).0, due);
        assert_eq!(applied("job.batch", job(true)), (job(true), Vec::new()));
    }

    #[test]
    fn a_status_that_is_a_field_like_others_stays() {
        let Value::Object(mut json) = json!({"status": {"a": 1}}) else { panic!() };
        assert_eq!(apply("thing.example.com", &mut json, true, &|_| false), []);
        assert!(json.contains_key("status"));
    }
}
