//! The messages of Kubernetes' API as protobuf: number, JSON name and type of each field, and which kind is which
//! message.
//!
//! It is one text file, `table.txt`, that `tests/peers/go/kube-schema` makes of the struct tags in Kubernetes'
//! published Go modules, of one release of each minor from 1.17 to 1.37: kinds and fields that are long gone are in
//! it. Its head says which modules, and how a line reads.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use crate::codec::proto::message::{self, Field, FieldKind, Label, Message};

static TABLE: &str = include_str!("table.txt");

/// A nil pointer is told from a zero: what is on the wire is printed.
pub const POINTER: u16 = Field::OTHER;
/// Go's `omitempty`: a zero is not printed.
pub const OMIT_EMPTY: u16 = Field::OTHER << 1;
/// Its fields are printed among those around it.
pub const INLINE: u16 = Field::OTHER << 2;
/// The newest types do not have it.
pub const GONE: u16 = Field::OTHER << 3;
/// Go's `omitzero`: a struct that is zero is not printed.
pub const OMIT_ZERO: u16 = Field::OTHER << 4;

/// What a message is in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Shape {
    /// An object of its fields.
    #[default]
    Object,
    /// RFC 3339 with seconds, or null.
    Time,
    /// RFC 3339 with microseconds, or null.
    MicroTime,
    /// As Go writes a duration: `1h2m3.5s`.
    Duration,
    /// A string: its only field.
    Quantity,
    /// JSON that is embedded as it is.
    Raw,
    /// A number or a string, as the first field says.
    IntOrString,
    /// A list: its only field.
    List,
    /// The first of its fields that is set.
    Either,
}

/// A kind of one API version.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KindInfo {
    /// The position of its message.
    pub message: u32,
    /// The minor of the first Kubernetes 1 that is known to have it.
    pub first: u8,
    /// The minor of the last one.
    pub last: u8,
    /// Whether its objects are in no namespace.
    pub cluster: bool,
}

/// All messages and kinds.
#[derive(Debug, Default)]
pub struct KubeSchema {
    messages: Option<message::Schema<'static>>,
    shapes: Vec<Shape>,
    kinds: BTreeMap<(&'static str, &'static str), KindInfo>,
    metadata: u32,
}

/// The table that is built in.
pub fn schema() -> &'static KubeSchema {
    static SCHEMA: OnceLock<KubeSchema> = OnceLock::new();
    // That it can be read is a test.
    SCHEMA.get_or_init(|| KubeSchema::parse(TABLE).unwrap_or_default())
}

/// The table cannot be read at this line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BadLine(usize);

impl KubeSchema {
    /// A kind, as `apps/v1` and `Deployment`.
    #[must_use]
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<KindInfo> {
        self.kinds.get(&(api_version, kind)).copied()
    }

    /// All kinds with their API versions.
    pub fn kinds(&self) -> impl Iterator<Item = (&'static str, &'static str, KindInfo)> {
        self.kinds.iter().map(|((api_version, kind), info)| (*api_version, *kind, *info))
    }

    /// The messages, for who decodes; `None` if there is no table.
    #[must_use]
    pub fn messages(&self) -> Option<&message::Schema<'static>> {
        self.messages.as_ref()
    }

    /// What the message at a position is in JSON.
    #[must_use]
    pub fn shape(&self, at: u32) -> Shape {
        usize::try_from(at).ok().and_then(|at| self.shapes.get(at)).copied().unwrap_or_default()
    }

    /// The position of `ObjectMeta`, field 1 of every object.
    #[must_use]
    pub fn metadata(&self) -> u32 {
        self.metadata
    }

    fn parse(text: &'static str) -> Result<KubeSchema, BadLine> {
        let names = names(text)?;
        let mut parser = Parser {
            schema: KubeSchema::default(),
            names,
            package: "",
            messages: Vec::new(),
            fields: None,
            entries: Vec::new(),
            entry_of: HashMap::new(),
        };
        for (number, line) in text.lines().enumerate() {
            parser.line(line).ok_or(BadLine(number))?;
        }
        parser.finish().ok_or(BadLine(0))
    }
}

/// The position of each message by its package and name.
type Names = HashMap<(&'static str, &'static str), u32>;

fn names(text: &'static str) -> Result<Names, BadLine> {
    let (mut names, mut package) = (Names::new(), "");
    for (number, line) in text.lines().enumerate() {
        match line.split_once(' ') {
            Some(("P", name)) => package = name,
            Some(("M", rest)) => {
                let position = u32::try_from(names.len()).map_err(|_| BadLine(number))?;
                let name = rest.split(' ').next().unwrap_or_default();
                names.insert((package, name), position);
            }
            _ => {}
        }
    }
    Ok(names)
}

struct Parser {
    schema: KubeSchema,
    names: Names,
    package: &'static str,
    messages: Vec<Message<'static>>,
    /// Those of the message at hand.
    fields: Option<Vec<Field<'static>>>,
    /// Messages of a key and a value, which are behind those with a name.
    entries: Vec<Message<'static>>,
    entry_of: HashMap<(&'static str, &'static str), u32>,
}

impl Parser {
    fn line(&mut self, line: &'static str) -> Option<()> {
        let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
        match first {
            "#" => {}
            "P" => self.package = rest,
            "M" => {
                self.end_message();
                self.fields = Some(Vec::new());
                self.schema.shapes.push(shape(rest.split_once(' ').map_or("", |(_, shape)| shape))?);
            }
            "K" => self.kind(rest)?,
            "" => {
                let field = self.field(rest)?;
                self.fields.as_mut()?.push(field);
            }
            _ => return None,
        }
        Some(())
    }

    fn end_message(&mut self) {
        self.messages.extend(self.fields.take().map(Message::owned));
    }

