//! Which values are looked at.

use crate::kube::key::{KeyKind, ObjectKey};
use crate::kube::places::ObjectPlaces;
use crate::kube::resource::Resource;
use crate::kube::type_meta::qualified;

/// Knows the keys of the objects that are wanted.
pub(in crate::kube) struct Wanted<'l> {
    pub places: &'l ObjectPlaces,
    /// Of these resources; of all.
    pub only: Option<Vec<&'l Resource>>,
    /// In this namespace; in all, and in none.
    pub namespace: Option<&'l str>,
    /// Whether times are.
    pub times: bool,
}

impl Wanted<'_> {
    /// A key taken apart, if it is one of theirs.
    pub(super) fn key<'k>(&self, key: &'k [u8]) -> Option<ObjectKey<'k>> {
        let KeyKind::Object(at) = self.places.key(key) else { return None };
        let wanted = self.only.as_ref().is_none_or(|only| only.iter().any(|resource| resource.holds(&at)));
        let here = self.namespace.is_none_or(|namespace| at.namespace == Some(namespace));
        (wanted && here).then_some(at)
    }

    /// Whether objects of a kind are wanted.
    pub(super) fn kind(&self, group: &str, kind: &str) -> bool {
        let is = |resource: &&Resource| resource.kind == kind && resource.group == group;
        self.only.as_ref().is_none_or(|only| only.iter().any(is))
    }

    /// What the resource is called that keys name so.
    pub(in crate::kube) fn called(&self, group: &str, resource: &str) -> String {
        let group_in_key = Some(group).filter(|group| !group.is_empty());
        let key = ObjectKey { group: group_in_key, resource, namespace: None, name: "" };
        let known = self.places.resource_at(&key);
        known.map_or_else(|| qualified(resource, group), |known| qualified(&known.plural, &known.group))
    }
}
