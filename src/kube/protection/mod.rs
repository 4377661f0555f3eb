//! How the values of a keyspace are protected: which are plain, and which are encrypted, by what. No key is needed for
//! it: what encrypted a value stands before it.
//!
//! ```text
//! k8s:enc:aescbc:v1:NAME:  the name of the key in the API server's configuration; also aesgcm, secretbox
//! k8s:enc:kms:v1:NAME:     the name of the provider in that configuration; the key is the plugin's, and not told
//! k8s:enc:kms:v2:NAME:     the same, then EncryptedObject: 1 encryptedData | 2 keyID | 3 encryptedDEKSource | ...
//! ```
//!
//! A value that was deleted or written anew is still there until etcd compacts, and after that in free pages until they
//! are needed: what was plain once is not gone because it is encrypted now. Source:
//! `k8s.io/apiserver/pkg/storage/value/encrypt`.

mod means;
mod report;
mod tally;
mod wrapped;

pub use self::means::Protection;
pub use self::report::{ProtectionOptions, ProtectionReport, protections};
pub use self::tally::{LatestWrite, NamedValue, ResourceProtection, UnderProtection};
pub use self::wrapped::WrappedKey;
