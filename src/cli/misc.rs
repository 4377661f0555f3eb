//! `version`, `completion`, `man`.

use clap::CommandFactory;
use clap_complete::Shell;

use super::{Cli, Context, Done, Fail, Verdict};

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

pub fn completion(args: &CompletionArgs, context: &mut Context<'_>) -> Done {
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "coldbolt", &mut script);
    context.out.write_all(&script)?;
    Ok(Verdict::Good)
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

pub fn man(args: &ManArgs, context: &mut Context<'_>) -> Done {
    let mut command = Cli::command();
    command.build();
    let mut name = String::from("coldbolt");
    for word in &args.words {
        let found = command.find_subcommand(word).cloned();
        command = found.ok_or_else(|| Fail::Usage(format!("there is no command `{name} {word}`")))?;
        name = format!("{name}-{word}");
    }
    clap_mangen::Man::new(command).title(name).render(context.out)?;
    Ok(Verdict::Good)
}
