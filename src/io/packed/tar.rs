//! tar: where what it holds begins. The archive is not read through a stream, as it lies in a file or in memory
//! already.
//!
//! ```text
//! 0    100   ..  124       136  ..  148   156  157   257      345        512
//! | name | .. | size, octal | .. | sum | type | link | "ustar" | prefix |   then size bytes, up to a multiple of 512
//! ```
//! Types `L` and `x` are records of their own before the file whose name, and size, they tell. Two blocks of zeros end
//! it.

use std::io::Read;
use std::path::Path;

use tar::{Archive, Header, PaxExtensions};

use super::index::{Index, MOST_ENTRIES, Node};
use super::keep::{Bound, keep, unpacked};
use super::limits::Limits;
use super::sniff::sums_up;
use super::stream::Watch;
use crate::codec::to_u64;
use crate::io::Source;
use crate::io::reader::SourceReader;
use crate::words::cause::Cause;
use crate::words::corrupt::{At, Corrupt};
use crate::words::error::{Error, Result};
use crate::words::finding::Code;

const BLOCK: u64 = 512;
/// The longest name or set of pax records.
const LONGEST: u64 = 1 << 20;

/// Where a file is.
#[derive(Debug, Clone, Copy)]
enum Data {
    At(u64),
    /// With holes, as GNU tar -S writes them, from the header at this byte on.
    Holes(u64),
    /// With holes in a form that is not read.
    Unread,
}

#[derive(Debug)]
pub(super) struct Tar {
    source: Source,
    pub index: Index,
    data: Vec<Data>,
}

/// What records before a header say of it.
#[derive(Default)]
struct Ahead {
    begins: Option<u64>,
    name: Option<Vec<u8>>,
    size: Option<u64>,
    sparse: bool,
    /// The length of a file with holes.
    real_size: Option<u64>,
}

impl Tar {
    /// Lists an archive.
    ///
    /// # Errors
    /// [`Error::Damaged`] when a header is not whole, or the end is missing.
    pub fn new(source: Source) -> Result<Tar> {
        let mut tar = Tar { source, index: Index::default(), data: Vec::new() };
        match tar.read() {
            Ok(()) => Ok(tar),
            Err(Wrong::Corrupt(corrupt)) => Err(Error::damaged(tar.source.path(), corrupt)),
            Err(Wrong::Full(what)) => Err(Error::unreadable(tar.source.path(), Cause::Content(what))),
        }
    }

    fn read(&mut self) -> Result<(), Wrong> {
        let (mut at, mut ahead) = (0, Ahead::default());
        let len = self.source.len();
        loop {
            let mut block = [0; 512];
            if at > len.saturating_sub(BLOCK) {
                let what = format!("the tar archive is cut off: it ends at byte {len}, without its end mark");
                return Err(damaged(at, what));
            }
            self.source.read_exact_at(at, &mut block)?;
            if block.iter().all(|byte| *byte == 0) {
                return Ok(());
            }
            if !sums_up(&block) {
                return Err(damaged(
                    at,
                    "the tar archive is damaged: no header whose sum is right is here".to_owned(),
                ));
            }
            let header = Header::from_byte_slice(&block);
            let size = ahead.size.map_or_else(|| header.entry_size(), Ok);
            let size = size.map_err(|error| damaged(at, format!("the tar archive is damaged: {error}")))?;
            let begins = at.saturating_add(BLOCK);
            // What has no content may still tell a size.
            let kind = header.entry_type();
            let holds = !(kind.is_symlink()
                || kind.is_hard_link()
                || kind.is_dir()
                || kind.is_fifo()
                || kind.is_character_special()
                || kind.is_block_special());
            let size = if holds { size } else { 0 };
            let blocks = if kind.is_gnu_sparse() { self.more_headers(header, begins)? } else { 0 };
            let end = size
                .checked_next_multiple_of(BLOCK)
                .and_then(|size| begins.checked_add(blocks)?.checked_add(size));
            let Some(end) = end.filter(|_| begins.saturating_add(blocks).saturating_add(size) <= len) else {
                let what =
                    format!("the tar archive is cut off: {size} bytes begin here, and it ends at byte {len}");
                return Err(damaged(begins, what));
            };
            if kind.is_gnu_longname()
                || kind.is_gnu_longlink()
                || kind.is_pax_local_extensions()
                || kind.is_pax_global_extensions()
            {
                ahead.begins.get_or_insert(at);
                self.told_ahead(&mut ahead, header, begins, size)?;
            } else {
                let ahead = std::mem::take(&mut ahead);
                self.entry(header, ahead, at, size)?;
            }
            at = end;
        }
    }

    /// Bytes of more headers of a file with holes, which lie between its header and its content.
    fn more_headers(&self, header: &Header, begins: u64) -> Result<u64, Wrong> {
        let mut extended = header.as_gnu().is_some_and(tar::GnuHeader::is_extended);
        let mut bytes = 0u64;
        while extended {
            let mut block = [0; 512];
            self.source.read_exact_at(begins.saturating_add(bytes), &mut block)?;
            extended = block.get(504).is_some_and(|flag| *flag != 0);
            bytes = bytes.saturating_add(BLOCK);
            if bytes > LONGEST {
                return Err(damaged(
                    begins,
                    "the tar archive is damaged: the list of holes has no end".to_owned(),
                ));
            }
        }
        Ok(bytes)
    }

