//! Rules that a backup has to keep to be good for *you*: how new, how much, of which cluster.
//!
//! A rule compares one measured value with a limit. Broken, it makes the verdict bad; where the file does not tell
//! the value, the verdict is inconclusive. A rule whose severity is `warning` is reported and changes no verdict.

mod encryption;
mod rule;
mod value;

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};

use self::encryption::EncryptionRules;
pub use self::rule::{Rule, RuleResult, RuleSeverity};
pub use self::value::{Age, Forbidden, Id, Percent, Providers, Required, TrailerRule, Version};
use super::evidence::{Ask, Selector};
use super::{InputKind, Level, Outcome, TrailerState, Verdict, Verification};
use crate::words::error::printable;
use crate::words::ids::{ClusterId, MemberId};

/// How far a clock may be ahead of ours before its time counts for nothing, in seconds.
const SKEW: i64 = 600;

/// What is asked of every file. Absent parts are not checked.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Policy {
    /// The last revision is at least this.
    pub min_revision: Option<i64>,
    /// The last revision is at most this.
    pub max_revision: Option<i64>,
    /// The last revision is not below that of the previous snapshot; on by default when there is one.
    pub revision_not_below_previous: Option<bool>,
    /// The live keys are at least this part of the previous snapshot's.
    pub keys_not_fewer_than: Option<Percent>,
    /// The newest time inside the file, if it holds one, and its modification time are at most this long ago.
    pub max_age: Option<Age>,
    /// Live keys that have to be there.
    pub required: Vec<Required>,
    /// Live keys that must not be there.
    pub forbidden: Vec<Forbidden>,
    /// The storage version is at least this.
    pub min_storage_version: Option<Version>,
    /// The storage version is at most this.
    pub max_storage_version: Option<Version>,
    /// Whether the file has to have a trailer. Where nothing is said, one without is inconclusive.
    pub trailer: Option<TrailerRule>,
    /// The id of the cluster; only a data directory tells it.
    pub cluster_id: Option<Id>,
    /// Exactly these members, each by its name or by its id in hex.
    pub members: Option<Vec<String>>,
    /// At most this part of the database is free pages.
    pub max_fragmentation: Option<Percent>,
    /// No alarm is raised.
    pub no_alarms: Option<bool>,
    /// No compaction was asked for and left unfinished.
    pub no_pending_compaction: Option<bool>,
    /// All live values of these Kubernetes resources are encrypted; each by any of its names.
    pub encrypted: Option<Vec<String>>,
    /// Live values of the resources that are to be encrypted, else of `secrets`, are by one of these providers, as
    /// `kms` or `kms:v2`.
    pub encryption_provider: Option<Providers>,
    /// Neither history nor free pages hold a plain value of the resources that are to be encrypted, else of `secrets`.
    pub no_plaintext_residue: Option<bool>,
    /// Severities other than `error`, by rule.
    pub severity: BTreeMap<Rule, RuleSeverity>,
}

/// What another, earlier snapshot was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Previous {
    /// Its path.
    pub path: String,
    /// Its last revision and its live keys, or why they cannot be told.
    pub state: Result<(i64, u64), String>,
}

impl Previous {
    /// From its own verification, at level mvcc.
    #[must_use]
    pub fn of(verification: &Verification) -> Previous {
        let state = match (revision(verification), verification.measured.live_keys) {
            _ if verification.verdict == Verdict::Bad => Err("is damaged".to_owned()),
            _ if verification.kind == InputKind::Closed => Err("is closed with age".to_owned()),
            (Some(revision), Some(keys)) => Ok((revision, keys)),
            _ => Err("is not an etcd database".to_owned()),
        };
        Previous { path: verification.path.clone(), state }
    }
}

impl Policy {
    /// What has to be looked for in the keys, if anything.
    #[must_use]
    pub fn ask(&self) -> Option<Ask> {
        let keys =
            self.required.iter().map(|r| r.keys.clone()).chain(self.forbidden.iter().map(|f| f.keys.clone()));
        let protection = self.encryption().resources();
        let ask = Ask { keys: keys.collect(), times: self.max_age.is_some(), protection };
        (ask != Ask::default()).then_some(ask)
    }

    fn encryption(&self) -> EncryptionRules<'_> {
        EncryptionRules {
            encrypted: self.encrypted.as_deref(),
            providers: self.encryption_provider.as_ref(),
            residue: self.no_plaintext_residue == Some(true),
        }
    }
}

