//! Values that are not what is stored: a caller who can open those that are encrypted sees them so in every answer.

use std::fmt;

use crate::etcd::KeyValue;

type Open<'o> = dyn Fn(&[u8], &[u8]) -> Option<Vec<u8>> + Sync + 'o;

/// Makes of a key and its stored value the one that is answered instead; `None` leaves it as it is stored.
#[derive(Clone, Copy)]
pub struct ValueOpener<'o>(&'o Open<'o>);

impl<'o> ValueOpener<'o> {
    /// By a function, which is called from all threads, and for one value as often as that is read.
    #[must_use]
    pub fn new(open: &'o Open<'o>) -> ValueOpener<'o> {
        ValueOpener(open)
    }

    /// The value that is answered instead.
    #[must_use]
    pub fn open(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        (self.0)(key, value)
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
