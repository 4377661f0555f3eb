use std::cmp::Reverse;
use std::io::Write;
use std::ops::ControlFlow;

use clap::ValueEnum;
use coldbolt::kube::cluster::Cluster;
use coldbolt::kube::key::ObjectKey;
use coldbolt::kube::risk::{
    Risk, RiskFound, RiskOptions, RiskReport, RiskRule, RiskSeverity, new_risks, risks,
};
use coldbolt::kube::type_meta::{group_of, qualified};
use coldbolt::report::sarif;
use serde::Serialize;

use super::super::context::{Context, Done, Fail, Verdict};
use super::super::out::{List, Listing, clean, count, plain_table};
use super::super::progress::Terminal;
use super::super::sides::{side, sign};
use super::args::{Common, is_in};

/// List what gives power over the cluster: who is bound to which rights, pods that are root on their nodes, webhooks
/// that see all that is written, tokens and certificates that let someone in.
///
/// Each line has the name of a rule; `coldbolt explain` says what it means, whose guidance it is from (CIS, Pod
/// Security Standards, the Threat Matrix for Kubernetes), and what to look at. Most of it is meant, in most clusters:
/// `kube diff --security` tells what is new between two files. Left out and counted is what every API server gives by
/// itself, to whom and by which rules. What a pod has of its owner is told of the owner. What is encrypted is not
/// looked into without keys, and the exit code is then 4.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt kube security backup.db
  coldbolt kube security backup.db -n shop
  coldbolt kube security backup.db -w sarif > security.sarif
  coldbolt kube security backup.db -w ndjson | jq -c 'select(.rule == \"pod-privileged\")'")]
pub struct Args {
    #[command(flatten)]
    common: Common,
    /// Only objects in this namespace.
    #[arg(short, long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// Also what every API server makes by itself.
    #[arg(long)]
    all: bool,
    /// Format of the answer.
    #[arg(short, long)]
    #[arg(value_enum, default_value = "simple", value_name = "FORMAT")]
    write_out: RiskForm,
}

/// The formats of lists of risks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RiskForm {
    /// Lines for people.
    Simple,
    /// One JSON document with a schema version.
    Json,
    /// One JSON object a line.
    Ndjson,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
}

impl RiskForm {
    /// The same of lists that have no SARIF.
    pub fn listing(self) -> Option<Listing> {
        match self {
            RiskForm::Simple => Some(Listing::Simple),
            RiskForm::Json => Some(Listing::Json),
            RiskForm::Ndjson => Some(Listing::Ndjson),
            RiskForm::Sarif => None,
        }
    }
}

pub fn run(args: &Args, context: &mut Context<'_>) -> Done {
    let monitor = context.monitor;
    args.common.file.with(context, |store, out| {
        let cluster = args.common.cluster(store)?;
        let options = RiskOptions { namespace: args.namespace.as_deref(), own: args.all };
        let mut found = Vec::new();
        let report = risks(&cluster, options, &mut |risk| {
            found.push(risk);
            ControlFlow::Continue(())
        })?;
        found.sort_by_key(|found| worst_first(&found.risk));
        let file = side(cluster.view());
        match args.write_out.listing() {
            None => sarif::write_risks(&store.source().name(), found.iter(), &report, out)?,
            Some(listing) => {
                let rows = found.iter().map(|found| row("", found));
                write(out, listing, ("coldbolt.kube-security/1", &file), &found, rows, &report)?;
            }
        }
        if report.own > 0 {
            monitor.say(&format!("left out, as the API server makes it by itself: {}", count(report.own)));
        }
        let astray = match &args.namespace {
            Some(namespace) => !is_in(&cluster, namespace)?,
            None => report.objects == 0 && args.common.etcd_prefix.is_some(),
        };
        if let Some(namespace) = args.namespace.as_deref().filter(|_| astray) {
            monitor.warn(&format!("no object is in the namespace {}", clean(namespace)));
        } else if report.objects == 0 && args.namespace.is_none() {
            monitor.warn("no key is that of an object that rules are about");
        }
        Ok(if say_hidden(&report, monitor) || astray { Verdict::Inconclusive } else { Verdict::Good })
    })
}

/// What of all this is new, for `kube diff`; bad if something is.
pub fn between(
    [before, after]: [&Cluster<'_>; 2],
    wanted: &dyn Fn(&ObjectKey<'_>) -> bool,
    form: RiskForm,
    monitor: &Terminal,
    out: &mut dyn Write,
) -> Done {
    let mut found = Vec::new();
    let report = new_risks(before, after, wanted, &mut |risk| {
        found.push(risk);
        ControlFlow::Continue(())
    })?;
    found.sort_by_key(|new| worst_first(&new.found.risk));
    let sides = [before, after].map(|cluster| side(cluster.view()));
    match form.listing() {
        None => {
            let after = after.view().store().source().name();
            sarif::write_risks(&after, found.iter().map(|new| &new.found), &report, out)?;
        }
        Some(listing) => {
            if listing == Listing::Simple {
                writeln!(out, "--- {}\n+++ {}", sides[0], sides[1])?;
            }
            let about = ("coldbolt.kube-security-diff/1", &*sides.join(" "));
            let rows = found.iter().map(|new| row(&format!("{} ", sign(new.difference)), &new.found));
            write(out, listing, about, &found, rows, &report)?;
        }
    }
    Ok(if !found.is_empty() {
        Verdict::Bad
    } else if say_hidden(&report, monitor) {
        Verdict::Inconclusive
    } else {
        Verdict::Good
    })
}

fn worst_first(risk: &Risk) -> (Reverse<RiskSeverity>, RiskRule) {
    (Reverse(risk.rule.severity()), risk.rule)
}

/// Whether something was not looked into, which is said.
fn say_hidden(report: &RiskReport, monitor: &Terminal) -> bool {
    for (n, what) in [
        (report.encrypted, "encrypted"),
        (report.undecoded, "that are no objects of Kubernetes, or cannot be decoded"),
    ] {
        if n > 0 {
            monitor.warn(&format!("values that were not looked into: {} {what}", count(n)));
        }
    }
    report.encrypted.saturating_add(report.undecoded) > 0
}

fn write(
    out: &mut dyn Write,
    listing: Listing,
    (schema, file): (&str, &str),
    all: &[impl Serialize],
    rows: impl Iterator<Item = [String; 6]>,
    report: &RiskReport,
) -> Result<(), Fail> {
    if listing == Listing::Simple {
        let header = ["SEVERITY", "RULE", "NAMESPACE", "OBJECT", "WHAT", "WRITTEN"];
        writeln!(out, "{}", plain_table(header, rows))?;
        return Ok(());
    }
    let mut list = List::begin(out, listing, schema, file, "risks")?;
    all.iter().try_for_each(|item| list.item(item, |_| Ok(())))?;
    Ok(list.end_with("report", report)?)
}

fn row(mark: &str, found: &RiskFound) -> [String; 6] {
    let RiskFound { risk, api_version, kind, namespace, name, written, .. } = found;
    let kind = qualified(&kind.to_string().to_lowercase(), group_of(&api_version.to_string()));
    let written =
        written.as_ref().map_or_else(String::new, |written| format!("{} by {}", written.at, written.by));
    [
        risk.rule.severity().to_string(),
        risk.rule.to_string(),
        namespace.to_string(),
        format!("{mark}{kind}/{name}"),
        risk.detail.to_string(),
        written,
    ]
}
