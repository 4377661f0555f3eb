//! `version`, `completion`.

use clap::{Arg, ValueHint};
use clap_complete::Shell;

use super::context::{Context, Done, Verdict};

/// What is in the names of values that are files or directories.
const FILES: [&str; 7] = ["FILE", "DIR", "PATH", "NEW", "SRC", "DEST", "yaml"];

/// Print the version.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt version")]
pub struct VersionArgs {}

pub fn version(_: &VersionArgs, context: &mut Context<'_>) -> Done {
    writeln!(context.out, "coldbolt {}", env!("CARGO_PKG_VERSION"))?;
    Ok(Verdict::Good)
}

/// Print a completion script for a shell.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  coldbolt completion bash > /etc/bash_completion.d/coldbolt")]
pub struct CompletionArgs {
    /// The shell.
    shell: Shell,
}

pub fn completion(args: &CompletionArgs, command: clap::Command, context: &mut Context<'_>) -> Done {
    context.out.write_all(&script(args.shell, command, "coldbolt"))?;
    Ok(Verdict::Good)
}

/// The completion script of a program.
pub fn script(shell: Shell, command: clap::Command, name: &str) -> Vec<u8> {
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut words_are_no_files(command), name, &mut script);
    script
}

/// What names no file is not completed to one.
fn words_are_no_files(command: clap::Command) -> clap::Command {
    let named = |arg: &Arg| arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string);
    let of_a_file = |name: &str| FILES.iter().any(|file| name.contains(file));
    command
        .mut_args(|arg| match named(&arg).filter(|_| takes_a_value(&arg)) {
            Some(name) if !of_a_file(&name) => arg.value_hint(ValueHint::Other),
            _ => arg,
        })
        .mut_subcommands(words_are_no_files)
}

fn takes_a_value(arg: &Arg) -> bool {
    arg.get_action().takes_values() && arg.get_num_args().is_none_or(|values| values.takes_values())
}
