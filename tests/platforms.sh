#!/usr/bin/env bash
# tests/platforms.sh [windows] [macos] [arm64] [s390x]: builds coldbolt for these, or all of them, and has what can be run here answer the calls
# of tests/platforms/calls.txt as the program of this machine does: Windows' under wine, the others' under qemu-user; macOS' is linked only.
# Unoptimised, below `platforms` where cargo builds. What is missing is installed by apt, rustup and pip; the tools go to $COLDBOLT_TOOLS. On x86-64.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ $(uname -sm) == "Linux x86_64" ]] || { echo "tests/platforms.sh: NOT RUN: it needs Linux on x86-64"; exit 0; }

platforms=("$@")
(($#)) || platforms=(windows macos arm64 s390x)
tools=${COLDBOLT_TOOLS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/tools}
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
ours=${COLDBOLT:-$target/release/coldbolt}
[[ -x $ours ]] || cargo build --quiet --locked --release
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_OPT_LEVEL=0 CARGO_PROFILE_DEV_DEBUG=0
built=$target/platforms

tmp=$(mktemp -d)
at_exit() {
  [[ -z ${WINEPREFIX:-} ]] || wineserver -k 2>/dev/null || true
  rm -rf "$tmp"
}
trap at_exit EXIT
fail() { printf 'tests/platforms.sh: %s\n' "$*" >&2; exit 1; }
# need PROGRAM PACKAGE...: that it is there.
need() {
  local program=$1
  shift
  command -v "$program" >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
}
# build HOW TARGET ARGUMENT...: the programs for a target.
build() {
  local how=$1 target=$2
  shift 2
  rustup --quiet target add "$target"
  cargo "$how" --quiet --locked --target-dir "$built" --target "$target" --config 'profile.dev.package."*".opt-level=0' "$@"
}

# What bbolt itself holds is told, on the system whose locks are of another kind than all the others'.
windows_locks() {
  (cd tests/peers/go/mkbolt && GOFLAGS=-mod=readonly GOWORK=off CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -trimpath -o "$tmp/mkbolt.exe" .)
  cp fixtures/small-3.5.1/snapshot.db "$tmp/held.db"
  mkfifo "$tmp/end"
  wine "$tmp/mkbolt.exe" -hold "$tmp/held.db" <"$tmp/end" >"$tmp/held" 2>&1 &
  local holder=$! code=0
  exec 9>"$tmp/end"
  for ((try = 1; ; try++)); do
    ! grep -q held "$tmp/held" || break
    ((try < 100)) || fail "windows: bbolt does not open the file: $(<"$tmp/held")"
    sleep 0.2
  done
  wine "$1" inspect "$tmp/held.db" 2>&1 | grep -q 'IN USE by a running etcd' || fail "windows: bbolt's lock is not seen"
  wine "$1" defrag "$tmp/held.db" -o "$tmp/new.db" >"$tmp/said" 2>&1 || code=$?
  grep -q 'is in use' "$tmp/said" && ((code == 3)) && [[ ! -e $tmp/new.db ]] || fail "windows: what is in use is written anew: $(<"$tmp/said")"
  exec 9>&-
  wait "$holder"
  wine "$1" inspect "$tmp/held.db" | grep -q 'not in use' || fail "windows: a lock is seen that nobody has"
  echo "windows: the lock of the real bbolt is seen, and what has it is not written anew"
}

# A file of a member is replaced where the system can; else it is as it was, and nothing is left beside it.
windows_in_place() {
  tar -xzf fixtures/etcd-3.6.14/cold.tar.gz -C "$tmp"
  local db=$tmp/cold/member/snap/db before code=0
  before=$(sha256sum "$db")
  wine "$1" defrag --data-dir "$tmp/cold" >"$tmp/said" 2>&1 || code=$?
  if ((code == 0)); then
    [[ $(sha256sum "$db") != "$before" ]] || fail "windows: defrag in place did nothing"
    echo "windows: a database is replaced in its place"
  else
    grep -q 'replaced by Windows 10 and later only' "$tmp/said" && [[ $(sha256sum "$db") == "$before" ]] || fail "windows: $(<"$tmp/said")"
    echo "windows: replacing a database in its place: NOT RUN: $(wine --version) cannot; it is refused, and the file is as it was"
  fi
  [[ -z $(find "$tmp/cold" -name '*.partial*') ]] || fail "windows: something unfinished is left"
}

windows() {
  local target=x86_64-pc-windows-gnu program
  need x86_64-w64-mingw32-gcc gcc-mingw-w64-x86-64
  need wine wine wine64
  build build "$target" --bins
  program=$built/$target/debug/coldbolt.exe
  export WINEPREFIX=$tools/wine WINEDEBUG=-all
  [[ -d $WINEPREFIX ]] || timeout 300 wineboot -i >/dev/null 2>&1
  local random=$WINEPREFIX/drive_c/windows/system32/bcryptprimitives.dll
  if [[ ! -e $random ]]; then
    # Every program of Rust asks it for random numbers, and wine 8 does not have it.
    cat >"$tmp/random.c" <<'END'
#include <windows.h>
BOOLEAN NTAPI SystemFunction036(PVOID, ULONG);
__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE to, SIZE_T len) { return SystemFunction036(to, (ULONG)len); }
END
    x86_64-w64-mingw32-gcc -shared -o "$random" "$tmp/random.c" -ladvapi32
  fi
  tests/platforms/compare.sh windows "$ours" wine "$program"
  windows_locks "$program"
  windows_in_place "$program"
}

macos() {
  [[ -x $tools/zig/bin/cargo-zigbuild ]] || {
    python3 -m venv "$tools/zig"
    "$tools/zig/bin/python" -m pip install --quiet cargo-zigbuild==0.23.0 ziglang==0.17.1
  }
  for target in aarch64-apple-darwin x86_64-apple-darwin; do
    PATH=$tools/zig/bin:$PATH build zigbuild "$target" --bins
    [[ $(od -An -tx4 -N4 "$built/$target/debug/coldbolt") == " feedfacf" ]] || fail "$target: that is no program of macOS"
    echo "macos: $target is built and linked; running it: NOT RUN: nothing here runs it"
  done
}

arm64() {
  local target=aarch64-unknown-linux-musl dir
  need qemu-aarch64 qemu-user
  dir=$(COLDBOLT_QUICK=1 packages/build.sh "$target")
  tests/platforms/compare.sh arm64 "$ours" qemu-aarch64 "$dir/$target/release/coldbolt"
}

# Big-endian. Without what asks members that run: the TLS provider is for x86-64 and arm64.
s390x() {
  local target=s390x-unknown-linux-gnu
  need s390x-linux-gnu-gcc gcc-s390x-linux-gnu libc6-dev-s390x-cross
  need qemu-s390x qemu-user
  CARGO_TARGET_S390X_UNKNOWN_LINUX_GNU_LINKER=s390x-linux-gnu-gcc build build "$target" --bins --no-default-features --features cli
  tests/platforms/compare.sh s390x "$ours" qemu-s390x -L /usr/s390x-linux-gnu "$built/$target/debug/coldbolt"
}

for platform in "${platforms[@]}"; do
  case $platform in
    windows | macos | arm64 | s390x) "$platform" ;;
    *) fail "no such platform: $platform" ;;
  esac
done
