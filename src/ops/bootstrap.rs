//! `kube bootstrap`: whether a server's token of k3s or rke2 fits a file, and what it opens.

use crate::etcd::KeyRange;
use crate::kube::k3s::{BOOTSTRAP, Seal, SharedFile, Token, ValueFault};
use crate::store::Store;
use crate::words::error::Result;
use crate::words::text::show_bytes;

/// The keys under which servers share, and what a token opened.
pub struct BootstrapReport {
    /// The live ones, in order.
    pub keys: Vec<BootstrapKey>,
    /// The files in the value that the token fits best, or what is wrong with it; `None` where it fits none.
    pub opened: Option<Result<Vec<SharedFile>, ValueFault>>,
}

/// A key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BootstrapKey {
    /// Its name, escaped.
    pub key: String,
    /// What of the token its value is encrypted with, if with any.
    pub seal: Option<Seal>,
}

/// Looks for the keys, and opens the value that the token fits.
///
/// # Errors
/// [`Error::Damaged`](crate::Error::Damaged) when the keyspace cannot be read, unless the store allows damage.
pub fn bootstrap(store: &Store<'_>, token: Option<&Token>) -> Result<BootstrapReport> {
    let view = store.at(None)?;
    let mut keys = Vec::new();
    let mut best: Option<(Seal, &Token, Vec<u8>)> = None;
    for state in view.keys(KeyRange::prefix(BOOTSTRAP)) {
        let state = state?;
        let end = state.key.strip_prefix(BOOTSTRAP).unwrap_or_default();
        let fits = token.and_then(|token| Some((token.seal(end)?, token)));
        keys.push(BootstrapKey { key: show_bytes(&state.key), seal: fits.map(|(seal, _)| seal) });
        if let Some((seal, token)) = fits
            && best.as_ref().is_none_or(|(least, ..)| seal < *least)
        {
            best = Some((seal, token, view.read(&state)?.value));
        }
    }
    let opened = best.map(|(seal, token, value)| token.open(seal, &value));
    Ok(BootstrapReport { keys, opened })
}
