//! What gardener's etcd-backup-restore stores: full snapshots, and the changes since.
//!
//! ```text
//! Full-00000000-00001234-1518427675[.gz|.zlib|.Z][.final]   a snapshot file, perhaps packed
//! Incr-00001235-00001300-1518427980[.gz|.zlib|.Z]           changes of the revisions 1235 to 1300
//! ```
//!
//! An increment is a JSON array of the events of a watch, and behind it the SHA-256 of that, 32 bytes; all of it
//! packed, if the name says so. An event is `{"etcdEvent":{"type":1,"kv":{…}},"time":"…"}`: `type` is left out of a
//! put, `kv` has the names and zero values of Go's `mvccpb.KeyValue`, keys and values in base64. A full snapshot may
//! reach further than its name says (etcd issue 9037), so that the first increment overlaps with it.
//!
//! Source: `pkg/snapstore/snapshot.go`, `pkg/snapshot/snapshotter/snapshotter.go` of etcd-backup-restore v0.36.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fmt;
#[cfg(not(feature = "packed"))]
use std::io;
use std::io::Read;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};

use super::KeyValue;
use crate::codec::checksum::sha256;
#[cfg(feature = "packed")]
use crate::io::packed::{Wrapper, unpack};
use crate::io::tree;

/// Bytes of the SHA-256 behind the events.
const SUM: usize = 32;

/// What a file is, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BackupKind {
    /// A snapshot file.
    Full,
    /// Changes since the file before it.
    Increment,
}

/// How a file is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Packing {
    /// It is not.
    None,
    /// `.gz`
    Gzip,
    /// `.zlib`
    Zlib,
    /// `.Z`: the LZW of Go's `compress/lzw`, least significant bits first, which is not that of `compress`.
    Lzw,
}

impl Packing {
    /// Unpacks what is packed so, as it is read; without the feature `packed` that is an error.
    pub fn unpack<'r>(self, packed: impl Read + Send + 'r) -> Box<dyn Read + 'r> {
        #[cfg(feature = "packed")]
        return match self {
            Packing::None => Box::new(packed),
            Packing::Gzip => unpack(Wrapper::Gzip, packed),
            Packing::Zlib => unpack(Wrapper::Zlib, packed),
            Packing::Lzw => unpack(Wrapper::Lzw, packed),
        };
        #[cfg(not(feature = "packed"))]
        return if self == Packing::None { Box::new(packed) } else { Box::new(Packed) };
    }
}

/// What this build cannot unpack.
#[cfg(not(feature = "packed"))]
struct Packed;

#[cfg(not(feature = "packed"))]
impl Read for Packed {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::Error::other("this build cannot unpack: it lacks the feature `packed`"))
    }
}

/// The name of a file. They are in the order in which they were made: after a restore revisions may go back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BackupName {
    /// When it was made, in seconds since 1970.
    pub made: i64,
    /// The last revision in it.
    pub last: i64,
    /// What it is.
    pub kind: BackupKind,
    /// The first revision in it; of a full snapshot 0.
    pub first: i64,
    /// How it is packed.
    pub packing: Packing,
}

impl BackupName {
    /// Reads the name of a file, if it is such a one.
    #[must_use]
    pub fn parse(name: &OsStr) -> Option<BackupName> {
        let name = name.to_str()?;
        // What somebody has closed since.
        let name = name.strip_suffix(".age").unwrap_or(name);
        let (kind, rest) = [("Full-", BackupKind::Full), ("Incr-", BackupKind::Increment)]
            .into_iter()
            .find_map(|(begin, kind)| Some((kind, name.strip_prefix(begin)?)))?;
        let rest = rest.strip_suffix(".final").unwrap_or(rest);
        let (rest, packing) = [(".gz", Packing::Gzip), (".zlib", Packing::Zlib), (".Z", Packing::Lzw)]
            .into_iter()
            .find_map(|(end, packing)| Some((rest.strip_suffix(end)?, packing)))
            .unwrap_or((rest, Packing::None));
        let number = |part: &str| {
            let digits = !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            digits.then(|| part.parse().ok()).flatten()
        };
        let mut numbers = rest.split('-').map(number);
        let mut next = || numbers.next().flatten();
        let (first, last, made) = (next()?, next()?, next()?);
        (numbers.next().is_none() && first <= last).then_some(BackupName { made, last, kind, first, packing })
    }
}

