//! A mixed load, drawn from a seed: everything that a log can hold.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use crate::cluster::{Client, Member};
use support::history::{Rng, number};

fn b64(text: &str) -> String {
    BASE64_STANDARD.encode(text)
}

/// What all connections share.
#[derive(Default)]
pub struct Shared {
    pub stop: AtomicBool,
    /// Requests that the server took.
    pub done: AtomicU64,
    /// The last revision that an answer named.
    pub revision: AtomicU64,
    /// A learner that may be removed.
    pub learner: AtomicU64,
}

/// What one connection asks for.
pub struct Load<'s> {
    pub client: Client,
    pub rng: Rng,
    pub shared: &'s Shared,
    /// Whether it also changes users, roles, alarms.
    pub admin: bool,
    pub users: bool,
    pub members: bool,
    /// A part of the leases' numbers that is this connection's own.
    pub base: i64,
    pub leases: Vec<i64>,
}

impl Load<'_> {
    /// Asks until it is to stop or the server is gone.
    pub fn run(mut self) {
        let mut failures = 0;
        while !self.shared.stop.load(Ordering::Relaxed) && failures < 20 {
            let (path, body) = self.next();
            match self.client.post(path, &body) {
                Ok((200, answer)) => {
                    failures = 0;
                    self.shared.done.fetch_add(1, Ordering::Relaxed);
                    if path == "cluster/member/add" {
                        let id = answer["member"]["ID"].as_str().and_then(|id| id.parse().ok());
                        self.shared.learner.store(id.unwrap_or(1), Ordering::Relaxed);
                    }
                    self.shared.revision.fetch_max(
                        u64::try_from(number(&answer["header"]["revision"])).unwrap(),
                        Ordering::Relaxed,
                    );
                }
                Ok((_, answer)) => {
                    failures = 0;
                    let why = answer.to_string();
                    if why.contains("token")
                        || why.contains("revision") && why.contains("old")
                        || why.contains("user name is empty")
                    {
                        let name = if self.admin {
                            "root"
                        } else {
                            ["root", "u1", "u2"][usize::try_from(self.rng.between(0, 2)).unwrap()]
                        };
                        self.client.login(name);
                    }
                }
                Err(_) => failures += 1,
            }
        }
    }

    fn key(&mut self) -> String {
        match self.rng.between(0, 9) {
            0 => format!("a/{}", self.rng.between(0, 9)),
            1 => format!("b/{}", self.rng.between(0, 9)),
            _ => format!("k/{:03}", self.rng.between(0, 199)),
        }
    }

    fn value(&mut self) -> String {
        let len =
            if self.rng.between(0, 49) == 0 { self.rng.between(1000, 9000) } else { self.rng.between(0, 60) };
        (0..len).map(|_| char::from(b'a' + u8::try_from(self.rng.between(0, 25)).unwrap())).collect()
    }

    fn lease(&mut self) -> i64 {
        let some = i64::try_from(self.leases.len()).unwrap();
        // One that is there, that was there, or that never was.
        if some > 0 { self.leases[usize::try_from(self.rng.between(0, some - 1)).unwrap()] } else { 99 }
    }

    fn put(&mut self) -> Value {
        let key = self.key();
        let mut put = json!({"key": b64(&key)});
        match self.rng.between(0, 11) {
            0 => put["ignore_value"] = json!(true),
            1 => {
                put["ignore_lease"] = json!(true);
                put["value"] = json!(b64(&self.value()));
            }
            2..=4 => {
                put["lease"] = json!(self.lease().to_string());
                put["value"] = json!(b64(&self.value()));
            }
            _ => put["value"] = json!(b64(&self.value())),
        }
        if self.rng.between(0, 9) == 0 {
            put["prev_kv"] = json!(true);
        }
        put
    }

    fn delete(&mut self) -> Value {
        let key = self.key();
        match self.rng.between(0, 9) {
            0 => json!({"key": b64(&key), "range_end": b64(&format!("{key}~"))}),
            1 => json!({"key": b64("k/19"), "range_end": b64("k/2"), "prev_kv": true}),
            2 => json!({"key": b64("k/198"), "range_end": "AA=="}),
            _ => json!({"key": b64(&key)}),
        }
    }

    fn compare(&mut self) -> Value {
        let result =
            ["EQUAL", "GREATER", "LESS", "NOT_EQUAL"][usize::try_from(self.rng.between(0, 3)).unwrap()];
        let mut compare = json!({"key": b64(&self.key()), "result": result});
        let revision = i64::try_from(self.shared.revision.load(Ordering::Relaxed)).unwrap();
        match self.rng.between(0, 5) {
            0 => {
                (compare["target"], compare["version"]) =
                    (json!("VERSION"), json!(self.rng.between(0, 3).to_string()))
            }
            1 => {
                (compare["target"], compare["create_revision"]) =
                    (json!("CREATE"), json!(self.rng.between(0, revision).to_string()))
            }
            2 => {
                (compare["target"], compare["mod_revision"]) =
                    (json!("MOD"), json!(self.rng.between(revision / 2, revision).to_string()))
            }
            3 => (compare["target"], compare["value"]) = (json!("VALUE"), json!(b64(&self.value()))),
            4 => (compare["target"], compare["lease"]) = (json!("LEASE"), json!("0")),
            _ => {
                (compare["target"], compare["version"]) = (json!("VERSION"), json!("0"));
                compare["range_end"] = json!(b64("k/1"));
            }
        }
        compare
    }

    /// `depth` more levels may be nested. etcd refuses two puts of one key, so each has a number of its own.
    fn txn(&mut self, depth: i64, prefix: &str) -> Value {
        let compares: Vec<Value> = (0..self.rng.between(0, 2)).map(|_| self.compare()).collect();
        let mut branch = |name: &str| -> Vec<Value> {
            let count = self.rng.between(0, 4);
            (0..count)
                .map(|at| {
                    let own = format!("{prefix}{name}{at}");
                    match self.rng.between(0, 9) {
                        0 if depth > 0 => json!({"request_txn": self.txn(depth - 1, &own)}),
                        1 => json!({"request_delete_range": {"key": b64(&format!("t/{own}")), "range_end": b64(&format!("t/{own}~"))}}),
                        2 => json!({"request_delete_range": {"key": b64(&format!("k/{:03}", self.rng.between(0, 199)))}}),
                        3 => {
                            let revision = i64::try_from(self.shared.revision.load(Ordering::Relaxed)).unwrap();
                            let revision = if self.rng.between(0, 2) > 0 { 0 } else { self.rng.between(0, revision + 3) };
                            json!({"request_range": {"key": b64(&self.key()), "revision": revision.to_string()}})
                        }
                        4 => json!({"request_put": {"key": b64(&format!("t/{own}")), "value": b64(&self.value()), "lease": self.lease().to_string()}}),
                        5 => json!({"request_put": {"key": b64(&format!("t/{own}")), "ignore_value": true}}),
                        _ => json!({"request_put": {"key": b64(&format!("t/{own}")), "value": b64(&self.value())}}),
                    }
                })
                .collect()
        };
        let (success, failure) = (branch("s"), branch("f"));
        json!({"compare": compares, "success": success, "failure": failure})
    }

    fn next(&mut self) -> (&'static str, Value) {
        if self.admin && self.rng.between(0, 2) == 0 {
            return self.change();
        }
        match self.rng.between(0, 99) {
            0..=49 => ("kv/put", self.put()),
            50..=64 => ("kv/deleterange", self.delete()),
            65..=84 => ("kv/txn", self.txn(3, "")),
            85..=91 => {
                let id = self.base + self.rng.between(1, 40);
                self.leases.push(id);
                ("lease/grant", json!({"TTL": self.rng.between(600, 9000).to_string(), "ID": id.to_string()}))
            }
            92..=95 => ("lease/revoke", json!({"ID": self.lease().to_string()})),
            96 if self.rng.between(0, 9) == 0 => {
                let revision = i64::try_from(self.shared.revision.load(Ordering::Relaxed)).unwrap();
                (
                    "kv/compaction",
                    json!({"revision": self.rng.between(revision - revision / 20, revision).to_string()}),
                )
            }
            _ => ("kv/range", json!({"key": b64(&self.key())})),
        }
    }

    /// Users, roles, alarms, members.
    fn change(&mut self) -> (&'static str, Value) {
        let user = ["u1", "u2", "u3"][usize::try_from(self.rng.between(0, 2)).unwrap()];
        let role = ["r1", "r2"][usize::try_from(self.rng.between(0, 1)).unwrap()];
        let member = self.rng.between(1, 2).to_string();
        let range = match self.rng.between(0, 4) {
            0 => json!({"permType": "READWRITE", "key": b64("k/"), "range_end": b64("k0")}),
            1 => json!({"permType": "WRITE", "key": b64("a/"), "range_end": b64("b/5")}),
            2 => json!({"permType": "READ", "key": b64("a"), "range_end": "AA=="}),
            3 => json!({"permType": "READWRITE", "key": b64(&self.key())}),
            _ => json!({"permType": "READWRITE", "key": b64("t/"), "range_end": b64("t0")}),
        };
        let alarm = if self.rng.between(0, 7) == 0 { "CORRUPT" } else { "NOSPACE" };
        let over = if self.rng.between(0, 1) == 0 { "CORRUPT" } else { "NOSPACE" };
        if self.members && self.rng.between(0, 9) == 0 {
            // Mostly refused; nobody starts them.
            let port = 20_000 + self.rng.between(0, 9);
            return match self.rng.between(0, 1) {
                0 => (
                    "cluster/member/add",
                    json!({"peerURLs": [format!("http://127.0.0.1:{port}")], "isLearner": true}),
                ),
                _ => (
                    "cluster/member/remove",
                    json!({"ID": self.shared.learner.load(Ordering::Relaxed).to_string()}),
                ),
            };
        }
        if !self.users {
            return match self.rng.between(0, 40) {
                0 => ("maintenance/alarm", json!({"action": "ACTIVATE", "memberID": member, "alarm": alarm})),
                _ => {
                    ("maintenance/alarm", json!({"action": "DEACTIVATE", "memberID": member, "alarm": over}))
                }
            };
        }
        match self.rng.between(0, 49) {
            0..=2 => ("auth/user/add", json!({"name": user, "password": format!("pw-{user}")})),
            3 => ("auth/user/add", json!({"name": "nopw", "options": {"no_password": true}})),
            4 => ("auth/user/delete", json!({"name": user})),
            5 => ("auth/user/changepw", json!({"name": user, "password": format!("pw-{user}")})),
            6..=9 => ("auth/user/grant", json!({"user": user, "role": role})),
            10 => ("auth/user/revoke", json!({"name": user, "role": role})),
            11..=12 => ("auth/role/add", json!({"name": role})),
            13 => ("auth/role/delete", json!({"role": role})),
            14..=19 => ("auth/role/grant", json!({"name": role, "perm": range})),
            20 => (
                "auth/role/revoke",
                json!({"role": role, "key": range["key"], "range_end": range["range_end"]}),
            ),
            21..=22 => ("auth/enable", json!({})),
            23 => ("auth/disable", json!({})),
            24 if self.rng.between(0, 2) == 0 => {
                ("maintenance/alarm", json!({"action": "ACTIVATE", "memberID": member, "alarm": alarm}))
            }
            25 => ("auth/user/grant", json!({"user": user, "role": "root"})),
            _ => ("maintenance/alarm", json!({"action": "DEACTIVATE", "memberID": member, "alarm": over})),
        }
    }
}

