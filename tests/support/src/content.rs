//! All that a database holds, read by its cursors and written by the writer.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use coldbolt::bolt::Db;
use coldbolt::bolt::writer::{Options, Writer};
use coldbolt::io::Source;

/// The keys of each bucket with their values.
pub type Content = BTreeMap<Vec<u8>, BTreeMap<Vec<u8>, Vec<u8>>>;

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
    let mut writer = Writer::new(File::create(to).unwrap(), Options::default()).unwrap();
    for (name, keys) in content {
        writer.begin_bucket(name, 0).unwrap();
        keys.iter().for_each(|(key, value)| writer.put(key, value).unwrap());
        writer.end_bucket().unwrap();
    }
    writer.finish().unwrap();
}
