//! Lines of the audit log of an API server (`audit.k8s.io/v1`): who asked for what, and how it was answered.
//!
//! ```text
//! {"kind":"Event","apiVersion":"audit.k8s.io/v1","stage":"ResponseComplete","verb":"delete","user":{"username":"eve"},
//!  "sourceIPs":["10.0.0.9"],"userAgent":"kubectl/v1.37","objectRef":{"resource":"secrets","namespace":"shop","name":"db"},
//!  "responseStatus":{"code":200},"requestReceivedTimestamp":"...","stageTimestamp":"..."}
//! ```
//!
//! The webhook's `{"kind":"EventList","items":[...]}` in a line is as many lines.
//!
//! Source: `k8s.io/apiserver/pkg/apis/audit/v1/types.go`.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::codec::to_u64;

/// A line of more bytes is not read: an API server takes no object past 3 MiB, and a line has at most two.
const LONGEST: u64 = 16 << 20;

/// Verbs of requests that change objects.
const CHANGING: [&str; 5] = ["create", "update", "patch", "delete", "deletecollection"];
/// Parts of an object that are more than data: who asks for them does something to what runs.
const ACTING: [&str; 5] = ["exec", "attach", "portforward", "proxy", "ephemeralcontainers"];
/// Those of them that change nothing in etcd.
const PASSING: [&str; 4] = ["exec", "attach", "portforward", "proxy"];

/// A request that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// Its number, by which an event that stands in two files is known; empty where the log has none.
    #[serde(skip)]
    pub id: String,
    /// When the API server had it.
    #[serde(serialize_with = "text")]
    pub received: Timestamp,
    /// When it was answered.
    #[serde(serialize_with = "text")]
    pub answered: Timestamp,
    /// As `delete`.
    pub verb: String,
    /// Who asked.
    pub user: String,
    /// For whom, if it was asked in another's name.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub impersonated: String,
    /// From where: the first address.
    pub source_ip: String,
    /// With what.
    pub user_agent: String,
    /// The group of the object, empty for Kubernetes' first one.
    pub group: String,
    /// As `secrets`.
    pub resource: String,
    /// As `status`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub subresource: String,
    /// Empty for what is in none.
    pub namespace: String,
    /// Empty for several objects, and for one whose name the server was to choose and the log does not say.
    pub name: String,
    /// The HTTP status of the answer.
    pub code: u16,
    /// The resource version in the answer, which is the revision in etcd.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revision: Option<i64>,
    /// Whether it was only tried, and nothing kept.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub dry_run: bool,
    /// Whether it was of those of a collection that a selector takes: of which is not said.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub selected: bool,
}

fn text<S: serde::Serializer>(time: &Timestamp, to: S) -> Result<S::Ok, S::Error> {
    to.collect_str(time)
}

/// What a log holds.
#[derive(Debug, Default)]
pub struct AuditLog {
    /// The requests that were to change something, act on what runs, or were refused, in the order they were received.
    pub events: Vec<AuditEvent>,
    /// Lines.
    pub lines: u64,
    /// Requests that are none of an audit log, or have no time that can be read; and lines that are too long.
    pub unreadable: u64,
    /// The line of the first of these, from 1.
    pub first_unreadable: Option<u64>,
    /// Lines that are not UTF-8; they are read with U+FFFD for what is not.
    pub not_text: u64,
    /// The first of these, from 1.
    pub first_not_text: Option<u64>,
    /// Requests past the most that are kept.
    pub left_out: u64,
    kept: u64,
}

/// What the API server's webhook sends.
#[derive(Deserialize)]
struct List<'l> {
    kind: &'l str,
    #[serde(borrow)]
    items: Vec<&'l RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    #[serde(default, rename = "auditID")]
    audit_id: String,
    #[serde(default, rename = "requestURI")]
    request_uri: String,
    stage: String,
    #[serde(default)]
    verb: String,
    #[serde(default)]
    user: Name,
    #[serde(default)]
    impersonated_user: Option<Name>,
    #[serde(default, rename = "sourceIPs")]
    source_ips: Vec<String>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: Option<ObjectRef>,
    #[serde(default)]
    response_status: Option<Status>,
    #[serde(default)]
    response_object: Option<Answer>,
    #[serde(deserialize_with = "time")]
    request_received_timestamp: Timestamp,
    #[serde(deserialize_with = "time")]
    stage_timestamp: Timestamp,
}

