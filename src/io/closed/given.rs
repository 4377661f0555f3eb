//! Files that are closed with age and read as if they were open, by keys that were given beforehand.

use std::io::{self, BufRead, Read};
use std::sync::OnceLock;

use age::Decryptor;
use age::stream::StreamReader;

use super::keys::Identities;

static GIVEN: OnceLock<Identities> = OnceLock::new();

/// Has every file that is closed for one of these read as what is in it, from now on. The first who asks is heard.
///
/// What is in it may be put into a file without a name in the system's directory for temporary files.
pub fn open_with(identities: Identities) {
    let _ = GIVEN.set(identities);
}

/// Whether keys were given.
pub(crate) fn opens() -> bool {
    GIVEN.get().is_some()
}

/// A closed file, opened from front to back.
pub(crate) enum Stream<R: BufRead> {
    /// Nothing was read of it.
    Closed(Option<R>),
    /// Its header was.
    Open(Box<StreamReader<R>>),
}

impl<R: BufRead> Stream<R> {
    /// # Errors
    /// Why it stays closed, as text; what reading failed with.
    fn open(from: R) -> io::Result<StreamReader<R>> {
        let each = GIVEN.get().map(Identities::each).unwrap_or_default();
        let opened = Decryptor::new_buffered(from).and_then(|age| age.decrypt(each.iter().map(|who| &**who)));
        opened.map_err(|error| match error {
            age::DecryptError::Io(error) => error,
            other => io::Error::new(io::ErrorKind::PermissionDenied, other.to_string()),
        })
    }
}

impl<R: BufRead> Read for Stream<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if let Stream::Closed(from) = self {
            let Some(from) = from.take() else { return Ok(0) };
            *self = Stream::Open(Box::new(Stream::open(from)?));
        }
        match self {
            Stream::Open(reader) => reader.read(buf),
            Stream::Closed(_) => Ok(0),
        }
    }
}
