//! Tables that tell the fields of protobuf messages.
//!
//! A table that is code is `static`, made by `const fn`, and its fields refer to other tables by reference
//! ([`FieldKind::Message`]). A table that is loaded when the program runs is a [`Schema`], whose messages refer to one
//! another by position ([`FieldKind::Indexed`]); its names may borrow the bytes it is loaded from.

/// What is printed instead of a secret.
pub const REDACTED: &str = "<redacted>";

/// Places in the index of a message; a power of two.
const SLOTS: usize = 128;
/// Fields that are in the index: so few that a run of taken places stays short. The others are searched one by one.
const INDEXED: u8 = 96;

/// A message type: its fields in the order in which they are printed.
#[derive(Debug, Clone)]
pub struct Message<'t> {
    fields: Fields<'t>,
    /// For each place the position of a field and one, or 0. A field has the place of the low bits of its number or,
    /// if that is taken, the next free one: numbers below [`SLOTS`] mostly have a place of their own.
    slots: [u8; SLOTS],
}

#[derive(Debug, Clone)]
enum Fields<'t> {
    Borrowed(&'t [Field<'t>]),
    Owned(Vec<Field<'t>>),
}

impl<'t> Message<'t> {
    /// A message of these fields, in the order in which they are printed. Of two with one number the first counts.
    #[must_use]
    pub const fn new(fields: &'t [Field<'t>]) -> Message<'t> {
        Message { slots: slots(fields), fields: Fields::Borrowed(fields) }
    }

    /// The same of fields that are made when the program runs.
    #[must_use]
    pub fn owned(fields: Vec<Field<'t>>) -> Message<'t> {
        Message { slots: slots(&fields), fields: Fields::Owned(fields) }
    }

    /// The fields, in the order in which they are printed.
    #[must_use]
    pub fn fields(&self) -> &[Field<'t>] {
        match &self.fields {
            Fields::Borrowed(fields) => fields,
            Fields::Owned(fields) => fields,
        }
    }

    /// The field of that number and its position, in constant time.
    #[must_use]
    pub fn field(&self, number: u32) -> Option<(usize, &Field<'t>)> {
        let fields = self.fields();
        let (before, from) = self.slots.split_at_checked(slot(number))?;
        for taken in from.iter().chain(before) {
            let Some(position) = usize::from(*taken).checked_sub(1) else { break };
            match fields.get(position) {
                Some(field) if field.number == number => return Some((position, field)),
                _ => {}
            }
        }
        let mut others = fields.iter().enumerate().skip(usize::from(INDEXED));
        others.find(|(_, field)| field.number == number)
    }
}

/// Where the search for a number begins.
#[allow(clippy::as_conversions, reason = "usize::from is not const; a byte fits")]
const fn slot(number: u32) -> usize {
    let [low, ..] = number.to_le_bytes();
    low as usize % SLOTS
}

#[allow(
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "every place is taken modulo SLOTS"
)]
const fn slots(fields: &[Field<'_>]) -> [u8; SLOTS] {
    let mut slots = [0; SLOTS];
    let (mut rest, mut count) = (fields, 0);
    while let [field, tail @ ..] = rest
        && count < INDEXED
    {
        let mut at = slot(field.number);
        while slots[at] != 0 {
            at = (at + 1) % SLOTS;
        }
        count += 1;
        slots[at] = count;
        rest = tail;
    }
    slots
}

/// Messages that refer to one another by position, as a table that is loaded when the program runs has them.
#[derive(Debug, Clone)]
pub struct Schema<'t> {
    messages: Vec<Message<'t>>,
}

impl<'t> Schema<'t> {
    /// The messages; `None` if a field names a position that is not there.
    #[must_use]
    pub fn new(messages: Vec<Message<'t>>) -> Option<Schema<'t>> {
        let there = |kind: FieldKind<'t>| match kind {
            FieldKind::Indexed(at) => usize::try_from(at).is_ok_and(|at| at < messages.len()),
            _ => true,
        };
        let all = messages.iter().flat_map(Message::fields).all(|field| there(field.kind));
        all.then_some(Schema { messages })
    }

    /// All of them.
    #[must_use]
    pub fn messages(&self) -> &[Message<'t>] {
        &self.messages
    }

    /// The message at a position.
    #[must_use]
    pub fn message(&self, at: u32) -> Option<&Message<'t>> {
        self.messages.get(usize::try_from(at).ok()?)
    }
}

