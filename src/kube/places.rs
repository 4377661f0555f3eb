//! Where objects lie in a keyspace that is seen key by key, in any order: what is known after all of them were seen.

use super::decode::Object;
use super::envelope::Form;
use super::key::{KeyKind, ObjectKey, prefix_of};
use super::resource::{self, Resource};

/// Definitions of custom resources that are read; a cluster has some hundreds.
const DEFINITIONS: usize = 10_000;

/// The prefixes that objects lie behind, and the resources that there are.
#[derive(Debug, Clone)]
pub struct ObjectPlaces {
    prefixes: Vec<String>,
    resources: Vec<Resource>,
    defined: usize,
    /// Whether some value is one of Kubernetes'.
    any: bool,
}

impl Default for ObjectPlaces {
    fn default() -> ObjectPlaces {
        ObjectPlaces { prefixes: Vec::new(), resources: resource::built_in(), defined: 0, any: false }
    }
}

impl ObjectPlaces {
    /// Whether a live key and its value tell something of others that is not known yet. Few do, and whoever asks this
    /// first need not find out of the others whether they are live.
    #[must_use]
    pub fn teaches(&self, key: &[u8], value: &[u8]) -> bool {
        self.new_prefix(key).is_some() || defines(key) || (!self.any && is_of_kubernetes(value))
    }

    fn new_prefix<'k>(&self, key: &'k [u8]) -> Option<&'k str> {
        prefix_of(key).filter(|prefix| !self.prefixes.iter().any(|known| known == prefix))
    }

    /// Learns from one live key and its value what it tells of others.
    pub fn learn(&mut self, key: &[u8], value: &[u8]) {
        if let Some(prefix) = self.new_prefix(key) {
            self.prefixes.push(prefix.to_owned());
        }
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

    /// The same with objects behind this prefix only, whatever was learnt.
    #[must_use]
    pub fn behind(self, prefix: &str) -> ObjectPlaces {
        ObjectPlaces { prefixes: vec![format!("/{}", prefix.trim_matches('/'))], ..self }
    }

    /// Whether no key is an API server's: other programs use keys like its own, but not for values like its own.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.prefixes.is_empty() || !self.any
    }

    /// Takes a key apart.
    #[must_use]
    pub fn key<'k>(&self, key: &'k [u8]) -> KeyKind<'k> {
        KeyKind::parse(key, &self.prefixes)
    }

    /// The resource whose objects lie where this one does.
    #[must_use]
    pub fn resource_at(&self, key: &ObjectKey<'_>) -> Option<&Resource> {
        self.resources.iter().find(|resource| resource.holds(key))
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
            let own = |resource: &&Resource| resource.kind == object.kind && resource.group == object.group();
            if let Some(resource) = self.resources.iter().find(own) {
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
    }
}
