//! Tests of the engine: one table, its text and its JSON.

use serde_json::json;

use super::message::{Field, FieldKind, Label, Message, Schema, field};
use crate::codec::wire::BadField;

static INNER: Message = Message::new(&[
    field(1, "range_end", FieldKind::Bytes),
    field(2, "password", FieldKind::String).with(Field::SECRET),
]);
static OUTER: Message = Message::new(&[
    field(100, "header", FieldKind::Message(&INNER)),
    field(1, "ID", FieldKind::Uint64).with(Field::HEX),
    field(2, "nodes", FieldKind::Uint64).label(Label::Repeated),
    field(3, "sort", FieldKind::Enum(&["NONE", "UP", ""])),
    field(4, "data", FieldKind::Bytes).label(Label::Optional),
    field(5, "number", FieldKind::Int64).label(Label::OneOf),
    field(6, "inner", FieldKind::Message(&INNER)).label(Label::OneOf),
]);

static NUMBERS: Message = Message::new(&[
    field(1, "double", FieldKind::Double),
    field(2, "float", FieldKind::Float),
    field(3, "int32", FieldKind::Int32),
    field(4, "int64", FieldKind::Int64),
    field(5, "uint32", FieldKind::Uint32),
    field(6, "uint64", FieldKind::Uint64),
    field(7, "sint32", FieldKind::Sint32),
    field(8, "sint64", FieldKind::Sint64),
    field(9, "fixed32", FieldKind::Fixed32),
    field(10, "fixed64", FieldKind::Fixed64),
    field(11, "sfixed32", FieldKind::Sfixed32),
    field(12, "sfixed64", FieldKind::Sfixed64),
    field(13, "bool", FieldKind::Bool),
]);

/// A field of type 2.
fn bytes(number: u32, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    prost::encoding::encode_varint(u64::from(number) << 3 | 2, &mut out);
    prost::encoding::encode_varint(bytes.len() as u64, &mut out);
    [out.as_slice(), bytes].concat()
}

fn text(message: &Message<'_>, bytes: &[u8]) -> String {
    message.decode(bytes).unwrap().text(true)
}

