//! Which objects are not for another cluster: what every cluster makes by itself, what only says how things were, and
//! what a controller makes of what is extracted.

use serde_json::{Map, Value};

/// Objects that are left out.
struct Rule {
    /// Of these kinds, as `deployment.apps`.
    kinds: &'static [&'static str],
    /// If that is true of them.
    only: fn(&Map<String, Value>) -> bool,
    reason: &'static str,
}

const fn rule(
    kinds: &'static [&'static str],
    only: fn(&Map<String, Value>) -> bool,
    reason: &'static str,
) -> Rule {
    Rule { kinds, only, reason }
}

const OWN: &str = "every cluster makes its own";
const ENDED: &str = "it has ended: applied, it would run again";
const DRIVER: &str = "the driver or controller that it is of writes it";

const RULES: [Rule; 19] = [
    rule(&["event", "event.events.k8s.io"], |_| true, "tells of what happened once"),
    rule(
        &["lease.coordination.k8s.io", "leasecandidate.coordination.k8s.io"],
        |_| true,
        "who holds it writes it anew",
    ),
    rule(&["node", "csinode.storage.k8s.io"], |_| true, "a node registers itself"),
    rule(
        &[
            "volumeattachment.storage.k8s.io",
            "csistoragecapacity.storage.k8s.io",
            // The history of what it is of; and kubectl cannot apply one twice.
            "controllerrevision.apps",
            "resourceslice.resource.k8s.io",
        ],
        |_| true,
        DRIVER,
    ),
    rule(
        &[
            "certificatesigningrequest.certificates.k8s.io",
            "eviction.lifecycle.k8s.io",
            "evictionrequest.lifecycle.k8s.io",
            "podcertificaterequest.certificates.k8s.io",
            "resourcepoolstatusrequest.resource.k8s.io",
            "storageversionmigration.storagemigration.k8s.io",
        ],
        |_| true,
        "a request that was made once",
    ),
    rule(&["storageversion.internal.apiserver.k8s.io", "ipaddress.networking.k8s.io"], |_| true, OWN),
    rule(&["endpointslice.discovery.k8s.io"], is_made_slice, "a controller makes it of the Service"),
    rule(&["endpoints"], is_made_endpoints, "a controller makes it of the Service"),
    rule(&["endpointslice.discovery.k8s.io", "endpoints", "service"], is_the_api, OWN),
    rule(
        &["secret"],
        |object| text(object, &["type"]) == Some("kubernetes.io/service-account-token"),
        "a token that no other cluster takes",
    ),
    rule(&["configmap"], is_own_config, OWN),
    rule(&["serviceaccount"], is_bare_default, OWN),
    rule(&["servicecidr.networking.k8s.io"], |object| name(object) == Some("kubernetes"), OWN),
    rule(
        &[
            "clusterrole.rbac.authorization.k8s.io",
            "clusterrolebinding.rbac.authorization.k8s.io",
            "role.rbac.authorization.k8s.io",
            "rolebinding.rbac.authorization.k8s.io",
        ],
        |object| {
            label(object, "kubernetes.io/bootstrapping") == Some("rbac-defaults")
                && annotation(object, "rbac.authorization.kubernetes.io/autoupdate") != Some("false")
        },
        OWN,
    ),
    rule(
        &["priorityclass.scheduling.k8s.io"],
        |object| name(object).is_some_and(|name| name.starts_with("system-")),
        OWN,
    ),
    rule(
        &[
            "flowschema.flowcontrol.apiserver.k8s.io",
            "prioritylevelconfiguration.flowcontrol.apiserver.k8s.io",
        ],
        |object| annotation(object, "apf.kubernetes.io/autoupdate-spec") == Some("true"),
        OWN,
    ),
    rule(
        &["apiservice.apiregistration.k8s.io"],
        |object| object.get("spec").and_then(|spec| spec.get("service")).is_none_or(Value::is_null),
        OWN,
    ),
    rule(
        &["pod"],
        |object| annotation(object, "kubernetes.io/config.mirror").is_some(),
        "the kubelet makes it of a file on its node",
    ),
    rule(&["pod", "job.batch"], has_ended, ENDED),
];

/// Kinds that a controller makes, and makes again.
const MADE: [&str; 5] = [
    "pod",
    "replicaset.apps",
    "job.batch",
    "resourceclaim.resource.k8s.io",
    "endpointslice.discovery.k8s.io",
];

/// Why an object is left out, if it is. `kind` is as `deployment.apps`; `is_extracted` tells of an object's uid whether
/// it is extracted, `selects` of a Service whether it selects Pods.
pub(super) fn reason(
    kind: &str,
    object: &Map<String, Value>,
    is_extracted: &dyn Fn(&str) -> bool,
    selects: &dyn Fn(&str, &str) -> bool,
) -> Option<&'static str> {
    if let Some(rule) = RULES.iter().find(|rule| rule.kinds.contains(&kind) && (rule.only)(object)) {
        return Some(rule.reason);
    }
    if MADE.contains(&kind) && controller(object).is_some_and(is_extracted) {
        return Some("its controller is extracted and makes it anew");
    }
    let place = || Some((text(object, &["metadata", "namespace"])?, name(object)?));
    let made = kind == "endpoints" && place().is_some_and(|(namespace, name)| selects(namespace, name));
    made.then_some("a controller makes it of the Service")
}

/// The uid of what controls it.
fn controller(object: &Map<String, Value>) -> Option<&str> {
    let owners = object.get("metadata")?.get("ownerReferences")?.as_array()?;
    let owner = owners.iter().find(|owner| owner.get("controller") == Some(&Value::Bool(true)))?;
    owner.get("uid")?.as_str()
}

