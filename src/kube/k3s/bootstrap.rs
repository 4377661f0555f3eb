//! What the servers of k3s and rke2 share in etcd: the keys of the cluster's authorities and more, encrypted with the
//! server's token.
//!
//! ```text
//! key    /bootstrap/ and the first 12 digits of the SHA-256 of the password in the token
//! value  salt ':' base64(nonce[12] ciphertext tag[16]); AES-256-GCM, key = PBKDF2-HMAC-SHA1(password, salt, 4096)
//! plain  JSON: {name: {"Timestamp": time, "Content": base64}}, of old versions {name: base64}
//! ```
//!
//! Source: k3s `pkg/cluster/{encrypt,storage}.go`, `pkg/bootstrap/bootstrap.go`, `pkg/clientaccess/token.go`,
//! `pkg/daemons/control/deps/deps.go`. Old versions took the whole text of the token for the password, or none where
//! none was given; newer ones write such a value anew when they start (`migrateOldTokens`).

use std::borrow::Cow;
use std::collections::BTreeMap;

use aes_gcm::aead::Aead;
use aes_gcm::{Aes256Gcm, KeyInit};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::codec::checksum::{hex, sha256};
use crate::kube::certificate::{CertificateFacts, certificates};

const ROUNDS: u32 = 4096;
const NONCE: usize = 12;
const TAG: usize = 16;
/// Digits of the hash that are in the key.
const DIGITS: usize = 12;
/// Digits of the hash of the authority that a full token begins with.
const AUTHORITY: usize = 64;

/// Names of files and where a server keeps them, below `server` in its data directory. It ignores other names.
const PLACES: [(&str, &str); 15] = [
    ("ClientCA", "tls/client-ca.crt"),
    ("ClientCAKey", "tls/client-ca.key"),
    ("ETCDPeerCA", "tls/etcd/peer-ca.crt"),
    ("ETCDPeerCAKey", "tls/etcd/peer-ca.key"),
    ("ETCDServerCA", "tls/etcd/server-ca.crt"),
    ("ETCDServerCAKey", "tls/etcd/server-ca.key"),
    ("EncryptionConfig", "cred/encryption-config.json"),
    ("EncryptionHash", "cred/encryption-state.json"),
    ("IPSECKey", "cred/ipsec.psk"),
    ("PasswdFile", "cred/passwd"),
    ("RequestHeaderCA", "tls/request-header-ca.crt"),
    ("RequestHeaderCAKey", "tls/request-header-ca.key"),
    ("ServerCA", "tls/server-ca.crt"),
    ("ServerCAKey", "tls/server-ca.key"),
    ("ServiceKey", "tls/service.key"),
];

/// Why a text is no token of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenFault {
    /// There is nothing, or no UTF-8.
    #[error("is empty or no text: no token")]
    Empty,
    /// The hash of the authority is cut or too long.
    #[error("has {0} digits between K10 and ::, where a token has 64 or none")]
    Hash(usize),
    /// It ends before the password.
    #[error("begins as a token, and has no password: K10<hash>::<user>:<password> is a whole one")]
    Password,
    /// It joins agents only.
    #[error(
        "is a bootstrap token as kubeadm has them, which joins nodes; what is needed is the server's token"
    )]
    Joining,
}

/// What a value is encrypted with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Seal {
    /// The password in the token.
    Password,
    /// The whole text of the token.
    WholeToken,
    /// No password at all: anybody can open it.
    Nothing,
}

/// A server's token.
pub struct Token {
    password: Zeroizing<String>,
    whole: Zeroizing<String>,
}

impl Token {
    /// Reads `K10<hash>::<user>:<password>` or a password alone, as `normalizeToken` does; ends of lines behind it do
    /// not count.
    ///
    /// # Errors
    /// What is no token of a server.
    pub fn parse(bytes: &[u8]) -> Result<Token, TokenFault> {
        let text = std::str::from_utf8(bytes).map_err(|_| TokenFault::Empty)?.trim_end_matches('\n');
        if text.is_empty() {
            return Err(TokenFault::Empty);
        }
        let Some(rest) = text.strip_prefix("K10") else {
            return if joins(text) { Err(TokenFault::Joining) } else { Ok(Token::of(text, text)) };
        };
        let credentials = match rest.split_once("::") {
            Some((hash, _)) if !hash.is_empty() && hash.len() != AUTHORITY => {
                return Err(TokenFault::Hash(hash.len()));
            }
            Some((_, credentials)) => credentials,
            None => rest,
        };
        if joins(credentials) {
            return Err(TokenFault::Joining);
        }
        match credentials.split_once(':') {
            Some((_, password)) if !password.is_empty() => Ok(Token::of(password, text)),
            _ => Err(TokenFault::Password),
        }
    }

    fn of(password: &str, whole: &str) -> Token {
        Token { password: Zeroizing::new(password.to_owned()), whole: Zeroizing::new(whole.to_owned()) }
    }

