//! What rules say of an object, whatever is in its fields: each once, in order, and in one line.
#![no_main]

use coldbolt::kube::decode::Object;
use coldbolt::kube::risk::risks_of;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(object) = Object::decode(data) else { return };
    let risks = risks_of(&object);
    assert!(risks.is_sorted_by(|a, b| a < b));
    for risk in risks {
        assert!(!risk.detail.to_string().contains('\n'));
    }
});
