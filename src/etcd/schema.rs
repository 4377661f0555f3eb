//! The buckets of etcd's database and the keys of its `meta` bucket, and which storage version they amount to.

use crate::bolt::Db;
use crate::etcd::facts::Facts;
use crate::etcd::semver::Semver;
use crate::words::error::{At, Corrupt};
use crate::words::finding::{Code, Finding};
use crate::words::text::Told;

/// Every bucket, in the order bbolt keeps them. All are at the top level, in every version from 3.4 on.
pub const BUCKETS: [&str; 10] = [
    "alarm",
    "auth",
    "authRoles",
    "authUsers",
    "cluster",
    "key",
    "lease",
    "members",
    "members_removed",
    "meta",
];

/// The counter (`Bucket.Sequence`) of the bucket `meta` in a database that was salvaged. etcd's are 0, and it does not
/// look at them.
pub const SALVAGED: u64 = u64::from_be_bytes(*b"salvaged");

/// A minor version of etcd 3 whose files can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub enum Minor {
    /// 3.4.
    #[serde(rename = "3.4")]
    V34,
    /// 3.5.
    #[serde(rename = "3.5")]
    V35,
    /// 3.6.
    #[serde(rename = "3.6")]
    V36,
    /// 3.7.
    #[serde(rename = "3.7")]
    V37,
    /// 3.8, as far as it is known by its first alpha and the changes after that.
    #[serde(rename = "3.8")]
    V38,
}

impl Minor {
    /// All of them, oldest first.
    pub const ALL: [Minor; 5] = [Minor::V34, Minor::V35, Minor::V36, Minor::V37, Minor::V38];

    /// As `3.5`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Minor::V34 => "3.4",
            Minor::V35 => "3.5",
            Minor::V36 => "3.6",
            Minor::V37 => "3.7",
            Minor::V38 => "3.8",
        }
    }

    /// Whether it writes no file of a raft snapshot. None has been needed since 3.7, where the record in the log says
    /// all; the first alpha of 3.8 writes one still, what came after it does not (`server/storage/storage.go
    /// SaveSnap`).
    #[must_use]
    pub fn has_no_raft_snapshot(self) -> bool {
        self >= Minor::V38
    }

    /// The first of them, as 3.5.0: etcd asks whether a cluster's version is greater than that, whatever its own patch.
    #[must_use]
    pub fn first(self) -> Semver {
        let minor = match self {
            Minor::V34 => 4,
            Minor::V35 => 5,
            Minor::V36 => 6,
            Minor::V37 => 7,
            Minor::V38 => 8,
        };
        Semver { major: 3, minor, patch: 0 }
    }

    /// The version that begins with these two numbers, as `3.5` or `3.5.0`.
    #[must_use]
    pub fn of(version: &str) -> Option<Minor> {
        let numbers: Vec<&str> = version.split('.').take(2).collect();
        Minor::ALL.into_iter().find(|minor| minor.name() == numbers.join("."))
    }
}

/// Whether these are the buckets of an etcd database, even if some are lost.
pub fn is_etcd<'n>(names: impl Iterator<Item = &'n [u8]>) -> bool {
    let known: Vec<_> = names.filter(|name| BUCKETS.iter().any(|b| b.as_bytes() == *name)).collect();
    known.len() >= 3 || (known.contains(&b"key".as_slice()) && known.contains(&b"meta".as_slice()))
}

/// Which of the two buckets are missing without which an etcd database says nothing. `names` are those of all buckets
/// of `db`.
pub fn missing<'n>(names: impl Iterator<Item = &'n [u8]>, db: &Db<'_>) -> Vec<Corrupt> {
    let names: Vec<_> = names.collect();
    if !is_etcd(names.iter().copied()) {
        return Vec::new();
    }
    let lost = ["key", "meta"].into_iter().filter(|lost| !names.contains(&lost.as_bytes()));
    let root = db.meta().root;
    let at = At::page(root.0, db.offset_of(root));
    let what = |lost| format!("bucket {lost} is not among the {} buckets", names.len());
    lost.map(|lost| *Corrupt::new(Code::BucketMissing, at.clone().bucket(lost.as_bytes()), what(lost)))
        .collect()
}

/// Which version of etcd's storage schema a file is in, and how that is known.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StorageVersion {
    /// Major and minor, as `3.5`; `None` when the file does not tell.
    pub version: Option<Told>,
    /// Whether the file states it, rather than our inferring it.
    pub stated: bool,
    /// Why.
    pub reason: &'static str,
}

/// The version that the cluster agreed on, if that is older than all whose rules are known here and no newer etcd has
/// written. 3.0 is none: every new cluster begins with it (`version.MinClusterVersion`).
#[must_use]
pub fn older_cluster(facts: &Facts) -> Option<&Told> {
    const FIRST: Semver = Semver { major: 3, minor: 1, patch: 0 };
    let newer = facts.storage_version.is_some() || facts.term.is_some() || facts.conf_state.is_some();
    let stated = facts.cluster_version.as_ref().filter(|_| !newer)?;
    let older = |agreed: Semver| (FIRST..Minor::V34.first()).contains(&agreed);
    Semver::parse(stated.raw()).is_ok_and(older).then_some(stated)
}

/// Says so of a file.
pub(crate) fn told_older(facts: &Facts, file: &str) -> Option<Finding> {
    let agreed = older_cluster(facts)?;
    let what = format!("the cluster is of version {agreed}, older than 3.4, by whose rules it is read");
    Some(Finding::new(Code::EtcdOlder, file, At::default(), what))
}

/// Stated from 3.6 on, inferred before as etcd 3.6 and 3.4.31 do (`UnsafeDetectSchemaVersion`).
#[must_use]
pub fn storage_version(facts: &Facts) -> StorageVersion {
    let inferred =
        |version: &str, reason| StorageVersion { version: Some(version.into()), stated: false, reason };
    // One that etcd cannot parse it takes for none (`UnsafeReadStorageVersion`).
    let stated = facts.storage_version.as_ref().map(Told::raw);
    if let Some(stated) = stated.filter(|v| Semver::parse(v).is_ok()) {
        let minor: Vec<&str> = stated.split('.').take(2).collect();
        return StorageVersion {
            version: Some(minor.join(".").into()),
            stated: true,
            reason: "meta/storageVersion states it",
        };
    }
    if facts.term.is_some() || facts.conf_state.is_some() {
        return inferred("3.5", "meta/term or meta/confState is there, meta/storageVersion is not");
    }
    if facts.consistent_index.is_some() {
        return inferred("3.4", "meta/consistent_index is there, meta/term is not");
    }
    let agreed = facts.cluster_version.as_ref().map(Told::raw).and_then(Minor::of);
    match agreed {
        Some(minor) => {
            inferred(minor.name(), "nothing was ever written, and cluster/clusterVersion names it")
        }
        None => {
            StorageVersion { version: None, stated: false, reason: "the meta bucket has no consistent index" }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_of_an_older_etcd_is_told_from_one_that_has_not_agreed_yet() {
        let of = |version: &str| {
            let facts = Facts { cluster_version: Some(version.into()), ..Facts::default() };
            older_cluster(&facts).is_some()
        };
        assert!(of("3.1.0") && of("3.2.0") && of("3.3.0"));
        assert!(!of("3.0.0") && !of("3.4.0") && !of("3.7.0") && !of("3.3") && !of(""));
        assert_eq!(older_cluster(&Facts::default()), None);
        let begun = Facts { cluster_version: Some("3.3.0".into()), ..Facts::default() };
        assert_eq!(older_cluster(&Facts { storage_version: Some("3.6.0".into()), ..begun }), None);
    }
}
