//! `version`, `completion`, `man`.

use clap::{Arg, ValueHint};
use clap_complete::Shell;

use super::context::{Context, Done, Fail, Verdict};
use super::exit;

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

/// Print the manual page, of coldbolt or of one command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  coldbolt man | man -l -
  coldbolt man snapshot status > coldbolt-snapshot-status.1")]
pub struct ManArgs {
    /// The command, by its words; none for the overview.
    #[arg(value_name = "COMMAND")]
    words: Vec<String>,
}

pub fn man(args: &ManArgs, mut command: clap::Command, context: &mut Context<'_>) -> Done {
    command.build();
    let mut name = String::from("coldbolt");
    for word in &args.words {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| Fail::Usage(format!("there is no command `{name} {word}`")))?;
        name = format!("{name}-{word}");
    }
    let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let page = clap_mangen::Man::new(command).title(name);
    let out = &mut *context.out;
    page.render_title(out)?;
    // Words are whole, and lines end where they may: what is typed is never broken.
    writeln!(out, ".nh\n.ad l")?;
    page.render_name_section(out)?;
    page.render_synopsis_section(out)?;
    page.render_description_section(out)?;
    page.render_options_section(out)?;
    page.render_subcommands_section(out)?;
    writeln!(out, ".SH \"EXIT STATUS\"")?;
    for (code, meaning) in exit::TABLE {
        writeln!(out, ".TP\n{}\n{}", roff(code), roff(meaning))?;
    }
    let mut lines = examples.lines().skip_while(|line| line.starts_with("Example"));
    writeln!(out, ".SH EXAMPLES\n.nf")?;
    lines.try_for_each(|line| writeln!(out, "{}", roff(line)))?;
    writeln!(out, ".fi")?;
    page.render_version_section(out)?;
    Ok(Verdict::Good)
}

/// Text as roff prints it as it is.
fn roff(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-").replace('\'', "\\(aq");
    if line.starts_with('.') { format!("\\&{line}") } else { line }
}
