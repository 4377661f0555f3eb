//! Members that run and files that should agree.

use coldbolt::ops::compare_live::{LiveCompareReport, LiveHash, compare_live};
use coldbolt::store::Store;
use coldbolt::words::error::printable;
use serde_json::{Value, json};

use super::super::context::{Context, Done, Verdict};
use super::super::out::{self, Form, json as print_json, plain_table};
use super::Members;

/// Compares them, and prints how they differ.
pub fn compare(members: &Members, stores: &[Store<'_>], form: Form, context: &mut Context<'_>) -> Done {
    let cluster = members.cluster(context.monitor)?;
    let report = compare_live(&cluster, stores, context.monitor)?;
    match form {
        Form::Json => print_json(context.out, &document(&report, members.verified(cluster.endpoints())))?,
        Form::Table => {
            writeln!(context.out, "{}", text(&report))?;
            members.warn(context.out)?;
        }
    }
    Ok(match report.agree() {
        Some(false) => Verdict::Bad,
        _ if context.monitor.damage() => Verdict::Bad,
        Some(true) => Verdict::Good,
        None => Verdict::Inconclusive,
    })
}

fn text(report: &LiveCompareReport) -> String {
    let rows = report.members.iter().map(|member| {
        let compact = member.compact_revision.filter(|compact| *compact >= 0);
        let or_none = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        [
            printable(&member.name),
            member.revision.to_string(),
            or_none(compact.map(|compact| compact.to_string())),
            or_none(member.hash.map(|hash| hash.to_string())),
            member.why.as_deref().map(printable).unwrap_or_default(),
        ]
    });
    let mut text = plain_table(["WHO", "REVISION", "COMPACTED", "HASHKV", ""], rows);
    let at = match report.compact_revision {
        compact @ 0.. => format!("at revision {}, as if compacted at {compact}", report.revision),
        _ => format!("at revision {}", report.revision),
    };
    text += &match report.agree() {
        Some(true) => format!("\nall agree {at}"),
        Some(false) => format!("\nthey do not agree {at}"),
        None => format!("\nnot all could be compared {at}"),
    };
    if report.clusters().len() > 1 {
        let of = |member: &LiveHash| Some(format!("{} of {:#}", printable(&member.name), member.cluster?));
        let each: Vec<_> = report.members.iter().filter_map(of).collect();
        text += &format!("\nTHESE ARE MEMBERS OF {} CLUSTERS: {}", report.clusters().len(), each.join(", "));
    }
    text
}

fn document(report: &LiveCompareReport, verified: bool) -> Value {
    let head = json!({
        "schema": "coldbolt.compare-live/1",
        "servers_verified": verified,
        "agree": report.agree(),
    });
    out::document(head, report)
}
