//! `kube`: the Kubernetes objects in a keyspace.

mod get;
mod kinds;
mod print;

use super::keyspace::File;
use super::{Context, Done};

/// Kubernetes objects: what was in the cluster that a file holds, as kubectl would say it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Kinds(kinds::Args),
    Get(Box<get::Args>),
}

/// What the commands share: the file, and where in it.
#[derive(Debug, clap::Args)]
struct Common {
    #[command(flatten)]
    file: File,
    /// What stands before the keys of objects (the API server's --etcd-prefix) [default: where objects are found].
    #[arg(long, value_name = "PREFIX")]
    etcd_prefix: Option<String>,
    /// As of this revision; 0 is the last.
    #[arg(long, default_value_t = 0, value_name = "REVISION")]
    rev: i64,
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::Kinds(args) => kinds::run(args, context),
        Command::Get(args) => get::run(args, context),
    }
}
