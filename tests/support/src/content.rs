//! All that a database holds, read by its cursors and written by the writer.

use std::collections::BTreeMap;
use std::fs;
use std::io::Cursor;
use std::path::Path;

use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::bolt::{Db, PageKind, Pgid};
use coldbolt::io::{Source, Window};

/// Keys and values.
pub type Items = BTreeMap<Vec<u8>, Vec<u8>>;

/// The keys of each bucket with their values.
pub type Content = BTreeMap<Vec<u8>, Items>;

/// All keys of all buckets.
pub fn content(db: &Path) -> Content {
    let source = Source::open(db).unwrap();
    let db = Db::open(&source).unwrap();
    let root = db.root();
    let (mut cursor, mut all) = (root.cursor(), BTreeMap::new());
    while let Some(item) = cursor.next().unwrap() {
        let name = item.key.to_vec();
        let bucket = root.bucket(&name).unwrap().unwrap();
        let (mut inner, mut keys) = (bucket.cursor(), BTreeMap::new());
        while let Some(item) = inner.next().unwrap() {
            keys.insert(item.key.to_vec(), item.value.to_vec());
        }
        all.insert(name, keys);
    }
    all
}

/// Writes a database that holds it.
pub fn write(content: &Content, to: &Path) {
    fs::write(to, database(content, Options::default())).unwrap();
}

/// A database of these buckets, which come in their order, each with its keys in theirs.
pub fn database<N, B, K, V>(buckets: impl IntoIterator<Item = (N, B)>, options: Options) -> Vec<u8>
where
    N: AsRef<[u8]>,
    B: IntoIterator<Item = (K, V)>,
    K: AsRef<[u8]>,
    V: AsRef<[u8]>,
{
    let mut file = Cursor::new(Vec::new());
    let mut writer = Writer::new(&mut file, options).unwrap();
    for (name, items) in buckets {
        writer.begin_bucket(name.as_ref(), 0).unwrap();
        for (key, value) in items {
            writer.put(key.as_ref(), value.as_ref()).unwrap();
        }
        writer.end_bucket().unwrap();
    }
    writer.finish().unwrap();
    file.into_inner()
}

/// The elements of a page, as far as its header says.
pub fn elements(path: &Path, id: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let source = Source::open(path).unwrap();
    let db = Db::open(&source).unwrap();
    let mut window = Window::new();
    let page = db.page(Pgid(id), &mut window).unwrap();
    let element = |index| match page.kind {
        PageKind::Leaf => page.leaf(index).map(|e| (e.key.to_vec(), e.value.to_vec())),
        _ => page.branch(index).map(|e| (e.key.to_vec(), e.child.0.to_le_bytes().to_vec())),
    };
    (0..page.count).map(|index| element(index).unwrap()).collect()
}
