//! A policy from a file and flags.

use std::path::{Path, PathBuf};

use coldbolt::io::Source;
use coldbolt::ops::verify::evidence::{ObjectSelector, Selector};
use coldbolt::ops::verify::policy::{
    Age, Forbidden, Id, Percent, Policy, Providers, Required, TrailerRule, Version,
};
use coldbolt::words::error::{Error, printable, show};

use super::context::Fail;

/// Bytes of the longest policy file that is read.
const LIMIT: u64 = 1 << 20;

/// Rules a backup has to keep.
#[derive(Debug, clap::Args)]
#[command(
    next_help_heading = "Policy (each rule also in --policy FILE, by the same name unless it says otherwise)"
)]
pub struct PolicyArgs {
    /// A TOML file of rules; flags override it.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// The last revision is at least N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    min_revision: Option<i64>,
    /// The last revision is at most N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
    max_revision: Option<i64>,
    /// An earlier snapshot; the revision may not be below its own (revision-not-below-previous = false in the file
    /// turns that off).
    #[arg(long, value_name = "FILE")]
    previous: Option<PathBuf>,
    /// There are at least N percent of the previous snapshot's live keys.
    #[arg(long, value_name = "N")]
    keys_not_fewer_than: Option<Percent>,
    /// The newest time inside the file (renewTime of Kubernetes Leases), if it holds one, and its mtime are at most
    /// this old: 26h, 1d12h.
    #[arg(long, value_name = "AGE")]
    max_age: Option<Age>,
    /// Live keys with this prefix are there, at least N of them [in the file: [[required]] prefix, at-least].
    #[arg(long, value_name = "PREFIX[>=N]", value_parser = required)]
    require_prefix: Vec<Required>,
    /// This live key is there [in the file: [[required]] key].
    #[arg(long, value_name = "KEY")]
    require_key: Vec<String>,
    /// Live Kubernetes objects of this kind are there, by any of its names, at least N of them [in the file:
    /// [[required]] kind, namespace, name, at-least].
    #[arg(long, value_name = "KIND[>=N]", value_parser = required_kind)]
    require_kind: Vec<Required>,
    /// No live key has this prefix [in the file: [[forbidden]] prefix, at-most].
    #[arg(long, value_name = "PREFIX")]
    forbid_prefix: Vec<String>,
    /// This live key is not there [in the file: [[forbidden]] key].
    #[arg(long, value_name = "KEY")]
    forbid_key: Vec<String>,
    /// The storage version is at least this, as 3.5.
    #[arg(long, value_name = "VERSION")]
    min_storage_version: Option<Version>,
    /// The storage version is at most this.
    #[arg(long, value_name = "VERSION")]
    max_storage_version: Option<Version>,
    /// required: a file without a SHA-256 trailer is bad; optional: it is good. Without this, it is inconclusive.
    #[arg(long, value_parser = trailer, value_name = "required|optional")]
    trailer: Option<TrailerRule>,
    /// The cluster id, in hex; only data directories tell it.
    #[arg(long, value_name = "ID")]
    cluster_id: Option<Id>,
    /// The members are exactly these, by name or id in hex.
    #[arg(long, value_delimiter = ',', value_name = "MEMBER,...")]
    members: Option<Vec<String>>,
    /// At most this many percent of the database are free pages.
    #[arg(long, value_name = "N")]
    max_fragmentation: Option<Percent>,
    /// No alarm is raised.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    no_alarms: Option<bool>,
    /// No compaction was left unfinished.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    no_pending_compaction: Option<bool>,
    /// All live values of these Kubernetes resources are encrypted at rest, as secrets,configmaps.
    #[arg(long, value_delimiter = ',', value_name = "RESOURCE,...")]
    encrypted: Option<Vec<String>>,
    /// Live values of the resources of --encrypted, else of secrets, are by one of these, as kms:v2 or aesgcm.
    #[arg(long, value_delimiter = ',', value_name = "PROVIDER,...")]
    encryption_provider: Option<Vec<String>>,
    /// Neither history nor free pages hold a plain value of the resources of --encrypted, else of secrets.
    #[arg(long, num_args = 0, default_missing_value = "true")]
    no_plaintext_residue: Option<bool>,
}

fn trailer(text: &str) -> Result<TrailerRule, &'static str> {
    match text {
        "required" => Ok(TrailerRule::Required),
        "optional" => Ok(TrailerRule::Optional),
        _ => Err("it is `required` or `optional`"),
    }
}

/// `PREFIX` or `PREFIX>=N`; a prefix may itself hold such signs, but not end like another comparison.
fn required(text: &str) -> Result<Required, String> {
    let number = |n: &str| n.trim().parse().ok();
    if let Some((prefix, n)) = text.rsplit_once(">=")
        && let Some(at_least) = number(n)
    {
        return Ok(Required { keys: Selector::Prefix(prefix.to_owned()), at_least });
    }
    let compared: Option<u64> =
        text.rsplit_once(['<', '>']).and_then(|(_, n)| number(n.strip_prefix('=').unwrap_or(n)));
    if compared.is_some() {
        return Err("is PREFIX or PREFIX>=N; a prefix that ends like that goes into --policy FILE".to_owned());
    }
    Ok(Required { keys: Selector::Prefix(text.to_owned()), at_least: 1 })
}