/// A time that was set: Go writes one that was not as one of the year 1.
fn time<'d, D: serde::Deserializer<'d>>(from: D) -> Result<Timestamp, D::Error> {
    let time: Timestamp = String::deserialize(from)?.parse().map_err(serde::de::Error::custom)?;
    if time.as_second() > 0 { Ok(time) } else { Err(serde::de::Error::custom("no time")) }
}

#[derive(Default, Deserialize)]
struct Name {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ObjectRef {
    #[serde(default)]
    resource: String,
    #[serde(default)]
    subresource: String,
    #[serde(default)]
    namespace: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    api_group: String,
}

#[derive(Deserialize)]
struct Status {
    #[serde(default)]
    code: i64,
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    metadata: Option<Metadata>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    #[serde(default)]
    name: String,
    #[serde(default)]
    resource_version: String,
}

impl AuditEvent {
    /// Reads a line, of one event or of a list of them: `None` for each at a stage before the answer, an error for each
    /// that is none of an audit log.
    fn all(line: &[u8]) -> Vec<serde_json::Result<Option<AuditEvent>>> {
        // Seldom one: a line is not taken apart twice for nothing.
        if memchr::memmem::find(line, b"\"EventList\"").is_some()
            && let Ok(List { kind: "EventList", items }) = serde_json::from_slice(line)
        {
            return items.into_iter().map(|item| AuditEvent::parse(item.get().as_bytes())).collect();
        }
        vec![AuditEvent::parse(line)]
    }

    /// Reads one event: `None` for a stage before the answer.
    ///
    /// # Errors
    /// When it is none of an audit log.
    pub fn parse(event: &[u8]) -> serde_json::Result<Option<AuditEvent>> {
        let line: Line = serde_json::from_slice(event)?;
        match &*line.stage {
            "ResponseComplete" | "Panic" => {}
            "RequestReceived" | "ResponseStarted" => return Ok(None),
            _ => return Err(serde::de::Error::custom("no stage")),
        }
        let object = line.object_ref.unwrap_or_default();
        let answer = line.response_object.and_then(|answer| answer.metadata).unwrap_or_default();
        let name = if object.name.is_empty() { answer.name } else { object.name };
        let query = line.request_uri.split_once('?').map_or("", |(_, query)| query);
        let asks = |start: &str| query.split('&').any(|word| word.starts_with(start));
        // Of a collection the answer has the revision of the list and none of what was done.
        let list = line.verb == "deletecollection";
        Ok(Some(AuditEvent {
            id: line.audit_id,
            dry_run: asks("dryRun=All"),
            selected: list && (asks("labelSelector=") || asks("fieldSelector=")),
            received: line.request_received_timestamp,
            answered: line.stage_timestamp.max(line.request_received_timestamp),
            verb: line.verb,
            user: line.user.username,
            impersonated: line.impersonated_user.unwrap_or_default().username,
            source_ip: line.source_ips.into_iter().next().unwrap_or_default(),
            user_agent: line.user_agent,
            group: object.api_group,
            resource: object.resource,
            subresource: object.subresource,
            namespace: object.namespace,
            name,
            code: line.response_status.and_then(|status| u16::try_from(status.code).ok()).unwrap_or(0),
            revision: answer.resource_version.parse().ok().filter(|revision| *revision > 0 && !list),
        }))
    }

    /// Whether objects were to be changed by it.
    #[must_use]
    pub fn changes(&self) -> bool {
        let passing = PASSING.contains(&&*self.subresource);
        CHANGING.contains(&&*self.verb) && !passing && !self.resource.is_empty() && !self.dry_run
    }

    /// Whether it was done.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        (200..300).contains(&self.code)
    }

    /// About the bytes that it takes.
    fn size(&self) -> u64 {
        let AuditEvent { verb, user, impersonated, source_ip, user_agent, group, .. } = self;
        let AuditEvent { id, resource, subresource, namespace, name, .. } = self;
        let about = [id, group, resource, subresource, namespace, name];
        let texts = [verb, user, impersonated, source_ip, user_agent].into_iter().chain(about);
        to_u64(texts.map(String::len).fold(size_of::<AuditEvent>(), usize::saturating_add))
    }

