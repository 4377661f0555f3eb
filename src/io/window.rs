//! A buffer over a [`Source`] that is refilled as it is read: what lets one core read a file of any size in flat
//! memory. Over a source whose bytes are in memory it holds nothing, and gives those.

use crate::codec::{slice_at, to_u64, to_usize};
use crate::io::Source;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// How much a window reads ahead once reading turns out to be sequential, in either direction.
pub const READ_AHEAD: usize = 256 * 1024;

/// A stretch of a [`Source`], kept in memory and replaced as other bytes are asked for.
#[derive(Debug, Default)]
pub struct Window {
    start: u64,
    /// Memory: what is held is its first bytes, and the rest is left as it is, so that it need not be zeroed again.
    bytes: Vec<u8>,
    held: usize,
    /// Where the last request began and ended: the next one tells whether reading is sequential.
    last: (u64, u64),
    /// Whether requests that are near each other say nothing about the next one.
    scattered: bool,
}

impl Window {
    /// An empty window.
    #[must_use]
    pub fn new() -> Window {
        Window::default()
    }

    /// An empty window that never reads ahead: for requests in no order.
    #[must_use]
    pub fn scattered() -> Window {
        Window { scattered: true, ..Window::default() }
    }

    /// The `len` bytes at `offset`. They stay until the next call. What the source has in memory is not copied.
    ///
    /// # Errors
    /// `unreadable` when the source does not have them, or memory has no room for them.
    pub fn get<'w>(
        &'w mut self,
        source: &'w Source,
        offset: u64,
        len: usize,
    ) -> Result<&'w [u8], Box<Corrupt>> {
        let end = offset.checked_add(to_u64(len)).filter(|end| *end <= source.len());
        let Some(end) = end else {
            let what = format!("{len} bytes wanted here, but the file has {} bytes", source.len());
            return Err(Corrupt::new(Code::Unreadable, At::offset(offset), what));
        };
        if let Some(bytes) = source.slice(offset, len) {
            return Ok(bytes);
        }
        let held = self.start.saturating_add(to_u64(self.held));
        if offset < self.start || end > held {
            self.fill(source, offset, end)?;
        }
        self.last = (offset, end);
        let within = to_usize(offset.saturating_sub(self.start));
        slice_at(&self.bytes, within, len)
            .ok_or_else(|| Corrupt::new(Code::Unreadable, At::offset(offset), "window out of step"))
    }

    fn fill(&mut self, source: &Source, offset: u64, end: u64) -> Result<(), Box<Corrupt>> {
        let near = to_u64(READ_AHEAD / 4);
        let ahead_pays = !self.scattered;
        let forward = ahead_pays
            && offset >= self.last.1
            && offset.saturating_sub(self.last.1) <= near
            && self.last.1 != 0;
        let backward = ahead_pays && end <= self.last.0 && self.last.0.saturating_sub(end) <= near;
        let ahead = to_u64(READ_AHEAD);
        let (start, stop) = if forward {
            (offset, end.max(offset.saturating_add(ahead)).min(source.len()))
        } else if backward {
            (offset.min(end.saturating_sub(ahead)), end)
        } else {
            (offset, end)
        };
        let wide = self.read(source, start, stop);
        // Reading ahead must not fail a request whose own bytes are good.
        if wide.is_err() && (start, stop) != (offset, end) { self.read(source, offset, end) } else { wide }
    }

    fn read(&mut self, source: &Source, start: u64, stop: u64) -> Result<(), Box<Corrupt>> {
        let len = to_usize(stop.saturating_sub(start));
        if self.bytes.try_reserve(len.saturating_sub(self.bytes.len())).is_err() {
            let what = format!("{len} bytes wanted here are more than memory has room for");
            return Err(Corrupt::new(Code::Unreadable, At::offset(start), what));
        }
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        (self.start, self.held) = (start, 0);
        source.read_exact_at(start, self.bytes.get_mut(..len).unwrap_or_default())?;
        self.held = len;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_order_of_requests_gives_the_sources_bytes() {
        let data: Vec<u8> = (0..3_000_000u32).map(|i| (i ^ (i >> 7)) as u8).collect();
        let mut file = tempfile::tempfile().unwrap();
        std::io::Write::write_all(&mut file, &data).unwrap();
        let source = Source::from_file("file".as_ref(), file).unwrap();
        let mut window = Window::new();
        let mut scattered = Window::scattered();
        let mut at = |offset: usize, len: usize| {
            assert_eq!(window.get(&source, offset as u64, len).unwrap(), &data[offset..offset + len]);
            assert_eq!(scattered.get(&source, offset as u64, len).unwrap(), &data[offset..offset + len]);
            assert!(scattered.bytes.len() <= 70_100, "it read ahead");
        };
        (0..700).for_each(|i| at(i * 4096, 4096));
        (0..700).rev().for_each(|i| at(i * 4096, 4096));
        (0..700).for_each(|i| at((i * 7919 * 13) % 2_900_000, 100 + i * 100));
        assert_eq!(window.get(&source, 2_999_999, 2).unwrap_err().code, Code::Unreadable);
        assert_eq!(window.get(&source, u64::MAX, 2).unwrap_err().code, Code::Unreadable);
    }

    #[test]
    fn bytes_in_memory_are_borrowed_and_not_copied() {
        let source = Source::from_bytes("memory", vec![7; 10_000]);
        let mut window = Window::new();
        let got = window.get(&source, 4096, 4096).unwrap();
        assert!(std::ptr::eq(got, &source.as_slice().unwrap()[4096..8192]));
        assert_eq!(window.get(&source, 8192, 4096).unwrap_err().code, Code::Unreadable);
        assert_eq!(window.bytes.capacity(), 0);
    }
}
