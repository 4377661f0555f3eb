//! One JSON object a line: findings as they come, the verdict at the end.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use crate::codec::json;
use crate::io::parallel::behind;
use crate::ops::verify::{Answer, SCHEMA, Unreadable};
use crate::words::finding::Finding;
use crate::words::monitor::{Monitor, Relay};
use serde_json::{Value, json};

/// What is written before the verdict.
enum Event {
    Finding(Finding),
    Unreadable(Unreadable),
}

/// Does the work on another thread and writes what it tells while it runs: findings through its monitor, inputs that
/// cannot be read through the function beside it. Work that nobody reads of any more is cancelled.
///
/// # Errors
/// What `out` fails with.
pub fn streamed<R: Send>(
    out: &mut dyn Write,
    monitor: &dyn Monitor,
    work: impl FnOnce(&dyn Monitor, &mut dyn FnMut(&Unreadable)) -> R + Send,
) -> io::Result<R> {
    let (events, arriving) = channel();
    let stop = &AtomicBool::new(false);
    let worker = move || {
        // Nobody listens when nobody reads: the work is being stopped.
        let tell = |event| drop(events.send(event));
        let finding = |finding| tell(Event::Finding(finding));
        let monitor = Relay::new(monitor).findings_to(&finding).stopped_by(stop);
        work(&monitor, &mut |unreadable| tell(Event::Unreadable(unreadable.clone())))
    };
    let writer = || {
        let mut written = Ok(());
        let mut schema = Some(SCHEMA);
        for event in arriving {
            if written.is_ok() {
                written = match event {
                    Event::Finding(finding) => line(out, "finding", schema.take(), &json!(finding)),
                    Event::Unreadable(unreadable) => {
                        line(out, "unreadable", schema.take(), &json!(unreadable))
                    }
                };
                stop.fetch_or(written.is_err(), Ordering::Relaxed);
            }
        }
        written
    };
    let (done, written) = behind(worker, writer);
    written.map(|()| done)
}

/// The last line: the answer without the findings, which have been written.
///
/// # Errors
/// What `out` fails with.
pub fn verdict(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let mut value = serde_json::to_value(answer)?;
    let files = value.get_mut("files").and_then(Value::as_array_mut);
    for file in files.into_iter().flatten().filter_map(Value::as_object_mut) {
        file.shift_remove("findings");
    }
    line(out, "verdict", None, &value)
}

/// One line; the first names the schema, as the verdict does by itself.
fn line(out: &mut dyn Write, kind: &str, schema: Option<&str>, value: &Value) -> io::Result<()> {
    let mut object = serde_json::Map::from_iter([("type".to_owned(), Value::from(kind))]);
    object.extend(schema.map(|schema| ("schema".to_owned(), schema.into())));
    object.extend(value.as_object().cloned().unwrap_or_default());
    json::write(&mut *out, &object)?;
    out.write_all(b"\n")?;
    out.flush()
}