/// A field of a [`Message`].
#[derive(Debug, Clone, Copy)]
pub struct Field<'t> {
    /// The number on the wire.
    pub number: u32,
    /// The name: in text as it is, in JSON in small letters, with `nodeID` as `node_id`.
    pub name: &'t str,
    /// The type of the value.
    pub kind: FieldKind<'t>,
    /// How often it occurs and when it is printed.
    pub label: Label,
    /// How it is shown: [`Field::HEX`], [`Field::SECRET`], [`Field::REMOVED`]; from [`Field::OTHER`] on the bits are
    /// for who makes the table and his own printer.
    pub attributes: u16,
}

/// A field of which zero is as good as none; shorthand for the tables.
#[must_use]
pub const fn field<'t>(number: u32, name: &'t str, kind: FieldKind<'t>) -> Field<'t> {
    Field { number, name, kind, label: Label::Plain, attributes: 0 }
}

impl Field<'_> {
    /// The integer names something: 16 hex digits in JSON, decimal in text.
    pub const HEX: u16 = 1;
    /// The string or bytes must not be shown unless asked for.
    pub const SECRET: u16 = 1 << 1;
    /// The string is not in a text to whomever: etcd-dump-logs has `<value removed>` in its place.
    pub const REMOVED: u16 = 1 << 2;
    /// The first bit that means nothing here.
    pub const OTHER: u16 = 1 << 8;

    /// The same field with another label.
    #[must_use]
    pub const fn label(self, label: Label) -> Self {
        Field { label, ..self }
    }

    /// The same field with these attributes too.
    #[must_use]
    pub const fn with(self, attributes: u16) -> Self {
        Field { attributes: self.attributes | attributes, ..self }
    }

    /// Whether it has this attribute.
    #[must_use]
    pub const fn is(&self, attribute: u16) -> bool {
        self.attributes & attribute != 0
    }
}

/// The type of a field's value, as the `.proto` file calls it.
#[derive(Debug, Clone, Copy)]
pub enum FieldKind<'t> {
    /// `double`.
    Double,
    /// `float`.
    Float,
    /// `int32`.
    Int32,
    /// `int64`.
    Int64,
    /// `uint32`.
    Uint32,
    /// `uint64`.
    Uint64,
    /// `sint32`: zigzag.
    Sint32,
    /// `sint64`: zigzag.
    Sint64,
    /// `fixed32`.
    Fixed32,
    /// `fixed64`.
    Fixed64,
    /// `sfixed32`.
    Sfixed32,
    /// `sfixed64`.
    Sfixed64,
    /// `bool`.
    Bool,
    /// An enum: the names of the values 0, 1, 2 and so on; empty for one that has none.
    Enum(&'t [&'t str]),
    /// `bytes`.
    Bytes,
    /// `string`. Go's proto2 code does not mind if it is not UTF-8, nor is it minded here.
    String,
    /// A message, by its table.
    Message(&'t Message<'t>),
    /// A message, by its position in the [`Schema`].
    Indexed(u32),
}

impl<'t> FieldKind<'t> {
    /// The name of an enum's value, if it has one.
    #[must_use]
    pub fn value_name(self, n: i32) -> Option<&'t str> {
        let FieldKind::Enum(names) = self else { return None };
        names.get(usize::try_from(n).ok()?).copied().filter(|name| !name.is_empty())
    }
}

/// How often a field occurs and when it counts as set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Label {
    /// A zero or empty value is as good as none (proto3, and gogo's non-nullable proto2 fields).
    Plain,
    /// Set when it is on the wire, even if it is zero or empty.
    Optional,
    /// Any number of times, numbers packed or not.
    Repeated,
    /// Any number of messages of a key, field 1, and a value, field 2. Of equal keys the last counts.
    Map,
    /// At most one of the fields with this label is set: the last.
    OneOf,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_number_whatever_the_others_are() {
        // As dense, as sparse and as alike in their low bits as can be, and more than the index holds.
        for step in [1, 2, 100, 128, 256, 1 << 20] {
            let numbers: Vec<u32> = (1..=150).map(|n| n * step).collect();
            let fields = numbers.iter().map(|number| field(*number, "f", FieldKind::Bool)).collect();
            let message = Message::owned(fields);
            for (position, number) in numbers.iter().enumerate() {
                assert_eq!(message.field(*number).map(|(at, f)| (at, f.number)), Some((position, *number)));
            }
            assert!([0, 151 * step, u32::MAX].iter().all(|number| message.field(*number).is_none()));
        }
        assert!(Message::new(&[]).field(1).is_none());
    }

    #[test]
    fn a_schema_with_a_message_that_is_not_there_is_refused() {
        let refers = |at| vec![Message::owned(vec![field(1, "next", FieldKind::Indexed(at))])];
        assert!(Schema::new(refers(0)).is_some());
        assert!(Schema::new(refers(1)).is_none());
    }
}
