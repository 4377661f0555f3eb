//! bbolt databases: `member/snap/db`, `*.snap.db`, and the body of `snapshot save` files.

pub mod writer;

pub use writer::{Freelist, Options, Summary, WriteError, Writer};
