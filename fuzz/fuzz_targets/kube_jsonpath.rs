//! A template and an object: both are taken or refused, in steps and bytes that the object bounds; what a column takes
//! is a template. The first line is the template, the rest the object.
#![no_main]

use coldbolt::kube::custom::CustomColumns;
use coldbolt::kube::jsonpath::{JsonPath, relaxed};
use coldbolt::kube::order::SortField;
use serde_json::Value;

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (template, object) = text.split_once('\n').unwrap_or((text, ""));
    let object: Value = serde_json::from_str(object).unwrap_or_else(
        |_| serde_json::json!({"items": [{"a": [1, "b", null]}, {"a": []}], "a": {"b": "c"}}),
    );
    let most = (64 << 20) + 64 * object.to_string().len();
    if let Ok(path) = JsonPath::parse(template) {
        for as_json in [false, true] {
            let mut out = Vec::new();
            let _ = path.clone().as_json(as_json).execute(&object, &mut out);
            assert!(out.len() <= most);
        }
        // What finds all that it names does so leniently too.
        let lenient = path.clone().missing_is_error(false);
        let strict = path.missing_is_error(true);
        assert!(strict.find(&object).is_err() || lenient.find(&object).is_ok());
    }
    if let Ok(whole) = relaxed(template) {
        assert!(whole.is_empty() || whole.starts_with("{.") && whole.ends_with('}'));
        if let Ok(field) = SortField::parse(template)
            && let Ok((key, _)) = field.key(&object)
        {
            let _ = key.order(&key);
        }
    }
    if let Ok(mut columns) = CustomColumns::parse(template) {
        columns.header();
        if columns.object(&object).is_ok() {
            assert!(columns.text().lines().count() >= 2);
        }
    }
});
