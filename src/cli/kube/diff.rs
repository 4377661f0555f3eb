use std::io::{self, Write};

use coldbolt::etcd::KeyRange;
use coldbolt::kube::changes::noise::Noise;
use coldbolt::kube::changes::objects::{
    ObjectDiffOptions, ObjectDiffReport, ObjectDifference, ObjectState, object_diff,
};
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::key::ObjectKey;
use coldbolt::kube::selector::LabelSelector;
use coldbolt::kube::type_meta::{group_of, qualified};

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::keyspace::keep;
use super::super::out::{List, Listing, clean, count};
use super::super::sides::{Sides, side, sign};
use super::args::Secrets;
use super::changes::{NoiseArgs, left_out, lines};
use super::get::{Wanted, selector, wanted};

/// Print which objects differ between two files, or in one file between two revisions, field by field. Exit code 1 when
/// some do.
///
/// `+` added, `-` removed, `~` changed, `!` recreated: of the same name, with another uid. Elements of lists are those
/// of the same name, type or port, as Kubernetes merges them. Each side is taken as of its last revision, or of
/// --from-rev (the first PATH) and --to-rev (the second PATH, or the only one).
///
/// Left out and counted are, by rule: leases and events (unless --kind names them), managed-fields, resource-version,
/// generation (and observedGeneration), heartbeats (lastHeartbeatTime and lastProbeTime of conditions) and
/// leader-election (its annotation). The data of Secrets is redacted; a keyed hash tells whether it changed. What
/// cannot be decoded, as it is encrypted, is told where its bytes differ; if nothing else does, the exit code is 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube diff m2.db m3.db
  coldbolt kube diff m2.db m3.db --all-fields
  coldbolt kube diff m2.db m3.db --kind deploy,cm/settings -n shop
  coldbolt kube diff backup.db --from-rev 100 --kind pods -l app=web --with managed-fields
  coldbolt kube diff m2.db m3.db -w ndjson | jq -c 'select(.difference == \"removed\")'")]
pub struct Args {
    #[command(flatten)]
    sides: Sides,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// Only objects of these kinds, named as in `kube get`: deploy,cm/settings.
    #[arg(long, default_value = "all-kinds", value_name = "KIND[/NAME]")]
    kind: String,
    /// Only objects in this namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// In all namespaces and in none, as without --namespace.
    #[arg(short = 'A', long, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// With these labels on one of the sides, as `app=web,tier!=db`.
    #[arg(short = 'l', long, default_value = "", value_name = "SELECTOR")]
    selector: String,
    #[command(flatten)]
    noise: NoiseArgs,
    #[command(flatten)]
    secrets: Secrets,
    /// Format of the answer.
    #[arg(short, long, visible_short_alias = 'o', visible_alias = "output")]
    #[arg(value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: Listing,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let selector = selector(&args.selector)?;
    let monitor = context.monitor;
    args.sides.with(context, |[before, after], out| {
        let prefix = args.etcd_prefix.as_deref();
        let (before, after) = (Cluster::open(before, prefix)?, Cluster::open(after, prefix)?);
        let report = list(args, [&before, &after], &selector, out)?;
        if let Some(namespace) = args.namespace.as_deref().filter(|_| report.differing() == 0)
            && !is_in(&before, namespace)?
            && !is_in(&after, namespace)?
        {
            monitor.say(&format!("no object is in the namespace {} on either side", clean(namespace)));
            return Ok(Verdict::Inconclusive);
        }
        Ok(if report.differing() > report.undecoded {
            Verdict::Bad
        } else if report.undecoded > 0 || report.selection_unknown > 0 {
            Verdict::Inconclusive
        } else {
            Verdict::Good
        })
    })
}

fn list(
    args: &Args,
    [before, after]: [&Cluster<'_>; 2],
    selector: &LabelSelector,
    out: &mut dyn Write,
) -> Result<ObjectDiffReport, Fail> {
    let wanted = wanted_of(args, [before, after])?;
    let every = wanted.iter().any(|wanted| wanted.resource.is_none());
    let hidden: Vec<Noise> =
        args.noise.hidden().into_iter().filter(|noise| every || !is_kind(*noise)).collect();
    let is_wanted = |key: &ObjectKey<'_>| {
        args.namespace.as_deref().is_none_or(|namespace| key.namespace == Some(namespace))
            && wanted.iter().any(|wanted| is_one(wanted, key))
    };
    let path = path(args, &wanted, [before, after]);
    let redactor = args.secrets.redactor();
    let options = ObjectDiffOptions {
        range: KeyRange::prefix(path.as_bytes()),
        wanted: &is_wanted,
        selector,
        hidden: &hidden,
        redactor: redactor.as_ref(),
    };
    let simple = args.write_out == Listing::Simple;
    let sides = [before, after].map(|cluster| side(cluster.view()));
    if simple {
        writeln!(out, "--- {}\n+++ {}", sides[0], sides[1])?;
    }
    let mut list = List::begin(out, args.write_out, "coldbolt.kube-diff/1", &sides.join(" "), "differences")?;
    let mut done = Ok(());
    let report = object_diff(before, after, &options, &mut |difference| {
        keep(&mut done, list.item(&difference, |out| object(out, &difference)))
    })?;
    done?;
    list.end_with("report", &report)?;
    if simple {
        totals(out, &report, every)?;
    }
    Ok(report)
}

