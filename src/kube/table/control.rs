//! What steers: events, quotas, scaling, flow control, admission, certificates, devices.

use std::collections::BTreeSet;

use serde_json::Value;

use super::columns::{AGE, Around, Column, column, wide};
use super::values::{
    Json, NONE, UNKNOWN, UNSET, at, condition, human, labels, list, list_in, number, or, since, text,
    text_in, time,
};

pub(super) fn of_kind(group: &str, kind: &str) -> Option<&'static [Column]> {
    Some(match (group, kind) {
        ("", "Event") => EVENTS,
        ("", "ResourceQuota") => QUOTAS,
        ("autoscaling", "HorizontalPodAutoscaler") => SCALERS,
        ("flowcontrol.apiserver.k8s.io", "FlowSchema") => FLOW_SCHEMAS,
        ("flowcontrol.apiserver.k8s.io", "PriorityLevelConfiguration") => PRIORITY_LEVELS,
        ("admissionregistration.k8s.io", "ValidatingAdmissionPolicy") => POLICIES,
        ("admissionregistration.k8s.io", "MutatingAdmissionPolicy") => MUTATING_POLICIES,
        (
            "admissionregistration.k8s.io",
            "ValidatingAdmissionPolicyBinding" | "MutatingAdmissionPolicyBinding",
        ) => POLICY_BINDINGS,
        ("certificates.k8s.io", "CertificateSigningRequest") => SIGNING_REQUESTS,
        ("certificates.k8s.io", "ClusterTrustBundle") => TRUST_BUNDLES,
        ("certificates.k8s.io", "PodCertificateRequest") => POD_CERTIFICATES,
        ("resource.k8s.io", "ResourceClaim") => CLAIMS,
        ("resource.k8s.io", "ResourceSlice") => SLICES,
        ("resource.k8s.io", "DeviceTaintRule") => TAINTS,
        _ => return None,
    })
}

/// The name is behind them, in the wide table only.
const EVENTS: &[Column] = &[
    column("LAST SEEN", |json, around| match at(json, "series") {
        Some(series) => since(text_in(series, "lastObservedTime").parse().ok(), around.now),
        None => match time(json, "lastTimestamp") {
            Some(last) => since(Some(last), around.now),
            None => first_seen(json, around),
        },
    }),
    column("TYPE", |json, _| text(json, "type").to_owned()),
    column("REASON", |json, _| text(json, "reason").to_owned()),
    column("OBJECT", |json, _| {
        let kind = text(json, "involvedObject.kind").to_lowercase();
        let name = text(json, "involvedObject.name");
        if name.is_empty() { kind } else { format!("{kind}/{name}") }
    }),
    wide("SUBOBJECT", |json, _| text(json, "involvedObject.fieldPath").to_owned()),
    wide("SOURCE", |json, _| {
        let component = or(text(json, "source.component"), text(json, "reportingComponent"));
        match or(text(json, "source.host"), text(json, "reportingInstance")).as_str() {
            "" => component,
            host => format!("{component}, {host}"),
        }
    }),
    column("MESSAGE", |json, _| text(json, "message").trim().to_owned()),
    wide("FIRST SEEN", first_seen),
    wide("COUNT", |json, _| match at(json, "series") {
        Some(series) => series.get("count").and_then(Value::as_i64).unwrap_or_default().to_string(),
        None => number(json, "count").max(1).to_string(),
    }),
];

const QUOTAS: &[Column] =
    &[column("REQUEST", |json, _| quota(json, false)), column("LIMIT", |json, _| quota(json, true)), AGE];

const SCALERS: &[Column] = &[
    column("REFERENCE", |json, _| {
        format!("{}/{}", text(json, "spec.scaleTargetRef.kind"), text(json, "spec.scaleTargetRef.name"))
    }),
    column("TARGETS", |json, _| targets(json)),
    column("MINPODS", |json, _| number_or(at(json, "spec.minReplicas"), UNSET)),
    column("MAXPODS", |json, _| number(json, "spec.maxReplicas").to_string()),
    column("REPLICAS", |json, _| number(json, "status.currentReplicas").to_string()),
    AGE,
];

const FLOW_SCHEMAS: &[Column] = &[
    column("PRIORITYLEVEL", |json, _| text(json, "spec.priorityLevelConfiguration.name").to_owned()),
    column("MATCHINGPRECEDENCE", |json, _| number(json, "spec.matchingPrecedence").to_string()),
    column("DISTINGUISHERMETHOD", |json, _| or(text(json, "spec.distinguisherMethod.type"), NONE)),
    AGE,
    column("MISSINGPL", |json, _| {
        or(condition(json, "Dangling").map_or("", |found| text_in(found, "status")), "?")
    }),
];

