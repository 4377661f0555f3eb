//! An age file, as far as it can be read without a key: for whom it is closed, and how long it may be.
//!
//! ```text
//! age-encryption.org/v1 LF
//! -> KIND ARGUMENT... LF     a stanza: one way to the key of the file, as X25519, scrypt, ssh-ed25519
//! BASE64 LF                  its body, in lines of 64 characters and a last one that is shorter, empty if need be
//! --- BASE64 LF              MAC of the header, 32 bytes
//! nonce[16]
//! chunk[65536] tag[16]       as many as it takes; the last may be shorter, and is empty only if it is the only one
//! ```
//!
//! Source: <https://c2sp.org/age>; `filippo.io/age internal/format/format.go Parse @ v1.3`. Opening a file is left to
//! the crate `age`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;

use crate::codec::to_u64;
use crate::words::error::{At, Corrupt};
use crate::words::finding::Code;

/// What a header begins with: the name of the format, without its version.
pub const MAGIC: &[u8] = b"age-encryption.org/";
/// What a file begins with that is an age file in base64, between two lines of PEM.
pub const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
/// The most bytes that a header may have: room for thousands of recipients.
pub const LONGEST_HEADER: usize = 1 << 20;
/// Bytes in a chunk, before it is encrypted.
pub const CHUNK: u64 = 64 << 10;
/// Bytes that each chunk is longer for being encrypted.
pub const TAG: u64 = 16;

const VERSION: &[u8] = b"age-encryption.org/v1";
const NONCE: u64 = 16;
const SEALED: u64 = CHUNK + TAG;
/// Characters in a full line of a stanza's body.
const COLUMNS: usize = 64;
const MAC: usize = 32;

/// What the header of an age file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgeHeader {
    /// The kinds of its stanzas, and how many there are of each.
    pub stanzas: BTreeMap<String, u64>,
    /// Of a file that is closed with a passphrase: the logarithm of scrypt's work to try one.
    pub work: Option<u32>,
    /// Bytes of the header; the nonce follows.
    pub len: u64,
}

impl AgeHeader {
    /// Reads a header from the first bytes of a file: all there are, or [`LONGEST_HEADER`] of them.
    ///
    /// # Errors
    /// `age-cut` when it goes on behind the last byte there is, `age-header` when it is none that age would take.
    pub fn read(front: &[u8]) -> Result<AgeHeader, Box<Corrupt>> {
        let mut lines = Lines { front: front.get(..LONGEST_HEADER).unwrap_or(front), at: 0 };
        let version = lines.next()?;
        if version != VERSION {
            return Err(wrong(0, "the first line is not that of version 1 of age"));
        }
        let mut header = AgeHeader { stanzas: BTreeMap::new(), work: None, len: 0 };
        loop {
            let at = lines.at;
            let line = lines.next()?;
            if let Some(mac) = line.strip_prefix(b"--- ") {
                if decoded(mac).is_none_or(|mac| mac.len() != MAC) {
                    return Err(wrong(at, "the MAC of the header is not 32 bytes in base64"));
                }
                break;
            }
            header.stanza(line, at)?;
            while lines.body()? {}
        }
        let alone = header.stanzas.len() == 1 && header.stanzas.values().all(|count| *count == 1);
        if header.stanzas.is_empty() {
            return Err(wrong(lines.at, "there is no stanza: nobody could open it"));
        }
        if header.stanzas.contains_key("scrypt") && !alone {
            return Err(wrong(lines.at, "a passphrase stands beside other recipients, which age refuses"));
        }
        header.len = to_u64(lines.at);
        Ok(header)
    }

    fn stanza(&mut self, line: &[u8], at: usize) -> Result<(), Box<Corrupt>> {
        let none = || wrong(at, "neither a stanza nor the MAC of the header begins here");
        let mut words = line.strip_prefix(b"-> ").ok_or_else(none)?.split(|byte| *byte == b' ');
        let is_word = |word: &&[u8]| !word.is_empty() && word.iter().all(u8::is_ascii_graphic);
        let kind = words.next().filter(is_word).ok_or_else(none)?;
        let arguments: Vec<&[u8]> = words.collect();
        if !arguments.iter().all(is_word) {
            return Err(none());
        }
        let kind = String::from_utf8_lossy(kind).into_owned();
        if kind == "scrypt" {
            let [_, work] = arguments.as_slice() else {
                return Err(wrong(at, "a stanza scrypt has a salt and a work factor, this one has not"));
            };
            let work = std::str::from_utf8(work).ok().filter(|work| !work.starts_with(['0', '+']));
            let work = work.and_then(|work| work.parse().ok());
            self.work = Some(work.ok_or_else(|| wrong(at, "the work factor of scrypt is no number"))?);
        }
        let count = self.stanzas.entry(kind).or_default();
        *count = count.saturating_add(1);
        Ok(())
    }

