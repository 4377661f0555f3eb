use std::ffi::OsString;
use std::io::{self, Write};

use clap::ValueEnum;
use coldbolt::etcd::KeyRange;
use coldbolt::io::Window;
use coldbolt::kube::key_names::KeyNames;
use coldbolt::store::tree::{KeyNode, TreeOptions, tree};
use coldbolt::store::{KeyState, View};
use serde_json::{Map, Value, json};

use super::context::{Context, Done, Fail, Verdict};
use super::keyspace::{File, bytes, json_bytes, show_key};
use super::out::{Bars, List, Listing, clean, count, size};

/// Prefixes that a tree may show: more are no view.
const MOST_NODES: usize = 100_000;

/// List the keys with their revisions and sizes, or show what fills the database: as a tree, or the greatest of them.
///
/// SIZE is what the live version takes (key and value), STORED what all its stored versions take, deletions included.
/// Compaction and defrag give back the difference: that is the churn.
///
/// In a file with Kubernetes objects --top has a column with the resource of each, as `kube get` takes it for a KIND
/// (deployments.apps), and --tree names it behind the prefix that all objects of a resource have. The value tells it,
/// or where that is deleted or encrypted, the key.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt keys backup.db --prefix /registry/events/
  coldbolt keys backup.db --tree --depth 3
  coldbolt keys backup.db --top 20 --by churn")]
pub struct Args {
    #[command(flatten)]
    file: File,
    /// Only keys that begin so.
    #[arg(long, value_name = "PREFIX")]
    prefix: Option<OsString>,
    /// As of this revision; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION", allow_negative_numbers = true)]
    rev: i64,
    /// List deleted keys of which something is stored, too.
    #[arg(long, conflicts_with_all = ["tree", "top"])]
    all: bool,
    /// Add up by prefix, those that store most first.
    #[arg(long, conflicts_with = "top")]
    tree: bool,
    /// How many levels of prefixes the tree shows.
    #[arg(long, default_value_t = 2, value_name = "N", requires = "tree")]
    depth: usize,
    /// What ends a level.
    #[arg(long, default_value_t = '/', value_name = "CHARACTER", requires = "tree")]
    separator: char,
    /// In --tree and --top: what is before the keys of Kubernetes objects (the API server's --etcd-prefix) [default:
    /// where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// The N greatest.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    top: Option<u32>,
    /// By what they are greatest.
    #[arg(long, value_enum, default_value = "stored", value_name = "WHAT", requires = "top")]
    by: By,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// Bytes of the live key and value.
    Size,
    /// Bytes of all stored versions.
    Stored,
    /// Number of stored versions.
    Revisions,
    /// Bytes of stored versions that are not live.
    Churn,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    args.file.with(context, |store, out| {
        let view = store.at(Some(args.rev))?;
        match (args.tree, args.top) {
            (true, _) => show_tree(args, view, out)?,
            (_, Some(n)) => top(args, n as usize, view, out)?,
            (false, None) => list(args, view, out)?,
        }
        Ok(Verdict::Good)
    })
}

impl Args {
    fn range(&self) -> KeyRange<'_> {
        KeyRange::prefix(bytes(&self.prefix))
    }
}

fn lease(state: &KeyState) -> Option<String> {
    (!state.lease.is_none()).then(|| state.lease.padded())
}

const HEADER: &str = "  MODIFIED    CREATED  VERSION     SIZE   STORED    REVS  LEASE             KEY";

fn line(out: &mut dyn Write, state: &KeyState) -> io::Result<()> {
    let (created, version) = if state.deleted {
        ("deleted".to_owned(), "-".to_owned())
    } else {
        (state.create_revision.to_string(), state.version.to_string())
    };
    let lease = lease(state).unwrap_or_else(|| "-".to_owned());
    writeln!(
        out,
        "{:>10} {created:>10} {version:>8} {:>8} {:>8} {:>7}  {lease:<16}  {}",
        state.revision.main,
        size(state.live_size()),
        size(state.bytes),
        state.revisions,
        show_key(&state.key)
    )
}