const PRIORITY_LEVELS: &[Column] = &[
    column("TYPE", |json, _| text(json, "spec.type").to_owned()),
    column("NOMINALCONCURRENCYSHARES", |json, _| {
        number_or(at(json, "spec.limited.nominalConcurrencyShares"), NONE)
    }),
    column("QUEUES", |json, _| number_or(at(json, "spec.limited.limitResponse.queuing.queues"), NONE)),
    column("HANDSIZE", |json, _| number_or(at(json, "spec.limited.limitResponse.queuing.handSize"), NONE)),
    column("QUEUELENGTHLIMIT", |json, _| {
        number_or(at(json, "spec.limited.limitResponse.queuing.queueLengthLimit"), NONE)
    }),
    AGE,
];

const PARAM_KIND: Column = column("PARAMKIND", |json, _| match at(json, "spec.paramKind") {
    Some(kind) => format!("{}/{}", text_in(kind, "apiVersion"), text_in(kind, "kind")),
    None => UNSET.to_owned(),
});

const POLICIES: &[Column] =
    &[column("VALIDATIONS", |json, _| list(json, "spec.validations").len().to_string()), PARAM_KIND, AGE];

const MUTATING_POLICIES: &[Column] =
    &[column("MUTATIONS", |json, _| list(json, "spec.mutations").len().to_string()), PARAM_KIND, AGE];

const POLICY_BINDINGS: &[Column] = &[
    column("POLICYNAME", |json, _| text(json, "spec.policyName").to_owned()),
    column("PARAMREF", |json, _| {
        match (text(json, "spec.paramRef.name"), at(json, "spec.paramRef.selector")) {
            ("", None) => UNSET.to_owned(),
            ("", Some(selector)) => go_text(selector),
            (name, _) => format!("{}/{name}", or(text(json, "spec.paramRef.namespace"), "*")),
        }
    }),
    AGE,
];

const SIGNING_REQUESTS: &[Column] = &[
    AGE,
    column("SIGNERNAME", |json, _| or(text(json, "spec.signerName"), NONE)),
    column("REQUESTOR", |json, _| text(json, "spec.username").to_owned()),
    column("REQUESTEDDURATION", |json, _| {
        let seconds = at(json, "spec.expirationSeconds").and_then(Value::as_i64);
        seconds.map_or_else(|| NONE.to_owned(), human)
    }),
    column("CONDITION", |json, _| {
        let conditions: BTreeSet<&str> =
            list(json, "status.conditions").iter().map(|found| text_in(found, "type")).collect();
        let decided = ["Denied", "Approved"].into_iter().find(|kind| conditions.contains(kind));
        let failed = if conditions.contains("Failed") { ",Failed" } else { "" };
        let issued = if text(json, "status.certificate").is_empty() { "" } else { ",Issued" };
        format!("{}{failed}{issued}", decided.unwrap_or("Pending"))
    }),
];

const TRUST_BUNDLES: &[Column] = &[column("SIGNERNAME", |json, _| or(text(json, "spec.signerName"), NONE))];

const POD_CERTIFICATES: &[Column] = &[
    column("PODNAME", |json, _| text(json, "spec.podName").to_owned()),
    column("SERVICEACCOUNTNAME", |json, _| text(json, "spec.serviceAccountName").to_owned()),
    column("NODENAME", |json, _| text(json, "spec.nodeName").to_owned()),
    column("SIGNERNAME", |json, _| text(json, "spec.signerName").to_owned()),
    // Whether a condition is true is not asked: none of these is ever false.
    column("STATE", |json, _| {
        let mut states = list(json, "status.conditions").iter().rev().map(|found| text_in(found, "type"));
        let decided = states.find(|state| matches!(*state, "Issued" | "Denied" | "Failed"));
        decided.unwrap_or("Pending").to_owned()
    }),
    column("UNVERIFIEDUSERANNOTATIONS", |json, _| labels(at(json, "spec.unverifiedUserAnnotations"))),
];

const CLAIMS: &[Column] = &[
    column("STATE", |json, _| {
        let deleted = at(json, "metadata.deletionTimestamp").map(|_| "deleted");
        let state = match (at(json, "status.allocation"), list(json, "status.reservedFor")) {
            (None, _) if deleted.is_none() => Some("pending"),
            (None, _) => None,
            (Some(_), []) => Some("allocated"),
            (Some(_), _) => Some("allocated,reserved"),
        };
        deleted.into_iter().chain(state).collect::<Vec<_>>().join(",")
    }),
    AGE,
];

const SLICES: &[Column] = &[
    column("NODE", |json, _| or(text(json, "spec.nodeName"), UNSET)),
    column("DRIVER", |json, _| text(json, "spec.driver").to_owned()),
    column("POOL", |json, _| text(json, "spec.pool.name").to_owned()),
    AGE,
];

