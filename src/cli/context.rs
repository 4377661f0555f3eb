//! What every command is given, and how it ends.

use std::io::{self, Write};

use coldbolt::Finding;
pub use coldbolt::ops::verify::Verdict;
use coldbolt::words::monitor::Monitor;

use super::progress::Terminal;

/// Why a command could not do its work.
#[derive(Debug)]
pub enum Fail {
    Library(coldbolt::Error),
    Output(io::Error),
    /// Whoever reads a file on standard output went away before it had all of it.
    Cut,
    /// What was asked for does not fit the data.
    Refused(String),
    /// What was asked for makes no sense, where clap cannot tell.
    Usage(String),
}

impl From<coldbolt::Error> for Fail {
    fn from(error: coldbolt::Error) -> Fail {
        Fail::Library(error)
    }
}

impl From<io::Error> for Fail {
    fn from(error: io::Error) -> Fail {
        Fail::Output(error)
    }
}

/// What a command's `run` gets: where the answer goes, and who hears of progress and findings.
pub struct Context<'c> {
    pub out: &'c mut dyn Write,
    pub monitor: &'c Terminal,
}

pub type Done = Result<Verdict, Fail>;

impl Context<'_> {
    /// Writes everything out, then tells what was found; bad if damage is among it.
    pub fn tell(&mut self, findings: Vec<Finding>) -> Done {
        let flushed = self.out.flush();
        findings.into_iter().for_each(|finding| self.monitor.finding(finding));
        flushed?;
        Ok(if self.monitor.damage() { Verdict::Bad } else { Verdict::Good })
    }
}
