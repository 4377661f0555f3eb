//! `version`, `completion`.

use clap::builder::PossibleValuesParser;
use clap::{Arg, ValueHint};
use clap_complete::Shell;
use coldbolt::kube::resource;

use super::context::{Context, Done, Verdict};

/// What is in the names of values that are files or directories.
const FILES: [&str; 5] = ["FILE", "DIR", "PATH", "NEW", "yaml"];

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
    let commands: Vec<String> = command.get_subcommands().map(|of| of.get_name().to_owned()).collect();
    let formats = super::kube::args::formats().into_iter().map(str::to_owned).collect();
    let values = Values { commands, kinds: kinds(), formats };
    clap_complete::generate(shell, &mut values.offered(words_are_no_files(command)), name, &mut script);
    script
}

/// What kinds are called that Kubernetes has by itself.
fn kinds() -> Vec<String> {
    let all = ["all", "all-kinds"].map(str::to_owned);
    let mut kinds: Vec<String> =
        resource::built_in().into_iter().map(|resource| resource.plural).chain(all).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// Words that are offered and are not all that there may be, so that no parser of an argument has them.
struct Values {
    commands: Vec<String>,
    kinds: Vec<String>,
    /// Those of `kube get`.
    formats: Vec<String>,
}

impl Values {
    fn offered(&self, command: clap::Command) -> clap::Command {
        let of = |arg: &Arg| match named(arg)?.as_str() {
            "COMMAND" => Some(&self.commands),
            "KIND" | "KIND[/NAME]" => Some(&self.kinds),
            "FORMAT" if arg.get_possible_values().is_empty() => Some(&self.formats),
            _ => None,
        };
        command
            .mut_args(|arg| match of(&arg) {
                Some(words) => arg.value_parser(PossibleValuesParser::new(words.clone())),
                None => arg,
            })
            .mut_subcommands(|command| self.offered(command))
    }
}

/// What an argument's value is called.
fn named(arg: &Arg) -> Option<String> {
    arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string)
}

/// What names no file is not completed to one.
fn words_are_no_files(command: clap::Command) -> clap::Command {
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
