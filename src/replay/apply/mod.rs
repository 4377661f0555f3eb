//! What the entries of a log do to the database: every request, on every bucket, exactly as an etcd of that version
//! does it when it starts again and applies what its database lacks.
//!
//! The base is only read. What changes is kept in memory, as an [`Overlay`]; of the keyspace only the keys are held
//! that the entries can touch, so the log is read twice: first for what it names ([`Interest`]), then to apply it
//! ([`Replayer::apply`]).
//!
//! Two entries of equal bytes may have different effects in different versions: `version.rs` has the list. A request
//! that is rejected (no permission, no lease, a comparison) has no effect but that its index counts as applied.
//! Source: `server/etcdserver/{server.go applyEntryNormal, apply/}` @ v3.6.14 and v3.7.1,
//! `server/etcdserver/apply.go` @ v3.5.1, `etcdserver/apply.go` @ v3.4.23.

mod auth;
mod bcrypt;
mod buckets;
mod cluster;
mod dispatch;
pub(in crate::replay) mod held;
mod interest;
mod keyspace;
mod lease;
mod txn;
mod users;
mod version;

use std::collections::{BTreeMap, BTreeSet};

pub use self::buckets::Overlay;
pub use self::interest::{End, Interest};
pub(crate) use self::version::Holds;
pub use self::version::Version;

use self::buckets::Buckets;
use self::held::{Held, held, nameless};
use self::keyspace::Keyspace;
use crate::bolt::Db;
use crate::etcd::alarm::AlarmType;
use crate::etcd::member::Member;
use crate::etcd::request;
use crate::etcd::schema::Minor;
use crate::etcd::{BucketKey, Facts, Revision};
use crate::raft::{ConfChange, ConfChangeType, ConfState, EntryView};
use crate::replay::membership::{Cluster, NO_VOTER_LEFT};
use crate::words::error::{At, Corrupt};
use crate::words::finding::{Code, Finding, Severity};
use crate::words::hint::Hint;
use crate::words::ids::{MemberId, RaftIndex, Term};
use crate::words::text::Told;

/// What became of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It changed the database.
    Applied,
    /// It had nothing to change: a read, a new leader's first entry, a deletion of nothing.
    Nothing,
    /// etcd refuses it, every time it is applied.
    Rejected(&'static str),
}

type Replied = Result<Done, Box<Corrupt>>;

/// Which checks stand before the store (`applierV3Corrupt`, `applierV3Capped`, `authApplierV3`).
#[derive(Debug, Clone, Copy)]
struct Chain {
    corrupt: bool,
    capped: bool,
    auth: bool,
}

/// Applies entries to a database.
#[derive(Debug)]
pub struct Replayer<'d, 's> {
    version: Version,
    log: String,
    buckets: Buckets,
    keys: Keyspace<'d, 's>,
    leases: BTreeSet<i64>,
    cluster: Cluster,
    chain: Chain,
    /// The entry at hand or the last one applied.
    index: RaftIndex,
    term: Term,
    findings: Vec<Finding>,
    said: BTreeSet<(Code, String)>,
}

/// What entries came to.
#[derive(Debug)]
pub struct Replayed {
    /// What is to be written over the base.
    pub overlay: Overlay,
    /// What a person should know: effects that hang on what the files do not tell.
    pub findings: Vec<Finding>,
    /// The last revision.
    pub revision: i64,
    /// The index of the last entry in the database.
    pub index: RaftIndex,
    /// Its term; 0 where it is not known: of a database of 3.4 to which nothing was applied.
    pub term: Term,
    /// Who is a member.
    pub members: Vec<Member>,
    /// Who was one, and may not come back.
    pub removed: Vec<MemberId>,
    /// The version that they agreed on, if they have.
    pub cluster_version: Option<Told>,
    /// Who votes, and who only learns.
    pub conf_state: ConfState,
}

/// Everything the small buckets say.
///
/// # Errors
/// Damage in them.
pub fn facts(db: &Db<'_>) -> Result<Facts, Box<Corrupt>> {
    Ok(Buckets::open(db)?.1)
}

impl<'d, 's> Replayer<'d, 's> {
    /// Reads what is needed of the database. `interest` is closed and names everything that will be applied; `log` is
    /// for messages.
    ///
    /// # Errors
    /// Damage in the database.
    pub fn open(
        db: &'d Db<'s>,
        interest: &Interest,
        version: Version,
        log: &str,
    ) -> Result<Replayer<'d, 's>, Box<Corrupt>> {
        let (buckets, facts) = Buckets::open(db)?;
        let leases = facts.leases.iter().map(|lease| lease.id.get()).collect();
        let keys = Keyspace::open(db.root().bucket(b"key")?, &facts, &leases, interest, version)?;
        let mut replayer = Replayer {
            version,
            log: log.to_owned(),
            keys,
            leases,
            cluster: Cluster::of(&facts),
            chain: Chain { corrupt: false, capped: false, auth: true },
            index: facts.consistent_index.unwrap_or_default(),
            term: facts.term.unwrap_or_default(),
            findings: Vec::new(),
            said: BTreeSet::new(),
            buckets,
        };
        replayer.chain = replayer.chain_of_alarms();
        replayer.start(&facts);
        Ok(replayer)
    }

