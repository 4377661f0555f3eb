//! kine's table: what k3s keeps in SQLite where it runs without etcd.
//!
//! ```text
//! id               the revision: one more with each row
//! name             the key
//! created          1 where the key was not there before
//! deleted          1 where it is deleted
//! create_revision  the id of the row that created it; 0 or null in that row itself, and of old kines in one that deletes
//! prev_revision    the id of the row that this one takes the place of, the one that deleted it too
//! lease            seconds that it lives, which kine calls the lease's id too
//! value, old_value the value, and that of prev_revision
//! ```
//!
//! Rows that are no keys: `compact_rev_key`, whose `prev_revision` is what history is compacted up to, and `gap-N`, by
//! which id N is used up when it was left out. The API server's own `compact_rev_key` is kept under
//! `compact_rev_key_apiserver`, with its version before its value.
//!
//! kine counts no versions of a key, and answers 0 for every other one; so do rows here.
//!
//! Source: `github.com/k3s-io/kine` `pkg/drivers/{sqlite/sqlite,generic/generic}.go`,
//! `pkg/logstructured/{logstructured,sqllog/sql}.go`, `pkg/server/{kv,compact}.go` @ v0.17.5.

use std::borrow::Cow;

use super::kv::KeyValue;
use super::revision::{BucketKey, Revision};
use crate::sqlite::{Value, record};

/// Its name.
pub const TABLE: &[u8] = b"kine";
/// Its columns, in the order in which they are stored.
pub const COLUMNS: [&str; 9] =
    ["id", "name", "created", "deleted", "create_revision", "prev_revision", "lease", "value", "old_value"];

const COMPACTED: &[u8] = b"compact_rev_key";
const COMPACTED_API: &[u8] = b"compact_rev_key_apiserver";

/// What a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KineRow<'r> {
    /// A key that was put or deleted.
    Change(Change<'r>),
    /// History is compacted up to that revision; 0 before the first time.
    Compacted(i64),
    /// An id that nothing was written with.
    Gap,
}

/// A key that was put or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change<'r> {
    key: Cow<'r, [u8]>,
    deleted: bool,
    revision: i64,
    create_revision: i64,
    version: i64,
    lease: i64,
    value: &'r [u8],
}

impl<'r> KineRow<'r> {
    /// Reads the row with that id.
    ///
    /// # Errors
    /// What kine does not write.
    pub fn read(id: i64, payload: &'r [u8]) -> Result<KineRow<'r>, String> {
        let [_, name, created, deleted, create_revision, previous, lease, value, _] = record::<9>(payload)?;
        let number = |column: &str, value: Value<'_>| match value {
            Value::Null => Ok(0),
            Value::Integer(number) if number >= 0 => Ok(number),
            Value::Integer(number) => Err(format!("{column} is {number}")),
            other => Err(format!("{column} is of type {}, where integers are", other.kind())),
        };
        if id <= 0 {
            return Err(format!("its id is {id}"));
        }
        let key = match name {
            Value::Text(name) | Value::Blob(name) => Cow::Borrowed(name),
            // The first kines declared the column as one of integers, and SQLite makes one of what looks so.
            Value::Integer(name) => Cow::Owned(name.to_string().into_bytes()),
            other => return Err(format!("name is of type {}, where texts are", other.kind())),
        };
        if key.is_empty() {
            return Err("it names no key".to_owned());
        }
        if *key == *COMPACTED {
            return Ok(KineRow::Compacted(number("prev_revision", previous)?));
        }
        let (created, deleted) = (number("created", created)? != 0, number("deleted", deleted)? != 0);
        if deleted && is_gap(&key, id) {
            return Ok(KineRow::Gap);
        }
        let value = match value {
            Value::Null => &[][..],
            Value::Blob(value) | Value::Text(value) => value,
            other => return Err(format!("value is of type {}, where blobs are", other.kind())),
        };
        let stored = number("create_revision", create_revision)?;
        let create_revision = if created { id } else { stored };
        let change = Change {
            key,
            deleted,
            revision: id,
            create_revision,
            version: 0,
            lease: number("lease", lease)?,
            value,
        };
        Ok(KineRow::Change(change.named_for_clients()))
    }
}

/// Whether a row of that id is one that fills a gap (`Generic.Fill`).
fn is_gap(key: &[u8], id: i64) -> bool {
    key.strip_prefix(b"gap-").is_some_and(|number| number == id.to_string().as_bytes())
}

impl<'r> Change<'r> {
    /// The API server's `compact_rev_key` has another name and its version in the value (`toKV`, `DecodeVersion`).
    fn named_for_clients(self) -> Change<'r> {
        if *self.key != *COMPACTED_API {
            return self;
        }
        let mut halves = self.value.splitn(2, |byte| *byte == b'|');
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        let version = halves.next().and_then(number).unwrap_or(0);
        // Older kines stored the version alone.
        let value = halves.next().unwrap_or(b"0");
        Change { key: Cow::Borrowed(COMPACTED), version, value, ..self }
    }

    /// The key and the value that etcd would store of it.
    #[must_use]
    pub fn stored(&self) -> (BucketKey, KeyValue<'_>) {
        let revision = Revision { main: self.revision, sub: 0 };
        let kv = if self.deleted {
            KeyValue { key: &self.key, ..KeyValue::default() }
        } else {
            KeyValue {
                key: &self.key,
                create_revision: self.create_revision,
                mod_revision: self.revision,
                version: self.version,
                value: self.value,
                lease: self.lease,
            }
        };
        (BucketKey { revision, tombstone: self.deleted }, kv)
    }
}

/// Whether a statement made a table of these columns in this order, whatever their types.
#[must_use]
pub fn is_kines(sql: &[u8]) -> bool {
    let text = String::from_utf8_lossy(sql);
    let Some((_, columns)) = text.split_once('(') else { return false };
    let mut columns = columns.split(',').map(|column| column.split_whitespace().next().unwrap_or_default());
    COLUMNS
        .iter()
        .all(|due| columns.next().is_some_and(|is| is.trim_matches(['"', '`']).eq_ignore_ascii_case(due)))
}
