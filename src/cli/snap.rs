//! `coldbolt snap show`.

use std::io::Write;
use std::path::PathBuf;

use clap::Args;
use coldbolt::ops::wal_dump::snap_show;
use coldbolt::raft::SnapshotMetadata;
use coldbolt::snap::file::{Membership, SnapFile};
use coldbolt::words::error::Told;
use coldbolt::{Error, Finding, MemberId};
use serde_json::{Map, Value, json};

use super::context::{Context, Done};
use super::out::Form;

const EXAMPLES: &str = "\
Examples:
  coldbolt snap show /backup/etcd-data/member/snap/0000000000000002-000000000000007a.snap
  coldbolt snap show FILE.snap -w json

Exit code 1 means that the file is damaged: etcd would rename it to .broken and take the next older one.";

/// Show a raft snapshot file (`member/snap/*.snap`): where in the log it was taken, who voted, who was a member.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ShowArgs {
    /// The file.
    file: PathBuf,
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "table", value_name = "FORMAT")]
    write_out: Form,
}

/// Runs the command.
pub fn run(args: &ShowArgs, context: &mut Context<'_>) -> Done {
    let (file, mut findings) = match snap_show(&args.file) {
        Ok(file) => (Some(file), Vec::new()),
        Err(Error::Damaged { path, corrupt }) => {
            (None, vec![Finding::from_corrupt(&coldbolt::words::error::show(&path), *corrupt)])
        }
        Err(error) => return Err(error.into()),
    };
    let membership = file.as_ref().and_then(|file| match file.membership() {
        Ok(membership) => Some(membership),
        Err(corrupt) => {
            findings.push(Finding::from_corrupt(&coldbolt::words::error::show(&args.file), *corrupt));
            None
        }
    });
    match args.write_out {
        Form::Json => {
            let document = document(file.as_ref(), membership.as_ref(), &findings);
            writeln!(context.out, "{document:#}")?;
        }
        Form::Table => {
            if let Some(file) = &file {
                text(context.out, file, membership.as_ref())?;
            }
        }
    }
    context.tell(findings)
}

fn document(file: Option<&SnapFile>, membership: Option<&Membership>, findings: &[Finding]) -> Value {
    let mut object = Map::new();
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    put("schema", "coldbolt.snap-show/1".into());
    if let Some(file) = file {
        put("term", json!(file.term()));
        put("index", json!(file.index()));
        put("crc", format!("{:08x}", file.crc).into());
        put("crc_ok", true.into());
        put("data_bytes", file.snapshot.data().len().into());
        put("conf_state", file.snapshot.metadata.as_ref().map_or(Value::Null, conf_state));
    }
    if let Some(membership) = membership {
        put("members", json!(membership.members));
        put("removed_members", json!(membership.removed));
        put("cluster_version", json!(membership.cluster_version));
    }
    put("findings", json!(findings));
    object.into()
}

fn text(out: &mut dyn Write, file: &SnapFile, membership: Option<&Membership>) -> std::io::Result<()> {
    writeln!(out, "term            {}", file.term())?;
    writeln!(out, "index           {}", file.index())?;
    writeln!(out, "crc             {:08x} (right)", file.crc)?;
    writeln!(out, "v2 store        {} bytes", file.snapshot.data().len())?;
    if let Some(conf_state) =
        file.snapshot.metadata.as_ref().and_then(|metadata| metadata.conf_state.as_ref())
    {
        let mut line = |name: &str, ids: &[u64]| {
            let ids: Vec<String> = ids.iter().map(|id| format!("{:#}", MemberId::new(*id))).collect();
            if ids.is_empty() { Ok(()) } else { writeln!(out, "{name:<15} {}", ids.join(" ")) }
        };
        line("voters", &conf_state.voters)?;
        line("learners", &conf_state.learners)?;
        line("voters outgoing", &conf_state.voters_outgoing)?;
        line("learners next", &conf_state.learners_next)?;
    }
    let Some(membership) = membership else { return Ok(()) };
    if let Some(version) = &membership.cluster_version {
        writeln!(out, "cluster version {}", version)?;
    }
    for member in &membership.members {
        let name = member.name.clone().unwrap_or_else(|| "(no name yet)".into());
        let learner = if member.is_learner { " learner" } else { "" };
        let (peers, clients) = (Told::list(&member.peer_urls), Told::list(&member.client_urls));
        writeln!(out, "member          {:#} {name}{learner} peers {} clients {}", member.id, peers, clients)?;
    }
    for id in &membership.removed {
        writeln!(out, "removed member  {id:#}")?;
    }
    Ok(())
}

/// The conf state of a snapshot as JSON.
pub fn conf_state(metadata: &SnapshotMetadata) -> Value {
    metadata.conf_state.as_ref().map_or(Value::Null, |state| {
        json!({
            "voters": hex_ids(&state.voters),
            "learners": hex_ids(&state.learners),
            "voters_outgoing": hex_ids(&state.voters_outgoing),
            "learners_next": hex_ids(&state.learners_next),
            "auto_leave": state.auto_leave(),
        })
    })
}

fn hex_ids(ids: &[u64]) -> Value {
    ids.iter().map(|id| json!(MemberId::new(*id))).collect()
}
