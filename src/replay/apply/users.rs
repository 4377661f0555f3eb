//! Requests about users and roles.
//!
//! Source: `server/auth/store.go` @ v3.6, `auth/store.go` @ v3.4.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use prost::Message;

use crate::etcd::auth::{Permission, Role, User, UserOptions};
use crate::etcd::request;
use crate::etcd::schema::Minor;
use crate::replay::apply::auth::{ROOT, count, enabled, is_root, put_user, role, user};
use crate::replay::apply::version::{Holds, Version};
use crate::replay::apply::{Done, Replayer};
use crate::words::finding::{Code, Severity};
use crate::words::text::show_bytes;

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
    fn password(&mut self, version: Version, plain: &[u8], hashed: &[u8]) -> Result<Option<Vec<u8>>, ()> {
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
        put_user(&mut self.buckets, &User { name: r.name.clone(), password, roles: Vec::new(), options });
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
        user.name = r.name.clone();
        put_user(&mut self.buckets, &user);
        self.counted()
    }

    pub(super) fn user_delete(&mut self, name: &[u8]) -> Done {
        if enabled(&self.buckets) && name == ROOT {
            return Done::Rejected("root cannot be deleted while auth is enabled");
        }
        if user(&self.buckets, name).is_none() {
            return Done::Rejected("the user does not exist");
        }
        self.buckets.delete("authUsers", name);
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

    pub(super) fn role_add(&mut self, name: &[u8]) -> Done {
        if name.is_empty() || role(&self.buckets, name).is_some() {
            return Done::Rejected("the role exists, or has no name");
        }
        let role = Role { name: name.to_vec(), key_permission: Vec::new() };
        self.buckets.put("authRoles", name, role.encode_to_vec());
        self.counted()
    }

    pub(super) fn role_delete(&mut self, name: &[u8]) -> Done {
        if enabled(&self.buckets) && name == ROOT {
            return Done::Rejected("role root cannot be deleted while auth is enabled");
        }
        if role(&self.buckets, name).is_none() {
            return Done::Rejected("the role does not exist");
        }
        self.buckets.delete("authRoles", name);
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
                        show_bytes(&r.name)
                    );
                    self.say(Code::ReplayVersion, Severity::Warning, what);
                }
            }
        }
        self.buckets.put("authRoles", &r.name, role.encode_to_vec());
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
        self.buckets.put("authRoles", &r.role, role.encode_to_vec());
        self.counted()
    }
}