#[test]
fn text_is_in_the_order_of_the_table_and_escapes_in_octal() {
    let bytes = [0x08, 0x05, 0x18, 0x01, 0xa2, 0x06, 0x08, 0x0a, 0x06, b'a', b'"', b'\n', 0x01, 0xff, b'\\'];
    let node = OUTER.decode(&bytes).unwrap();
    assert_eq!(node.text(false), r#"header:<range_end:"a\"\n\001\377\\" > ID:5 sort:UP "#);
    assert_eq!(node.json(false)["id"], "0000000000000005");
    assert_eq!(node.json(false)["header"]["range_end"], "YSIKAf9c");
}

#[test]
fn packed_and_unpacked_numbers_are_the_same_list() {
    let node = OUTER.decode(&[0x12, 0x02, 0x07, 0x08, 0x10, 0x09]).unwrap();
    assert_eq!(node.text(false), "nodes:7 nodes:8 nodes:9 ");
    assert_eq!(node.json(false), json!({"nodes": [7, 8, 9]}));
    assert_eq!(OUTER.decode(&[0x12, 0x01, 0x80]).unwrap_err(), BadField(0));
}

#[test]
fn an_optional_field_is_printed_empty_and_a_plain_zero_is_not() {
    assert_eq!(text(&OUTER, &[0x08, 0x00, 0x22, 0x00]), "data:\"\" ");
}

#[test]
fn secrets_are_redacted_until_asked_for() {
    let node = OUTER.decode(&[0xa2, 0x06, 0x03, 0x12, 0x01, b'p']).unwrap();
    assert!(node.has_secret());
    assert_eq!(node.text(false), "header:<password:\"<redacted>\" > ");
    assert_eq!(node.text(true), "header:<password:\"p\" > ");
    assert_eq!(node.json(false)["header"]["password"], "<redacted>");
}

#[test]
fn a_field_that_comes_twice_merges_and_an_unknown_one_is_kept() {
    let bytes = [
        0xa2, 0x06, 0x03, 0x0a, 0x01, b'x', 0x38, 0x07, 0xa2, 0x06, 0x03, 0x12, 0x01, b'p', 0x08, 0x01, 0x08,
        0x02,
    ];
    let node = OUTER.decode(&bytes).unwrap();
    assert_eq!(node.text(true), "header:<range_end:\"x\" password:\"p\" > ID:2 7:7 ");
    assert_eq!(node.json(true)["unknown_fields"], "OAc=");
}

#[test]
fn of_a_oneof_the_last_field_is_set_alone() {
    let inner = bytes(6, &[0x0a, 0x01, b'x']);
    assert_eq!(text(&OUTER, &[&[0x28, 0x01], inner.as_slice()].concat()), "inner:<range_end:\"x\" > ");
    assert_eq!(text(&OUTER, &[inner.as_slice(), &[0x28, 0x01]].concat()), "number:1 ");
    // gogo makes a new message of it, it does not merge.
    let other = bytes(6, &[0x12, 0x01, b'p']);
    assert_eq!(text(&OUTER, &[inner, other].concat()), "inner:<password:\"p\" > ");
}

#[test]
fn a_known_field_with_another_wire_type_is_an_error_at_its_place() {
    assert_eq!(OUTER.decode(&[0x08, 0x01, 0x0a, 0x00]).unwrap_err(), BadField(2));
    assert_eq!(OUTER.decode(&[0x08, 0x01, 0xa2, 0x06, 0x02, 0x08, 0x01]).unwrap_err(), BadField(5));
    assert!(OUTER.decode(&[0x3f]).is_err());
}

/// What Go's protobuf prints for the same message.
#[test]
fn every_type_of_number_is_read() {
    let mut bytes = vec![0x09];
    bytes.extend((-1.5f64).to_le_bytes());
    bytes.push(0x15);
    bytes.extend(0.1f32.to_le_bytes());
    for (tag, value) in [(0x18, u64::MAX), (0x20, u64::MAX - 1), (0x28, u64::MAX), (0x30, u64::MAX)] {
        bytes.push(tag);
        prost::encoding::encode_varint(value, &mut bytes);
    }
    bytes.extend([0x38, 0x03, 0x40, 0x02, 0x4d, 1, 0, 0, 0x80, 0x51, 1, 0, 0, 0, 0, 0, 0, 0x80]);
    bytes.extend([0x5d, 0xff, 0xff, 0xff, 0xff, 0x61]);
    bytes.extend([0xff; 8]);
    bytes.extend([0x68, 0x02]);
    let node = NUMBERS.decode(&bytes).unwrap();
    assert_eq!(
        node.text(true),
        "double:-1.5 float:0.1 int32:-1 int64:-2 uint32:4294967295 uint64:18446744073709551615 sint32:-2 sint64:1 \
         fixed32:2147483649 fixed64:9223372036854775809 sfixed32:-1 sfixed64:-1 bool:true "
    );
    assert_eq!(
        node.json(true).to_string(),
        "{\"double\":-1.5,\"float\":0.1,\"int32\":-1,\"int64\":-2,\"uint32\":4294967295,\
         \"uint64\":18446744073709551615,\"sint32\":-2,\"sint64\":1,\"fixed32\":2147483649,\
         \"fixed64\":9223372036854775809,\"sfixed32\":-1,\"sfixed64\":-1,\"bool\":true}"
    );
    for (double, in_text, in_json) in [
        (f64::INFINITY, "inf", json!("Infinity")),
        (f64::NEG_INFINITY, "-inf", json!("-Infinity")),
        (f64::NAN, "nan", json!("NaN")),
        (-0.0, "-0", json!(-0.0)),
        (1e6, "1e+06", json!(1_000_000)),
    ] {
        let bytes = [&[0x09], double.to_le_bytes().as_slice()].concat();
        let node = NUMBERS.decode(&bytes).unwrap();
        assert_eq!((node.text(true), &node.json(true)["double"]), (format!("double:{in_text} "), &in_json));
    }
}

#[test]
fn an_enum_without_a_name_is_a_number() {
    assert_eq!(text(&OUTER, &[0x18, 0x02]), "sort:2 ");
    let minus_one = [0x18, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
    assert_eq!(text(&OUTER, &minus_one), "sort:-1 ");
    assert_eq!(OUTER.decode(&minus_one).unwrap().json(true), json!({"sort": -1}));
}

#[test]
fn a_map_is_in_the_order_of_its_keys_and_the_last_of_equal_ones_counts() {
    static ENTRY: Message =
        Message::new(&[field(1, "key", FieldKind::String), field(2, "value", FieldKind::Message(&INNER))]);
    static MAP: Message = Message::new(&[field(3, "labels", FieldKind::Message(&ENTRY)).label(Label::Map)]);
    let entry = |key: &[u8], end: &[u8]| bytes(3, &[bytes(1, key), bytes(2, &bytes(1, end))].concat());
    let data = [entry(b"b", b"1"), entry(b"a", b"2"), entry(b"b", b"3"), bytes(3, &bytes(1, b"c"))].concat();
    assert_eq!(
        text(&MAP, &data),
        "labels:<key:\"a\" value:<range_end:\"2\" > > labels:<key:\"b\" value:<range_end:\"3\" > > \
         labels:<key:\"c\" value:<> > "
    );
    let due = json!({"labels": {"a": {"range_end": "Mg=="}, "b": {"range_end": "Mw=="}, "c": {}}});
    assert_eq!(MAP.decode(&data).unwrap().json(true).to_string(), due.to_string());
    static NUMBERED: Message = Message::new(&[
        field(1, "key", FieldKind::Sint64),
        field(2, "value", FieldKind::Bytes).with(Field::SECRET),
    ]);
    static OF_NUMBERS: Message =
        Message::new(&[field(1, "m", FieldKind::Message(&NUMBERED)).label(Label::Map)]);
    let data = [bytes(1, &[0x08, 0x02]), bytes(1, &[0x08, 0x01, 0x12, 0x01, b'x']), bytes(1, &[])].concat();
    let node = OF_NUMBERS.decode(&data).unwrap();
    assert_eq!(
        node.text(false),
        "m:<key:-1 value:\"<redacted>\" > m:<key:0 value:\"\" > m:<key:1 value:\"\" > "
    );
    assert_eq!(node.json(false).to_string(), r#"{"m":{"-1":"<redacted>","0":"","1":""}}"#);
}

#[test]
fn a_group_is_passed_over_and_kept() {
    // 7 { 1:5 2 { } } between two known fields.
    let group = [0x3b, 0x08, 0x05, 0x13, 0x14, 0x3c];
    let data = [&[0x08, 0x01], group.as_slice(), &[0x18, 0x01]].concat();
    let node = OUTER.decode(&data).unwrap();
    assert_eq!(node.text(true), "ID:1 sort:UP 7 { 1:5 2 { } } ");
    assert_eq!(node.root().unknown(), [&group[..]]);
    // One that does not end, one that did not begin, and one in the place of a known field.
    assert_eq!(OUTER.decode(&[0x08, 0x01, 0x3b, 0x08, 0x05]).unwrap_err(), BadField(2));
    assert_eq!(OUTER.decode(&[0x3c]).unwrap_err(), BadField(0));
    assert_eq!(OUTER.decode(&[0x0b, 0x0c]).unwrap_err(), BadField(0));
    // Nesting costs nothing but its bytes.
    let deep = [[0x3b].repeat(1 << 20), [0x3c].repeat(1 << 20)].concat();
    assert_eq!(OUTER.decode(&deep).unwrap().root().unknown(), [deep.as_slice()]);
}

#[test]
fn a_table_made_at_run_time_may_refer_to_itself() {
    let names = String::from("name next");
    let (name, next) = names.split_once(' ').unwrap();
    let schema = Schema::new(vec![
        Message::owned(vec![field(1, "first", FieldKind::Indexed(1))]),
        Message::owned(vec![field(1, name, FieldKind::String), field(2, next, FieldKind::Indexed(1))]),
    ])
    .unwrap();
    let data = bytes(1, &[bytes(1, b"a"), bytes(2, &bytes(1, b"b"))].concat());
    let decoded = schema.decode(0, &data).unwrap().unwrap();
    assert_eq!(decoded.json(true), json!({"first": {"name": "a", "next": {"name": "b"}}}));
    let first = decoded.root().message("first").unwrap();
    assert_eq!(first.message("next").map(|next| next.bytes("name")), Some(&b"b"[..]));
    assert!(schema.decode(2, &data).is_none());
}

#[test]
fn messages_nest_a_hundred_deep_and_no_deeper() {
    static NESTED: Message = Message::new(&[field(1, "n", FieldKind::Message(&NESTED))]);
    let nested = |depth: usize| (0..depth).fold(Vec::new(), |inside, _| bytes(1, &inside));
    assert!(NESTED.decode(&nested(100)).is_ok());
    assert!(NESTED.decode(&nested(101)).is_err());
    assert!(NESTED.decode(&nested(2_000)).is_err());
}

/// Each of these took time by the square of its length once, or would in a careless reader.
#[test]
#[cfg_attr(miri, ignore = "two million fields are hours for Miri")]
fn a_message_that_is_meant_to_do_harm_takes_no_longer_than_another() {
    let begun = std::time::Instant::now();
    let n = 100_000;
    let half = [[0x10, 0x01].repeat(n), [0x08, 0x01].repeat(n)].concat();
    let turns = [0x18, 0x01, 0x08, 0x01, 0x10, 0x01].repeat(n);
    let oneof = [0x28, 0x01, 0x32, 0x00].repeat(n);
    let merged = bytes(100, &[0x0a, 0x01, b'x']).repeat(n);
    let unknown = [0x08, 0x01, 0x38, 0x01].repeat(n);
    for data in [half, turns, oneof, merged, unknown] {
        let decoded = OUTER.decode(&data).unwrap();
        assert!(decoded.root().set().count() <= n + 7);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30));
}

proptest::proptest! {
    /// Whatever the bytes: an end, and a fault that lies in them.
    #[test]
    fn no_bytes_do_harm(data in proptest::collection::vec(0u8..0x40, 0..200)) {
        match OUTER.decode(&data) {
            Ok(decoded) => {
                let _ = (decoded.json(false), decoded.text(true));
                proptest::prop_assert!(decoded.has_secret() || decoded.text(false) == decoded.text(true));
            }
            Err(BadField(at)) => proptest::prop_assert!(at < data.len()),
        }
    }
}
