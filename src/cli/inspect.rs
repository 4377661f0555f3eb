mod kine;
mod kubernetes;

use std::fmt::Display;
use std::io::{self, Write};
use std::path::{PathBuf, is_separator};

use coldbolt::etcd::Facts;
use coldbolt::io::source::Lock;
use coldbolt::ops::inspect::{
    DatabaseReport, Disagreement, EtcdReport, MetaReport, Stated, StaticResource, WalReport,
};
use coldbolt::ops::{InspectOptions, InspectReport, inspect};
use coldbolt::snap::backup::Trailer;
use coldbolt::words::error::Told;
use coldbolt::{MemberId, Severity};
use serde::Serialize;

use super::context::{Context, Done, Verdict};
use super::out::{Form, clean, count, json, labelled, plain_table, size};
use super::{hint, input};

/// Say what a file or directory is, and everything in it that identifies it.
///
/// PATH may be a snapshot file, a member's db, a .snap.db, a raft snapshot, a WAL segment, a data directory (or its
/// member, snap or wal directory), or what k3s keeps without etcd: its state.db, or the directory with that. A damaged
/// file still shows all that can be read; what is wrong goes to standard error, and the exit code is 1.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt inspect backup.db
  coldbolt inspect /var/lib/etcd
  coldbolt inspect backup.db --hash -w json | jq .database.sha256")]
pub struct Args {
    /// File or directory; - is standard input.
    #[arg(value_name = "PATH")]
    path: PathBuf,
    /// The log of a data directory, if it is elsewhere (--wal-dir of etcd).
    #[arg(long, value_name = "DIR")]
    wal_dir: Option<PathBuf>,
    /// Also compute the SHA-256 and compare it with the trailer.
    #[arg(long)]
    hash: bool,
    /// Findings shown for each code; all are counted.
    #[arg(long, default_value_t = 20, value_name = "N")]
    max_findings: u64,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

#[derive(Serialize)]
struct Document<'r> {
    schema: &'static str,
    #[serde(flatten)]
    report: &'r InspectReport,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let options = InspectOptions { hash: args.hash, max_findings: args.max_findings };
    let input = input::given(&args.path)?.with_wal_dir(args.wal_dir.clone());
    let mut report = inspect(input, &options, context.monitor)?;
    hint::findings(&mut report.findings);
    match args.write_out {
        Form::Json => json(context.out, &Document { schema: "coldbolt.inspect/1", report: &report })?,
        Form::Table => {
            let mut text = Vec::new();
            screen(&mut text, &report)?;
            context.out.write_all(clean(&String::from_utf8_lossy(&text)).as_bytes())?;
        }
    }
    Ok(if report.worst() == Some(Severity::Damage) { Verdict::Bad } else { Verdict::Good })
}

/// What is known, an id in all its digits.
fn known(value: Option<impl Display>, otherwise: &str) -> String {
    value.map_or_else(|| otherwise.to_owned(), |value| format!("{value:#}"))
}

/// One labelled line.
fn line(out: &mut dyn Write, label: &str, text: &str) -> io::Result<()> {
    writeln!(out, "{}", labelled(label, text))
}

fn screen(out: &mut dyn Write, report: &InspectReport) -> io::Result<()> {
    writeln!(out, "{}: {}", report.path, report.kind)?;
    if let Some(lag) = &report.lag {
        writeln!(out, "{}", lag.sentence)?;
    }
    if let Some(database) = &report.database {
        show_database(out, database)?;
    }
    if let Some(kine) = &report.kine {
        kine::show(out, kine)?;
    }
    if !report.resources.is_empty() {
        let ends = |resource: &StaticResource| resource.ends.clone().unwrap_or_default();
        let rows = report.resources.iter().map(|r| [r.what.name().to_owned(), ends(r), r.path.clone()]);
        writeln!(out, "{}", plain_table(["WHAT", "ENDS", "FILE"], rows))?;
    }
    if let Some(wal) = &report.wal {
        show_wal(out, wal, report)?;
    }
    if !report.raft_snapshots.is_empty() {
        writeln!(out)?;
        let rows = report.raft_snapshots.iter().map(|s| {
            let verdict = s.fault.clone().unwrap_or_else(|| "checksum holds".to_owned());
            [
                file_name(&s.path),
                known(s.term, "-"),
                known(s.index, "-"),
                s.voters.len().to_string(),
                known(s.members, "-"),
                verdict,
            ]
        });
        writeln!(
            out,
            "{}",
            plain_table(["RAFT SNAPSHOT", "TERM", "INDEX", "VOTERS", "MEMBERS", "VERDICT"], rows)
        )?;
    }
    show_raft(out, report)?;
    if let Some(directory) = &report.directory {
        for (label, list) in [
            ("from leader", &directory.snap_dbs),
            ("left over", &directory.leftovers),
            ("not etcd's", &directory.strangers),
        ] {
            if !list.is_empty() {
                line(out, label, &list.iter().map(|p| file_name(p)).collect::<Vec<_>>().join(", "))?;
            }
        }
    }
    for (code, n) in &report.finding_counts {
        let found = report.findings.iter().filter(|finding| finding.code == *code);
        let severity = found.map(|finding| finding.severity).max().unwrap_or_else(|| code.severity());
        line(out, &severity.to_string(), &format!("{code}: {}", count(*n)))?;
    }
    Ok(())
}

