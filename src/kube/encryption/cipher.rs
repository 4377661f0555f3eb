//! The ciphers, each of what stands behind the prefix of a value:
//!
//! ```text
//! aescbc      IV 16    | AES-CBC, padded by PKCS#7                      no authentication
//! aesgcm      nonce 12 | AES-GCM       | tag 16                         bound to the etcd key
//! secretbox   nonce 24 | tag 16        | XSalsa20                       Poly1305, bound to no key
//! kms v2      info 32  | nonce 12      | AES-GCM      | tag 16          key = HKDF-Expand(SHA-256, seed, info)
//! ```
//!
//! Source: `k8s.io/apiserver/pkg/storage/value/encrypt/{aes,secretbox,envelope}`, `golang.org/x/crypto/nacl/secretbox`.

use aes::{Aes128, Aes192, Aes256};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{Aead, AeadCore, Payload};
use aes_gcm::{AesGcm, KeyInit};
use cbc::cipher::block_padding::{NoPadding, Padding, Pkcs7};
use cbc::cipher::{BlockModeDecrypt, KeyIvInit, StreamCipher};
use ctr::Ctr32BE;
use hkdf::Hkdf;
use poly1305::Poly1305;
use salsa20::XSalsa20;
use sha2::Sha256;
use zeroize::Zeroizing;

const NONCE: usize = 12;
const TAG: usize = 16;
const BLOCK: usize = 16;
const INFO: usize = 32;

/// How a value is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cipher {
    /// AES-CBC.
    Cbc,
    /// AES-GCM.
    Gcm,
    /// AES-GCM with a key made of a seed for this value.
    SeededGcm,
    /// XSalsa20-Poly1305.
    Secretbox,
}

impl Cipher {
    /// Lengths of keys in bytes.
    pub(super) fn key_lens(self) -> &'static [usize] {
        match self {
            Cipher::Cbc | Cipher::Gcm => &[16, 24, 32],
            Cipher::SeededGcm | Cipher::Secretbox => &[32],
        }
    }

    /// The bytes of the shortest value.
    pub(super) fn least(self) -> usize {
        match self {
            Cipher::Cbc => BLOCK + BLOCK,
            Cipher::Gcm => NONCE + TAG,
            Cipher::SeededGcm => INFO + NONCE + TAG,
            Cipher::Secretbox => 24 + TAG,
        }
    }

    /// Whether a value can be so long.
    pub(super) fn can_be(self, len: usize) -> bool {
        len >= self.least() && (self != Cipher::Cbc || len.is_multiple_of(BLOCK))
    }

    /// Whether what it opens is what was encrypted.
    pub(super) fn authenticates(self) -> bool {
        self != Cipher::Cbc
    }

    /// Whether the etcd key counts.
    pub(super) fn binds(self) -> bool {
        matches!(self, Cipher::Gcm | Cipher::SeededGcm)
    }

    /// Opens `data`; with CBC only the padding is checked.
    pub(super) fn open(self, key: &[u8], aad: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        match self {
            Cipher::Cbc => cbc::<Pkcs7>(key, data),
            Cipher::Gcm => gcm(key, aad, data),
            Cipher::SeededGcm => {
                let (key, data) = seeded(key, data)?;
                gcm(&*key, aad, data)
            }
            Cipher::Secretbox => secretbox(key, data, true),
        }
    }

    /// Decrypts `data` and asks nothing of it: with a wrong key that is noise, and it is never to be handed out.
    pub(super) fn look(self, key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
        match self {
            // The blocks that are whole, where it was cut.
            Cipher::Cbc => {
                let (blocks, _) = data.as_chunks::<BLOCK>();
                cbc::<NoPadding>(key, blocks.as_flattened())
            }
            Cipher::Gcm => counter(key, data),
            Cipher::SeededGcm => {
                let (key, data) = seeded(key, data)?;
                counter(&*key, data)
            }
            Cipher::Secretbox => secretbox(key, data, false),
        }
    }
}

