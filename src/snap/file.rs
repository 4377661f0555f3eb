//! A raft snapshot file: `member/snap/%016x-%016x.snap`, term first, then index.
//!
//! ```text
//! snappb.snapshot   1 crc   CRC-32C of field 2
//!                   2 data  raftpb.Snapshot { 1 data: the v2 store as JSON, 2 metadata { 1 conf_state, 2 index, 3 term } }
//! ```
//!
//! It holds no keys: those are in the db beside it. Up to 3.6 its v2 store says who is a member. Source:
//! `server/etcdserver/api/snap` @ v3.6.14.

use std::collections::BTreeMap;
use std::fmt;

use prost::Message;
use serde::Deserialize;

use crate::codec::checksum::crc32c;
use crate::codec::wire::{WireValue, fields};
use crate::raft::{Snapshot, SnapshotMetadata};
use crate::words::error::{At, Corrupt, Told};
use crate::words::finding::Code;
use crate::words::ids::{MemberId, RaftIndex, Term};

/// The name of a raft snapshot file. Ordered from oldest to newest, as etcd orders the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapName {
    /// The term of the last entry in it.
    pub term: Term,
    /// The index of that entry.
    pub index: RaftIndex,
}

impl SnapName {
    /// Reads `%016x-%016x.snap`.
    #[must_use]
    pub fn parse(name: &str) -> Option<SnapName> {
        let (term, index) = name.strip_suffix(".snap")?.split_once('-')?;
        let hex = |digits: &str| {
            let good = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
            good.then(|| u64::from_str_radix(digits, 16).ok()).flatten()
        };
        Some(SnapName { term: hex(term)?.into(), index: hex(index)?.into() })
    }
}

impl fmt::Display for SnapName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:016x}.snap", self.term.get(), self.index.get())
    }
}

/// A raft snapshot file, decoded; its checksum holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SnapFile {
    /// CRC-32C of the content.
    pub crc: u32,
    /// The content.
    pub snapshot: Snapshot,
}

impl SnapFile {
    /// Decodes a file (`snap.Read`).
    ///
    /// # Errors
    /// `snap-invalid` when it is empty or does not decode, `snap-crc` when its checksum is wrong.
    pub fn decode(bytes: &[u8]) -> Result<SnapFile, Box<Corrupt>> {
        let invalid = |what: String| Corrupt::new(Code::SnapInvalid, At::offset(0), what);
        if bytes.is_empty() {
            return Err(invalid("the file is empty".to_owned()));
        }
        let (mut crc, mut data) = (0, &[][..]);
        for item in fields(bytes) {
            match item {
                // A uint32 is the low 32 bits of its varint.
                Ok((1, WireValue::Varint(n))) => {
                    crc = u32::try_from(n & u64::from(u32::MAX)).unwrap_or_default()
                }
                Ok((2, WireValue::Bytes(bytes))) => data = bytes,
                Ok((1 | 2, _)) => {
                    return Err(invalid(
                        "its checksum or content has another type than it should".to_owned(),
                    ));
                }
                Ok(_) => {}
                Err(bad) => {
                    let what = format!("the {} bytes do not decode past byte {}", bytes.len(), bad.0);
                    return Err(Corrupt::new(
                        Code::SnapInvalid,
                        At::offset(crate::codec::to_u64(bad.0)),
                        what,
                    ));
                }
            }
        }
        if data.is_empty() || crc == 0 {
            return Err(invalid(format!(
                "{} bytes of content with checksum {crc:08x}: etcd takes it for empty",
                data.len()
            )));
        }
        let computed = crc32c(0, data);
        if computed != crc {
            let what =
                format!("its checksum is {crc:08x}, its {} bytes of content give {computed:08x}", data.len());
            return Err(Corrupt::new(Code::SnapCrc, At::offset(0), what));
        }
        let snapshot = Snapshot::decode(data)
            .map_err(|error| invalid(format!("its checksum is right, its content is not: {error}")))?;
        Ok(SnapFile { crc, snapshot })
    }

    /// Encodes a file as etcd's `snapshotter.save` does.
    #[must_use]
    pub fn encode(snapshot: &Snapshot) -> Vec<u8> {
        use prost::encoding::{bytes, uint32};
        let data = snapshot.encode_to_vec();
        let mut out = Vec::with_capacity(data.len().saturating_add(16));
        uint32::encode(1, &crc32c(0, &data), &mut out);
        bytes::encode(2, &data, &mut out);
        out
    }

    /// The index of the last entry in it.
    #[must_use]
    pub fn index(&self) -> RaftIndex {
        self.snapshot.metadata.as_ref().map(SnapshotMetadata::last_index).unwrap_or_default()
    }

