//! Who may do what, by the users and roles that the log has made so far.
//!
//! Source: `server/auth/{store,range_perm_cache}.go`, `pkg/adt/interval_tree.go` @ v3.6, `auth/store.go` @ v3.4.

use std::cmp::Ordering;

use prost::Message;

use crate::etcd::auth::{Permission, PermissionType, Role, User};
use crate::etcd::request::InternalRaftRequest;
use crate::replay::apply::buckets::Buckets;

pub(super) const ROOT: &[u8] = b"root";

/// Who asks: the header of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Who {
    pub user: Vec<u8>,
    pub revision: u64,
}

impl Who {
    pub fn of(request: &InternalRaftRequest) -> Who {
        let header = request.header.as_ref();
        header.map_or_else(Who::default, |header| Who {
            user: header.username.clone(),
            revision: header.auth_revision,
        })
    }
}

/// Reading or writing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Need {
    Read,
    Write,
}

pub(super) fn enabled(buckets: &Buckets) -> bool {
    buckets.get("auth", b"authEnabled") == Some(&[1])
}

fn revision(buckets: &Buckets) -> u64 {
    buckets.number("auth", b"authRevision")
}

/// etcd counts every change; a store that was never counted begins with 1 when etcd starts.
pub(super) fn count(buckets: &mut Buckets) {
    let next = revision(buckets).wrapping_add(1);
    buckets.put("auth", b"authRevision", next.to_be_bytes().to_vec());
}

pub(super) fn first_count(buckets: &mut Buckets) {
    if revision(buckets) == 0 {
        count(buckets);
    }
}

pub(super) fn user(buckets: &Buckets, name: &[u8]) -> Option<User> {
    User::decode(buckets.get("authUsers", name)?).ok()
}

pub(super) fn role(buckets: &Buckets, name: &[u8]) -> Option<Role> {
    Role::decode(buckets.get("authRoles", name)?).ok()
}

pub(super) fn put_user(buckets: &mut Buckets, user: &User) {
    buckets.put("authUsers", &user.name, user.encode_to_vec());
}

pub(super) fn is_root(user: &User) -> bool {
    user.roles.iter().any(|role| role == ROOT)
}

/// Whether whoever asks may change users and roles (`IsAdminPermitted`).
pub(super) fn is_admin(buckets: &Buckets, who: &Who) -> bool {
    !enabled(buckets) || user(buckets, &who.user).is_some_and(|user| is_root(&user))
}

/// Whether whoever asks may do it with these keys (`isOpPermitted`).
pub(super) fn permits(buckets: &Buckets, who: &Who, key: &[u8], range_end: &[u8], need: Need) -> bool {
    if !enabled(buckets) {
        return true;
    }
    if who.revision == 0 || who.revision < revision(buckets) {
        return false;
    }
    user(buckets, &who.user)
        .is_some_and(|user| is_root(&user) || Permitted::of(buckets, &user, need).holds(key, range_end))
}

/// A bound of an interval: an empty one is greater than all (`BytesAffineComparable`).
fn compare(a: &[u8], b: &[u8]) -> Ordering {
    a.is_empty().cmp(&b.is_empty()).then_with(|| a.cmp(b))
}

fn point(key: &[u8]) -> (Vec<u8>, Vec<u8>) {
    (key.to_vec(), [key, b"\0"].concat())
}

fn interval(key: &[u8], range_end: &[u8]) -> (Vec<u8>, Vec<u8>) {
    match range_end {
        [] => point(key),
        [0] => (key.to_vec(), Vec::new()),
        end => (key.to_vec(), end.to_vec()),
    }
}

/// The intervals that a user's roles permit, by their beginnings.
struct Permitted(Vec<(Vec<u8>, Vec<u8>)>);

impl Permitted {
    fn of(buckets: &Buckets, user: &User, need: Need) -> Permitted {
        let wanted = if need == Need::Read { PermissionType::Read } else { PermissionType::Write };
        let permits = |permission: &&Permission| {
            PermissionType::try_from(permission.perm_type)
                .is_ok_and(|kind| kind == wanted || kind == PermissionType::ReadWrite)
        };
        let roles = user.roles.iter().filter_map(|name| role(buckets, name));
        let mut all: Vec<_> = roles
            .flat_map(|role| {
                role.key_permission
                    .iter()
                    .filter(permits)
                    .map(|p| interval(&p.key, &p.range_end))
                    .collect::<Vec<_>>()
            })
            .collect();
        all.sort_by(|a, b| compare(&a.0, &b.0).then_with(|| compare(&a.1, &b.1)));
        Permitted(all)
    }

    /// One key lies in an interval; a range is covered by them together.
    fn holds(&self, key: &[u8], range_end: &[u8]) -> bool {
        let (begin, end) = interval(key, range_end);
        let mut meeting = self.0.iter().filter(|(b, e)| {
            let before = compare(&begin, b).is_lt() && compare(&end, b).is_le();
            !before && compare(&begin, e).is_lt()
        });
        let Some((first, mut reach)) = meeting.next().cloned() else { return false };
        if range_end.is_empty() {
            return true;
        }
        for (b, e) in meeting {
            if compare(&reach, b).is_lt() {
                break;
            }
            if compare(e, &reach).is_gt() {
                reach.clone_from(e);
            }
        }
        compare(&reach, &end).is_ge() && compare(&first, &begin).is_le()
    }
}

/// Whether a request is one that only an administrator may make (`needAdminPermission`); those that only read are
/// left out.
pub(super) fn needs_admin(r: &InternalRaftRequest) -> bool {
    r.auth_enable.is_some()
        || r.auth_disable.is_some()
        || r.auth_user_add.is_some()
        || r.auth_user_delete.is_some()
        || r.auth_user_change_password.is_some()
        || r.auth_user_grant_role.is_some()
        || r.auth_user_revoke_role.is_some()
        || r.auth_role_add.is_some()
        || r.auth_role_delete.is_some()
        || r.auth_role_grant_permission.is_some()
        || r.auth_role_revoke_permission.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn permitted(ranges: &[(&str, &str)]) -> Permitted {
        let mut all: Vec<_> =
            ranges.iter().map(|(key, end)| interval(key.as_bytes(), end.as_bytes())).collect();
        all.sort_by(|a, b| compare(&a.0, &b.0).then_with(|| compare(&a.1, &b.1)));
        Permitted(all)
    }

    #[test]
    fn a_range_is_permitted_if_the_intervals_cover_it_together() {
        let all = permitted(&[("a", "c"), ("c", "e"), ("k", ""), ("x", "\0")]);
        let holds = |key: &str, end: &str| all.holds(key.as_bytes(), end.as_bytes());
        assert!(holds("a", "") && holds("b", "") && holds("k", "") && holds("zz", ""));
        assert!(holds("a", "e") && holds("b", "d") && holds("x", "\0") && holds("y", "z"));
        assert!(!holds("e", "") && !holds("ka", "") && !holds("A", ""));
        assert!(!holds("a", "f") && !holds("a", "\0") && !holds("k", "l") && !holds("w", "\0"));
        assert!(holds("k", "k\0"));
    }
}
