//! Reading a cold file at the speed of the disk: one thread reads it from front to back, the others wait until it has
//! passed what they need.
//!
//! A tree walked in key order touches a file in no order. On a cold disk that is ten times slower than reading it
//! once in file order and walking the pages the kernel then holds.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};

use super::parallel::{THREADS, behind};
use crate::codec::to_usize;
use crate::io::Source;

/// Bytes read at once.
const CHUNK: u64 = 1 << 20;
/// How many places of a file are asked for before it is called warm.
const SAMPLES: u64 = 64;

/// How far the reader has come.
#[derive(Debug, Default)]
pub struct Gate {
    passed: Mutex<u64>,
    moved: Condvar,
    enough: AtomicBool,
}

impl Gate {
    /// The reader has passed byte `offset`.
    pub fn pass(&self, offset: u64) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        *passed = offset.max(*passed);
        self.moved.notify_all();
    }

    /// Nobody needs the reader any more.
    pub fn stop(&self) {
        self.enough.store(true, Ordering::Relaxed);
    }

    /// Whether the reader may stop.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.enough.load(Ordering::Relaxed)
    }

    /// The reader has ended, whether or not it came to the end of the file.
    pub fn open(&self) {
        self.pass(u64::MAX);
    }

    /// Waits until the reader has passed byte `offset`.
    pub fn wait(&self, offset: u64) {
        let mut passed = self.passed.lock().unwrap_or_else(PoisonError::into_inner);
        while *passed < offset {
            passed = self.moved.wait(passed).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

/// Opens a gate when it goes out of scope, so that nobody waits for a reader that failed.
#[derive(Debug)]
pub struct OpenAtEnd<'g>(pub &'g Gate);

impl Drop for OpenAtEnd<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Whether parts of the file would have to come from the disk, and there are threads to read it ahead.
#[must_use]
pub fn is_cold(source: &Source) -> bool {
    let step = (source.len() / SAMPLES).max(1);
    THREADS
        && (0..SAMPLES)
            .map(|i| i.saturating_mul(step))
            .take_while(|at| *at < source.len())
            .any(|at| !source.is_cached(at))
}

/// Does some work while another thread reads a cold file in file order, so that the kernel holds what the work asks
/// for. A warm file is left alone.
pub fn with_read_ahead<R>(source: &Source, work: impl FnOnce(Option<&Gate>) -> R) -> R {
    if is_cold(source) { beside_reader(source, |gate| work(Some(gate))) } else { work(None) }
}

fn beside_reader<R>(source: &Source, work: impl FnOnce(&Gate) -> R) -> R {
    let gate = Gate::default();
    let here = || {
        let done = work(&gate);
        gate.stop();
        done
    };
    behind(|| read_ahead(source, &gate), here).1
}

fn read_ahead(source: &Source, gate: &Gate) {
    source.advise_sequential();
    // What cannot be read is reported by whoever needs it.
    each_chunk(source.len(), gate, |at, chunk| drop(source.read_exact_at(at, chunk)));
}

/// Has `read` fill a buffer chunk by chunk, and moves the gate along behind it.
fn each_chunk(len: u64, gate: &Gate, mut read: impl FnMut(u64, &mut [u8])) {
    let _open = OpenAtEnd(gate);
    let mut buffer = vec![0; to_usize(CHUNK.min(len))];
    let mut at = 0u64;
    while at < len && !gate.is_stopped() {
        let wanted = len.saturating_sub(at).min(CHUNK);
        let Some(chunk) = buffer.get_mut(..to_usize(wanted)) else { return };
        read(at, chunk);
        at = at.saturating_add(wanted);
        gate.pass(at);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use super::*;

    const LEN: u64 = 3 * CHUNK + 5;

    fn passed(gate: &Gate) -> u64 {
        *gate.passed.lock().unwrap()
    }

    #[test]
    fn the_gate_has_passed_what_was_read_before_the_next_is() {
        let gate = Gate::default();
        let mut read = Vec::new();
        each_chunk(LEN, &gate, |at, chunk| {
            assert_eq!(passed(&gate), at, "whoever needs the bytes before {at} still waits");
            read.push((at, chunk.len() as u64));
        });
        assert_eq!(read, [(0, CHUNK), (CHUNK, CHUNK), (2 * CHUNK, CHUNK), (3 * CHUNK, 5)]);
        assert_eq!(passed(&gate), u64::MAX);
    }

    #[test]
    fn a_reader_that_nobody_needs_ends_at_the_next_chunk_and_opens_the_gate() {
        let gate = Gate::default();
        let mut chunks = 0;
        each_chunk(1 << 60, &gate, |_, _| {
            chunks += 1;
            if chunks == 3 {
                gate.stop();
            }
        });
        assert_eq!((chunks, passed(&gate)), (3, u64::MAX));
    }

    #[test]
    fn nobody_waits_for_what_cannot_be_read() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&vec![7; to_usize(LEN)]).unwrap();
        let source = Source::from_file(Path::new("file"), file.try_clone().unwrap()).unwrap();
        file.set_len(CHUNK).unwrap();
        let gate = Gate::default();
        read_ahead(&source, &gate);
        assert_eq!(passed(&gate), u64::MAX);
    }

    #[test]
    fn the_work_is_done_beside_the_reader_which_ends_with_it() {
        let file = tempfile::tempfile().unwrap();
        // Minutes to read, all of it a hole.
        file.set_len(1 << 40).unwrap();
        let source = Source::from_file(Path::new("file"), file).unwrap();
        let far = beside_reader(&source, |gate| {
            gate.wait(CHUNK);
            passed(gate)
        });
        assert!((CHUNK..1 << 40).contains(&far), "{far}");
    }
}
