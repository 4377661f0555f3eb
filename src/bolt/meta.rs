//! Meta pages: where a commit becomes visible.

use super::limits::{HEADER, MAX_PAGE_SIZE, META_BODY, MIN_PAGE_SIZE};
use super::{Pgid, Txid};
use crate::codec::{array_at, checksum, slice_at};

/// Length of what a meta page needs: header and body.
pub const LEN: usize = HEADER + META_BODY;
/// The first four bytes of the body.
pub const MAGIC: u32 = 0xED0C_DAED;
/// The only version there is.
pub const VERSION: u32 = 2;
/// Stored in place of a page number when the freelist is not kept in the file; etcd never keeps it.
pub const NO_FREELIST: u64 = u64::MAX;

/// The fields of a meta page, as stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Meta {
    /// Bytes in a page.
    pub page_size: u32,
    /// The root bucket's top page.
    pub root: Pgid,
    /// The root bucket's counter; etcd leaves it 0.
    pub sequence: u64,
    /// The freelist page, if the file keeps one.
    pub freelist: Option<Pgid>,
    /// The high water mark: the first page never used.
    pub high_water: Pgid,
    /// The commit that wrote it.
    pub txid: Txid,
    /// FNV-1a-64 over the 56 bytes before it.
    #[serde(serialize_with = "hexadecimal")]
    pub checksum: u64,
}

/// As 16 digits: a number of 64 bits is no double.
fn hexadecimal<S: serde::Serializer>(number: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{number:016x}"))
}

impl Meta {
    /// The fields of the meta page that `page` starts with.
    ///
    /// # Errors
    /// In words, why these bytes are not a meta page, and the fields all the same when magic and version hold.
    pub fn parse(page: &[u8]) -> Result<Meta, (String, Option<Meta>)> {
        let short = || (format!("a meta page needs {LEN} bytes, {} are there", page.len()), None);
        let u32_at = |at| array_at(page, at).map(u32::from_le_bytes).ok_or_else(short);
        let u64_at = |at| array_at(page, at).map(u64::from_le_bytes).ok_or_else(short);
        let (magic, version) = (u32_at(16)?, u32_at(20)?);
        let meta = Meta {
            page_size: u32_at(24)?,
            root: Pgid(u64_at(32)?),
            sequence: u64_at(40)?,
            freelist: Some(Pgid(u64_at(48)?)).filter(|id| id.0 != NO_FREELIST),
            high_water: Pgid(u64_at(56)?),
            txid: Txid(u64_at(64)?),
            checksum: u64_at(72)?,
        };
        if magic == MAGIC.swap_bytes() {
            return Err(("written by a big-endian machine (s390x); open it on one".to_owned(), None));
        }
        if magic != MAGIC {
            return Err((format!("magic is {magic:#010x}, {MAGIC:#010x} is due"), None));
        }
        if version != VERSION {
            return Err((format!("version is {version}, {VERSION} is due"), Some(meta)));
        }
        let computed = slice_at(page, HEADER, 56).map(checksum::fnv1a64).ok_or_else(short)?;
        if computed != meta.checksum {
            let what = format!("checksum is {:#018x}, its bytes give {computed:#018x}", meta.checksum);
            return Err((what, Some(meta)));
        }
        Ok(meta)
    }

    /// Whether coldbolt can follow a page size: a power of two from 1 KiB to 64 KiB.
    #[must_use]
    pub fn page_size_is_possible(&self) -> bool {
        self.page_size.is_power_of_two() && (MIN_PAGE_SIZE..=MAX_PAGE_SIZE).contains(&self.page_size)
    }
}
