//! The key that an object is stored under.
//!
//! ```text
//! /registry  /deployments       /default    /web          a built-in kind: no group
//! /registry  /services/specs    /default    /web          two segments: services, and endpoints beside them
//! /registry  /stable.example.com/crontabs/default/mine    a group has a point: custom resources
//! prefix      resource           namespace    name         what is in no namespace has none
//! ```
//!
//! The key does not tell a namespace from nothing: what stands before the name is one. Only the value tells the group
//! and the version of a built-in kind, and where the two disagree the value counts. Source:
//! `k8s.io/kubernetes/pkg/kubeapiserver/default_storage_factory_builder.go`, `k8s.io/apiserver/pkg/registry/generic`.

use super::decode::Object;

/// The prefixes that API servers have: Kubernetes', and those of OpenShift's two.
pub const PREFIXES: [&str; 3] = ["/registry", "/kubernetes.io", "/openshift.io"];

/// Resources that are stored under another name than they are served.
const RENAMED: [(&str, &str); 6] = [
    ("controllers", "replicationcontrollers"),
    ("minions", "nodes"),
    ("ingress", "ingresses"),
    ("podsecuritypolicy", "podsecuritypolicies"),
    ("services/specs", "services"),
    ("services/endpoints", "endpoints"),
];

/// What the API server keeps for itself.
const BOOKKEEPING: [&str; 3] = ["ranges", "masterleases", "peerserverleases"];

/// A key that was taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ObjectKey<'k> {
    /// The group, where the key says one.
    pub group: Option<&'k str>,
    /// The resource as it is served, as `nodes`.
    pub resource: &'k str,
    /// The namespace, if there is one.
    pub namespace: Option<&'k str>,
    /// The name.
    pub name: &'k str,
}

/// What a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind<'k> {
    /// An object's.
    Object(ObjectKey<'k>),
    /// One that the API server keeps for itself, as `ranges/serviceips`.
    Bookkeeping(&'k str),
    /// Another one.
    Other,
}

impl<'k> KeyKind<'k> {
    /// Takes a key apart that begins with one of the prefixes.
    #[must_use]
    pub fn parse(key: &'k [u8], prefixes: &[impl AsRef<str>]) -> KeyKind<'k> {
        let Some(path) = behind(key, prefixes) else { return KeyKind::Other };
        let first = path.split('/').next().unwrap_or_default();
        if BOOKKEEPING.contains(&first) {
            return KeyKind::Bookkeeping(path);
        }
        ObjectKey::of(path, first).map_or(KeyKind::Other, KeyKind::Object)
    }

    /// The object's key, if it is one.
    #[must_use]
    pub fn object(self) -> Option<ObjectKey<'k>> {
        if let KeyKind::Object(key) = self { Some(key) } else { None }
    }
}

impl<'k> ObjectKey<'k> {
    fn of(path: &'k str, first: &'k str) -> Option<ObjectKey<'k>> {
        let after = |head: &str| path.strip_prefix(head)?.strip_prefix('/');
        let (group, resource, rest) = if first.contains('.') {
            let (resource, rest) = after(first)?.split_once('/')?;
            (Some(first), resource, rest)
        } else {
            let renamed = RENAMED.iter().find_map(|(stored, served)| Some((*served, after(stored)?)));
            // What only leads to the objects of a renamed resource is no object.
            let leads = RENAMED.iter().any(|(stored, _)| *stored == path);
            let (resource, rest) = renamed.or_else(|| Some((first, after(first).filter(|_| !leads)?)))?;
            (None, resource, rest)
        };
        let (namespace, name) =
            rest.split_once('/').map_or((None, rest), |(namespace, name)| (Some(namespace), name));
        let whole = |part: &str| !part.is_empty() && !part.contains('/');
        let all = whole(resource) && whole(name) && namespace.is_none_or(whole);
        all.then_some(ObjectKey { group, resource, namespace, name })
    }

    /// Whether the object says that it is where it lies: its name, its namespace and, if the key says one, its group.
    /// An object without a name says nothing.
    #[must_use]
    pub fn agrees(&self, object: &Object) -> bool {
        self.is_of(object.group(), object.namespace(), object.name())
    }

    /// The same of what an object says.
    #[must_use]
    pub fn is_of(&self, group: &str, namespace: &str, name: &str) -> bool {
        let same_group = self.group.is_none_or(|own| own == group);
        name.is_empty() || same_group && name == self.name && namespace == self.namespace.unwrap_or_default()
    }
}

/// What of a key is behind one of the prefixes.
fn behind<'k>(key: &'k [u8], prefixes: &[impl AsRef<str>]) -> Option<&'k str> {
    let key = std::str::from_utf8(key).ok()?;
    let strip = |prefix: &str| key.strip_prefix(prefix.trim_end_matches('/'))?.strip_prefix('/');
    prefixes.iter().find_map(|prefix| strip(prefix.as_ref()))
}

