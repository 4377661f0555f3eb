//! Resources: what kinds are called, and where their objects lie.

use std::collections::BTreeMap;

use serde_json::Value;

use super::key::{ObjectKey, stored_as};
use super::schema::schema;
use super::type_meta::{group_of, qualified};

/// Kubernetes' short names, by resource.
const SHORT: [(&str, &[&str]); 30] = [
    ("certificatesigningrequests", &["csr"]),
    ("componentstatuses", &["cs"]),
    ("configmaps", &["cm"]),
    ("cronjobs", &["cj"]),
    ("customresourcedefinitions", &["crd", "crds"]),
    ("daemonsets", &["ds"]),
    ("deployments", &["deploy"]),
    ("endpoints", &["ep"]),
    ("events", &["ev"]),
    ("horizontalpodautoscalers", &["hpa"]),
    ("ingresses", &["ing"]),
    ("ipaddresses", &["ip"]),
    ("limitranges", &["limits"]),
    ("namespaces", &["ns"]),
    ("networkpolicies", &["netpol"]),
    ("nodes", &["no"]),
    ("persistentvolumeclaims", &["pvc"]),
    ("persistentvolumes", &["pv"]),
    ("poddisruptionbudgets", &["pdb"]),
    ("pods", &["po"]),
    ("podsecuritypolicies", &["psp"]),
    ("priorityclasses", &["pc"]),
    ("replicasets", &["rs"]),
    ("replicationcontrollers", &["rc"]),
    ("resourcequotas", &["quota"]),
    ("serviceaccounts", &["sa"]),
    ("services", &["svc"]),
    ("statefulsets", &["sts"]),
    ("storageclasses", &["sc"]),
    ("volumeattributesclasses", &["vac"]),
];

/// What `all` is, in kubectl's order.
pub const ALL: [&str; 10] = [
    "pods",
    "replicationcontrollers",
    "services",
    "daemonsets",
    "deployments",
    "replicasets",
    "statefulsets",
    "horizontalpodautoscalers",
    "cronjobs",
    "jobs",
];

/// A resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// The group; empty for the core group.
    pub group: String,
    /// The kind, as `Deployment`.
    pub kind: String,
    /// As `deployments`.
    pub plural: String,
    /// As `deployment`.
    pub singular: String,
    /// As `deploy`.
    pub short: Vec<String>,
    /// Categories it is in, as `all`.
    pub categories: Vec<String>,
    /// Whether its objects are in namespaces.
    pub namespaced: bool,
    /// Whether the key of an object has the group.
    pub group_in_key: bool,
}

impl Resource {
    /// Where its objects lie behind the prefix, as `services/specs` or `stable.example.com/crontabs`.
    #[must_use]
    pub fn path(&self) -> String {
        if self.group_in_key {
            format!("{}/{}", self.group, self.plural)
        } else {
            stored_as(&self.plural).to_owned()
        }
    }

    /// Whether what lies under a key is one of its objects, as far as the key tells, which has no group of Kubernetes'
    /// own.
    #[must_use]
    pub fn holds(&self, key: &ObjectKey<'_>) -> bool {
        let group = self.group_in_key.then_some(&*self.group);
        self.plural == key.resource && key.group == group
    }

    /// As kubectl prints it before a name: `deployment.apps`. It takes the kind, whatever the singular is.
    #[must_use]
    pub fn qualified(&self) -> String {
        qualified(&self.kind.to_lowercase(), &self.group)
    }

    /// Whether it is called so: plural, singular, short name or kind, also with a group or a version and a group behind
    /// it.
    #[must_use]
    pub fn is_called(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let (name, rest) = word.split_once('.').map_or((&*word, None), |(name, rest)| (name, Some(rest)));
        let group = rest.is_none_or(|rest| {
            let without_version = rest.split_once('.').map(|(_, group)| group);
            rest == self.group
                || without_version == Some(&self.group)
                || (self.group.is_empty() && rest == "v1")
        });
        let names = [&*self.plural, &*self.singular].contains(&name) || self.kind.to_lowercase() == name;
        group && (names || self.short.iter().any(|short| short == name))
    }

