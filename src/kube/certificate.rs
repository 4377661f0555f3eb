//! Certificates in PEM: whose they are, and when they end.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;
use x509_cert::request::CertReq;
use x509_cert::time::Time;

use crate::words::text::Told;

/// Certificates of one text that are read.
const MOST: usize = 100;

/// What a certificate says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Whose it is, as RFC 4514 writes it.
    pub subject: Told,
    /// From when on it is valid.
    pub not_before: Timestamp,
    /// Until when.
    pub not_after: Timestamp,
}

/// The certificates that a text holds as PEM, the first hundred. One that cannot be read is left out.
pub fn certificates(text: &str) -> impl Iterator<Item = CertificateFacts> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).take(MOST);
    blocks.filter_map(|block| facts(block.split_once("-----END CERTIFICATE-----")?.0))
}

/// When the first of the certificates ends that a text holds as PEM.
pub(crate) fn first_end(text: &str) -> Option<Timestamp> {
    certificates(text).map(|certificate| certificate.not_after).min()
}

/// Whose the certificate is to be that a text asks for as PEM (PKCS #10), as RFC 4514 writes it.
pub(crate) fn request_subject(text: &str) -> Option<Told> {
    let (_, block) = text.split_once("-----BEGIN CERTIFICATE REQUEST-----")?;
    let request = CertReq::from_der(&der(block.split_once("-----END CERTIFICATE REQUEST-----")?.0)?).ok()?;
    Some(request.info.subject.to_string().into())
}

/// The bytes of a block of PEM.
fn der(block: &str) -> Option<Vec<u8>> {
    let digits: String = block.chars().filter(|c| !c.is_whitespace()).collect();
    BASE64_STANDARD.decode(digits).ok()
}

fn facts(block: &str) -> Option<CertificateFacts> {
    let certificate = Certificate::from_der(&der(block)?).ok()?;
    let signed = certificate.tbs_certificate();
    let time =
        |time: Time| Timestamp::from_second(i64::try_from(time.to_unix_duration().as_secs()).ok()?).ok();
    Some(CertificateFacts {
        subject: signed.subject().to_string().into(),
        not_before: time(signed.validity().not_before)?,
        not_after: time(signed.validity().not_after)?,
    })
}
