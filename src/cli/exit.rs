//! How a run ends: the one table of exit codes.

use std::io::{self, ErrorKind};

use coldbolt::Error;
use coldbolt::words::refusal::Refusal;

use super::context::{Done, Fail, Verdict};
use super::hint;
use super::progress::Terminal;

/// Everything that was asked for was done, and is good.
pub const GOOD: u8 = 0;
/// Checked and bad, or refused: damage, the data does not hold what was asked for, the output exists already.
pub const BAD: u8 = 1;
/// What was asked for makes no sense, whatever the files hold.
pub const USAGE: u8 = 2;
/// An input could not be read at all, or an output not written.
pub const IO: u8 = 3;
/// Something could not be checked.
pub const INCONCLUSIVE: u8 = 4;
/// A fault of this program.
pub const FAULT: u8 = 5;

/// What they mean, as the help, the manual page and the README have them.
pub const TABLE: [(&str, &str); 7] = [
    ("0", "good"),
    (
        "1",
        "checked and bad, or refused: damage, the data does not hold what was asked for (a compacted revision, a missing \
         key), the output exists already or another run is writing it",
    ),
    ("2", "wrong usage: what makes no sense whatever the files hold"),
    (
        "3",
        "the input could not be read at all (missing, no permission, held by a running etcd, not an etcd file), or the \
         output not written (disk full, no such directory, read-only)",
    ),
    ("4", "inconclusive: something could not be checked"),
    ("5", "a fault in coldbolt itself; please report it"),
    (
        "130, 143",
        "a command that writes was ended by SIGINT or SIGTERM (129: SIGHUP); nothing is left of what it was writing",
    ),
];

/// Ended by a signal, as a shell tells it.
pub fn interrupted(signal: i32) -> i32 {
    128 + signal
}

/// Says why a command failed, if it did, and gives its exit code.
pub fn code(done: Done, monitor: &Terminal) -> u8 {
    let fail = match done {
        Ok(verdict) => return of_verdict(verdict),
        Err(fail) => fail,
    };
    match fail {
        // Whoever read the answer has read enough; damage that was told stays damage.
        Fail::Output(error) | Fail::Library(Error::Output { source: error, .. })
            if error.kind() == ErrorKind::BrokenPipe =>
        {
            if monitor.damage() {
                BAD
            } else {
                GOOD
            }
        }
        Fail::Output(error) => {
            monitor.warn(&format!("Error: standard output: {error}"));
            of_output(&error)
        }
        Fail::Cut => {
            monitor.warn("Error: standard output: whoever reads it went away before it had everything");
            IO
        }
        Fail::Usage(what) => {
            monitor.warn(&format!("error: {what}\n\nFor more information, try '--help'."));
            USAGE
        }
        Fail::Refused(what) => {
            monitor.warn(&format!("Error: {what}"));
            BAD
        }
        Fail::Library(error) => {
            monitor.warn(&format!("Error: {}", hint::error(&error)));
            of_error(&error)
        }
    }
}

fn of_verdict(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Good => GOOD,
        Verdict::Bad => BAD,
        Verdict::Unreadable => IO,
        Verdict::Inconclusive => INCONCLUSIVE,
    }
}

fn of_error(error: &Error) -> u8 {
    match error {
        Error::Unreadable { .. } => IO,
        Error::Damaged { .. } => BAD,
        Error::Refused(refusal) => of_refusal(refusal),
        Error::Output { source, .. } => of_output(source),
        Error::Miswritten { .. } => FAULT,
        _ => FAULT,
    }
}

/// What is refused for the flags alone is wrong usage.
fn of_refusal(refusal: &Refusal) -> u8 {
    match refusal {
        Refusal::NoSuchMember { .. }
        | Refusal::NoSuchLearner { .. }
        | Refusal::NoVoter
        | Refusal::DuplicateUrl { .. }
        | Refusal::NoMembers
        | Refusal::PeerUrl(_)
        | Refusal::NotAdvertised { .. }
        | Refusal::NotInCluster { .. }
        | Refusal::MemberName { .. }
        | Refusal::LogInside { .. }
        | Refusal::InsideInput { .. } => USAGE,
        _ => BAD,
    }
}

fn of_output(error: &io::Error) -> u8 {
    match error.kind() {
        ErrorKind::AlreadyExists => BAD,
        ErrorKind::InvalidInput if error.raw_os_error().is_none() => USAGE,
        _ => IO,
    }
}
