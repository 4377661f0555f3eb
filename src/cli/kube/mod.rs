//! `kube`: the Kubernetes objects in a keyspace.

pub mod args;
mod bootstrap;
pub mod changes;
mod diff;
mod documents;
mod edit;
mod encryption;
mod extract;
mod form;
pub mod get;
mod habits;
mod history;
mod kinds;
mod print;
mod secrets;
mod security;
mod template;

use super::context::{Context, Done};

/// Kubernetes objects: what was in the cluster that a file holds, as kubectl would say it.
#[derive(Debug, clap::Subcommand)]
pub enum Command {
    Kinds(kinds::Args),
    Get(Box<args::Args>),
    Diff(Box<diff::Args>),
    History(Box<history::Args>),
    Extract(Box<extract::args::Args>),
    Encryption(Box<encryption::Args>),
    Secrets(Box<secrets::Args>),
    Security(Box<security::Args>),
    Bootstrap(Box<bootstrap::Args>),
    Put(edit::PutArgs),
    Delete(edit::DeleteArgs),
}

impl Command {
    /// Whether its exit code is a verdict that takes all the work.
    pub fn judges(&self) -> bool {
        matches!(
            self,
            Command::Diff(_)
                | Command::Encryption(_)
                | Command::Secrets(_)
                | Command::Security(_)
                | Command::Bootstrap(_)
        )
    }

    /// Whether it writes files.
    pub fn writes(&self) -> bool {
        match self {
            Command::Bootstrap(args) => args.writes(),
            command => matches!(command, Command::Extract(_) | Command::Put(_) | Command::Delete(_)),
        }
    }
}

pub fn run(command: &Command, context: &mut Context<'_>) -> Done {
    match command {
        Command::Kinds(args) => kinds::run(args, context),
        Command::Get(args) => get::run(args, context),
        Command::Diff(args) => diff::run(args, context),
        Command::History(args) => history::run(args, context),
        Command::Extract(args) => extract::run(args, context),
        Command::Encryption(args) => encryption::run(args, context),
        Command::Secrets(args) => secrets::run(args, context),
        Command::Security(args) => security::run(args, context),
        Command::Bootstrap(args) => bootstrap::run(args, context),
        Command::Put(args) => edit::put(args, context),
        Command::Delete(args) => edit::delete(args, context),
    }
}
