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
use super::super::progress::Terminal;
use super::super::sides::{Sides, side, sign};
use super::args::{Secrets, is_in};
use super::changes::{NoiseArgs, left_out, lines};
use super::get::{Wanted, selector, wanted};
use super::security::{RiskForm, between};

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
  coldbolt kube diff --security before.db after.db
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
    /// Only what gives more power over the cluster than before: rights, privileged pods, webhooks, tokens, what guarded
    /// and is gone, etcd's own users; `kube security` lists all of it in one file.
    #[arg(long, conflicts_with_all = ["selector", "with", "all_fields"])]
    security: bool,
    /// Format of the answer; sarif with --security.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: RiskForm,
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let selector = selector(&args.selector)?;
    let monitor = context.monitor;
    args.sides.with(context, |[before, after], out| {
        let prefix = args.etcd_prefix.as_deref();
        let (before, after) = (Cluster::open(before, prefix)?, Cluster::open(after, prefix)?);
        let clusters = [&before, &after];
        let nowhere = || nowhere(args, clusters, monitor);
        let all = wanted_of(args, clusters)?;
        let listing = match args.write_out.listing() {
            Some(listing) if !args.security => listing,
            None if !args.security => {
                return Err(Fail::Usage("-w sarif goes with --security".to_owned()));
            }
            _ => {
                let verdict = between(clusters, &is_wanted(args, &all), args.write_out, monitor, out)?;
                return Ok(if verdict == Verdict::Good && nowhere()? {
                    Verdict::Inconclusive
                } else {
                    verdict
                });
            }
        };
        let report = list(args, clusters, &all, listing, &selector, out)?;
        if report.differing() == 0 && nowhere()? {
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
    wanted: &[Wanted],
    listing: Listing,
    selector: &LabelSelector,
    out: &mut dyn Write,
) -> Result<ObjectDiffReport, Fail> {
    let every = wanted.iter().any(|wanted| wanted.resource.is_none());
    let hidden: Vec<Noise> =
        args.noise.hidden().into_iter().filter(|noise| every || !is_kind(*noise)).collect();
    let path = path(args, wanted, [before, after]);
    let redactor = args.secrets.redactor();
    let options = ObjectDiffOptions {
        range: KeyRange::prefix(path.as_bytes()),
        wanted: &is_wanted(args, wanted),
        selector,
        hidden: &hidden,
        redactor: redactor.as_ref(),
    };
    let simple = listing == Listing::Simple;
    let sides = [before, after].map(|cluster| side(cluster.view()));
    if simple {
        writeln!(out, "--- {}\n+++ {}", sides[0], sides[1])?;
    }
    let mut list = List::begin(out, listing, "coldbolt.kube-diff/1", &sides.join(" "), "differences")?;
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

/// Whether a namespace was asked for that is on neither side, which is said.
fn nowhere(args: &Args, clusters: [&Cluster<'_>; 2], monitor: &Terminal) -> Result<bool, Fail> {
    let Some(namespace) = args.namespace.as_deref() else { return Ok(false) };
    for cluster in clusters {
        if is_in(cluster, namespace)? {
            return Ok(false);
        }
    }
    monitor.say(&format!("no object is in the namespace {} on either side", clean(namespace)));
    Ok(true)
}

/// Kinds may be defined on one side only.
fn wanted_of(args: &Args, clusters: [&Cluster<'_>; 2]) -> Result<Vec<Wanted>, Fail> {
    let [one, other] = clusters.map(|cluster| wanted(&args.kind, &[], cluster));
    one.or(other)
}

fn is_kind(noise: Noise) -> bool {
    matches!(noise, Noise::Leases | Noise::Events)
}

/// Which keys are those of objects that are wanted.
fn is_wanted<'w>(args: &'w Args, all: &'w [Wanted]) -> impl Fn(&ObjectKey<'_>) -> bool + 'w {
    |key| {
        args.namespace.as_deref().is_none_or(|namespace| key.namespace == Some(namespace))
            && all.iter().any(|wanted| is_one(wanted, key))
    }
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