/// What the raft snapshots say beside and against the rest.
fn show_raft(out: &mut dyn Write, report: &InspectReport) -> io::Result<()> {
    if let Some(keys @ 1..) = report.raft_snapshots.last().and_then(|newest| newest.v2_keys) {
        line(
            out,
            "v2 store",
            &format!("{} keys of users, which etcd from 3.6 on does not take", count(keys)),
        )?;
    }
    for Disagreement { fact, stated, etcd, believes, .. } in &report.disagreements {
        let one = |s: &Stated| format!("{} (index {}) {}", s.file, known(s.index, "unknown"), s.value);
        let all = stated.iter().map(one).collect::<Vec<_>>().join("; ");
        let who = match (etcd, believes) {
            (Some(etcd), Some(believes)) => format!("; etcd {} believes {believes}", etcd.name()),
            _ => String::new(),
        };
        line(out, "disagree", &format!("{fact}: {all}{who}"))?;
    }
    Ok(())
}

fn file_name(path: &str) -> String {
    path.rsplit(is_separator).next().unwrap_or(path).to_owned()
}

fn lock(lock: Lock) -> &'static str {
    match lock {
        Lock::Free => "not in use",
        Lock::Held => "IN USE by a running etcd",
        Lock::Unknown => "whether it is in use cannot be told on this file system",
    }
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.0} %", part as f64 * 100.0 / whole as f64) }
}

fn meta(meta: &MetaReport) -> String {
    let live = if meta.live { ", in use" } else { "" };
    let verdict = match (&meta.fault, meta.valid) {
        (None, _) => "checksum holds".to_owned(),
        (Some(fault), true) => format!("checksum holds, but {fault}"),
        (Some(fault), false) => format!("INVALID: {fault}"),
    };
    let Some(m) = meta.meta else { return verdict };
    let freelist = m.freelist.map_or_else(|| "none".to_owned(), |id| format!("page {id}"));
    format!(
        "txid {}, root page {}, high water mark {}, freelist {freelist}, {verdict}{live}",
        m.txid, m.root, m.high_water
    )
}

fn trailer(db: &DatabaseReport) -> String {
    match (&db.trailer, &db.sha256) {
        (Trailer::Absent, _) => "absent: a database, not made by snapshot save".to_owned(),
        (Trailer::Lost { missing }, _) => {
            format!("unknown: the file ends {} bytes before its database does", count(*missing))
        }
        (Trailer::Cut { bytes }, _) => format!("CUT: {bytes} bytes of 32"),
        (Trailer::Zeroed { .. }, _) => "32 zero bytes where a SHA-256 is due".to_owned(),
        (Trailer::Present { .. }, None) => "SHA-256 present, not checked (--hash checks it)".to_owned(),
        (Trailer::Present { .. }, Some(hash)) if hash.matches == Some(true) => {
            format!("SHA-256 {} is right", hash.digest)
        }
        (Trailer::Present { .. }, Some(hash)) => format!("SHA-256 WRONG: the bytes give {}", hash.digest),
    }
}

