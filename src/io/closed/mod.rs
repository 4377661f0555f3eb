//! Files that are closed with age: for the holders of keys, or with a passphrase (feature `age`).
//!
//! What is closed is encrypted while it is written, and never touches the disk in the clear. What was closed can be
//! read back at once, by the key of the file, which nobody but who closed it has without being a recipient: it is
//! forgotten with the [`FileSecret`].

mod behind;
#[cfg(feature = "packed")]
mod given;
mod keys;
mod read;
mod sum;
mod write;

pub(crate) use behind::Behind;
#[cfg(feature = "packed")]
pub use given::open_with;
#[cfg(feature = "packed")]
pub(crate) use given::{Stream, opens};
pub use keys::{Identities, KeysFault, MOST_WORK, Recipients, WORK};
pub use read::{FileSecret, Opening, Summed};
pub(crate) use read::{Opened, unread};
pub use sum::Sum;
pub(crate) use sum::Summing;
pub use write::{Closed, Closing};
