//! What a server is made to go through, drawn from a seed.

use std::collections::BTreeSet;
use std::hash::{BuildHasher, RandomState};

use serde_json::Value;

use crate::server::Server;

/// Numbers are quoted by some versions.
pub fn number(value: &Value) -> i64 {
    value.as_i64().or_else(|| value.as_str()?.parse().ok()).unwrap_or(0)
}

/// Tells its number when the test fails.
pub struct Seed(pub u64);

impl Seed {
    /// The one of several runs: the first is of the seed itself.
    pub fn nth(&self, run: u64) -> Seed {
        Seed(self.0.wrapping_add(run))
    }

    pub fn draw() -> Seed {
        let given = std::env::var("COLDBOLT_SEED").ok();
        Seed(given.map_or_else(
            || RandomState::new().hash_one(0),
            |seed| seed.parse().expect("COLDBOLT_SEED is a number"),
        ))
    }
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to repeat: COLDBOLT_SEED={}", self.0);
        }
    }
}

/// SplitMix64.
pub struct Rng(u64);

impl Rng {
    pub fn of(seed: u64) -> Rng {
        Rng(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub fn between(&mut self, low: i64, high: i64) -> i64 {
        low + i64::try_from(self.next() % u64::try_from(high - low + 1).unwrap()).unwrap()
    }

    /// A few keys, so that most are written again and again.
    fn key(&mut self) -> String {
        match self.between(0, 9) {
            0 => format!("/registry/pods/default/web-{}", self.between(0, 9)),
            1 => format!("with space {}", self.between(0, 3)),
            _ => format!("/k/{:02}", self.between(0, 29)),
        }
    }

    fn keys(&mut self, most: i64) -> BTreeSet<String> {
        (0..self.between(1, most)).map(|_| self.key()).collect()
    }

    fn value(&mut self) -> String {
        let len = if self.between(0, 19) == 0 { 3000 } else { self.between(0, 120) };
        (0..len)
            .map(|_| {
                char::from(
                    b"abcdefghijklmnopqrstuvwxyz0123456789"[usize::try_from(self.between(0, 35)).unwrap()],
                )
            })
            .collect()
    }
}

/// What the server is made to go through.
pub struct History {
    pub server: Server,
    pub rng: Rng,
    /// The last revision.
    pub revision: i64,
    /// The compacted one; 0 before the first compaction.
    pub compacted: i64,
    leases: Vec<String>,
}

impl History {
    pub fn new(server: Server, seed: u64) -> History {
        History { server, rng: Rng(seed), revision: 1, compacted: 0, leases: Vec::new() }
    }

    pub fn write(&mut self, args: &[&str], stdin: &[u8]) {
        let answer = self.server.ctl_json(args, stdin);
        self.revision = number(&answer["header"]["revision"]).max(self.revision);
    }

    pub fn put(&mut self, key: &str, value: &str, options: &[&str]) {
        self.write(&[&["put", key, value], options].concat(), b"");
    }

    pub fn steps(&mut self, count: usize) {
        for _ in 0..count {
            self.step();
        }
    }

    fn step(&mut self) {
        let key = self.rng.key();
        let value = self.rng.value();
        match self.rng.between(0, 15) {
            0..=2 => self.put(&key, &value, &[]),
            3..=5 => self.txn(),
            6 => {
                let puts = self.rng.between(1, 60);
                self.large_txn(puts);
            }
            7 => self.write(&["del", &key], b""),
            8 => self.write(&["del", "--prefix", &key[..key.len() - 1]], b""),
            9 => self.write(&["del", "/k/04", &key], b""),
            10 => {
                // Deleted, and made anew.
                self.put(&key, &value, &[]);
                self.write(&["del", &key], b"");
                self.put(&key, "anew", &[]);
            }
            11 => {
                // A value of several pages, with any byte in it.
                let len = self.rng.between(1, 30_000);
                let bytes: Vec<u8> = (0..len).map(|_| self.rng.next().to_le_bytes()[0]).collect();
                self.write(&["put", &key], &bytes);
            }
            12 => {
                let lease = number(&self.server.ctl_json(&["lease", "grant", "86400"], b"")["ID"]);
                let lease = format!("{lease:x}");
                for key in self.rng.keys(4) {
                    self.put(&key, &value, &["--lease", &lease]);
                }
                self.leases.push(lease);
            }
            13 if !self.leases.is_empty() => {
                let at = usize::try_from(self.rng.next() % 64).unwrap() % self.leases.len();
                let lease = self.leases.swap_remove(at);
                self.server.ctl(&["lease", "revoke", &lease]);
                self.write(&["get", "none"], b"");
            }
            14 => self.put(&key, "", &["--prev-kv"]),
            _ => {
                let key = format!("/once/{}", self.rng.next());
                self.put(&key, &value, &[]);
            }
        }
    }

    /// Puts and deletes in one revision, half of them in the branch that a comparison does not take.
    fn txn(&mut self) {
        let puts = self.rng.keys(12);
        let deletes: BTreeSet<String> = self.rng.keys(8).difference(&puts).cloned().collect();
        let compare = self.rng.key();
        let puts: Vec<String> =
            puts.iter().map(|key| format!("put \"{key}\" v{}\n", self.rng.value())).collect();
        let deletes: String = deletes.iter().map(|key| format!("del \"{key}\"\n")).collect();
        let text = format!(
            "create(\"{compare}\") > \"0\"\n\n{}{deletes}\n{}{deletes}\n",
            puts.concat(),
            puts[..puts.len().div_ceil(2)].concat()
        );
        self.write(&["txn"], text.as_bytes());
    }

    pub fn large_txn(&mut self, puts: i64) {
        let lines: String = (0..puts).map(|i| format!("put /many/{i:03} v{}\n", self.rng.next())).collect();
        self.write(&["txn"], format!("\n{lines}\n\n").as_bytes());
    }

    /// Deletes something, and gives the revision in which it did.
    pub fn delete_one(&mut self) -> i64 {
        self.put("/short-lived", "x", &[]);
        self.write(&["del", "/short-lived"], b"");
        self.revision
    }

    pub fn compact(&mut self, at: i64) {
        self.server.ctl(&["compact", "--physical", &at.to_string()]);
        self.compacted = at;
    }

    pub fn users(&mut self) {
        for args in [
            &["user", "add", "root:secret"][..],
            &["role", "add", "root"],
            &["user", "grant-role", "root", "root"],
            &["role", "add", "reader"],
            &["role", "grant-permission", "--prefix", "reader", "read", "/k/"],
            &["user", "add", "reader:secret"],
            &["user", "grant-role", "reader", "reader"],
        ] {
            self.server.ctl(args);
        }
    }

    pub fn auth(&mut self) {
        self.server.ctl(&["auth", "enable"]);
        self.server.login("root:secret");
        self.put("/k/00", "with auth on", &[]);
    }
}
