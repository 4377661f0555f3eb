//! SQLite's database file, as far as it takes to read a table from front to back: the file and the log beside it.
//!
//! ```text
//! file    page 1 .. page N; page 1 begins with the header of 100 bytes
//!   0 "SQLite format 3\0" | 16 page size u16 (1: 65536) | 18 write, 19 read version u8 (2: with a log)
//!  20 unused bytes at the end of each page u8 | 28 pages u32 | 56 encoding of text u32 (1: UTF-8)
//! page    0 kind u8 (5 branch, 13 leaf of a table) | 3 cells u16 | 8 last child u32, of a branch | cell offsets, u16 each
//! cell    branch: child u32, rowid varint; leaf: length varint, rowid varint, payload, first overflow page u32
//! overflow page   0 next page u32 (0: none) | payload
//! payload length of the head varint | a type varint for each column | their values
//! log     FILE-wal: a header of 32 bytes, then frames of 24 bytes and a page each
//!   0 magic u32 0x377f0682 or ..83 | 8 page size u32 | 16 salt u64 | 24 checksum u64
//!   frame: 0 page u32 | 4 pages of the database after a commit u32, else 0 | 8 salt u64 | 16 checksum u64
//! ```
//!
//! Integers are big-endian; a varint has seven bits a byte, high ones first, and eight in its ninth. Source:
//! <https://www.sqlite.org/fileformat2.html>, which holds since 3.0.0 (2004), the log since 3.7.0 (2010).
//!
//! Nothing is locked, and nothing is written: not the log either, whose pages are read from where they are in it.

mod log;
mod pages;
mod record;
mod table;

pub use log::{Log, LogEnd};
pub use pages::Database;
pub use record::{Value, record};
pub use table::{Row, Table};

/// The first bytes of a file.
pub const MAGIC: &[u8; 16] = b"SQLite format 3\0";
