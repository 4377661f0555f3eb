//! The `coldbolt` command.

fn main() {}
