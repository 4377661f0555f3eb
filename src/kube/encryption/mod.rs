//! Values that an API server encrypted, opened with its keys.
//!
//! ```
//! use coldbolt::kube::encryption::{Keyring, LackingKey, Unopened};
//!
//! let mut keyring = Keyring::new();
//! keyring.add_configuration(
//!     br#"{"kind": "EncryptionConfiguration", "resources": [{"resources": ["secrets"], "providers": [
//!            {"aescbc": {"keys": [{"name": "key1", "secret": "AAAAAAAAAAAAAAAAAAAAAA=="}]}}]}]}"#,
//! )?;
//! let other = keyring.open(b"/registry/secrets/a/b", b"k8s:enc:aescbc:v1:key2:...");
//! assert_eq!(other, Err(Unopened::NoKey(LackingKey::Named)));
//! # Ok::<(), coldbolt::kube::encryption::KeyFileFault>(())
//! ```
//!
//! | Provider | What tells that a key is right | Bound to the etcd key |
//! |---|---|---|
//! | aesgcm, KMS | authentication | yes: a value that was moved does not open, and which key it was of can be told |
//! | secretbox | authentication | no |
//! | aescbc, KMS v1 before Kubernetes 1.25 | padding, and a whole object | no |
//!
//! aescbc has no authentication. A change inside a string or bytes may leave an object whole, and neither an API server
//! nor this can tell it.

mod cipher;
mod config;
mod keyring;
mod kms;
mod refusal;
mod secret;
mod signs;
mod tally;
#[cfg(test)]
mod tests;

pub use self::config::{KEY_FILE_LIMIT, KeyFileFault};
pub use self::keyring::Keyring;
pub use self::refusal::{LackingKey, Unopened, ValueDamage};
pub use self::tally::CountedValues;
