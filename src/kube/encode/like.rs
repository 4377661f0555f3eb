//! What a stored value tells of who wrote it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::envelope::Form;
use super::super::json::{self, Layout};
use super::super::schema::{Shape, schema};
use crate::codec::proto::message::FieldKind;
use crate::codec::proto::tree::{Node, Value};

/// The fields that the types of a writer have, as its values show: Go's types write a field that is no pointer always.
/// What embedded JSON looked like is known too.
#[derive(Debug, Clone, Default)]
pub struct Like {
    /// Of each message that was seen, by its position in the table, the numbers of its fields.
    seen: BTreeMap<u32, BTreeSet<u32>>,
    /// Embedded JSON as it was, by what it is.
    raws: BTreeMap<String, Vec<u8>>,
    null_is_nothing: bool,
}

impl Like {
    /// Like nothing that is stored: as the newest Kubernetes writes it.
    #[must_use]
    pub fn newest() -> Like {
        Like::default()
    }

    /// Like a stored value; what is no object in protobuf tells nothing.
    #[must_use]
    pub fn of(value: &[u8]) -> Like {
        let mut like = Like::default();
        like.learn(value);
        like
    }

    /// For an object that a person wrote: null is as good as nothing, as Go reads it. In one that was decoded null is a
    /// pointer to a time that is zero, since nothing would be shown of a pointer that is nil.
    #[must_use]
    pub fn for_given(self) -> Like {
        Like { null_is_nothing: true, ..self }
    }

    /// Whether null is as good as nothing.
    pub(super) fn null_is_nothing(&self) -> bool {
        self.null_is_nothing
    }

    /// Learns from one more value of the same writer.
    pub fn learn(&mut self, value: &[u8]) {
        let Ok(Form::Protobuf(envelope)) = Form::of(value) else { return };
        let text = |bytes| std::str::from_utf8(bytes).unwrap_or_default();
        let info = schema().kind(text(envelope.api_version), text(envelope.kind));
        let (Some(info), Some(messages)) = (info, schema().messages()) else { return };
        if let Some(Ok(decoded)) = messages.decode(info.message, envelope.raw) {
            self.walk(info.message, decoded.root());
        }
    }

    fn walk(&mut self, at: u32, node: Node<'_, '_>) {
        if schema().shape(at) == Shape::Raw {
            return self.raw(node);
        }
        let numbers: BTreeSet<u32> = node.fields().map(|(field, _)| field.number).collect();
        self.seen.entry(at).or_default().extend(numbers);
        for (field, value) in node.fields() {
            if let (FieldKind::Indexed(at), Value::Message(node)) = (field.kind, value) {
                self.walk(at, node);
            }
        }
    }

    fn raw(&mut self, node: Node<'_, '_>) {
        if let Some((_, Value::Bytes(bytes))) = node.fields().last()
            && let Ok(value) = serde_json::from_slice(bytes)
        {
            self.raws.entry(json::text(&value, Layout::LINE)).or_insert_with(|| bytes.to_vec());
        }
    }

    /// Whether the writer's types have a field; `None` if no message of that type was seen.
    pub(super) fn has(&self, at: u32, number: u32) -> Option<bool> {
        self.seen.get(&at).map(|numbers| numbers.contains(&number))
    }

    /// Embedded JSON as it was.
    pub(super) fn raw_of(&self, value: &serde_json::Value) -> Option<&[u8]> {
        self.raws.get(&json::text(value, Layout::LINE)).map(Vec::as_slice)
    }
}