fn show_database(out: &mut dyn Write, db: &DatabaseReport) -> io::Result<()> {
    let total = db.pages.total;
    line(
        out,
        "file",
        &format!(
            "{} bytes, {} of them database: {} pages of {}; {}",
            count(db.file_size),
            count(db.size),
            count(total),
            db.page_size,
            lock(db.lock)
        ),
    )?;
    if let Some(packed) = &db.packed {
        line(out, "packed", packed)?;
    }
    line(out, "trailer", &trailer(db))?;
    for m in &db.metas {
        line(out, &format!("meta {}", m.number), &meta(m))?;
    }
    let p = &db.pages;
    let missing = if p.missing > 0 { format!(", {} MISSING", count(p.missing)) } else { String::new() };
    let freelist = if p.freelist > 0 { format!(", {} freelist", p.freelist) } else { String::new() };
    let free_bytes = size(p.free.saturating_mul(db.page_size));
    line(
        out,
        "pages",
        &format!(
            "{} branch, {} leaf, {} overflow, 2 meta{freelist}, {} free ({free_bytes}, {}){missing}; \
             tree pages {} full",
            count(p.branch),
            count(p.leaf),
            count(p.overflow),
            count(p.free),
            percent(p.free, total),
            percent(p.bytes_used, p.bytes)
        ),
    )?;
    if let Some(etcd) = &db.etcd {
        show_etcd(out, etcd)?;
    }
    if let Some(cluster) = &db.kubernetes {
        kubernetes::show(out, cluster)?;
    }
    writeln!(out)?;
    let rows = db.buckets.iter().map(|b| {
        let place = if b.inline { "inline".to_owned() } else { count(b.stats.pages()) };
        let bytes = if b.inline { b.stats.inline_bytes } else { b.stats.bytes };
        let fill = if b.inline { "-".to_owned() } else { percent(b.stats.bytes_used, b.stats.bytes) };
        [b.name.clone(), count(b.stats.elements), b.stats.depth.to_string(), place, size(bytes), fill]
    });
    writeln!(out, "{}", plain_table(["BUCKET", "ENTRIES", "DEPTH", "PAGES", "BYTES", "FULL"], rows))
}

fn show_etcd(out: &mut dyn Write, etcd: &EtcdReport) -> io::Result<()> {
    show_versions(out, etcd)?;
    show_keyspace(out, etcd)?;
    show_cluster(out, &etcd.facts)?;
    show_leases(out, &etcd.facts)?;
    show_auth(out, &etcd.facts)
}

fn show_versions(out: &mut dyn Write, etcd: &EtcdReport) -> io::Result<()> {
    let facts = &etcd.facts;
    let version = etcd.storage.version.clone().unwrap_or_else(|| "unknown".into());
    let how = if etcd.storage.stated { "stated" } else { "inferred" };
    let cluster = facts.cluster_version.clone().unwrap_or_else(|| "not set".into());
    let downgrade = match &facts.downgrade {
        Some(d) if d.enabled => format!(", DOWNGRADE to {} going on", d.target_version),
        _ => String::new(),
    };
    line(
        out,
        "storage",
        &format!("version {version} ({how}: {}), cluster version {cluster}{downgrade}", etcd.storage.reason),
    )
}

fn show_keyspace(out: &mut dyn Write, etcd: &EtcdReport) -> io::Result<()> {
    let revision =
        |r: Option<coldbolt::etcd::Revision>| r.map_or_else(|| "none".to_owned(), |r| r.main.to_string());
    let compact =
        etcd.compact_revision.map_or_else(|| "never compacted".to_owned(), |r| format!("compacted at {r}"));
    let unfinished = match (etcd.compaction_unfinished, etcd.facts.finished_compact_revision) {
        (true, Some(done)) => {
            format!(" (UNFINISHED: the last finished one is {done}; etcd resumes it at start)")
        }
        (true, None) => " (UNFINISHED: etcd resumes it at start)".to_owned(),
        _ => String::new(),
    };
    line(
        out,
        "revisions",
        &format!(
            "{} to {}, {compact}{unfinished}",
            revision(etcd.first_revision),
            revision(etcd.last_revision)
        ),
    )?;
    line(
        out,
        "keys",
        &format!(
            "{} live; {} revisions stored, {} of them deletions; {} of users' keys and values",
            count(etcd.live_keys),
            count(etcd.revisions),
            count(etcd.tombstones),
            size(etcd.user_bytes)
        ),
    )
}

