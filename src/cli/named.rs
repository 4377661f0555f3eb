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

fn named<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names = PossibleValuesParser::new(all.iter().map(|value| name(*value)));
    names.try_map(move |given| all.iter().copied().find(|value| name(*value) == given).ok_or("no such name"))
}
