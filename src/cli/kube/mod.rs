//! `kube`: the Kubernetes objects in a keyspace.

pub mod args;
pub mod changes;
mod diff;
mod extract;
mod get;
mod history;
mod kinds;
mod print;

use super::context::{Context, Done};

/// Kubernetes objects: what was in the cluster that a file holds, as kubectl would say it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Kinds(kinds::Args),
    Get(Box<args::Args>),
    Diff(Box<diff::Args>),
    History(Box<history::Args>),
    Extract(Box<extract::args::Args>),
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::Kinds(args) => kinds::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Extract(args) => extract::run(args, context),
    }
}
