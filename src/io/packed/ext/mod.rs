//! An ext2, ext3 or ext4 volume, in a file or on a device that nobody mounts: nothing is written to it.
//!
//! ```text
//! 1024  superblock, 1024 bytes, little-endian (fs/ext4/ext4.h, struct ext4_super_block)
//!       0x00 inodes   0x04 blocks   0x14 first block   0x18 log2 of the block size less 10   0x28 inodes a group
//!       0x38 0xEF53   0x4c revision   0x58 bytes an inode   0x60 what must be known   0xe0 inode of the journal
//! then  a descriptor a group of blocks: where its inodes are (struct ext4_group_desc)
//! ```
//! What was written to the journal and not yet to its place is read from the journal ([`journal`]), as the kernel would
//! put it there. Blocks that were reserved and never written are zeros, whatever is on the disk there. Checksums of
//! metadata are compared in the journal only; what lies out of the volume, or leads in a circle, is damage.

mod inode;
mod journal;
mod volume;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use self::inode::{Inode, InodeKind};
pub(super) use self::volume::begins;
use self::volume::{Found, Volume, Wrong, damaged, u16_at, u32_at};
use super::index::Kind;
use crate::codec::{slice_at, to_usize};
use crate::io::Source;
use crate::io::os;
use crate::words::cause::Cause;
use crate::words::error::{Error, Result};
use crate::words::finding::Code;
use crate::words::hint::Hint;

/// The root directory.
const ROOT: u32 = 2;
/// The longest directory.
const LONGEST_DIR: u64 = 64 << 20;
/// Directories that are gone through, and files that are listed.
const MOST: usize = 1_000_000;

/// The files of a volume.
#[derive(Debug)]
pub(super) struct Ext {
    volume: Volume,
    /// Whether its journal was to be applied.
    pub applied: bool,
}

impl Ext {
    /// Reads what a volume says of itself, and its journal.
    ///
    /// # Errors
    /// [`Error::Damaged`]; [`Error::Unreadable`] for one that has what is not read here.
    pub fn new(source: &Source) -> Result<Ext> {
        let read = || {
            let mut volume = Volume::read(source)?;
            if volume.applied {
                let inode = Inode::read(&volume, volume.journal_inode)?;
                volume.journal = journal::read(&volume, &inode)?;
            }
            Ok(Ext { applied: volume.applied, volume })
        };
        read().map_err(|wrong| error(source.path(), wrong))
    }

    /// The names in a directory, and their inodes.
    fn names(&self, dir: &Inode) -> Found<Vec<(Vec<u8>, u32)>> {
        if dir.size > LONGEST_DIR {
            return Err(damaged(
                dir.at,
                format!("a directory of {} bytes, {LONGEST_DIR} are the most", dir.size),
            ));
        }
        let content = dir.content(&self.volume)?;
        let mut names = Vec::new();
        for start in (0..dir.size).step_by(to_usize(self.volume.block)) {
            let mut block = vec![0; to_usize(self.volume.block.min(dir.size.saturating_sub(start)))];
            content.read_exact_at(start, &mut block)?;
            let mut at = 0;
            while let Some(inode) = u32_at(&block, at) {
                let len = u16_at(&block, at.saturating_add(4)).map_or(0, usize::from);
                // Of blocks of 64 KiB the whole length has no room.
                let len = if matches!(len, 0 | 0xffff) && block.len() == 1 << 16 { 1 << 16 } else { len };
                let name_len = block.get(at.saturating_add(6)).map_or(0, |len| usize::from(*len));
                let name = slice_at(&block, at.saturating_add(8), name_len);
                let (Some(name), true) = (name, len >= 8 && len.saturating_add(at) <= block.len()) else {
                    let what = format!(
                        "entry at byte {at} of a block of a directory is {len} bytes long, its name {name_len}"
                    );
                    return Err(damaged(dir.at, what));
                };
                if inode != 0 && !matches!(name, b"." | b".." | b"") {
                    names.push((name.to_vec(), inode));
                }
                if names.len() > MOST {
                    return Err(Wrong::Unread(format!("has a directory of more than {MOST} names")));
                }
                at = at.saturating_add(len);
            }
        }
        Ok(names)
    }

