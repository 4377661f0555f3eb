//! `coldbolt wal dump`.

use std::io::{self, Write};
use std::path::PathBuf;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use clap::Args;
use clap::builder::PossibleValuesParser;
use coldbolt::codec::proto::message::{Message, REDACTED};
use coldbolt::kube::decode::Object;
use coldbolt::kube::yaml;
use coldbolt::ops::wal_dump::{EntryFilter, Payload, Row, Start, WalDumpOptions, WalDumpReport, wal_dump};
use coldbolt::raft::{self, ConfState, EntryView};
use coldbolt::wal::{Body, End, RecordKind, TornReason, record};
use coldbolt::words::monitor::{Collect, Monitor, Relay};
use coldbolt::{Error, Finding, MemberId};
use serde_json::{Map, Value, json};

use super::context::{Context, Done};
use super::objects::Objects;
use super::out::{List, Listing};
use super::{hint, wal_objects, wal_v2};

const EXAMPLES: &str = "\
Examples:
  coldbolt wal dump /backup/etcd-data
  coldbolt wal dump /backup/etcd-data --start-index 0 --entry-type IRRPut,IRRDeleteRange
  coldbolt wal dump /backup/etcd-data/member/wal --raw
  coldbolt wal dump /backup/etcd-data --decode
  coldbolt wal dump /backup/etcd-data -w ndjson | jq -r 'select(.request.put) | .request.put.key | @base64d'

The log is read as etcd reads it: entries that a later one replaced are not shown (--raw shows them). \
What is wrong with it is printed to
standard error after the entries before it. Exit code 1 means damage; a torn last record, which etcd repairs, \
is a warning and exit code 0.";

/// Print the entries of a member's write-ahead log.
///
/// The text is that of etcd-dump-logs 3.6, byte for byte, save that passwords, their hashes and tokens are replaced
/// by `<redacted>`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DumpArgs {
    /// Data directory, its `member` directory, a WAL directory or one segment.
    path: PathBuf,
    /// WAL directory, if it is not `member/wal` of PATH.
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Start after this raft index, exclusive as in etcd-dump-logs 3.6 (60 prints 61 and on); with --raw inclusive,
    /// as there. Without it the dump starts after the newest raft snapshot that the WAL knows.
    #[arg(long, value_name = "N", conflicts_with = "start_snap")]
    start_index: Option<u64>,
    /// Stop before this raft index (exclusive).
    #[arg(long, value_name = "N")]
    end_index: Option<u64>,
    /// Start after this raft snapshot: a path, or a name in `member/snap`.
    #[arg(long, value_name = "FILE", conflicts_with = "raw")]
    start_snap: Option<PathBuf>,
    /// Only entries of these types, comma-separated. `Normal` is everything but membership changes, `Request` a bare
    /// v2 request.
    #[arg(
        long,
        value_name = "LIST",
        value_delimiter = ',',
        value_parser = entry_types(),
        conflicts_with = "raw"
    )]
    entry_type: Vec<String>,
    /// Every record of every segment in file order, past wrong checksums, without interpreting requests.
    #[arg(long)]
    raw: bool,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
    /// Print Kubernetes objects in the place of values that are some, as YAML or JSON. The data of Secrets is then
    /// redacted.
    #[arg(long, conflicts_with = "raw")]
    decode: bool,
    /// Print passwords, their hashes and tokens, with --decode the data of Secrets; of a changed password the text says
    /// `<value removed>` all the same, as etcd-dump-logs does.
    #[arg(long)]
    show_secrets: bool,
}

/// How rows are shown.
pub struct How {
    secrets: bool,
    /// Where objects are wanted.
    objects: Option<Objects>,
}

impl How {
    /// As etcd-dump-logs shows them, which knows of no secret but a changed password.
    pub fn as_they_are() -> How {
        How { secrets: true, objects: None }
    }
}

fn entry_types() -> PossibleValuesParser {
    PossibleValuesParser::new(EntryFilter::NAMES.iter().map(|(name, _)| *name))
}

