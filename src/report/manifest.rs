//! The manifest: evidence of what was verified.

use std::io::{self, Write};

use crate::ops::verify::Answer;
use crate::ops::verify::manifest::{Manifest, ManifestEntry};

/// Writes the manifest of the inputs that could be read. It holds their digests if they were asked for.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    let files = answer.files.iter().map(|f| ManifestEntry::of(&f.verification)).collect();
    Manifest::new(answer.command.clone(), files).write(out)
}