    /// That of a CustomResourceDefinition as it is served or stored.
    #[must_use]
    pub fn of_definition(definition: &Value) -> Option<Resource> {
        let spec = definition.get("spec")?;
        let text = |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let names = spec.get("names")?;
        let list = |name: &str| {
            let items = names.get(name).and_then(Value::as_array).into_iter().flatten();
            items.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let kind = text(names, "kind")?;
        Some(Resource {
            group: text(spec, "group")?,
            plural: text(names, "plural")?,
            singular: text(names, "singular")
                .filter(|name| !name.is_empty())
                .unwrap_or_else(|| kind.to_lowercase()),
            kind,
            short: list("shortNames"),
            categories: list("categories"),
            namespaced: text(spec, "scope").is_none_or(|scope| scope == "Namespaced"),
            group_in_key: true,
        })
    }
}

/// Kubernetes' own resources, the likelier first where several groups have one name.
#[must_use]
pub fn built_in() -> Vec<Resource> {
    let mut newest: BTreeMap<(String, String), (u8, bool, &str)> = BTreeMap::new();
    for (api_version, kind, info) in schema().kinds() {
        let metadata = schema().messages().and_then(|messages| messages.message(info.message)?.field(1));
        if kind.ends_with("List") || metadata.is_none_or(|(_, field)| field.name != "metadata") {
            continue;
        }
        let group = group_of(api_version);
        let entry = newest.entry((group.to_owned(), plural(kind))).or_insert((0, false, kind));
        *entry = (entry.0.max(info.last), entry.1 || info.cluster, kind);
    }
    let mut found: Vec<_> = newest.into_iter().collect();
    found.sort_by_key(|((group, plural), (last, ..))| {
        (plural.clone(), group == "extensions", std::cmp::Reverse(*last), !group.is_empty(), group.clone())
    });
    let resource = |((group, plural), (_, cluster, kind)): ((String, String), (u8, bool, &str))| {
        let short = SHORT.iter().find(|(name, _)| *name == plural).map_or(&[][..], |(_, short)| short);
        let all = ALL.contains(&&*plural).then(|| "all".to_owned());
        Resource {
            // The only ones of Kubernetes' own that were made to be like custom ones.
            group_in_key: matches!(&*group, "apiextensions.k8s.io" | "apiregistration.k8s.io"),
            group,
            kind: kind.to_owned(),
            singular: kind.to_lowercase(),
            short: short.iter().map(|name| (*name).to_owned()).collect(),
            categories: all.into_iter().collect(),
            namespaced: !cluster,
            plural,
        }
    };
    found.into_iter().map(resource).collect()
}

/// The resource of a kind, as `k8s.io/apimachinery/pkg/api/meta.UnsafeGuessKindToResource` has it.
fn plural(kind: &str) -> String {
    let mut name = kind.to_lowercase();
    if name == "endpoints" {
        return name;
    }
    let vowel_before = name.chars().rev().nth(1).is_some_and(|c| "aeiou".contains(c));
    match name.chars().last() {
        Some('s') => name.push_str("es"),
        Some('y') if !vowel_before => {
            name.pop();
            name.push_str("ies");
        }
        _ => name.push('s'),
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    fn called(word: &str) -> Option<(String, String, bool)> {
        let found = built_in().into_iter().find(|resource| resource.is_called(word));
        found.map(|resource| (resource.group.clone(), resource.path(), resource.namespaced))
    }

    #[test]
    fn a_resource_is_found_by_its_singular_and_printed_by_its_kind() {
        let names = serde_json::json!({"kind": "Tide", "plural": "tides", "singular": "ebb"});
        let definition = serde_json::json!({"spec": {"group": "sea.example.org", "names": names}});
        let tides = Resource::of_definition(&definition).unwrap();
        assert!(["ebb", "tide", "tides.sea.example.org"].into_iter().all(|word| tides.is_called(word)));
        assert_eq!(tides.qualified(), "tide.sea.example.org");
    }

    #[test]
    fn resources_are_found_by_all_their_names() {
        for (words, group, path, namespaced) in [
            (&["po", "pod", "pods", "Pod", "pods.v1"][..], "", "pods", true),
            (&["svc", "Service", "services"], "", "services/specs", true),
            (&["ep", "endpoints"], "", "services/endpoints", true),
            (
                &["deploy", "deployments.apps", "deployments.v1.apps", "deploy.apps"],
                "apps",
                "deployments",
                true,
            ),
            (&["no"], "", "minions", false),
            (&["ev"], "", "events", true),
            (&["events.events.k8s.io"], "events.k8s.io", "events", true),
            (&["ing"], "networking.k8s.io", "ingress", true),
            (&["netpol"], "networking.k8s.io", "networkpolicies", true),
            (&["psp"], "policy", "podsecuritypolicy", false),
            (&["crd"], "apiextensions.k8s.io", "apiextensions.k8s.io/customresourcedefinitions", false),
            (&["storageclass", "sc"], "storage.k8s.io", "storageclasses", false),
            (&["clusterrole"], "rbac.authorization.k8s.io", "clusterroles", false),
            (&["ns"], "", "namespaces", false),
        ] {
            for word in words {
                let due = Some((group.to_owned(), path.to_owned(), namespaced));
                assert_eq!(called(word), due, "{word}");
            }
        }
        assert_eq!(called("nothing"), None);
        assert_eq!(called("pods.apps"), None);
    }
}
