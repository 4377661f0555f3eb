//! What is said only of an object that was another before, or was not there.

use serde_json::Value;

use super::access::{ENFORCE, host, service};
use super::object::{field, inside, items, text};
use super::pods::images;
use super::rbac;
use super::rule::{Risk, RiskRule};
use crate::etcd::facts::AuthFacts;
use crate::kube::decode::Object;

/// What keeps others from doing harm, and which field says how.
const GUARDS: [(&str, &str); 7] = [
    ("MutatingWebhookConfiguration", "webhooks"),
    ("ValidatingWebhookConfiguration", "webhooks"),
    ("MutatingAdmissionPolicy", "spec"),
    ("MutatingAdmissionPolicyBinding", "spec"),
    ("ValidatingAdmissionPolicy", "spec"),
    ("ValidatingAdmissionPolicyBinding", "spec"),
    ("NetworkPolicy", "spec"),
];

/// Maps that say how names are answered, by namespace and name.
const DNS: [(&str, &str); 4] = [
    ("kube-system", "coredns"),
    ("kube-system", "coredns-custom"),
    ("kube-system", "kube-dns"),
    ("kube-system", "node-local-dns"),
];

/// Maps that say who is let in.
const LOGIN: [(&str, &str); 3] = [
    ("kube-system", "aws-auth"),
    ("kube-system", "extension-apiserver-authentication"),
    ("kube-public", "cluster-info"),
];

/// What is said of the difference; one of them is there.
pub(super) fn of(before: Option<&Object>, after: Option<&Object>) -> Vec<Risk> {
    let mut found = Vec::new();
    let Some(object) = after.or(before) else { return found };
    let mut add = |rule, detail: String| found.push(Risk { rule, detail: detail.into() });
    let differs = |name: &str| match (before, after) {
        (Some(before), Some(after)) => field(before, name) != field(after, name),
        _ => true,
    };
    let guard = GUARDS.iter().find(|(kind, _)| *kind == object.kind).filter(|(_, name)| differs(name));
    if let Some((kind, name)) = guard {
        match (before, after) {
            (Some(_), None) => add(RiskRule::GuardRemoved, "it was removed".to_owned()),
            (before, Some(after)) if kind.ends_with("WebhookConfiguration") => {
                webhooks(before, after, &mut add);
            }
            (None, Some(_)) if kind.starts_with("Mutating") => {
                add(RiskRule::WebhookChanged, "a policy that is new".to_owned());
            }
            // Of several network policies each lets through what it names.
            (None, Some(_)) if *kind == "NetworkPolicy" => {
                add(RiskRule::GuardChanged, "it is new, and may let through what no other does".to_owned());
            }
            (Some(_), Some(_)) => add(RiskRule::GuardChanged, format!("{name} is another")),
            _ => {}
        }
    }
    match &*object.kind {
        _ if rbac::is_binding(object) => bound(before, after, &mut add),
        "CronJob" | "DaemonSet" if before.is_none() => add(RiskRule::WorkloadNew, images(object)),
        "Namespace" => enforced(before, after, &mut add),
        "APIService" => answered(before, after, &mut add),
        "ConfigMap" if differs("data") || differs("binaryData") => {
            let is = |maps: &[(&str, &str)]| maps.contains(&(object.namespace(), object.name()));
            let how = || if after.is_some() { "its data is another" } else { "it was removed" }.to_owned();
            if is(&DNS) {
                add(RiskRule::DnsChanged, how());
            }
            if is(&LOGIN) {
                add(RiskRule::LoginChanged, how());
            }
        }
        _ => {}
    }
    found
}

/// Whose service answers a part of the API, if not the one as before.
fn answered(before: Option<&Object>, after: Option<&Object>, add: &mut impl FnMut(RiskRule, String)) {
    let parts =
        |object: &Object| ["service", "caBundle"].map(|name| inside(field(object, "spec"), name).clone());
    let (before, after) = (before.map(parts), after.map(parts));
    // Without a service the API server itself answers.
    let Some([to, authority]) = after.filter(|[to, _]| !to.is_null()) else { return };
    let how = match before {
        Some([from, _]) if from != to => "another before",
        Some([_, trusted]) if trusted != authority => "another certificate authority",
        Some(_) => return,
        None => "new",
    };
    let (namespace, name) = (text(&to, "namespace"), text(&to, "name"));
    add(RiskRule::ApiServiceChanged, format!("service {namespace}/{name} ({how})"));
}

