//! Users, roles, and what they permit, while a log is applied.
//!
//! Source: `server/auth/{store,range_perm_cache}.go`, `pkg/adt/interval_tree.go` @ v3.6, `auth/store.go` @ v3.4.

use std::cmp::Ordering;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;

use crate::etcd::auth::{Permission, PermissionType, Role, User, UserOptions};
use crate::etcd::request::{self, InternalRaftRequest};
use crate::etcd::schema::Minor;
use crate::replay::apply::buckets::Buckets;
use crate::replay::apply::version::{Holds, Version};
use crate::replay::apply::{Done, Replayer};
use crate::words::finding::{Code, Severity};

const ROOT: &str = "root";

/// Who asks: the header of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Who {
    pub user: String,
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
fn count(buckets: &mut Buckets) {
    let next = revision(buckets).wrapping_add(1);
    buckets.put("auth", b"authRevision", next.to_be_bytes().to_vec());
}

pub(super) fn first_count(buckets: &mut Buckets) {
    if revision(buckets) == 0 {
        count(buckets);
    }
}

fn user(buckets: &Buckets, name: &str) -> Option<User> {
    User::decode(buckets.get("authUsers", name.as_bytes())?).ok()
}

fn role(buckets: &Buckets, name: &str) -> Option<Role> {
    Role::decode(buckets.get("authRoles", name.as_bytes())?).ok()
}

fn put_user(buckets: &mut Buckets, user: &User) {
    buckets.put("authUsers", &user.name, user.encode_to_vec());
}

