//! Where an object is put: names from a file become names of files that stay below their directory on every system,
//! and two objects never share one.
//!
//! What is not `a` to `z`, a digit, a point, a hyphen or an underscore is written as `%` and two hex digits a byte:
//! separators, control characters, capitals, which some file systems take for small letters. So are a point, hyphen or
//! underscore at the beginning, a point at the end, and the first letter of what Windows takes for a device. What would
//! be too long is cut, with `%~` and a hash of the whole behind it. No two texts become one name.

use std::collections::HashSet;

use super::super::decode::Object;
use super::super::key::ObjectKey;
use crate::codec::checksum::{hex, sha256};

/// The folder of what is in no namespace: none can be called so.
pub const CLUSTER: &str = "_cluster";

/// What every file's name ends with.
const SUFFIX: &str = ".yaml";
/// Bytes that a name may have before it is cut: file systems take 255, and two marks and a suffix are still to come.
const LONGEST: usize = 180;
/// Bytes of a hash that stand for a text.
const HASH: usize = 16;

/// The order in which objects are taken by a server: what others need comes first, what watches over others last. The
/// folder, and the resources with their group where their keys have it; all others are of the [last but one](OTHERS).
pub(super) const PHASES: [(&str, &[(&str, &str)]); 5] = [
    ("1-definitions", &[("", "namespaces"), ("apiextensions.k8s.io", "customresourcedefinitions")]),
    (
        "2-settings",
        &[
            ("", "clusterrolebindings"),
            ("", "clusterroles"),
            ("", "configmaps"),
            ("", "csidrivers"),
            ("", "deviceclasses"),
            ("", "flowschemas"),
            ("", "ingressclasses"),
            ("", "limitranges"),
            ("", "networkpolicies"),
            ("", "persistentvolumeclaims"),
            ("", "persistentvolumes"),
            ("", "podsecuritypolicies"),
            ("", "priorityclasses"),
            ("", "prioritylevelconfigurations"),
            ("", "resourceclaimtemplates"),
            ("", "resourcequotas"),
            ("", "rolebindings"),
            ("", "roles"),
            ("", "runtimeclasses"),
            ("", "secrets"),
            ("", "serviceaccounts"),
            ("", "storageclasses"),
            ("", "volumeattributesclasses"),
        ],
    ),
    ("3-services", &[("", "endpoints"), ("", "endpointslices"), ("", "services")]),
    ("4-others", &[]),
    (
        "5-hooks",
        &[
            ("", "mutatingadmissionpolicies"),
            ("", "mutatingadmissionpolicybindings"),
            ("", "mutatingwebhookconfigurations"),
            ("", "validatingadmissionpolicies"),
            ("", "validatingadmissionpolicybindings"),
            ("", "validatingwebhookconfigurations"),
            ("apiregistration.k8s.io", "apiservices"),
        ],
    ),
];
const OTHERS: usize = 3;

/// The phase in which an object of that key comes.
#[must_use]
pub fn phase(key: &ObjectKey<'_>) -> usize {
    let of = (key.group.unwrap_or_default(), key.resource);
    PHASES.iter().position(|(_, resources)| resources.contains(&of)).unwrap_or(OTHERS)
}

/// Where an object goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// As `shop/deployment.apps/web.yaml`: folders and a file, separated by slashes.
    pub path: String,
    /// Whether a name in it is not the object's own, as that would not do for a file.
    pub escaped: bool,
}

/// Gives places.
#[derive(Debug, Default)]
pub struct Placer {
    /// Hashes of those that are given.
    taken: HashSet<[u8; HASH]>,
    phases: bool,
}

impl Placer {
    /// With `phases` a folder for each phase is around, so that the order of the names is one that servers take.
    #[must_use]
    pub fn new(phases: bool) -> Placer {
        Placer { taken: HashSet::new(), phases }
    }

    /// The place of an object, by its own words; by its key where it says nothing. A second one that says the same is
    /// told from the first by a hash of its key.
    pub fn place(&mut self, key: &ObjectKey<'_>, stored_at: &[u8], object: &Object) -> Place {
        let kind = object.qualified();
        let (namespace, name) = match object.name() {
            "" => (key.namespace.unwrap_or_default(), key.name),
            name => (object.namespace(), name),
        };
        let mut parts = Vec::new();
        let mut escaped = false;
        if self.phases {
            parts.extend(PHASES.get(phase(key)).map(|(folder, _)| (*folder).to_owned()));
        }
        parts.push(if namespace.is_empty() { CLUSTER.to_owned() } else { file_name(namespace) });
        escaped |= !namespace.is_empty() && parts.last().is_some_and(|part| part != namespace);
        for text in [&*kind, name] {
            let part = file_name(text);
            escaped |= part != text;
            parts.push(part);
        }
        let mut path = parts.join("/");
        if !self.taken.insert(short(path.as_bytes())) {
            path.push_str("%-");
            path.push_str(&hex(&short(stored_at)));
            escaped = true;
        }
        path.push_str(SUFFIX);
        Place { path, escaped }
    }
}