    /// Reads what a record says of the file that follows it.
    fn told_ahead(&self, ahead: &mut Ahead, header: &Header, at: u64, size: u64) -> Result<(), Wrong> {
        let kind = header.entry_type();
        if size > LONGEST {
            let what = format!(
                "the tar archive is damaged: a name or record of {size} bytes, {LONGEST} are the most"
            );
            return Err(damaged(at, what));
        }
        if kind.is_gnu_longlink() || kind.is_pax_global_extensions() {
            return Ok(());
        }
        let mut bytes = vec![0; crate::codec::to_usize(size)];
        self.source.read_exact_at(at, &mut bytes)?;
        if kind.is_gnu_longname() {
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            bytes.truncate(end);
            ahead.name = Some(bytes);
            return Ok(());
        }
        for record in PaxExtensions::new(&bytes) {
            let record =
                record.map_err(|error| damaged(at, format!("the tar archive is damaged: {error}")))?;
            let number = || record.value().ok()?.parse::<u64>().ok();
            match record.key_bytes() {
                b"path" if !ahead.sparse => ahead.name = Some(record.value_bytes().to_vec()),
                b"size" => ahead.size = number(),
                b"GNU.sparse.name" => {
                    (ahead.name, ahead.sparse) = (Some(record.value_bytes().to_vec()), true)
                }
                b"GNU.sparse.realsize" | b"GNU.sparse.size" => ahead.real_size = number(),
                _ => {}
            }
        }
        Ok(())
    }

    fn entry(&mut self, header: &Header, ahead: Ahead, at: u64, size: u64) -> Result<(), Wrong> {
        let kind = header.entry_type();
        let name = ahead.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let number = self.data.len();
        let node = if kind.is_dir() || (kind.is_file() && name.ends_with(b"/")) {
            Node::Dir
        } else if kind.is_gnu_sparse() {
            self.data.push(Data::Holes(ahead.begins.unwrap_or(at)));
            let len = header.as_gnu().and_then(|gnu| gnu.real_size().ok()).unwrap_or(size);
            Node::File { len, number }
        } else if ahead.sparse || ahead.real_size.is_some() {
            self.data.push(Data::Unread);
            Node::File { len: ahead.real_size.unwrap_or(size), number }
        } else if kind.is_file() || kind.is_contiguous() {
            self.data.push(Data::At(at.saturating_add(BLOCK)));
            Node::File { len: size, number }
        } else if kind.is_hard_link() {
            // Another name of what the archive holds already; of nothing outside of it.
            let target = header.link_name_bytes().and_then(|name| super::index::below(&name));
            match target.and_then(|target| self.index.get(&target)) {
                Some(node @ Node::File { .. }) => node,
                _ => Node::Other,
            }
        } else {
            Node::Other
        };
        if self.data.len() > MOST_ENTRIES {
            return Err(Wrong::Full(format!("holds more than {MOST_ENTRIES} files")));
        }
        self.index.add(&name, node).map_err(Wrong::Full)
    }

    /// A file of it.
    pub fn open(&self, number: usize, len: u64, name: &Path) -> Result<Source> {
        match self.data.get(number) {
            Some(Data::At(at)) => Ok(self.source.part(*at, len)),
            Some(Data::Holes(at)) => {
                let watch = Watch::of(self.source.len());
                let bound = Bound { limits: Limits::now(), known: None, packed: &watch };
                let mut archive = Archive::new(SourceReader::new(&self.source, *at));
                let mut entries = archive.entries().map_err(|error| unpacked(name, error))?;
                let file = entries
                    .next()
                    .ok_or_else(|| Error::unreadable(name, Cause::lacks("is not in the archive")))?;
                let kept = keep(name, Vec::new(), file.map_err(|error| unpacked(name, error))?, &bound)?;
                if kept.len() != len {
                    let what =
                        format!("the tar archive is damaged: {} bytes are here, {len} are due", kept.len());
                    return Err(Error::damaged(
                        name,
                        Corrupt::new(Code::PackedDamaged, At::offset(*at), what),
                    ));
                }
                Ok(kept)
            }
            Some(Data::Unread) | None => {
                let what = "is stored with holes in the form of pax, which is not read: unpack it first";
                Err(Error::unreadable(name, Cause::Content(what.to_owned())))
            }
        }
    }

    /// The first bytes of a file, at most so many.
    pub fn front(&self, number: usize, len: u64, most: usize, name: &Path) -> Result<Vec<u8>> {
        let mut front = Vec::new();
        let file = self.open(number, len, name)?;
        let read = SourceReader::new(&file, 0).take(to_u64(most)).read_to_end(&mut front);
        read.map(|_| front).map_err(|error| unpacked(name, error))
    }
}

enum Wrong {
    Corrupt(Box<Corrupt>),
    Full(String),
}

impl From<Box<Corrupt>> for Wrong {
    fn from(corrupt: Box<Corrupt>) -> Wrong {
        Wrong::Corrupt(corrupt)
    }
}

fn damaged(at: u64, what: String) -> Wrong {
    Wrong::Corrupt(Corrupt::new(Code::PackedDamaged, At::offset(at), what))
}
