//! JSON as it was written: numbers by their digits, names as often as they stand there. `serde_json::Value` has numbers
//! as far as a `f64` holds them, and the last of names that are the same.

use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::json::quote;

/// Objects and arrays in one another: more are not read, as serde_json does not.
const DEEPEST: usize = 128;

/// A JSON value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JsonTree {
    /// A number, `true`, `false` or `null`, as written.
    Word(String),
    /// A string.
    Text(String),
    /// An array.
    Array(Vec<JsonTree>),
    /// An object: names and values, in their order.
    Object(Vec<(String, JsonTree)>),
}

impl JsonTree {
    /// Reads one; `None` for what is no JSON, or nested too deep.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<JsonTree> {
        JsonTree::of(serde_json::from_slice(bytes).ok()?, DEEPEST)
    }

    fn of(raw: &RawValue, deepest: usize) -> Option<JsonTree> {
        let (text, deeper) = (raw.get(), deepest.checked_sub(1)?);
        Some(match text.bytes().next()? {
            b'{' => {
                let Fields(fields) = serde_json::from_str(text).ok()?;
                let fields = fields.into_iter().map(|(name, raw)| Some((name, JsonTree::of(raw, deeper)?)));
                JsonTree::Object(fields.collect::<Option<_>>()?)
            }
            b'[' => {
                let items: Vec<&RawValue> = serde_json::from_str(text).ok()?;
                JsonTree::Array(
                    items.into_iter().map(|raw| JsonTree::of(raw, deeper)).collect::<Option<_>>()?,
                )
            }
            b'"' => JsonTree::Text(serde_json::from_str(text).ok()?),
            _ => JsonTree::Word(text.to_owned()),
        })
    }
}

impl fmt::Display for JsonTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let comma = |at: usize| if at > 0 { "," } else { "" };
        match self {
            JsonTree::Word(word) => f.write_str(word),
            JsonTree::Text(text) => f.write_str(&quote(text)),
            JsonTree::Array(items) => {
                f.write_str("[")?;
                items.iter().enumerate().try_for_each(|(at, item)| write!(f, "{}{item}", comma(at)))?;
                f.write_str("]")
            }
            JsonTree::Object(fields) => {
                f.write_str("{")?;
                let mut fields = fields.iter().enumerate();
                fields
                    .try_for_each(|(at, (name, value))| write!(f, "{}{}:{value}", comma(at), quote(name)))?;
                f.write_str("}")
            }
        }
    }
}

/// The fields of an object, each as often as it stands there.
struct Fields<'a>(Vec<(String, &'a RawValue)>);

impl<'de> Deserialize<'de> for Fields<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fields<'de>, D::Error> {
        struct Each;
        impl<'de> Visitor<'de> for Each {
            type Value = Fields<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields<'de>, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Fields(fields))
            }
        }
        deserializer.deserialize_map(Each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_stay_as_they_are_written() {
        for text in [
            r#"{"n":100000000000000000000001,"d":0.10000000000000000000001,"e":1e400,"z":-0}"#,
            r#"{"a":1,"a":[2,{"a":null}],"a":"é\u2028\"\n"}"#,
            "[]",
        ] {
            assert_eq!(JsonTree::parse(text.as_bytes()).unwrap().to_string(), text);
        }
        assert_eq!(JsonTree::parse(br#" { "a" : [ 1 , true ] } "#).unwrap().to_string(), r#"{"a":[1,true]}"#);
    }

    #[test]
    fn what_is_no_json_or_too_deep_is_none() {
        for text in ["", "{", r#"{"a":1}x"#, "nul", "01", "\"\u{1}\""] {
            assert_eq!(JsonTree::parse(text.as_bytes()), None, "{text}");
        }
        let nested = |deep: usize| "[".repeat(deep) + &"]".repeat(deep);
        assert!(JsonTree::parse(nested(128).as_bytes()).is_some());
        assert_eq!(JsonTree::parse(nested(129).as_bytes()), None);
        assert_eq!(JsonTree::parse(nested(100_000).as_bytes()), None);
    }

    proptest::proptest! {
        #[test]
        fn what_is_printed_is_the_same_json(text in "[\\[\\]{}\",:0-9a-e. ]{0,12}") {
            let value = serde_json::from_str::<serde_json::Value>(&text).ok();
            let tree = JsonTree::parse(text.as_bytes());
            let again = tree.map(|tree| serde_json::from_str::<serde_json::Value>(&tree.to_string()).ok());
            if value.is_some() {
                proptest::prop_assert_eq!(again, Some(value));
            }
        }
    }
}
