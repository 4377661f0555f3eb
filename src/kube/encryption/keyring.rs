//! Keys, and the values that they open.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::OnceLock;

use super::cipher::Cipher;
use super::config::{self, Configured, KeyFileFault, NamedKey};
use super::kms::{PlainKey, ciphers};
use super::refusal::{LackingKey, Unopened, ValueDamage};
use super::secret::KeyBytes;
use super::signs::{begins_as_object, behind_other_prefixes, keys_of, tails};
use super::tally::{CountedValues, Tally};
use crate::kube::decode::Object;
use crate::kube::envelope::Encrypted;
use crate::kube::kms::KmsValue;
use crate::kube::resource::{self, Resource};
use crate::words::finding::Code;
use crate::words::text::show_bytes;

/// What encrypted values begin with.
const PREFIX: &[u8] = b"k8s:enc:";

/// Keys of all providers. Its `Debug` shows none of them.
#[derive(Default)]
pub struct Keyring {
    named: Vec<NamedKey>,
    plain: Vec<PlainKey>,
    aad_prefix: Option<String>,
    /// What values of the KMS providers of all configurations begin with, if there are configurations.
    providers: Option<BTreeSet<String>>,
    unopened: Tally,
    misfits: Tally,
    resources: OnceLock<Vec<Resource>>,
}

impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Keyring { named, plain, aad_prefix, .. } = self;
        f.debug_struct("Keyring")
            .field("named", &named.len())
            .field("kms", &plain.len())
            .field("aad_prefix", aad_prefix)
            .finish_non_exhaustive()
    }
}

/// One key to try on a value.
struct Attempt<'a> {
    key: &'a KeyBytes,
    cipher: Cipher,
    data: &'a [u8],
}

impl Keyring {
    /// No keys.
    #[must_use]
    pub fn new() -> Keyring {
        Keyring::default()
    }

    /// Adds the keys of an `EncryptionConfiguration`, in YAML or JSON.
    ///
    /// # Errors
    /// Why it cannot be used.
    pub fn add_configuration(&mut self, file: &[u8]) -> Result<(), KeyFileFault> {
        let Configured { keys, kms } = config::parse(file)?;
        keys.into_iter().for_each(|key| config::add(&mut self.named, key));
        self.providers.get_or_insert_default().extend(kms);
        Ok(())
    }

    /// Adds keys or seeds that a KMS wrapped, a line each: the id by which the KMS knows its own key, the plain bytes
    /// in base64, and where several have one id the wrapped ones. Lines that begin with `#` are passed over.
    ///
    /// # Errors
    /// Why they cannot be used.
    pub fn add_kms_keys(&mut self, file: &[u8]) -> Result<(), KeyFileFault> {
        self.plain.extend(PlainKey::parse(file)?);
        Ok(())
    }

    /// What stood before the keys of objects when the values were written: where the name of the key is authenticated
    /// that one is taken too.
    pub fn written_behind(&mut self, prefix: &str) {
        self.aad_prefix = Some(format!("/{}", prefix.trim_matches('/')));
    }

    /// Opens the encrypted value of an etcd key, with every key that it may be of, as an API server does. What is
    /// handed out was authenticated, or is a whole object where the cipher has no authentication.
    ///
    /// # Errors
    /// Why it is not opened.
    pub fn open(&self, key: &[u8], value: &[u8]) -> Result<Vec<u8>, Unopened> {
        let attempts = self.attempts(value)?;
        if let Some(plain) = attempts.iter().find_map(|attempt| self.attempt(attempt, key)) {
            return Ok(plain);
        }
        let whole = |attempt: &&Attempt<'_>| attempt.cipher.can_be(attempt.data.len());
        let Some(first) = attempts.iter().find(whole).or(attempts.first()) else {
            return Err(Unopened::NoKey(LackingKey::Provider));
        };
        if !whole(&first) {
            let (len, least) = (first.data.len(), first.cipher.least());
            let blocks = first.cipher == Cipher::Cbc;
            return Err(Unopened::Damaged(ValueDamage::Length { len, least, blocks }));
        }
        let right = attempts.iter().find_map(|attempt| {
            let plain = attempt.cipher.look(attempt.key.bytes(), attempt.data)?;
            begins_as_object(&plain).then_some((attempt, plain))
        });
        let Some((attempt, plain)) = right else {
            return Err(Unopened::WrongKey { tried: attempts.len() });
        };
        Err(self.with_right_key(attempt, key, &plain))
    }

    /// The plain value of an etcd key, if it is encrypted and can be opened. What cannot be is counted.
    pub fn plain(&self, key: &[u8], value: &[u8]) -> Option<Vec<u8>> {
        if !value.starts_with(PREFIX) {
            return None;
        }
        let why = match self.open(key, value) {
            Ok(plain) => {
                if let Some(misfit) = self.misfit(value) {
                    self.misfits.note(key, value, (misfit, None));
                }
                return Some(plain);
            }
            Err(why) => why,
        };
        let prefix = if let Unopened::WrittenBehind { prefix } = why { Some(prefix) } else { None };
        self.unopened.note(key, value, (told(value, &why), prefix));
        None
    }

    /// Why an encrypted value of an etcd key cannot be opened: the code of a finding, and by what it is encrypted and
    /// the reason in words.
    pub fn why(&self, key: &[u8], value: &[u8]) -> Option<(Code, String)> {
        let why = self.open(key, value).err().filter(|_| value.starts_with(PREFIX))?;
        Some((why.code(), told(value, &why)))
    }