fn show_cluster(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    let conf = facts.conf_state.as_ref().map_or_else(
        || "no conf state".to_owned(),
        |c| {
            let joint = if c.voters_outgoing.is_empty() { "" } else { ", in a joint configuration" };
            format!("{} voters, {} learners{joint}", c.voters.len(), c.learners.len())
        },
    );
    line(
        out,
        "raft",
        &format!(
            "consistent index {}, term {}, {conf}",
            known(facts.consistent_index, "none"),
            known(facts.term, "none")
        ),
    )?;
    for m in &facts.members {
        let learner = if m.is_learner { ", learner" } else { "" };
        let name = if m.name.is_empty() { "(unnamed)".to_owned() } else { m.name.to_string() };
        let urls = |list: &[Told]| if list.is_empty() { "none".to_owned() } else { Told::list(list) };
        line(
            out,
            "member",
            &format!(
                "{} {name}{learner}, peers {}, clients {}",
                m.id,
                urls(&m.peer_urls),
                urls(&m.client_urls)
            ),
        )?;
    }
    if !facts.removed_members.is_empty() {
        line(
            out,
            "removed",
            &facts.removed_members.iter().map(MemberId::to_string).collect::<Vec<_>>().join(", "),
        )?;
    }
    Ok(())
}

fn show_leases(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    for lease in facts.leases.iter().take(5) {
        let keys = lease.attached.map_or_else(|| "unknown".to_owned(), count);
        line(out, "lease", &format!("{:#}, {} s, {keys} keys attached", lease.id, lease.ttl))?;
    }
    if facts.leases.len() > 5 {
        line(
            out,
            "lease",
            &format!("and {} more (-w json lists all)", count(facts.leases.len() as u64 - 5)),
        )?;
    }
    Ok(())
}

fn show_auth(out: &mut dyn Write, facts: &Facts) -> io::Result<()> {
    for alarm in &facts.alarms {
        let what = alarm.alarm.map_or_else(|| "UNKNOWN".to_owned(), |a| format!("{a:?}").to_uppercase());
        line(out, "ALARM", &format!("{what} raised by member {}", alarm.member_id))?;
    }
    let auth = &facts.auth;
    let names = |list: Vec<&str>| if list.is_empty() { "none".to_owned() } else { list.join(", ") };
    let state = if auth.enabled { "on" } else { "off" };
    let users = names(auth.users.iter().map(|u| u.name.as_str()).collect());
    let roles = names(auth.roles.iter().map(|r| r.name.as_str()).collect());
    line(
        out,
        "auth",
        &format!("{state}, revision {}; users: {users}; roles: {roles}", known(auth.revision, "none")),
    )?;
    if !facts.unknown_keys.is_empty() {
        line(out, "unknown", &facts.unknown_keys.join(", "))?;
    }
    Ok(())
}

fn show_wal(out: &mut dyn Write, wal: &WalReport, report: &InspectReport) -> io::Result<()> {
    writeln!(out)?;
    let in_use = report
        .directory
        .as_ref()
        .and_then(|d| d.wal_lock)
        .map_or_else(String::new, |l| format!("; {}", lock(l)));
    line(
        out,
        "wal",
        &format!(
            "node {}, cluster {}{in_use}",
            known(wal.node_id, "unknown"),
            known(wal.cluster_id, "unknown")
        ),
    )?;
    line(
        out,
        "hard state",
        &format!(
            "term {}, vote {}, commit {}",
            known(wal.term, "none"),
            known(wal.vote, "unknown"),
            known(wal.commit, "none")
        ),
    )?;
    line(
        out,
        "entries",
        &format!(
            "{} to {}; the log ends {}",
            known(wal.first_entry, "none"),
            known(wal.last_entry, "none"),
            wal.end
        ),
    )?;
    let snapshots: Vec<String> =
        wal.snapshots.iter().map(|s| format!("{} (term {})", s.index, s.term)).collect();
    line(out, "snapshots", &format!("recorded at index {}", snapshots.join(", ")))?;
    let rows = wal.segments.iter().map(|s| {
        [
            s.name.clone(),
            s.sequence.to_string(),
            s.first_index.to_string(),
            size(s.file_size),
            size(s.used),
            count(s.records),
        ]
    });
    writeln!(
        out,
        "\n{}",
        plain_table(["WAL SEGMENT", "SEQUENCE", "FIRST INDEX", "SIZE", "USED", "RECORDS"], rows)
    )
}