/// Who is bound to a role, and was not to that one.
fn bound(before: Option<&Object>, after: Option<&Object>, add: &mut impl FnMut(RiskRule, String)) {
    let all = |object: &Object| -> Vec<String> {
        let (kind, _, role) = rbac::role_of(object);
        rbac::subjects(object).map(|(.., who)| format!("{who}: {kind} {role}")).collect()
    };
    let old = before.map(all).unwrap_or_default();
    for new in after.map(all).unwrap_or_default().into_iter().filter(|new| !old.contains(new)) {
        add(RiskRule::RbacBindingNew, new);
    }
}

/// Webhooks that are new or others, and those that are gone.
fn webhooks(before: Option<&Object>, after: &Object, add: &mut impl FnMut(RiskRule, String)) {
    let old = before.map_or(&[][..], |before| items(field(before, "webhooks")));
    let new = items(field(after, "webhooks"));
    let named =
        |all: &'_ [Value], one: &Value| all.iter().find(|w| w.get("name") == one.get("name")).cloned();
    for webhook in new {
        let how = match named(old, webhook) {
            None => "new".to_owned(),
            Some(old) if old == *webhook => continue,
            Some(old) => {
                let fields =
                    webhook.as_object().into_iter().chain(old.as_object()).flat_map(|map| map.keys());
                let others = fields.filter(|name| old.get(*name) != webhook.get(*name));
                let mut others: Vec<_> = others.map(String::as_str).collect();
                others.sort_unstable();
                others.dedup();
                format!("another {}", others.join(", "))
            }
        };
        add(RiskRule::WebhookChanged, format!("{} ({how})", called_for(webhook)));
    }
    for gone in old.iter().filter(|old| named(new, old).is_none()) {
        add(RiskRule::GuardRemoved, format!("webhook {}", text(gone, "name")));
    }
}

/// What a webhook is called for, and where.
fn called_for(webhook: &Value) -> String {
    let client = inside(webhook, "clientConfig");
    let at = match text(client, "url") {
        "" => service(client),
        url => host(url).to_owned(),
    };
    let resources = items(inside(webhook, "rules")).iter().flat_map(|rule| items(inside(rule, "resources")));
    let resources = resources.filter_map(Value::as_str).collect::<Vec<_>>().join(", ");
    format!("{} calls {at} for {resources}", text(webhook, "name"))
}

/// What a namespace enforces on its pods, weaker than before.
fn enforced(before: Option<&Object>, after: Option<&Object>, add: &mut impl FnMut(RiskRule, String)) {
    let (Some(before), Some(after)) = (before, after) else { return };
    let [before, after] = [before, after].map(|object| inside(field(object, "metadata"), "labels"));
    let [was, is] = [before, after].map(|labels| text(labels, &format!("{ENFORCE}-version")));
    let [before, after] = [before, after].map(|labels| text(labels, ENFORCE));
    let rank = |level| match level {
        "restricted" => 2,
        "baseline" => 1,
        _ => 0,
    };
    if rank(after) < rank(before) {
        let now = if after.is_empty() { "nothing" } else { after };
        add(RiskRule::GuardRemoved, format!("it enforced {before} on pods, and now {now}"));
    } else if was != is {
        let [was, is] = [was, is].map(|version| if version.is_empty() { "none" } else { version });
        let what = format!("its version of what it enforces was {was}, and is {is}");
        add(RiskRule::GuardChanged, what);
    }
}

/// What is said of etcd's own users and roles.
pub(super) fn of_auth(before: &AuthFacts, after: &AuthFacts) -> Vec<Risk> {
    let mut found = Vec::new();
    let mut add =
        |detail: String| found.push(Risk { rule: RiskRule::EtcdAuthChanged, detail: detail.into() });
    if before.enabled && !after.enabled {
        add("authentication was turned off".to_owned());
    }
    for user in &after.users {
        match before.users.iter().find(|old| old.name == user.name) {
            None => add(format!("user {} was added, of roles {}", user.name, user.roles.join(", "))),
            Some(old) => {
                let more: Vec<_> = user.roles.iter().filter(|role| !old.roles.contains(role)).collect();
                for role in more {
                    add(format!("user {} was given the role {role}", user.name));
                }
            }
        }
    }
    for role in &after.roles {
        let old = before.roles.iter().find(|old| old.name == role.name);
        if old.is_none_or(|old| role.permissions.iter().any(|held| !old.permissions.contains(held))) {
            let how = if old.is_some() { "permits more" } else { "was added" };
            add(format!("role {} {how}", role.name));
        }
    }
    let gone = before.users.iter().filter(|old| !after.users.iter().any(|user| user.name == old.name));
    gone.for_each(|user| add(format!("user {} was removed", user.name)));
    found
}
