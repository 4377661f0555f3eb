//! Files that are closed with age.

use std::path::Path;

use coldbolt::Code;
use coldbolt::io::Source;
use coldbolt::io::closed::{Identities, Recipients};
use coldbolt::ops::closed::{Reading, decrypt, encrypt};
use coldbolt::ops::verify::{Verification, verify};
use coldbolt::words::error::{At, Error};
use coldbolt::words::finding::Finding;
use coldbolt::words::monitor::Quiet;
use support::age::PAIR;

use super::copies::as_verified;
use super::{Break, Due, Entry, due, entry, nowhere, options};

/// A closed file of two chunks.
fn closed() -> Vec<u8> {
    let source = Source::from_bytes("a", vec![7; 70_000]);
    let mut recipients = Recipients::none();
    recipients.add(PAIR.0.as_bytes()).unwrap();
    encrypt(Reading::File(source), (Vec::new(), Path::new("a.age")), &recipients, &Quiet).unwrap().0
}

fn verified(bytes: Vec<u8>, dues: Vec<Due>) -> (Verification, Vec<Due>) {
    (verify(Source::from_bytes("a.age", bytes), &options(), &Quiet).unwrap(), dues)
}

pub fn entries() -> Vec<Entry> {
    use Break::Other;
    vec![
        entry(
            Code::AgeHeader,
            "a character of a stanza is none of base64",
            Other(|| {
                let mut bytes = closed();
                let body = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').nth(1).unwrap().0 + 1;
                bytes[body] = b'*';
                verified(bytes, vec![due(Code::AgeHeader, At::offset(body as u64))])
            }),
        ),
        entry(
            Code::AgeCut,
            "the file ends inside its header",
            Other(|| verified(closed()[..100].to_vec(), vec![due(Code::AgeCut, At::offset(100))])),
        ),
        entry(
            Code::AgeCut,
            "the file ends behind a tag without a byte",
            Other(|| {
                let mut bytes = closed();
                let header = bytes.windows(5).position(|at| at == b"\n--- ").unwrap() + 49;
                bytes.truncate(header + 16 + 65_552 + 16);
                let end = bytes.len() as u64;
                verified(bytes, vec![due(Code::AgeCut, At::offset(end))])
            }),
        ),
        entry(
            Code::AgeChunk,
            "a byte of a chunk is another",
            Other(|| {
                let mut bytes = closed();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                let source = Source::from_bytes("a.age", bytes);
                let mut identities = Identities::none();
                identities.add(PAIR.1.as_bytes()).unwrap();
                let mut out = Vec::new();
                let to: (&mut dyn std::io::Write, _) = (&mut out, Path::new("a"));
                let opened = decrypt(Reading::File(source), to, &identities, &Quiet);
                let Err(Error::Damaged { corrupt, .. }) = opened else { panic!("{opened:?}") };
                let home = tempfile::tempdir().unwrap();
                let path = home.path().join("a.age");
                std::fs::write(&path, closed()).unwrap();
                let findings = vec![Finding::from_corrupt("a.age", *corrupt)];
                (as_verified(&path, findings), vec![due(Code::AgeChunk, nowhere())])
            }),
        ),
    ]
}