    fn kind(&mut self, text: &'static str) -> Option<()> {
        let mut words = text.split(' ');
        let (api_version, kind) = (words.next()?, words.next()?);
        let (first, last) = words.next()?.split_once('-')?;
        let message = *self.names.get(&(self.package, kind))?;
        let cluster = words.next().is_some();
        let info = KindInfo { message, first: first.parse().ok()?, last: last.parse().ok()?, cluster };
        self.schema.kinds.insert((api_version, kind), info);
        Some(())
    }

    fn field(&mut self, text: &'static str) -> Option<Field<'static>> {
        let mut words = text.split(' ');
        let number = words.next()?.parse().ok()?;
        let (name, kind) = (words.next()?, words.next()?);
        let mut attributes = if name == "=" { INLINE } else { 0 };
        for flag in words {
            attributes |= match flag {
                "*" => POINTER,
                "?" => OMIT_EMPTY,
                "-" => GONE,
                _ if flag.starts_with('z') => OMIT_ZERO,
                _ => return None,
            };
        }
        let (label, kind) = if let Some(kind) = kind.strip_prefix("[]") {
            (Label::Repeated, self.type_of(kind)?)
        } else if let Some(kind) = kind.strip_prefix("{}") {
            (Label::Map, self.entry(kind)?)
        } else {
            (Label::Optional, self.type_of(kind)?)
        };
        Some(Field { number, name, kind, label, attributes })
    }

    fn type_of(&self, name: &'static str) -> Option<FieldKind<'static>> {
        Some(match name {
            "string" => FieldKind::String,
            "bytes" => FieldKind::Bytes,
            "bool" => FieldKind::Bool,
            "int32" => FieldKind::Int32,
            "int64" => FieldKind::Int64,
            "uint32" => FieldKind::Uint32,
            "uint64" => FieldKind::Uint64,
            "double" => FieldKind::Double,
            "float" => FieldKind::Float,
            _ => {
                let full = name.rsplit_once('.').unwrap_or((self.package, name));
                FieldKind::Indexed(*self.names.get(&full)?)
            }
        })
    }

    /// The message that an entry of a map with such values is.
    fn entry(&mut self, value: &'static str) -> Option<FieldKind<'static>> {
        let kind = self.type_of(value)?;
        let full = match kind {
            FieldKind::Indexed(_) => value.rsplit_once('.').unwrap_or((self.package, value)),
            _ => ("", value),
        };
        if let Some(at) = self.entry_of.get(&full) {
            return Some(FieldKind::Indexed(*at));
        }
        let at = u32::try_from(self.names.len().checked_add(self.entries.len())?).ok()?;
        let field = |number, name, kind| message::field(number, name, kind).label(Label::Optional);
        self.entries.push(Message::owned(vec![field(1, "key", FieldKind::String), field(2, "value", kind)]));
        self.entry_of.insert(full, at);
        Some(FieldKind::Indexed(at))
    }

    fn finish(mut self) -> Option<KubeSchema> {
        self.end_message();
        self.messages.append(&mut self.entries);
        self.schema.metadata = *self.names.get(&("meta/v1", "ObjectMeta"))?;
        self.schema.messages = Some(message::Schema::new(self.messages)?);
        Some(self.schema)
    }
}

fn shape(name: &str) -> Option<Shape> {
    Some(match name {
        "" => Shape::Object,
        "time" => Shape::Time,
        "microtime" => Shape::MicroTime,
        "duration" => Shape::Duration,
        "quantity" => Shape::Quantity,
        "raw" => Shape::Raw,
        "intorstring" => Shape::IntOrString,
        "list" => Shape::List,
        "either" => Shape::Either,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_read_to_its_end() {
        let schema = KubeSchema::parse(TABLE).unwrap();
        let pod = schema.kind("v1", "Pod").unwrap();
        assert!(!pod.cluster && pod.first == 17 && pod.last >= 37);
        assert!(schema.kind("v1", "Node").unwrap().cluster);
        // What newer Kubernetes no longer knows.
        for (api_version, kind) in [
            ("policy/v1beta1", "PodSecurityPolicy"),
            ("extensions/v1beta1", "Ingress"),
            ("autoscaling/v2beta2", "HorizontalPodAutoscaler"),
            ("settings.k8s.io/v1alpha1", "PodPreset"),
            ("route.openshift.io/v1", "Route"),
        ] {
            assert!(schema.kind(api_version, kind).is_some(), "{api_version} {kind}");
        }
        let messages = schema.messages().unwrap();
        let (_, metadata) = messages.message(pod.message).unwrap().field(1).unwrap();
        assert!(
            metadata.name == "metadata"
                && matches!(metadata.kind, FieldKind::Indexed(at) if at == schema.metadata())
        );
        let due = TABLE.lines().filter(|line| line.starts_with("K ")).count();
        assert_eq!(schema.kinds().count(), due);
    }

    #[test]
    fn every_object_has_its_metadata_in_field_1() {
        let schema = schema();
        let messages = schema.messages().unwrap();
        for (api_version, kind, info) in schema.kinds() {
            for field in messages.message(info.message).unwrap().fields() {
                let is_metadata = matches!(field.kind, FieldKind::Indexed(at) if at == schema.metadata());
                assert!(
                    !is_metadata || (field.number == 1) == (field.name == "metadata"),
                    "{api_version} {kind}"
                );
            }
        }
    }

    #[test]
    fn a_line_that_is_none_is_refused() {
        for text in [
            "X",
            "M A strange",
            "M A\n 1 a nothing",
            "M A\n 1 a string !",
            " 1 a string",
            "K v1 Pod 1-2",
            "M A\n x",
        ] {
            assert!(KubeSchema::parse(text).is_err(), "{text}");
        }
    }
}
