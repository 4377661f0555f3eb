#!/usr/bin/env bash
# Builds the static programs of a release, for all of packages/targets.txt or those that are named, and prints the directory in which they
# are, as TARGET/release/coldbolt. Two people build the same bytes, wherever their directories are; no C compiler is asked for.
# With COLDBOLT_QUICK=1 they are not optimised, and elsewhere: what is enough to check packages takes a quarter of the time.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

targets=("$@")
(($#)) || mapfile -t targets < <(sed 's/ .*//; /^#/d' packages/targets.txt)

export CARGO_INCREMENTAL=0 CARGO_TARGET_DIR=$(realpath -m "${CARGO_TARGET_DIR:-target}")/packages
if [[ -n ${COLDBOLT_QUICK:-} ]]; then
  CARGO_TARGET_DIR+=-quick
  export CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_CODEGEN_UNITS=256
fi
# Of coldbolt itself the compiler is told names below its directory.
export RUSTFLAGS="--remap-path-prefix=$CARGO_TARGET_DIR=/target --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=/cargo"
# A linker for any machine that Rust brings along; the C library of these targets is also its.
export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_MUSL_LINKER=rust-lld
for target in "${targets[@]}"; do
  rustup --quiet target add "$target" >&2
  cargo build --quiet --locked --release --target "$target"
done
echo "$CARGO_TARGET_DIR"
