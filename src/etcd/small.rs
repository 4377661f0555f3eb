//! The small buckets, which are all but `key`, read to what they say: by [`read`], which checks every page on the way
//! and goes on behind what is wrong, or by [`facts`], which ends at the first page that cannot be read.

use crate::bolt::walk::{Buckets, Shared, Visited, Visitor, walk};
use crate::bolt::{Db, Item, LeafElement, Page};
use crate::etcd::{Facts, schema, stored};
use crate::words::collector::Collector;
use crate::words::error::{At, Corrupt, Error, Result};
use crate::words::monitor::Monitor;

/// What was read of a database.
#[derive(Debug)]
pub struct Small<'d, 's> {
    /// All buckets, and what is wrong with the pages that name them.
    pub top: Buckets<'d, 's>,
    /// Buckets without which an etcd database says nothing, and which are not there.
    pub missing: Vec<Corrupt>,
    /// What the buckets that were wanted say.
    pub facts: Facts,
    /// What is wrong with them.
    pub faults: Collector<Corrupt>,
}

impl Small<'_, '_> {
    /// Everything that is wrong.
    pub fn all_faults(&self) -> impl Iterator<Item = &Corrupt> {
        self.top.faults.iter().chain(&self.missing).chain(&self.faults.kept)
    }
}

/// Reads the small buckets that are `wanted`, and checks every page on the way. So many faults of each kind,
/// `keep`, are kept.
pub fn read<'d, 's>(
    db: &'d Db<'s>,
    wanted: &dyn Fn(&[u8]) -> bool,
    keep: u64,
    monitor: &dyn Monitor,
) -> Small<'d, 's> {
    let visited = Visited::new(db);
    let shared = Shared::new(&visited, monitor);
    let mut top = Buckets::new(db);
    walk(&db.root(), shared, &mut top);
    let missing = schema::missing(top.found.iter().map(|bucket| bucket.name.as_slice()), db);
    let (mut facts, mut faults) = (Facts::default(), Collector::new(keep));
    for bucket in top.found.iter().filter(|bucket| wanted(&bucket.name)) {
        let name = bucket.name.as_slice();
        walk(bucket, shared, &mut Reader { bucket: name, facts: &mut facts, faults: &mut faults });
    }
    Small { top, missing, facts, faults }
}

/// Gets an item of a small bucket, and whether it could be taken in; may end the reading.
pub type Each<'e, 'n> =
    dyn FnMut(&'n str, &Item<'_>, Result<(), Box<Corrupt>>) -> Result<(), Box<Corrupt>> + 'e;

/// What these small buckets say. `each` gets every item, by bucket, and whether it could be taken in.
///
/// # Errors
/// Damage on the way to them and in their pages, and what `each` returns.
pub fn facts<'n>(db: &Db<'_>, names: &[&'n str], each: &mut Each<'_, 'n>) -> Result<Facts, Box<Corrupt>> {
    let mut facts = Facts::default();
    let root = db.root();
    for name in names {
        let Some(bucket) = root.bucket(name.as_bytes())? else { continue };
        let mut cursor = bucket.cursor();
        while let Some(item) = cursor.next()? {
            let at = || At::default().bucket(name.as_bytes()).key(item.key);
            let taken = facts.take(name.as_bytes(), item.key, item.value).map_err(|why| why.corrupt(at()));
            each(name, &item, taken)?;
        }
    }
    Ok(facts)
}

/// Everything the small buckets say but `lease` and those of users, and the last stored revision that decodes.
///
/// # Errors
/// [`Error::Damaged`] when a page on the way cannot be read.
pub fn facts_and_last(db: &Db<'_>) -> Result<(Facts, i64)> {
    let damaged = |corrupt| Error::damaged(db.source().path(), corrupt);
    // What does not decode was reported when the source was verified.
    let names = ["alarm", "cluster", "members", "members_removed", "meta"];
    let facts = facts(db, &names, &mut |_, _, _| Ok(())).map_err(damaged)?;
    let Some(keys) = db.root().bucket(stored::BUCKET).map_err(damaged)? else { return Ok((facts, 0)) };
    let last = stored::last_that_decodes(&keys).map_err(damaged)?;
    Ok((facts, last.map_or(0, |key| key.revision.main)))
}

struct Reader<'r> {
    bucket: &'r [u8],
    facts: &'r mut Facts,
    faults: &'r mut Collector<Corrupt>,
}

impl Visitor for Reader<'_> {
    fn leaf<'p>(&mut self, page: &Page<'p>, elements: &[LeafElement<'p>], _: Option<usize>) {
        for element in elements.iter().filter(|element| !element.is_bucket) {
            if let Err(why) = self.facts.take(self.bucket, element.key, element.value) {
                self.fault(*why.corrupt(page.element_at(element.index).key(element.key)));
            }
        }
    }

    fn fault(&mut self, mut corrupt: Corrupt) {
        corrupt.at = corrupt.at.bucket(self.bucket);
        self.faults.push(corrupt);
    }
}