/// The files in a directory that are named as backups, in the order in which they were made.
#[must_use]
pub fn named_in(dir: &Path) -> Vec<(PathBuf, BackupName)> {
    let entries = tree::read_dir(dir).unwrap_or_default().into_iter();
    let named = entries.filter_map(|entry| Some((entry.path, BackupName::parse(&entry.name)?)));
    let mut files: Vec<_> = named.collect();
    files.sort_by(|(a, one), (b, other)| (one, a).cmp(&(other, b)));
    files
}

/// Increments in a directory that follow no full snapshot there.
#[must_use]
pub fn orphans(dir: &Path) -> BTreeSet<PathBuf> {
    let first = |(_, name): &(PathBuf, BackupName)| name.kind == BackupKind::Increment;
    named_in(dir).into_iter().take_while(first).map(|(path, _)| path).collect()
}

/// A change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyChange {
    /// The key as it is after the change; of a deletion only its name and the revision.
    pub kv: ChangedKey,
    /// Whether it is deleted.
    pub deleted: bool,
}

/// `mvccpb.KeyValue` as Go's JSON has it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ChangedKey {
    #[serde(deserialize_with = "base64")]
    key: Vec<u8>,
    create_revision: i64,
    mod_revision: i64,
    version: i64,
    #[serde(deserialize_with = "base64")]
    value: Vec<u8>,
    lease: i64,
}

impl ChangedKey {
    /// The key, borrowed.
    #[must_use]
    pub fn as_kv(&self) -> KeyValue<'_> {
        let ChangedKey { key, create_revision, mod_revision, version, value, lease } = self;
        KeyValue {
            key,
            create_revision: *create_revision,
            mod_revision: *mod_revision,
            version: *version,
            value,
            lease: *lease,
        }
    }
}

fn base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    // Go writes null for what is empty.
    let text = Option::<Cow<'de, str>>::deserialize(deserializer)?;
    BASE64_STANDARD.decode(text.unwrap_or_default().as_bytes()).map_err(D::Error::custom)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct TimedEvent {
    etcd_event: Event,
}

#[derive(Deserialize)]
struct Event {
    #[serde(default)]
    r#type: u8,
    kv: ChangedKey,
}

/// Why an increment is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadIncrement {
    /// It has no room for a SHA-256.
    #[error("it has {0} bytes, too few for its SHA-256")]
    Short(usize),
    /// The SHA-256 is another one.
    #[error("its SHA-256 is {}, of what stands before it {}", hex(.stored), hex(.computed))]
    Sum {
        /// As it stands at the end.
        stored: [u8; SUM],
        /// Of what stands before it.
        computed: [u8; SUM],
    },
    /// It is no array of events.
    #[error("it is no array of events: {0}")]
    Json(String),
}

fn hex(bytes: &[u8; SUM]) -> String {
    crate::codec::checksum::hex(bytes)
}

/// Hands out the changes in an unpacked increment, in their order, until `take` fails. `Ok(Err(_))` is that failure.
///
/// # Errors
/// Why it is none; its SHA-256 is compared before anything is handed out.
pub fn changes<E>(
    bytes: &[u8],
    take: &mut dyn FnMut(KeyChange) -> Result<(), E>,
) -> Result<Result<(), E>, BadIncrement> {
    let (events, stored) = bytes.split_last_chunk::<SUM>().ok_or(BadIncrement::Short(bytes.len()))?;
    let computed = sha256(events);
    if computed != *stored {
        return Err(BadIncrement::Sum { stored: *stored, computed });
    }
    let mut failed = None;
    let mut json = serde_json::Deserializer::from_slice(events);
    let read = Events { take, failed: &mut failed }.deserialize(&mut json).and_then(|()| json.end());
    match (failed, read) {
        (Some(failed), _) => Ok(Err(failed)),
        (None, Ok(())) => Ok(Ok(())),
        // What cannot be read may hold values: the place is enough.
        (None, Err(e)) => Err(BadIncrement::Json(format!("{:?} at column {}", e.classify(), e.column()))),
    }
}

