//! What fills a keyspace, added up by prefix.

use crate::etcd::KeyRange;
use crate::store::{KeyState, View};
use crate::words::error::Result;

/// Which keys are added up, and how far apart.
#[derive(Debug, Clone)]
pub struct TreeOptions<'t> {
    /// Which keys.
    pub range: KeyRange<'t>,
    /// What ends a level.
    pub separator: &'t [u8],
    /// How many levels there are below the root.
    pub depth: usize,
    /// The most nodes there may be.
    pub most: usize,
}

/// A prefix and what lies under it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyNode {
    /// What it adds to the prefix above it; nothing for the root.
    pub name: Vec<u8>,
    /// Live keys.
    pub live: u64,
    /// Bytes of their keys and values.
    pub size: u64,
    /// Bytes of keys and values of all stored versions.
    pub stored: u64,
    /// Stored versions.
    pub revisions: u64,
    /// The first of its live keys.
    pub first: Option<KeyState>,
    /// The prefixes one level further, those that store most first.
    pub children: Vec<KeyNode>,
}

impl KeyNode {
    fn add(&mut self, state: &KeyState) {
        self.live = self.live.saturating_add(u64::from(!state.deleted));
        self.size = self.size.saturating_add(state.live_size());
        self.stored = self.stored.saturating_add(state.bytes);
        self.revisions = self.revisions.saturating_add(state.revisions);
        if self.first.is_none() && !state.deleted {
            self.first = Some(state.clone());
        }
    }

    fn sort(&mut self) {
        self.children.sort_by_key(|child| std::cmp::Reverse(child.stored));
        self.children.iter_mut().for_each(KeyNode::sort);
    }

    /// The child of that name, which is the last one or new: keys come in order, so what a prefix has comes together.
    fn child(&mut self, name: &[u8], nodes: &mut usize) -> Option<&mut KeyNode> {
        if self.children.last().is_none_or(|last| last.name != name) {
            *nodes = nodes.saturating_add(1);
            self.children.push(KeyNode { name: name.to_vec(), ..KeyNode::default() });
        }
        self.children.last_mut()
    }
}

/// Adds up the keys of a view, and shows each to `see`. `None` when there are more prefixes than [`TreeOptions::most`].
///
/// # Errors
/// As [`View::keys`].
pub fn tree(
    view: View<'_>,
    options: &TreeOptions<'_>,
    see: &mut dyn FnMut(&KeyState),
) -> Result<Option<KeyNode>> {
    let (mut root, mut nodes) = (KeyNode::default(), 0);
    for state in view.keys(options.range.clone()).with_deleted() {
        let state = state?;
        see(&state);
        root.add(&state);
        let mut node = &mut root;
        for level in levels(&state.key, options.separator, options.depth) {
            let Some(child) = node.child(level, &mut nodes) else { break };
            node = child;
            node.add(&state);
        }
        if nodes > options.most {
            return Ok(None);
        }
    }
    root.sort();
    Ok(Some(root))
}

/// The levels of a key: up to and with each separator; one at the start belongs to the first.
#[must_use]
pub fn levels<'k>(key: &'k [u8], separator: &[u8], depth: usize) -> Vec<&'k [u8]> {
    let mut levels = Vec::new();
    let (mut rest, mut skip) = (key, separator.len());
    while levels.len() < depth {
        let found = rest
            .get(skip..)
            .filter(|_| !separator.is_empty())
            .and_then(|after| after.windows(separator.len()).position(|window| window == separator));
        let end = found.map(|at| at.saturating_add(skip).saturating_add(separator.len()));
        let Some((level, after)) = end.and_then(|end| rest.split_at_checked(end)) else { break };
        levels.push(level);
        (rest, skip) = (after, 0);
    }
    levels
}

#[cfg(test)]
mod tests {
    use super::levels;

    #[test]
    fn a_key_has_a_level_for_each_separator_but_one_at_its_start() {
        let text = |key: &str, depth| -> Vec<String> {
            levels(key.as_bytes(), b"/", depth)
                .into_iter()
                .map(|level| String::from_utf8(level.to_vec()).unwrap())
                .collect()
        };
        assert_eq!(text("/registry/pods/default/web", 9), ["/registry/", "pods/", "default/"]);
        assert_eq!(text("/registry/pods/default/web", 1), ["/registry/"]);
        assert_eq!(text("a/b", 9), ["a/"]);
        assert_eq!(text("/a", 9), [""; 0]);
        assert_eq!(text("//a", 9), ["//"]);
        assert_eq!(text("", 9), [""; 0]);
        assert_eq!(levels(b"a/b", b"", 9), [b""; 0]);
    }
}
