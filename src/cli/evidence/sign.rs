//! The manifest of a case signed with a key of minisign, and that signature checked.

use std::io::Cursor;
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use coldbolt::Error;
use coldbolt::ops::evidence::SIGNATURE;
use coldbolt::words::cause::Cause;
use minisign::{PublicKeyBox, SecretKey, SecretKeyBox, SignatureBox};
use serde::Serialize;
use zeroize::Zeroizing;

use crate::cli::context::Fail;
use crate::cli::keys_given::{read, read_public};
use crate::cli::progress::Terminal;

/// Who signed a manifest, and what is said of that.
#[derive(Debug, Serialize)]
pub struct Signed {
    /// The id of the key, as minisign prints it.
    pub key: String,
    /// What was signed with the manifest.
    pub comment: String,
}

/// The secret key in a file, opened with the password that is the one line of another.
pub fn key(file: &Path, password: Option<&Path>, monitor: &Terminal) -> Result<SecretKey, Fail> {
    let text = read(file, monitor)?;
    let none = || wrong(file, "is not a secret key of minisign");
    let text = std::str::from_utf8(&text).map_err(|_| none())?;
    let key =
        text.lines().nth(1).and_then(|line| BASE64_STANDARD.decode(line.trim()).ok()).map(Zeroizing::new);
    let key = key.and_then(|bytes| SecretKey::from_bytes(&bytes).ok().map(|key| (bytes, key)));
    let (bytes, key) = key.ok_or_else(none)?;
    let boxed = SecretKeyBox::from_string(text).map_err(|_| none())?;
    // Of one that is not closed minisign up to 0.11 does not write the checksum, which the crate wants.
    let closed = bytes.get(2..4) != Some(&[0, 0]);
    let password = match password {
        _ if !closed && bytes.ends_with(&[0; 32]) => return Ok(key),
        _ if !closed => {
            return boxed.into_unencrypted_secret_key().map_err(|_| wrong(file, "the key is damaged"));
        }
        Some(password) => password,
        None => {
            return Err(wrong(file, "the key is closed with a password: give it with --sign-password-file"));
        }
    };
    let line = read(password, monitor)?;
    let line = std::str::from_utf8(&line).map_err(|_| wrong(password, "is not text"))?;
    let line = line.lines().next().unwrap_or_default().to_owned();
    boxed.into_secret_key(Some(line)).map_err(|_| wrong(file, "the password does not open the key"))
}

/// The signature of a manifest.
pub fn sign(manifest: &[u8], key: &SecretKey, comment: &str) -> Result<String, Fail> {
    let signature =
        minisign::sign(None, key, Cursor::new(manifest), Some(comment), Some("coldbolt evidence"));
    let signature =
        signature.map_err(|error| Fail::Refused(format!("the manifest was not signed: {error}")))?;
    Ok(signature.into_string())
}

/// Who signed a manifest, or why that does not hold.
pub fn check(case: &Path, manifest: &[u8], public: &Path) -> Result<Result<Signed, String>, Fail> {
    let text = read_public(public)?;
    let key = std::str::from_utf8(&text).ok().and_then(|text| PublicKeyBox::from_string(text).ok());
    let key = key.and_then(|key| key.into_public_key().ok());
    let key = key.ok_or_else(|| wrong(public, "is not a public key of minisign"))?;
    let path = case.join(SIGNATURE);
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(Err(format!("{SIGNATURE} is no file of its own"))),
        Err(_) => return Ok(Err(format!("{SIGNATURE} is not there: the case is not signed"))),
    }
    let text = read_public(&path)?;
    let signature = std::str::from_utf8(&text).ok().and_then(|text| SignatureBox::from_string(text).ok());
    let Some(signature) = signature else {
        return Ok(Err(format!("{SIGNATURE} is no signature of minisign")));
    };
    let comment = signature.trusted_comment().unwrap_or_default();
    if let Err(error) = minisign::verify(&key, &signature, Cursor::new(manifest), true, false, false) {
        return Ok(Err(format!("{SIGNATURE} does not fit the manifest and this key: {error}")));
    }
    let id = key.keynum().iter().rev().map(|byte| format!("{byte:02X}")).collect();
    Ok(Ok(Signed { key: id, comment }))
}

fn wrong(path: &Path, what: &str) -> Fail {
    Error::unreadable(path, Cause::Content(what.to_owned())).into()
}
