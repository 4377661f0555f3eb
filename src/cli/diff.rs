use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Write};

use coldbolt::etcd::KeyRange;
use coldbolt::io::Window;
use coldbolt::store::diff::{DiffOptions, Difference, diff};
use coldbolt::store::tree::levels;
use coldbolt::store::{KeyState, View};
use serde_json::{Map, Value, json};

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{bytes, json_bytes, keep, show_key};
use super::kube::args::Secrets;
use super::objects::Objects;
use super::out::{List, Listing, count, json as print_json, plain_table, size};
use super::sides::{Sides, side, sign};

/// Print which keys differ between two files, or in one file between two revisions. Exit code 1 when some do.
///
/// `+` added, `-` removed, `~` written again, `!` deleted and created again. Each side is taken as of its last
/// revision, or of --from-rev (the first PATH) and --to-rev (the second PATH, or the only one).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt diff monday.db tuesday.db --exclude-prefix /registry/events/ --exclude-prefix /registry/leases/
  coldbolt diff backup.db --from-rev 1000 --to-rev 1010 --values
  coldbolt diff old-cluster.db new-cluster.db --content-only --summary --depth 2")]
pub struct Args {
    #[command(flatten)]
    sides: Sides,
    /// Only keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// Leave out keys that begin so; may be repeated.
    #[arg(long, alias = "ignore-prefix", value_name = "PREFIX")]
    exclude_prefix: Vec<OsString>,
    /// Compare values and leases only, not when and how often they were written: for two clusters.
    #[arg(long)]
    content_only: bool,
    /// Print what changed in the values: Kubernetes objects and JSON by their fields, text by its lines, anything else
    /// by its hash. The data of Secrets is redacted.
    #[arg(long, conflicts_with = "summary")]
    values: bool,
    #[command(flatten)]
    secrets: Secrets,
    /// Only count.
    #[arg(long)]
    summary: bool,
    /// Count by prefixes of so many levels of `/`.
    #[arg(long, default_value_t = 0, value_name = "N", requires = "summary")]
    depth: usize,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    if args.exclude_prefix.iter().any(|prefix| prefix.is_empty()) {
        return Err(Fail::Usage("--exclude-prefix is empty: that leaves out every key".to_owned()));
    }
    args.sides.with(context, |[before, after], out| {
        let options = DiffOptions {
            range: KeyRange::prefix(bytes(&args.prefix)),
            ignore: args.exclude_prefix.iter().map(|prefix| prefix.as_encoded_bytes()).collect(),
            content_only: args.content_only,
        };
        let differ = if args.summary {
            summary(args, before, after, &options, out)?
        } else {
            list(args, before, after, &options, out)?
        };
        Ok(if differ { Verdict::Bad } else { Verdict::Good })
    })
}

fn list(
    args: &Args,
    before: View<'_>,
    after: View<'_>,
    options: &DiffOptions<'_>,
    out: &mut dyn Write,
) -> Result<bool, Fail> {
    let simple = args.write_out == Listing::Simple;
    if simple {
        writeln!(out, "--- {}\n+++ {}", side(before), side(after))?;
    }
    let mut counts = [0u64; 4];
    let mut list = List::begin(
        out,
        args.write_out,
        "coldbolt.diff/1",
        &format!("{} {}", side(before), side(after)),
        "differences",
    )?;
    let mut done: Result<(), Fail> = Ok(());
    let mut windows = [Window::scattered(), Window::scattered()];
    let objects = Objects::new(&args.secrets);
    diff(before, after, options, &mut |difference| {
        counts[difference.kind as usize] += 1;
        let written = changes(args.values.then_some(&objects), before, after, &difference, &mut windows)
            .and_then(|changes| {
                let written = if simple {
                    list.item(&(), |out| line(out, &difference, &changes))
                } else {
                    list.item(&json_of(&difference, args.values.then_some(changes)), |_| Ok(()))
                };
                written.map_err(Fail::Output)
            });
        keep(&mut done, written)
    })?;
    done?;
    list.end()?;
    if simple {
        writeln!(out, "{}", words(counts))?;
    }
    Ok(counts.iter().any(|n| *n > 0))
}

fn words([added, removed, changed, recreated]: [u64; 4]) -> String {
    format!(
        "{} added, {} removed, {} changed, {} recreated",
        count(added),
        count(removed),
        count(changed),
        count(recreated)
    )
}

/// What changed in the value, where that was asked for and there are two.
fn changes(
    objects: Option<&Objects>,
    before: View<'_>,
    after: View<'_>,
    difference: &Difference<'_>,
    windows: &mut [Window; 2],
) -> Result<Vec<String>, Fail> {
    let (Some(a), Some(b), Some(objects)) = (difference.before, difference.after, objects) else {
        return Ok(Vec::new());
    };
    let ([one, other], key) = (windows, difference.key);
    Ok(before.value(a, one, |a| after.value(b, other, |b| objects.changes(key, a, b)))??)
}

