//! What goes to standard error while a command runs: findings, and progress for whoever watches.

use clap::ValueEnum;
use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use coldbolt::words::finding::{Finding, Severity};
use coldbolt::words::monitor::Monitor;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{color, out};

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

/// How much is said on standard error.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Talk {
    /// Only what a person must know: errors, warnings, damage.
    Quiet,
    #[default]
    Usual,
    /// Also what was read, and how long that took.
    Verbose,
}

pub struct Terminal {
    mode: ProgressMode,
    talk: Talk,
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
    pub fn new(mode: ProgressMode, talk: Talk) -> Terminal {
        let unseen = talk == Talk::Quiet || !io::stderr().is_terminal();
        let mode = if mode == ProgressMode::Auto && unseen { ProgressMode::Never } else { mode };
        Terminal { mode, talk, damage: AtomicBool::new(false), work: Mutex::new(None) }
    }

    /// Whether more is to be said than is usual.
    pub fn verbose(&self) -> bool {
        self.talk == Talk::Verbose
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
        let Some(work) = self.work().take() else { return };
        if let Some(bar) = &work.bar {
            bar.finish_and_clear();
        }
        if self.talk == Talk::Verbose {
            self.say(&work.told());
        }
    }

    /// One line of fields with tabs between them, as etcdutl logs.
    pub fn log(&self, fields: &[&str]) {
        let fields: Vec<String> = fields.iter().map(|field| out::clean(field)).collect();
        self.print(&fields.join("\t"));
    }

    /// One line for the person at the terminal, which is only printed whatever text of a file is in it. It may be left
    /// unsaid.
    pub fn say(&self, line: &str) {
        if self.talk != Talk::Quiet {
            self.warn(line);
        }
    }

    /// A line that the person must see.
    pub fn warn(&self, line: &str) {
        self.print(&color::said(&out::clean(line)));
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
    /// What was done, and how fast.
    fn told(&self) -> String {
        let took = self.started.elapsed().as_secs_f64();
        let rate = out::size((self.done as f64 / took.max(1e-6)) as u64);
        format!("{}: {} in {took:.3} s, {rate}/s", self.what, out::size(self.done))
    }

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
        let line = format!("{}: {finding}", finding.severity);
        if finding.severity == Severity::Note { self.say(&line) } else { self.warn(&line) }
    }
}
