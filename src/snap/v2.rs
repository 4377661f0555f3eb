//! The v2 store of a new cluster, as the raft snapshot of a restored member holds it.
//!
//! ```text
//! { Root { Path, CreatedIndex, ModifiedIndex, ExpireTime, Value, Children { 0 { members { ID { raftAttributes }}}, 1 {}}},
//!   WatcherHub { EventHistory { Queue { Events [1000 slots], Size, Front, Back, Capacity }, StartIndex, LastIndex }},
//!   CurrentIndex, Stats, CurrentVersion 2 }
//! ```
//!
//! One event and one index for each member. etcd 3.4 and 3.5 create the members in ascending order of their ids, as
//! we do always; 3.6 and 3.7 in the random order of a Go map, so that two runs differ. Source:
//! `server/etcdserver/api/v2store` @ v3.5, `GetMembershipInfoInV2Format` @ v3.6.

use std::fmt::Write;

use serde_json::Value;

use crate::codec::json::{quote, strings};
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;
use crate::words::ids::MemberId;

/// Slots for events (`watcherHub` of `v2store.newStore`).
const EVENTS: usize = 1000;

/// A member of a new cluster.
#[derive(Debug, Clone)]
pub struct V2Member<'m> {
    /// Its id.
    pub id: MemberId,
    /// Where the other members reach it.
    pub peer_urls: Vec<&'m str>,
    /// Whether it only learns.
    pub learner: bool,
}

/// The JSON of a store that knows these members, in ascending order of their ids, and the version that they agreed
/// on, if they have: 3.4 lets nobody join who does not find it here. Who was `removed` is told so when it comes back,
/// by 3.4 and 3.5. `gets_fail` is what the counter of that name says: 0 up to 3.5, 1 from 3.6 on.
#[must_use]
pub fn store<'m>(
    members: impl Iterator<Item = V2Member<'m>>,
    removed: &[MemberId],
    version: Option<&str>,
    gets_fail: u64,
) -> String {
    let (mut children, mut events, mut count) = (Vec::new(), Vec::new(), 0usize);
    for V2Member { id, peer_urls, learner } in members {
        count = count.saturating_add(1);
        let path = format!("/0/members/{id}");
        let attributes = format!("{path}/raftAttributes");
        let learner = if learner { ",\"isLearner\":true" } else { "" };
        let value = quote(&format!("{{\"peerURLs\":{}{learner}}}", strings(peer_urls)));
        let leaf = node(&attributes, count, &value, None);
        children.push(format!(
            "\"{id}\":{}",
            node(&path, count, "\"\"", Some(&format!("\"raftAttributes\":{leaf}")))
        ));
        events.push(format!(
            "{{\"action\":\"create\",\"node\":{{\"key\":\"{attributes}\",\"value\":{value},\"modifiedIndex\":{count},\"createdIndex\":{count}}}}}"
        ));
    }
    // Go writes maps in the order of their keys, and those are text.
    children.sort();
    let slots = events.len().max(EVENTS);
    events.resize(slots, "null".to_owned());
    let members = node("/0/members", 1, "\"\"", Some(&children.join(",")));
    let version = version.map_or_else(String::new, |version| {
        format!(",\"version\":{}", node("/0/version", count, &quote(version), None))
    });
    let removed = removed_members(removed, count);
    let cluster = node("/0", 0, "\"\"", Some(&format!("\"members\":{members}{removed}{version}")));
    let users = node("/1", 0, "\"\"", Some(""));
    let root = node("/", 0, "\"\"", Some(&format!("\"0\":{cluster},\"1\":{users}")));
    let mut out = format!(
        "{{\"Root\":{root},\"WatcherHub\":{{\"EventHistory\":{{\"Queue\":{{\"Events\":[{}],",
        events.join(",")
    );
    // A String takes everything.
    let _ = write!(
        out,
        "\"Size\":{count},\"Front\":0,\"Back\":{count},\"Capacity\":{EVENTS}}},\"StartIndex\":1,\"LastIndex\":{count}}}}},\
         \"CurrentIndex\":{count},\"Stats\":{{\"getsSuccess\":0,\"getsFail\":{gets_fail},\"setsSuccess\":0,\"setsFail\":0,\
         \"deleteSuccess\":0,\"deleteFail\":0,\"updateSuccess\":0,\"updateFail\":0,\"createSuccess\":{count},\"createFail\":0,\
         \"compareAndSwapSuccess\":0,\"compareAndSwapFail\":0,\"compareAndDeleteSuccess\":0,\"compareAndDeleteFail\":0,\
         \"expireCount\":0,\"watchers\":0}},\"CurrentVersion\":2}}"
    );
    out
}

