//! The manifest: evidence of what was verified.

use std::io::{self, Write};

use crate::codec::json;
use crate::ops::verify::Answer;
use crate::ops::verify::manifest::{Manifest, ManifestEntry, SCHEMA};

/// Writes the manifest of the inputs that could be read. It holds their digests if they were asked for.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        tool: concat!("coldbolt ", env!("CARGO_PKG_VERSION")).to_owned(),
        command: answer.command.clone(),
        files: answer.files.iter().map(|f| ManifestEntry::of(&f.verification)).collect(),
    };
    json::write_pretty(&mut *out, &manifest)?;
    writeln!(out)
}