/// Runs the command.
pub fn run(args: &DumpArgs, context: &mut Context<'_>) -> Done {
    let start = match (&args.start_snap, args.start_index) {
        (Some(snap), _) => Start::Snapshot(snap.clone()),
        (None, Some(index)) => Start::After(index),
        (None, None) => Start::NewestSnapshot,
    };
    let options = WalDumpOptions {
        wal_dir: args.wal_dir.clone(),
        start,
        end_index: args.end_index,
        types: args.entry_type.iter().filter_map(|name| EntryFilter::from_name(name)).collect(),
        raw: args.raw,
    };
    let out = &mut *context.out;
    let found = Collect::default();
    let keep = |finding| found.finding(finding);
    let monitor = Relay::new(context.monitor).findings_to(&keep);
    let objects = args.decode.then(|| Objects::with(args.show_secrets));
    let how = How { secrets: args.show_secrets, objects };
    let mut list =
        List::begin(out, args.write_out, "coldbolt.wal-dump/1", &args.path.to_string_lossy(), "rows")?;
    let report = wal_dump(&args.path, &options, &monitor, &mut |row| {
        match args.write_out {
            Listing::Simple => list.item(&(), |out| text(out, &row, &how)),
            Listing::Json | Listing::Ndjson => list.item(&json_row(&row, &how), |_| Ok(())),
        }
        .map_err(|source| Error::Output { what: "standard output".to_owned(), source })
    });
    let mut findings = found.into_findings();
    hint::findings(&mut findings);
    match report {
        Ok(report) => {
            end(args, &report, &findings, list)?;
            context.tell(findings)
        }
        Err(error) => {
            context.tell(findings)?;
            Err(error.into())
        }
    }
}

/// What comes after the last row.
fn end(args: &DumpArgs, report: &WalDumpReport, findings: &[Finding], mut list: List<'_>) -> io::Result<()> {
    match args.write_out {
        Listing::Json => list.end_with("findings", &findings),
        Listing::Ndjson => findings
            .iter()
            .try_for_each(|finding| list.item(&json!({"type": "finding", "finding": finding}), |_| Ok(()))),
        // No item, but the last lines for people.
        Listing::Simple => list.item(&(), |out| {
            if args.raw {
                return write_raw_end(out, report.summary.segments.last());
            }
            let types = if args.entry_type.is_empty() {
                "Normal,ConfigChange".to_owned()
            } else {
                args.entry_type.join(",")
            };
            writeln!(out, "\nEntry types ({types}) count is : {}", report.entries)
        }),
    }
}

/// One row in the words of etcd-dump-logs.
pub fn text(out: &mut dyn Write, row: &Row<'_>, how: &How) -> std::io::Result<()> {
    match row {
        Row::Start { after, by_index: true, .. } => {
            writeln!(out, "Start dumping log entries from index {after}.")
        }
        Row::Start { snapshot: None, .. } => {
            writeln!(out, "Snapshot:\nempty\nStart dumping log entries from snapshot.")
        }
        Row::Start { snapshot: Some(snapshot), .. } => snapshot_text(out, snapshot),
        Row::Head { metadata, hard_state, entries, last } => {
            writeln!(
                out,
                "WAL metadata:\nnodeID={} clusterID={} term={} commitIndex={} vote={}\n\
                 WAL entries: {entries}",
                metadata.member(),
                metadata.cluster(),
                hard_state.newest_term(),
                hard_state.committed(),
                hard_state.voted_for()
            )?;
            if let Some(last) = last {
                writeln!(out, "lastIndex={last}")?;
            }
            writeln!(out, "{:>4}\t{:>10}\ttype\tdata", "term", "index")
        }
        Row::Entry { entry, payload, .. } => {
            let (text, objects) = entry_text(payload, how);
            writeln!(out, "{:>4}\t{:>10}\t{text}", entry.term, entry.index)?;
            let lines = objects.iter().map(|object| yaml::document(&object.json));
            lines
                .flat_map(|yaml| yaml.lines().map(|line| format!("    {line}\n")).collect::<Vec<_>>())
                .try_for_each(|line| out.write_all(line.as_bytes()))
        }
        Row::Record { crc, data, body, kind, .. } => {
            let data = data.unwrap_or_default();
            let node =
                |message: &Message<'_>| message.decode(data).map(|node| node.text(true)).unwrap_or_default();
            match body {
                Body::Metadata(_) => writeln!(out, "Metadata: {}", node(&record::METADATA)),
                Body::Crc => writeln!(out, "CRC: {crc}"),
                Body::State(_) => writeln!(out, "HardState: {}", node(&raft::HARD_STATE)),
                Body::Snapshot(_) => writeln!(out, "Snapshot: {}", node(&record::SNAPSHOT)),
                Body::Entry { entry, .. } if !how.secrets && Payload::of(entry).has_secret() => {
                    let head = EntryView { data: None, ..*entry };
                    writeln!(out, "Entry: {}Data:\"{REDACTED}\" ", bare_entry(&head))
                }
                Body::Entry { .. } => writeln!(out, "Entry: {}", node(&raft::ENTRY)),
                Body::Unreadable => writeln!(out, "Unreadable: type:{} bytes:{}", kind.number(), data.len()),
                Body::Other(_) => Ok(()),
            }
        }
    }
}

