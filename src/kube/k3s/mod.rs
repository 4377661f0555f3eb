//! What servers of k3s and rke2 keep beside the objects of Kubernetes.

#[cfg(feature = "encryption")]
mod bootstrap;

#[cfg(feature = "encryption")]
pub use bootstrap::{Seal, SharedFile, Token, TokenFault, ValueFault, files};

/// What they share lies behind this.
pub const BOOTSTRAP: &[u8] = b"/bootstrap/";
