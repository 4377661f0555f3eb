//! What a value that was decrypted without authentication tells: whether the key was right, and which etcd key it was
//! written for.

use std::collections::BTreeSet;

use crate::kube::cbor;
use crate::kube::decode::Object;
use crate::kube::envelope::MAGIC;
use crate::kube::key::PREFIXES;
use crate::kube::resource::Resource;

/// Segments of a key that are tried; no API server writes more than six.
const SEGMENTS: usize = 16;

/// Whether bytes begin as an object does. Noise does so once in 100,000 times at most, and then only by JSON.
pub(super) fn begins_as_object(bytes: &[u8]) -> bool {
    let text = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n' | b'\r' | b'\t');
    if let Some(rest) = bytes.strip_prefix(MAGIC) {
        return rest.first() == Some(&0x0a);
    }
    if let Some(rest) = bytes.strip_prefix(cbor::MAGIC) {
        return rest.first().is_some_and(|byte| byte >> 5 == 5);
    }
    bytes.starts_with(b"{") && bytes.len() >= 16 && bytes.iter().take(16).all(text)
}

/// The rest of a key from each of its segments on: `/a/b`, `/b`.
pub(super) fn tails(key: &str) -> impl Iterator<Item = &str> {
    key.match_indices('/').take(SEGMENTS).filter_map(|(at, _)| key.get(at..))
}

/// The same key behind the prefixes that API servers have, each with the prefix.
pub(super) fn behind_other_prefixes(key: &str) -> impl Iterator<Item = (String, &'static str)> {
    let with = move |prefix| tails(key).map(move |tail| (format!("{prefix}{tail}"), prefix));
    PREFIXES.into_iter().flat_map(with)
}

/// The keys that an object may have been written for by what it says of itself, where it lies under `key` now.
pub(super) fn keys_of(object: &Object, key: &str, resources: &[Resource]) -> BTreeSet<String> {
    let own = match (object.namespace(), object.name()) {
        (_, "") => return BTreeSet::new(),
        ("", name) => name.to_owned(),
        (namespace, name) => format!("{namespace}/{name}"),
    };
    let before = |(at, _)| key.get(..at);
    let ancestors: Vec<&str> = key.match_indices('/').take(SEGMENTS).filter_map(before).collect();
    let of_kind = resources
        .iter()
        .find(|one| one.kind == object.kind && one.group == object.group())
        .map(Resource::path);
    let mut found: BTreeSet<String> = ancestors.iter().map(|ancestor| format!("{ancestor}/{own}")).collect();
    if let Some(path) = of_kind {
        let prefixes = ancestors.iter().copied().chain(PREFIXES);
        found.extend(prefixes.map(|prefix| format!("{prefix}/{path}/{own}")));
    }
    found
}