    /// What etcd does when it starts, before it applies anything, and what is doubtful from the beginning.
    fn start(&mut self, facts: &Facts) {
        auth::first_count(&mut self.buckets);
        let index = self.index;
        match (self.version.minor, self.version.patch) {
            (Minor::V34, _) => {
                let what = format!(
                    "the database was written by 3.4, which may have applied entries after index {index} that it does not count: grants, alarms, \
                     users and members are then applied again, as etcd itself does"
                );
                self.say(Code::ReplayIndex, Severity::Note, what);
            }
            (Minor::V35, Some(patch @ 0..=2)) => {
                let what = format!(
                    "3.5.{patch} may have counted index {index} before its effect was in the database (etcd's 3.5 data inconsistency): such an \
                     effect cannot be brought back from this member alone"
                );
                self.say(Code::ReplayIndex, Severity::Warning, what);
            }
            (Minor::V35, None) => {
                let what = format!(
                    "if etcd was 3.5.0 to 3.5.2, it may have counted index {index} before its effect was in the database"
                );
                self.say(Code::ReplayIndex, Severity::Note, what);
            }
            _ => {}
        }
        if self.version.alarms_put_auth_aside()
            && self.chain.auth
            && auth::enabled(&self.buckets)
            && !facts.alarms.is_empty()
        {
            let what = "an alarm is raised and auth is enabled: up to 3.5 a server in which the alarm was raised checks no permissions until it \
                        is started again, one that starts with it does; entries are applied as by a server that starts";
            self.say(Code::ReplayAlarm, Severity::Warning, what);
        }
    }

    /// Applies one entry; they come in order, without gaps, from the one after the database's on.
    ///
    /// # Errors
    /// `replay-refused` for what etcd would panic of or what is not known here, `wal-entry-gap`, or damage in the
    /// database. Nothing of the replayer is of use afterwards.
    pub fn apply(&mut self, entry: &EntryView<'_>) -> Replied {
        if entry.index != self.index.next() {
            let what = format!("entry {} comes after entry {}", entry.index, self.index);
            return Err(Corrupt::new(Code::WalEntryGap, At::default().index(entry.index), what));
        }
        (self.index, self.term) = (entry.index, entry.term);
        request::with_room(entry.bytes(), |most| self.apply_held(entry, most))
    }

    fn apply_held(&mut self, entry: &EntryView<'_>, most: usize) -> Replied {
        match held(entry, most).map_err(|why| self.refuse(why))? {
            Held::Nothing => Ok(Done::Nothing),
            Held::V2(request) => self.v2(&request),
            Held::V3(request) => {
                let deep = || held::deep(entry).filter(|_| self.version.minor >= Minor::V37);
                match nameless(&request).or_else(deep) {
                    Some(why) => Err(self.refuse(why)),
                    None => self.request(&request),
                }
            }
            Held::ConfChange(change) => self.conf_change(&change),
        }
    }

    /// A compaction is only asked for here; etcd finishes it when it starts.
    fn compact(&mut self, revision: i64) -> Done {
        if revision <= self.keys.compact {
            return Done::Rejected("the revision is compacted already");
        }
        if revision > self.keys.current {
            return Done::Rejected("the revision is to come");
        }
        self.keys.compact = revision;
        let row = BucketKey { revision: Revision { main: revision, sub: 0 }, tombstone: false }.to_bytes();
        self.buckets.put("meta", b"scheduledCompactRev", row);
        Done::Applied
    }

    fn alarms(&self) -> BTreeMap<Vec<u8>, Option<AlarmType>> {
        let alarm = |key: &[u8]| <crate::etcd::alarm::AlarmMember as prost::Message>::decode(key).ok();
        let kind = |key: &[u8]| AlarmType::try_from(alarm(key)?.alarm).ok();
        self.buckets.all("alarm").map(|(key, _)| (key.to_vec(), kind(key))).collect()
    }

    /// The checks that a server has which starts with these alarms.
    fn chain_of_alarms(&self) -> Chain {
        let alarms = self.alarms();
        let raised = |wanted| alarms.values().any(|kind| *kind == Some(wanted));
        Chain { corrupt: raised(AlarmType::Corrupt), capped: raised(AlarmType::NoSpace), auth: true }
    }

