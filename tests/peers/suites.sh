#!/usr/bin/env bash
# Runs etcd's own tests that call etcdutl or etcd-dump-logs: each with the real program and with coldbolt in its place.
# What the real one passes, coldbolt must pass. The tests are Go modules and stay in Go's cache and in ours.
#   tests/peers/suites.sh [BINARY]      after tests/peers/setup.sh; BINARY is target/debug/coldbolt unless it is named
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt
peers=${COLDBOLT_PEERS:-$cache/peers}
binary=$(realpath "${1:-$here/../../target/debug/coldbolt}")
suites=$cache/suites
export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
failed=0

# Of etcd's tests/e2e, by version; what a version does not have is not run.
e2e='TestUtlV3CompletionBash TestCtlV3DefragOffline TestCtlV3Snapshot TestCtlV3SnapshotStatusBeforeRestore
  TestCtlV3SnapshotVersion TestCtlV3SnapshotCorrupt TestIssue6361 TestRestoreCompactionRevBump TestEtctlutlMigrate'

# built MODULE VERSION PACKAGE: the directory of a module with the test program of a package of it beside.
built() {
  local dir=$suites/${3//\//-}-$2
  mkdir -p "$dir"
  printf 'module suites\ngo 1.26\nrequire %s v%s\n' "$1" "$2" >"$dir/go.mod.new"
  [[ -f $dir/go.mod ]] || mv "$dir/go.mod.new" "$dir/go.mod"
  [[ -x $dir/suite.test ]] || go -C "$dir" test -c -o suite.test "$1/$3"
  echo "$dir"
}

# judge NAME LOG-OF-THE-REAL-ONE LOG-OF-OURS: every test and subtest that the real one passes is passed.
judge() {
  local test passed
  passed=$(sed -n 's/^ *--- PASS: \([^ ]*\).*/\1/p' "$2" | sort)
  [[ $passed ]] || { echo "$1: the real one passes nothing: $2"; failed=1; }
  for test in $passed; do
    grep -qE "^ *--- PASS: $test " "$3" || { echo "$1: $test fails with coldbolt: $3"; failed=1; }
  done
  echo "$1: $(wc -w <<<"$passed") passed by the real one"
}

for version in 3.7.1 3.6.14; do
  dir=$(built go.etcd.io/etcd/tests/v3 $version e2e)
  module=$(go -C "$dir" list -m -f '{{.Dir}}' go.etcd.io/etcd/tests/v3)
  for who in real ours; do
    bin=$dir/bin-$who
    mkdir -p "$bin"
    ln -sf "$peers/etcd-$version/"{etcd,etcdctl,etcdutl} "$bin/"
    if [[ $version == 3.7.1 ]]; then
      ln -sf "$peers/etcd-3.6.14/etcd" "$bin/etcd-last-release"
    else
      ln -sf "$peers/etcd-3.5.1/etcd" "$bin/etcd-last-release"
    fi
    [[ $who == real ]] || ln -sf "$binary" "$bin/etcdutl"
    (cd "$module/e2e" && timeout 600 "$dir/suite.test" -bin-dir "$bin" -cert-dir "$module/fixtures" -test.v \
      -test.run "^($(tr -s "[:space:]" "|" <<<"$e2e" | sed "s,|\$,,"))\$" >"$dir/$who.log" 2>&1) || true
  done
  judge "etcdutl $version" "$dir/real.log" "$dir/ours.log"
done

# etcd-dump-logs: its golden files lie beside it, and its decoders are not executable in the module's cache.
dir=$(built go.etcd.io/etcd/v3 3.6.14 tools/etcd-dump-logs)
module=$(go -C "$dir" list -m -f '{{.Dir}}' go.etcd.io/etcd/v3)
for who in real ours; do
  rm -rf "$dir/$who"
  cp -r "$module/tools/etcd-dump-logs" "$dir/$who"
  chmod -R u+wx "$dir/$who"
  if [[ $who == real ]]; then
    cp "$peers/etcd-dump-logs-3.6/etcd-dump-logs" "$dir/$who/"
  else
    cp "$binary" "$dir/$who/etcd-dump-logs"
  fi
  (cd "$dir/$who" && timeout 300 "$dir/suite.test" -test.v -test.run '^TestEtcdDumpLogEntryType$' >"$dir/$who.log" 2>&1) ||
    true
done
judge etcd-dump-logs "$dir/real.log" "$dir/ours.log"
exit $failed
