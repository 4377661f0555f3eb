#!/usr/bin/env bash
# Packs the crate as crates.io would get it, unpacks it elsewhere, and has it built and tested there: what the unit tests, the examples
# in the documentation and the command need is in it. Shares `target` (or what CARGO_TARGET_DIR says), so that only coldbolt is compiled.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

# What crates.io takes at most, packed.
most=$((10 * 1024 * 1024))
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

version=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
cargo package --quiet --locked --allow-dirty --no-verify --package coldbolt --target-dir "$tmp/packed"
crate=$tmp/packed/package/coldbolt-$version.crate
size=$(stat -c %s "$crate")
echo "$(basename "$crate"): $(tar -tzf "$crate" | wc -l) files, $size bytes packed"
((size < most)) || { echo "crates.io takes $most bytes" >&2; exit 1; }

tar -xzf "$crate" -C "$tmp"
cd "$tmp/coldbolt-$version"
# Unoptimised: that compiles in half the time.
export CARGO_TARGET_DIR=$target CARGO_PROFILE_TEST_OPT_LEVEL=0
cargo check --quiet --locked --lib --bins
cargo test --quiet --locked