    fn password(&self, seal: Seal) -> &[u8] {
        match seal {
            Seal::Password => self.password.as_bytes(),
            Seal::WholeToken => self.whole.as_bytes(),
            Seal::Nothing => b"",
        }
    }

    /// With what of this token the value is encrypted whose key has this end, if with any.
    #[must_use]
    pub fn seal(&self, end: &[u8]) -> Option<Seal> {
        let seals = [Seal::Password, Seal::WholeToken, Seal::Nothing];
        seals.into_iter().find(|seal| key_end(self.password(*seal)).as_bytes() == end)
    }

    /// What the key ends with whose value is encrypted with the password in this token.
    #[must_use]
    pub fn key_end(&self) -> String {
        key_end(self.password.as_bytes())
    }

    /// Opens a value that is encrypted with this of the token.
    ///
    /// # Errors
    /// What the value is instead.
    pub fn open(&self, seal: Seal, value: &[u8]) -> Result<Vec<SharedFile>, ValueFault> {
        let mut halves = value.splitn(2, |byte| *byte == b':');
        let (Some(salt), Some(sealed)) = (halves.next(), halves.next()) else {
            return Err(ValueFault::Layout);
        };
        let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| ValueFault::Layout)?;
        let (nonce, sealed) = sealed.split_first_chunk::<NONCE>().ok_or(ValueFault::Layout)?;
        if sealed.len() < TAG {
            return Err(ValueFault::Layout);
        }
        let mut key = Zeroizing::new([0u8; 32]);
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(self.password(seal), salt, ROUNDS, &mut *key);
        let cipher = Aes256Gcm::new_from_slice(&*key).map_err(|_| ValueFault::Authentication)?;
        let plain = cipher.decrypt(&(*nonce).into(), sealed).map_err(|_| ValueFault::Authentication)?;
        files(&Zeroizing::new(plain))
    }
}

fn key_end(password: &[u8]) -> String {
    let mut digits = hex(&sha256(password));
    digits.truncate(DIGITS);
    digits
}

/// Whether a text is a token of kubeadm, six characters, a dot and sixteen.
fn joins(text: &str) -> bool {
    let word = |part: &str, len| {
        part.len() == len && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    text.split_once('.').is_some_and(|(id, secret)| word(id, 6) && word(secret, 16))
}

/// What is wrong with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ValueFault {
    /// It is not laid out so.
    #[error("is no salt, colon and base64 of an encrypted value: it was cut or changed")]
    Layout,
    /// Its key is that of the token, and it does not open.
    #[error("its key is that of the token, but its authentication fails: it was cut or changed")]
    Authentication,
    /// It opens, and holds something else.
    #[error("opens, but holds no map of files in JSON")]
    Content,
}

/// A file that servers share.
pub struct SharedFile {
    /// Its name there.
    pub name: String,
    /// When it was changed, as it says.
    pub timestamp: Option<String>,
    /// Where a server keeps it, below `server` in its data directory; none for a name that it ignores.
    pub place: Option<&'static str>,
    /// Its bytes.
    pub content: Zeroizing<Vec<u8>>,
}

