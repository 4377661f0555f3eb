//! Work on bytes on a thread of its own, behind who has them.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, channel, sync_channel};
use std::thread::{Builder, JoinHandle};

/// Bytes that are handed over at once.
const PIECE: usize = 1 << 20;
/// Pieces that may wait.
const WAITING: usize = 2;

/// What is done with bytes, in their order.
pub(crate) trait Takes: Send + 'static {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()>;
}

/// What is written to it is taken on another thread. It waits for that when it is dropped.
pub(crate) struct Behind<T> {
    piece: Vec<u8>,
    say: Option<SyncSender<Vec<u8>>>,
    /// Pieces that are done with.
    done: Receiver<Vec<u8>>,
    thread: Option<JoinHandle<io::Result<T>>>,
}

impl<T: Takes> Behind<T> {
    /// # Errors
    /// When the system has no thread for it.
    pub fn new(mut takes: T) -> io::Result<Behind<T>> {
        let (say, heard) = sync_channel::<Vec<u8>>(WAITING);
        let (give_back, done) = channel();
        let work = move || {
            for mut piece in heard {
                takes.take(&piece)?;
                piece.clear();
                // Who does not want it back has all it needs.
                let _ = give_back.send(piece);
            }
            Ok(takes)
        };
        let thread = Some(Builder::new().spawn(work)?);
        Ok(Behind { piece: Vec::with_capacity(PIECE), say: Some(say), done, thread })
    }

    fn hand_over(&mut self) -> io::Result<()> {
        let next = self.done.try_recv().unwrap_or_else(|_| Vec::with_capacity(PIECE));
        let piece = std::mem::replace(&mut self.piece, next);
        match &self.say {
            Some(say) if say.send(piece).is_ok() => Ok(()),
            // It stops for an error only.
            _ => self.end().and_then(|_| Err(ended())),
        }
    }

    fn end(&mut self) -> io::Result<T> {
        self.say = None;
        let thread = self.thread.take().ok_or_else(ended)?;
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Waits until everything is done.
    ///
    /// # Errors
    /// What the work failed with.
    pub fn finish(mut self) -> io::Result<T> {
        if !self.piece.is_empty() {
            self.hand_over()?;
        }
        self.end()
    }
}

fn ended() -> io::Error {
    io::Error::other("an earlier write failed")
}

impl<T: Takes> Write for Behind<T> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = PIECE.saturating_sub(self.piece.len());
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.piece.extend_from_slice(taken);
        if self.piece.len() >= PIECE {
            self.hand_over()?;
        }
        Ok(taken.len())
    }

    /// What is not a whole piece stays here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<T> Drop for Behind<T> {
    fn drop(&mut self) {
        self.say = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Kept(Vec<u8>, usize);

    impl Takes for Kept {
        fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
            self.0.extend_from_slice(bytes);
            if self.0.len() > self.1 { Err(io::Error::other("full")) } else { Ok(()) }
        }
    }

    #[test]
    fn everything_is_taken_in_order_whatever_the_pieces() {
        for len in [0, 1, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 77] {
            let bytes: Vec<u8> = (0..len).map(|i| (i ^ (i >> 8)) as u8).collect();
            let mut behind = Behind::new(Kept(Vec::new(), usize::MAX)).unwrap();
            bytes.chunks(70_000).for_each(|part| behind.write_all(part).unwrap());
            assert!(behind.finish().unwrap().0 == bytes, "{len}");
        }
    }

    #[test]
    fn what_fails_there_is_told_here_and_no_more_is_taken() {
        let mut behind = Behind::new(Kept(Vec::new(), PIECE)).unwrap();
        let piece = vec![7; PIECE];
        let error = (0..100).find_map(|_| behind.write_all(&piece).err()).unwrap();
        assert_eq!(error.to_string(), "full");
        assert!(behind.write_all(&piece).is_err());
        let mut last = Behind::new(Kept(Vec::new(), 1)).unwrap();
        last.write_all(b"ab").unwrap();
        assert_eq!(last.finish().err().unwrap().to_string(), "full");
    }
}
