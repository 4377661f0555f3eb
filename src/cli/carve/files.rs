//! What is carved, as files.

use std::io::Write;
use std::path::Path;

use coldbolt::etcd::KeyValue;
use coldbolt::io::dest::dir::{DestDir, Steps};
use coldbolt::kube::decode::Object;
use coldbolt::kube::yaml;
use coldbolt::ops::carve::CarvedVersion;

use crate::cli::context::Fail;
use crate::cli::keyspace::show_key;
use crate::cli::objects::Objects;
use crate::cli::out::clean;

/// Values as files.
pub struct Files {
    dir: DestDir<'static>,
    index: Vec<u8>,
    pub written: u64,
}

impl Files {
    pub fn create(path: &Path) -> Result<Files, Fail> {
        Ok(Files { dir: DestDir::create(path, Steps::free())?, index: Vec::new(), written: 0 })
    }

    /// The value of a put; its object, if it was decoded already.
    pub fn put(
        &mut self,
        objects: &Objects,
        object: Option<Object>,
        version: &CarvedVersion<'_>,
    ) -> Result<(), Fail> {
        if version.key.tombstone {
            return Ok(());
        }
        let kv = version.kv;
        let decode = || objects.decode(kv.key, kv.value, version.key.revision.main);
        let object = object.or_else(|| version.whole.then(decode).flatten());
        // Of one revision there may be two that contradict each other.
        let name = format!("{}-{:x}", version.key.revision, version.offset);
        let about = serde_json::json!({ "revision": version.key.revision.main, "now": now(version) });
        self.write(objects, object, (&name, kv, version.whole), about)
    }

    /// A value under that name, and what is known about it.
    pub fn write(
        &mut self,
        objects: &Objects,
        object: Option<Object>,
        (name, kv, whole): (&str, KeyValue<'_>, bool),
        mut about: serde_json::Value,
    ) -> Result<(), Fail> {
        let hidden = if object.is_none() { objects.hidden(kv.key, kv.value) } else { None };
        let end = match (&object, &hidden, whole) {
            (Some(_), ..) => "yaml",
            (None, Some(_), _) => "redacted",
            (None, None, true) => "value",
            (None, None, false) => "cut",
        };
        let name = format!("{name}.{end}");
        let content = object.map(|object| yaml::document(&object.json).into_bytes());
        let content = content.or(hidden.map(String::into_bytes)).unwrap_or_else(|| kv.value.to_vec());
        self.dir.write(Path::new(&name), &content)?;
        if let Some(about) = about.as_object_mut() {
            about.insert("schema".to_owned(), "coldbolt.carved/1".into());
            about.insert("file".to_owned(), name.into());
            about.insert("key".to_owned(), clean(&show_key(kv.key)).into());
            about.insert("whole".to_owned(), whole.into());
        }
        self.written = self.written.saturating_add(1);
        writeln!(self.index, "{about}").map_err(Fail::from)
    }

    /// What nothing was put into does not come to be.
    pub fn finish(mut self) -> Result<(), Fail> {
        if self.written == 0 {
            return Ok(());
        }
        self.dir.write(Path::new("index.ndjson"), &self.index)?;
        self.dir.place()?;
        Ok(())
    }
}

pub fn now(version: &CarvedVersion<'_>) -> &'static str {
    if version.live.is_some() { "live" } else { "deleted" }
}
