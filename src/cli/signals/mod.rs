//! Being ended from outside while something is written.

#[cfg(unix)]
mod unix;
#[cfg(windows)]
mod windows;

use std::io::{self, Write};
use std::path::Path;

use coldbolt::io::dest;
use coldbolt::words::error::show;

#[cfg(unix)]
use self::unix::when_ended;
#[cfg(windows)]
use self::windows::when_ended;
use super::exit;

/// Has who is ended from outside remove what is under way, and says what of a run that died is removed.
pub fn tidy() {
    dest::hear_of_taken_over(taken_over);
    when_ended(|signal| {
        dest::abandon();
        std::process::exit(exit::interrupted(signal));
    });
}

fn taken_over(partial: &Path) {
    let _ = writeln!(io::stderr(), "{}: was left by a run that died, and is removed", show(partial));
}
