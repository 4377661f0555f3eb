//! For whom files are closed and with what they are opened, as arguments.

use std::path::{Path, PathBuf};

use coldbolt::io::closed::{Identities, KeysFault, Recipients};
use coldbolt::words::cause::Cause;
use coldbolt::words::error::Error;

use super::context::Fail;
use super::input;
use super::keys_given::{read, read_public};
use super::progress::Terminal;

/// Where a snapshot file goes that nobody but its recipients is to read.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Closed with age")]
pub struct CloseFor {
    /// Close the new file with age, for this recipient (age1...) or those in this file; may be repeated. What is in it
    /// never reaches the disk in the clear.
    #[arg(long, value_name = "RECIPIENT|FILE", conflicts_with = "passphrase_file")]
    encrypt_to: Vec<PathBuf>,
    /// Close the new file with age, with the passphrase that is the one line of this file.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl CloseFor {
    /// The recipients, if it is to be closed; then nothing that is read may be kept on the disk either.
    pub fn recipients(&self, monitor: &Terminal) -> Result<Option<Recipients>, Fail> {
        if !self.any() {
            return Ok(None);
        }
        input::never_keep();
        recipients(&self.encrypt_to, self.passphrase_file.as_deref(), monitor).map(Some)
    }

    /// Whether it is to be closed.
    pub fn any(&self) -> bool {
        !self.encrypt_to.is_empty() || self.passphrase_file.is_some()
    }
}

/// These recipients, or the passphrase in this file.
pub fn recipients(
    to: &[PathBuf],
    passphrase_file: Option<&Path>,
    monitor: &Terminal,
) -> Result<Recipients, Fail> {
    if let Some(path) = passphrase_file {
        let file = read(path, monitor)?;
        return Recipients::passphrase(&file).map_err(|fault| wrong(path, fault));
    }
    let mut recipients = Recipients::none();
    for to in to {
        // A file of such a name is given as ./age1...
        match to.to_str().filter(|text| text.starts_with("age1")) {
            Some(text) => recipients.add(text.as_bytes()).map_err(|fault| {
                Fail::Usage(format!("{text}: {}", fault.to_string().replace("line 1 ", "")))
            })?,
            None => {
                let file = read_public(to)?;
                recipients.add(&file).map_err(|fault| wrong(to, fault))?;
            }
        }
    }
    Ok(recipients)
}

/// The keys in these files, or the passphrase in this one.
pub fn identities(
    files: &[PathBuf],
    passphrase_file: Option<&Path>,
    most_work: u8,
    monitor: &Terminal,
) -> Result<Identities, Fail> {
    if let Some(path) = passphrase_file {
        let file = read(path, monitor)?;
        return Identities::passphrase(&file, most_work).map_err(|fault| wrong(path, fault));
    }
    let mut identities = Identities::none();
    for path in files {
        let file = read(path, monitor)?;
        identities.add(&file).map_err(|fault| wrong(path, fault))?;
    }
    Ok(identities)
}

/// Has every closed file read as what is in it, if there are keys.
pub fn open_with(files: &[PathBuf], monitor: &Terminal) -> Result<(), Fail> {
    if !files.is_empty() {
        coldbolt::io::closed::open_with(identities(files, None, 0, monitor)?);
    }
    Ok(())
}

fn wrong(path: &Path, fault: KeysFault) -> Fail {
    Error::unreadable(path, Cause::Content(fault.to_string())).into()
}
