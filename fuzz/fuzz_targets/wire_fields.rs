//! Protobuf fields of no known schema: iteration ends, and values lie inside the message.
#![no_main]

use coldbolt::codec::go::go_quote;
use coldbolt::codec::wire::{WireValue, fields};

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let mut total = 0usize;
    for field in fields(data) {
        if let Ok((_, WireValue::Bytes(bytes))) = field {
            total += bytes.len();
            let _ = go_quote(bytes);
        }
    }
    assert!(total <= data.len());
});
