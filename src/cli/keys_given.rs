//! Keys for values that an API server encrypted: from which files they come, and what they did not open.

use std::io::Read;
use std::path::{Path, PathBuf};

use coldbolt::io::os;
use coldbolt::kube::encryption::{CountedValues, KEY_FILE_LIMIT, KeyFileFault, Keyring};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::{Error, show};
use coldbolt::words::text::show_bytes;
use zeroize::Zeroizing;

use super::context::{Fail, Verdict};
use super::out::count;
use super::progress::Terminal;

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Encrypted values")]
pub struct KeysGiven {
    /// Open encrypted values with the keys of this EncryptionConfiguration of an API server, in YAML or JSON (of k3s
    /// server/cred/encryption-config.json); may be repeated. What is not opened is said, and the exit code is then 4.
    #[arg(long, value_name = "FILE")]
    encryption_config: Vec<PathBuf>,
    /// Open values of a KMS provider: a line each, of words with a space between: the KMS key id, the plain key or seed
    /// in base64, and where several have one id the wrapped one in base64.
    #[arg(long, value_name = "FILE")]
    kms_key: Option<PathBuf>,
    /// What stood before the keys when the values were written (--etcd-prefix then), if that is not so now: with aesgcm
    /// and KMS a value opens under the name it was written for.
    #[arg(long, value_name = "PREFIX")]
    aad_prefix: Option<String>,
}

impl KeysGiven {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        !self.encryption_config.is_empty() || self.kms_key.is_some()
    }

    /// The keys, if there are any; files of them that others can read are warned of.
    pub fn keyring(&self, monitor: &Terminal) -> Result<Option<Keyring>, Fail> {
        if !self.any() {
            let lone = self.aad_prefix.is_some();
            let what = "--aad-prefix goes with --encryption-config or --kms-key".to_owned();
            return if lone { Err(Fail::Usage(what)) } else { Ok(None) };
        }
        let mut keyring = Keyring::new();
        for path in &self.encryption_config {
            add(path, monitor, |file| keyring.add_configuration(file))?;
        }
        if let Some(path) = &self.kms_key {
            add(path, monitor, |file| keyring.add_kms_keys(file))?;
        }
        if let Some(prefix) = &self.aad_prefix {
            keyring.written_behind(prefix);
        }
        Ok(Some(keyring))
    }
}

fn add(
    path: &Path,
    monitor: &Terminal,
    add: impl FnOnce(&[u8]) -> Result<(), KeyFileFault>,
) -> Result<(), Fail> {
    let bytes = read(path, monitor)?;
    add(&bytes).map_err(|fault| Error::unreadable(path, Cause::Content(fault.to_string())).into())
}

/// The bytes of a file of keys; that others can use it is told.
pub fn read(path: &Path, monitor: &Terminal) -> Result<Zeroizing<Vec<u8>>, Fail> {
    let unreadable = |error| Error::unreadable(path, Cause::Io(error));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    if metadata.is_file()
        && let Some(mode) = os::shared_mode(&metadata)
    {
        let name = show(path);
        monitor.warn(&format!("{name} holds keys, and others than its owner can use it (mode {mode:04o})"));
    }
    bounded(path, file)
}

/// A file of keys that everybody may read.
pub fn read_public(path: &Path) -> Result<Zeroizing<Vec<u8>>, Fail> {
    let file = std::fs::File::open(path).map_err(|error| Error::unreadable(path, Cause::Io(error)))?;
    bounded(path, file)
}

fn bounded(path: &Path, file: std::fs::File) -> Result<Zeroizing<Vec<u8>>, Fail> {
    let unreadable = |error| Error::unreadable(path, Cause::Io(error));
    // Room for all of it at once: what grows leaves copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity((KEY_FILE_LIMIT + 1) as usize));
    file.take(KEY_FILE_LIMIT + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > KEY_FILE_LIMIT {
        let what = format!("is longer than {KEY_FILE_LIMIT} bytes: no file of keys");
        return Err(Error::unreadable(path, Cause::Content(what)).into());
    }
    Ok(bytes)
}

/// Says what was not opened; the verdict is then no good one.
pub fn end(keyring: Option<&Keyring>, verdict: Verdict, monitor: &Terminal) -> Verdict {
    for values in keyring.map(Keyring::misfits).unwrap_or_default() {
        monitor.warn(&format!("opened, but: {}", told(&values)));
    }
    let unopened = keyring.map(Keyring::unopened).unwrap_or_default();
    for values in &unopened {
        let hint = values.prefix.map_or_else(String::new, |prefix| format!("; say --aad-prefix {prefix}"));
        monitor.warn(&format!("not opened: {}{hint}", told(values)));
    }
    if verdict == Verdict::Good && !unopened.is_empty() { Verdict::Inconclusive } else { verdict }
}

/// The first of their keys, how many more there are, and the reason.
fn told(values: &CountedValues) -> String {
    let reason = if values.reason.is_empty() { "for other reasons" } else { &values.reason };
    let keys: Vec<_> = values.keys.iter().map(|key| show_bytes(key)).collect();
    let more = match values.values.saturating_sub(keys.len() as u64) {
        0 => String::new(),
        n => format!(" and {} more", count(n)),
    };
    format!("{}{more}: {reason}", keys.join(", "))
}
