//! JSON: everything, indented.

use std::io::{self, Write};

use crate::codec::json;
use crate::ops::verify::Answer;

/// Writes one document.
///
/// # Errors
/// What `out` fails with.
pub fn write(answer: &Answer, out: &mut dyn Write) -> io::Result<()> {
    json::write_pretty(&mut *out, answer)?;
    writeln!(out)
}