fn snapshot_text(out: &mut dyn Write, snapshot: &raft::SnapshotMetadata) -> io::Result<()> {
    let empty = ConfState::default();
    let conf_state = snapshot.conf_state.as_ref().unwrap_or(&empty);
    let nodes: Vec<String> = conf_state.voters.iter().map(|id| MemberId::new(*id).to_string()).collect();
    writeln!(
        out,
        "Snapshot:\nterm={} index={} nodes=[{}] confstate={}\nStart dumping log entries from snapshot.",
        snapshot.term(),
        snapshot.index(),
        nodes.join(" "),
        go_conf_state(conf_state)
    )
}

fn bare_entry(entry: &EntryView<'_>) -> String {
    let kind = match entry.kind {
        0 => String::new(),
        1 => "Type:EntryConfChange ".to_owned(),
        2 => "Type:EntryConfChangeV2 ".to_owned(),
        other => format!("Type:{other} "),
    };
    format!("Term:{} Index:{} {kind}", entry.term, entry.index)
}

/// What etcd-dump-logs says after the last record.
pub fn write_raw_end(
    out: &mut dyn Write,
    last: Option<&coldbolt::wal::SegmentSummary>,
) -> std::io::Result<()> {
    let Some(segment) = last else { return Ok(()) };
    match &segment.end {
        Some(End::CleanEof | End::ZeroWord) => writeln!(out, "EOF: All entries were processed."),
        Some(End::Torn(torn)) => {
            // As Go words it.
            let more = match torn.reason {
                TornReason::LengthBeyondEnd { record, padding, limit, file } => format!(
                    ": [wal] max entry size limit exceeded when reading \"{}\", recBytes: {record}, \
                     fileSize({file}) - offset({}) - padBytes({padding}) = entryLimit({limit})",
                    segment.name, torn.offset
                ),
                TornReason::ZeroSectorChecksum { .. } => {
                    format!(": in file '{}' at position: {}", segment.name, torn.offset)
                }
                TornReason::LengthWord { .. }
                | TornReason::Short { .. }
                | TornReason::ZeroSectorUndecodable => String::new(),
            };
            writeln!(
                out,
                "ErrUnexpectedEOF: The last record might be corrupted, error: unexpected EOF{more}."
            )
        }
        Some(End::Damaged(_)) | None => Ok(()),
    }
}

/// A conf state as Go's `encoding/json` prints gogo's struct.
fn go_conf_state(conf_state: &ConfState) -> Value {
    let mut object = Map::new();
    let lists = [
        ("voters", &conf_state.voters),
        ("learners", &conf_state.learners),
        ("voters_outgoing", &conf_state.voters_outgoing),
        ("learners_next", &conf_state.learners_next),
    ];
    for (name, ids) in lists {
        if !ids.is_empty() {
            object.insert(name.to_owned(), json!(ids));
        }
    }
    object.insert("auto_leave".to_owned(), conf_state.auto_leave().into());
    object.into()
}

/// The `type` and `data` columns, and objects to print below.
fn entry_text(payload: &Payload<'_>, how: &How) -> (String, Vec<Object>) {
    if let (Payload::Request(node), Some(objects)) = (payload, &how.objects)
        && let Some((text, objects)) = wal_objects::text(node.root(), objects)
    {
        return (format!("norm\t{text}"), objects);
    }
    (plain_text(payload, how.secrets), Vec::new())
}

fn plain_text(payload: &Payload<'_>, secrets: bool) -> String {
    match payload {
        Payload::Request(node) => match node.root().message("v2") {
            Some(_) if !secrets && payload.has_secret() => format!("norm\tv2:<{REDACTED}> "),
            _ => format!("norm\t{}", node.text(secrets)),
        },
        Payload::V2(node) => format!("norm\t{}", wal_v2::text(node.root(), !secrets && payload.has_secret())),
        Payload::Unknown => "norm\t???".to_owned(),
        Payload::ConfChange(None) => "conf\t???".to_owned(),
        Payload::ConfChange(Some(change)) => {
            let kind = change.kind.unwrap_or(0);
            let name = usize::try_from(kind).ok().and_then(|kind| raft::CONF_CHANGE_TYPES.get(kind)).copied();
            format!(
                "conf\tmethod={} id={}",
                name.map_or_else(|| kind.to_string(), str::to_owned),
                change.member()
            )
        }
        Payload::Other => "????\t???".to_owned(),
    }
}

