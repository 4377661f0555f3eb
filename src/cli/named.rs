//! Values of the library as arguments: by their own names, so that there is no second list of them.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use coldbolt::etcd::schema::Minor;
use coldbolt::ops::verify::Level;

/// A minor version of etcd, as `3.5`.
pub fn minor() -> impl TypedValueParser<Value = Minor> {
    named(&Minor::ALL, Minor::name)
}

/// A level of `verify`.
pub fn level() -> impl TypedValueParser<Value = Level> {
    named(&Level::ALL, Level::name)
}

/// Bytes, as `500M` or `2GiB`: units of 1024.
pub fn bytes(text: &str) -> Result<u64, String> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    let shift = match unit.to_ascii_uppercase().trim_end_matches("IB").trim_end_matches('B') {
        "" => 0,
        "K" => 10,
        "M" => 20,
        "G" => 30,
        "T" => 40,
        _ => return Err(format!("{unit} is no unit: K, M, G, T")),
    };
    let number: u64 = digits.parse().map_err(|_| "a number of bytes is due".to_owned())?;
    number.checked_mul(1 << shift).ok_or_else(|| "more than can be counted".to_owned())
}

fn named<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(all.iter().map(|value| name(*value)));
    names.try_map(move |given| all.iter().copied().find(|value| name(*value) == given).ok_or("no such name"))
}
