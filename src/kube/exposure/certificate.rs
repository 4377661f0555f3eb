//! When certificates end.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use x509_cert::Certificate;
use x509_cert::der::Decode;

/// Certificates of one text that are read.
const MOST: usize = 100;

/// When the first of the certificates ends that a text holds as PEM. One that cannot be read tells nothing.
pub(super) fn first_end(text: &str) -> Option<Timestamp> {
    let blocks = text.split("-----BEGIN CERTIFICATE-----").skip(1).take(MOST);
    blocks.filter_map(|block| end(block.split_once("-----END CERTIFICATE-----")?.0)).min()
}

fn end(block: &str) -> Option<Timestamp> {
    let digits: String = block.chars().filter(|c| !c.is_whitespace()).collect();
    let certificate = Certificate::from_der(&BASE64_STANDARD.decode(digits).ok()?).ok()?;
    let until = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Timestamp::from_second(i64::try_from(until.as_secs()).ok()?).ok()
}
