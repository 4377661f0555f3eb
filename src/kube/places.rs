//! Where objects lie in a keyspace that is seen key by key, in any order: what is known after all of them were seen.

use std::collections::BTreeSet;

use super::decode::Object;
use super::envelope::Form;
use super::key::{KeyKind, ObjectKey, PREFIXES, prefix_of, resource_behind};
use super::resource::{self, Resource};
use super::type_meta::qualified;

/// Definitions of custom resources that are read; a cluster has some hundreds.
const DEFINITIONS: usize = 10_000;
/// Prefixes that are looked behind: an etcd may serve many API servers.
const MOST_PREFIXES: usize = 10_000;
/// Slashes in a prefix, that at its beginning too.
const DEEPEST_PREFIX: usize = 8;

/// An object, or all of a kind, as kubectl is asked for it.
#[must_use]
pub fn name_of(kind: &str, namespace: &str, name: &str) -> String {
    let namespace = if namespace.is_empty() { String::new() } else { format!(" -n {namespace}") };
    if name.is_empty() { format!("{kind}{namespace}") } else { format!("{kind}/{name}{namespace}") }
}

/// The prefixes that objects lie behind, and the resources that there are.
#[derive(Debug, Clone)]
pub struct ObjectPlaces {
    prefixes: BTreeSet<String>,
    resources: Vec<Resource>,
    defined: usize,
    /// Whether some value is one of Kubernetes'.
    any: bool,
}

impl Default for ObjectPlaces {
    fn default() -> ObjectPlaces {
        ObjectPlaces { prefixes: BTreeSet::new(), resources: resource::built_in(), defined: 0, any: false }
    }
}

impl ObjectPlaces {
    /// Whether a live key and its value tell something of others that is not known yet. Few do, and whoever asks this
    /// first need not find out of the others whether they are live.
    #[must_use]
    pub fn teaches(&self, key: &[u8], value: &[u8]) -> bool {
        self.new_prefix(key).is_some() || defines(key) || (!self.any && is_of_kubernetes(value))
    }

    /// The prefixes that were learnt, in the order of their names.
    pub fn prefixes(&self) -> impl Iterator<Item = &str> {
        self.prefixes.iter().map(String::as_str)
    }

