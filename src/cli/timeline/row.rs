//! One thing that happened, as it is printed.

use std::io::{self, Write};

use coldbolt::kube::audit::AuditEvent;
use coldbolt::kube::places::{ObjectPlaces, name_of};
use coldbolt::kube::type_meta::qualified;
use coldbolt::ops::timeline::{Happening, KnownBy, SourceKind};
use coldbolt::replay::clock::Between;
use coldbolt::store::export::field;
use coldbolt::{RaftIndex, Term};
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::cli::keyspace::{json_bytes, show_key};
use crate::cli::out::clean;

/// What is known of all rows.
pub struct Rows<'r> {
    pub files: &'r [String],
    pub places: &'r ObjectPlaces,
}

/// The columns of CSV.
const COLUMNS: [&str; 22] = [
    "not_before",
    "not_after",
    "known_by",
    "revision",
    "sub",
    "after",
    "until",
    "index",
    "term",
    "what",
    "certainty",
    "key",
    "object",
    "version",
    "who",
    "detail",
    "sources",
    "user",
    "verb",
    "code",
    "source_ip",
    "user_agent",
];

pub fn header(out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "{}", COLUMNS.join(","))
}

impl Rows<'_> {
    /// The object under a key, as kubectl is asked for it.
    fn object(&self, key: &[u8]) -> Option<String> {
        self.places.name_of(key).map(|name| one_line(&name))
    }

    /// What holds a row: `history, wal`, and of several inputs `1 history; 2 history, wal`.
    fn sources(&self, row: &Happening<'_>) -> String {
        let (mut text, mut last) = (String::new(), None);
        for (input, kind) in row.sources() {
            let new = last.replace(input) != Some(input);
            text += if text.is_empty() {
                ""
            } else if new {
                "; "
            } else {
                ", "
            };
            if new && self.files.len() > 1 {
                text += &format!("{} ", input + 1);
            }
            text += kind.name();
        }
        text
    }

    pub fn line(&self, row: &Happening<'_>, out: &mut dyn Write) -> io::Result<()> {
        let mut about = Vec::new();
        let key = row.key.map(|key| self.object(key).unwrap_or_else(|| show_key(key).into_owned()));
        about.extend(key);
        about.extend(Some(one_line(row.detail)).filter(|detail| !detail.is_empty()));
        if let Some(event) = row.audit {
            about.push(asked(event, row.key.is_none()));
        } else if !row.who.is_empty() {
            about.push(format!("by {}", one_line(row.who)));
        }
        let mut from = Vec::from_iter(Some(self.sources(row)).filter(|sources| !sources.is_empty()));
        from.extend(row.audit.map(|_| "audit".to_owned()));
        from.extend(
            Some(row.certainty.name().to_owned())
                .filter(|name| !matches!(&**name, "certain" | "carved" | "audited")),
        );
        from.extend(row.contradicts.then(|| "contradicts another".to_owned()));
        let (time, place) = (time(&row.between), place(row));
        writeln!(
            out,
            "{time:<30}  {place:<9}  {:<14}  {}  ({})",
            row.what.name(),
            about.join("  "),
            from.join(", ")
        )
    }

    pub fn csv(&self, row: &Happening<'_>, safe: bool, out: &mut dyn Write) -> io::Result<()> {
        let number = |n: Option<i64>| n.map_or_else(String::new, |n| n.to_string());
        let time = |time: Option<Timestamp>| time.map_or_else(String::new, |time| time.to_string());
        let audit = |of: fn(&AuditEvent) -> String| row.audit.map(of).unwrap_or_default();
        let fields: [String; 22] = [
            time(row.between.not_before),
            time(row.between.not_after),
            known_by(row.known_by).to_owned(),
            number(row.revision.map(|(main, _)| main)),
            number(row.revision.map(|(_, sub)| sub)),
            number(row.after),
            number(row.until),
            row.entry.map_or_else(String::new, |(index, _)| index.to_string()),
            row.entry.map_or_else(String::new, |(_, term)| term.to_string()),
            row.what.name().to_owned(),
            row.certainty.name().to_owned(),
            row.key.map_or_else(String::new, |key| show_key(key).into_owned()),
            row.key.and_then(|key| self.object(key)).or_else(|| row.audit.map(object)).unwrap_or_default(),
            number(row.version),
            one_line(row.who),
            one_line(row.detail),
            self.sources(row),
            audit(|event| one_line(&event.user)),
            audit(|event| one_line(&event.verb)),
            audit(|event| event.code.to_string()),
            audit(|event| one_line(&event.source_ip)),
            audit(|event| one_line(&event.user_agent)),
        ];
        for (at, text) in fields.iter().enumerate() {
            if at > 0 {
                out.write_all(b",")?;
            }
            field(out, text, safe)?;
        }
        out.write_all(b"\n")
    }
}