/// Holds a file against the policy: the results and the verdict go into the verification.
pub fn apply(policy: &Policy, verification: &mut Verification, previous: Option<&Previous>, now: Timestamp) {
    verification.policy = check(policy, verification, previous, now);
    if policy.trailer == Some(TrailerRule::Optional) && verification.measured.trailer == TrailerState::Absent
    {
        for level in verification
            .levels
            .iter_mut()
            .filter(|l| l.level == Level::Bytes && l.outcome == Outcome::Inconclusive)
        {
            level.outcome = Outcome::NotRun;
            level.detail.push_str("; the policy asks for none");
        }
    }
    verification.verdict = verification.judge();
}

/// Holds what was measured against the policy.
#[must_use]
pub fn check(
    policy: &Policy,
    verification: &Verification,
    previous: Option<&Previous>,
    now: Timestamp,
) -> Vec<RuleResult> {
    let mut judge = Judge { policy, verification, results: Vec::new() };
    judge.revisions(previous);
    judge.age(now);
    judge.keys();
    judge.versions();
    judge.trailer();
    judge.cluster();
    judge.members();
    judge.state();
    judge.encryption();
    judge.results
}

/// The last revision; a store that was never written to is at 1.
fn revision(verification: &Verification) -> Option<i64> {
    let measured = &verification.measured;
    measured.live_keys.map(|_| measured.revision.unwrap_or(1))
}

struct Judge<'p> {
    policy: &'p Policy,
    verification: &'p Verification,
    results: Vec<RuleResult>,
}

