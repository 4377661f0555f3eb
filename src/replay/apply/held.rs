//! What an entry holds, taken apart as etcd takes it apart: whether its effect is in the database already or not, at
//! what does not come apart etcd panics.
//!
//! Source: `server/etcdserver/{server.go applyEntryNormal, apply_v2.go}` @ v3.4, v3.5, v3.6;
//! `server/etcdserver/apply/apply.go Apply` @ v3.7.

use prost::Message;
use serde::Deserialize;

use crate::codec::go::go_text;
use crate::etcd::request::{self, Attributes, InternalRaftRequest, Request, V2Request};
use crate::etcd::schema::Minor;
use crate::etcd::semver::Semver;
use crate::raft::{ConfChange, EntryType, EntryView};
use crate::words::ids::MemberId;
use crate::words::text::show_bytes;

/// What is in an entry.
pub(in crate::replay) enum Held {
    /// A new leader's first entry.
    Nothing,
    /// A request of the old API.
    V2(Box<V2Request>),
    /// A request.
    V3(Box<InternalRaftRequest>),
    /// A change of members.
    ConfChange(ConfChange),
}

/// Takes an entry apart, whose transactions may nest as deep as `most` ([`request::with_room`]).
///
/// # Errors
/// Why etcd panics at it, or that it is not known here.
pub(in crate::replay) fn held(entry: &EntryView<'_>, most: usize) -> Result<Held, String> {
    match entry.entry_type() {
        Some(EntryType::Normal) => match request::decode_nested(entry.bytes(), most) {
            Request::Noop => Ok(Held::Nothing),
            Request::V2(request) => Ok(Held::V2(request)),
            Request::V3(mut request) => match request.v2.take() {
                Some(v2) => Ok(Held::V2(Box::new(v2))),
                None => Ok(Held::V3(request)),
            },
            Request::Unknown if request::nest_deeper(entry.bytes(), most) => {
                Err(format!("transactions nest deeper than {most} levels, which is not applied here"))
            }
            Request::Unknown => Err("the request does not decode".to_owned()),
        },
        Some(EntryType::ConfChange) => ConfChange::decode(entry.bytes())
            .map(Held::ConfChange)
            .map_err(|_| "a conf change that does not decode: etcd panics".to_owned()),
        Some(EntryType::ConfChangeV2) => {
            Err("a conf change of the second form, which no etcd makes or takes".to_owned())
        }
        None => Err(format!("an entry of type {}, which no etcd makes or takes", entry.kind)),
    }
}

/// Why etcd panics at a request before it looks for what is asked.
pub(in crate::replay) fn nameless(request: &InternalRaftRequest) -> Option<&'static str> {
    (request.id == 0 && request.header.is_none())
        .then_some("a request without an id and without a header: etcd panics (could not find a header)")
}

/// Why 3.7 panics at a request that older ones take.
pub(in crate::replay) fn deep(entry: &EntryView<'_>) -> Option<&'static str> {
    request::too_deep_for_3_7(entry.bytes()).then_some(
        "transactions nest so deep that etcd 3.7 panics (unmarshal should never fail: exceeded maximum recursion depth)",
    )
}

/// The version that a cluster is set to.
///
/// # Errors
/// Why etcd panics at it.
pub(in crate::replay) fn cluster_version(version: &[u8]) -> Result<Semver, String> {
    Semver::of(version)
        .map_err(|_| format!("the cluster version {} is none: etcd panics", show_bytes(version)))
}

/// Why etcd panics at a member's attributes that are not there.
pub(in crate::replay) const NO_ATTRIBUTES: &str =
    "a member's attributes are to be set, and there are none: etcd panics";

/// Why etcd panics at the attributes of somebody who is no member and was none.
pub(in crate::replay) fn unknown_member(id: MemberId) -> String {
    format!("the attributes of member {id}, which is none and was none: etcd panics (member unknown)")
}

/// What a request of the old API is for.
pub(in crate::replay) enum V2 {
    /// The cluster's version.
    Version(Vec<u8>),
    /// What a member tells of itself.
    Attributes(MemberId, Attributes),
    /// The v2 store.
    Store,
}

#[derive(Deserialize)]
struct V2Attributes {
    #[serde(default)]
    name: String,
    #[serde(default, rename = "clientURLs")]
    client_urls: Option<Vec<String>>,
}

/// What a request of the old API is for: two kinds of it 3.4 and 3.5 make themselves.
///
/// # Errors
/// Why etcd of that version panics at it.
pub(in crate::replay) fn v2(r: &V2Request, minor: Minor) -> Result<V2, &'static str> {
    if minor >= Minor::V37 {
        return Err("a request of the v2 API, at which etcd 3.7 panics: it was written by an older version");
    }
    let plain = r.method == b"PUT" && r.prev_exist.is_none() && r.prev_index == 0 && r.prev_value.is_empty();
    if plain && r.path == b"/0/version" {
        return Ok(V2::Version(r.val.clone()));
    }
    let member = r.path.strip_prefix(b"/0/members/").and_then(|rest| rest.strip_suffix(b"/attributes"));
    if let Some(id) = member.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok()).filter(|_| plain) {
        let told: V2Attributes = serde_json::from_str(&go_text(&r.val))
            .map_err(|_| "a member's attributes do not decode: etcd panics")?;
        let client_urls = told.client_urls.unwrap_or_default().into_iter().map(String::into_bytes).collect();
        return Ok(V2::Attributes(id, Attributes { name: told.name.into_bytes(), client_urls }));
    }
    if minor == Minor::V36 {
        return Err("a request of the v2 API, at which etcd 3.6 panics: it was written by an older version");
    }
    Ok(V2::Store)
}