    fn new_prefix<'k>(&self, key: &'k [u8]) -> Option<&'k str> {
        let room = self.prefixes.len() < MOST_PREFIXES;
        let new =
            |prefix: &&str| prefix.matches('/').count() <= DEEPEST_PREFIX && !self.prefixes.contains(*prefix);
        prefix_of(key).filter(|_| room).filter(new)
    }

    /// Learns from one live key alone whether there is a prefix before it, and tells so.
    pub fn learn_prefix(&mut self, key: &[u8]) -> bool {
        self.new_prefix(key).map(str::to_owned).is_some_and(|prefix| self.prefixes.insert(prefix))
    }

    /// Learns from one live key and its value what it tells of others.
    pub fn learn(&mut self, key: &[u8], value: &[u8]) {
        self.learn_prefix(key);
        self.any = self.any || is_of_kubernetes(value);
        if defines(key)
            && self.defined < DEFINITIONS
            && let Ok(object) = Object::decode(value)
            && object.kind == "CustomResourceDefinition"
        {
            self.defined = self.defined.saturating_add(1);
            self.resources.extend(Resource::of_definition(&object.json.into()));
        }
    }

    /// The same with objects behind this prefix only, whatever was learnt of others.
    #[must_use]
    pub fn behind(self, prefix: &str) -> ObjectPlaces {
        ObjectPlaces { prefixes: BTreeSet::from([format!("/{}", prefix.trim_matches('/'))]), ..self }
    }

    /// Whether no key is an API server's: other programs use keys like its own, but not for values like its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() || !self.any
    }

    /// Takes a key apart.
    #[must_use]
    pub fn key<'k>(&self, key: &'k [u8]) -> KeyKind<'k> {
        self.prefix(key).map_or(KeyKind::Other, |prefix| KeyKind::parse(key, &[prefix]))
    }

    /// The group, where the path says one, and the resource that is all there is behind a path.
    #[must_use]
    pub fn resource_behind<'k>(&self, path: &'k [u8]) -> Option<(Option<&'k str>, &'k str)> {
        resource_behind(path, &[self.prefix(path)?])
    }

    /// The prefix of a key: one of those that API servers have, or the shortest.
    fn prefix(&self, key: &[u8]) -> Option<&str> {
        let key = std::str::from_utf8(key).ok()?;
        let known = |prefix: &str| self.prefixes.get(prefix).map(String::as_str);
        let leads = |prefix: &&str| key.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with('/'));
        let usual = PREFIXES.into_iter().filter(leads).find_map(known);
        usual.or_else(|| {
            let mut shorter = key.match_indices('/').take(DEEPEST_PREFIX.saturating_add(1));
            shorter.find_map(|(at, _)| known(key.get(..at)?))
        })
    }

    /// The resource whose objects lie where this one does.
    #[must_use]
    pub fn resource_at(&self, key: &ObjectKey<'_>) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.holds(key))
    }

    /// The object under a key, as kubectl is asked for it: `secret/x -n y`.
    #[must_use]
    pub fn name_of(&self, key: &[u8]) -> Option<String> {
        let key = self.key(key).object()?;
        let kind = match self.resource_at(&key) {
            Some(resource) => qualified(&resource.singular, &resource.group),
            None => qualified(key.resource, key.group.unwrap_or_default()),
        };
        Some(name_of(&kind, key.namespace.unwrap_or_default(), key.name))
    }

    /// The resource of a kind.
    #[must_use]
    pub fn resource_of(&self, group: &str, kind: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.kind == kind && resource.group == group)
    }

    /// The resource that is called so.
    #[must_use]
    pub fn resource(&self, word: &str) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.is_called(word))
    }

    /// What an object says of itself and its key does not, in words; `None` where the two agree. An object without a
    /// name says nothing.
    #[must_use]
    pub fn disagreement(&self, key: &ObjectKey<'_>, object: &Object) -> Option<String> {
        if object.name().is_empty() {
            return None;
        }
        let mut parts = Vec::new();
        let mut part = |what: &str, is: &str, due: &str| {
            if is != due {
                parts.push(format!("its {what} is {is:?}, the key has {due:?}"));
            }
        };
        part("name", object.name(), key.name);
        // OpenShift keeps kinds below words of its own, as `oauth/clients`: only the name is where it always is.
        if !object.group().ends_with("openshift.io") {
            part("namespace", object.namespace(), key.namespace.unwrap_or_default());
            if let Some(group) = key.group {
                part("group", object.group(), group);
            }
            if let Some(resource) = self.resource_of(object.group(), &object.kind) {
                part("resource", &resource.plural, key.resource);
            }
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Whether what lies under a key is to be the definition of custom resources.
fn defines(key: &[u8]) -> bool {
    const DEFINITION: &[u8] = b"/apiextensions.k8s.io/customresourcedefinitions/";
    key.windows(DEFINITION.len()).any(|part| part == DEFINITION)
}

/// Whether a value begins as one that an API server stores. JSON is everybody's, `apiVersion` in it is not.
fn is_of_kubernetes(value: &[u8]) -> bool {
    match Form::of(value) {
        Ok(Form::Json(text)) => {
            const NAME: &[u8] = b"\"apiVersion\"";
            text.windows(NAME.len()).any(|part| part == NAME)
        }
        Ok(Form::Other(_)) => false,
        Ok(_) | Err(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(api_version: &str, kind: &str, namespace: &str, name: &str) -> Object {
        let json = json!({"apiVersion": api_version, "kind": kind,
            "metadata": {"name": name, "namespace": namespace}});
        Object::decode(json.to_string().as_bytes()).unwrap()
    }

    #[test]
    fn an_object_agrees_with_its_key_or_it_is_said_in_what_not() {
        let mut places = ObjectPlaces::default();
        places.learn(b"/registry/namespaces/default", b"{}");
        assert!(places.is_empty(), "the value is none of Kubernetes'");
        places.learn(b"/registry/secrets/a/b", b"k8s:enc:aescbc:v1:k:x");
        assert!(!places.is_empty());
        let due = |key: &str, object: &Object| {
            places.disagreement(&places.key(key.as_bytes()).object().unwrap(), object)
        };
        let secret = object("v1", "Secret", "a", "b");
        assert_eq!(due("/registry/secrets/a/b", &secret), None);
        let other = due("/registry/secrets/x/c", &secret).unwrap();
        assert_eq!(other, "its name is \"b\", the key has \"c\"; its namespace is \"a\", the key has \"x\"");
        let resource = due("/registry/configmaps/a/b", &secret).unwrap();
        assert_eq!(resource, "its resource is \"secrets\", the key has \"configmaps\"");
        assert_eq!(due("/registry/ingress/a/b", &object("extensions/v1beta1", "Ingress", "a", "b")), None);
        assert_eq!(
            due("/registry/oauth/clients/b", &object("oauth.openshift.io/v1", "OAuthClient", "", "b")),
            None
        );
        assert!(due("/registry/a.b/things/a/b", &object("c.d/v1", "Thing", "a", "b")).is_some());
    }

    #[test]
    fn prefixes_and_defined_resources_are_learnt_from_the_keys() {
        let mut places = ObjectPlaces::default();
        let definition = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": {"name": "things.a.b"},
            "spec": {"group": "a.b", "scope": "Cluster", "names": {"kind": "Thing", "plural": "things"}}});
        let value = definition.to_string();
        places.learn(b"/my/own/apiextensions.k8s.io/customresourcedefinitions/things.a.b", value.as_bytes());
        places.learn(b"/my/own/namespaces/default", b"");
        let key = places.key(b"/my/own/a.b/things/x").object().unwrap();
        assert_eq!(places.resource_at(&key).unwrap().kind, "Thing");
        assert!(places.resource("thing").is_some());
        assert_eq!(places.resource_behind(b"/my/own/minions/"), Some((None, "nodes")));
        // A pod that is called default in a namespace that is called namespaces is no prefix of others.
        places.learn_prefix(b"/my/own/pods/namespaces/default");
        assert_eq!(places.key(b"/my/own/pods/namespaces/web").object().unwrap().resource, "pods");
        // A root that is everywhere takes nothing from those that API servers have.
        assert!(places.learn_prefix(b"/namespaces/default") && places.learn_prefix(b"/registry/pods/a/b"));
        assert_eq!(places.key(b"/registry/pods/a/b").object().unwrap().resource, "pods");
        assert_eq!(places.key(b"/pods/a/b").object().unwrap().resource, "pods");
        assert!(!places.learn_prefix(format!("{}/namespaces/default", "/x".repeat(9)).as_bytes()));
        let many = (0..20_000).filter(|n| places.learn_prefix(format!("/{n}/namespaces/default").as_bytes()));
        assert_eq!(many.count(), MOST_PREFIXES - 4);
        let own = ObjectPlaces::default().behind("own/");
        assert_eq!(own.key(b"/own/pods/a/b").object().unwrap().resource, "pods");
    }
}
