//! Which snapshots of a directory stay when a new one is there: by their names and manifests alone. What is not by
//! that name, has no manifest, or is not as long as that says, is somebody else's: it is neither counted nor removed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::io::packed::Compression;
use crate::ops::verify::manifest::Manifest;
use crate::ops::verify::targets::SIDECAR;
use crate::words::error::{Error, Result, show};
use crate::words::ids::ClusterId;

/// When a snapshot was taken, in its name.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// What the name of one that is closed ends with.
pub(super) const CLOSED: &str = ".age";

/// How many snapshots stay. The newest always does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Keep {
    /// The newest so many.
    pub last: usize,
    /// The newest of each of the newest so many days that have one, in UTC.
    pub daily: usize,
    /// The newest of each of the newest so many weeks that have one, in UTC, from Monday.
    pub weekly: usize,
}

/// The name of a snapshot in a directory of them, and what tells that it is compressed, and closed.
#[must_use]
pub fn name(cluster: ClusterId, taken: Timestamp, [compressed, closed]: [&str; 2]) -> String {
    let taken = taken.to_zoned(TimeZone::UTC).strftime(STAMP);
    format!("etcd-{cluster:#}-{taken}.db{compressed}{closed}")
}

/// What the name of one that is compressed ends with, or not.
const COMPRESSED: [&str; 3] = ["", Compression::Gzip.ending(), Compression::Zstd.ending()];

/// Whether there is one of that moment in a directory, in whatever form.
pub(super) fn is_taken(dir: &Path, cluster: ClusterId, moment: Timestamp) -> bool {
    let there =
        |compressed: &str, closed: &str| dir.join(name(cluster, moment, [compressed, closed])).exists();
    COMPRESSED.iter().any(|compressed| there(compressed, "") || there(compressed, CLOSED))
}

/// When it was taken, if it is a name of a snapshot of that cluster.
#[must_use]
pub fn taken(name: &str, cluster: ClusterId) -> Option<Timestamp> {
    let rest = name.strip_prefix(&format!("etcd-{cluster:#}-"))?;
    let (stamp, ends) = rest.split_once(".db")?;
    let compressed = ends.strip_suffix(CLOSED).unwrap_or(ends);
    let known = COMPRESSED.contains(&compressed);
    let taken = DateTime::strptime(STAMP, stamp).ok()?.to_zoned(TimeZone::UTC).ok()?.timestamp();
    // One moment has one name.
    (known && self::name(cluster, taken, [ends, ""]) == name).then_some(taken)
}

/// Which of these do not stay, by when they were taken.
#[must_use]
pub fn superfluous(all: &[Timestamp], keep: Keep) -> Vec<usize> {
    let mut newest_first: Vec<usize> = (0..all.len()).collect();
    let moment = |at: &usize| all.get(*at).copied().unwrap_or_default();
    newest_first.sort_by_key(|at| std::cmp::Reverse((moment(at), *at)));
    let mut stays: BTreeSet<usize> = newest_first.iter().copied().take(keep.last.max(1)).collect();
    let day = |at: &usize| moment(at).to_zoned(TimeZone::UTC).date();
    let (mut days, mut weeks) = (BTreeSet::new(), BTreeSet::new());
    for at in &newest_first {
        let week = day(at).iso_week_date();
        if days.len() < keep.daily && days.insert(day(at)) {
            stays.insert(*at);
        }
        if weeks.len() < keep.weekly && weeks.insert((week.year(), week.week())) {
            stays.insert(*at);
        }
    }
    newest_first.into_iter().filter(|at| !stays.contains(at)).collect()
}

