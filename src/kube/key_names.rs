//! What keys hold, in kubectl's words, for who goes through a keyspace key by key and reads no values: the values of
//! some few are read when all keys were seen.

use super::decode::Glance;
use super::key::KeyKind;
use super::places::ObjectPlaces;
use super::type_meta::qualified;
use crate::io::Window;
use crate::store::{KeyState, View};
use crate::words::error::Result;

/// Keys whose values tell whether these are Kubernetes'.
const EXAMPLES: usize = 64;

/// Learns from keys as they come, and then tells what they hold.
#[derive(Debug, Clone, Default)]
pub struct KeyNames {
    places: ObjectPlaces,
    examples: Vec<KeyState>,
}

impl KeyNames {
    /// Objects lie behind `prefix`, or where they are found.
    #[must_use]
    pub fn new(prefix: Option<&str>) -> KeyNames {
        KeyNames {
            places: prefix
                .map_or_else(ObjectPlaces::default, |prefix| ObjectPlaces::default().behind(prefix)),
            examples: Vec::new(),
        }
    }

    /// Learns from one key.
    pub fn see(&mut self, state: &KeyState) {
        if state.deleted {
            return;
        }
        let new = self.places.learn_prefix(&state.key);
        let room = self.examples.len() < EXAMPLES;
        if room && (new || self.places.key(&state.key).object().is_some()) {
            self.examples.push(state.clone());
        }
    }

    /// Looks at some values, now that all keys were seen; `None` where none of them is Kubernetes'.
    ///
    /// # Errors
    /// As [`View::value`].
    pub fn found(mut self, view: View<'_>) -> Result<Option<KeyNames>> {
        let mut window = Window::scattered();
        for state in std::mem::take(&mut self.examples) {
            view.value(&state, &mut window, |value| self.places.learn(&state.key, value))?;
            if !self.places.is_empty() {
                return Ok(Some(self));
            }
        }
        Ok(None)
    }

    /// The resource of the object under a key, with its group, as `deployments.apps`: as its value tells, or where that
    /// is deleted or cannot be decoded, its key.
    ///
    /// # Errors
    /// As [`View::value`].
    pub fn resource(&self, view: View<'_>, state: &KeyState, window: &mut Window) -> Result<Option<String>> {
        let key = self.places.key(&state.key);
        if let KeyKind::Bookkeeping(_) = key {
            return Ok(None);
        }
        let key = key.object();
        if let Some((group, kind)) = says(view, state, window)? {
            let known = self.places.resource_of(&group, &kind).map(|resource| &*resource.plural);
            let resource = known.or(key.map(|key| key.resource));
            return Ok(resource.map(|resource| qualified(resource, &group)));
        }
        Ok(key.and_then(|key| self.by_key(key.group, key.resource)))
    }

    /// The same of all objects that lie behind a path, by the value of one of them, if there is a live one.
    ///
    /// # Errors
    /// As [`View::value`].
    pub fn resource_behind(
        &self,
        path: &[u8],
        view: View<'_>,
        one: Option<&KeyState>,
        window: &mut Window,
    ) -> Result<Option<String>> {
        let Some((group, resource)) = self.places.resource_behind(path) else { return Ok(None) };
        if let (None, Some(one)) = (group, one)
            && let Some((group, kind)) = says(view, one, window)?
            && self.places.resource_of(&group, &kind).is_some_and(|found| found.plural == resource)
        {
            return Ok(Some(qualified(resource, &group)));
        }
        Ok(self.by_key(group, resource))
    }

    /// What a key tells: its group, or that of the resource of Kubernetes' own.
    fn by_key(&self, group: Option<&str>, resource: &str) -> Option<String> {
        let key = super::key::ObjectKey { group, resource, namespace: None, name: "" };
        let group = group.or_else(|| Some(&*self.places.resource_at(&key)?.group))?;
        Some(qualified(resource, group))
    }
}

/// Group and kind that a live value says it is of.
fn says(view: View<'_>, state: &KeyState, window: &mut Window) -> Result<Option<(String, String)>> {
    if state.deleted {
        return Ok(None);
    }
    view.value(state, window, |value| {
        Glance::of(value).ok().map(|glance| (glance.group().to_owned(), glance.kind))
    })
}