fn json_row(row: &Row<'_>, how: &How) -> Value {
    match row {
        Row::Start { after, snapshot, .. } => {
            let snapshot = snapshot.map(
                |s| json!({"term": s.term(), "index": s.index(), "conf_state": super::snap::conf_state(s)}),
            );
            json!({"type": "start", "after": after, "snapshot": snapshot})
        }
        Row::Head { metadata, hard_state, entries, last } => json!({
            "type": "wal",
            "metadata": {"node_id": metadata.member(), "cluster_id": metadata.cluster()},
            "hard_state": {
                "term": hard_state.term(),
                "vote": hard_state.voted_for(),
                "commit": hard_state.commit(),
            },
            "entries": entries,
            "last_index": last,
        }),
        Row::Entry { file, offset, entry, payload } => {
            let mut object = Map::new();
            object.insert("type".to_owned(), "entry".into());
            object.insert("file".to_owned(), file.as_str().into());
            object.insert("offset".to_owned(), (*offset).into());
            entry_json(&mut object, entry, payload, how);
            object.into()
        }
        Row::Record { file, offset, kind, crc, crc_ok, data, body } => {
            let mut object = Map::new();
            object.insert("type".to_owned(), "record".into());
            object.insert("file".to_owned(), file.as_str().into());
            object.insert("offset".to_owned(), (*offset).into());
            object.insert("record_type".to_owned(), record_type(*kind));
            object.insert("crc".to_owned(), format!("{crc:08x}").into());
            object.insert("crc_ok".to_owned(), (*crc_ok).into());
            let data = data.unwrap_or_default();
            let node =
                |message: &Message<'_>| message.decode(data).map_or(Value::Null, |node| node.json(true));
            match body {
                Body::Metadata(_) => drop(object.insert("metadata".to_owned(), node(&record::METADATA))),
                Body::State(_) => drop(object.insert("hard_state".to_owned(), node(&raft::HARD_STATE))),
                Body::Snapshot(_) => drop(object.insert("snapshot".to_owned(), node(&record::SNAPSHOT))),
                Body::Entry { entry, .. } => entry_json(&mut object, entry, &Payload::of(entry), how),
                Body::Unreadable | Body::Other(_) => {
                    drop(object.insert("data".to_owned(), BASE64_STANDARD.encode(data).into()))
                }
                Body::Crc => {}
            }
            object.into()
        }
    }
}

fn record_type(kind: RecordKind) -> Value {
    match kind {
        RecordKind::Metadata => "metadata".into(),
        RecordKind::Entry => "entry".into(),
        RecordKind::State => "state".into(),
        RecordKind::Crc => "crc".into(),
        RecordKind::Snapshot => "snapshot".into(),
        RecordKind::Other(number) => number.into(),
    }
}

fn entry_json(object: &mut Map<String, Value>, entry: &EntryView<'_>, payload: &Payload<'_>, how: &How) {
    object.insert("term".to_owned(), json!(entry.term));
    object.insert("index".to_owned(), json!(entry.index));
    let kind =
        entry.entry_type().map_or_else(|| entry.kind.into(), |kind| Value::from(format!("Entry{kind:?}")));
    object.insert("entry_type".to_owned(), kind);
    let secrets = how.secrets;
    let redact = !secrets && payload.has_secret();
    let hide = |mut value: Value, path: &[&str]| {
        let found = path.iter().try_fold(&mut value, |value, key| value.get_mut(key));
        if let (true, Some(found)) = (redact, found) {
            *found = REDACTED.into();
        }
        value
    };
    match payload {
        Payload::Request(node) => {
            let mut request = hide(node.json(secrets), &["v2", "val"]);
            if let Some(objects) = &how.objects {
                wal_objects::replace(&mut request, objects);
            }
            let names = wal_objects::names(node.root());
            if !names.is_empty() {
                object.insert("objects".to_owned(), names.into());
            }
            object.insert("request".to_owned(), request)
        }
        Payload::V2(node) => object.insert("v2_request".to_owned(), hide(node.json(secrets), &["val"])),
        Payload::ConfChange(Some(change)) => {
            let node = raft::CONF_CHANGE.decode(entry.bytes()).map_or(Value::Null, |node| node.json(true));
            if let Ok(mut member) = serde_json::from_slice::<Value>(change.context()) {
                if let Some(id) = member.get_mut("id")
                    && let Some(number) = id.as_u64()
                {
                    *id = json!(MemberId::new(number));
                }
                object.insert("member".to_owned(), member);
            }
            object.insert("conf_change".to_owned(), node)
        }
        Payload::ConfChange(None) | Payload::Unknown | Payload::Other => {
            object.insert("data".to_owned(), BASE64_STANDARD.encode(entry.bytes()).into())
        }
    };
    let (text, _) = entry_text(payload, how);
    let text = text.split_once('\t').map_or(text.as_str(), |(_, data)| data).trim_end();
    object.insert("text".to_owned(), text.into());
}