const TAINTS: &[Column] = &[
    column("KEY", |json, _| text(json, "spec.taint.key").to_owned()),
    column("VALUE", |json, _| text(json, "spec.taint.value").to_owned()),
    column("EFFECT", |json, _| text(json, "spec.taint.effect").to_owned()),
    column("TIMEADDED", |json, around| match time(json, "spec.taint.timeAdded") {
        Some(added) => since(Some(added), around.now),
        None => String::new(),
    }),
    AGE,
];

/// A label selector as Go writes one of which nobody said how it is to be written.
fn go_text(selector: &Value) -> String {
    let mut labels: Vec<String> = match selector.get("matchLabels") {
        Some(Value::Object(map)) => {
            map.iter().map(|(key, value)| format!("{key}: {},", value.as_str().unwrap_or_default())).collect()
        }
        _ => Vec::new(),
    };
    labels.sort();
    let expression = |found: &Value| {
        let values: Vec<_> = list_in(found, "values").iter().filter_map(Value::as_str).collect();
        let (key, operator) = (text_in(found, "key"), text_in(found, "operator"));
        format!("LabelSelectorRequirement{{Key:{key},Operator:{operator},Values:[{}],}},", values.join(" "))
    };
    let expressions: String = list_in(selector, "matchExpressions").iter().map(expression).collect();
    format!(
        "&LabelSelector{{MatchLabels:map[string]string{{{}}},MatchExpressions:[]LabelSelectorRequirement{{{}}},}}",
        labels.concat(),
        expressions
    )
}

fn first_seen(json: &Json, around: Around) -> String {
    since(time(json, "firstTimestamp").or_else(|| time(json, "eventTime")), around.now)
}

fn number_or(value: Option<&Value>, none: &str) -> String {
    value.and_then(Value::as_i64).map_or_else(|| none.to_owned(), |n| n.to_string())
}

/// What of a quota is used, of limits or of the others.
fn quota(json: &Json, limits: bool) -> String {
    let Some(Value::Object(hard)) = at(json, "status.hard") else { return String::new() };
    let used = at(json, "status.used");
    let mut parts: Vec<String> = hard
        .iter()
        .filter(|(name, _)| name.starts_with("limits.") == limits)
        .map(|(name, hard)| {
            let used = used.map_or("", |used| text_in(used, name));
            format!("{name}: {}/{}", or(used, "0"), hard.as_str().unwrap_or_default())
        })
        .collect();
    parts.sort();
    parts.join(", ")
}

/// What a scaler looks at, now and as it should be (`formatHPAMetrics`).
fn targets(json: &Json) -> String {
    if let Some(percent) = at(json, "spec.targetCPUUtilizationPercentage").and_then(Value::as_i64) {
        let now = at(json, "status.currentCPUUtilizationPercentage").and_then(Value::as_i64);
        return format!("cpu: {}/{percent}%", now.map_or_else(|| UNKNOWN.to_owned(), |n| format!("{n}%")));
    }
    let now = list(json, "status.currentMetrics");
    let all: Vec<String> =
        list(json, "spec.metrics").iter().enumerate().map(|(at, spec)| target(spec, now.get(at))).collect();
    match all.split_at_checked(2) {
        Some((shown, more)) if !more.is_empty() => format!("{} + {} more...", shown.join(", "), more.len()),
        _ => or(&all.join(", "), NONE),
    }
}

fn target(spec: &Value, status: Option<&Value>) -> String {
    let kind = text_in(spec, "type");
    let field = match kind {
        "External" => "external",
        "Pods" => "pods",
        "Object" => "object",
        "Resource" => "resource",
        "ContainerResource" => "containerResource",
        _ => return "<unknown type>".to_owned(),
    };
    let source = spec.get(field);
    let now = status.and_then(|status| status.get(field)).and_then(|source| source.get("current"));
    let aim = |name: &str| source.and_then(|source| source.get("target")?.get(name));
    let of_now = |name: &str| now.and_then(|now| now.get(name)?.as_str()).unwrap_or(UNKNOWN).to_owned();
    let percent = |value: Option<&Value>, none: &str| {
        value.and_then(Value::as_i64).map_or_else(|| none.to_owned(), |n| format!("{n}%"))
    };
    let average = aim("averageValue").and_then(Value::as_str);
    let is_resource = field.ends_with("esource");
    let name = source.map_or("", |source| text_in(source, "name"));
    match average {
        Some(average) if is_resource => format!("{name}: {}/{average}", of_now("averageValue")),
        Some(average) if field == "pods" => format!("{}/{average}", of_now("averageValue")),
        Some(average) => format!("{}/{average} (avg)", of_now("averageValue")),
        None if is_resource => {
            let now = percent(now.and_then(|now| now.get("averageUtilization")), UNKNOWN);
            format!("{name}: {now}/{}", percent(aim("averageUtilization"), "<auto>"))
        }
        None => format!("{}/{}", of_now("value"), aim("value").and_then(Value::as_str).unwrap_or("0")),
    }
}
