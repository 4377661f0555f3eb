//! Keys and files of age for the tests. The keys were made by `age-keygen` for them and close nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// A recipient, and the key that opens what is closed for it.
pub const PAIR: (&str, &str) = (
    "age13qperqt0lzct94592en80gwrjc5hqy0w4xlhmwfsz9fp8dt37aaqdz4myd",
    "AGE-SECRET-KEY-10QZ2NE2EPNGDYJYN2HN72SK6NWG8YG32JW2J7MC2JS9XQ86R9FMSNE26PH",
);
/// Another pair.
pub const OTHER: (&str, &str) = (
    "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa",
    "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33",
);
/// A passphrase.
pub const PASSPHRASE: &str = "canaryPassphrase4c81 with spaces";

/// The files that are given to commands, which are their owner's alone.
pub struct KeyFiles {
    dir: PathBuf,
}

impl KeyFiles {
    pub fn write(dir: &Path) -> KeyFiles {
        let files = KeyFiles { dir: dir.to_path_buf() };
        for (name, text) in [
            ("key", format!("# created: some day\n# public key: {}\n{}\n", PAIR.0, PAIR.1)),
            ("other-key", format!("{}\n", OTHER.1)),
            ("recipients", format!("# the tests\n{}\n\n{}\n", PAIR.0, OTHER.0)),
            ("passphrase", format!("{PASSPHRASE}\n")),
            ("other-passphrase", "another".to_owned()),
        ] {
            fs::write(dir.join(name), text).unwrap();
            fs::set_permissions(dir.join(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        files
    }

    /// The path of one of them.
    pub fn of(&self, name: &str) -> String {
        self.dir.join(name).to_str().unwrap().to_owned()
    }
}