    /// What [`plain`](Keyring::plain) could not open until now, by reasons.
    #[must_use]
    pub fn unopened(&self) -> Vec<CountedValues> {
        self.unopened.counted()
    }

    /// What it opened although an API server with the same configuration and plugin would not, or with a key that was
    /// given for another KMS key, by what does not fit.
    #[must_use]
    pub fn misfits(&self) -> Vec<CountedValues> {
        self.misfits.counted()
    }

    /// The keys that a value may be of, each with what stands behind its prefix.
    fn attempts<'a>(&'a self, value: &'a [u8]) -> Result<Vec<Attempt<'a>>, Unopened> {
        let rest = value.strip_prefix(PREFIX).unwrap_or_default();
        let named = |key: &'a NamedKey| {
            let data = rest.strip_prefix(key.prefix.as_bytes())?;
            Some(Attempt { key: &key.bytes, cipher: key.cipher, data })
        };
        let found: Vec<_> = self.named.iter().filter_map(named).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        let Some(by) = Encrypted::parse(value) else {
            return Err(Unopened::Damaged(ValueDamage::Prefix));
        };
        let Some(kms) = KmsValue::of(&by) else {
            let named = matches!((by.provider, by.version), ("aescbc" | "aesgcm" | "secretbox", "v1"));
            return Err(Unopened::NoKey(if named { LackingKey::Named } else { LackingKey::Provider }));
        };
        let kms = kms.map_err(|at| Unopened::Damaged(ValueDamage::Envelope(at.0)))?;
        let keys: Vec<_> = self.plain.iter().filter(|key| key.is_for(&kms)).collect();
        if keys.is_empty() {
            let id = kms.id.map(|id| LackingKey::Kms { id: id.to_owned() });
            return Err(Unopened::NoKey(id.unwrap_or(LackingKey::Wrapped)));
        }
        let with = |cipher| keys.iter().map(move |key| Attempt { key: &key.plain, cipher, data: kms.data });
        Ok(ciphers(&kms).iter().copied().flat_map(with).collect())
    }

    /// What of a KMS value that was opened does not fit the configuration, the line of its key, or an API server.
    fn misfit(&self, value: &[u8]) -> Option<String> {
        let by = Encrypted::parse(value)?;
        let kms = KmsValue::of(&by)?.ok()?;
        let prefix = format!("{}:{}:{}:", by.provider, by.version, by.name);
        if self.providers.as_ref().is_some_and(|all| !all.contains(&prefix)) {
            let name = show_bytes(by.to_string().as_bytes());
            let what = "the configuration has no such KMS provider, so an API server with it reads none of its values";
            return Some(format!("{name}: {what}"));
        }
        if let Some(why) = kms.refused() {
            return Some(format!("an API server refuses it: {why}"));
        }
        let id = kms.id?;
        let mut keys = self.plain.iter().filter(|key| key.is_for(&kms));
        let first = keys.next().filter(|first| first.id != id)?;
        if keys.any(|key| key.id == id) {
            return None;
        }
        let [given, says] = [&first.id, id].map(|id| show_bytes(id.as_bytes()));
        Some(format!("its plain key was given for the KMS key {given}, and the value says {says}"))
    }

    fn attempt(&self, attempt: &Attempt<'_>, key: &[u8]) -> Option<Vec<u8>> {
        let Attempt { key: secret, cipher, data } = attempt;
        let open = |aad: &[u8]| cipher.open(secret.bytes(), aad, data);
        let plain = open(key).or_else(|| {
            let prefix = self.aad_prefix.as_deref().filter(|_| cipher.binds())?;
            tails(std::str::from_utf8(key).ok()?).find_map(|tail| open(format!("{prefix}{tail}").as_bytes()))
        })?;
        (cipher.authenticates() || Object::decode(&plain).is_ok()).then_some(plain)
    }

    /// Why a value is not opened with the key that it begins as an object with.
    fn with_right_key(&self, attempt: &Attempt<'_>, key: &[u8], plain: &[u8]) -> Unopened {
        let Attempt { key: secret, cipher, data } = attempt;
        if !cipher.authenticates() {
            return Unopened::Damaged(ValueDamage::NoObject);
        }
        let bound = cipher.binds();
        let other = std::str::from_utf8(key).ok().filter(|_| bound).and_then(|key| {
            let opens = |aad: &str| cipher.open(secret.bytes(), aad.as_bytes(), data).is_some();
            let renamed = behind_other_prefixes(key).find(|(other, _)| opens(other));
            if let Some((_, prefix)) = renamed {
                return Some(Unopened::WrittenBehind { prefix });
            }
            let object = Object::decode(plain).ok()?;
            let resources = self.resources.get_or_init(resource::built_in);
            let key = keys_of(&object, key, resources).into_iter().find(|other| opens(other))?;
            Some(Unopened::WrittenFor { key })
        });
        other.unwrap_or(Unopened::Damaged(ValueDamage::Authentication { bound }))
    }
}

/// By what a value is encrypted, and why it is not opened.
fn told(value: &[u8], why: &Unopened) -> String {
    let by = Encrypted::parse(value)
        .map_or_else(String::new, |by| format!("{}: ", show_bytes(by.to_string().as_bytes())));
    format!("{by}{why}")
}