fn short(bytes: &[u8]) -> [u8; HASH] {
    sha256(bytes).first_chunk().copied().unwrap_or_default()
}

/// A text as the name of a file or folder.
fn file_name(text: &str) -> String {
    let last = text.len().saturating_sub(1);
    let device = is_device(text);
    let mut name = String::with_capacity(text.len());
    for (at, byte) in text.bytes().enumerate() {
        let plain = match byte {
            b'a'..=b'z' => at > 0 || !device,
            b'0'..=b'9' => true,
            b'.' => at > 0 && at < last,
            b'-' | b'_' => at > 0,
            _ => false,
        };
        if plain {
            name.push(char::from(byte));
        } else {
            name.push('%');
            name.push_str(&hex(&[byte]));
        }
    }
    if name.is_empty() {
        name.push('%');
    }
    if name.len() > LONGEST {
        // All of it is ASCII.
        name.truncate(LONGEST);
        name.push_str("%~");
        name.push_str(&hex(&short(text.as_bytes())));
    }
    name
}

/// What Windows takes for a device, whatever stands behind a point.
fn is_device(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default();
    let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
    matches!(stem, "con" | "prn" | "aux" | "nul")
        || numbered.is_some_and(|rest| rest.len() == 1 && rest.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_that_would_leave_their_folder_or_meet_another_are_escaped() {
        for (text, due) in [
            ("web-1.2_x", "web-1.2_x"),
            ("..", "%2e%2e"),
            ("../../etc/passwd", "%2e.%2f..%2fetc%2fpasswd"),
            ("a\\b:c", "a%5cb%3ac"),
            ("a\0\n\u{1b}", "a%00%0a%1b"),
            ("Web", "%57eb"),
            ("é", "%c3%a9"),
            ("a.", "a%2e"),
            ("_cluster", "%5fcluster"),
            ("-rf", "%2drf"),
            ("con", "%63on"),
            ("nul.txt", "%6eul.txt"),
            ("lpt1", "%6cpt1"),
            ("lpt10", "lpt10"),
            ("console", "console"),
            ("%41", "%2541"),
            ("", "%"),
        ] {
            assert_eq!(file_name(text), due, "{text}");
        }
        let long = ["a".repeat(253), "a".repeat(252) + "b", "/".repeat(90)].map(|text| file_name(&text));
        assert!(long.iter().all(|name| name.len() == LONGEST + 2 + 2 * HASH));
        assert_ne!(long[0], long[1]);
        assert_eq!(file_name(&"a".repeat(LONGEST)), "a".repeat(LONGEST));
    }

    #[test]
    fn two_keys_of_one_object_have_two_places() {
        let metadata = json!({"name": "w", "namespace": "n"});
        let text = json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata});
        let object = Object::decode(text.to_string().as_bytes()).unwrap();
        let key = ObjectKey { group: None, resource: "deployments", namespace: Some("n"), name: "w" };
        let mut places = Placer::new(false);
        let first = places.place(&key, b"/a", &object);
        assert_eq!(first, Place { path: "n/deployment.apps/w.yaml".to_owned(), escaped: false });
        let second = places.place(&key, b"/b", &object);
        assert!(second.escaped && second.path.starts_with("n/deployment.apps/w%-"), "{second:?}");
        let due = "4-others/n/deployment.apps/w.yaml";
        assert_eq!(Placer::new(true).place(&key, b"/a", &object).path, due);
    }

    #[test]
    fn what_others_need_comes_before_them() {
        let key = |group, resource| ObjectKey { group, resource, namespace: None, name: "x" };
        let phases = [
            key(None, "namespaces"),
            key(None, "secrets"),
            key(None, "services"),
            key(None, "pods"),
            key(None, "validatingwebhookconfigurations"),
        ]
        .map(|key| phase(&key));
        assert_eq!(phases, [0, 1, 2, 3, 4]);
        // One's own that is only called like Kubernetes'.
        assert_eq!(phase(&key(Some("a.b"), "secrets")), 3);
        assert_eq!(phase(&key(Some("apiextensions.k8s.io"), "customresourcedefinitions")), 0);
    }
}