    /// Where the chunks begin: behind the nonce.
    fn begins(&self) -> u64 {
        self.len.saturating_add(NONCE)
    }

    /// The number of the chunk that has this byte of the content, and where in the file it begins.
    #[must_use]
    pub fn chunk_of(&self, at: u64) -> (u64, u64) {
        let number = at / CHUNK;
        (number, self.begins().saturating_add(number.saturating_mul(SEALED)))
    }

    /// How long the content is, of a file of so many bytes.
    ///
    /// # Errors
    /// `age-cut` when no content makes a file of this length.
    pub fn content(&self, file: u64) -> Result<u64, Box<Corrupt>> {
        let begins = self.begins();
        let cut = |what: String| Corrupt::new(Code::AgeCut, At::offset(file), what);
        let Some(payload) = file.checked_sub(begins) else {
            return Err(cut(format!(
                "the file ends at byte {file}, the nonce behind its header at {begins}"
            )));
        };
        let (full, rest) = (payload / SEALED, payload % SEALED);
        // A chunk has a byte at least, unless there is no other.
        let least = if full == 0 { TAG } else { TAG.saturating_add(1) };
        if rest < least && (rest > 0 || full == 0) {
            return Err(cut(format!(
                "the last chunk has {rest} bytes, and {least} is the least that one has"
            )));
        }
        let chunks = full.saturating_add(u64::from(rest > 0));
        Ok(payload.saturating_sub(chunks.saturating_mul(TAG)))
    }

    /// For whom it is closed, in words. Stanzas that rage puts in to be passed over (`...-grease`) are not told.
    #[must_use]
    pub fn recipients(&self) -> String {
        let told = self.stanzas.iter().filter(|(kind, _)| !kind.ends_with("-grease"));
        let each = told.clone().map(|(kind, count)| match (kind.as_str(), self.work) {
            ("scrypt", Some(work)) => format!("a passphrase (scrypt, work factor {work})"),
            _ => format!("{count} of kind {}", kind.chars().take(40).collect::<String>()),
        });
        let mut shown: Vec<_> = each.take(8).collect();
        match told.count().saturating_sub(shown.len()) {
            0 => {}
            more => shown.push(format!("{more} kinds more")),
        }
        shown.join(", ")
    }
}

/// The header, line after line.
struct Lines<'f> {
    front: &'f [u8],
    at: usize,
}

impl<'f> Lines<'f> {
    fn next(&mut self) -> Result<&'f [u8], Box<Corrupt>> {
        let rest = self.front.get(self.at..).unwrap_or_default();
        let Some(len) = memchr::memchr(b'\n', rest) else {
            let end = self.front.len();
            let most = format!("the header goes on behind {LONGEST_HEADER} bytes: that is none");
            let cut = format!("the file ends at byte {end}, inside its header");
            return Err(match end < LONGEST_HEADER {
                true => Corrupt::new(Code::AgeCut, At::offset(to_u64(end)), cut),
                false => Corrupt::new(Code::AgeHeader, At::offset(to_u64(end)), most),
            });
        };
        self.at = self.at.saturating_add(len).saturating_add(1);
        Ok(rest.get(..len).unwrap_or_default())
    }

    /// A line of a stanza's body; whether another one follows.
    fn body(&mut self) -> Result<bool, Box<Corrupt>> {
        let at = self.at;
        let line = self.next()?;
        if line.len() > COLUMNS || decoded(line).is_none() {
            return Err(wrong(at, "the body of a stanza is not base64 in lines of 64 characters"));
        }
        Ok(line.len() == COLUMNS)
    }
}

/// What canonical base64 without padding stands for.
fn decoded(text: &[u8]) -> Option<Vec<u8>> {
    BASE64_STANDARD_NO_PAD.decode(text).ok()
}

