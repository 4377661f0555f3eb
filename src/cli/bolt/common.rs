//! What the commands of `bolt` share: the file, how the answer is written, and how a key looks.

use std::io;
use std::path::PathBuf;

use coldbolt::codec::checksum::hex;
use coldbolt::codec::go::go_quote;

use crate::cli::format::printable;
use crate::cli::out::Listing;

/// The file.
#[derive(Debug, clap::Args)]
pub struct File {
    /// Database or snapshot file; - is standard input.
    #[arg(value_name = "FILE")]
    pub path: PathBuf,
}

/// How its answer is written.
#[derive(Debug, clap::Args)]
pub struct Written {
    /// Format of the answer.
    #[arg(short, long, value_enum, default_value = "simple", value_name = "FORMAT")]
    pub write_out: Listing,
}

/// Where it goes.
pub type Out<'o> = &'o mut dyn io::Write;

/// A key as bbolt's `page` prints it: quoted when all of it can be printed, else in hexadecimal.
pub fn label(key: &[u8]) -> String {
    printable(key).map_or_else(|| hex(key), |text| go_quote(text.as_bytes()))
}