    fn alarm(&mut self, r: &request::AlarmRequest) -> Replied {
        let kind = AlarmType::try_from(r.alarm)
            .map_err(|_| self.refuse(format!("an alarm of the unknown kind {}", r.alarm)))?;
        let key = prost::Message::encode_to_vec(&crate::etcd::alarm::AlarmMember {
            member_id: r.member_id,
            alarm: r.alarm,
        });
        let there = self.buckets.has("alarm", &key);
        let count =
            |replayer: &Self| replayer.alarms().values().filter(|raised| **raised == Some(kind)).count();
        let before = count(self);
        let nothing = kind == AlarmType::None && self.version.minor > Minor::V34;
        match r.action {
            1 if nothing || there => return Ok(Done::Rejected("the alarm is raised already")),
            1 => self.buckets.put("alarm", &key, Vec::new()),
            2 if !there => return Ok(Done::Rejected("the alarm is not raised")),
            2 => self.buckets.delete("alarm", &key),
            _ => return Ok(Done::Nothing),
        }
        let (first, last) = (r.action == 1 && before == 0, r.action == 2 && count(self) == 0);
        if !self.version.alarms_put_auth_aside() {
            self.chain = self.chain_of_alarms();
        } else if kind != AlarmType::None && first {
            // The checks that stood before are not wrapped but replaced, until the server starts again.
            self.chain = Chain {
                corrupt: kind == AlarmType::Corrupt,
                capped: kind == AlarmType::NoSpace,
                auth: false,
            };
        } else if kind != AlarmType::None && last {
            self.chain = Chain { corrupt: false, capped: false, auth: true };
        }
        Ok(Done::Applied)
    }

    fn refuse(&self, what: impl Into<String>) -> Box<Corrupt> {
        Corrupt::new(Code::ReplayRefused, At::default().index(self.index), what)
    }

    /// A finding about the entry at hand; the same is not said again.
    fn say(&mut self, code: Code, severity: Severity, what: impl Into<String>) {
        self.advise(code, severity, what.into(), None);
    }

    fn advise(&mut self, code: Code, severity: Severity, what: String, hint: Option<Hint>) {
        if self.said.insert((code, what.clone())) {
            let at = At::default().index(self.index);
            self.findings.push(Finding { severity, hint, ..Finding::new(code, &self.log, at, what) });
        }
    }

    /// The effect hangs on the patch version, which is not known.
    fn depends(&mut self, patch: u16, what: &str) {
        let minor = self.version.minor.name();
        let what = format!("etcd {minor}.{patch} and newer {what}; it is taken for newer");
        self.advise(Code::ReplayVersion, Severity::Warning, what, Some(Hint::EtcdPatchVersion));
    }

    /// The index of the last entry applied, or that of the database.
    #[must_use]
    pub fn index(&self) -> RaftIndex {
        self.index
    }

    /// The current revision.
    #[must_use]
    pub fn revision(&self) -> i64 {
        self.keys.current
    }

    /// Starts from these members and voters instead of what the database says by itself.
    pub(crate) fn believe(&mut self, cluster: Cluster) {
        self.cluster = cluster;
    }

    /// How many members vote.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.cluster.voters.len()
    }

    /// Changes who is a member, as a conf change in the log would, but without an entry.
    ///
    /// # Errors
    /// As [`Replayer::apply`].
    pub fn change_members(&mut self, change: &ConfChange) -> Result<Done, Box<Corrupt>> {
        if change.kind() == ConfChangeType::RemoveNode && self.cluster.is_last_voter(change.member()) {
            return Ok(Done::Rejected(NO_VOTER_LEFT));
        }
        self.conf_change(change)
    }

    /// Whether this member was removed from the cluster.
    #[must_use]
    pub fn was_removed(&self, member: MemberId) -> bool {
        self.cluster.removed.contains(&member)
    }

    /// What all that was applied amounts to.
    #[must_use]
    pub fn finish(mut self) -> Replayed {
        if self.buckets.number("meta", b"consistent_index") != self.index.get() {
            self.buckets.put("meta", b"consistent_index", self.index.get().to_be_bytes().to_vec());
            if self.version.minor > Minor::V34 && self.term > Term::default() {
                self.buckets.put("meta", b"term", self.term.get().to_be_bytes().to_vec());
            }
        }
        let (revision, index) = (self.keys.current, self.index);
        let cluster_version = self
            .buckets
            .get("cluster", b"clusterVersion")
            .map(|version| String::from_utf8_lossy(version).into());
        let mut overlay = self.buckets.into_changes();
        let rows: BTreeMap<_, _> =
            self.keys.changes.into_iter().map(|(key, value)| (key, Some(value))).collect();
        if !rows.is_empty() {
            overlay.insert(b"key".to_vec(), rows);
        }
        let list = |ids: &BTreeSet<MemberId>| ids.iter().map(|id| id.get()).collect();
        let (voters, learners) = (list(&self.cluster.voters), list(&self.cluster.learners));
        let conf_state = ConfState { voters, learners, ..ConfState::default() };
        let (findings, term) = (self.findings, self.term);
        let Cluster { members, removed, .. } = self.cluster;
        let (members, removed) = (members.into_values().collect(), removed.into_iter().collect());
        Replayed { overlay, findings, revision, index, term, members, removed, cluster_version, conf_state }
    }
}