    /// Whether it is worth a word even if nothing in etcd came of it.
    fn counts(&self) -> bool {
        self.changes() || self.code >= 400 || ACTING.contains(&&*self.subresource)
    }
}

impl AuditLog {
    /// Reads a log line by line, and keeps requests up to `most` bytes.
    ///
    /// # Errors
    /// What reading fails with.
    pub fn read(from: &mut dyn BufRead, most: u64) -> io::Result<AuditLog> {
        let (mut log, mut line) = (AuditLog::default(), Vec::new());
        loop {
            line.clear();
            if (&mut *from).take(LONGEST).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            log.lines = log.lines.saturating_add(1);
            let whole = line.ends_with(b"\n") || line.len() < usize::try_from(LONGEST).unwrap_or(usize::MAX);
            if !whole {
                skip_line(from)?;
            }
            // What some editors and PowerShell put in front of a text.
            let text = line.strip_prefix(b"\xef\xbb\xbf").filter(|_| log.lines == 1).unwrap_or(&line);
            if whole && text.trim_ascii().is_empty() {
                continue;
            }
            if whole {
                log.line(text, most);
            } else {
                log.unreadable();
            }
        }
        log.events.sort_by_key(|event| event.received);
        Ok(log)
    }

    fn line(&mut self, line: &[u8], most: u64) {
        let text = String::from_utf8_lossy(line);
        let mut read = false;
        for event in AuditEvent::all(text.as_bytes()) {
            match event {
                Ok(event) => {
                    read = true;
                    self.keep(event, most);
                }
                Err(_) => self.unreadable(),
            }
        }
        if read && matches!(text, Cow::Owned(_)) {
            self.not_text = self.not_text.saturating_add(1);
            self.first_not_text.get_or_insert(self.lines);
        }
    }

    fn unreadable(&mut self) {
        self.unreadable = self.unreadable.saturating_add(1);
        self.first_unreadable.get_or_insert(self.lines);
    }

    fn keep(&mut self, event: Option<AuditEvent>, most: u64) {
        let Some(event) = event.filter(AuditEvent::counts) else { return };
        let kept = self.kept.saturating_add(event.size());
        if kept <= most {
            self.kept = kept;
            self.events.push(event);
        } else {
            self.left_out = self.left_out.saturating_add(1);
        }
    }
}

