//! Why an encrypted value is not opened.

use crate::words::finding::Code;
use crate::words::text::show_bytes;

/// Why an encrypted value is not opened. What is said is what can be known: a value whose authentication fails begins
/// as an object with the right key, and as noise with any other.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unopened {
    /// No key for it was given.
    #[error("{0}")]
    NoKey(LackingKey),
    /// Keys of its name were given, and with none of them it begins as an object.
    #[error(
        "none of the {tried} keys that were given for it opens it: it was encrypted with another one, or its beginning \
         was changed"
    )]
    WrongKey {
        /// How many.
        tried: usize,
    },
    /// It was cut or changed.
    #[error("it is damaged: {0}")]
    Damaged(ValueDamage),
    /// It opens only as the value of another etcd key, whose name is part of what its cipher authenticates.
    #[error("this value was written for another key: {}", show_bytes(key.as_bytes()))]
    WrittenFor {
        /// The other one.
        key: String,
    },
    /// It opens only as the value of the same etcd key behind another prefix: the prefix was renamed.
    #[error("it was written behind another prefix: {prefix}")]
    WrittenBehind {
        /// That prefix.
        prefix: &'static str,
    },
}

impl Unopened {
    /// The code of a finding about it.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Unopened::NoKey(_) => Code::ObjectKeyLacking,
            Unopened::WrongKey { .. } => Code::ObjectKeyWrong,
            Unopened::WrittenFor { .. } | Unopened::WrittenBehind { .. } => Code::ObjectMoved,
            Unopened::Damaged(_) => Code::ObjectCiphertext,
        }
    }
}

/// Which key is lacking.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LackingKey {
    /// The configuration has none of that name.
    #[error("no key of that name was given")]
    Named,
    /// What the KMS knows by this id was not given as plain text.
    #[error("no plain key was given for the KMS key {}", show_bytes(id.as_bytes()))]
    Kms {
        /// The id in the value.
        id: String,
    },
    /// The value holds the wrapped key, and no plain one was given for it.
    #[error("no plain key was given for its wrapped one")]
    Wrapped,
    /// No such provider is known.
    #[error("values of this provider and version cannot be opened")]
    Provider,
}

/// What is damaged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueDamage {
    /// It cannot be so long.
    #[error("of {len} bytes behind its prefix it was cut, as its cipher takes at least {least}{}",
        if *blocks { ", a multiple of 16" } else { "" })]
    Length {
        /// Bytes behind the prefix.
        len: usize,
        /// The least that there can be.
        least: usize,
        /// Whether they must be whole blocks.
        blocks: bool,
    },
    /// It does not say by which key it is encrypted.
    #[error("its prefix is not whole")]
    Prefix,
    /// What is around the ciphertext cannot be read.
    #[error("what the KMS provider stored cannot be read past byte {0} behind its prefix")]
    Envelope(usize),
    /// The key is the right one, and the authentication fails.
    #[error(
        "its key is right, as it begins as an object, but its authentication fails: it was cut or changed{}",
        if *bound { ", or was written for another key, which it does not tell" } else { "" }
    )]
    Authentication {
        /// Whether the name of the etcd key counts.
        bound: bool,
    },
    /// The key is the right one, and its plain text is no whole object. A change that leaves it one cannot be told: the
    /// cipher has no authentication.
    #[error("its key is right, as it begins as an object, but it is no whole one: it was cut or changed")]
    NoObject,
}
