//! One JSON object a line: findings as they come, the verdict at the end.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::{panic, thread};

use coldbolt::words::monitor::{Monitor, Relay};
use serde_json::{Value, json};

use super::{Answer, Unreadable};

/// Does the work on another thread and writes its findings while it runs. Work whose findings nobody reads any more
/// is cancelled.
pub fn streamed<R: Send>(
    out: &mut dyn Write,
    monitor: &dyn Monitor,
    work: impl FnOnce(&dyn Monitor) -> R + Send,
) -> io::Result<R> {
    let (findings, arriving) = channel();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let stop = &stop;
        let worker = scope.spawn(move || {
            // Nobody listens when nobody reads: the work is being stopped.
            let send = |finding| drop(findings.send(finding));
            work(&Relay::new(monitor).findings_to(&send).stopped_by(stop))
        });
        let mut written = Ok(());
        for finding in arriving {
            if written.is_ok() {
                written = line(out, "finding", &json!(finding));
                stop.fetch_or(written.is_err(), Ordering::Relaxed);
            }
        }
        let done = worker.join().unwrap_or_else(|fault| panic::resume_unwind(fault));
        written.map(|()| done)
    })
}

/// An input that could not be read.
pub fn unreadable(out: &mut dyn Write, unreadable: &Unreadable) -> io::Result<()> {
    line(out, "unreadable", &json!(unreadable))
}

/// The last line: the answer without the findings, which have been written.
pub fn verdict(out: &mut dyn Write, answer: &Answer) -> io::Result<()> {
    let mut value = serde_json::to_value(answer)?;
    for file in value["files"].as_array_mut().into_iter().flatten().filter_map(Value::as_object_mut) {
        file.shift_remove("findings");
    }
    line(out, "verdict", &value)
}

fn line(out: &mut dyn Write, kind: &str, value: &Value) -> io::Result<()> {
    let mut object = serde_json::Map::from_iter([("type".to_owned(), Value::from(kind))]);
    object.extend(value.as_object().cloned().unwrap_or_default());
    writeln!(out, "{}", Value::Object(object))?;
    out.flush()
}
