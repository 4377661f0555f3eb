#!/usr/bin/env bash
# tests/platforms/compare.sh NAME OURS [RUNNER...] PROGRAM: has two coldbolts answer the calls of calls.txt, each in a directory of its own
# with the same files, and compares what they print on standard output, their exit codes, the files that they make, and that the inputs
# are as they were. RUNNER starts a program of another machine. NAME is that of the platform. What is not compared: standard error, where the
# system says in its own words what is wrong.
# Of Windows the directories of a path stand between backslashes: those are read as slashes in both answers.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
(($# >= 3)) || { echo "usage: $0 NAME OURS [RUNNER...] PROGRAM" >&2; exit 2; }
name=$1
ours=$(realpath "$2")
shift 2
theirs=("$@")
theirs[-1]=$(realpath "${theirs[-1]}")

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
fixtures=$here/../../fixtures

# inputs DIR: the files that the calls name.
inputs() {
  mkdir "$1"
  cd "$1"
  cp "$fixtures/small-3.5.1/snapshot.db" small.db
  cp "$fixtures/etcd-3.7.1/snapshot.db" etcd.db
  cp "$fixtures/etcd-3.4.23/snapshot.db" old.db
  cp "$fixtures/bolt/nested-1024.db" bolt.db
  cp "$fixtures/kube/plain-1.37/snapshot.db.gz" kube.db.gz
  gzip -dc kube.db.gz >kube.db
  gzip -dc "$fixtures/pages-64k/snapshot.db.gz" >pages64k.db
  xz -dc "$fixtures/volume/ext4.img.xz" >volume.img
  cp "$fixtures/etcd-3.6.14/cold.tar.gz" .
  tar -xzf cold.tar.gz
  cp -r cold used
  head -c 20000 small.db >cut.db
  # Where a key begins, in the first element of a leaf page.
  cp small.db damaged.db
  printf '\377' | dd of=damaged.db bs=1 seek=40980 conv=notrunc status=none
  chmod -R u+w .
  # Answers tell when a file was written.
  find . -type f -exec touch -d 2026-01-01T00:00:00Z {} +
  cd "$OLDPWD"
}

# answer DIR PROGRAM...: one call of it.
answer() {
  local dir=$1 code=0
  shift
  (cd "$dir" && timeout 120 "$@" </dev/null) >"$dir.out" 2>"$dir.err" || code=$?
  # 124 is timeout's, 126 and up say that it did not run or was ended.
  ((code < 124 || code > 192)) || { printf '%s: exit code %d of %s\n' "$name" "$code" "$*" >&2; tail -n 5 "$dir.err" >&2; exit 1; }
  echo "exit code $code" >>"$dir.out"
  tr '\\' '/' <"$dir.out" | sed 's#//#/#g' >"$dir.told"
}

# sums DIR: of each file there. Reports and manifests tell when they were made and by which program: that is taken out.
sums() {
  find "$1" \( -name report.xml -o -name manifest.json \) -exec sed -Ei \
    's/[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+Z?/TIME/g; s/ time="[0-9.]+"//g; s/"[^"]*coldbolt(\.exe)?",/PROGRAM,/' {} +
  (cd "$1" && find . -type f -print0 | sort -z | xargs -0 sha256sum)
}

inputs "$tmp/a"
inputs "$tmp/b"
sums "$tmp/a" | grep -v ' ./used/' >"$tmp/before"
compared=0
good=0
differ=0
while IFS= read -r line; do
  [[ $line != '' && $line != '#'* && $line != "@$name "* ]] || continue
  [[ $line != @* ]] || line=${line#* }
  words=()
  eval "words=($line)"
  answer "$tmp/a" "$ours" "${words[@]}"
  answer "$tmp/b" "${theirs[@]}" "${words[@]}"
  if cmp -s "$tmp/a.told" "$tmp/b.told"; then
    compared=$((compared + 1))
    ! grep -q '^exit code 0$' "$tmp/a.told" || good=$((good + 1))
  else
    differ=$((differ + 1))
    printf '%s: another answer: coldbolt %s\n' "$name" "$line"
    { diff "$tmp/a.told" "$tmp/b.told" || true; } | head -n 10
    tail -n 3 "$tmp/b.err"
  fi
done <"$here/calls.txt"

# What they made, and what they read.
for side in a b; do
  sums "$tmp/$side" >"$tmp/$side.sums"
  missing=$(sort "$tmp/before" | comm -23 - <(sort "$tmp/$side.sums"))
  [[ -z $missing ]] || { printf '%s: inputs were changed (%s):\n%s\n' "$name" "$side" "$missing"; exit 1; }
  ! find "$tmp/$side" -name '*.partial*' | grep . || { echo "$name: that is left unfinished"; exit 1; }
done
made=$(($(wc -l <"$tmp/b.sums") - $(wc -l <"$tmp/before")))
if ! diff "$tmp/a.sums" "$tmp/b.sums" >"$tmp/files"; then
  differ=$((differ + 1))
  echo "$name: other files were made:"
  head -n 20 "$tmp/files"
fi
echo "$name: $compared answers are equal, $good of them of calls that succeed; $made files were made; $differ differences"
((differ == 0)) || exit 1
# A list that nobody reads, or a program that only fails, must not pass.
((compared >= 80 && good >= 60 && made >= 20)) || { echo "$name: that is too little"; exit 1; }
