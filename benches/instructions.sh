#!/usr/bin/env bash
# Instructions that commands take on a fixture, counted by valgrind: a number that does not depend on how busy the machine is. One that has
# grown by more than 3 % over benches/instructions.txt fails; UPDATE=1 writes that anew. Needs the release build and valgrind.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

coldbolt=${COLDBOLT:-${CARGO_TARGET_DIR:-$PWD/target}/release/coldbolt}
kept=benches/instructions.txt
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
file=fixtures/etcd-3.7.1/snapshot.db

# count NAME ARGUMENT...: the least instructions of three runs with one worker: which of two threads waits for the other is chance.
count() {
  local name=$1 run
  shift
  for run in 1 2 3; do
    rm -rf "$tmp/data"
    valgrind --tool=callgrind --callgrind-out-file=/dev/null "$coldbolt" --jobs 1 "$@" >"$tmp/out" 2>"$tmp/err" || { cat "$tmp/err" >&2; exit 1; }
    sed -n 's/^==[0-9]*== Collected : //p' "$tmp/err"
  done | sort -n | sed -n "1s/^/$name /p"
}

{
  count version version
  count status status $file
  count hashkv hashkv $file
  count verify verify $file
  count get get $file /registry/configmaps/ns-0/cm-10
  count restore restore $file --data-dir "$tmp/data"
} >"$tmp/now"

if [[ -n ${UPDATE:-} ]]; then cp "$tmp/now" "$kept"; fi
join "$kept" "$tmp/now" | awk '{ printf "%-8s %12d %12d %7.3f\n", $1, $2, $3, $3 / $2; if ($3 > $2 * 1.03) grown = grown " " $1 } END { if (grown) { print "grown by more than 3 %:" grown; exit 1 } }'
[[ $(wc -l <"$kept") == $(wc -l <"$tmp/now") ]] || { echo "$kept and what is counted have not the same rows"; exit 1; }
