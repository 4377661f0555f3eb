//! The real programs, where `tests/peers/setup.sh` puts them.

use std::env;
use std::path::PathBuf;

/// The directory they are in: `$COLDBOLT_PEERS`, or `coldbolt/peers` in the user's cache.
pub fn directory() -> PathBuf {
    let cache = || {
        let home = || PathBuf::from(env::var_os("HOME").unwrap_or_default()).join(".cache");
        env::var_os("XDG_CACHE_HOME").filter(|dir| !dir.is_empty()).map_or_else(home, PathBuf::from)
    };
    env::var_os("COLDBOLT_PEERS").map_or_else(|| cache().join("coldbolt/peers"), PathBuf::from)
}

/// A program by its directory and name, as in `peer("bbolt-1.4.3", "bbolt")`. `None`, said on standard error, when it is not installed.
///
/// # Panics
/// When it is not installed and `COLDBOLT_INTEROP` is `required`.
pub fn peer(directory: &str, program: &str) -> Option<PathBuf> {
    let path = self::directory().join(directory).join(program);
    if path.is_file() {
        return Some(path);
    }
    let required = env::var_os("COLDBOLT_INTEROP").is_some_and(|value| value == "required");
    assert!(!required, "{} is missing: run tests/peers/setup.sh", path.display());
    eprintln!("skipped: {} is missing; tests/peers/setup.sh installs it", path.display());
    None
}
