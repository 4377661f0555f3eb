//! How one of these programs ends that could not do its work.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use coldbolt::Error;
use coldbolt::io::packed;
use coldbolt::words::cause::Cause;

use super::go;
use crate::cli::context::{Context, Fail};
use crate::cli::hint;
use crate::cli::progress::{ProgressMode, Talk, Terminal};
use crate::cli::signals;

/// `ExitError`, `ExitBadFeature` and `ExitBadArgs` of `cobrautl/error.go` @ v3.7.
pub const ERROR: u8 = 1;
pub const BAD_FEATURE: u8 = 4;
pub const BAD_ARGS: u8 = 128;

/// With which exit code, and why.
#[derive(Debug)]
pub struct Failed {
    pub code: u8,
    /// What is said; nothing when whoever read the answer went away.
    pub what: Option<String>,
}

impl Failed {
    pub fn new(code: u8, what: impl Into<String>) -> Failed {
        Failed { code, what: Some(what.into()) }
    }
}

impl From<String> for Failed {
    fn from(what: String) -> Failed {
        Failed::new(ERROR, what)
    }
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Failed {
        let heard = error.kind() != io::ErrorKind::BrokenPipe;
        Failed { code: ERROR, what: heard.then(|| format!("standard output: {}", go::said(&error))) }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Failed {
        match &error {
            Error::Unreadable { path, cause: Cause::Io(source) } => {
                Failed::new(ERROR, format!("open {}: {}", path.display(), go::said(source)))
            }
            _ => Failed::new(ERROR, hint::error(&error)),
        }
    }
}

impl From<Fail> for Failed {
    fn from(fail: Fail) -> Failed {
        match fail {
            Fail::Library(error) => error.into(),
            Fail::Output(error) => error.into(),
            Fail::Cut => Failed { code: ERROR, what: None },
            Fail::Refused(what) | Fail::Usage(what) => what.into(),
        }
    }
}

/// Does the work of a command whose answer goes to standard output, and gives its exit code.
pub fn answer(work: impl FnOnce(&mut Context<'_>) -> Result<(), Failed>) -> u8 {
    signals::tidy();
    let monitor = Arc::new(Terminal::new(ProgressMode::Never, Talk::Usual));
    packed::tell(Arc::<Terminal>::clone(&monitor));
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let done = work(&mut Context { out: &mut out, monitor: &monitor });
    // What was printed before it failed is printed.
    let flushed = io::Write::flush(&mut out).map_err(Failed::from);
    monitor.close();
    match done.and(flushed) {
        Ok(()) => 0,
        Err(Failed { code, what }) => {
            if let Some(what) = what {
                monitor.say(&format!("Error: {what}"));
            }
            code
        }
    }
}

/// Fails as `os.Stat` does for what is not there.
pub fn exists(path: &Path) -> Result<(), Failed> {
    if path == Path::new("-") {
        return Ok(());
    }
    match fs::metadata(path) {
        Ok(_) => Ok(()),
        // Inside of an archive, which no other program looks into.
        Err(error) if error.kind() == io::ErrorKind::NotADirectory && coldbolt::io::tree::exists(path) => {
            Ok(())
        }
        Err(error) => Err(format!("stat {}: {}", path.display(), go::said(&error)).into()),
    }
}

/// Whether a word is an option's empty value.
pub fn given(word: &OsStr) -> Option<&Path> {
    (!word.is_empty()).then(|| Path::new(word))
}
