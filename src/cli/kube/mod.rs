//! `kube`: the Kubernetes objects in a keyspace.

mod args;
mod documents;
mod edit;
mod get;
mod kinds;
mod print;

use super::context::{Context, Done};

/// Kubernetes objects: what was in the cluster that a file holds, as kubectl would say it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Kinds(kinds::Args),
    Get(Box<args::Args>),
    Put(edit::PutArgs),
    Delete(edit::DeleteArgs),
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::Kinds(args) => kinds::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Put(args) => edit::put(args, context),
        Command::Delete(args) => edit::delete(args, context),
    }
}
