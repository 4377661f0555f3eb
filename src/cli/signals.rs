//! Being ended from outside while something is written.

use std::io::{self, Write};
use std::path::Path;

use coldbolt::io::dest;
use coldbolt::words::error::show;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::exit;

/// Has SIGINT and SIGTERM remove what is under way, and says what of a run that died is removed.
pub fn tidy() {
    dest::hear_of_taken_over(taken_over);
    // Without it a signal leaves what is under way, which the next run removes.
    let Ok(mut signals) = Signals::new([SIGINT, SIGTERM]) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            dest::abandon();
            std::process::exit(exit::interrupted(signal));
        }
    };
    let _ = std::thread::Builder::new().name("signals".to_owned()).spawn(wait);
}

fn taken_over(partial: &Path) {
    let _ = writeln!(io::stderr(), "{}: was left by a run that died, and is removed", show(partial));
}