fn json_of(state: &KeyState) -> Value {
    let mut item = Map::new();
    json_bytes(&mut item, "key", &state.key);
    let fields = json!({
        "deleted": state.deleted,
        "mod_revision": state.revision.main,
        "create_revision": (!state.deleted).then_some(state.create_revision),
        "version": (!state.deleted).then_some(state.version),
        "lease": lease(state),
        "value_len": (!state.deleted).then_some(state.value_len),
        "stored_versions": state.revisions,
        "stored_bytes": state.bytes,
    });
    if let Value::Object(fields) = fields {
        item.extend(fields);
    }
    Value::Object(item)
}

fn list(args: &Args, view: View<'_>, out: &mut dyn Write) -> Result<(), Fail> {
    if args.write_out == Listing::Simple {
        writeln!(out, "{HEADER}")?;
    }
    let mut list =
        List::begin(out, args.write_out, "coldbolt.keys/1", &view.store().source().name(), "keys")?;
    let keys = view.keys(args.range());
    for state in if args.all { keys.with_deleted() } else { keys } {
        let state = state?;
        if args.write_out == Listing::Simple {
            list.item(&(), |out| line(out, &state))?;
        } else {
            list.item(&json_of(&state), |_| Ok(()))?;
        }
    }
    Ok(list.end()?)
}

fn top(args: &Args, n: usize, view: View<'_>, out: &mut dyn Write) -> Result<(), Fail> {
    let measure = |state: &KeyState| match args.by {
        By::Size => state.live_size(),
        By::Stored => state.bytes,
        By::Revisions => state.revisions,
        By::Churn => state.bytes.saturating_sub(state.live_size()),
    };
    let mut greatest: Vec<(u64, KeyState)> = Vec::new();
    let (mut total, mut names) = (0u64, KeyNames::new(args.etcd_prefix.as_deref()));
    // Of equals the first keys stay: the sort is stable.
    let cut = |greatest: &mut Vec<(u64, KeyState)>| {
        greatest.sort_by_key(|(measured, _)| std::cmp::Reverse(*measured));
        greatest.truncate(n);
    };
    for state in view.keys(args.range()).with_deleted() {
        let state = state?;
        names.see(&state);
        let measured = measure(&state);
        total = total.saturating_add(measured);
        greatest.push((measured, state));
        if greatest.len() >= n * 2 + 1024 {
            cut(&mut greatest);
        }
    }
    cut(&mut greatest);
    let resources = resources(names, &greatest, view)?;
    let mut list =
        List::begin(out, args.write_out, "coldbolt.keys-top/1", &view.store().source().name(), "keys")?;
    if args.write_out != Listing::Simple {
        for (at, (_, state)) in greatest.iter().enumerate() {
            let mut item = json_of(state);
            if let (Some(resources), Value::Object(item)) = (&resources, &mut item) {
                item.insert("resource".to_owned(), resources[at].clone().into());
            }
            list.item(&item, |_| Ok(()))?;
        }
        return Ok(list.end()?);
    }
    Ok(top_table(args.by, &greatest, total, resources, out)?)
}

fn top_table(
    by: By,
    greatest: &[(u64, KeyState)],
    total: u64,
    resources: Option<Vec<Option<String>>>,
    out: &mut dyn Write,
) -> io::Result<()> {
    let shown: Option<Vec<String>> = resources.map(|resources| {
        let shown =
            resources.into_iter().map(|name| name.map_or_else(|| "-".to_owned(), |name| clean(&name)));
        std::iter::once("RESOURCE".to_owned()).chain(shown).collect()
    });
    let width = shown.iter().flatten().map(|name| name.chars().count()).max().unwrap_or_default();
    let resource =
        |line: usize| shown.as_ref().map_or_else(String::new, |shown| format!("{:width$}  ", shown[line]));
    let bars = Bars::new();
    let most = greatest.first().map_or(0, |(measured, _)| *measured);
    let name = format!("{by:?}").to_uppercase();
    writeln!(out, "{name:>12}   SHARE  {}{}KEY", bars.header(), resource(0))?;
    for (at, (measured, state)) in greatest.iter().enumerate() {
        let shown = if by == By::Revisions { count(*measured) } else { size(*measured) };
        let deleted = if state.deleted { "  (deleted)" } else { "" };
        writeln!(
            out,
            "{shown:>12} {:>7}  {}{}{}{deleted}",
            percent(*measured, total),
            bars.bar(*measured, most),
            resource(at + 1),
            show_key(&state.key)
        )?;
    }
    Ok(())
}

