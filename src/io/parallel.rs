//! Work on several threads, where there are threads (feature `threads`), and the same work one after the other where
//! there are none. The only place that asks which it is.

/// Whether work is done on several threads.
pub const THREADS: bool = cfg!(feature = "threads");

/// Does both: `beside` on a thread of its own while this one does `here`, or `here` first and `beside` after it. So
/// `here` must never wait for `beside` unless there are [`THREADS`].
///
/// A panic of either is one of the caller.
pub fn join<A: Send, B>(beside: impl FnOnce() -> A + Send, here: impl FnOnce() -> B) -> (A, B) {
    if !THREADS {
        let done = here();
        return (beside(), done);
    }
    std::thread::scope(|scope| {
        let beside = scope.spawn(beside);
        let done = here();
        (beside.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), done)
    })
}

/// How many pieces of work are done at once.
#[must_use]
pub fn threads() -> usize {
    #[cfg(feature = "threads")]
    return rayon::current_num_threads();
    #[cfg(not(feature = "threads"))]
    1
}

/// What `each` makes of every `size` items (at least one), in the order of the items.
pub fn map_chunks<T: Sync, R: Send>(
    items: &[T],
    size: usize,
    each: impl Fn(&[T]) -> R + Send + Sync,
) -> Vec<R> {
    #[cfg(feature = "threads")]
    {
        use rayon::iter::ParallelIterator;
        use rayon::slice::ParallelSlice;
        items.par_chunks(size.max(1)).map(each).collect()
    }
    #[cfg(not(feature = "threads"))]
    items.chunks(size.max(1)).map(each).collect()
}