    /// What a path leads to; links are not followed.
    fn find(&self, path: &Path) -> Found<Option<Inode>> {
        let mut inode = Inode::read(&self.volume, ROOT)?;
        for part in path.components() {
            let Component::Normal(part) = part else { return Ok(None) };
            if inode.kind() != InodeKind::Dir {
                return Ok(None);
            }
            let names = self.names(&inode)?;
            let Some((_, number)) = names.iter().find(|(name, _)| name == part.as_encoded_bytes()) else {
                return Ok(None);
            };
            inode = Inode::read(&self.volume, *number)?;
        }
        Ok(Some(inode))
    }

    pub fn kind(&self, path: &Path) -> Result<Option<Kind>> {
        let found = self.find(path).map_err(|wrong| error(self.volume.source.path(), wrong))?;
        Ok(found.map(|inode| kind(&inode)))
    }

    pub fn list(&self, dir: &Path) -> Result<Vec<(OsString, Kind)>> {
        let listed = || {
            let Some(dir) = self.find(dir)? else { return Ok(Vec::new()) };
            let each = |(name, number): (Vec<u8>, u32)| {
                Ok((os::name_of(&name).into_owned(), kind(&Inode::read(&self.volume, number)?)))
            };
            self.names(&dir)?.into_iter().map(each).collect()
        };
        listed().map_err(|wrong| error(self.volume.source.path(), wrong))
    }

    /// Opens a file: it is read where it lies.
    pub fn open(&self, path: &Path, name: &Path) -> Result<Option<Source>> {
        let opened = || match self.find(path)? {
            Some(inode) if inode.kind() == InodeKind::File => inode.content(&self.volume).map(Some),
            _ => Ok(None),
        };
        opened().map_err(|wrong| error(name, wrong))
    }

    /// The files that may be etcd's by their names, and how long they are.
    pub fn files(&self) -> Result<Vec<(PathBuf, u64)>> {
        self.walk().map_err(|wrong| error(self.volume.source.path(), wrong))
    }

    fn walk(&self) -> Found<Vec<(PathBuf, u64)>> {
        let (mut files, mut ahead, mut seen) = (Vec::new(), vec![(PathBuf::new(), ROOT)], BTreeSet::new());
        while let Some((path, number)) = ahead.pop() {
            if !seen.insert(number) {
                return Err(damaged(1024, format!("directory {number} is reached twice")));
            }
            for (name, number) in self.names(&Inode::read(&self.volume, number)?)? {
                let inode = Inode::read(&self.volume, number)?;
                let path = path.join(os::name_of(&name));
                match inode.kind() {
                    InodeKind::Dir if name != b"lost+found" => ahead.push((path, number)),
                    InodeKind::File if is_telling(&name) => files.push((path, inode.size)),
                    _ => {}
                }
            }
            if ahead.len().saturating_add(files.len()).saturating_add(seen.len()) > MOST {
                return Err(Wrong::Unread(format!(
                    "holds more than {MOST} directories and files: name what is meant"
                )));
            }
        }
        files.sort();
        Ok(files)
    }
}

/// Whether a file of this name may be etcd's, or a backup of it.
fn is_telling(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    let has = |part: &[u8]| name.windows(part.len()).any(|window| window == part);
    name == b"db"
        || [&b".db"[..], b".wal", b".snap"].iter().any(|end| name.ends_with(end))
        || has(b"snapshot")
        || has(b"etcd")
        || has(b".db.")
}

fn kind(inode: &Inode) -> Kind {
    match inode.kind() {
        InodeKind::Dir => Kind::Dir,
        InodeKind::File => Kind::File(inode.size),
        InodeKind::Other => Kind::Other,
    }
}

fn error(name: &Path, wrong: Wrong) -> Error {
    match wrong {
        Wrong::Corrupt(corrupt) if corrupt.code == Code::PackedDamaged => Error::damaged(name, corrupt),
        Wrong::Corrupt(corrupt) => Error::unreadable(name, corrupt),
        Wrong::Unread(told) => {
            let hint = Some(Hint::Unpack("an ext volume"));
            Error::unreadable(name, Cause::Lacks { told, hint })
        }
    }
}