/// The JSON of the same store with this one member in the place of all that it has (`PushMembershipToStorage` @ v3.5).
///
/// # Errors
/// `snap-invalid` when it is no v2 store, or nests too deep to be changed.
pub fn with_member(json: &[u8], member: &V2Member<'_>) -> Result<Vec<u8>, Box<Corrupt>> {
    let invalid = |what: String| Corrupt::new(Code::SnapInvalid, At::default(), what);
    let not_one = |error| invalid(format!("the v2 store in it cannot be changed: {error}"));
    let mut changed: Value = serde_json::from_slice(json).map_err(not_one)?;
    let index = changed.get("CurrentIndex").and_then(Value::as_u64);
    let cluster = changed.pointer_mut("/Root/Children/0/Children").and_then(Value::as_object_mut);
    let (Some(index), Some(cluster)) = (index, cluster) else {
        return Err(invalid("the v2 store in it has no cluster".to_owned()));
    };
    let index = index.saturating_add(1);
    let one = V2Member { peer_urls: member.peer_urls.clone(), ..*member };
    let mut alone: Value = serde_json::from_str(&store([one].into_iter(), &[], None, 0)).map_err(not_one)?;
    let mut members =
        alone.pointer_mut("/Root/Children/0/Children/members").map(Value::take).unwrap_or_default();
    let path = format!("/Children/{}", member.id);
    for below in ["", &path, &format!("{path}/Children/raftAttributes")] {
        if let Some(node) = members.pointer_mut(below).and_then(Value::as_object_mut) {
            node.insert("CreatedIndex".to_owned(), index.into());
            node.insert("ModifiedIndex".to_owned(), index.into());
        }
    }
    cluster.insert("members".to_owned(), members);
    cluster.remove("removed_members");
    if let Some(current) = changed.get_mut("CurrentIndex") {
        *current = index.into();
    }
    serde_json::to_vec(&changed).map_err(not_one)
}

/// The members that left, each a leaf without a value; nothing where none did.
fn removed_members(removed: &[MemberId], index: usize) -> String {
    if removed.is_empty() {
        return String::new();
    }
    let path = "/0/removed_members";
    let leaf = |id: &MemberId| format!("\"{id}\":{}", node(&format!("{path}/{id}"), index, "\"\"", None));
    let mut leaves: Vec<String> = removed.iter().map(leaf).collect();
    leaves.sort();
    format!(",\"removed_members\":{}", node(path, index, "\"\"", Some(&leaves.join(","))))
}

/// A node: a directory, or a leaf, which has no children.
fn node(path: &str, index: usize, value: &str, children: Option<&str>) -> String {
    let children = children.map_or("null".to_owned(), |inside| format!("{{{inside}}}"));
    format!(
        "{{\"Path\":\"{path}\",\"CreatedIndex\":{index},\"ModifiedIndex\":{index},\"ExpireTime\":\"0001-01-01T00:00:00Z\",\
         \"Value\":{value},\"Children\":{children}}}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::snap::file::Membership;

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(16))]
        #[test]
        fn the_members_are_read_back(
            members in proptest::collection::btree_map(
                0u64.., (proptest::collection::vec(".{0,9}", 0..3), proptest::bool::ANY), 1..6
            ),
        ) {
            let new = members.iter().map(|(id, (urls, learner))| {
                let peer_urls = urls.iter().map(String::as_str).collect();
                V2Member { id: MemberId::new(*id), peer_urls, learner: *learner }
            });
            let removed = [MemberId::new(77), MemberId::new(8)];
            let json = store(new, &removed, Some("3.4.0"), 0);
            let read = Membership::from_v2(json.as_bytes()).unwrap();
            proptest::prop_assert_eq!(&read.removed, &[MemberId::new(8), MemberId::new(77)]);
            let member = |m: crate::snap::file::SnapMember| {
                let urls: Vec<String> = m.peer_urls.iter().map(|url| url.raw().to_owned()).collect();
                (m.id.get(), (urls, m.is_learner))
            };
            let mut read: Vec<_> = read.members.into_iter().map(member).collect();
            read.sort();
            proptest::prop_assert_eq!(read, members.into_iter().collect::<Vec<_>>());
        }
    }

    #[test]
    fn one_member_takes_the_place_of_all_and_what_users_have_stays() {
        let member = |id, url| V2Member { id: MemberId::new(id), peer_urls: vec![url], learner: false };
        let json = store(
            [member(1, "http://a"), member(2, "http://b")].into_iter(),
            &[MemberId::new(3)],
            Some("3.5.0"),
            0,
        );
        let users = r#""1":{"Path":"/1","CreatedIndex":0,"Children":{"key":{"Path":"/1/key","Value":"v"}}}"#;
        let empty = node("/1", 0, "\"\"", Some(""));
        let json = json.replace(&format!("\"1\":{empty}"), users);
        let changed = with_member(json.as_bytes(), &member(9, "http://c")).unwrap();
        let read = Membership::from_v2(&changed).unwrap();
        assert_eq!(read.members.iter().map(|m| m.id.get()).collect::<Vec<_>>(), [9]);
        assert_eq!(read.members[0].peer_urls, ["http://c"]);
        assert_eq!((read.removed, read.cluster_version), (vec![], Some("3.5.0".into())));
        let text = String::from_utf8(changed).unwrap();
        assert!(text.contains(users) && text.contains("\"CurrentIndex\":3,"), "{text}");
        assert_eq!(with_member(b"{}", &member(9, "http://c")).unwrap_err().code, Code::SnapInvalid);
        let deep = format!("{}1{}", "{\"x\":".repeat(5000), "}".repeat(5000));
        assert_eq!(with_member(deep.as_bytes(), &member(9, "http://c")).unwrap_err().code, Code::SnapInvalid);
    }
}
