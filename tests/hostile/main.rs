//! Whatever a file's bytes say, coldbolt answers: rightly, or that the file is damaged. It never crashes, hangs or
//! eats the memory.

#[path = "../common/mod.rs"]
mod common;
mod laid;
mod named;
mod refused;
mod sweep;