fn line(out: &mut dyn Write, difference: &Difference<'_>, changes: &[String]) -> io::Result<()> {
    let state = |state: &KeyState| {
        format!("modified {}, version {}, {}", state.revision.main, state.version, size(state.value_len))
    };
    let what = match (difference.before, difference.after) {
        (Some(a), Some(b)) => {
            let lease = if a.lease == b.lease {
                String::new()
            } else {
                format!(", lease {} -> {}", lease(a), lease(b))
            };
            let modified = if a.revision.main == b.revision.main {
                a.revision.main.to_string()
            } else {
                format!("{} -> {}", a.revision.main, b.revision.main)
            };
            let versions = if a.version == b.version {
                a.version.to_string()
            } else {
                format!("{} -> {}", a.version, b.version)
            };
            let sizes = if a.value_len == b.value_len {
                size(a.value_len)
            } else {
                format!("{} -> {}", size(a.value_len), size(b.value_len))
            };
            format!("modified {modified}, version {versions}, {sizes}{lease}")
        }
        (one, other) => one.or(other).map(state).unwrap_or_default(),
    };
    writeln!(out, "{} {}  ({what})", sign(difference.kind), show_key(difference.key))?;
    changes.iter().try_for_each(|change| writeln!(out, "      {change}"))
}

fn lease(state: &KeyState) -> String {
    if state.lease.is_none() { "none".to_owned() } else { state.lease.padded() }
}

fn json_of(difference: &Difference<'_>, changes: Option<Vec<String>>) -> Value {
    let state = |state: Option<&KeyState>| {
        state.map(|s| {
            json!({
                "create_revision": s.create_revision, "mod_revision": s.revision.main, "version": s.version,
                "lease": (!s.lease.is_none()).then(|| lease(s)), "value_len": s.value_len,
            })
        })
    };
    let mut item = Map::new();
    item.insert("kind".to_owned(), json!(difference.kind));
    json_bytes(&mut item, "key", difference.key);
    item.insert("before".to_owned(), json!(state(difference.before)));
    item.insert("after".to_owned(), json!(state(difference.after)));
    if let Some(changes) = changes.filter(|_| difference.before.is_some() && difference.after.is_some()) {
        item.insert("changes".to_owned(), changes.into());
    }
    Value::Object(item)
}

fn numbers([added, removed, changed, recreated]: [u64; 4]) -> Value {
    json!({ "added": added, "removed": removed, "changed": changed, "recreated": recreated })
}

/// Prefixes that are counted apart; what comes after them is counted together.
const MOST_PREFIXES: usize = 10_000;

fn summary(
    args: &Args,
    before: View<'_>,
    after: View<'_>,
    options: &DiffOptions<'_>,
    out: &mut dyn Write,
) -> Result<bool, Fail> {
    let (mut all, mut by_prefix) = ([0u64; 4], BTreeMap::<Vec<u8>, [u64; 4]>::new());
    diff(before, after, options, &mut |difference| {
        let kind = difference.kind as usize;
        all[kind] += 1;
        if args.depth > 0 {
            let prefix = levels(difference.key, b"/", args.depth).concat();
            if by_prefix.len() < MOST_PREFIXES || by_prefix.contains_key(&prefix) {
                by_prefix.entry(prefix).or_default()[kind] += 1;
            }
        }
        std::ops::ControlFlow::Continue(())
    })?;
    let differ = all.iter().any(|n| *n > 0);
    if args.write_out == Listing::Simple {
        writeln!(out, "--- {}\n+++ {}\n{}", side(before), side(after), words(all))?;
        if args.depth > 0 && differ {
            let rows = by_prefix.iter().map(|(prefix, n)| {
                let [added, removed, changed, recreated] = n.map(count);
                [show_key(prefix).into_owned(), added, removed, changed, recreated]
            });
            writeln!(out, "\n{}", plain_table(["PREFIX", "ADDED", "REMOVED", "CHANGED", "RECREATED"], rows))?;
        }
        return Ok(differ);
    }
    let prefixes: Vec<Value> = by_prefix
        .iter()
        .map(|(prefix, n)| {
            let mut item = Map::new();
            json_bytes(&mut item, "prefix", prefix);
            item.insert("counts".to_owned(), numbers(*n));
            Value::Object(item)
        })
        .collect();
    let document = json!({
        "schema": "coldbolt.diff-summary/1",
        "before": side(before),
        "after": side(after),
        "counts": numbers(all),
        "prefixes": prefixes,
    });
    if args.write_out == Listing::Json {
        print_json(out, &document)?
    } else {
        writeln!(out, "{document}")?
    }
    Ok(differ)
}
