//! `inspect`: the Kubernetes cluster that a database holds.

use std::io::{self, Write};

use coldbolt::ops::inspect::kubernetes::KubernetesReport;
use coldbolt::words::error::Told;

use crate::cli::out::{count, labelled, plain_table};

/// Names of nodes or namespaces that are shown; all are in JSON.
const SHOWN: usize = 20;

pub fn show(out: &mut dyn Write, cluster: &KubernetesReport) -> io::Result<()> {
    let version = match (&cluster.version, cluster.at_least) {
        (Some(version), false) => format!("version {version} (inferred)"),
        (Some(version), true) => format!("version at least {version} (inferred)"),
        (None, _) => "version unknown: nothing in the file tells it".to_owned(),
    };
    let objects = cluster.objects.values().sum::<u64>();
    let encrypted = match cluster.encrypted {
        0 => String::new(),
        n => format!(", {} of them encrypted", count(n)),
    };
    writeln!(
        out,
        "{}",
        labelled("kubernetes", &format!("{version}; {} objects{encrypted}", count(objects)))
    )?;
    for reason in &cluster.reasons {
        writeln!(out, "{}", labelled("", &reason.to_string()))?;
    }
    if let Some(distribution) = cluster.distribution {
        let what = format!("of {distribution}, whose servers share what `coldbolt kube bootstrap` opens");
        writeln!(out, "{}", labelled("", &what))?;
    }
    let nodes = cluster.nodes.iter().map(|(name, kubelet)| match kubelet {
        Some(kubelet) => format!("{name} (kubelet {kubelet})"),
        None => name.to_string(),
    });
    names(out, "nodes", nodes)?;
    names(out, "API servers", cluster.api_servers.iter().map(Told::to_string))?;
    names(out, "namespaces", cluster.namespaces.iter().map(Told::to_string))?;
    let mut objects: Vec<_> = cluster.objects.iter().collect();
    objects.sort_by_key(|(_, n)| std::cmp::Reverse(**n));
    let more = objects.len().saturating_sub(SHOWN);
    let rows = objects.iter().take(SHOWN).map(|(resource, n)| [resource.to_string(), count(**n)]);
    writeln!(out, "\n{}", plain_table(["RESOURCE", "OBJECTS"], rows))?;
    if more > 0 {
        writeln!(out, "and {} more; `coldbolt kube kinds` has them all, with sizes", count(more as u64))?;
    }
    Ok(())
}

fn names(out: &mut dyn Write, label: &str, names: impl ExactSizeIterator<Item = String>) -> io::Result<()> {
    let all = names.len();
    if all == 0 {
        return Ok(());
    }
    let shown = names.take(SHOWN).collect::<Vec<_>>().join(", ");
    let more = if all > SHOWN { format!(" and {} more", count((all - SHOWN) as u64)) } else { String::new() };
    writeln!(out, "{}", labelled(label, &format!("{} ({shown}{more})", count(all as u64))))
}
