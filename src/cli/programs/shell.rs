//! `completion`, which cobra adds to a program: the shells are its, the scripts are clap's.

use clap::{CommandFactory, Subcommand};

use super::cobra;
use crate::cli::context::{Context, Fail};

#[derive(Debug, Subcommand)]
pub enum Shell {
    #[command(about = "Generate the autocompletion script for bash", display_name = "bash")]
    Bash(Ways),
    #[command(about = "Generate the autocompletion script for fish", display_name = "fish [flags]")]
    Fish(Ways),
    #[command(
        about = "Generate the autocompletion script for powershell",
        display_name = "powershell [flags]"
    )]
    Powershell(Ways),
    #[command(about = "Generate the autocompletion script for zsh", display_name = "zsh [flags]")]
    Zsh(Ways),
}

#[derive(Debug, clap::Args)]
pub struct Ways {
    #[arg(long, help = "disable completion descriptions")]
    no_descriptions: bool,
}

pub fn completion<T: CommandFactory>(
    program: &'static str,
    shell: &Shell,
    context: &mut Context<'_>,
) -> Result<(), Fail> {
    use clap_complete::Shell as Of;
    let (shell, ways) = match shell {
        Shell::Bash(ways) => (Of::Bash, ways),
        Shell::Fish(ways) => (Of::Fish, ways),
        Shell::Powershell(ways) => (Of::PowerShell, ways),
        Shell::Zsh(ways) => (Of::Zsh, ways),
    };
    // The scripts have none where there is no room for them.
    let _ = ways.no_descriptions;
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut cobra::command::<T>(program), program, &mut script);
    Ok(context.out.write_all(&script)?)
}
