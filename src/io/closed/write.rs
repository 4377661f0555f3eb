//! Closing what is written.

use std::cell::RefCell;
use std::collections::HashSet;
use std::io::{self, Write};

use age::secrecy::ExposeSecret;
use age::stream::StreamWriter;
use age::{EncryptError, Encryptor};
use age_core::format::{FileKey, Stanza};

use super::behind::{Behind, Takes};
use super::keys::Recipients;
use super::read::FileSecret;
use super::sum::{Sum, Summing};

/// Where the closed bytes go.
struct Out<W> {
    out: W,
    sum: Summing,
}

impl<W: Write + Send + 'static> Takes for Out<W> {
    fn take(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.sum.take(bytes)
    }
}

/// A writer that closes what is written to it. On the thread of who writes it is encrypted; both sums and the writing
/// are done on others. What is not [finished](Closing::finish) is no age file.
pub struct Closing<W: Write + Send + 'static> {
    plain: Option<Behind<Summing>>,
    stream: StreamWriter<Behind<Out<W>>>,
    secret: FileSecret,
}

/// What was closed.
pub struct Closed<W> {
    /// Where it was written, with all of it written.
    pub out: W,
    /// Of what it holds.
    pub plain: Sum,
    /// Of what was written.
    pub closed: Sum,
    /// What opens it.
    pub secret: FileSecret,
}

impl<W: Write + Send + 'static> Closing<W> {
    /// Closes for these recipients what is written to `out`.
    ///
    /// # Errors
    /// What `out` fails with, and when there are no recipients.
    pub fn new(recipients: &Recipients, out: W) -> io::Result<Closing<W>> {
        let each = recipients.each();
        let kept = RefCell::new(None);
        let keeping: Vec<_> = each.iter().map(|to| Keeping { to: &**to, kept: &kept }).collect();
        let encryptor = Encryptor::with_recipients(keeping.iter().map(|to| -> &dyn age::Recipient { to }));
        let encryptor = encryptor.map_err(|error| io::Error::other(error.to_string()))?;
        let secret = kept.take().ok_or_else(|| io::Error::other("there is no recipient"))?;
        let stream = encryptor.wrap_output(Behind::new(Out { out, sum: Summing::default() })?)?;
        Ok(Closing { plain: Some(Behind::new(Summing::default())?), stream, secret })
    }

    /// The sum of what was written so far.
    ///
    /// # Errors
    /// When the system has no thread any more.
    pub fn sum(&mut self) -> io::Result<Sum> {
        let plain = self.plain.take().ok_or_else(|| io::Error::other("an earlier write failed"))?.finish()?;
        self.plain = Some(Behind::new(plain.clone())?);
        Ok(plain.sum())
    }

    /// Writes the end, without which it is none.
    ///
    /// # Errors
    /// What `out` fails with.
    pub fn finish(mut self) -> io::Result<Closed<W>> {
        let plain = self.sum()?;
        let Out { mut out, sum } = self.stream.finish()?.finish()?;
        out.flush()?;
        Ok(Closed { out, plain, closed: sum.sum(), secret: self.secret })
    }
}

impl<W: Write + Send + 'static> Write for Closing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let plain = self.plain.as_mut().ok_or_else(|| io::Error::other("an earlier write failed"))?;
        plain.write_all(bytes)?;
        self.stream.write_all(bytes)?;
        Ok(bytes.len())
    }

    /// What is not a whole chunk stays here.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recipient, and what it was given to wrap.
struct Keeping<'r> {
    to: &'r dyn age::Recipient,
    kept: &'r RefCell<Option<FileSecret>>,
}

impl age::Recipient for Keeping<'_> {
    fn wrap_file_key(&self, key: &FileKey) -> Result<(Vec<Stanza>, HashSet<String>), EncryptError> {
        self.kept.replace(Some(FileSecret::new(*key.expose_secret())));
        self.to.wrap_file_key(key)
    }
}
