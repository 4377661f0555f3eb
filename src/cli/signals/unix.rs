use std::fs;
use std::sync::Arc;
use std::sync::mpsc::channel;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::flag;
use signal_hook::iterator::Signals;

/// Has SIGHUP, SIGINT and SIGTERM do this.
pub fn when_ended(end: fn(i32)) {
    // A file that may not be longer is an error of writing then, as a full disk is, and not the end.
    let _ = flag::register(SIGXFSZ, Arc::default());
    let (say, heard) = channel();
    // Asked for by the thread that waits: without a thread for it a signal still ends the program, and leaves what is
    // under way, which the next run removes.
    let wait = move || {
        let hangup = Some(SIGHUP).filter(|_| !outlives_its_terminal());
        let signals = Signals::new([SIGINT, SIGTERM].into_iter().chain(hangup));
        let _ = say.send(());
        if let Some(signal) = signals.ok().and_then(|mut signals| signals.forever().next()) {
            end(signal);
        }
    };
    if std::thread::Builder::new().name("signals".to_owned()).spawn(wait).is_ok() {
        let _ = heard.recv();
    }
}

/// Whether it was started to go on when its terminal is closed, as nohup does: a handler would undo that. Where there
/// is no /proc nobody tells.
fn outlives_its_terminal() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & 1 << (SIGHUP - 1) != 0)
}