fn wrong(at: usize, what: &str) -> Box<Corrupt> {
    Corrupt::new(Code::AgeHeader, At::offset(to_u64(at)), what)
}

#[cfg(test)]
mod tests {
    use super::*;

    const X25519: &str = "-> X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc\n\
                          EmECAEcKN+n/Vs9SbWiV+Hu0r+E8R77DdWYyd83nw7U\n";
    const MAC: &str = "--- Vn+54jqiiUCE+WZcEVY3f1sqHjlu/z1LCQ/T7Xm7qI0\n";

    fn header(stanzas: &str) -> String {
        format!("age-encryption.org/v1\n{stanzas}{MAC}")
    }

    #[test]
    fn the_header_of_the_specification_is_read() {
        // The example of <https://c2sp.org/age>.
        let long = "b".repeat(64);
        let text = header(&format!(
            "{X25519}-> ssh-ed25519 mhir0Q xD7o4VEOu1t7KZQ1gDgq2FPzBEeSRqbnqvQEXdLRYy4\n{long}\n\n{X25519}-> x-grease\n\n"
        ));
        let read = AgeHeader::read(format!("{text}anything at all").as_bytes()).unwrap();
        assert_eq!(read.len, text.len() as u64);
        assert_eq!(read.recipients(), "2 of kind X25519, 1 of kind ssh-ed25519");
        let passphrase = header("-> scrypt bBjlhJVYZeE4aqUdmtRHfw 18\n5G8+Y6Ex/T41Q4VeFSTUPdW0MvNd4zEk\n");
        let read = AgeHeader::read(passphrase.as_bytes()).unwrap();
        assert_eq!(
            (read.work, read.recipients().as_str()),
            (Some(18), "a passphrase (scrypt, work factor 18)")
        );
    }

    #[test]
    fn what_age_would_not_take_is_no_header() {
        let scrypt = "-> scrypt bBjlhJVYZeE4aqUdmtRHfw 18\n\n";
        for (text, why) in [
            (header(X25519).replace("/v1", "/v2"), "the first line"),
            (header(""), "there is no stanza"),
            (header(&X25519.replace("-> ", "->")), "neither a stanza"),
            (header(&X25519.replace(" TEi", "  TEi")), "neither a stanza"),
            (header(&X25519.replace("EmEC", "Em=C")), "the body"),
            // The last character carries bits that no byte has.
            (header(&X25519.replace("nw7U\n", "nw7V\n")), "the body"),
            (header(&format!("-> X25519 a\n{}\n", "b".repeat(65))), "the body"),
            (header(X25519).replace("--- V", "--- "), "the MAC"),
            (header(&format!("{scrypt}{X25519}")), "a passphrase stands"),
            (header(&format!("{scrypt}{scrypt}")), "a passphrase stands"),
            (header("-> scrypt salt\n\n"), "a stanza scrypt"),
            (header("-> scrypt salt 018\n\n"), "the work factor"),
            (header("-> scrypt salt x\n\n"), "the work factor"),
            (header(&X25519.repeat(20_000)), "the header goes on"),
        ] {
            let corrupt = AgeHeader::read(text.as_bytes()).unwrap_err();
            assert_eq!(corrupt.code, Code::AgeHeader, "{corrupt}");
            assert!(corrupt.detail.starts_with(why), "{corrupt}");
        }
    }

    #[test]
    fn a_header_that_is_cut_anywhere_is_told_to_be_cut() {
        let text = header(X25519);
        for end in 0..text.len() {
            let corrupt = AgeHeader::read(&text.as_bytes()[..end]).unwrap_err();
            assert_eq!((corrupt.code, corrupt.at.offset), (Code::AgeCut, Some(end as u64)));
        }
    }

    #[test]
    fn a_length_is_that_of_one_content_or_of_none() {
        let header = AgeHeader::read(header(X25519).as_bytes()).unwrap();
        let begins = header.len + 16;
        let due: BTreeMap<u64, u64> =
            (0..=3 * 65536u64).map(|n| (begins + n + 16 * n.div_ceil(65536).max(1), n)).collect();
        for file in 0..begins + 2 * 65552 {
            assert_eq!(header.content(file).ok(), due.get(&file).copied(), "{file}");
        }
    }
}
