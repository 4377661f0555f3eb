//! Certificates for servers and clients on 127.0.0.1.

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use graviola::hashing::Sha256;
use graviola::key_agreement::p256::StaticPrivateKey;
use graviola::signing::ecdsa::{P256, SigningKey};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SerialNumber, SignatureAlgorithm, date_time_ymd,
};

/// A key, for rcgen.
struct Key {
    key: SigningKey<P256>,
    public: Vec<u8>,
}

impl Key {
    fn new() -> Key {
        let key = SigningKey::<P256> { private_key: StaticPrivateKey::new_random().unwrap() };
        // What a public key in DER ends in: 4, and both coordinates.
        let mut room = [0; 256];
        let der = key.to_spki_der(&mut room).unwrap();
        let public = der[der.len() - 65..].to_vec();
        Key { key, public }
    }

    fn pem(&self) -> String {
        let mut room = [0; 512];
        let der = self.key.to_pkcs8_der(&mut room).unwrap();
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", BASE64_STANDARD.encode(der))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let mut room = [0; 128];
        Ok(self.key.sign_asn1::<Sha256>(&[message], &mut room).unwrap().to_vec())
    }
}

fn params(name: &str, serial: u64, names: &[&str]) -> CertificateParams {
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let mut params = CertificateParams::new(names).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.serial_number = Some(SerialNumber::from(serial));
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2120, 1, 1);
    params
}

/// Who signs.
pub struct Authority {
    issuer: Issuer<'static, Key>,
    dir: PathBuf,
    name: String,
}

/// Files of a certificate and its key.
pub struct Pair {
    pub cert: PathBuf,
    pub key: PathBuf,
}

impl Authority {
    /// A new one, whose certificate is in `<name>.crt` in that directory.
    pub fn new(dir: &Path, name: &str) -> Authority {
        let mut params = params(name, 1, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let key = Key::new();
        let certificate = params.self_signed(&key).unwrap();
        fs::write(dir.join(format!("{name}.crt")), certificate.pem()).unwrap();
        Authority { issuer: Issuer::new(params, key), dir: dir.to_path_buf(), name: name.to_owned() }
    }

    pub fn file(&self) -> PathBuf {
        self.dir.join(format!("{}.crt", self.name))
    }

    /// A certificate for both ends, of a server by these names and addresses.
    pub fn pair(&self, name: &str, names: &[&str]) -> Pair {
        self.until(name, names, 2120)
    }

    /// One that is good until that year.
    pub fn until(&self, name: &str, names: &[&str], year: i32) -> Pair {
        let mut params = params(name, 2, names);
        params.not_after = date_time_ymd(year, 1, 1);
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let key = Key::new();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        let pair =
            Pair { cert: self.dir.join(format!("{name}.crt")), key: self.dir.join(format!("{name}.key")) };
        fs::write(&pair.cert, certificate.pem()).unwrap();
        fs::write(&pair.key, key.pem()).unwrap();
        pair
    }
}
