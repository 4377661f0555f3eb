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
    Change(KineChange<'r>),
    /// History is compacted up to that revision; 0 before the first time.
    Compacted(i64),
    /// An id that nothing was written with.
    Gap,
}

/// A key that was put or deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KineChange<'r> {
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
        let change = KineChange {
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

impl<'r> KineChange<'r> {
    /// The API server's `compact_rev_key` has another name and its version in the value (`toKV`, `DecodeVersion`).
    fn named_for_clients(self) -> KineChange<'r> {
        if *self.key != *COMPACTED_API {
            return self;
        }
        let mut halves = self.value.splitn(2, |byte| *byte == b'|');
        let number = |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok());
        let version = halves.next().and_then(number).unwrap_or(0);
        // Older kines stored the version alone.
        let value = halves.next().unwrap_or(b"0");
        KineChange { key: Cow::Borrowed(COMPACTED), version, value, ..self }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A row: each column as its type and its bytes.
    fn row(columns: &[(u8, &[u8])]) -> Vec<u8> {
        let head = [
            &[u8::try_from(columns.len() + 1).unwrap()][..],
            &columns.iter().map(|c| c.0).collect::<Vec<_>>(),
        ];
        [head.concat(), columns.iter().flat_map(|c| c.1.to_vec()).collect()].concat()
    }

    const NULL: (u8, &[u8]) = (0, b"");
    const ZERO: (u8, &[u8]) = (8, b"");
    const ONE: (u8, &[u8]) = (9, b"");

    fn text(text: &[u8]) -> (u8, &[u8]) {
        (u8::try_from(13 + 2 * text.len()).unwrap(), text)
    }

    fn blob(bytes: &[u8]) -> (u8, &[u8]) {
        (u8::try_from(12 + 2 * bytes.len()).unwrap(), bytes)
    }

    #[test]
    fn a_row_that_creates_updates_and_deletes_is_what_etcd_stores_then() {
        let read = |id, row: &[u8]| {
            let KineRow::Change(change) = KineRow::read(id, row).unwrap() else { panic!("no change") };
            let (key, kv) = change.stored();
            (
                key.tombstone,
                key.revision.main,
                kv.create_revision,
                kv.mod_revision,
                kv.value.to_vec(),
                kv.lease,
            )
        };
        let created = row(&[NULL, text(b"/a"), ONE, ZERO, NULL, ZERO, (1, &[60]), blob(b"x"), NULL]);
        assert_eq!(read(5, &created), (false, 5, 5, 5, b"x".to_vec(), 60));
        let updated = row(&[NULL, text(b"/a"), ZERO, ZERO, (1, &[5]), (1, &[5]), ZERO, NULL, blob(b"x")]);
        assert_eq!(read(6, &updated), (false, 6, 5, 6, vec![], 0));
        let deleted = row(&[NULL, text(b"/a"), ZERO, ONE, (1, &[5]), (1, &[6]), ZERO, NULL, NULL]);
        assert_eq!(read(7, &deleted), (true, 7, 0, 0, vec![], 0));
    }

    #[test]
    fn rows_that_are_no_keys_are_told_from_keys_of_nearly_the_same_name() {
        let named = |name: &'static [u8], deleted, previous| {
            let row = row(&[NULL, text(name), ZERO, deleted, ZERO, previous, ZERO, NULL, NULL]);
            KineRow::read(9, &row).map(|row| !matches!(row, KineRow::Change(_)))
        };
        assert_eq!(named(b"gap-9", ONE, ZERO), Ok(true));
        assert_eq!(named(b"gap-9", ZERO, ZERO), Ok(false));
        assert_eq!(named(b"gap-8", ONE, ZERO), Ok(false));
        assert_eq!(named(b"compact_rev_key", ZERO, (1, &[4])), Ok(true));
        assert_eq!(named(b"compact_rev_key_apiserver", ZERO, ZERO), Ok(false));
        let compacted = row(&[NULL, text(b"compact_rev_key"), ONE, ZERO, ZERO, (1, &[4]), ZERO, NULL, NULL]);
        assert_eq!(KineRow::read(1, &compacted), Ok(KineRow::Compacted(4)));
    }

    #[test]
    fn the_version_of_the_api_servers_key_is_before_its_value_or_was_all_of_it() {
        let version = |value: &'static [u8]| {
            let row = row(&[NULL, text(COMPACTED_API), ONE, ZERO, ZERO, ZERO, ZERO, blob(value), NULL]);
            let KineRow::Change(change) = KineRow::read(3, &row).unwrap() else { panic!("no change") };
            let (_, kv) = change.stored();
            (kv.key.to_vec(), kv.version, kv.value.to_vec())
        };
        assert_eq!(version(b"12|345"), (COMPACTED.to_vec(), 12, b"345".to_vec()));
        assert_eq!(version(b"7"), (COMPACTED.to_vec(), 7, b"0".to_vec()));
    }

    #[test]
    fn a_column_of_another_type_is_told_and_a_key_that_looks_like_a_number_is_one() {
        let good = [NULL, text(b"/a"), ONE, ZERO, ZERO, ZERO, ZERO, NULL, NULL];
        for (column, name) in [(2, "created"), (3, "deleted"), (4, "create_revision"), (6, "lease")] {
            for bad in [text(b"x"), blob(b"x"), (1, &[0xff][..])] {
                let mut columns = good;
                columns[column] = bad;
                assert!(KineRow::read(3, &row(&columns)).unwrap_err().starts_with(name), "{name}");
            }
        }
        let with = |column: usize, value| {
            let mut columns = good;
            columns[column] = value;
            KineRow::read(3, &row(&columns)).map(|row| match row {
                KineRow::Change(change) => change.stored().1.key.to_vec(),
                _ => Vec::new(),
            })
        };
        assert!(with(1, NULL).is_err() && with(1, text(b"")).is_err() && with(7, ONE).is_err());
        assert_eq!(with(1, (1, &[42])), Ok(b"42".to_vec()));
        assert!(KineRow::read(0, &row(&good)).is_err());
    }

    #[test]
    fn the_tables_of_old_and_new_kines_are_known_and_others_are_not() {
        let sql = |columns: &str| format!("CREATE TABLE kine\n(\n{columns})").into_bytes();
        let new = "id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, created INTEGER, deleted INTEGER, create_revision INTEGER, \
                   prev_revision INTEGER, lease INTEGER, value BLOB, old_value BLOB";
        assert!(is_kines(&sql(new)) && is_kines(&sql(&new.replace("name TEXT", "name INTEGER"))));
        assert!(!is_kines(&sql(&new.replace("created INTEGER, deleted", "deleted INTEGER, created"))));
        assert!(!is_kines(b"CREATE TABLE kine AS SELECT 1"));
    }
}