/// Passes over the rest of a line.
fn skip_line(from: &mut dyn BufRead) -> io::Result<()> {
    loop {
        let there = from.fill_buf()?;
        if there.is_empty() {
            return Ok(());
        }
        let end = memchr::memchr(b'\n', there);
        let len = end.map_or(there.len(), |end| end.saturating_add(1));
        from.consume(len);
        if end.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"x",
        "stage":"ResponseComplete","requestURI":"/api/v1/namespaces/shop/secrets","verb":"create","user":{"username":"eve",
        "groups":["a"]},"sourceIPs":["10.0.0.9","10.0.0.1"],"userAgent":"kubectl","objectRef":{"resource":"secrets",
        "namespace":"shop","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":201},"responseObject":{"kind":"Secret",
        "metadata":{"name":"db","resourceVersion":"77"}},"requestReceivedTimestamp":"2026-03-01T00:00:00.100000Z",
        "stageTimestamp":"2026-03-01T00:00:00.200000Z","annotations":{}}"#;

    fn one() -> String {
        LINE.replace('\n', "")
    }

    #[test]
    fn a_line_tells_who_asked_for_what_and_which_revision_came_of_it() {
        let event = AuditEvent::parse(one().as_bytes()).unwrap().unwrap();
        assert_eq!((&*event.user, &*event.source_ip, &*event.name), ("eve", "10.0.0.9", "db"));
        assert_eq!(
            (event.code, event.revision, event.changes(), event.succeeded()),
            (201, Some(77), true, true)
        );
        assert_eq!(event.received.to_string(), "2026-03-01T00:00:00.1Z");
        let before = one().replace("ResponseComplete", "RequestReceived");
        assert_eq!(AuditEvent::parse(before.as_bytes()).unwrap(), None);
    }

    #[test]
    fn reads_are_left_out_and_what_was_refused_or_acts_is_not() {
        let read = one().replace("create", "list").replace("201", "200");
        let refused = one().replace("create", "list").replace("201", "403");
        let exec = read.replace(r#""resource":"secrets""#, r#""resource":"pods","subresource":"exec""#);
        let all = [one(), read, refused, exec].join("\n");
        let log = AuditLog::read(&mut all.as_bytes(), 1 << 20).unwrap();
        let kept: Vec<_> = log.events.iter().map(|event| (&*event.verb, event.code)).collect();
        assert_eq!(kept, [("create", 201), ("list", 403), ("list", 200)]);
        let log = AuditLog::read(&mut all.as_bytes(), 400).unwrap();
        assert_eq!((log.events.len(), log.left_out, log.lines, log.unreadable), (1, 2, 4, 0));
    }

    #[test]
    fn what_was_only_tried_changes_nothing() {
        let tried = one().replace("/shop/secrets\"", "/shop/secrets?fieldManager=k&dryRun=All\"");
        let event = AuditEvent::parse(tried.as_bytes()).unwrap().unwrap();
        assert!(event.dry_run && !event.changes() && event.id == "x");
    }

    #[test]
    fn a_list_in_a_line_is_as_many_lines() {
        let refused = one().replace("create", "list").replace("201", "403");
        let before = one().replace("ResponseComplete", "RequestReceived");
        let list = |items: &str| {
            format!(
                r#"{{"kind":"EventList","apiVersion":"audit.k8s.io/v1","metadata":{{}},"items":[{items}]}}"#
            )
        };
        let all =
            [list(&[one(), before, refused].join(",")), list(""), list("{}"), list("7"), one()].join("\n");
        let log = AuditLog::read(&mut all.as_bytes(), 1 << 20).unwrap();
        let kept: Vec<_> = log.events.iter().map(|event| (&*event.verb, event.code)).collect();
        assert_eq!(kept, [("create", 201), ("list", 403), ("create", 201)]);
        assert_eq!((log.lines, log.unreadable, log.first_unreadable), (5, 2, Some(3)));
        // Who is called so is nobody's list.
        let named = one().replace("eve", "EventList");
        assert_eq!(AuditLog::read(&mut named.as_bytes(), 1 << 20).unwrap().events[0].user, "EventList");
    }

    #[test]
    fn hostile_lines_are_counted_and_the_others_read() {
        let long = format!("{{\"x\":\"{}\"}}", "a".repeat(LONGEST as usize));
        let deep = "[".repeat(100_000);
        let lines = [&*long, &deep, "{}", "null", "\u{1}", "", &one(), "{\"stage\":7}"].join("\n");
        let log = AuditLog::read(&mut lines.as_bytes(), 1 << 20).unwrap();
        assert_eq!((log.events.len(), log.lines, log.unreadable), (1, 8, 6));
        assert_eq!(log.first_unreadable, Some(1));
        let bytes = [&b"\xff\xfe\n"[..], one().as_bytes()].concat();
        assert_eq!(AuditLog::read(&mut &bytes[..], 1 << 20).unwrap().events.len(), 1);
    }

    #[test]
    fn what_is_no_text_and_what_has_no_time_is_counted_and_the_rest_read() {
        let line = one().replace("eve", "e\u{1}e").into_bytes();
        let line: Vec<u8> = line.iter().map(|byte| if *byte == 1 { 0xff } else { *byte }).collect();
        let lines = [
            [b"\xef\xbb\xbf".as_slice(), one().as_bytes()].concat(),
            line,
            one().replace("2026-03-01T00:00:00.1", "someday").into_bytes(),
            one().replace("2026-03-01T00:00:00.1", "0001-01-01T00:00:00").into_bytes(),
            one().replace("\"stage\":\"ResponseComplete\",", "").into_bytes(),
            format!(r#"{{"kind":"EventList","items":[{},{{}}]}}"#, one()).into_bytes(),
        ];
        let log = AuditLog::read(&mut &lines.join(&b'\n')[..], 1 << 20).unwrap();
        let users: Vec<&str> = log.events.iter().map(|event| &*event.user).collect();
        assert_eq!(users, ["eve", "e\u{fffd}e", "eve"]);
        assert_eq!((log.unreadable, log.first_unreadable), (4, Some(3)));
        assert_eq!((log.not_text, log.first_not_text), (1, Some(2)));
    }
}
