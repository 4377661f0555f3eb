//! How far a file is unpacked.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use crate::io::Source;
use crate::words::error::Result;
use crate::words::monitor::{Monitor, Quiet};

/// Who knows what a file should be: it is given the front of what is inside, and tells how many bytes the whole may
/// have, if that can be told. What it refuses is not unpacked.
pub type Judge<'j> = &'j dyn Fn(&Source) -> Result<Option<u64>>;

/// The most bytes that one file is unpacked to if nobody says more, and past which bytes nothing may be so much
/// smaller.
const MOST: u64 = 64 << 30;
static ALLOWED: AtomicU64 = AtomicU64::new(MOST);
static SAID: AtomicBool = AtomicBool::new(false);
static IN_MEMORY: AtomicBool = AtomicBool::new(false);

/// From now on a file is unpacked to at most so many bytes, however small it was: for a program that was told so.
pub fn at_most(bytes: u64) {
    ALLOWED.store(bytes, Ordering::Relaxed);
    SAID.store(true, Ordering::Relaxed);
}

/// From now on nothing that was unpacked is written to a disk, not even to a file without a name: what is too much for
/// memory is refused.
pub fn only_in_memory() {
    IN_MEMORY.store(true, Ordering::Relaxed);
}

static HEARS: OnceLock<Arc<dyn Monitor + Send + Sync>> = OnceLock::new();

/// From now on this hears how far a file is unpacked. The first who asks is heard.
pub fn tell(monitor: Arc<dyn Monitor + Send + Sync>) {
    let _ = HEARS.set(monitor);
}

/// Who hears of it.
pub(super) fn heard() -> &'static dyn Monitor {
    HEARS.get().map_or(&Quiet, |monitor| &**monitor)
}

/// What is known of how much may come out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    pub most: u64,
    /// Whether somebody said it: then it is no matter how small the file was.
    pub said: bool,
    pub in_memory: bool,
}

impl Limits {
    pub fn now() -> Limits {
        Limits {
            most: ALLOWED.load(Ordering::Relaxed),
            said: SAID.load(Ordering::Relaxed),
            in_memory: IN_MEMORY.load(Ordering::Relaxed),
        }
    }
}

/// No judge: whatever is inside is unpacked, as far as it may be.
pub(super) fn anything(_: &Source) -> Result<Option<u64>> {
    Ok(None)
}
