//! `completion` of the two, which name a shell as an argument; the scripts are clap's.

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::context::Context;
use crate::cli::misc;
use crate::cli::programs::cobra;
use crate::cli::programs::failed::Failed;

/// Generate completion script
#[derive(Debug, clap::Args)]
#[command(display_name = "completion [bash|zsh|fish|powershell]")]
pub struct Flags {
    #[arg(value_name = "shell")]
    shell: Shell,
}

pub fn run<T: CommandFactory>(
    program: &'static str,
    flags: &Flags,
    context: &mut Context<'_>,
) -> Result<(), Failed> {
    context.out.write_all(&misc::script(flags.shell, cobra::command::<T>(program), program))?;
    Ok(())
}