impl Judge<'_> {
    fn result(&mut self, id: Rule, passed: Option<bool>, measured: Value, limit: Value, message: String) {
        let severity = self.policy.severity.get(&id).copied().unwrap_or_default();
        self.results.push(RuleResult { id, severity, keys: None, passed, measured, limit, message });
    }

    fn unmeasured(&mut self, id: Rule, limit: Value, why: impl Into<String>) {
        self.result(id, None, Value::Null, limit, why.into());
    }

    /// Why the database's content was not measured.
    fn nothing(&self) -> String {
        let level = self.verification.levels.iter().find(|l| l.level == Level::Pages);
        match level.filter(|l| l.outcome == Outcome::NotRun || l.outcome == Outcome::Inconclusive) {
            Some(level) => format!("not measured: level pages did not run ({})", level.detail),
            None => "not measured: the buckets are not etcd's".to_owned(),
        }
    }

    fn encryption(&mut self) {
        let measured = &self.verification.measured;
        let found = measured.protection.as_ref().filter(|_| measured.live_keys.is_some());
        for held in self.policy.encryption().check(found, &self.nothing()) {
            self.result(held.id, held.passed, held.measured, held.limit, held.message);
        }
    }

    fn revisions(&mut self, previous: Option<&Previous>) {
        let last = revision(self.verification);
        let limits = [
            (Rule::MinRevision, self.policy.min_revision, "at least"),
            (Rule::MaxRevision, self.policy.max_revision, "at most"),
        ];
        for (id, limit, word) in limits {
            let Some(limit) = limit else { continue };
            let Some(revision) = last else {
                self.unmeasured(id, json!(limit), self.nothing());
                continue;
            };
            let passed = if id == Rule::MinRevision { revision >= limit } else { revision <= limit };
            self.result(
                id,
                Some(passed),
                json!(revision),
                json!(limit),
                format!("the revision is {revision}, {word} {limit} is due"),
            );
        }
        if self.policy.revision_not_below_previous.unwrap_or(previous.is_some()) {
            self.against_previous(Rule::RevisionNotBelowPrevious, previous, |(before, _), verification| {
                let revision = revision(verification)?;
                let message = format!("the revision is {revision}, it was {before} in the previous snapshot");
                Some((revision >= before, json!(revision), json!(before), message))
            });
        }
        if let Some(Percent(percent)) = self.policy.keys_not_fewer_than {
            self.against_previous(Rule::KeysNotFewerThan, previous, |(_, before), verification| {
                let keys = verification.measured.live_keys?;
                let enough =
                    u128::from(keys).saturating_mul(100) >= u128::from(before).saturating_mul(percent.into());
                let due = u128::from(before).saturating_mul(percent.into()).div_ceil(100);
                let message = format!(
                    "there are {keys} live keys, {percent} % of the previous snapshot's {before} are due"
                );
                Some((enough, json!(keys), json!(u64::try_from(due).unwrap_or(u64::MAX)), message))
            });
        }
    }

    fn against_previous(
        &mut self,
        id: Rule,
        previous: Option<&Previous>,
        compare: impl FnOnce((i64, u64), &Verification) -> Option<(bool, Value, Value, String)>,
    ) {
        match previous.map(|p| (&p.state, &p.path)) {
            None => self.unmeasured(id, Value::Null, "not measured: no previous snapshot was given"),
            Some((Err(why), path)) => {
                self.unmeasured(id, Value::Null, format!("not measured: the previous snapshot {path} {why}"))
            }
            Some((Ok(state), _)) => match compare(*state, self.verification) {
                Some((passed, measured, limit, message)) => {
                    self.result(id, Some(passed), measured, limit, message)
                }
                None => self.unmeasured(id, Value::Null, self.nothing()),
            },
        }
    }

    fn age(&mut self, now: Timestamp) {
        let Some(limit) = self.policy.max_age else { return };
        let verification = self.verification;
        let mut one = |id, time: Timestamp, what: &str| {
            let age = now.as_second().saturating_sub(time.as_second());
            if age < -SKEW {
                let why = format!("not measured: {what}, {time}, is {} in the future", Age(age));
                return self.unmeasured(id, json!(limit.0), why);
            }
            let message = format!("{what}, {time}, is {} ago, at most {limit} is due", Age(age.max(0)));
            self.result(id, Some(age <= limit.0), json!(age), json!(limit.0), message);
        };
        let measured = &verification.measured;
        if let Some(evidence) = &measured.newest_evidence {
            one(
                Rule::MaxAgeContent,
                evidence.time,
                &format!("the newest time in the file (renewTime of {})", evidence.key),
            );
        }
        let none =
            if measured.newest_evidence.is_none() { " (nothing inside the file tells a time)" } else { "" };
        match measured.modified.as_deref().and_then(|m| m.parse::<Timestamp>().ok()) {
            Some(time) => one(Rule::MaxAgeFile, time, &format!("the file's modification time{none}")),
            None => {
                self.unmeasured(
                    Rule::MaxAgeFile,
                    json!(limit.0),
                    format!("not measured: the input has no modification time{none}"),
                );
            }
        }
    }

    fn keys(&mut self) {
        let limits: Vec<(Rule, &Selector, u64, &str)> = self
            .policy
            .required
            .iter()
            .map(|r| (Rule::Required, &r.keys, r.at_least, "at least"))
            .chain(self.policy.forbidden.iter().map(|f| (Rule::Forbidden, &f.keys, f.at_most, "at most")))
            .collect();
        for (id, keys, limit, word) in limits {
            let measured = &self.verification.measured;
            let count = measured.key_counts.iter().find(|c| c.keys == *keys).map(|c| c.count);
            let (name, what) = match keys {
                Selector::Prefix(prefix) => (prefix.clone(), "live keys begin with"),
                Selector::Key(key) => (key.clone(), "live keys are"),
                Selector::Objects(objects) => (objects.to_string(), "objects are"),
            };
            let name = name.as_bytes().escape_ascii().to_string();
            // A kind that neither Kubernetes nor the file knows has no objects, or is a slip of who forbids it.
            let unknown = measured.live_keys.is_some() && matches!(keys, Selector::Objects(_));
            let nobody = if count.is_none() && unknown {
                "; no kind of Kubernetes or of the file is called that"
            } else {
                ""
            };
            if let Some(count) = count.or((unknown && id == Rule::Required).then_some(0)) {
                let passed = if id == Rule::Required { count >= limit } else { count <= limit };
                self.result(
                    id,
                    Some(passed),
                    json!(count),
                    json!(limit),
                    format!("{count} {what} {name}, {word} {limit} are due{nobody}"),
                );
            } else if unknown {
                let why =
                    format!("not measured: no kind of Kubernetes or of the file is called that: {name}");
                self.unmeasured(id, json!(limit), why);
            } else {
                self.unmeasured(id, json!(limit), self.nothing());
            }
            if let Some(result) = self.results.last_mut() {
                result.keys = Some(name);
            }
        }
    }

    fn versions(&mut self) {
        let measured = self.verification.measured.storage_version.as_deref();
        let version = measured.and_then(|v| v.parse::<Version>().ok());
        let limits = [
            (Rule::MinStorageVersion, self.policy.min_storage_version, "at least"),
            (Rule::MaxStorageVersion, self.policy.max_storage_version, "at most"),
        ];
        for (id, limit, word) in limits {
            let Some(limit) = limit else { continue };
            let Some(version) = version else {
                let why = if self.verification.measured.live_keys.is_some() {
                    "not measured: the file does not tell its storage version".to_owned()
                } else {
                    self.nothing()
                };
                self.unmeasured(id, json!(limit.to_string()), why);
                continue;
            };
            let passed = if id == Rule::MinStorageVersion { version >= limit } else { version <= limit };
            let message = format!("the storage version is {version}, {word} {limit} is due");
            self.result(id, Some(passed), json!(version.to_string()), json!(limit.to_string()), message);
        }
    }

    fn trailer(&mut self) {
        let measured = &self.verification.measured;
        if let Some(rule) = self.policy.trailer {
            let (is, limit) = (measured.trailer, json!(rule));
            match is {
                TrailerState::Unread => self.unmeasured(
                    Rule::Trailer,
                    limit,
                    "not measured: no meta page tells where the database ends",
                ),
                _ => {
                    let passed = is == TrailerState::Present
                        || (rule == TrailerRule::Optional && is == TrailerState::Absent);
                    self.result(
                        Rule::Trailer,
                        Some(passed),
                        json!(is),
                        limit,
                        format!("the trailer is {is}"),
                    );
                }
            }
        }
    }

    fn cluster(&mut self) {
        let measured = &self.verification.measured;
        if let Some(Id(due)) = self.policy.cluster_id {
            let due = ClusterId::new(due);
            let limit = json!(due);
            match measured.cluster_id {
                Some(is) => {
                    let passed = is == due;
                    self.result(
                        Rule::ClusterId,
                        Some(passed),
                        json!(is),
                        limit,
                        format!("the cluster is {is:#}, {due:#} is due"),
                    );
                }
                None => self.unmeasured(
                    Rule::ClusterId,
                    limit,
                    "not measured: only the WAL of a data directory tells the cluster id",
                ),
            }
        }
    }

    fn members(&mut self) {
        let measured = &self.verification.measured;
        if let Some(due) = &self.policy.members {
            let limit = json!(due);
            if measured.live_keys.is_none() {
                return self.unmeasured(Rule::Members, limit, self.nothing());
            }
            let there: Vec<(&MemberId, &String)> =
                measured.members.iter().zip(&measured.member_names).collect();
            let is = |due: &str, (id, name): (&MemberId, &String)| {
                due == name || due.parse::<Id>().is_ok_and(|Id(due)| id.get() == due)
            };
            let passed = due.len() == there.len()
                && due.iter().all(|due| there.iter().any(|there| is(due, *there)))
                && there.iter().all(|there| due.iter().any(|due| is(due, *there)));
            let words =
                there.iter().map(|(id, name)| format!("{name} ({id:#})")).collect::<Vec<_>>().join(", ");
            let due = printable(&due.join(", "));
            self.result(
                Rule::Members,
                Some(passed),
                json!(measured.members),
                limit,
                format!("the members are {words}; due are {due}"),
            );
        }
    }

    fn state(&mut self) {
        let measured = &self.verification.measured;
        if let Some(Percent(limit)) = self.policy.max_fragmentation {
            let (free, size) = (measured.free_bytes, measured.db_size);
            if measured.status_hash.is_none() || size == 0 {
                self.unmeasured(Rule::MaxFragmentation, json!(limit), self.nothing());
            } else {
                let passed =
                    u128::from(free).saturating_mul(100) <= u128::from(size).saturating_mul(limit.into());
                let tenths = u128::from(free).saturating_mul(1000).checked_div(size.into()).unwrap_or(0);
                let percent = f64::from(u32::try_from(tenths).unwrap_or(u32::MAX)) / 10.0;
                let message = format!(
                    "{percent:.1} % of the database are free ({free} of {size} bytes), at most {limit} % are due"
                );
                self.result(Rule::MaxFragmentation, Some(passed), json!(percent), json!(limit), message);
            }
        }
        let asked = |rule: Option<bool>| rule == Some(true);
        for (id, wanted) in [
            (Rule::NoAlarms, self.policy.no_alarms),
            (Rule::NoPendingCompaction, self.policy.no_pending_compaction),
        ] {
            if asked(wanted) && measured.live_keys.is_none() {
                self.unmeasured(id, Value::Null, self.nothing());
            } else if asked(wanted) && id == Rule::NoAlarms {
                let alarms = &measured.alarms;
                let message = if alarms.is_empty() {
                    "no alarm is raised".to_owned()
                } else {
                    format!("raised: {}", alarms.join(", "))
                };
                self.result(id, Some(alarms.is_empty()), json!(alarms), json!([]), message);
            } else if asked(wanted) {
                let pending = measured.compaction_unfinished;
                let message = if pending {
                    "a compaction was asked for and not finished"
                } else {
                    "no compaction is unfinished"
                };
                self.result(id, Some(!pending), json!(pending), json!(false), message.to_owned());
            }
        }
    }
}
