//! Why an item or a file could not be written.

use std::io;

use crate::bolt::limits::{MAX_ITEM, MAX_KEY};

/// How deep buckets may be nested; etcd's are 1 deep.
pub const MAX_DEPTH: usize = 64;

/// Why an item or a file could not be written.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// An [`Options`](super::Options) field out of its range.
    #[error("{option} {value}: must be {rule}")]
    Option {
        /// The field.
        option: &'static str,
        /// What it was.
        value: u64,
        /// What it must be.
        rule: &'static str,
    },
    /// A key or bucket name that is not greater than the one before it in its bucket.
    #[error("{bucket}: key {key} does not come after {previous}")]
    Order {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The key, escaped for print.
        key: String,
        /// The key before it, escaped for print.
        previous: String,
    },
    /// A key or bucket name of no bytes.
    #[error("{bucket}: an empty key")]
    EmptyKey {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// A key or bucket name longer than [`MAX_KEY`].
    #[error("{bucket}: a key of {len} bytes, the most is {MAX_KEY}")]
    KeyTooLong {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The key's length in bytes.
        len: usize,
    },
    /// A key and value longer than [`MAX_ITEM`] together.
    #[error("{bucket}: key and value of {len} bytes, the most is {MAX_ITEM}")]
    ItemTooLong {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
        /// The length of both in bytes.
        len: usize,
    },
    /// A bucket more than [`MAX_DEPTH`] deep.
    #[error("{bucket}: buckets nested more than {MAX_DEPTH} deep")]
    TooDeep {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// A key outside every bucket, or the end of a bucket that was not begun.
    #[error("no bucket is open")]
    NoBucket,
    /// The file was to be finished inside a bucket.
    #[error("{bucket}: the bucket is still open")]
    OpenBucket {
        /// The bucket, its parents before it, escaped for print.
        bucket: String,
    },
    /// The output failed. Whatever is tried with the writer afterwards fails too.
    #[error("bbolt file: {0}")]
    Output(#[from] io::Error),
}

impl From<WriteError> for crate::Error {
    fn from(error: WriteError) -> crate::Error {
        match error {
            WriteError::Output(source) => crate::Error::Output { what: "bbolt file".to_owned(), source },
            other => crate::words::refusal::Refusal::Unwritable(Box::new(other)).into(),
        }
    }
}
