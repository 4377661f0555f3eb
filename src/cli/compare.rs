use std::path::PathBuf;

use coldbolt::store::compare::{CompareReport, Divergence, compare};
use serde_json::{Map, Value, json};

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{Damage, Fold, Opened, json_bytes, open, show_key};
use super::out::{Form, count, json as print_json, plain_table};

/// Compare members of one cluster, which should agree: by HashKV at the greatest revision that all have.
///
/// Where they do not agree, the first revision that is not the same and the keys in question are named, each against
/// the first PATH. Exit codes: 0 they agree, 1 they do not, 4 there is no revision that all have and none has
/// compacted.
///
/// With --endpoints members that run are compared as well, with one another and with every PATH: of them only the hash
/// is known, so that it is not told in which keys they differ.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt compare m1.db m2.db m3.db
  coldbolt compare --endpoints http://127.0.0.1:2379,http://127.0.0.1:22379 m3.db")]
pub struct Args {
    /// Snapshot files, databases or data directories.
    #[arg(value_name = "PATH")]
    #[cfg_attr(feature = "live", arg(required_unless_present_any = ["endpoints", "from_manifest"]))]
    #[cfg_attr(not(feature = "live"), arg(required = true))]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    fold: Fold,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
    #[cfg(feature = "live")]
    #[command(flatten)]
    members: super::live::Members,
}

impl Args {
    /// Whether members that run are among what is compared.
    fn live(&self) -> bool {
        #[cfg(feature = "live")]
        return self.members.named();
        #[cfg(not(feature = "live"))]
        false
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    if !args.live() && args.paths.len() < 2 {
        return Err(Fail::Usage("one PATH is compared with nothing: give two or more".to_owned()));
    }
    // A file with damage cannot be hashed.
    let opened = args
        .paths
        .iter()
        .map(|path| open(path, &Damage::refused(), &args.fold, None, monitor))
        .collect::<Result<Vec<_>, _>>()?;
    let stores = opened.iter().map(|opened| opened.store(monitor)).collect::<Result<Vec<_>, _>>()?;
    #[cfg(feature = "live")]
    if args.live() {
        let verdict = super::live::compare(&args.members, &stores, args.write_out, context)?;
        opened.iter().try_for_each(Opened::check_unchanged)?;
        return Ok(verdict);
    }
    let report = compare(&stores)?;
    match args.write_out {
        Form::Json => print_json(context.out, &document(&report))?,
        Form::Table => writeln!(context.out, "{}", text(&report))?,
    }
    opened.iter().try_for_each(Opened::check_unchanged)?;
    Ok(if !report.divergences.is_empty() || monitor.damage() {
        Verdict::Bad
    } else if report.comparable() {
        Verdict::Good
    } else {
        Verdict::Inconclusive
    })
}

fn names(keys: &[Vec<u8>]) -> String {
    keys.iter().map(|key| format!("\n    {}", show_key(key))).collect()
}

pub fn text(report: &CompareReport) -> String {
    let rows = report.members.iter().map(|member| {
        let compact = member.compact_revision.map_or_else(|| "-".to_owned(), |revision| revision.to_string());
        let hash = member.hash.map_or_else(|| "-".to_owned(), |hash| hash.to_string());
        [member.file.clone(), member.revision.to_string(), compact, hash]
    });
    let mut text = plain_table(["FILE", "REVISION", "COMPACTED", "HASHKV"], rows);
    let compacted = if report.compact_revision < 0 {
        String::new()
    } else {
        format!(", as if compacted at {}", report.compact_revision)
    };
    if !report.comparable() {
        text += &format!(
            "\nnothing to compare: one ends at revision {}, another is compacted at {}",
            report.revision, report.compact_revision
        );
    } else if report.divergences.is_empty() {
        text += &format!("\nall agree at revision {}{compacted}", report.revision);
    } else {
        text += &format!("\nthey do not agree at revision {}{compacted}", report.revision);
    }
    for Divergence { member, first_revision, first_keys, differing, keys, .. } in &report.divergences {
        let file = |n: usize| report.members.get(n).map_or("", |member| member.file.as_str());
        text += &format!("\n\n{} against {}", file(*member), file(0));
        text += &match first_revision {
            Some(revision) => {
                format!("\n  the first revision that differs is {revision}, in{}", names(first_keys))
            }
            None => format!("\n  they differ in what was kept at the compaction, of{}", names(first_keys)),
        };
        text +=
            &format!("\n  at revision {} {} keys differ{}", report.revision, count(*differing), names(keys));
        if *differing > keys.len() as u64 {
            text += &format!("\n    and {} more", count(differing - keys.len() as u64));
        }
    }
    text
}

pub fn document(report: &CompareReport) -> Value {
    let keys = |keys: &[Vec<u8>]| -> Vec<Value> {
        let one = |key: &Vec<u8>| {
            let mut item = Map::new();
            json_bytes(&mut item, "key", key);
            Value::Object(item)
        };
        keys.iter().map(one).collect()
    };
    let members: Vec<Value> = report
        .members
        .iter()
        .map(|m| {
            json!({
                "file": m.file,
                "revision": m.revision,
                "compact_revision": m.compact_revision,
                "hash": m.hash,
            })
        })
        .collect();
    let divergences: Vec<Value> = report
        .divergences
        .iter()
        .map(|d| {
            json!({
                "member": d.member, "first_revision": d.first_revision, "first_keys": keys(&d.first_keys),
                "differing_keys": d.differing, "keys": keys(&d.keys),
            })
        })
        .collect();
    json!({
        "schema": "coldbolt.compare/1",
        "comparable": report.comparable(),
        "agree": report.comparable().then_some(report.divergences.is_empty()),
        "revision": report.revision,
        "compact_revision": report.compact_revision,
        "members": members,
        "divergences": divergences,
    })
}
