//! A snapshot that is being received.

use std::path::Path;
use std::time::Duration;

use prost::bytes::Bytes;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::endpoint::Endpoint;
use super::peer::{Begun, lost};
use super::received::Received;
use crate::words::error::{Error, Result};
use crate::words::unanswered::Unanswered;

/// Bytes that have to come within each stretch of patience, but for the last: what comes by drops is no backup.
const PROGRESS: u64 = 32 << 10;

/// A snapshot that is being received, part by part.
pub struct Snapshot<'c> {
    runtime: &'c Runtime,
    begun: Begun,
    endpoint: Endpoint,
    patience: Duration,
    received: Received,
    /// Until when so many bytes must have come.
    due: (Instant, u64),
}

impl<'c> Snapshot<'c> {
    pub(super) fn new(runtime: &'c Runtime, begun: Begun, endpoint: Endpoint, patience: Duration) -> Self {
        let due = (Instant::now(), 0);
        Snapshot { runtime, begun, endpoint, patience, received: Received::default(), due }
    }

    /// The next part of the database; `None` when all of it has come, and its SHA-256.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when it breaks off, comes too slowly, or is not what its first part said.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> Result<Option<Bytes>> {
        self.part().map_err(|why| Error::unreadable(Path::new(&self.endpoint.to_string()), why))
    }

    fn part(&mut self) -> std::result::Result<Option<Bytes>, Unanswered> {
        loop {
            let now = Instant::now();
            if self.received.got() >= self.due.1 {
                let until = now.checked_add(self.patience).unwrap_or(now);
                self.due = (until, self.received.got().saturating_add(PROGRESS));
            }
            let message = async { tokio::time::timeout_at(self.due.0, self.begun.stream.message()).await };
            let message = match self.runtime.block_on(message) {
                Ok(Ok(message)) => message,
                Ok(Err(status)) => return Err(self.broken(&status)),
                Err(_) => {
                    let what = "the next 32 KiB of its snapshot";
                    return Err(Unanswered::TimedOut { what, waited: self.patience });
                }
            };
            let Some(message) = message else {
                return self.received.sha256("the stream ended").map(|_| None);
            };
            if self.received.take(message.remaining_bytes, &message.blob)? {
                return Ok(Some(message.blob));
            }
        }
    }

    fn broken(&self, status: &tonic::Status) -> Unanswered {
        match (self.received.due(), lost(status)) {
            (None, why) | (_, why @ Unanswered::Tls(_)) => why,
            (Some(due), why) => {
                Unanswered::BrokenOff { received: self.received.got(), due, told: why.to_string() }
            }
        }
    }

    /// Bytes of the whole database: known from the first part on.
    #[must_use]
    pub fn bytes(&self) -> Option<u64> {
        self.received.due()
    }

    /// The SHA-256 that the member gave at the end.
    ///
    /// # Errors
    /// [`Error::Unreadable`] when the end has not come.
    pub fn sha256(&self) -> Result<[u8; 32]> {
        let sha256 = self.received.sha256("its end was not waited for");
        sha256.map_err(|why| Error::unreadable(Path::new(&self.endpoint.to_string()), why))
    }
}
