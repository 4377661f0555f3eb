//! For whom files are closed, and who opens them: keys `age1...` and `AGE-SECRET-KEY-1...` (X25519), or a passphrase.

use std::fmt;
use std::str::FromStr;

use age::secrecy::SecretString;
use age::{scrypt, x25519};

/// The logarithm of scrypt's work with which a passphrase is made a key: 256 MiB of memory, about a second. It is that
/// of age (`filippo.io/age scrypt.go NewScryptRecipient @ v1.3`).
pub const WORK: u8 = 18;
/// The most work that is done for a passphrase unless more is allowed: a GiB of memory, whatever a file asks for.
pub const MOST_WORK: u8 = 20;

/// What is wrong with keys or a passphrase. No text of it quotes any of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeysFault {
    /// It is no text.
    #[error("is not UTF-8: neither keys nor a passphrase")]
    NotUtf8,
    /// A line is no recipient.
    #[error(
        "line {line} is no recipient as `age-keygen -y` prints it (age1...); others, as keys of ssh, are not known here"
    )]
    NotARecipient {
        /// From 1.
        line: usize,
    },
    /// A line of a file of recipients is a secret key.
    #[error("line {line} is a secret key, where a recipient is due: `age-keygen -y` makes that of it")]
    SecretForRecipient {
        /// From 1.
        line: usize,
    },
    /// A line is no secret key.
    #[error(
        "line {line} is no secret key as `age-keygen` makes it (AGE-SECRET-KEY-1...); others, as keys of ssh or plugins, \
         are not known here"
    )]
    NotAnIdentity {
        /// From 1.
        line: usize,
    },
    /// A file of keys without any.
    #[error("holds no key")]
    NoKeys,
    /// A passphrase of no characters.
    #[error("holds no passphrase: its first line is empty")]
    NoPassphrase,
    /// A passphrase of several lines.
    #[error("holds {lines} lines, where a passphrase is one")]
    Lines {
        /// How many.
        lines: usize,
    },
}

/// The lines of a file of keys that are not empty and no comments, and their numbers.
fn lines(file: &[u8]) -> Result<impl Iterator<Item = (usize, &str)>, KeysFault> {
    let text = std::str::from_utf8(file).map_err(|_| KeysFault::NotUtf8)?;
    let lines = (1usize..).zip(text.lines()).map(|(number, line)| (number, line.trim_end()));
    Ok(lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')))
}

/// The passphrase in a file: its one line.
fn passphrase(file: &[u8]) -> Result<SecretString, KeysFault> {
    let text = std::str::from_utf8(file).map_err(|_| KeysFault::NotUtf8)?;
    let line = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
    match line.lines().count() {
        0 => Err(KeysFault::NoPassphrase),
        1 if line.lines().all(str::is_empty) => Err(KeysFault::NoPassphrase),
        1 => Ok(SecretString::from(line.to_owned())),
        lines => Err(KeysFault::Lines { lines }),
    }
}

/// For whom a file is closed.
pub enum Recipients {
    /// For each of these.
    Keys(Vec<Recipient>),
    /// For who knows it.
    Passphrase(Passphrase),
}

/// A key that can close a file and not open it.
#[derive(Debug, Clone)]
pub struct Recipient(x25519::Recipient);

/// A passphrase.
pub struct Passphrase(SecretString);

impl Recipients {
    /// For nobody yet.
    #[must_use]
    pub fn none() -> Recipients {
        Recipients::Keys(Vec::new())
    }

    /// Adds those of a file, or one alone: a line each, empty lines and those that begin with `#` aside.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn add(&mut self, file: &[u8]) -> Result<(), KeysFault> {
        let mut found = Vec::new();
        for (line, text) in lines(file)? {
            let recipient = x25519::Recipient::from_str(text).map_err(|_| match text {
                secret if secret.starts_with("AGE-SECRET-KEY-") => KeysFault::SecretForRecipient { line },
                _ => KeysFault::NotARecipient { line },
            })?;
            found.push(Recipient(recipient));
        }
        match self {
            _ if found.is_empty() => return Err(KeysFault::NoKeys),
            Recipients::Keys(keys) => keys.append(&mut found),
            Recipients::Passphrase(_) => *self = Recipients::Keys(found),
        }
        Ok(())
    }

    /// For who knows the passphrase in this file: its first line, and the only one.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn passphrase(file: &[u8]) -> Result<Recipients, KeysFault> {
        passphrase(file).map(|passphrase| Recipients::Passphrase(Passphrase(passphrase)))
    }

    pub(super) fn each(&self) -> Vec<Box<dyn age::Recipient + '_>> {
        match self {
            Recipients::Keys(keys) => {
                keys.iter().map(|key| -> Box<dyn age::Recipient> { Box::new(key.0.clone()) }).collect()
            }
            Recipients::Passphrase(Passphrase(passphrase)) => {
                let mut recipient = scrypt::Recipient::new(passphrase.clone());
                recipient.set_work_factor(WORK);
                vec![Box::new(recipient)]
            }
        }
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipients::Keys(keys) => f.debug_tuple("Keys").field(keys).finish(),
            Recipients::Passphrase(passphrase) => passphrase.fmt(f),
        }
    }
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase")
    }
}

