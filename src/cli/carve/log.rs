use std::io::{self, Write};

use coldbolt::LeaseId;
use coldbolt::etcd::{DataDir, KeyValue};
use coldbolt::ops::carve::{CarveOptions, CarvedRequest, Condition, LogCarve, LogCarveReport, Superfluous};
use coldbolt::store::Store;
use serde_json::{Map, Value, json};

use super::files::Files;
use crate::cli::context::Fail;
use crate::cli::events::{Shown, Values};
use crate::cli::keyspace::{json_bytes, keep, show_key};
use crate::cli::objects::Objects;
use crate::cli::out::{List, clean, count, size};
use crate::cli::progress::Terminal;

/// Who prints what is found in a log.
pub struct Logged<'l, 'o> {
    pub values: &'l Values,
    pub objects: &'l Objects,
    pub list: &'l mut List<'o>,
    pub files: Option<&'l mut Files>,
}

impl Logged<'_, '_> {
    pub fn carve(
        &mut self,
        dir: &DataDir,
        store: &Store<'_>,
        options: CarveOptions<'_>,
        monitor: &Terminal,
    ) -> Result<LogCarveReport, Fail> {
        let log = LogCarve::open(dir)?;
        let names: Vec<String> = log.files().map(|file| clean(&file.name())).collect();
        let mut done = Ok(());
        let report = log.carve(store, options, monitor, &mut |request| {
            let name = names.get(request.file).map_or("", String::as_str);
            keep(&mut done, self.take(request, name))
        })?;
        done?;
        Ok(report)
    }

    fn take(&mut self, request: &CarvedRequest<'_>, file: &str) -> Result<(), Fail> {
        let shown = match request.value {
            Some(value) => self.values.of(self.objects, kv(request, value), 0, true),
            None => Shown::default(),
        };
        self.list.item(&row(request, file, &shown), |out| line(request, file, &shown, out))?;
        let (Some(files), Some(value)) = (self.files.as_deref_mut(), request.value) else { return Ok(()) };
        let object = shown.object.or_else(|| self.objects.stored(request.key, value));
        // An entry may put several keys.
        let name = format!("wal-{}-{}-{:x}", request.index, files.written, request.offset);
        let about =
            json!({ "index": request.index, "term": request.term, "source": file, "now": now(request) });
        files.write(self.objects, object, (&name, kv(request, value), true), about)
    }
}

fn kv<'r>(request: &CarvedRequest<'r>, value: &'r [u8]) -> KeyValue<'r> {
    KeyValue { key: request.key, value, lease: request.lease, ..KeyValue::default() }
}

fn now(request: &CarvedRequest<'_>) -> &'static str {
    if request.live.is_some() { "live" } else { "deleted" }
}

fn row(request: &CarvedRequest<'_>, file: &str, shown: &Shown) -> Map<String, Value> {
    let mut row = Map::new();
    let mut put = |name: &str, value: Value| row.insert(name.to_owned(), value);
    put("source", "wal".into());
    put("file", file.into());
    put("offset", request.offset.into());
    put("index", json!(request.index));
    put("term", json!(request.term));
    put("why", json!(request.why));
    put("proven", request.proven.into());
    put("when", json!(request.when));
    put("type", if request.value.is_some() { "put" } else { "delete" }.into());
    if let Some(value) = request.value {
        put("value_len", value.len().into());
    }
    if request.lease != 0 {
        put("lease", LeaseId::new(request.lease).padded().into());
    }
    if request.range_end.is_empty() {
        put("now", now(request).into());
        put("live_revision", json!(request.live));
    }
    if let Some(object) = shown.json() {
        put("object", object);
    }
    json_bytes(&mut row, "key", request.key);
    if !request.range_end.is_empty() {
        json_bytes(&mut row, "range_end", request.range_end);
    }
    if let Some(value) = request.value.filter(|_| shown.is_plain()) {
        json_bytes(&mut row, "value", value);
    }
    row
}

fn line(request: &CarvedRequest<'_>, file: &str, shown: &Shown, out: &mut dyn Write) -> io::Result<()> {
    let (index, key, object) = (request.index, show_key(request.key), shown.name());
    let what = match (request.value, request.range_end) {
        (Some(value), _) => {
            let lease = match request.lease {
                0 => String::new(),
                lease => format!(", lease {}", LeaseId::new(lease).padded()),
            };
            format!("put  {key}  ({}{lease}){object}", size(value.len() as u64))
        }
        (None, []) => format!("delete  {key}"),
        (None, [0]) => format!("delete  all keys from {key} on"),
        (None, end) => format!("delete  keys from {key} to before {}", show_key(end)),
    };
    let why = match request.why {
        Superfluous::Applied => "",
        Superfluous::Replaced => ", never committed: another entry took its place",
        Superfluous::Beyond => ", behind the end of the records",
        Superfluous::Broken => ", cut off by a repair",
        _ => ", not needed",
    };
    let proven = if request.proven { "" } else { ", no checksum proves it" };
    let when = match request.when {
        Condition::Always => "",
        Condition::Held => ", if its conditions held",
        Condition::Failed => ", if its conditions did not hold",
    };
    let now = match (request.live, request.range_end) {
        (Some(revision), _) => format!("; now live at {revision}"),
        (None, []) => "; now deleted".to_owned(),
        (None, _) => String::new(),
    };
    writeln!(out, "index {index}  {what}  {file} byte {:#x}{why}{proven}{when}{now}", request.offset)?;
    shown.print(request.value.unwrap_or_default(), out)
}

/// Says what was gone through.
pub fn say(report: &LogCarveReport, monitor: &Terminal) {
    let LogCarveReport { entries, requests, deletions, copies, .. } = *report;
    if entries > 0 {
        monitor.say(&format!(
            "{} changes ({} of them deletions) in {} entries of the log that are not needed; {} more are stored, or copies",
            count(requests),
            count(deletions),
            count(entries),
            count(copies)
        ));
    }
}