/// Whether an object is in a namespace, or the namespace is there.
fn is_in(cluster: &Cluster<'_>, namespace: &str) -> Result<bool, Fail> {
    for state in cluster.view().keys(KeyRange::all()) {
        let key = state?.key;
        let at = cluster.key(&key).object();
        let is_it = |at: &ObjectKey<'_>| at.resource == "namespaces" && at.name == namespace;
        if at.is_some_and(|at| at.namespace == Some(namespace) || is_it(&at)) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Kinds may be defined on one side only.
fn wanted_of(args: &Args, clusters: [&Cluster<'_>; 2]) -> Result<Vec<Wanted>, Fail> {
    let [one, other] = clusters.map(|cluster| wanted(&args.kind, &[], cluster));
    one.or(other)
}

fn is_kind(noise: Noise) -> bool {
    matches!(noise, Noise::Leases | Noise::Events)
}

fn is_one(wanted: &Wanted, key: &ObjectKey<'_>) -> bool {
    wanted.resource.as_ref().is_none_or(|resource| resource.holds(key))
        && (wanted.names.is_empty() || wanted.names.iter().any(|name| name == key.name))
}

/// What the keys of all that is wanted begin with.
fn path(args: &Args, wanted: &[Wanted], clusters: [&Cluster<'_>; 2]) -> String {
    let mut prefixes: Vec<&String> = clusters.iter().flat_map(|cluster| cluster.prefixes()).collect();
    prefixes.sort();
    prefixes.dedup();
    let ([prefix], [Wanted { resource: Some(resource), .. }]) = (&*prefixes, wanted) else {
        return String::new();
    };
    let namespace = args.namespace.as_ref().map_or_else(String::new, |namespace| format!("{namespace}/"));
    format!("{prefix}/{}/{namespace}", resource.path())
}

fn object(out: &mut dyn Write, difference: &ObjectDifference) -> io::Result<()> {
    let name = qualified(&difference.object_kind.to_lowercase(), group_of(&difference.api_version));
    let namespace = difference.namespace.as_ref().map_or_else(String::new, |ns| format!(" -n {ns}"));
    let revisions = match (&difference.before, &difference.after) {
        (Some(a), Some(b)) if a.mod_revision != b.mod_revision => {
            format!("revision {} -> {}", a.mod_revision, b.mod_revision)
        }
        (a, b) => {
            a.as_ref().or(b.as_ref()).map_or_else(String::new, |s| format!("revision {}", s.mod_revision))
        }
    };
    let name = clean(&format!("{name}/{}{namespace}", difference.name)).replace('\n', "\\n");
    writeln!(out, "{} {name}  ({revisions})", sign(difference.kind))?;
    for (side, state) in [("before", &difference.before), ("after", &difference.after)] {
        if let Some(ObjectState { undecoded: Some(why), .. }) = state {
            writeln!(out, "    {side}: {}", clean(why))?;
        }
    }
    let fields = difference.fields.iter().flat_map(|fields| lines(fields, ""));
    fields.into_iter().try_for_each(|line| writeln!(out, "    {line}"))
}

fn totals(out: &mut dyn Write, report: &ObjectDiffReport, every: bool) -> io::Result<()> {
    writeln!(
        out,
        "{} added, {} removed, {} changed, {} recreated",
        count(report.added),
        count(report.removed),
        count(report.changed),
        count(report.recreated)
    )?;
    left_out(out, &report.left_out)?;
    for (n, what) in [
        (report.only_noise, "objects differ in nothing else"),
        (report.rewritten, "objects are written in another way and say the same"),
        (report.undecoded, "of the changed could not be compared"),
        (
            report.selection_unknown,
            "that differ could not be decoded: whether they are selected is not known",
        ),
        (if every { report.other_keys } else { 0 }, "keys that differ are no objects"),
    ] {
        if n > 0 {
            writeln!(out, "{} {what}", count(n))?;
        }
    }
    Ok(())
}
