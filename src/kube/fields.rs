//! Field selectors, as kubectl's `--field-selector` takes them: `status.phase=Running,spec.nodeName!=n1`.
//!
//! Which fields a kind has for this, and what their values are, is the API server's. Source:
//! `k8s.io/apimachinery/pkg/fields`, `k8s.io/kubernetes/pkg/apis/*/*/conversion.go`, `pkg/registry/*/*/strategy.go`.

use serde_json::{Map, Value};

use super::resource::Resource;

/// What fields must be like: all of these.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FieldSelector {
    text: String,
    terms: Vec<Term>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Term {
    field: String,
    value: String,
    equal: bool,
}

/// What stands for the field's name where a kind has no fields but those of every object.
const OF_ALL: [&str; 2] = ["metadata.name", "metadata.namespace"];

/// Kinds that have fields of their own: group, resource, whether they also take a namespace, fields.
const OF_KINDS: [(&str, &str, bool, &[&str]); 13] = [
    (
        "",
        "pods",
        true,
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "spec.host",
            "status.phase",
            "status.podIP",
            "status.podIPs",
            "status.nominatedNodeName",
        ],
    ),
    ("", "nodes", false, &["spec.unschedulable"]),
    ("", "replicationcontrollers", true, &["status.replicas"]),
    (
        "",
        "events",
        true,
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
    (
        "events.k8s.io",
        "events",
        true,
        &[
            "regarding.kind",
            "regarding.namespace",
            "regarding.name",
            "regarding.uid",
            "regarding.apiVersion",
            "regarding.resourceVersion",
            "regarding.fieldPath",
            "reason",
            "reportingController",
            "type",
        ],
    ),
    ("", "namespaces", false, &["status.phase"]),
    ("", "secrets", true, &["type"]),
    ("", "services", true, &["spec.clusterIP", "spec.type"]),
    ("batch", "jobs", true, &["status.successful"]),
    ("certificates.k8s.io", "certificatesigningrequests", false, &["spec.signerName"]),
    ("certificates.k8s.io", "clustertrustbundles", false, &["spec.signerName"]),
    (
        "certificates.k8s.io",
        "podcertificaterequests",
        false,
        &["spec.signerName", "spec.podName", "spec.nodeName"],
    ),
    ("resource.k8s.io", "resourceslices", false, &["spec.nodeName", "spec.driver", "spec.pool.name"]),
];

impl FieldSelector {
    /// Reads a selector; an empty one is true of everything.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<FieldSelector, String> {
        let mut terms = Vec::new();
        // In this order Kubernetes looks at them, and tells of the first that is wrong.
        let mut parts: Vec<&str> = terms_of(text).filter(|part| !part.is_empty()).collect();
        parts.sort_unstable();
        for part in parts {
            let Some((field, equal, value)) = operator(part) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{part}'"));
            };
            let value = unescaped(value)?;
            // Of no field and no value Kubernetes says that it is true.
            if !field.is_empty() || !value.is_empty() {
                terms.push(Term { field: field.to_owned(), value, equal });
            }
        }
        Ok(FieldSelector { text: text.to_owned(), terms })
    }

    /// Whether it is true of everything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// Looks whether an API server takes these fields for a resource, or for objects of all kinds. `selectable` are
    /// those that its definition gives a custom resource; `None` for Kubernetes' own.
    ///
    /// # Errors
    /// What the server says of one that it does not take.
    pub fn check(&self, resource: Option<&Resource>, selectable: Option<&[String]>) -> Result<(), String> {
        self.terms.iter().try_for_each(|term| supported(&term.field, resource, selectable)).map_err(|why| {
            let what = resource.map_or_else(
                || "*".to_owned(),
                |resource| format!("{}, Resource={}", resource.group, resource.plural),
            );
            let text = &self.text;
            format!("unable to find {what:?} that match field selector {text:?}: {why}")
        })
    }

    /// Whether it is true of an object.
    #[must_use]
    pub fn matches(&self, object: &Map<String, Value>) -> bool {
        let kind = object.get("kind").and_then(Value::as_str).unwrap_or_default();
        self.terms.iter().all(|term| (field(kind, &term.field, object) == term.value) == term.equal)
    }

    /// Whether it is true of an object of which only name and namespace are known; `None` if that does not tell.
    #[must_use]
    pub fn matches_key(&self, name: &str, namespace: Option<&str>) -> Option<bool> {
        let mut unknown = false;
        for term in &self.terms {
            let value = match &*term.field {
                "metadata.name" => name,
                "metadata.namespace" => namespace.unwrap_or_default(),
                _ => {
                    unknown = true;
                    continue;
                }
            };
            if (value == term.value) != term.equal {
                return Some(false);
            }
        }
        (!unknown).then_some(true)
    }
}