fn text<'o>(object: &'o Map<String, Value>, path: &[&str]) -> Option<&'o str> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(object.get(*first)?, |value, name| value.get(*name))?.as_str()
}

fn name(object: &Map<String, Value>) -> Option<&str> {
    text(object, &["metadata", "name"])
}

fn label<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o str> {
    text(object, &["metadata", "labels", name])
}

fn annotation<'o>(object: &'o Map<String, Value>, name: &str) -> Option<&'o str> {
    text(object, &["metadata", "annotations", name])
}

fn is_made_slice(slice: &Map<String, Value>) -> bool {
    let by = label(slice, "endpointslice.kubernetes.io/managed-by");
    matches!(by, Some("endpointslice-controller.k8s.io" | "endpointslicemirroring-controller.k8s.io"))
}

fn is_made_endpoints(endpoints: &Map<String, Value>) -> bool {
    label(endpoints, "endpoints.kubernetes.io/managed-by") == Some("endpoint-controller")
        || annotation(endpoints, "control-plane.alpha.kubernetes.io/leader").is_some()
}

/// The Service by which Pods find the API server, and what belongs to it.
fn is_the_api(object: &Map<String, Value>) -> bool {
    text(object, &["metadata", "namespace"]) == Some("default") && name(object) == Some("kubernetes")
}

fn is_own_config(config: &Map<String, Value>) -> bool {
    match (text(config, &["metadata", "namespace"]), name(config)) {
        (_, Some("kube-root-ca.crt" | "openshift-service-ca.crt")) => true,
        (Some("kube-system"), Some(name)) => matches!(
            name,
            "extension-apiserver-authentication" | "kube-apiserver-legacy-service-account-token-tracking"
        ),
        _ => false,
    }
}

/// The ServiceAccount that each namespace has, if nobody has added anything to it.
fn is_bare_default(account: &Map<String, Value>) -> bool {
    let metadata = account.get("metadata");
    let has = |name: &str| {
        metadata.and_then(|metadata| metadata.get(name)?.as_object()).is_some_and(|all| !all.is_empty())
    };
    name(account) == Some("default")
        && !has("labels")
        && !has("annotations")
        && !account.contains_key("automountServiceAccountToken")
        && account.get("imagePullSecrets").and_then(Value::as_array).is_none_or(Vec::is_empty)
}

fn has_ended(object: &Map<String, Value>) -> bool {
    let conditions = object.get("status").and_then(|status| status.get("conditions"));
    let mut ends = conditions.and_then(Value::as_array).into_iter().flatten().filter(|condition| {
        let kind = condition.get("type").and_then(Value::as_str);
        matches!(kind, Some("Complete" | "Failed")) && condition.get("status") == Some(&"True".into())
    });
    matches!(text(object, &["status", "phase"]), Some("Succeeded" | "Failed")) || ends.next().is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn left(kind: &str, json: Value) -> bool {
        let Value::Object(json) = json else { panic!("{json}") };
        reason(kind, &json, &|uid| uid == "known", &|_, name| name == "selects").is_some()
    }

    #[test]
    fn what_a_controller_makes_is_left_out_if_that_is_extracted() {
        let owned = |uid: &str, controller: bool| {
            let owner = json!({"uid": uid, "controller": controller});
            json!({"metadata": {"name": "x", "ownerReferences": [owner]}})
        };
        for kind in MADE {
            assert!(left(kind, owned("known", true)), "{kind}");
            assert!(!left(kind, owned("other", true)) && !left(kind, owned("known", false)), "{kind}");
        }
        // Its data would be lost.
        assert!(!left("persistentvolumeclaim", owned("known", true)));
    }

    #[test]
    fn what_every_cluster_makes_is_left_out_and_what_somebody_added_to_is_not() {
        let named = |namespace: &str, name: &str| json!({"metadata": {"namespace": namespace, "name": name}});
        assert!(left("serviceaccount", named("a", "default")) && !left("serviceaccount", named("a", "b")));
        let pulls = json!({"metadata": {"name": "default"}, "imagePullSecrets": [{"name": "x"}]});
        assert!(!left("serviceaccount", pulls));
        assert!(left("configmap", named("a", "kube-root-ca.crt")) && !left("configmap", named("a", "b")));
        assert!(
            left("service", named("default", "kubernetes")) && !left("service", named("a", "kubernetes"))
        );
        assert!(left("endpoints", named("a", "selects")) && !left("endpoints", named("a", "by-hand")));
        assert!(left("secret", json!({"type": "kubernetes.io/service-account-token"})));
        assert!(!left("secret", json!({"type": "Opaque"})));
        let role = |update: &str| {
            json!({"metadata": {
                "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
                "annotations": {"rbac.authorization.kubernetes.io/autoupdate": update},
            }})
        };
        let kind = "clusterrole.rbac.authorization.k8s.io";
        assert!(left(kind, role("true")) && !left(kind, role("false")) && !left(kind, named("", "mine")));
        assert!(left("apiservice.apiregistration.k8s.io", json!({"spec": {}})));
        assert!(!left("apiservice.apiregistration.k8s.io", json!({"spec": {"service": {"name": "x"}}})));
        assert!(!left("namespace", named("", "default")));
    }

    #[test]
    fn what_has_ended_does_not_run_again() {
        assert!(left("pod", json!({"status": {"phase": "Succeeded"}})));
        assert!(!left("pod", json!({"status": {"phase": "Running"}})));
        let job =
            |kind: &str, status: &str| json!({"status": {"conditions": [{"type": kind, "status": status}]}});
        assert!(left("job.batch", job("Complete", "True")) && left("job.batch", job("Failed", "True")));
        assert!(!left("job.batch", job("Suspended", "True")) && !left("job.batch", job("Complete", "False")));
    }
}
