//! The parts of a snapshot as they come, held to what the first of them said.

use crate::words::unanswered::Unanswered;

/// Bytes of a SHA-256.
const SHA256: usize = 32;

/// How far a snapshot has come. Of a stream that lies about its length nothing past that is taken.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Received {
    /// Bytes of the whole database, as the first part said.
    due: Option<u64>,
    got: u64,
    sha256: Option<[u8; SHA256]>,
}

impl Received {
    /// Takes the next part, with what it says remains; whether it is bytes of the database, or their SHA-256.
    ///
    /// # Errors
    /// [`Unanswered::Nonsense`] when the numbers do not go together.
    pub fn take(&mut self, remaining: u64, part: &[u8]) -> Result<bool, Unanswered> {
        let len = u64::try_from(part.len()).unwrap_or(u64::MAX);
        let nonsense = |told: String| Err(Unanswered::Nonsense(told));
        let Some(due) = self.due else {
            let Some(due) = remaining.checked_add(len).filter(|due| *due > 0) else {
                return nonsense(format!("its snapshot begins with {len} bytes of {len} + {remaining}"));
            };
            (self.due, self.got) = (Some(due), len);
            return Ok(true);
        };
        if self.sha256.is_some() {
            return nonsense(format!("{len} bytes follow the SHA-256 of its snapshot"));
        }
        let left = due.saturating_sub(self.got);
        if left == 0 {
            let Ok(sha256) = part.try_into() else {
                return nonsense(format!(
                    "{len} bytes are where the SHA-256 of its snapshot is due, which has {SHA256}"
                ));
            };
            self.sha256 = Some(sha256);
            return Ok(false);
        }
        if left.checked_sub(len) != Some(remaining) {
            return nonsense(format!(
                "a part of {len} bytes of its snapshot leaves {remaining}, with {left} to come before it"
            ));
        }
        self.got = self.got.saturating_add(len);
        Ok(true)
    }

    /// Bytes of the whole database, once that is known.
    #[must_use]
    pub fn due(&self) -> Option<u64> {
        self.due
    }

    /// Bytes of it that came.
    #[must_use]
    pub fn got(&self) -> u64 {
        self.got
    }

    /// The SHA-256 that the member gave, when the stream has ended.
    ///
    /// # Errors
    /// [`Unanswered::BrokenOff`] when it ended too early; `told` is how.
    pub fn sha256(&self, told: &str) -> Result<[u8; SHA256], Unanswered> {
        self.sha256.ok_or_else(|| Unanswered::BrokenOff {
            received: self.got,
            due: self.due.unwrap_or(0),
            told: told.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stream_that_is_as_it_says_is_taken_to_its_end() {
        let mut received = Received::default();
        assert_eq!(received.take(5, b"abc"), Ok(true));
        assert_eq!((received.due(), received.got()), (Some(8), 3));
        assert!(matches!(received.sha256("the end"), Err(Unanswered::BrokenOff { received: 3, due: 8, .. })));
        assert_eq!(received.take(0, b"defgh"), Ok(true));
        assert!(received.sha256("the end").is_err());
        assert_eq!(received.take(0, &[7; 32]), Ok(false));
        assert_eq!(received.sha256("the end"), Ok([7; 32]));
    }

    #[test]
    fn numbers_that_do_not_go_together_end_it() {
        let begun = |remaining, part: &[u8]| {
            let mut received = Received::default();
            received.take(remaining, part).map(|_| received)
        };
        let told = |result: Result<bool, Unanswered>| result.unwrap_err().to_string();
        assert!(begun(0, b"").is_err());
        assert!(begun(u64::MAX, b"a").is_err());
        let received = begun(5, b"abc").unwrap();
        assert_eq!(
            told(received.clone().take(4, b"de")),
            "a part of 2 bytes of its snapshot leaves 4, with 5 to come before it"
        );
        assert!(told(received.clone().take(0, b"defghi")).contains("a part of 6 bytes"));
        let mut whole = begun(0, b"abc").unwrap();
        assert!(told(whole.clone().take(0, b"short")).contains("5 bytes are where the SHA-256"));
        whole.take(0, &[0; 32]).unwrap();
        assert!(told(whole.take(0, b"")).contains("0 bytes follow"));
    }

    proptest! {
        /// Whatever comes, no more than was announced is taken, and an end is one only with all of it.
        #[test]
        fn no_more_is_taken_than_was_announced(
            parts in proptest::collection::vec((0u64..9, 0usize..9), 0..9),
        ) {
            let (mut received, mut taken) = (Received::default(), 0);
            for (remaining, len) in parts {
                match received.take(remaining, &vec![0; len]) {
                    Ok(true) => taken += len as u64,
                    Ok(false) => {}
                    Err(_) => break,
                }
            }
            prop_assert_eq!(taken, received.got());
            prop_assert!(received.got() <= received.due().unwrap_or(0));
            if received.sha256("").is_ok() {
                prop_assert_eq!(Some(taken), received.due());
            }
        }
    }
}
