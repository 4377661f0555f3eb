//! Work on several threads, where there are threads (feature `threads`) and the system gives some, and the same work
//! one after the other where not. The only place that asks which it is.

use std::panic::resume_unwind;
use std::sync::{Mutex, PoisonError};
use std::thread::{Builder, scope};

/// Whether work is done on several threads.
pub const THREADS: bool = cfg!(feature = "threads");

/// Does both: `beside` on a thread of its own while this one does `here`, or `here` first and `beside` after it. So
/// `here` must never wait for `beside`.
///
/// A panic of either is one of the caller.
pub fn join<A: Send, B>(beside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    both(beside, here, false)
}

/// The same for a `here` that may wait for `ahead`, which is done first where there is no thread for it. So `ahead`
/// must never wait for `here`.
pub fn behind<A: Send, B>(ahead: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    both(ahead, here, true)
}

fn both<A: Send, B>(beside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B, first: bool) -> (A, B) {
    // A thread that does not come to be drops what it was given: it takes its work from here.
    let work = Mutex::new(Some(beside));
    let done = || {
        let work = work.lock().unwrap_or_else(PoisonError::into_inner).take();
        work.map_or_else(|| resume_unwind(Box::new("done already")), |work| work())
    };
    scope(|scope| match if THREADS { Builder::new().spawn_scoped(scope, done).ok() } else { None } {
        Some(thread) => {
            let here = here();
            (thread.join().unwrap_or_else(|panic| resume_unwind(panic)), here)
        }
        None if first => (done(), here()),
        None => {
            let here = here();
            (done(), here)
        }
    })
}

/// Does it on a thread with a stack of so many bytes; `None` where there is none to be had.
///
/// A panic of it is one of the caller.
pub fn roomy<A: Send>(stack: usize, work: impl FnOnce() -> A + Send) -> Option<A> {
    if !THREADS {
        return None;
    }
    scope(|scope| {
        let thread = Builder::new().stack_size(stack).spawn_scoped(scope, work).ok()?;
        Some(thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
    })
}

/// Starts the threads for work in pieces: so many, or one for each core if it is 0. The first who asks is heard.
///
/// Without it they are started by the first work. Where the system gives too few all is done on one.
pub fn start(threads: usize) {
    pooled::start(threads);
}

/// How many pieces of work are done at once.
#[must_use]
pub fn threads() -> usize {
    pooled::threads()
}

/// What `each` makes of every `size` items (at least one), in the order of the items.
pub fn map_chunks<'t, T: Sync, R: Send>(
    items: &'t [T],
    size: usize,
    each: impl Fn(&'t [T]) -> R + Send + Sync,
) -> Vec<R> {
    #[cfg(feature = "threads")]
    if pooled::start(0) {
        use rayon::iter::ParallelIterator;
        use rayon::slice::ParallelSlice;
        return items.par_chunks(size.max(1)).map(each).collect();
    }
    items.chunks(size.max(1)).map(each).collect()
}

/// What `each` makes of every item, in their order; `size` of them (at least one) are a piece of work.
pub fn map_each<'t, T: Sync, R: Send>(
    items: &'t [T],
    size: usize,
    each: impl Fn(&'t T) -> R + Send + Sync,
) -> impl Iterator<Item = R> {
    let parts = map_chunks(items, size, |part| part.iter().map(&each).collect::<Vec<_>>());
    parts.into_iter().flatten()
}

/// rayon's threads, where there are any.
#[cfg(feature = "threads")]
mod pooled {
    use std::error::Error;
    use std::sync::OnceLock;

    /// Whether there are any: rayon itself panics where they cannot be started.
    pub(super) fn start(threads: usize) -> bool {
        static STARTED: OnceLock<bool> = OnceLock::new();
        let start = || match rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
            Ok(()) => true,
            // What has a source is the system's; without one, the caller has started them.
            Err(error) => error.source().is_none(),
        };
        rayon::current_thread_index().is_some() || *STARTED.get_or_init(start)
    }

    pub(super) fn threads() -> usize {
        if start(0) { rayon::current_num_threads() } else { 1 }
    }
}

#[cfg(not(feature = "threads"))]
mod pooled {
    pub(super) fn start(_: usize) -> bool {
        false
    }

    pub(super) fn threads() -> usize {
        1
    }
}
