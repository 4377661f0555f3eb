//! Leases, and passwords that a member makes itself, while a log is applied.
//!
//! Source: `server/lease/lessor.go Grant, Revoke, Checkpoint` @ v3.6.

use prost::Message;
use sha2::{Digest, Sha256};

use crate::codec::array_at;
use crate::etcd::lease::Lease;
use crate::etcd::request::{LeaseCheckpointRequest, LeaseGrantRequest};
use crate::etcd::schema::Minor;
use crate::replay::apply::auth::Who;
use crate::replay::apply::bcrypt;
use crate::replay::apply::interest::End;
use crate::replay::apply::version::Holds;
use crate::replay::apply::{Done, Replayer};
use crate::words::finding::{Code, Severity};

/// The longest lease, in seconds (`MaxLeaseTTL`).
const LONGEST: i64 = 9_000_000_000;
/// The shortest, in seconds: one and a half elections of ten ticks of 100 ms, rounded up. Flags change it ...
const SHORTEST: i64 = 2;
/// ... up to this: elections take at most 50 s.
const SHORTEST_BY_FLAGS: i64 = 75;
/// The cost of a hash (`--bcrypt-cost`) unless a flag says otherwise.
const BCRYPT_COST: u32 = 10;

impl Replayer<'_, '_> {
    pub(super) fn lease_grant(&mut self, r: &LeaseGrantRequest) -> Done {
        if self.chain.capped {
            return Done::Rejected("no space");
        }
        if r.id == 0 || r.ttl > LONGEST || self.leases.contains(&r.id) {
            return Done::Rejected("the lease exists, or cannot be");
        }
        if r.ttl < SHORTEST_BY_FLAGS {
            let (severity, what) = if r.ttl < SHORTEST {
                (
                    Severity::Warning,
                    format!("a lease of {} seconds is raised to {SHORTEST}, the shortest there is", r.ttl),
                )
            } else {
                (Severity::Note, format!("a lease of {} seconds is taken as it is", r.ttl))
            };
            self.say(
                Code::ReplayFlags,
                severity,
                format!("{what} unless --election-timeout or --heartbeat-interval was set"),
            );
        }
        self.leases.insert(r.id);
        self.keys.lease_granted(r.id);
        self.put_lease(&Lease { id: r.id, ttl: r.ttl.max(SHORTEST), remaining_ttl: 0 });
        Done::Applied
    }

    fn put_lease(&mut self, lease: &Lease) {
        self.buckets.put("lease", &lease.id.to_be_bytes(), lease.encode_to_vec());
    }

    pub(super) fn lease_revoke(&mut self, who: &Who, id: i64) -> Done {
        if !self.leases.contains(&id) {
            return Done::Rejected("the lease does not exist");
        }
        self.doubt_lease(who, id);
        if self.chain.auth && !self.may_lease(who, id) {
            return Done::Rejected("permission denied");
        }
        let keys: Vec<Vec<u8>> = self.keys.of_lease(id).map(<[u8]>::to_vec).collect();
        for key in keys {
            self.keys.delete(&key, End::OneKey);
        }
        self.keys.end();
        self.keys.lease_revoked(id);
        self.leases.remove(&id);
        self.buckets.delete("lease", &id.to_be_bytes());
        Done::Applied
    }

    /// How long leases have left: in memory only, unless a flag or the cluster's version has it kept.
    pub(super) fn lease_checkpoint(&mut self, r: &LeaseCheckpointRequest) -> Done {
        let cluster = self
            .buckets
            .get("cluster", b"clusterVersion")
            .and_then(|version| std::str::from_utf8(version).ok());
        let agreed = cluster.and_then(Minor::of).is_some_and(|version| version >= Minor::V36)
            && self.version.minor >= Minor::V36;
        if !agreed {
            if self.version.checkpoints_are_kept() != Holds::No {
                let what = "the remaining time of leases is not kept, unless --experimental-enable-lease-checkpoint-persist was set";
                self.say(Code::ReplayFlags, Severity::Note, what);
            }
            return Done::Nothing;
        }
        for checkpoint in &r.checkpoints {
            let stored = self.buckets.get("lease", &checkpoint.id.to_be_bytes());
            if let Some(lease) = stored.and_then(|value| Lease::decode(value).ok()) {
                self.put_lease(&Lease { remaining_ttl: checkpoint.remaining_ttl, ..lease });
            }
        }
        Done::Applied
    }

    /// The hash of a password that the log holds in plain, as logs of 3.4 do. Every member draws a salt of its own;
    /// here it is made of the entry's place, so that a copy made twice is the same.
    pub(super) fn own_hash(&mut self, user: &[u8], plain: &[u8]) -> Vec<u8> {
        let what = "the log holds a password in plain, and each member makes a hash of it with a salt that it draws: the copy's is valid, and \
                    differs from every member's";
        self.say(Code::ReplayPassword, Severity::Warning, what);
        let digest = Sha256::new()
            .chain_update(self.index.get().to_be_bytes())
            .chain_update(self.term.get().to_be_bytes())
            .chain_update(user)
            .finalize();
        let salt = array_at(&digest, 0).unwrap_or_default();
        bcrypt::hash(plain, BCRYPT_COST, salt).into_bytes()
    }
}