fn is_root(user: &User) -> bool {
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

impl Replayer<'_, '_> {
    pub(super) fn auth_enable(&mut self) -> Done {
        if enabled(&self.buckets) {
            return Done::Rejected("auth is enabled already");
        }
        if !user(&self.buckets, ROOT).is_some_and(|user| is_root(&user)) {
            return Done::Rejected("there is no user root with the role root");
        }
        self.buckets.put("auth", b"authEnabled", vec![1]);
        Done::Applied
    }

    pub(super) fn auth_disable(&mut self) -> Done {
        if !enabled(&self.buckets) {
            return Done::Rejected("auth is not enabled");
        }
        self.buckets.put("auth", b"authEnabled", vec![0]);
        self.counted()
    }

    fn counted(&mut self) -> Done {
        count(&mut self.buckets);
        Done::Applied
    }

    /// The hash of a password. Up to 3.4 every member makes its own when it applies the request, with a salt that it
    /// draws: `None`.
    fn password(&mut self, version: Version, plain: &str, hashed: &str) -> Result<Option<Vec<u8>>, ()> {
        if version.minor == Minor::V34 || (!plain.is_empty() && hashed.is_empty()) {
            return Ok(None);
        }
        BASE64_STANDARD.decode(hashed).map(Some).map_err(|_| ())
    }

    pub(super) fn user_add(&mut self, r: &request::AuthUserAddRequest) -> Done {
        if r.name.is_empty() || user(&self.buckets, &r.name).is_some() {
            return Done::Rejected("the user exists, or has no name");
        }
        let no_password = r.options.as_ref().is_some_and(|options| options.no_password);
        let password = if no_password {
            Ok(Some(Vec::new()))
        } else {
            self.password(self.version, &r.password, &r.hashed_password)
        };
        let Ok(password) = password else { return Done::Rejected("the password does not decode") };
        let password = password.unwrap_or_else(|| self.own_hash(&r.name, &r.password));
        let options = Some(UserOptions { no_password });
        put_user(
            &mut self.buckets,
            &User { name: r.name.clone().into_bytes(), password, roles: Vec::new(), options },
        );
        self.counted()
    }

    pub(super) fn user_change_password(&mut self, r: &request::AuthUserChangePasswordRequest) -> Done {
        let Some(mut user) = user(&self.buckets, &r.name) else {
            return Done::Rejected("the user does not exist");
        };
        let no_password = self.version.minor > Minor::V34
            && user.options.as_ref().is_some_and(|options| options.no_password);
        let password = if no_password {
            Ok(Some(Vec::new()))
        } else {
            self.password(self.version, &r.password, &r.hashed_password)
        };
        let Ok(password) = password else { return Done::Rejected("the password does not decode") };
        user.password = password.unwrap_or_else(|| self.own_hash(&r.name, &r.password));
        user.name = r.name.clone().into_bytes();
        put_user(&mut self.buckets, &user);
        self.counted()
    }

    pub(super) fn user_delete(&mut self, name: &str) -> Done {
        if enabled(&self.buckets) && name == ROOT {
            return Done::Rejected("root cannot be deleted while auth is enabled");
        }
        if user(&self.buckets, name).is_none() {
            return Done::Rejected("the user does not exist");
        }
        self.buckets.delete("authUsers", name.as_bytes());
        self.counted()
    }

    pub(super) fn user_grant_role(&mut self, r: &request::AuthUserGrantRoleRequest) -> Done {
        let Some(mut user) = user(&self.buckets, &r.user) else {
            return Done::Rejected("the user does not exist");
        };
        if r.role != ROOT && role(&self.buckets, &r.role).is_none() {
            return Done::Rejected("the role does not exist");
        }
        if user.roles.contains(&r.role) {
            return Done::Rejected("the user has the role already");
        }
        user.roles.push(r.role.clone());
        user.roles.sort();
        put_user(&mut self.buckets, &user);
        self.counted()
    }

    pub(super) fn user_revoke_role(&mut self, r: &request::AuthUserRevokeRoleRequest) -> Done {
        if enabled(&self.buckets) && r.name == ROOT && r.role == ROOT {
            return Done::Rejected("root keeps its role while auth is enabled");
        }
        let Some(mut user) = user(&self.buckets, &r.name) else {
            return Done::Rejected("the user does not exist");
        };
        if !user.roles.contains(&r.role) {
            return Done::Rejected("the user does not have the role");
        }
        user.roles.retain(|role| *role != r.role);
        put_user(&mut self.buckets, &user);
        self.counted()
    }

    pub(super) fn role_add(&mut self, name: &str) -> Done {
        if name.is_empty() || role(&self.buckets, name).is_some() {
            return Done::Rejected("the role exists, or has no name");
        }
        let role = Role { name: name.as_bytes().to_vec(), key_permission: Vec::new() };
        self.buckets.put("authRoles", name.as_bytes(), role.encode_to_vec());
        self.counted()
    }

    pub(super) fn role_delete(&mut self, name: &str) -> Done {
        if enabled(&self.buckets) && name == ROOT {
            return Done::Rejected("role root cannot be deleted while auth is enabled");
        }
        if role(&self.buckets, name).is_none() {
            return Done::Rejected("the role does not exist");
        }
        self.buckets.delete("authRoles", name.as_bytes());
        let users: Vec<User> =
            self.buckets.all("authUsers").filter_map(|(_, value)| User::decode(value).ok()).collect();
        for mut user in users.into_iter().filter(|user| user.roles.iter().any(|role| role == name)) {
            user.roles.retain(|role| role != name);
            put_user(&mut self.buckets, &user);
        }
        self.counted()
    }

    pub(super) fn role_grant_permission(&mut self, r: &request::AuthRoleGrantPermissionRequest) -> Done {
        let Some(permission) = &r.perm else { return Done::Rejected("no permission is given") };
        let (key, end) = (permission.key.as_slice(), permission.range_end.as_slice());
        if key.is_empty() || !(end.is_empty() || key < end || end == [0]) {
            match self.version.permission_ranges_are_checked() {
                Holds::Yes => return Done::Rejected("the permission's range cannot be"),
                Holds::No => {}
                Holds::Since(patch) => {
                    self.depends(
                        patch,
                        "refuses a permission whose range cannot be, and older ones grant it",
                    );
                    return Done::Rejected("the permission's range cannot be");
                }
            }
        }
        let Some(mut role) = role(&self.buckets, &r.name) else {
            return Done::Rejected("the role does not exist");
        };
        let all = &mut role.key_permission;
        let first = all.partition_point(|p| p.key.as_slice() < key);
        match all.get_mut(first) {
            Some(there) if there.key == key && there.range_end == end => {
                there.perm_type = permission.perm_type
            }
            _ => {
                all.push(Permission {
                    perm_type: permission.perm_type,
                    key: key.to_vec(),
                    range_end: end.to_vec(),
                });
                all.sort_by(|a, b| a.key.cmp(&b.key));
                let distinct = all.is_sorted_by(|a, b| a.key < b.key);
                // Up to 12 elements `sort.Sort` is an insertion sort, which keeps equal keys in order. Before Go
                // 1.19, of which no etcd 3.6 is built, a pass goes before it that swaps elements six apart.
                let most = if self.version.minor < Minor::V36 { 6 } else { 12 };
                if !distinct && all.len() > most {
                    let what = format!(
                        "role {} has several permissions of one key and more than {most}: in which order etcd keeps them depends on the Go it was built with",
                        r.name
                    );
                    self.say(Code::ReplayVersion, Severity::Warning, what);
                }
            }
        }
        self.buckets.put("authRoles", r.name.as_bytes(), role.encode_to_vec());
        self.counted()
    }

    pub(super) fn role_revoke_permission(&mut self, r: &request::AuthRoleRevokePermissionRequest) -> Done {
        let Some(mut role) = role(&self.buckets, &r.role) else {
            return Done::Rejected("the role does not exist");
        };
        let before = role.key_permission.len();
        role.key_permission.retain(|p| p.key != r.key || p.range_end != r.range_end);
        if role.key_permission.len() == before {
            return Done::Rejected("the role does not have the permission");
        }
        self.buckets.put("authRoles", r.role.as_bytes(), role.encode_to_vec());
        self.counted()
    }
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
