//! Single pages changed by hand, over a file that stays as it is: what a maintainer does to a database that cannot be
//! opened. Nothing is judged; what a change makes of the whole is told by a walk over the result.
//!
//! What `bbolt surgery` does (`internal/surgeon/surgeon.go` @ v1.4.3), and its differences: elements that stay are
//! packed again and what was behind them is zero; a page that is copied must end inside the file; the meta page that is
//! not in use may be invalid.

use super::node::{Node, PageKind, header};
use super::patch::{Changes, patched};
use crate::bolt::freelist::ESCAPE;
use crate::bolt::limits::{HEADER, META_BODY};
use crate::bolt::meta::{MAGIC, NO_FREELIST, VERSION};
use crate::bolt::{Db, Pgid, RawPage};
use crate::codec::checksum::fnv1a64;
use crate::codec::{to_u64, to_usize};
use crate::io::{Source, Spans, Window};
use crate::words::error::{Error, Result};
use crate::words::refusal::Refusal;

/// One change by hand.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Operation {
    /// The meta page in use becomes the other one: the last transaction is undone.
    RevertMeta,
    /// No freelist is stored any more; bbolt finds the free pages by a walk when it opens the file.
    AbandonFreelist,
    /// These pages are stored as free, in pages at the end.
    RebuildFreelist(Vec<Pgid>),
    /// A page with its overflow pages is copied to another place, and named by it.
    CopyPage {
        /// The page.
        from: Pgid,
        /// Its place.
        to: Pgid,
    },
    /// Elements of a leaf or branch page are removed.
    ClearElements {
        /// The page.
        page: Pgid,
        /// The first, from 0.
        from: usize,
        /// The first that stays; `None` if none does.
        to: Option<usize>,
    },
    /// Fields of a meta page are set, and what makes it a valid one: magic, version, page header, checksum.
    UpdateMeta(MetaUpdate),
    /// Keys are set or removed and buckets dropped, as a transaction would.
    Commit {
        /// By bucket.
        changes: Changes,
        /// Buckets of the root.
        dropped: Vec<Vec<u8>>,
    },
    /// Nothing.
    Nothing,
}

/// What a meta page is to say; fields that are not given stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MetaUpdate {
    /// 0 or 1.
    pub number: u8,
    /// Bytes in a page; also says where meta page 1 lies, if nothing else does.
    pub page_size: Option<u32>,
    /// Where meta page 1 lies.
    pub place: Option<u32>,
    /// Flags in the body, which nobody reads; bbolt's own command sets the page's type there.
    pub flags: Option<u32>,
    /// The root bucket's top page.
    pub root: Option<u64>,
    /// The freelist's first page; `u64::MAX` is none.
    pub freelist: Option<u64>,
    /// The high water mark.
    pub high_water: Option<u64>,
    /// The transaction.
    pub txid: Option<u64>,
}

/// Bytes that are others than before.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Edit {
    /// Where they begin in the file.
    pub offset: u64,
    /// How many.
    pub len: u64,
    /// What they are now.
    pub what: String,
}

/// A file with a change over it.
#[derive(Debug)]
pub struct Operated {
    /// It, as a file that is in part in memory only.
    pub source: Source,
    /// What is changed.
    pub edits: Vec<Edit>,
}

/// Makes a change, over the file.
///
/// # Errors
/// [`Error::Refused`] when the file has not what is to be changed; [`Error::Damaged`] when what it needs of the file
/// cannot be read.
pub fn operate(source: &Source, operation: &Operation) -> Result<Operated> {
    let mut work = Work { source, spans: Spans::new(), end: source.len(), edits: Vec::new() };
    match operation {
        Operation::RevertMeta => work.revert_meta()?,
        Operation::AbandonFreelist => work.abandon_freelist()?,
        Operation::RebuildFreelist(free) => work.rebuild_freelist(free)?,
        Operation::CopyPage { from, to } => work.copy_page(*from, *to)?,
        Operation::ClearElements { page, from, to } => work.clear(*page, *from, *to)?,
        Operation::UpdateMeta(update) => work.update_meta(update)?,
        Operation::Commit { changes, dropped } => return commit(&work.db()?, changes, dropped),
        Operation::Nothing => {}
    }
    let Work { spans, end, edits, .. } = work;
    Ok(Operated { source: source.overlaid(spans, end), edits })
}

fn commit(db: &Db<'_>, changes: &Changes, dropped: &[Vec<u8>]) -> Result<Operated> {
    let root = db.root();
    for name in dropped {
        let there = root.bucket(name).map_err(|c| Error::damaged(db.source().path(), c))?;
        if there.is_none() {
            let (file, parent) = (db.source().name(), Vec::new());
            return Err(Refusal::NoBucket { file, bucket: name.clone(), parent }.into());
        }
    }
    let source = patched(db, changes, dropped)?.source;
    let metas = db.page_size().saturating_mul(2);
    let edit = |offset, len, what: &str| Edit { offset, len, what: what.to_owned() };
    let new = source.len().saturating_sub(db.size());
    let edits = vec![
        edit(0, metas, "both meta pages, of the next transaction"),
        edit(db.size(), new, "pages of what is changed, and of the way to it"),
    ];
    Ok(Operated { source, edits })
}

