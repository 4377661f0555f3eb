//! `stats`, `inspect` and `compact`.

use std::io::{self, Write};

use coldbolt::bolt::Db;
use coldbolt::codec::go::go_text;
use coldbolt::codec::json::quote;
use coldbolt::ops::bolt::{BucketNode, BucketStats, BucketTree, bucket_tree, compact};
use coldbolt::words::finding::Finding;

use super::args::{CompactArgs, OneFile, StatsArgs};
use super::file::{database, open, refused};
use crate::cli::context::{Context, Fail};

/// Buckets inside one another are printed so deep.
const DEEPEST: usize = 1000;

/// All buckets; what cannot be read of them is told.
fn walked(db: &Db<'_>, context: &Context<'_>) -> Result<BucketTree, Fail> {
    use coldbolt::words::monitor::Monitor;
    let tree = bucket_tree(db, context.monitor)?;
    for fault in &tree.faults.kept {
        context.monitor.finding(Finding::from_corrupt(&db.source().name(), fault.clone()));
    }
    Ok(tree)
}

pub fn stats(args: &StatsArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.file.path)?;
    let db = open(&source, context.monitor)?;
    let tree = walked(&db, context)?;
    let prefix = args.prefix.as_deref().unwrap_or_default().as_encoded_bytes();
    let top = tree.buckets.iter().filter(|node| node.parent == Some(0) && node.name.starts_with(prefix));
    let (mut count, mut all) = (0, BucketStats::default());
    for node in top {
        count += 1;
        all = all.and(node.stats);
    }
    Ok(print_stats(count, &all, db.page_size(), context.out)?)
}

fn print_stats(count: u64, all: &BucketStats, page_size: u64, out: &mut dyn Write) -> io::Result<()> {
    let bytes = |pages: u64, overflow: u64| pages.saturating_add(overflow).saturating_mul(page_size);
    let branch = bytes(all.branch_pages, all.branch_overflow);
    let leaf = bytes(all.leaf_pages, all.leaf_overflow);
    writeln!(out, "Aggregate statistics for {count} buckets\n")?;
    writeln!(out, "Page count statistics")?;
    writeln!(out, "\tNumber of logical branch pages: {}", all.branch_pages)?;
    writeln!(out, "\tNumber of physical branch overflow pages: {}", all.branch_overflow)?;
    writeln!(out, "\tNumber of logical leaf pages: {}", all.leaf_pages)?;
    writeln!(out, "\tNumber of physical leaf overflow pages: {}", all.leaf_overflow)?;
    writeln!(out, "Tree statistics")?;
    writeln!(out, "\tNumber of keys/value pairs: {}", all.keys)?;
    writeln!(out, "\tNumber of levels in B+tree: {}", all.depth)?;
    writeln!(out, "Page size utilization")?;
    writeln!(out, "\tBytes allocated for physical branch pages: {branch}")?;
    let (used, share) = (all.branch_used, percent(all.branch_used, branch));
    writeln!(out, "\tBytes actually used for branch data: {used} ({share}%)")?;
    writeln!(out, "\tBytes allocated for physical leaf pages: {leaf}")?;
    let (used, share) = (all.leaf_used, percent(all.leaf_used, leaf));
    writeln!(out, "\tBytes actually used for leaf data: {used} ({share}%)")?;
    writeln!(out, "Bucket statistics\n\tTotal number of buckets: {}", all.buckets)?;
    let (inline, share) = (all.inline_buckets, percent(all.inline_buckets, all.buckets));
    writeln!(out, "\tTotal number on inlined buckets: {inline} ({share}%)")?;
    let (used, share) = (all.inline_used, percent(all.inline_used, all.leaf_used));
    writeln!(out, "\tBytes used for inlined buckets: {used} ({share}%)")
}

/// As Go computes it, in 32 bits.
fn percent(part: u64, whole: u64) -> i64 {
    if whole == 0 { 0 } else { (part as f32 * 100.0 / whole as f32) as i64 }
}

pub fn inspect(args: &OneFile, context: &mut Context<'_>) -> Result<(), Fail> {
    let source = database(&args.path)?;
    let db = open(&source, context.monitor)?;
    let tree = walked(&db, context)?;
    let mut inside: Vec<Vec<usize>> = vec![Vec::new(); tree.buckets.len()];
    let mut depth = vec![0; tree.buckets.len()];
    for (at, node) in tree.buckets.iter().enumerate() {
        let Some(parent) = node.parent else { continue };
        inside[parent].push(at);
        depth[at] = depth[parent] + 1;
        if depth[at] > DEEPEST {
            return refused(format!("buckets are nested more than {DEEPEST} deep"));
        }
    }
    structure(&tree.buckets, &inside, 0, 0, context.out)?;
    Ok(writeln!(context.out)?)
}

/// `json.MarshalIndent` of a `BucketStructure`.
fn structure(
    buckets: &[BucketNode],
    inside: &[Vec<usize>],
    at: usize,
    depth: usize,
    out: &mut dyn Write,
) -> io::Result<()> {
    let indent = |more: usize| "    ".repeat(depth + more);
    let name = if at == 0 { "\"root\"".to_owned() } else { quote(&go_text(&buckets[at].name)) };
    writeln!(out, "{{\n{}\"name\": {name},", indent(1))?;
    write!(out, "{}\"keyN\": {}", indent(1), buckets[at].values)?;
    if !inside[at].is_empty() {
        write!(out, ",\n{}\"buckets\": [", indent(1))?;
        for (nth, child) in inside[at].iter().enumerate() {
            write!(out, "{}\n{}", if nth > 0 { "," } else { "" }, indent(2))?;
            structure(buckets, inside, *child, depth + 2, out)?;
        }
        write!(out, "\n{}]", indent(1))?;
    }
    write!(out, "\n{}}}", indent(0))
}

/// Neither the size of its transactions nor `--no-sync` means anything to a bulk load.
pub fn compacted(args: &CompactArgs, context: &mut Context<'_>) -> Result<(), Fail> {
    if args.output.as_os_str().is_empty() {
        return refused("output file required");
    }
    let _ = (&args.more, args.tx_max_size, args.no_sync);
    let source = database(&args.file.path)?;
    let made = compact(&source, &args.output, context.monitor)?;
    let gain = made.before as f64 / made.after as f64;
    Ok(writeln!(context.out, "{} -> {} bytes (gain={gain:.2}x)", made.before, made.after)?)
}
