//! A program that decodes entries for etcd-dump-logs: of each it gets the data in hexadecimal on a line, and answers
//! with a line, `STATUS|DATA` (`main.go listEntriesType` and `parseDecoderOutput` @ v3.6).

use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread::{self, JoinHandle};

use coldbolt::codec::checksum::hex;
use coldbolt::ops::wal_dump::Row;

use crate::cli::programs::failed::Failed;
use crate::cli::programs::go;
use crate::cli::wal::{How, text};

/// Go's exit code for a panic, which the tool ends with when its decoder does not work.
const PANIC: u8 = 2;
/// The most bytes of an answer, and of what the decoder complains of.
const LONGEST: u64 = 64 << 20;

/// One that runs.
pub struct Decoder {
    child: Child,
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    stderr: JoinHandle<Vec<u8>>,
}

impl Decoder {
    /// Starts what was named, with arguments after single spaces.
    pub fn start(named: &str) -> Result<Decoder, Failed> {
        let mut words = named.split(' ');
        let failed = |what: &str| Failed::new(PANIC, format!("stream-decoder {named}: {what}"));
        let mut command = Command::new(words.next().unwrap_or_default());
        command.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| failed(&go::said(&error)))?;
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = (stdin, stdout, stderr) else {
            return Err(failed("has no pipes"));
        };
        let heard = move || {
            let mut said = Vec::new();
            let mut stderr = stderr;
            let _ = stderr.by_ref().take(LONGEST).read_to_end(&mut said);
            let _ = io::copy(&mut stderr, &mut io::sink());
            said
        };
        Ok(Decoder { child, stdin, stdout: BufReader::new(stdout), stderr: thread::spawn(heard) })
    }

    /// Prints a row, with what the decoder says of it; false if it says nothing any more.
    pub fn row(&mut self, row: &Row<'_>, out: &mut dyn Write) -> io::Result<bool> {
        let mut line = Vec::new();
        text(&mut line, row, &How::as_they_are())?;
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        out.write_all(line)?;
        match row {
            Row::Head { .. } => writeln!(out, "\tdecoder_status\tdecoded_data")?,
            Row::Entry { entry, .. } => match self.ask(entry.bytes())? {
                Ok(answer) => out.write_all(&told(&answer))?,
                Err(why) => {
                    writeln!(out, "{why}")?;
                    return Ok(false);
                }
            },
            _ => writeln!(out)?,
        }
        Ok(true)
    }

    /// The line that the decoder answers with; why there is none, if it ends or says something without an end.
    fn ask(&mut self, data: &[u8]) -> io::Result<Result<Vec<u8>, &'static str>> {
        // One that has ended is told by its answer.
        let _ = writeln!(self.stdin, "{}", hex(data)).and_then(|()| self.stdin.flush());
        let mut answer = Vec::new();
        let read = self.stdout.by_ref().take(LONGEST).read_until(b'\n', &mut answer);
        // The tool reads each answer anew: more than a line at once is lost to it.
        let more = self.stdout.buffer().len();
        self.stdout.consume(more);
        Ok(match read {
            Ok(_) if answer.ends_with(b"\n") => Ok(answer),
            _ => Err("EOF"),
        })
    }

    /// Waits for its end: what it said on its standard error.
    pub fn end(self) -> Result<String, Failed> {
        let Decoder { mut child, stdin, stdout, stderr } = self;
        drop(stdin);
        let done = child.wait().map_err(|error| Failed::new(PANIC, go::said(&error)))?;
        drop(stdout);
        let said = stderr.join().unwrap_or_default();
        if !done.success() {
            let code =
                done.code().map_or_else(|| "a signal".to_owned(), |code| format!("exit status {code}"));
            return Err(Failed::new(PANIC, format!("stream-decoder: {code}")));
        }
        Ok(String::from_utf8_lossy(&said).into_owned())
    }
}

/// Both columns of an answer.
fn told(answer: &[u8]) -> Vec<u8> {
    let parts: Vec<&[u8]> = answer.split(|byte| *byte == b'|').collect();
    let (status, data): (Vec<u8>, Vec<u8>) = match parts.as_slice() {
        [status, data] => (status.to_vec(), data.to_vec()),
        [status, data @ ..] if !data.is_empty() => {
            let warning = b"(*WARNING: data might contain deliminator used by etcd-dump-logs)".as_slice();
            ([*status, warning].concat(), data.concat())
        }
        _ => (b"decoder output format is not right, print output anyway".to_vec(), answer.to_vec()),
    };
    [b"\t".as_slice(), &status, b"\t", &data].concat()
}
