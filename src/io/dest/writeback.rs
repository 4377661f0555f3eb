//! A file that is brought to the disk while it is still being written, so that at the end there is little left to
//! wait for.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::codec::to_u64;
use crate::io::os;
use crate::io::parallel::THREADS;

/// Bytes that are written between two words to the disk.
const STRIDE: u64 = 64 << 20;

/// A file that is written front to back. What is short is brought to the disk at the end only.
#[derive(Debug)]
pub struct Writeback {
    file: File,
    /// Where it is written next.
    at: u64,
    /// Written since the disk heard of it last.
    unsaid: u64,
    syncing: Option<(SyncSender<()>, JoinHandle<io::Result<()>>)>,
}

impl Writeback {
    /// Around a file that is open for writing, and empty.
    #[must_use]
    pub fn new(file: File) -> Writeback {
        Writeback { file, at: 0, unsaid: 0, syncing: None }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &File {
        &self.file
    }

    /// Brings everything to the disk.
    ///
    /// # Errors
    /// What the file system said, now or while it was written.
    pub fn sync(&mut self) -> io::Result<()> {
        if let Some((say, thread)) = self.syncing.take() {
            drop(say);
            // A failure is told to the first who asks only.
            thread.join().map_err(|_| io::Error::other("the thread that syncs has died"))??;
        }
        self.file.sync_all()
    }

    fn said(&mut self) -> io::Result<()> {
        self.unsaid = 0;
        if !THREADS {
            return Ok(());
        }
        if self.syncing.is_none() {
            let file = self.file.try_clone()?;
            let (say, heard) = sync_channel(1);
            let sync = move || heard.into_iter().try_for_each(|()| file.sync_data());
            // Without a thread for it all of it is brought to the disk at the end.
            self.syncing = Builder::new().spawn(sync).ok().map(|thread| (say, thread));
        }
        if let Some((say, _)) = &self.syncing {
            // Full: it is behind, and will bring this too. Gone: it failed, which the end tells.
            let _ = say.try_send(());
        }
        Ok(())
    }
}

impl io::Write for Writeback {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = os::write_next(&self.file, bytes, self.at)?;
        self.at = self.at.saturating_add(to_u64(written));
        self.unsaid = self.unsaid.saturating_add(to_u64(written));
        if self.unsaid >= STRIDE {
            self.said()?;
        }
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl io::Seek for Writeback {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let to = match to {
            io::SeekFrom::Current(by) => {
                io::SeekFrom::Start(self.at.checked_add_signed(by).ok_or(io::ErrorKind::InvalidInput)?)
            }
            to => to,
        };
        self.at = self.file.seek(to)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::*;

    #[test]
    fn what_is_written_is_there_however_long_it_is() {
        let mut out = Writeback::new(tempfile::tempfile().unwrap());
        let piece = vec![7; 16 << 20];
        (0..9).for_each(|_| out.write_all(&piece).unwrap());
        assert!(out.syncing.is_some());
        out.seek(io::SeekFrom::Start(0)).unwrap();
        out.write_all(b"begin").unwrap();
        out.sync().unwrap();
        assert_eq!(out.file().metadata().unwrap().len(), 9 * (16 << 20));
    }
}
