//! A token of k3s, and a value that it may open: the plain text behind the encryption too.
#![no_main]

use coldbolt::kube::k3s::{Token, files};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(token) = Token::parse(data) {
        assert_eq!(token.key_end().len(), 12);
    }
    // Two rounds of PBKDF2 for each would be all that it does.
    if let Ok(found) = files(data) {
        for file in found {
            assert!(file.place.is_none_or(|place| !place.contains("..") && !place.starts_with('/')));
            assert!(file.content.len() <= data.len());
        }
    }
});
