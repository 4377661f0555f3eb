//! What a policy wants to know of the live keys: how many there are of some, and when the newest of them was written,
//! as the Leases of Kubernetes tell.

use jiff::Timestamp;
use serde::Serialize;

use crate::bolt::Db;
use crate::etcd::stored::{self, Revisions, Stored};
use crate::kube::times::renewed;
use crate::store::scan::Scan;
use crate::words::monitor::Quiet;

/// Which live keys are meant.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Selector {
    /// All that begin with this.
    Prefix(String),
    /// This one.
    Key(String),
}

impl Selector {
    fn matches(&self, key: &[u8]) -> bool {
        match self {
            Selector::Prefix(prefix) => key.starts_with(prefix.as_bytes()),
            Selector::Key(name) => key == name.as_bytes(),
        }
    }
}

/// What to look for; it costs one walk over the keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ask {
    /// Keys to count.
    pub keys: Vec<Selector>,
    /// Whether the time is wanted.
    pub times: bool,
}

/// How many live keys a selector finds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeyCount {
    /// Which.
    pub keys: Selector,
    /// How many.
    pub count: u64,
}

/// A time that something inside the file tells.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// When.
    #[serde(serialize_with = "text")]
    pub time: Timestamp,
    /// The key whose value tells it, escaped.
    pub key: String,
}

fn text<S: serde::Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}

/// What was found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// One for each selector, in the same order.
    pub counts: Vec<KeyCount>,
    /// The newest time.
    pub newest: Option<Evidence>,
}

/// Walks over the live keys.
#[must_use]
pub fn look(scan: &Scan, db: &Db<'_>, ask: &Ask) -> Seen {
    let counts = ask.keys.iter().map(|keys| KeyCount { keys: keys.clone(), count: 0 }).collect();
    let look = Look { scan, times: ask.times, seen: Seen { counts, newest: None } };
    stored::skim(db, &Quiet, look).seen
}

struct Look<'s> {
    scan: &'s Scan,
    times: bool,
    seen: Seen,
}

impl Revisions for Look<'_> {
    fn each(&mut self, stored: &Stored<'_>) {
        let Stored { key, kv, .. } = stored;
        if key.tombstone || !self.scan.newest.is_newest(*key, kv) {
            return;
        }
        for counted in self.seen.counts.iter_mut().filter(|c| c.keys.matches(kv.key)) {
            counted.count = counted.count.saturating_add(1);
        }
        if self.times
            && let Some(time) = renewed(kv.key, kv.value)
            && self.seen.newest.as_ref().is_none_or(|newest| time > newest.time)
        {
            self.seen.newest = Some(Evidence { time, key: kv.key.escape_ascii().to_string() });
        }
    }
}
