//! The header of an age file that anybody wrote: what is read of it is in it, it is cut or none where it is not read, and
//! a length has one content or none.
#![no_main]

use coldbolt::Code;
use coldbolt::codec::age::{AgeHeader, CHUNK, LONGEST_HEADER, TAG};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    // What every header begins with is not to be guessed.
    for front in [data.to_vec(), [b"age-encryption.org/v1\n-> ", data].concat()] {
        match AgeHeader::read(&front) {
            Err(corrupt) => {
                assert!(matches!(corrupt.code, Code::AgeHeader | Code::AgeCut));
                assert!(corrupt.at.offset.is_none_or(|at| at <= front.len() as u64));
            }
            Ok(header) => {
                let len = usize::try_from(header.len).unwrap();
                assert!(len <= front.len().min(LONGEST_HEADER) && front[..len].ends_with(b"\n"));
                assert_eq!(
                    AgeHeader::read(&front[..len]).as_ref(),
                    Ok(&header),
                    "what follows does not matter"
                );
                assert_eq!(AgeHeader::read(&front[..len - 1]).unwrap_err().code, Code::AgeCut);
                assert!(header.stanzas.values().sum::<u64>() <= header.len);
                assert!(header.recipients().len() < 1000);
                for file in [header.len, header.len + 32, front.len() as u64, u64::MAX] {
                    if let Ok(content) = header.content(file) {
                        let chunks = content.div_ceil(CHUNK).max(1);
                        assert_eq!(header.len + 16 + content + chunks * TAG, file);
                    }
                }
            }
        }
    }
});