fn cbc<P: Padding>(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (iv, sealed) = data.split_first_chunk::<BLOCK>()?;
    match key.len() {
        16 => cbc_with::<cbc::Decryptor<Aes128>, P>(key, iv, sealed),
        24 => cbc_with::<cbc::Decryptor<Aes192>, P>(key, iv, sealed),
        32 => cbc_with::<cbc::Decryptor<Aes256>, P>(key, iv, sealed),
        _ => None,
    }
}

fn cbc_with<D: KeyIvInit + BlockModeDecrypt, P: Padding>(
    key: &[u8],
    iv: &[u8],
    sealed: &[u8],
) -> Option<Vec<u8>> {
    let mut plain = sealed.to_vec();
    let len = D::new_from_slices(key, iv).ok()?.decrypt_padded::<P>(&mut plain).ok()?.len();
    plain.truncate(len);
    Some(plain)
}

fn gcm(key: &[u8], aad: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    match key.len() {
        16 => gcm_with::<AesGcm<Aes128, U12>>(key, aad, data),
        24 => gcm_with::<AesGcm<Aes192, U12>>(key, aad, data),
        32 => gcm_with::<AesGcm<Aes256, U12>>(key, aad, data),
        _ => None,
    }
}

fn gcm_with<A: KeyInit + Aead + AeadCore<NonceSize = U12>>(
    key: &[u8],
    aad: &[u8],
    data: &[u8],
) -> Option<Vec<u8>> {
    let (nonce, sealed) = data.split_first_chunk::<NONCE>()?;
    A::new_from_slice(key).ok()?.decrypt(&(*nonce).into(), Payload { msg: sealed, aad }).ok()
}

/// The counter mode inside GCM, which begins at 2: 1 is the tag's.
fn counter(key: &[u8], data: &[u8]) -> Option<Vec<u8>> {
    let (nonce, sealed) = data.split_first_chunk::<NONCE>()?;
    let mut plain = sealed.get(..sealed.len().checked_sub(TAG)?)?.to_vec();
    let mut iv = [0u8; BLOCK];
    iv.get_mut(..NONCE)?.copy_from_slice(nonce);
    *iv.last_mut()? = 2;
    match key.len() {
        16 => Ctr32BE::<Aes128>::new_from_slices(key, &iv).ok()?.apply_keystream(&mut plain),
        24 => Ctr32BE::<Aes192>::new_from_slices(key, &iv).ok()?.apply_keystream(&mut plain),
        32 => Ctr32BE::<Aes256>::new_from_slices(key, &iv).ok()?.apply_keystream(&mut plain),
        _ => return None,
    }
    Some(plain)
}

/// The key of one value, and what is behind its info (`extendedNonceGCM.deriveKey`).
fn seeded<'d>(seed: &[u8], data: &'d [u8]) -> Option<(Zeroizing<[u8; 32]>, &'d [u8])> {
    let (info, data) = data.split_first_chunk::<INFO>()?;
    let mut key = Zeroizing::new([0u8; 32]);
    Hkdf::<Sha256>::from_prk(seed).ok()?.expand(info, &mut *key).ok()?;
    Some((key, data))
}

/// The first 32 bytes of the stream are the key of Poly1305, over what the rest of it encrypts.
fn secretbox(key: &[u8], data: &[u8], check: bool) -> Option<Vec<u8>> {
    let (nonce, sealed) = data.split_first_chunk::<24>()?;
    let (tag, sealed) = sealed.split_first_chunk::<TAG>()?;
    let mut stream = XSalsa20::new_from_slices(key, nonce).ok()?;
    let mut one_time = Zeroizing::new([0u8; 32]);
    stream.apply_keystream(&mut *one_time);
    if check && Poly1305::new_from_slice(&*one_time).ok()?.compute_unpadded(sealed).as_slice() != tag {
        return None;
    }
    let mut plain = sealed.to_vec();
    stream.apply_keystream(&mut plain);
    Some(plain)
}
