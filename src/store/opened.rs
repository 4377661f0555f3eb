//! Values that are not what is stored: a caller who can open those that are encrypted sees them so in every answer.

use std::fmt;

use crate::etcd::KeyValue;
use crate::words::finding::Code;

type Open<'o> = dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>> + Sync + 'o;
type Why<'o> = dyn Fn(&[u8], &[u8]) -> Option<(Code, String)> + Sync + 'o;

/// Makes of a key and its stored value the one that is answered instead; `None` leaves it as it is stored.
#[derive(Clone, Copy)]
pub struct ValueOpener<'o> {
    open: &'o Open<'o>,
    why: Option<&'o Why<'o>>,
}

impl<'o> ValueOpener<'o> {
    /// By a function, which is called from all threads, and for one value as often as that is read.
    #[must_use]
    pub fn new(open: &'o Open<'o>) -> ValueOpener<'o> {
        ValueOpener { open, why: None }
    }

    /// The same, which can also say why a value is not opened: a code, and what it is of this value.
    #[must_use]
    pub fn explained(self, why: &'o Why<'o>) -> ValueOpener<'o> {
        ValueOpener { why: Some(why), ..self }
    }

    /// The value that is answered instead.
    #[must_use]
    pub fn open(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        (self.open)(key, value)
    }

    /// Why it is not opened, if that can be said.
    #[must_use]
    pub fn why(&self, key: &[u8], value: &[u8]) -> Option<(Code, String)> {
        self.why.and_then(|why| why(key, value))
    }
}

impl fmt::Debug for ValueOpener<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ValueOpener(..)")
    }
}

/// Hands on a key and its value, opened if they can be.
pub(super) fn opened<R>(
    opener: Option<ValueOpener<'_>>,
    kv: KeyValue<'_>,
    with: impl FnOnce(KeyValue<'_>) -> R,
) -> R {
    match opener.and_then(|opener| opener.open(kv.key, kv.value)) {
        Some(plain) => with(KeyValue { value: &plain, ..kv }),
        None => with(kv),
    }
}
