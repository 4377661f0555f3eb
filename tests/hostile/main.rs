//! Whatever a file's bytes say, coldbolt answers: rightly, or that the file is damaged. It never crashes, hangs or
//! eats the memory.

mod kine;
mod laid;
mod named;
mod refused;
mod sweep;
mod told;
