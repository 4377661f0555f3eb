//! coldbolt reads etcd's files when no etcd is running.
#![deny(
    clippy::indexing_slicing,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::arithmetic_side_effects,
    clippy::as_conversions
)]
#![cfg_attr(
    test,
    allow(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects,
        clippy::as_conversions
    )
)]

pub mod bolt;
pub mod bytes;
pub mod error;
pub mod finding;
pub mod monitor;

pub use error::{At, Corrupt, Error, Result};
pub use finding::{Code, Finding, Severity};
