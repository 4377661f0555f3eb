//! Text of unknown origin, as one line that does nothing to a terminal.

use std::path::Path;

/// Bytes as one printable line. Of more than 256, the first 256 and how many there are.
#[must_use]
pub fn show_bytes(bytes: &[u8]) -> String {
    show_start(bytes, 256)
}

/// Bytes as one printable line. Of more than `limit`, the first of them and how many there are.
#[must_use]
pub fn show_start(bytes: &[u8], limit: usize) -> String {
    match bytes.get(..limit) {
        Some(start) if bytes.len() > limit => format!("{}... ({} bytes)", start.escape_ascii(), bytes.len()),
        _ => bytes.escape_ascii().to_string(),
    }
}

/// A path as one printable line: control characters never reach a terminal.
#[must_use]
pub fn show(path: &Path) -> String {
    printable(&path.to_string_lossy())
}

/// Whether a terminal may do more than print a character: control characters, ends of lines of every kind, and what
/// turns the direction of the text around it.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text of unknown origin as one printable line.
#[must_use]
pub fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| if steers(c) { c.escape_default().collect::<Vec<_>>() } else { vec![c] })
        .collect()
}