/// The resource of each, where the file has Kubernetes objects.
fn resources(
    names: KeyNames,
    states: &[(u64, KeyState)],
    view: View<'_>,
) -> Result<Option<Vec<Option<String>>>, Fail> {
    let Some(names) = names.found(view)? else { return Ok(None) };
    let mut window = Window::scattered();
    let resource = |(_, state): &(u64, KeyState)| names.resource(view, state, &mut window);
    Ok(Some(states.iter().map(resource).collect::<coldbolt::Result<_>>()?))
}

fn percent(part: u64, whole: u64) -> String {
    if whole == 0 { "-".to_owned() } else { format!("{:.1} %", part as f64 * 100.0 / whole as f64) }
}

fn show_tree(args: &Args, view: View<'_>, out: &mut dyn Write) -> Result<(), Fail> {
    let separator = args.separator.to_string();
    let (range, separator, depth) = (args.range(), separator.as_bytes(), args.depth);
    let mut names = KeyNames::new(args.etcd_prefix.as_deref());
    let options = TreeOptions { range, separator, depth, most: MOST_NODES };
    let Some(root) = tree(view, &options, &mut |state| names.see(state))? else {
        let what =
            format!("more than {MOST_NODES} prefixes at depth {depth}; ask for fewer levels with --depth");
        return Err(Fail::Refused(what));
    };
    let simple = args.write_out == Listing::Simple;
    let bars = Bars::new();
    if simple {
        writeln!(out, "    KEYS     SIZE   STORED     REVS   SHARE  {}PREFIX", bars.header())?;
    }
    let mut list =
        List::begin(out, args.write_out, "coldbolt.keys-tree/1", &view.store().source().name(), "prefixes")?;
    let (names, mut window) = (names.found(view)?, Window::scattered());
    let mut pending = vec![(0usize, Vec::new(), &root)];
    while let Some((depth, above, node)) = pending.pop() {
        let path = [above.as_slice(), &node.name].concat();
        let first = node.first.as_ref();
        let named = names.as_ref().map(|names| names.resource_behind(&path, view, first, &mut window));
        let resource = named.transpose()?.flatten();
        if simple {
            list.item(&(), |out| node_line(out, node, depth, root.stored, &bars, resource.as_deref()))?;
        } else {
            list.item(&node_json(node, depth, &path, resource), |_| Ok(()))?;
        }
        pending.extend(node.children.iter().rev().map(|child| (depth + 1, path.clone(), child)));
    }
    Ok(list.end()?)
}

fn node_line(
    out: &mut dyn Write,
    node: &KeyNode,
    depth: usize,
    most: u64,
    bars: &Bars,
    resource: Option<&str>,
) -> io::Result<()> {
    let name = if depth == 0 { "(all)".into() } else { show_key(&node.name) };
    let resource = resource.map_or_else(String::new, |resource| format!("  ({})", clean(resource)));
    writeln!(
        out,
        "{:>8} {:>8} {:>8} {:>8} {:>7}  {}{}{name}{resource}",
        count(node.live),
        size(node.size),
        size(node.stored),
        count(node.revisions),
        percent(node.stored, most),
        bars.bar(node.stored, most),
        "  ".repeat(depth),
    )
}

fn node_json(node: &KeyNode, depth: usize, path: &[u8], resource: Option<String>) -> Value {
    let mut item = Map::new();
    json_bytes(&mut item, "prefix", path);
    for (name, n) in [
        ("depth", depth as u64),
        ("keys", node.live),
        ("bytes", node.size),
        ("stored_bytes", node.stored),
        ("stored_versions", node.revisions),
    ] {
        item.insert(name.to_owned(), n.into());
    }
    item.extend(resource.map(|resource| ("resource".to_owned(), resource.into())));
    Value::Object(item)
}
