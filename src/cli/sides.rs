//! Two sides that are held against each other: two files, or two revisions of one.

use std::io::Write;
use std::path::PathBuf;

use coldbolt::store::diff::DifferenceKind;
use coldbolt::store::{ValueOpener, View};

use super::color;
use super::context::{Context, Done, Verdict};
use super::keys_given::{self, KeysGiven};
use super::keyspace::{Damage, Fold, Opened, open};

#[derive(Debug, clap::Args)]
pub struct Sides {
    /// Snapshot file, database or data directory.
    #[arg(value_name = "PATH")]
    a: PathBuf,
    /// Another one; without it the two sides are two revisions of the first.
    #[arg(value_name = "PATH", required_unless_present_any = ["from_rev", "to_rev"])]
    b: Option<PathBuf>,
    #[command(flatten)]
    damage: Damage,
    #[command(flatten)]
    fold: Fold,
    /// The revision of the first side; without it the last.
    #[arg(long, value_name = "REVISION")]
    from_rev: Option<i64>,
    /// The revision of the second side; without it the last.
    #[arg(long, value_name = "REVISION")]
    to_rev: Option<i64>,
    #[command(flatten)]
    keys: KeysGiven,
}

impl Sides {
    /// Opens both, and has `compare` answer of them; bad if damage was found.
    pub fn with(
        &self,
        context: &mut Context<'_>,
        compare: impl FnOnce([View<'_>; 2], &mut dyn Write) -> Done,
    ) -> Done {
        let monitor = context.monitor;
        let open = |path| open(path, &self.damage, &self.fold, None, monitor);
        let opened = open(&self.a)?;
        let other = self.b.as_deref().map(open).transpose()?;
        let keyring = self.keys.keyring(monitor)?;
        let plain = |key: &[u8], value: &[u8]| keyring.as_ref().and_then(|keyring| keyring.plain(key, value));
        let opener = keyring.as_ref().map(|_| ValueOpener::new(&plain));
        let first = opened.store_by(opener, monitor)?;
        let second = other.as_ref().map(|opened| opened.store_by(opener, monitor)).transpose()?;
        let before = first.at(self.from_rev)?;
        let after = second.as_ref().unwrap_or(&first).at(self.to_rev)?;
        let verdict = compare([before, after], context.out)?;
        opened.check_unchanged()?;
        other.as_ref().map_or(Ok(()), Opened::check_unchanged)?;
        let verdict = keys_given::end(keyring.as_ref(), verdict, monitor);
        Ok(if monitor.damage() { Verdict::Bad } else { verdict })
    }
}

/// How a side is named.
pub fn side(view: View<'_>) -> String {
    format!("{} at revision {}", view.store().source().name(), view.revision())
}

/// What stands before a difference.
pub fn sign(kind: DifferenceKind) -> String {
    color::sign(match kind {
        DifferenceKind::Added => '+',
        DifferenceKind::Removed => '-',
        DifferenceKind::Changed => '~',
        DifferenceKind::Recreated => '!',
    })
}
