//! What a member is asked with: certificates, a key, a name and its password. All of it comes as bytes of files that
//! somebody else opened, and none of it is ever said.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use zeroize::Zeroizing;

use crate::words::cause::Cause;
use crate::words::error::{Error, Result};

/// What the server has to agree to speak.
const HTTP2: &[u8] = b"h2";

/// Bytes in PEM, and the file that they are from.
#[derive(Clone)]
pub struct Pem {
    /// The file, for messages.
    pub name: PathBuf,
    /// What is in it.
    pub bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Pem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pem").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Pem {
    fn unusable(&self, why: &str) -> Error {
        Error::unreadable(&self.name, Cause::Content(why.to_owned()))
    }

    /// The certificates in it: at least one.
    fn certificates(&self) -> Result<Vec<CertificateDer<'static>>> {
        let found: std::result::Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&self.bytes).collect();
        match found {
            Ok(found) if !found.is_empty() => Ok(found),
            Ok(_) => Err(self.unusable("holds no certificate in PEM")),
            Err(_) => Err(self.unusable("is not well-formed PEM")),
        }
    }

    /// The one key in it. What is wrong with it is not told in its own words.
    fn key(&self) -> Result<PrivateKeyDer<'static>> {
        PrivateKeyDer::from_pem_slice(&self.bytes).map_err(|_| {
            self.unusable(
                "holds no private key in PEM that is read here: PKCS#8, PKCS#1 or SEC1, not encrypted",
            )
        })
    }
}

/// How a server is known to be the one that is meant, and who asks it.
#[derive(Debug, Clone, Default)]
pub struct Tls {
    /// Who signs the certificates of servers.
    pub ca: Option<Pem>,
    /// The certificate of who asks, and its key.
    pub identity: Option<(Pem, Pem)>,
    /// Take every certificate of a server.
    pub unverified: bool,
}

/// A user of etcd's, and the password.
#[derive(Clone)]
pub struct User {
    /// The name.
    pub name: String,
    /// The password.
    pub password: Zeroizing<String>,
}

impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What members are asked with.
#[derive(Debug, Clone)]
pub struct Access {
    /// For endpoints of TLS.
    pub tls: Tls,
    /// Who asks, where etcd wants to know.
    pub user: Option<User>,
    /// The longest that is waited for a connection, an answer, or the next part of one.
    pub patience: Duration,
}

impl Tls {
    /// What rustls is to do; `None` where nothing says how to know a server.
    pub(super) fn config(&self) -> Result<Option<Arc<ClientConfig>>> {
        if self.ca.is_none() && !self.unverified {
            return Ok(None);
        }
        let provider = Arc::new(rustls_graviola::default_provider());
        let said = |error: rustls::Error| {
            let of = self.identity.as_ref().map(|(certificate, _)| certificate).or(self.ca.as_ref());
            let name = of.map_or_else(|| Path::new("TLS"), |pem| &pem.name);
            Error::unreadable(name, Cause::Content(format!("cannot be used for TLS: {error}")))
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_safe_default_protocol_versions().map_err(said)?;
        let builder = match &self.ca {
            Some(ca) if !self.unverified => {
                let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots(ca)?), provider);
                let verifier = verifier.build().map_err(|error| ca.unusable(&error.to_string()))?;
                builder.with_webpki_verifier(verifier)
            }
            _ => builder.dangerous().with_custom_certificate_verifier(Arc::new(Anyone(provider))),
        };
        let mut config = match &self.identity {
            Some((certificates, key)) => {
                builder.with_client_auth_cert(certificates.certificates()?, key.key()?).map_err(said)?
            }
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![HTTP2.to_vec()];
        Ok(Some(Arc::new(config)))
    }
}

fn roots(ca: &Pem) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in ca.certificates()? {
        roots.add(certificate).map_err(|error| ca.unusable(&format!("holds no CA: {error}")))?;
    }
    Ok(roots)
}

/// What graviola needs of the processor and it does not have.
pub(super) fn lacks() -> Option<&'static str> {
    #[cfg(target_arch = "x86_64")]
    let has = [
        ("aes", std::arch::is_x86_feature_detected!("aes")),
        ("pclmulqdq", std::arch::is_x86_feature_detected!("pclmulqdq")),
        ("bmi1", std::arch::is_x86_feature_detected!("bmi1")),
        ("adx", std::arch::is_x86_feature_detected!("adx")),
        ("avx", std::arch::is_x86_feature_detected!("avx")),
        ("avx2", std::arch::is_x86_feature_detected!("avx2")),
    ];
    #[cfg(target_arch = "aarch64")]
    let has = [
        ("aes", std::arch::is_aarch64_feature_detected!("aes")),
        ("pmull", std::arch::is_aarch64_feature_detected!("pmull")),
        ("sha2", std::arch::is_aarch64_feature_detected!("sha2")),
    ];
    has.into_iter().find(|(_, has)| !has).map(|(name, _)| name)
}

/// Takes every certificate; that its owner holds the key is still proven.
#[derive(Debug)]
struct Anyone(Arc<CryptoProvider>);

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pem(text: &str) -> Pem {
        Pem { name: "f.pem".into(), bytes: Zeroizing::new(text.as_bytes().to_vec()) }
    }

    #[test]
    fn what_is_wrong_with_a_file_names_it_and_says_nothing_of_what_is_in_it() {
        let secret = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0\n-----END PRIVATE KEY-----\n";
        let broken = "-----BEGIN CERTIFICATE-----\n???\n-----END CERTIFICATE-----\n";
        for (ca, why) in [
            ("", "holds no certificate in PEM"),
            (secret, "holds no certificate in PEM"),
            (broken, "is not well-formed PEM"),
            ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "holds no CA"),
        ] {
            let tls = Tls { ca: Some(pem(ca)), ..Tls::default() };
            let error = tls.config().unwrap_err().to_string();
            assert!(error.starts_with("f.pem: ") && error.contains(why), "{error}");
            assert!(!error.contains("c2VjcmV0") && !error.contains("secret"), "{error}");
        }
        assert!(pem("").key().unwrap_err().to_string().contains("holds no private key"));
        let said = format!("{:?}", User { name: "root".into(), password: Zeroizing::new("hush".into()) });
        assert!(said.contains("root") && !said.contains("hush"));
    }

    #[test]
    fn without_a_ca_no_server_is_trusted_unless_all_are() {
        assert!(Tls::default().config().unwrap().is_none());
        let config = Tls { unverified: true, ..Tls::default() }.config().unwrap().unwrap();
        assert_eq!(config.alpn_protocols, [HTTP2]);
    }
}
