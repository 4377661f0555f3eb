//! The names in an archive, as a tree. They are only names: none leads out of it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use crate::io::os;

/// What something in an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A directory.
    Dir,
    /// A file of so many bytes.
    File(u64),
    /// A link or a device, which is not followed.
    Other,
}

/// The most things that an archive may hold, and bytes that all their names may have.
pub(super) const MOST_ENTRIES: usize = 1_000_000;
const MOST_NAMES: usize = 64 << 20;
/// The longest name, as Linux has it.
const LONGEST: usize = 4096;

/// Something in an archive; of a file, which one it is there.
#[derive(Debug, Clone, Copy)]
pub(super) enum Node {
    Dir,
    File {
        len: u64,
        number: usize,
    },
    /// A link, a device.
    Other,
}

/// What is in an archive, by its path there.
#[derive(Debug, Default)]
pub(super) struct Index {
    nodes: BTreeMap<PathBuf, Node>,
    names: usize,
}

/// A name as a path below the archive; `None` for one that leads out of it, or is none.
pub(super) fn below(name: &[u8]) -> Option<PathBuf> {
    if name.len() > LONGEST || name.contains(&0) {
        return None;
    }
    let mut path = PathBuf::new();
    for part in Path::new(&os::name_of(name)).components() {
        match part {
            Component::Normal(part) => path.push(part),
            Component::RootDir | Component::CurDir => {}
            Component::ParentDir | Component::Prefix(_) => return None,
        }
    }
    Some(path)
}

impl Index {
    /// Adds something; what had its name before is gone, as it would be if the archive were unpacked.
    ///
    /// # Errors
    /// In words, when it is more than an archive may hold.
    pub fn add(&mut self, name: &[u8], node: Node) -> Result<(), String> {
        let Some(path) = below(name).filter(|path| !path.as_os_str().is_empty()) else { return Ok(()) };
        for dir in path.ancestors().skip(1).take_while(|dir| !dir.as_os_str().is_empty()) {
            if matches!(self.nodes.get(dir), Some(Node::Dir)) {
                break;
            }
            self.put(dir.to_path_buf(), Node::Dir)?;
        }
        self.put(path, node)
    }

    fn put(&mut self, path: PathBuf, node: Node) -> Result<(), String> {
        self.names = self.names.saturating_add(path.as_os_str().len());
        if self.nodes.len() >= MOST_ENTRIES || self.names > MOST_NAMES {
            return Err(format!(
                "holds more than {MOST_ENTRIES} things, or their names are longer than {MOST_NAMES} bytes"
            ));
        }
        self.nodes.insert(path, node);
        Ok(())
    }

    pub fn get(&self, path: &Path) -> Option<Node> {
        if path.as_os_str().is_empty() { Some(Node::Dir) } else { self.nodes.get(path).copied() }
    }

    pub fn kind(&self, path: &Path) -> Option<Kind> {
        self.get(path).map(kind)
    }

    /// What is in a directory.
    pub fn list(&self, dir: &Path) -> Vec<(OsString, Kind)> {
        let below = self.nodes.range(dir.to_path_buf()..).take_while(|(path, _)| path.starts_with(dir));
        let children = below.filter(|(path, _)| path.parent() == Some(dir));
        children.filter_map(|(path, node)| Some((path.file_name()?.to_owned(), kind(*node)))).collect()
    }

    /// Every file.
    pub fn files(&self) -> impl Iterator<Item = (&Path, u64)> {
        self.nodes.iter().filter_map(|(path, node)| match node {
            Node::File { len, .. } => Some((path.as_path(), *len)),
            Node::Dir | Node::Other => None,
        })
    }
}

fn kind(node: Node) -> Kind {
    match node {
        Node::Dir => Kind::Dir,
        Node::File { len, .. } => Kind::File(len),
        Node::Other => Kind::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(number: usize) -> Node {
        Node::File { len: 1, number }
    }

    #[test]
    fn no_name_leads_out_of_an_archive_and_an_absolute_one_is_below_it() {
        for out in [&b"../db"[..], b"a/../../db", b"a/..", b"nul\0"] {
            assert_eq!(below(out), None, "{out:?}");
        }
        for (name, path) in
            [(&b"/etc/db"[..], "etc/db"), (b"./db", "db"), (b"a//b/./c/", "a/b/c"), (b"./", "")]
        {
            assert_eq!(below(name), Some(path.into()));
        }
    }

    #[test]
    fn directories_that_only_names_speak_of_are_there_and_the_last_of_a_name_counts() {
        let mut index = Index::default();
        index.add(b"./member/snap/db", file(1)).unwrap();
        index.add(b"member-2", file(2)).unwrap();
        index.add(b"member/wal/0.wal", file(3)).unwrap();
        index.add(b"member/snap/db", file(4)).unwrap();
        assert!(matches!(index.get(Path::new("member/snap/db")), Some(Node::File { number: 4, .. })));
        let names =
            |dir: &str| -> Vec<_> { index.list(Path::new(dir)).into_iter().map(|(name, _)| name).collect() };
        assert_eq!(names(""), ["member", "member-2"]);
        assert_eq!(names("member"), ["snap", "wal"]);
        assert_eq!(index.kind(Path::new("member/wal")), Some(Kind::Dir));
        assert_eq!(index.files().count(), 3);
    }

    #[test]
    fn an_archive_of_more_than_a_million_names_is_told_in_bounded_memory() {
        let mut index = Index::default();
        let full = (0..=MOST_ENTRIES).find_map(|i| index.add(i.to_string().as_bytes(), Node::Other).err());
        assert!(full.unwrap().contains("1000000"));
    }
}