/// The group, where the path says one, and the resource of which all objects lie behind this path and nothing else:
/// `/registry/services/specs/` leads to `services`, and `/registry/services/` to more.
#[must_use]
pub fn resource_behind<'k>(
    path: &'k [u8],
    prefixes: &[impl AsRef<str>],
) -> Option<(Option<&'k str>, &'k str)> {
    let path = behind(path, prefixes)?.strip_suffix('/')?;
    let whole = |part: &str| !part.is_empty() && !part.contains('/');
    if let Some((group, resource)) = path.split_once('/').filter(|(group, _)| group.contains('.')) {
        return whole(resource).then_some((Some(group), resource));
    }
    if let Some((_, served)) = RENAMED.iter().find(|(stored, _)| *stored == path) {
        return Some((None, served));
    }
    let leads =
        |(stored, _): &(&str, &str)| stored.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'));
    let other = path.contains('.') || BOOKKEEPING.contains(&path) || RENAMED.iter().any(leads);
    (whole(path) && !other).then_some((None, path))
}

/// The prefix that a key is behind, if it is one of [`PREFIXES`], or the key is that of the namespace `default`, which
/// every cluster has.
#[must_use]
pub fn prefix_of(key: &[u8]) -> Option<&str> {
    let key = std::str::from_utf8(key).ok()?;
    let behind = |prefix: &&str| key.strip_prefix(*prefix).is_some_and(|rest| rest.starts_with('/'));
    PREFIXES.into_iter().find(behind).or_else(|| key.strip_suffix("/namespaces/default"))
}

/// Where the objects of a resource lie behind the prefix, as `services/specs`.
#[must_use]
pub fn stored_as(resource: &str) -> &str {
    RENAMED.iter().find(|(_, served)| *served == resource).map_or(resource, |(stored, _)| stored)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(key: &str) -> Option<(Option<&str>, &str, Option<&str>, &str)> {
        let key = KeyKind::parse(key.as_bytes(), &PREFIXES).object()?;
        Some((key.group, key.resource, key.namespace, key.name))
    }

    #[test]
    fn a_key_tells_resource_namespace_and_name() {
        for (key, due) in [
            ("/registry/deployments/default/web", (None, "deployments", Some("default"), "web")),
            ("/registry/minions/n1", (None, "nodes", None, "n1")),
            ("/registry/services/specs/a/b", (None, "services", Some("a"), "b")),
            ("/registry/services/endpoints/a/b", (None, "endpoints", Some("a"), "b")),
            ("/registry/controllers/a/b", (None, "replicationcontrollers", Some("a"), "b")),
            ("/registry/ingress/a/b", (None, "ingresses", Some("a"), "b")),
            ("/registry/clusterroles/system:node", (None, "clusterroles", None, "system:node")),
            (
                "/registry/apiextensions.k8s.io/customresourcedefinitions/x.y",
                (Some("apiextensions.k8s.io"), "customresourcedefinitions", None, "x.y"),
            ),
            ("/registry/a.b/things/ns/n", (Some("a.b"), "things", Some("ns"), "n")),
            ("/openshift.io/routes/ns/n", (None, "routes", Some("ns"), "n")),
            ("/openshift.io/oauth/n", (None, "oauth", None, "n")),
        ] {
            assert_eq!(parts(key), Some(due), "{key}");
        }
        let own = KeyKind::parse(b"/my/own/pods/a/b", &["/my/own/"]).object().unwrap();
        assert_eq!((own.resource, own.namespace, own.name), ("pods", Some("a"), "b"));
    }

    #[test]
    fn a_path_tells_the_resource_that_is_all_there_is_behind_it() {
        for (path, due) in [
            ("/registry/deployments/", Some((None, "deployments"))),
            ("/registry/minions/", Some((None, "nodes"))),
            ("/registry/services/specs/", Some((None, "services"))),
            ("/registry/services/endpoints/", Some((None, "endpoints"))),
            ("/registry/services/", None),
            ("/registry/a.b/things/", Some((Some("a.b"), "things"))),
            ("/registry/a.b/", None),
            ("/registry/a.b/things/ns/", None),
            ("/registry/pods/default/", None),
            ("/registry/ranges/", None),
            ("/registry/pods", None),
            ("/registry/", None),
            ("/other/pods/", None),
        ] {
            assert_eq!(resource_behind(path.as_bytes(), &PREFIXES), due, "{path}");
        }
    }

    #[test]
    fn what_is_no_objects_key_is_told() {
        for key in [
            "",
            "/",
            "/registry",
            "/registry/",
            "/registry/pods",
            "/registry/pods/",
            "/registry/pods/a/b/c",
            "compact_rev_key",
            "/registryx/pods/a/b",
            "/registry//a/b",
            "/registry/pods//b",
            "/registry/services/specs",
            "/registry/a.b/c",
        ] {
            assert_eq!(parts(key), None, "{key}");
        }
        assert_eq!(KeyKind::parse(b"/registry/\xff/a", &PREFIXES), KeyKind::Other);
        assert_eq!(
            KeyKind::parse(b"/registry/ranges/serviceips", &PREFIXES),
            KeyKind::Bookkeeping("ranges/serviceips")
        );
    }
}
