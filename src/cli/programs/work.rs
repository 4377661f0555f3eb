//! A command whose answer goes to standard output, and that ends with 0 or 1.

use std::io::{self, Write};
use std::sync::Arc;

use coldbolt::io::packed;

use crate::cli::context::{Context, Done, Fail};
use crate::cli::progress::{ProgressMode, Talk, Terminal};
use crate::cli::{exit, signals};

/// Does the work; gives the exit code.
pub fn done(work: impl FnOnce(&mut Context<'_>) -> Done) -> u8 {
    signals::tidy();
    let monitor = Arc::new(Terminal::new(ProgressMode::Never, Talk::Usual));
    packed::tell(Arc::<Terminal>::clone(&monitor));
    let mut out = io::BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let done = work(&mut Context { out: &mut out, monitor: &monitor });
    // What was printed before an error comes before it.
    let flushed = out.flush().map_err(Fail::Output);
    let done = done.and_then(|verdict| flushed.map(|()| verdict));
    monitor.close();
    match exit::code(done, &monitor) {
        fault @ exit::FAULT => fault,
        code => code.min(1),
    }
}
