//! Arguments of what makes one file of another.

use std::path::{Path, PathBuf};

use super::context::Fail;
use super::out::Form;

#[derive(Debug, clap::Args)]
pub struct FromTo {
    /// The file; - is standard input.
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
    /// The file to make; must not exist. - is standard output.
    #[arg(short, long, value_name = "NEW")]
    pub output: PathBuf,
    /// Print what was done.
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub write_out: Option<Form>,
}

impl FromTo {
    /// Whether the new file goes to standard output.
    pub fn to_stdout(&self) -> Result<bool, Fail> {
        let stdout = self.output == Path::new("-");
        if stdout && self.write_out.is_some() {
            return Err(Fail::Usage("--write-out and a file cannot both go to standard output".to_owned()));
        }
        Ok(stdout)
    }
}