/// `KIND` or `KIND>=N`.
fn required_kind(text: &str) -> Result<Required, String> {
    let (kind, n) = text.split_once(">=").unwrap_or((text, "1"));
    let at_least = n.trim().parse().map_err(|_| "is KIND or KIND>=N".to_owned())?;
    let objects = ObjectSelector { kind: kind.trim().to_owned(), namespace: None, name: None };
    Ok(Required { keys: Selector::Objects(objects), at_least })
}

fn set<T: Clone>(place: &mut Option<T>, flag: &Option<T>) {
    if flag.is_some() {
        place.clone_from(flag);
    }
}

impl PolicyArgs {
    /// The file and the flags together; `None` when no rule was asked for.
    pub fn policy(&self) -> Result<Option<Policy>, Fail> {
        let mut policy = self.policy.as_deref().map(read).transpose()?.unwrap_or_default();
        set(&mut policy.min_revision, &self.min_revision);
        set(&mut policy.max_revision, &self.max_revision);
        set(&mut policy.keys_not_fewer_than, &self.keys_not_fewer_than);
        set(&mut policy.max_age, &self.max_age);
        set(&mut policy.min_storage_version, &self.min_storage_version);
        set(&mut policy.max_storage_version, &self.max_storage_version);
        set(&mut policy.trailer, &self.trailer);
        set(&mut policy.cluster_id, &self.cluster_id);
        set(&mut policy.members, &self.members);
        set(&mut policy.max_fragmentation, &self.max_fragmentation);
        set(&mut policy.no_alarms, &self.no_alarms);
        set(&mut policy.no_pending_compaction, &self.no_pending_compaction);
        set(&mut policy.encrypted, &self.encrypted);
        set(&mut policy.encryption_provider, &self.encryption_provider.clone().map(Providers));
        set(&mut policy.no_plaintext_residue, &self.no_plaintext_residue);
        let key = |key: &String| Selector::Key(key.clone());
        let keys = self.require_key.iter().map(|name| Required { keys: key(name), at_least: 1 });
        let required: Vec<_> = self
            .require_prefix
            .iter()
            .cloned()
            .chain(keys)
            .chain(self.require_kind.iter().cloned())
            .collect();
        if !required.is_empty() {
            policy.required = required;
        }
        if !self.forbid_prefix.is_empty() || !self.forbid_key.is_empty() {
            let prefixes = self.forbid_prefix.iter().map(|prefix| Selector::Prefix(prefix.clone()));
            policy.forbidden = prefixes
                .chain(self.forbid_key.iter().map(key))
                .map(|keys| Forbidden { keys, at_most: 0 })
                .collect();
        }
        Ok((policy != Policy::default() || self.previous.is_some()).then_some(policy))
    }

    /// The earlier snapshot.
    pub fn previous(&self) -> Option<&Path> {
        self.previous.as_deref()
    }

    /// The files that are read besides the inputs.
    pub fn files(&self) -> impl Iterator<Item = &Path> {
        [&self.policy, &self.previous].into_iter().flatten().map(PathBuf::as_path)
    }
}

fn read(path: &Path) -> Result<Policy, Fail> {
    let usage = |what: String| Fail::Usage(format!("policy {what}"));
    let source = Source::open(path).map_err(|e| usage(e.to_string()))?;
    let bytes = source.read_all(LIMIT).map_err(|c| usage(Error::unreadable(path, c).to_string()))?;
    let place = |offset: usize| {
        let before = &bytes[..offset.min(bytes.len())];
        let line = before.iter().filter(|b| **b == b'\n').count() + 1;
        let column = offset - before.iter().rposition(|b| *b == b'\n').map_or(0, |at| at + 1) + 1;
        format!("{}: line {line}, column {column}", show(path))
    };
    let text = std::str::from_utf8(&bytes)
        .map_err(|e| usage(format!("{}: is not UTF-8", place(e.valid_up_to()))))?;
    toml::from_str(text).map_err(|e| {
        let place = e.span().map_or_else(|| show(path), |span| place(span.start));
        usage(format!("{place}: {}", printable(e.message())))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_may_hold_what_separates_it_from_its_number() {
        for (text, prefix, at_least) in
            [("/a/", "/a/", 1), ("/a/>=5", "/a/", 5), ("/a>=b", "/a>=b", 1), ("/a>=b>=2", "/a>=b", 2)]
        {
            assert_eq!(required(text), Ok(Required { keys: Selector::Prefix(prefix.to_owned()), at_least }));
        }
        for text in ["/p/>50", "/p/=>50", "/p/<5", "/p/<=5", "/p/> 50"] {
            assert!(required(text).is_err(), "{text}");
        }
    }
}
