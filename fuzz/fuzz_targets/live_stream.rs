//! Where members listen, as text, and the parts of a snapshot as a server sends them: what was taken is what was
//! announced, and an end is one only with all of it.
#![no_main]

use coldbolt::live::Endpoint;
use coldbolt::live::received::Received;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(endpoint) = Endpoint::parse(text, true)
    {
        assert_eq!(Endpoint::parse(&endpoint.to_string(), false), Ok(endpoint));
    }
    let (mut received, mut taken) = (Received::default(), 0);
    let mut rest = data;
    // A part is how much remains, how long it is, and its bytes.
    while let Some((&[remains, len], after)) = rest.split_first_chunk() {
        let (part, after) = after.split_at(after.len().min(len.into()));
        rest = after;
        match received.take(remains.into(), part) {
            Ok(true) => taken += part.len() as u64,
            Ok(false) => {}
            Err(_) => break,
        }
    }
    assert_eq!(received.got(), taken);
    assert!(taken <= received.due().unwrap_or(0));
    if received.sha256("").is_ok() {
        assert_eq!(Some(taken), received.due());
    }
});
