//! A Kubernetes object in any encoding: what is taken can be printed in every form, in memory that its bytes bound; and
//! a key that is an object's is made of its parts.
#![no_main]

use coldbolt::kube::decode::{Glance, NoObject, Object};
use coldbolt::kube::encode::{Like, encode};
use coldbolt::kube::json::{self, Layout};
use coldbolt::kube::key::{KeyKind, PREFIXES, stored_as};
use coldbolt::kube::schema::schema;
use coldbolt::kube::secret::Redactor;
use coldbolt::kube::selector::LabelSelector;
use coldbolt::kube::serve::serve;
use coldbolt::kube::table::{Line, Table};
use coldbolt::kube::{cbor, yaml};
use jiff::Timestamp;

/// A field of type 2.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![number << 3 | 2];
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    [out.as_slice(), bytes].concat()
}

/// What is written of an object is read back, and of what was read the same is written.
fn written_again(object: &Object, value: &[u8]) {
    let Ok(once) = encode(object, &Like::of(value)) else { return };
    let again = Object::decode(&once).unwrap();
    assert!(again.encoding == object.encoding && again.known == object.known);
    assert_eq!(encode(&again, &Like::of(&once)).unwrap(), once);
}

fn object(value: &[u8]) {
    assert_eq!(Glance::of(value).err(), Object::decode(value).err());
    let mut object = match Object::decode(value) {
        Ok(object) => object,
        Err(NoObject::Bad(_, at)) => return assert!(at.0 <= value.len()),
        Err(_) => return,
    };
    let stored = json::object_text(&object.json, Layout { indent: false, sorted: false });
    // A name takes some bytes for each that there was, and an empty message some names.
    assert!(stored.len() <= 1000 + value.len() * 400, "{} of {}", stored.len(), value.len());
    let again: serde_json::Value = serde_json::from_str(&stored).unwrap();
    assert!(again.is_object());
    written_again(&object, value);
    serve(&mut object, 7, None);
    Redactor::plain().redact(b"/registry/secrets/a/b", &mut object);
    assert!(yaml::document(&object.json).ends_with('\n'));
    let line = Line {
        namespace: None,
        name: "n".to_owned(),
        deleted: None,
        listed: true,
        now: Timestamp::UNIX_EPOCH,
    };
    let mut table = Table::default();
    table.object(line, &object);
    assert_eq!(table.text(true, true).lines().count(), 2);
}

libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    object(data);
    let _ = cbor::decode(data);
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = LabelSelector::parse(text).map(|selector| selector.matches(None));
    }
    if let Some(key) = KeyKind::parse(data, &PREFIXES).object() {
        let namespace = key.namespace.map_or_else(String::new, |namespace| format!("{namespace}/"));
        let resource = match key.group {
            Some(group) => format!("{group}/{}", key.resource),
            None => stored_as(key.resource).to_owned(),
        };
        let path = format!("{resource}/{namespace}{}", key.name);
        let parts = PREFIXES.iter().any(|prefix| format!("{prefix}/{path}").as_bytes() == data);
        // A resource may be stored under its own name too, by a server that does not rename it.
        let plain = PREFIXES
            .iter()
            .any(|prefix| format!("{prefix}/{}/{namespace}{}", key.resource, key.name).as_bytes() == data);
        assert!(parts || plain);
    }
    // The rest as a message of one of the kinds, or of none.
    let Some((choice, rest)) = data.split_first_chunk::<2>() else { return };
    let kinds: Vec<_> = schema().kinds().collect();
    let choice = usize::from(u16::from_le_bytes(*choice)) % (kinds.len() + 1);
    let (api_version, kind) =
        kinds.get(choice).map_or(("none/v1", "None"), |(api_version, kind, _)| (api_version, kind));
    let meta = [field(1, api_version.as_bytes()), field(2, kind.as_bytes())].concat();
    object(&[b"k8s\0".to_vec(), field(1, &meta), field(2, rest)].concat());
});
