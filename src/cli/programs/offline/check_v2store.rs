//! `check v2store` (`check_command.go` @ v3.5.35).

use std::ffi::OsString;
use std::path::Path;

use coldbolt::Error;
use coldbolt::etcd::DataDir;
use coldbolt::io::tree;
use coldbolt::replay::custom_v2::{CustomV2, custom_v2};

use crate::cli::context::Context;
use crate::cli::programs::failed::{Failed, given};

/// Check custom content in v2store
#[derive(Debug, clap::Args)]
pub struct Flags {
    #[arg(long, value_name = "string", help = "Required. A data directory not in use by etcd.")]
    data_dir: OsString,
    #[arg(long, value_name = "string", help = "Optional. A dedicated WAL directory.")]
    wal_dir: Option<OsString>,
}

pub fn run(flags: &Flags, context: &mut Context<'_>) -> Result<(), Failed> {
    let data_dir = Path::new(&flags.data_dir);
    let own = data_dir.join("member/wal");
    let wal_dir = flags.wal_dir.as_deref().and_then(given);
    let wal = wal_dir.unwrap_or(&own);
    let list = |dir: &Path| tree::read_dir(dir).map_err(|error| Error::unreadable(dir, error));
    let custom = if list(wal)?.is_empty() {
        // A log that never began.
        CustomV2::default()
    } else {
        list(&data_dir.join("member/snap"))?;
        custom_v2(&DataDir::list(data_dir, wal_dir)?, context.monitor)?
    };
    let what = match custom {
        CustomV2 { store: true, log: true } => "detected custom v2 content in both v2store and WAL records",
        CustomV2 { store: true, log: false } => "detected custom content in v2store",
        CustomV2 { store: false, log: true } => "detected custom v2 content in WAL records",
        CustomV2 { store: false, log: false } => {
            writeln!(context.out, "No custom content found in both v2store and WAL records.")?;
            return Ok(());
        }
    };
    Err(what.to_owned().into())
}