/// Removes what does not stay beside `new`, which is good and stays whatever its name says. Gives what was removed.
///
/// # Errors
/// [`Error::Output`] when the directory cannot be read, or a file cannot be removed.
pub fn prune(dir: &Path, new: &Path, cluster: ClusterId, keep: Keep) -> Result<Vec<String>> {
    let mut found: Vec<(Timestamp, PathBuf)> = Vec::new();
    let unreadable = |source| Error::Output { what: show(dir), source };
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if let Some(taken) = name.and_then(|name| taken(name, cluster)).filter(|_| is_ours(&path)) {
            found.push((taken, path));
        }
    }
    found.sort();
    let moments: Vec<Timestamp> = found.iter().map(|(taken, _)| *taken).collect();
    let mut removed = Vec::new();
    for at in superfluous(&moments, keep) {
        let Some((_, path)) = found.get(at).filter(|(_, path)| path.file_name() != new.file_name()) else {
            continue;
        };
        remove(path)?;
        remove(&sidecar(path))?;
        removed.push(show(path));
    }
    removed.sort();
    Ok(removed)
}

/// The manifest beside a snapshot.
#[must_use]
pub fn sidecar(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(SIDECAR);
    PathBuf::from(name)
}

/// Whether it is a file of which the manifest beside it knows, as long as that says.
fn is_ours(path: &Path) -> bool {
    let Ok(there) = fs::symlink_metadata(path) else { return false };
    let Ok(manifest) = Manifest::read(&sidecar(path)) else { return false };
    let named = |entry: &&crate::ops::verify::manifest::ManifestEntry| {
        Some(entry.name()) == path.file_name().and_then(|name| name.to_str())
    };
    there.is_file() && manifest.files.iter().find(named).is_some_and(|entry| entry.size == there.len())
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            Err(Error::Output { what: show(path), source })
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn a_name_says_when_and_of_which_cluster_and_nothing_else_is_one() {
        let (cluster, moment) = (ClusterId::new(0xc0ffee), at("2026-11-29T16:03:06Z"));
        let due = "etcd-0000000000c0ffee-20261129T160306Z.db";
        assert_eq!(name(cluster, moment, ["", ""]), due);
        assert_eq!(name(cluster, moment, [".gz", ".age"]), format!("{due}.gz.age"));
        for ends in ["", ".age", ".gz", ".zst", ".gz.age", ".zst.age"] {
            assert_eq!(taken(&format!("{due}{ends}"), cluster), Some(moment), "{ends}");
        }
        assert_eq!(taken(due, ClusterId::new(1)), None);
        for other in [
            "etcd.db",
            "etcd-0000000000c0ffee-20261129T160306Z.db.manifest.json",
            "etcd-0000000000c0ffee-20261129T160306Z.db.partial",
            "etcd-0000000000c0ffee-20261129T160306Z.db.xz",
            "etcd-0000000000c0ffee-20261129T160306Z.db.age.gz",
            "etcd-0000000000c0ffee-20261129T160306Z",
            "etcd-0000000000c0ffee-2026-11-29.db",
            "etcd-0000000000c0ffee-20261329T160306Z.db",
            "my-etcd-0000000000c0ffee-20261129T160306Z.db",
        ] {
            assert_eq!(taken(other, cluster), None, "{other}");
        }
    }

    #[test]
    fn days_and_weeks_keep_their_newest() {
        let all = [
            "2026-11-16T01:00:00Z", // 0: Monday of the week before last
            "2026-11-22T23:00:00Z", // 1: Sunday of the same week
            "2026-11-27T01:00:00Z", // 2
            "2026-11-28T01:00:00Z", // 3
            "2026-11-28T02:00:00Z", // 4
            "2026-11-29T01:00:00Z", // 5
            "2026-11-29T02:00:00Z", // 6
        ]
        .map(at);
        let gone = |keep| {
            let mut gone = superfluous(&all, keep);
            gone.sort_unstable();
            gone
        };
        assert_eq!(gone(Keep { last: 2, ..Keep::default() }), [0, 1, 2, 3, 4]);
        assert_eq!(gone(Keep { daily: 2, ..Keep::default() }), [0, 1, 2, 3, 5]);
        assert_eq!(gone(Keep { weekly: 9, ..Keep::default() }), [0, 2, 3, 4, 5]);
        assert_eq!(gone(Keep { last: 1, daily: 3, weekly: 4 }), [0, 3, 5]);
        assert_eq!(gone(Keep::default()), [0, 1, 2, 3, 4, 5]);
    }

    proptest! {
        #[test]
        fn the_newest_stays_and_what_the_rules_say_and_no_more(
            seconds in proptest::collection::vec(0i64..4_000_000, 0..40),
            (last, daily, weekly) in (0usize..6, 0usize..6, 0usize..4),
        ) {
            let all: Vec<_> = seconds.iter().map(|s| Timestamp::from_second(*s).unwrap()).collect();
            let gone = superfluous(&all, Keep { last, daily, weekly });
            let stays: Vec<_> = (0..all.len()).filter(|at| !gone.contains(at)).map(|at| all[at]).collect();
            prop_assert_eq!(stays.iter().max(), all.iter().max());
            prop_assert!(stays.len() <= last.max(1) + daily + weekly);
            let mut sorted = all.clone();
            sorted.sort();
            sorted.reverse();
            for moment in sorted.iter().take(last) {
                prop_assert!(stays.contains(moment));
            }
            // 1970-01-01 was a Thursday.
            for (count, span, shift) in [(daily, 86_400, 0), (weekly, 7 * 86_400, 3 * 86_400)] {
                let part = |moment: &Timestamp| (moment.as_second() + shift) / span;
                let parts: BTreeSet<_> = all.iter().map(part).collect();
                for due in parts.iter().rev().take(count) {
                    let newest = all.iter().filter(|moment| part(moment) == *due).max().unwrap();
                    prop_assert!(stays.contains(newest));
                }
            }
        }
    }

    /// A snapshot as it would be there, with a manifest that says that length.
    fn put(dir: &Path, name: &str, len: u64) {
        fs::write(dir.join(name), b"12345").unwrap();
        let manifest = format!(
            r#"{{"schema":"coldbolt.manifest/1","files":[{{"path":"/elsewhere/{name}","size":{len},"sha256":"00"}}]}}"#
        );
        fs::write(sidecar(&dir.join(name)), manifest).unwrap();
    }

    #[test]
    fn what_it_did_not_make_is_neither_counted_nor_removed() {
        let dir = tempfile::tempdir().unwrap();
        let cluster = ClusterId::new(7);
        let days: Vec<_> = (1..=4).map(|day| at(&format!("2026-11-0{day}T00:00:00Z"))).collect();
        let names: Vec<_> = days.iter().map(|day| name(cluster, *day, ["", ""])).collect();
        for name in &names {
            put(dir.path(), name, 5);
        }
        let other = name(ClusterId::new(8), days[0], ["", ""]);
        put(dir.path(), &other, 5);
        // Longer than what is written down, or nothing is written down.
        let changed = name(cluster, at("2026-11-05T00:00:00Z"), ["", ""]);
        put(dir.path(), &changed, 4);
        let bare = name(cluster, at("2026-11-06T00:00:00Z"), ["", ""]);
        fs::write(dir.path().join(&bare), b"12345").unwrap();
        fs::write(dir.path().join("mine.db"), b"12345").unwrap();
        let new = dir.path().join(&names[0]);
        // The clock was set back: the new one is the oldest, and stays.
        let keep = Keep { last: 2, ..Keep::default() };
        let removed = prune(dir.path(), &new, cluster, keep).unwrap();
        assert_eq!(removed, [show(&dir.path().join(&names[1]))]);
        for name in [&names[0], &names[2], &names[3], &other, &changed, &bare, &"mine.db".to_owned()] {
            assert!(dir.path().join(name).exists(), "{name}");
        }
        assert!(!sidecar(&dir.path().join(&names[1])).exists());
        assert!(prune(dir.path(), &new, cluster, keep).unwrap().is_empty());
    }
}
