//! The envelope of a Kubernetes object: what is taken is in the value and reads back as it is, what is not has a place.
#![no_main]

use coldbolt::codec::wire::BadField;
use coldbolt::kube::envelope::{Envelope, MAGIC};

/// A field of type 2.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    [out.as_slice(), bytes].concat()
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    assert!(data.starts_with(MAGIC) || Envelope::parse(data) == Ok(None));
    // Past the magic, which chance seldom finds.
    let value = [MAGIC, data].concat();
    match Envelope::parse(&value) {
        Ok(Some(envelope)) => {
            let meta = [field(1, envelope.api_version), field(2, envelope.kind)].concat();
            let again = [
                MAGIC.to_vec(),
                field(1, &meta),
                field(2, envelope.raw),
                field(3, envelope.content_encoding),
                field(4, envelope.content_type),
            ];
            assert_eq!(Envelope::parse(&again.concat()), Ok(Some(envelope)));
        }
        Ok(None) => panic!("it has the magic"),
        Err(BadField(at)) => assert!((MAGIC.len()..value.len()).contains(&at)),
    }
});