impl SharedFile {
    /// What the certificates in it say, if there are any.
    #[must_use]
    pub fn certificates(&self) -> Vec<CertificateFacts> {
        std::str::from_utf8(&self.content).map(|text| certificates(text).collect()).unwrap_or_default()
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Entry<'d> {
    Timed {
        #[serde(rename = "Timestamp")]
        timestamp: String,
        #[serde(rename = "Content", borrow)]
        content: Option<Cow<'d, str>>,
    },
    Bare(#[serde(borrow)] Cow<'d, str>),
}

/// The files in the plain text of a value.
///
/// # Errors
/// [`ValueFault::Content`].
#[doc(hidden)]
pub fn files(plain: &[u8]) -> Result<Vec<SharedFile>, ValueFault> {
    let entries: BTreeMap<String, Entry<'_>> =
        serde_json::from_slice(plain).map_err(|_| ValueFault::Content)?;
    let file = |(name, entry): (String, Entry<'_>)| {
        // Go writes no bytes as `null`.
        let (timestamp, content) = match entry {
            Entry::Timed { timestamp, content } => (Some(timestamp), content.unwrap_or_default()),
            Entry::Bare(content) => (None, content),
        };
        let content = BASE64_STANDARD.decode(content.as_bytes()).map_err(|_| ValueFault::Content)?;
        let place = PLACES.iter().find(|(known, _)| *known == name).map(|(_, place)| *place);
        Ok(SharedFile { name, timestamp, place, content: Zeroizing::new(content) })
    };
    entries.into_iter().map(file).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by the program beside it of `plain.json` and the token `correct horse`: a key and its value.
    const ANSWER: &str = include_str!("../../../tests/peers/go/k3s-bootstrap/answer.txt");

    fn value() -> &'static str {
        ANSWER.lines().nth(1).unwrap()
    }

    fn fault(text: &str) -> Option<TokenFault> {
        Token::parse(text.as_bytes()).err()
    }

    #[test]
    fn a_value_of_gos_cryptography_opens_with_its_token_in_both_forms() {
        let whole = format!("K10{}::server:correct horse\n", "a".repeat(64));
        for text in ["correct horse", &whole, "K10::server:correct horse"] {
            let token = Token::parse(text.as_bytes()).unwrap();
            assert_eq!(token.key_end(), "4104d36f8da2");
            let files = token.open(Seal::Password, value().as_bytes()).unwrap();
            let seen: Vec<_> = files.iter().map(|file| (&*file.name, file.place)).collect();
            let places = ["cred/encryption-config.json", "cred/passwd", "tls/server-ca.crt"];
            let due = ["EncryptionConfig", "PasswdFile", "ServerCA"].into_iter().zip(places.map(Some));
            assert_eq!(seen, due.collect::<Vec<_>>());
            let certificates = files[2].certificates();
            assert_eq!(certificates[0].subject.raw(), "CN=k3s-server-ca@1790000000");
            assert!(
                certificates[0].not_before < certificates[0].not_after && files[1].certificates().is_empty()
            );
            assert_eq!(*files[1].content, b"pw,server,server,k3s:server\n");
            assert_eq!(files[1].timestamp.as_deref(), Some("2026-11-01T10:00:01Z"));
        }
    }

    #[test]
    fn no_changed_byte_and_no_cut_value_opens() {
        let token = Token::parse(b"correct horse").unwrap();
        for n in (0..value().len()).step_by(7) {
            assert!(token.open(Seal::Password, &value().as_bytes()[..n]).is_err(), "{n}");
            let mut changed = value().as_bytes().to_vec();
            changed[n] = if changed[n] == b'A' { b'B' } else { b'A' };
            assert!(token.open(Seal::Password, &changed).is_err(), "{n}");
        }
    }

    /// A value as servers of all times made it, with that password.
    fn sealed(password: &[u8]) -> Vec<u8> {
        let mut key = [0; 32];
        pbkdf2::pbkdf2_hmac::<sha1::Sha1>(password, b"salt", ROUNDS, &mut key);
        let cipher = Aes256Gcm::new_from_slice(&key).unwrap();
        let sealed = cipher.encrypt(&[7; NONCE].into(), &br#"{"PasswdFile": "cHc="}"#[..]).unwrap();
        format!("salt:{}", BASE64_STANDARD.encode([&[7; NONCE][..], &sealed].concat())).into_bytes()
    }

    #[test]
    fn what_old_servers_encrypted_with_the_whole_token_or_with_nothing_is_known_and_opens() {
        let whole = format!("K10{}::server:correct horse", "a".repeat(64));
        let token = Token::parse(format!("{whole}\n").as_bytes()).unwrap();
        let passwords = [(Seal::Password, "correct horse"), (Seal::WholeToken, &whole), (Seal::Nothing, "")];
        for (seal, password) in passwords {
            assert_eq!(token.seal(key_end(password.as_bytes()).as_bytes()), Some(seal));
            let value = sealed(password.as_bytes());
            assert_eq!(*token.open(seal, &value).unwrap()[0].content, b"pw");
            for (other, _) in passwords.iter().filter(|(other, _)| *other != seal) {
                assert_eq!(token.open(*other, &value).err(), Some(ValueFault::Authentication), "{other:?}");
            }
        }
        assert_eq!(token.seal(b"0123456789ab"), None);
        assert_eq!(token.seal(b""), None);
        // A password alone is its own whole text.
        let bare = Token::parse(b"correct horse").unwrap();
        assert_eq!(bare.seal(bare.key_end().as_bytes()), Some(Seal::Password));
    }

    #[test]
    fn a_name_that_is_a_path_has_no_place() {
        let seen = files(br#"{"../../etc/passwd": {"Timestamp": "x", "Content": null}, "ServerCA": "QQ=="}"#)
            .unwrap();
        let places: Vec<_> = seen.iter().map(|file| file.place).collect();
        assert_eq!(places, [None, Some("tls/server-ca.crt")]);
    }

    #[test]
    fn what_is_no_token_of_a_server_is_told() {
        assert_eq!(fault("\n"), Some(TokenFault::Empty));
        assert_eq!(fault("K10abc::server:x"), Some(TokenFault::Hash(3)));
        assert_eq!(fault("K10::server:"), Some(TokenFault::Password));
        assert_eq!(fault("abcdef.0123456789abcdef"), Some(TokenFault::Joining));
        assert_eq!(fault("K10::abcdef.0123456789abcdef"), Some(TokenFault::Joining));
    }
}