    /// The term of that entry.
    #[must_use]
    pub fn term(&self) -> Term {
        self.snapshot.metadata.as_ref().map(SnapshotMetadata::last_term).unwrap_or_default()
    }

    /// Who is a member, by the v2 store in it.
    ///
    /// # Errors
    /// `snap-invalid` when it is not the JSON of a v2 store.
    pub fn membership(&self) -> Result<Membership, Box<Corrupt>> {
        Membership::from_v2(self.snapshot.data())
    }
}

/// A member.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct SnapMember {
    /// Its id.
    pub id: MemberId,
    /// Its name; absent until it has published it.
    pub name: Option<Told>,
    /// Where the other members reach it.
    pub peer_urls: Vec<Told>,
    /// Where clients reach it.
    pub client_urls: Vec<Told>,
    /// Whether it only listens.
    pub is_learner: bool,
}

/// Who is a member, out of `/0` of a v2 store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Membership {
    /// The members, by id.
    pub members: Vec<SnapMember>,
    /// Ids of members that left; they may not come back.
    pub removed: Vec<MemberId>,
    /// The cluster version, as `3.5.0`.
    pub cluster_version: Option<Told>,
}

#[derive(Deserialize)]
struct Store {
    #[serde(rename = "Root")]
    root: Option<Root>,
}

#[derive(Deserialize)]
struct Root {
    #[serde(rename = "Children")]
    children: Option<Top>,
}

#[derive(Deserialize)]
struct Top {
    #[serde(rename = "0")]
    cluster: Option<Dir<ClusterNodes>>,
}

#[derive(Deserialize)]
struct Dir<T> {
    #[serde(rename = "Children")]
    children: Option<T>,
}

/// The part of a v2 store that users write to.
#[derive(Deserialize)]
struct UserStore {
    #[serde(rename = "Root")]
    root: Option<Dir<UserTop>>,
}

#[derive(Deserialize)]
struct UserTop {
    #[serde(rename = "1")]
    users: Option<UserNode>,
}

/// A directory has children, if none, a key has not.
#[derive(Deserialize)]
struct UserNode {
    #[serde(rename = "Children")]
    children: Option<BTreeMap<String, UserNode>>,
}

impl UserNode {
    /// As deep as the JSON reader goes, which is no deeper than 128.
    fn keys(&self) -> u64 {
        self.children
            .as_ref()
            .map_or(1, |children| children.values().fold(0, |sum, node| node.keys().saturating_add(sum)))
    }
}

/// How many keys users have in a v2 store; `None` where it is none, or nests too deep.
#[must_use]
pub fn user_keys(json: &[u8]) -> Option<u64> {
    let store: UserStore = serde_json::from_slice(json).ok()?;
    let users = store.root.and_then(|root| root.children).and_then(|top| top.users);
    Some(users.map_or(0, |users| users.keys()))
}

/// The nodes below one, by name.
type Below<T> = Dir<BTreeMap<String, T>>;

/// Three levels of a v2 store: as deep as etcd looks.
#[derive(Deserialize)]
struct Upper {
    #[serde(rename = "Root")]
    root: Option<Below<Below<Below<serde::de::IgnoredAny>>>>,
}

/// Whether a v2 store holds more than etcd's own, which 3.6 does not start from: anything of users, empty directories
/// too; `None` where it is none. Of the old auth the directories that are always there do not count, nor does what is
/// hidden (`membership.IsMetaStoreOnly` @ v3.5.35).
#[must_use]
pub fn has_custom_content(json: &[u8]) -> Option<bool> {
    fn shown<T>(dir: Below<T>) -> impl Iterator<Item = (String, T)> {
        dir.children.into_iter().flatten().filter(|(name, _)| !name.starts_with('_'))
    }
    let store: Upper = serde_json::from_slice(json).ok()?;
    Some(shown(store.root?).any(|(name, dir)| match name.as_str() {
        "0" => false,
        "2" => shown(dir).any(|(_, below)| shown(below).next().is_some()),
        _ => shown(dir).next().is_some(),
    }))
}