/// Reads the array without keeping it.
struct Events<'e, E> {
    take: &'e mut dyn FnMut(KeyChange) -> Result<(), E>,
    failed: &'e mut Option<E>,
}

impl<'de, E> DeserializeSeed<'de> for Events<'_, E> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, E> Visitor<'de> for Events<'_, E> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut events: A) -> Result<(), A::Error> {
        while let Some(TimedEvent { etcd_event: Event { r#type, kv } }) = events.next_element()? {
            if r#type > 1 {
                return Err(A::Error::custom("an event of another type"));
            }
            if let Err(failed) = (self.take)(KeyChange { kv, deleted: r#type == 1 }) {
                *self.failed = Some(failed);
                return Err(A::Error::custom("refused"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn increment(events: &str) -> Vec<u8> {
        let mut bytes = events.as_bytes().to_vec();
        bytes.extend(sha256(events.as_bytes()));
        bytes
    }

    fn read(bytes: &[u8]) -> Result<Vec<KeyChange>, BadIncrement> {
        let mut read = Vec::new();
        changes::<()>(bytes, &mut |change| {
            read.push(change);
            Ok(())
        })?
        .unwrap();
        Ok(read)
    }

    #[test]
    fn a_name_tells_what_a_file_holds() {
        let name = |name: &str| BackupName::parse(OsStr::new(name));
        let full = name("Full-00000000-00000101-1518427675.gz.final").unwrap();
        assert_eq!((full.kind, full.first, full.last, full.made), (BackupKind::Full, 0, 101, 1_518_427_675));
        assert_eq!(full.packing, Packing::Gzip);
        let increment = name("Incr-00000102-00000140-1518427980").unwrap();
        assert_eq!((increment.kind, increment.first, increment.last), (BackupKind::Increment, 102, 140));
        assert_eq!(name("Incr-00000102-00000140-1518427980.Z").unwrap().packing, Packing::Lzw);
        assert!(full < increment);
        assert_eq!(name("Full-00000000-00000101-1518427675.gz.final.age"), Some(full));
        for other in [
            "Full-1-2",
            "Full-2-1-3",
            "Incr-1-2-3-4",
            "Incr-1-2-x",
            "Full-1-2-3.xz",
            "Full-1-2-3.age.gz",
            "full-1-2-3",
            "Full-+1-2-3",
        ] {
            assert_eq!(name(other), None, "{other}");
        }
    }

    #[test]
    fn changes_are_read_as_go_writes_them() {
        let text = r#"[{"etcdEvent":{"kv":{"key":"YQ==","create_revision":3,"mod_revision":3,"version":1,"value":"Yg==","lease":7}},"time":"2026-01-01T00:00:00Z"},{"etcdEvent":{"type":1,"kv":{"key":"YQ==","mod_revision":4}},"time":"2026-01-01T00:00:01Z"}]"#;
        let read = read(&increment(text)).unwrap();
        let kv =
            KeyValue { key: b"a", create_revision: 3, mod_revision: 3, version: 1, value: b"b", lease: 7 };
        assert_eq!((read[0].kv.as_kv(), read[0].deleted), (kv, false));
        let kv = KeyValue { key: b"a", mod_revision: 4, ..KeyValue::default() };
        assert_eq!((read[1].kv.as_kv(), read[1].deleted), (kv, true));
    }

    #[test]
    fn what_is_no_increment_is_told_and_no_value_with_it() {
        let short = read(b"[]").unwrap_err();
        assert_eq!(short.to_string(), "it has 2 bytes, too few for its SHA-256");
        let mut changed = increment("[]");
        changed[0] ^= 1;
        assert!(matches!(read(&changed), Err(BadIncrement::Sum { .. })));
        for bad in [
            "",
            "{}",
            "[",
            "[] x",
            r#"[{"etcdEvent":{"kv":{"key":"c2VjcmV0!"}}}]"#,
            r#"[{"etcdEvent":{"type":2,"kv":{}}}]"#,
        ] {
            let told = read(&increment(bad)).unwrap_err().to_string();
            assert!(told.starts_with("it is no array of events") && !told.contains("c2V"), "{told}");
        }
    }
}
