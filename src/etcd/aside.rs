//! A database beside the one that replaced it, under the name that what replaces a file has until then.
//!
//! It is left by a run that is killed after the two changed their names; an etcd that waited for the lock of the old
//! one runs on that then. Which of the two etcd wrote last, their raft indexes tell.

use std::path::{Path, PathBuf};

use crate::bolt::Db;
use crate::etcd::{datadir, small};
use crate::io::tree;
use crate::words::ids::RaftIndex;

/// A database beside another, which goes further.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Aside {
    /// Where it is.
    pub path: PathBuf,
    /// How far it goes.
    pub index: RaftIndex,
}

impl Aside {
    /// The one that goes furthest beside the database `db` and past raft index `than`, where the database ends. What is
    /// none, or cannot be read, is not further.
    #[must_use]
    pub fn further(db: &Path, than: RaftIndex) -> Option<Aside> {
        let beside = tree::read_dir(db.parent()?).ok()?.into_iter();
        let asides = beside.filter(|entry| entry.name.to_str().is_some_and(is_aside));
        let known = asides.filter_map(|entry| Some(Aside { index: index(&entry.path)?, path: entry.path }));
        known.filter(|aside| aside.index > than).max_by_key(|aside| aside.index)
    }
}

/// Whether what replaces `db` has this name before.
fn is_aside(name: &str) -> bool {
    let own = name.strip_prefix("db.").and_then(|rest| rest.strip_suffix(".partial"));
    own.is_some_and(|own| own.len() == 16 && own.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn index(path: &Path) -> Option<RaftIndex> {
    let source = tree::open(path).ok()?;
    raft_index(&datadir::database(&source).ok()?)
}

/// The raft index at which a database ends, if it tells.
#[must_use]
pub fn raft_index(db: &Db<'_>) -> Option<RaftIndex> {
    small::facts(db, &["meta"], &mut |_, _, _| Ok(())).ok()?.consistent_index
}

#[cfg(all(test, feature = "fs"))]
mod tests {
    use super::*;
    use crate::io::dest::{Dest, Existing};

    #[test]
    fn what_replaces_a_database_is_known_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let dest = Dest::create(&dir.path().join("db"), Existing::Replace).unwrap();
        assert!(is_aside(dest.partial().file_name().unwrap().to_str().unwrap()));
        for other in
            ["db", "db.partial", "db.0123456789abcde.partial", "db.0123456789abcdef.part", "a.snap.db"]
        {
            assert!(!is_aside(other), "{other}");
        }
    }
}