#[derive(Deserialize)]
struct ClusterNodes {
    members: Option<Dir<BTreeMap<String, Dir<MemberNodes>>>>,
    removed_members: Option<Dir<BTreeMap<String, serde::de::IgnoredAny>>>,
    version: Option<Leaf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MemberNodes {
    attributes: Option<Leaf>,
    raft_attributes: Option<Leaf>,
}

#[derive(Deserialize)]
struct Leaf {
    #[serde(rename = "Value")]
    value: String,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Attributes {
    name: Option<Told>,
    #[serde(rename = "clientURLs")]
    client_urls: Option<Vec<Told>>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RaftAttributes {
    #[serde(rename = "peerURLs")]
    peer_urls: Option<Vec<Told>>,
    #[serde(rename = "isLearner")]
    is_learner: bool,
}

impl Membership {
    /// Reads the JSON of a v2 store. Only `/0` is looked at, so the depth of what users stored does not matter.
    ///
    /// # Errors
    /// `snap-invalid` when it is not such JSON, or a member in it is not.
    pub fn from_v2(json: &[u8]) -> Result<Membership, Box<Corrupt>> {
        let invalid = |what: String| Corrupt::new(Code::SnapInvalid, At::default(), what);
        let store: Store = serde_json::from_slice(json)
            .map_err(|error| invalid(format!("the v2 store in it is not one: {error}")))?;
        let nodes = store
            .root
            .and_then(|root| root.children)
            .and_then(|top| top.cluster)
            .and_then(|dir| dir.children);
        let Some(nodes) = nodes else { return Ok(Membership::default()) };
        let id = |text: &str| {
            text.parse().map_err(|_| invalid(format!("a member id is not hex: {}", text.escape_default())))
        };
        let mut members = Vec::new();
        for (name, node) in nodes.members.and_then(|dir| dir.children).unwrap_or_default() {
            let node = node.children.unwrap_or(MemberNodes { attributes: None, raft_attributes: None });
            let bad = |error| invalid(format!("member {}: {error}", name.escape_default()));
            let attributes: Attributes =
                node.attributes.map_or(Ok(Attributes::default()), |leaf| parse(&leaf)).map_err(bad)?;
            let raft: RaftAttributes = node
                .raft_attributes
                .map_or(Ok(RaftAttributes::default()), |leaf| parse(&leaf))
                .map_err(bad)?;
            members.push(SnapMember {
                id: id(&name)?,
                name: attributes.name.filter(|name| !name.is_empty()),
                peer_urls: raft.peer_urls.unwrap_or_default(),
                client_urls: attributes.client_urls.unwrap_or_default(),
                is_learner: raft.is_learner,
            });
        }
        members.sort_by_key(|member| member.id);
        let removed = nodes.removed_members.and_then(|dir| dir.children).unwrap_or_default();
        let mut removed = removed.keys().map(|name| id(name)).collect::<Result<Vec<MemberId>, _>>()?;
        removed.sort_unstable();
        Ok(Membership { members, removed, cluster_version: nodes.version.map(|leaf| leaf.value.into()) })
    }
}

fn parse<'de, T: Deserialize<'de>>(leaf: &'de Leaf) -> serde_json::Result<T> {
    serde_json::from_str(&leaf.value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raft::ConfState;

    fn snapshot() -> Snapshot {
        let conf_state = ConfState { voters: vec![1, 2, 3], auto_leave: Some(false), ..ConfState::default() };
        let metadata = SnapshotMetadata { conf_state: Some(conf_state), index: Some(1), term: Some(1) };
        Snapshot { data: Some(b"some snapshot".to_vec()), metadata: Some(metadata) }
    }

    #[test]
    fn what_is_encoded_decodes_to_the_same() {
        let bytes = SnapFile::encode(&snapshot());
        let file = SnapFile::decode(&bytes).unwrap();
        assert_eq!((file.index().get(), file.term().get()), (1, 1));
        assert_eq!(file.snapshot, snapshot());
        assert_eq!(SnapFile::encode(&file.snapshot), bytes);
    }

    #[test]
    fn the_name_has_the_term_first() {
        let name = SnapName { term: Term::new(2), index: RaftIndex::new(0x7a) };
        assert_eq!(name.to_string(), "0000000000000002-000000000000007a.snap");
        assert_eq!(SnapName::parse("0000000000000002-000000000000007a.snap"), Some(name));
        for bad in
            ["2-7a.snap", "0000000000000002-000000000000007a.snap.broken", "000000000000007a.snap.db", "db"]
        {
            assert_eq!(SnapName::parse(bad), None, "{bad}");
        }
        assert!(
            SnapName { term: Term::new(1), index: RaftIndex::new(9) }
                < SnapName { term: Term::new(2), index: RaftIndex::new(1) },
            "the newest has the highest term"
        );
    }

    #[test]
    fn a_wrong_checksum_an_empty_file_and_a_zero_checksum_are_told_apart() {
        let good = SnapFile::encode(&snapshot());
        let mut bad = good.clone();
        *bad.last_mut().unwrap() ^= 1;
        assert_eq!(SnapFile::decode(&bad).unwrap_err().code, Code::SnapCrc);
        assert_eq!(SnapFile::decode(&[]).unwrap_err().code, Code::SnapInvalid);
        assert_eq!(SnapFile::decode(&[0x08, 0x00, 0x12, 0x01, b'x']).unwrap_err().code, Code::SnapInvalid);
        assert_eq!(SnapFile::decode(&[0x08, 0x01]).unwrap_err().code, Code::SnapInvalid);
    }

    #[test]
    fn no_flipped_byte_and_no_truncation_is_taken_for_good() {
        let good = SnapFile::encode(&snapshot());
        for at in 0..good.len() {
            for mask in [1, 0x80, 0xff] {
                let mut bad = good.clone();
                bad[at] ^= mask;
                assert!(SnapFile::decode(&bad).is_err(), "byte {at} xor {mask}");
            }
            assert!(SnapFile::decode(&good[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn members_come_out_of_the_v2_store() {
        let json = br#"{"Root":{"Path":"/","Children":{"0":{"Children":{
            "members":{"Children":{"b":{"Children":{
                "attributes":{"Value":"{\"name\":\"n1\",\"clientURLs\":[\"http://c\"]}","Children":null},
                "raftAttributes":{"Value":"{\"peerURLs\":[\"http://p\"],\"isLearner\":true}","Children":null}}},
              "a":{"Children":{"raftAttributes":{"Value":"{\"peerURLs\":null}"}}}}},
            "removed_members":{"Children":{"ff":{"Path":"/0/removed_members/ff","Value":"","Children":null}}},
            "version":{"Value":"3.5.0","Children":null}}},
            "1":{"Children":{}}}},"CurrentIndex":4,"CurrentVersion":2}"#;
        let membership = Membership::from_v2(json).unwrap();
        assert_eq!(membership.members.iter().map(|m| m.id.get()).collect::<Vec<_>>(), [10, 11]);
        let member = &membership.members[1];
        assert_eq!((member.name.clone(), member.is_learner), (Some("n1".into()), true));
        assert_eq!(
            (&member.peer_urls[..], &member.client_urls[..]),
            (&["http://p".into()][..], &["http://c".into()][..])
        );
        assert_eq!(membership.removed, [MemberId::new(255)]);
        assert_eq!(membership.cluster_version, Some("3.5.0".into()));
    }

    #[test]
    fn the_keys_of_users_are_counted() {
        let of = |children: &str| {
            user_keys(
                format!(r#"{{"Root":{{"Children":{{"0":{{"Children":{{}}}},"1":{children}}}}}}}"#).as_bytes(),
            )
        };
        let key = r#"{"Path":"/1/a","Value":"v","Children":null}"#;
        assert_eq!(of(r#"{"Path":"/1","Children":{}}"#), Some(0));
        assert_eq!(
            of(&format!(
                r#"{{"Children":{{"a":{key},"d":{{"Children":{{"b":{key},"e":{{"Children":{{}}}}}}}}}}}}"#
            )),
            Some(2)
        );
        assert_eq!(user_keys(br#"{"Root":{"Children":{"0":{"Children":{}}}}}"#), Some(0));
        assert_eq!(user_keys(b"some snapshot"), None);
    }

    #[test]
    fn what_users_left_in_a_v2_store_is_told_from_what_etcd_keeps_there() {
        let of = |children: &str| {
            has_custom_content(
                format!(r#"{{"Root":{{"Children":{{"0":{{"Children":{{"a":{{}}}}}},{children}}}}}}}"#)
                    .as_bytes(),
            )
        };
        let leaf = r#"{"Path":"x","Value":"v","Children":null}"#;
        assert_eq!(of(r#""1":{"Path":"/1","Children":{}}"#), Some(false));
        assert_eq!(of(&format!(r#""1":{{"Children":{{"a":{leaf}}}}}"#)), Some(true));
        assert_eq!(of(r#""1":{"Children":{"empty":{"Children":{}}}}"#), Some(true));
        assert_eq!(of(&format!(r#""1":{{"Children":{{"_hidden":{leaf}}}}}"#)), Some(false));
        let auth = |roles: &str| {
            format!(r#""2":{{"Children":{{"enabled":{leaf},"roles":{{"Children":{roles}}}}}}}"#)
        };
        assert_eq!(of(&auth("{}")), Some(false));
        assert_eq!(of(&auth(&format!(r#"{{"guest":{leaf}}}"#))), Some(true));
        assert_eq!((has_custom_content(b"{}"), has_custom_content(b"some snapshot")), (None, None));
    }

    #[test]
    fn deep_user_content_does_not_hide_the_members() {
        let deep = format!("{}{}", "{\"x\":".repeat(5000), "1".to_owned() + &"}".repeat(5000));
        let json = format!(
            r#"{{"Root":{{"Children":{{"1":{deep},"0":{{"Children":{{"version":{{"Value":"3.4.0"}}}}}}}}}}}}"#
        );
        assert_eq!(Membership::from_v2(json.as_bytes()).unwrap().cluster_version, Some("3.4.0".into()));
        assert!(Membership::from_v2(b"some snapshot").is_err());
        assert_eq!(Membership::from_v2(b"{}").unwrap(), Membership::default());
    }
}
