//! What goes to standard error while a command runs: findings, and progress for whoever watches.

use clap::ValueEnum;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coldbolt::words::finding::{Finding, Severity};
use coldbolt::words::monitor::Monitor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Work shorter than this shows no progress.
const PATIENCE: Duration = Duration::from_secs(1);
/// Time between two JSON lines.
const PACE: Duration = Duration::from_millis(500);

/// How progress is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ProgressMode {
    Auto,
    Json,
    Never,
}

pub struct Terminal {
    mode: ProgressMode,
    damage: AtomicBool,
    work: Mutex<Option<Work>>,
}

struct Work {
    what: String,
    done: u64,
    total: u64,
    started: Instant,
    said: Instant,
    bar: Option<ProgressBar>,
}

impl Terminal {
    pub fn new(mode: ProgressMode) -> Terminal {
        let mode = if mode == ProgressMode::Auto && !io::stderr().is_terminal() {
            ProgressMode::Never
        } else {
            mode
        };
        Terminal { mode, damage: AtomicBool::new(false), work: Mutex::new(None) }
    }

    /// Whether damage was heard of.
    pub fn damage(&self) -> bool {
        self.damage.load(Ordering::Relaxed)
    }

    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bar off the terminal.
    pub fn close(&self) {
        if let Some(bar) = self.work().take().and_then(|w| w.bar) {
            bar.finish_and_clear();
        }
    }

    /// One line of fields with tabs between them, as etcdutl logs.
    pub fn log(&self, fields: &[&str]) {
        let fields: Vec<String> = fields.iter().map(|field| super::out::clean(field)).collect();
        self.print(&fields.join("\t"));
    }

    /// One line for the person at the terminal, which is only printed whatever text of a file is in it.
    pub fn say(&self, line: &str) {
        self.print(&super::out::clean(line));
    }

    fn print(&self, line: &str) {
        let print = || {
            let _ = writeln!(io::stderr(), "{line}");
        };
        match self.work().as_ref().and_then(|w| w.bar.as_ref()) {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }
}

impl Work {
    fn show(&mut self, mode: ProgressMode) {
        let now = Instant::now();
        match mode {
            ProgressMode::Never => {}
            ProgressMode::Json => {
                if now.duration_since(self.said) >= PACE {
                    self.said = now;
                    let progress =
                        serde_json::json!({"what": self.what, "done": self.done, "total": self.total});
                    let line = serde_json::json!({"progress": progress});
                    let _ = writeln!(io::stderr(), "{line}");
                }
            }
            ProgressMode::Auto => {
                if self.bar.is_none() && now.duration_since(self.started) >= PATIENCE {
                    let bar = ProgressBar::with_draw_target(
                        Some(self.total),
                        ProgressDrawTarget::stderr_with_hz(10),
                    );
                    if let Ok(style) = ProgressStyle::with_template(
                        "{msg} {wide_bar} {decimal_bytes}/{decimal_total_bytes} {decimal_bytes_per_sec} {eta}",
                    ) {
                        bar.set_style(style);
                    }
                    bar.set_message(self.what.clone());
                    self.bar = Some(bar);
                }
                if let Some(bar) = &self.bar {
                    bar.set_position(self.done);
                }
            }
        }
    }
}

impl Monitor for Terminal {
    fn begin(&self, what: &str, total: u64) {
        self.close();
        let now = Instant::now();
        *self.work() =
            Some(Work { what: what.to_owned(), done: 0, total, started: now, said: now, bar: None });
    }

    fn advance(&self, bytes: u64) {
        if let Some(work) = self.work().as_mut() {
            work.done = work.done.saturating_add(bytes);
            work.show(self.mode);
        }
    }

    fn end(&self) {
        self.close();
    }

    fn finding(&self, finding: Finding) {
        let finding = super::hint::finding(finding);
        self.damage.fetch_or(finding.severity == Severity::Damage, Ordering::Relaxed);
        self.say(&format!("{}: {finding}", finding.severity));
    }
}