fn known_by(by: KnownBy) -> &'static str {
    match by {
        KnownBy::Value => "value",
        KnownBy::Audit => "audit",
        KnownBy::Around => "around",
        KnownBy::Nothing => "",
    }
}

fn one_line(text: &str) -> String {
    clean(text).replace('\n', "\\n")
}

/// What a request was about.
fn object(event: &AuditEvent) -> String {
    let kind = qualified(&event.resource, &event.group);
    let kind = if event.subresource.is_empty() { kind } else { format!("{kind}/{}", event.subresource) };
    one_line(&name_of(&kind, &event.namespace, &event.name))
}

/// Who asked for something, and for what if no row says it.
fn asked(event: &AuditEvent, whole: bool) -> String {
    let AuditEvent { verb, user, impersonated, source_ip, user_agent, code, .. } = event;
    let of = if whole { format!(" {}", object(event)) } else { String::new() };
    let impersonated = if impersonated.is_empty() { String::new() } else { format!(" as {impersonated}") };
    format!("{}{of} {code}", one_line(verb))
        + &one_line(&format!("  by {user}{impersonated} from {source_ip} with {user_agent}"))
}

/// When it was: `02:13:05Z +7s`.
fn time(between: &Between) -> String {
    match (between.not_before, between.not_after) {
        (Some(from), Some(to)) => {
            // A part of a second is told as a whole one, so that nothing that may be is left out.
            let secs = to.duration_since(from).as_secs_f64().max(0.0).ceil();
            let for_ = SignedDuration::from_secs(secs as i64);
            format!("{} +{}", seconds(from), format!("{for_:#}").replace(' ', ""))
        }
        (Some(from), None) => format!("{} or later", seconds(from)),
        (None, Some(to)) => format!("{} or before", seconds(to)),
        (None, None) => "-".to_owned(),
    }
}

fn seconds(time: Timestamp) -> String {
    time.strftime("%FT%TZ").to_string()
}

/// Where it stands in the order: a revision, or what is known of it.
fn place(row: &Happening<'_>) -> String {
    match (row.revision, row.after, row.until) {
        (Some((main, 0)), ..) => main.to_string(),
        (Some((main, sub)), ..) => format!("{main}.{sub}"),
        (None, Some(after), Some(until)) if row.what.is_change() => match after.saturating_add(1) {
            only if only == until => format!("{until}?"),
            first => format!("{first}-{until}?"),
        },
        (None, Some(after), _) => format!(">{after}"),
        (None, None, _) => "-".to_owned(),
    }
}

/// A row in JSON.
#[derive(Serialize)]
pub struct RowJson<'r> {
    #[serde(skip_serializing_if = "Option::is_none")]
    revision: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    index: Option<RaftIndex>,
    #[serde(skip_serializing_if = "Option::is_none")]
    term: Option<Term>,
    what: &'static str,
    certainty: &'static str,
    #[serde(flatten)]
    key: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    lease: Option<String>,
    #[serde(skip_serializing_if = "str::is_empty")]
    who: &'r str,
    #[serde(skip_serializing_if = "str::is_empty")]
    detail: &'r str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    contradicts: bool,
    at: Option<String>,
    not_before: Option<String>,
    not_after: Option<String>,
    known_by: KnownBy,
    sources: Vec<SourceJson<'r>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    audit: Option<&'r AuditEvent>,
}

#[derive(Serialize)]
struct SourceJson<'r> {
    file: &'r str,
    kind: &'static str,
}

impl<'r> RowJson<'r> {
    pub fn new(row: &Happening<'r>, rows: &'r Rows<'_>) -> RowJson<'r> {
        let mut key = Map::new();
        if let Some(bytes) = row.key {
            json_bytes(&mut key, "key", bytes);
        }
        let text = |time: Option<Timestamp>| time.map(|time| time.to_string());
        let source = |(input, kind): (usize, SourceKind)| SourceJson {
            file: rows.files.get(input).map_or("", String::as_str),
            kind: kind.name(),
        };
        RowJson {
            revision: row.revision.map(|(main, _)| main),
            sub: row.revision.map(|(_, sub)| sub),
            after: row.after,
            until: row.until,
            index: row.entry.map(|(index, _)| index),
            term: row.entry.map(|(_, term)| term),
            what: row.what.name(),
            certainty: row.certainty.name(),
            key,
            object: row.key.and_then(|key| rows.object(key)),
            version: row.version,
            lease: Some(row.lease).filter(|lease| !lease.is_none()).map(|lease| lease.padded()),
            who: row.who,
            detail: row.detail,
            contradicts: row.contradicts,
            at: text(row.at),
            not_before: text(row.between.not_before),
            not_after: text(row.between.not_after),
            known_by: row.known_by,
            sources: row.sources().map(source).collect(),
            audit: row.audit,
        }
    }
}