/// Adds a learner, starts it, and promotes it when it has caught up.
pub fn join(mut client: Client, member: &mut Member, cluster: &str, shared: &Shared) {
    let url = format!("http://127.0.0.1:{}", member.peer);
    let mut id = None;
    while id.is_none() {
        if shared.stop.load(Ordering::Relaxed) {
            return;
        }
        client.login("root");
        let answer = client.post("cluster/member/add", &json!({"peerURLs": [url], "isLearner": true}));
        id = answer.ok().and_then(|(_, answer)| Some(answer["member"]["ID"].as_str()?.to_owned()));
        std::thread::sleep(Duration::from_millis(20));
    }
    member.start(&["--initial-cluster", cluster, "--initial-cluster-state", "existing"]);
    while !shared.stop.load(Ordering::Relaxed) {
        client.login("root");
        if let Ok((200, _)) = client.post("cluster/member/promote", &json!({"ID": id})) {
            return;
        }
        std::thread::sleep(Duration::from_millis(30));
    }
}

/// The users and roles that the load begins with, and root.
pub fn prepare(client: &mut Client) {
    for (path, body) in [
        ("auth/user/add", json!({"name": "root", "password": "pw-root"})),
        ("auth/role/add", json!({"name": "root"})),
        ("auth/user/grant", json!({"user": "root", "role": "root"})),
        ("auth/role/add", json!({"name": "r1"})),
        (
            "auth/role/grant",
            json!({"name": "r1", "perm": {"permType": "READWRITE", "key": b64("k/"), "range_end": b64("k/15")}}),
        ),
        ("auth/user/add", json!({"name": "u1", "password": "pw-u1"})),
        ("auth/user/add", json!({"name": "u2", "password": "pw-u2"})),
        ("auth/user/grant", json!({"user": "u1", "role": "r1"})),
    ] {
        let (status, answer) = client.post(path, &body).unwrap();
        assert_eq!(status, 200, "{path}: {answer}");
    }
}