/// The parts between commas; one behind a backslash is part of a value.
fn terms_of(text: &str) -> impl Iterator<Item = &str> {
    let mut escaped = false;
    text.split(move |c| {
        let ends = c == ',' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    })
}

/// Field, whether it is to be equal, and the value as it is written.
fn operator(part: &str) -> Option<(&str, bool, &str)> {
    part.char_indices().find_map(|(at, _)| {
        let (field, rest) = part.split_at_checked(at)?;
        [("!=", false), ("==", true), ("=", true)]
            .into_iter()
            .find_map(|(sign, equal)| Some((field, equal, rest.strip_prefix(sign)?)))
    })
}

fn unescaped(value: &str) -> Result<String, String> {
    let (mut out, mut chars) = (String::new(), value.chars());
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(c @ ('\\' | ',' | '=')) => out.push(c),
                other => {
                    let other = other.map_or_else(String::new, String::from);
                    return Err(format!("invalid field selector: invalid escape sequence: \\{other}"));
                }
            },
            ',' | '=' => {
                let code = u32::from(c);
                return Err(format!("invalid field selector: unescaped character in value: {code}"));
            }
            c => out.push(c),
        }
    }
    Ok(out)
}

fn supported(field: &str, resource: Option<&Resource>, selectable: Option<&[String]>) -> Result<(), String> {
    let no = || Err(format!("field label not supported: {field}"));
    if let Some(selectable) = selectable {
        let known = OF_ALL.contains(&field) || selectable.iter().any(|known| known == field);
        return if known { Ok(()) } else { no() };
    }
    let of_kind = resource.and_then(|resource| {
        OF_KINDS.iter().find(|(group, plural, ..)| *group == resource.group && *plural == resource.plural)
    });
    let Some((_, plural, namespaced, fields)) = of_kind else {
        let [name, namespace] = OF_ALL;
        return match OF_ALL.contains(&field) {
            true => Ok(()),
            false => Err(format!("{field:?} is not a known field selector: only {name:?}, {namespace:?}")),
        };
    };
    match field {
        "metadata.name" => Ok(()),
        "metadata.namespace" if *namespaced => Ok(()),
        field if fields.contains(&field) => Ok(()),
        _ if *plural == "jobs" => Err(format!("field label {field:?} not supported for Job")),
        _ => no(),
    }
}

/// The value of a field, as the server has it for this.
fn field(kind: &str, field: &str, object: &Map<String, Value>) -> String {
    let text = |path: &str| value(object, path);
    let first = |a: String, b: &str| if a.is_empty() { text(b) } else { a };
    match (kind, field) {
        ("Pod", "spec.host") => text("spec.nodeName"),
        ("Pod", "spec.serviceAccountName") => first(text(field), "spec.serviceAccount"),
        ("Pod", "status.podIP") => {
            let ips = object.get("status").and_then(|status| status.get("podIPs"));
            let ip = ips.and_then(|ips| ips.get(0)?.get("ip")?.as_str());
            ip.map_or_else(|| text(field), str::to_owned)
        }
        // Both are taken, and are empty always.
        ("Pod", "status.podIPs") | ("Event", "reportingComponent" | "reportingController") => String::new(),
        ("Pod", "spec.hostNetwork") | ("Node", "spec.unschedulable") => zero(text(field), "false"),
        ("ReplicationController", "status.replicas") => zero(text(field), "0"),
        ("Job", "status.successful") => zero(text("status.succeeded"), "0"),
        ("Event", "source") => first(text("source.component"), "reportingComponent"),
        ("Event", other) => match other.strip_prefix("regarding.") {
            Some(rest) => text(&format!("involvedObject.{rest}")),
            None => text(other),
        },
        _ => text(field),
    }
}

fn zero(value: String, zero: &str) -> String {
    if value.is_empty() { zero.to_owned() } else { value }
}

fn value(object: &Map<String, Value>, path: &str) -> String {
    let mut names = path.split('.');
    let first = names.next().and_then(|name| object.get(name));
    match names.fold(first, |value, name| value?.get(name)) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Bool(b)) => b.to_string(),
        Some(Value::Number(n)) => n.to_string(),
        _ => String::new(),
    }
}