impl fmt::Display for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Recipients::Keys(keys) if keys.len() == 1 => f.write_str("1 recipient"),
            Recipients::Keys(keys) => write!(f, "{} recipients", keys.len()),
            Recipients::Passphrase(_) => f.write_str("who knows the passphrase"),
        }
    }
}

/// Who opens files.
pub enum Identities {
    /// The holder of each of these.
    Keys(Vec<Identity>),
    /// Who knows it, and the logarithm of the most work that is done to try it.
    Passphrase(Passphrase, u8),
}

/// A key that opens files.
pub struct Identity(x25519::Identity);

impl Identities {
    /// Nobody yet.
    #[must_use]
    pub fn none() -> Identities {
        Identities::Keys(Vec::new())
    }

    /// Adds those of a file as `age-keygen` makes it.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn add(&mut self, file: &[u8]) -> Result<(), KeysFault> {
        let mut found = Vec::new();
        for (line, text) in lines(file)? {
            let identity = x25519::Identity::from_str(text).map_err(|_| KeysFault::NotAnIdentity { line })?;
            found.push(Identity(identity));
        }
        match self {
            _ if found.is_empty() => return Err(KeysFault::NoKeys),
            Identities::Keys(keys) => keys.append(&mut found),
            Identities::Passphrase(..) => *self = Identities::Keys(found),
        }
        Ok(())
    }

    /// Who knows the passphrase in this file: its first line, and the only one. A file that asks for more than
    /// `most_work` is not tried.
    ///
    /// # Errors
    /// [`KeysFault`].
    pub fn passphrase(file: &[u8], most_work: u8) -> Result<Identities, KeysFault> {
        passphrase(file).map(|passphrase| Identities::Passphrase(Passphrase(passphrase), most_work))
    }

    pub(super) fn each(&self) -> Vec<Box<dyn age::Identity + '_>> {
        match self {
            Identities::Keys(keys) => {
                keys.iter().map(|key| -> Box<dyn age::Identity> { Box::new(key.0.clone()) }).collect()
            }
            Identities::Passphrase(Passphrase(passphrase), most) => {
                let mut identity = scrypt::Identity::new(passphrase.clone());
                identity.set_max_work_factor(*most);
                vec![Box::new(identity)]
            }
        }
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identities::Keys(keys) => write!(f, "{} keys", keys.len()),
            Identities::Passphrase(passphrase, _) => passphrase.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_passphrase_is_one_line_without_its_end() {
        use age::secrecy::ExposeSecret;
        let of = |file: &str| passphrase(file.as_bytes()).map(|secret| secret.expose_secret().to_owned());
        for file in ["two words", "two words\n", "two words\r\n"] {
            assert_eq!(of(file).as_deref(), Ok("two words"));
        }
        assert_eq!(of(" kept \n").as_deref(), Ok(" kept "));
        for (file, fault) in [
            ("", KeysFault::NoPassphrase),
            ("\n", KeysFault::NoPassphrase),
            ("\r\n", KeysFault::NoPassphrase),
            ("a\nb\n", KeysFault::Lines { lines: 2 }),
            ("\na", KeysFault::Lines { lines: 2 }),
        ] {
            assert_eq!(of(file), Err(fault), "{file:?}");
        }
        assert_eq!(passphrase(b"\xff").unwrap_err(), KeysFault::NotUtf8);
    }

    #[test]
    fn what_is_no_key_is_told_by_its_line_and_never_quoted() {
        let secret = "AGE-SECRET-KEY-1GQ9778VQXMMJVE8SK7J6VT8UJ4HDQAJUVSFCWCM02D8GEWQ72PVQ2Y5J33";
        let file = format!("# public key\n\n{secret}\n");
        let (mut identities, mut recipients) = (Identities::none(), Recipients::none());
        identities.add(file.as_bytes()).unwrap();
        assert_eq!(recipients.add(file.as_bytes()), Err(KeysFault::SecretForRecipient { line: 3 }));
        assert_eq!(identities.add(b"age1x\n"), Err(KeysFault::NotAnIdentity { line: 1 }));
        assert_eq!(recipients.add(b"\nssh-ed25519 AAAA\n"), Err(KeysFault::NotARecipient { line: 2 }));
        assert_eq!(recipients.add(b"# nothing\n"), Err(KeysFault::NoKeys));
        let public = "age1t7rxyev2z3rw82stdlrrepyc39nvn86l5078zqkf5uasdy86jp6svpy7pa";
        recipients.add(public.as_bytes()).unwrap();
        assert_eq!(recipients.to_string(), "1 recipient");
        assert_eq!(format!("{identities:?}"), "1 keys");
    }
}
