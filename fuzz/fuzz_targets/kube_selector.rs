//! Selectors of labels and fields: taken or refused; and any value of a field can be written so that it selects what
//! has it and nothing else.
#![no_main]

use coldbolt::kube::fields::FieldSelector;
use coldbolt::kube::selector::LabelSelector;
use serde_json::json;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let labels = json!({"a": "1", "app": "web", "x/y": ""});
    if let Ok(selector) = LabelSelector::parse(text) {
        let _ = selector.matches(Some(&labels));
        // All that it asks for without labels is that there is none.
        assert_eq!(selector.matches(None), selector.matches(Some(&json!({}))));
    }
    let object = json!({"kind": "Pod", "metadata": {"name": text}, "status": {"phase": "Running"}});
    let object = object.as_object().unwrap();
    if let Ok(selector) = FieldSelector::parse(text) {
        let _ = selector.matches(object);
        assert!(!selector.is_empty() || selector.check(None, None).is_ok());
    }
    let escaped = text.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
    let selector = FieldSelector::parse(&format!("metadata.name={escaped},status.phase!=Failed")).unwrap();
    assert!(selector.matches(object));
    assert!(selector.matches_key(text, None).is_none());
    let other = FieldSelector::parse(&format!("metadata.name!={escaped}")).unwrap();
    assert!(!other.matches(object));
    assert_eq!(other.matches_key(text, None), Some(false));
});