struct Work<'s> {
    source: &'s Source,
    spans: Spans,
    end: u64,
    edits: Vec<Edit>,
}

impl<'s> Work<'s> {
    fn db(&self) -> Result<Db<'s>> {
        Db::open(self.source).map_err(|c| Error::damaged(self.source.path(), c))
    }

    fn refuse<T>(&self, why: String) -> Result<T> {
        Err(Refusal::Surgery { file: self.source.name(), why }.into())
    }

    fn edit(&mut self, offset: u64, bytes: Vec<u8>, what: String) {
        self.edits.push(Edit { offset, len: to_u64(bytes.len()), what });
        self.end = self.end.max(offset.saturating_add(to_u64(bytes.len())));
        self.spans = std::mem::take(&mut self.spans).with(offset, bytes);
    }

    /// Header and body of what lies at a meta page's place.
    fn meta_bytes(&self, offset: u64) -> Result<Vec<u8>> {
        let mut bytes = vec![0; HEADER.saturating_add(META_BODY)];
        self.source.read_exact_at(offset, &mut bytes).map_err(|c| Error::damaged(self.source.path(), c))?;
        Ok(bytes)
    }

    fn put_meta(&mut self, number: u8, offset: u64, mut bytes: Vec<u8>, what: &str) {
        put(&mut bytes, 0, &header(number.into(), PageKind::Meta, 0, 0));
        let sum = bytes.get(HEADER..HEADER.saturating_add(META_SUMMED)).map_or(0, fnv1a64);
        put(&mut bytes, HEADER.saturating_add(META_SUMMED), &sum.to_le_bytes());
        self.edit(offset, bytes, format!("meta page {number}: {what}"));
    }

    fn revert_meta(&mut self) -> Result<()> {
        let db = self.db()?;
        let live = db.meta_number();
        let Some(other) = db.slots().iter().find(|slot| slot.number != live) else { return Ok(()) };
        if let Some(fault) = &other.fault {
            return self.refuse(format!(
                "meta page {} is no way back, it is not valid: {}",
                other.number, fault.detail
            ));
        }
        let bytes = self.meta_bytes(other.offset)?;
        let txid = other.meta.map_or(0, |meta| meta.txid.0);
        let what = format!("the same as meta page {}, transaction {txid}", other.number);
        self.put_meta(live, db.offset_of(Pgid(live.into())), bytes, &what);
        Ok(())
    }

    fn abandon_freelist(&mut self) -> Result<()> {
        let db = self.db()?;
        for slot in db.slots().clone() {
            if slot.fault.is_some() {
                continue;
            }
            let mut bytes = self.meta_bytes(slot.offset)?;
            put(&mut bytes, FREELIST, &NO_FREELIST.to_le_bytes());
            self.put_meta(slot.number, slot.offset, bytes, "no freelist");
        }
        Ok(())
    }

    /// As a commit does: behind the last page, and in the meta page that is not in use.
    fn rebuild_freelist(&mut self, free: &[Pgid]) -> Result<()> {
        let db = self.db()?;
        if let Some(page) = db.meta().freelist {
            return self.refuse(format!("a freelist is stored, at page {page}: abandon it first"));
        }
        let count = if free.len() < ESCAPE { free.len() } else { ESCAPE };
        let escaped = (free.len() >= ESCAPE).then(|| to_u64(free.len()));
        let ids: Vec<u8> =
            escaped.into_iter().chain(free.iter().map(|id| id.0)).flat_map(u64::to_le_bytes).collect();
        let page_size = to_usize(db.page_size());
        let run = HEADER.saturating_add(ids.len()).div_ceil(page_size);
        let (page, high) = (db.meta().high_water.0, db.meta().high_water.0.saturating_add(to_u64(run)));
        let mut bytes = header(page, PageKind::FreelistPage, count, run.saturating_sub(1)).to_vec();
        bytes.extend(ids);
        bytes.resize(run.saturating_mul(page_size), 0);
        self.edit(db.size(), bytes, format!("page {page}: the freelist, {} pages", free.len()));
        let number = 1u8.saturating_sub(db.meta_number());
        let mut bytes = self.meta_bytes(db.offset_of(Pgid(db.meta_number().into())))?;
        put(&mut bytes, FREELIST, &page.to_le_bytes());
        put(&mut bytes, HIGH_WATER, &high.to_le_bytes());
        let txid = db.meta().txid.0.saturating_add(1);
        put(&mut bytes, TXID, &txid.to_le_bytes());
        let what = format!("transaction {txid}, freelist at page {page}, high water mark {high}");
        self.put_meta(number, db.offset_of(Pgid(number.into())), bytes, &what);
        Ok(())
    }

    fn copy_page(&mut self, from: Pgid, to: Pgid) -> Result<()> {
        let page_size = self.db()?.page_size();
        let mut window = Window::new();
        let page = RawPage::read(self.source, page_size, from, &mut window)
            .map_err(|c| Error::damaged(self.source.path(), c))?;
        let mut bytes = page.bytes.to_vec();
        put(&mut bytes, 0, &to.0.to_le_bytes());
        let offset = to.0.saturating_mul(page_size);
        let end = offset.saturating_add(to_u64(bytes.len()));
        if end > self.source.len() {
            let len = self.source.len();
            return self.refuse(format!("page {to} would end at byte {end}, the file ends at {len}"));
        }
        let pages = to_u64(bytes.len()).checked_div(page_size).unwrap_or(1);
        self.edit(offset, bytes, format!("page {to}: the same as page {from}, {pages} in all"));
        Ok(())
    }

    fn clear(&mut self, id: Pgid, from: usize, to: Option<usize>) -> Result<()> {
        let page_size = self.db()?.page_size();
        let mut window = Window::new();
        let raw = RawPage::read(self.source, page_size, id, &mut window)
            .map_err(|c| Error::damaged(self.source.path(), c))?;
        let kinds = [crate::bolt::PageKind::Leaf, crate::bolt::PageKind::Branch];
        let Some(page) = raw.page.filter(|page| kinds.contains(&page.kind)) else {
            return self.refuse(format!("page {id} is neither a leaf nor a branch page"));
        };
        let to = to.unwrap_or(page.count);
        if from >= to || to > page.count {
            return self
                .refuse(format!("elements {from} up to {to} of page {id} are to go, it has {}", page.count));
        }
        let (mut node, kind) = match page.kind {
            crate::bolt::PageKind::Leaf => (Node::default(), PageKind::Leaf),
            _ => (Node::default(), PageKind::Branch),
        };
        let damaged = |c| Error::damaged(self.source.path(), c);
        for index in (0..page.count).filter(|index| !(from..to).contains(index)) {
            if kind == PageKind::Leaf {
                let element = page.leaf(index).map_err(damaged)?;
                node.push(element.key, element.value, u64::from(element.is_bucket));
            } else {
                let element = page.branch(index).map_err(damaged)?;
                node.push(element.key, &[], element.child.0);
            }
        }
        let (count, old) = (node.len(), raw.bytes.len());
        let run = node.size().div_ceil(to_usize(page_size)).max(1);
        let mut bytes = Vec::with_capacity(old);
        node.head(kind, id.0, count, run.saturating_sub(1), &mut bytes);
        bytes.extend_from_slice(node.data(count));
        bytes.resize(old, 0);
        let freed = to_u64(old).checked_div(page_size).unwrap_or(0).saturating_sub(to_u64(run));
        let freed = if freed > 0 { format!("; {freed} pages of it are free now") } else { String::new() };
        self.edit(
            id.0.saturating_mul(page_size),
            bytes,
            format!("page {id}: elements {from} up to {to} are gone, {count} stay{freed}"),
        );
        Ok(())
    }

    fn update_meta(&mut self, update: &MetaUpdate) -> Result<()> {
        let number = update.number.min(1);
        let page_size = match (update.place.or(update.page_size), number) {
            (_, 0) => 0,
            (Some(page_size), _) => page_size,
            (None, _) => self
                .meta_bytes(0)?
                .get(24..28)
                .map_or(0, |bytes| bytes.iter().rev().fold(0, |sum, byte| (sum << 8) | u32::from(*byte))),
        };
        if number == 1 && !page_size.is_power_of_two() {
            return self.refuse(format!("where meta page 1 lies is not known: {page_size} is no page size"));
        }
        let mut bytes = self.meta_bytes(page_size.into())?;
        put(&mut bytes, HEADER, &MAGIC.to_le_bytes());
        put(&mut bytes, 20, &VERSION.to_le_bytes());
        let mut set = vec!["magic, version and checksum".to_owned()];
        if let Some(page_size) = update.page_size {
            put(&mut bytes, 24, &page_size.to_le_bytes());
            set.push(format!("page size {page_size}"));
        }
        if let Some(flags) = update.flags {
            put(&mut bytes, FLAGS, &flags.to_le_bytes());
        }
        for (name, at, value) in [
            ("root", ROOT, update.root),
            ("freelist", FREELIST, update.freelist),
            ("high water mark", HIGH_WATER, update.high_water),
            ("transaction", TXID, update.txid),
        ] {
            let Some(value) = value else { continue };
            put(&mut bytes, at, &value.to_le_bytes());
            set.push(format!("{name} {value}"));
        }
        self.put_meta(number, page_size.into(), bytes, &set.join(", "));
        Ok(())
    }
}

/// Bytes of a meta page's body that its checksum covers.
const META_SUMMED: usize = 56;
// Where fields of a meta page lie.
const FLAGS: usize = 28;
const ROOT: usize = 32;
const FREELIST: usize = 48;
const HIGH_WATER: usize = 56;
const TXID: usize = 64;

/// Bytes over others, where there is room for all of them.
fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    if let Some(old) = bytes.get_mut(at..at.saturating_add(new.len())) {
        old.copy_from_slice(new);
    }
}
