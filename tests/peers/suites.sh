#!/usr/bin/env bash
# Runs etcd's own tests that call etcdutl or etcd-dump-logs: each with the real program and with coldbolt in its place.
# What the real one passes, coldbolt must pass, but for the list below. The tests are Go modules and stay in Go's cache and in ours.
#   tests/peers/suites.sh [BINARY]      after tests/peers/setup.sh; BINARY is target/debug/coldbolt unless it is named
# Their servers have fixed ports: where a program may have a network of its own (unshare -n) all run at once, else one
# after the other, which takes some five minutes.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt
peers=${COLDBOLT_PEERS:-$cache/peers}
binary=$(realpath "${1:-$here/../../target/debug/coldbolt}")
suites=$cache/suites
export GOFLAGS=-mod=mod GOWORK=off CGO_ENABLED=0
failed=0
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT

# Of etcd's tests/e2e, by version; what a version does not have is not run.
e2e='TestUtlV3CompletionBash TestCtlV3DefragOffline TestCtlV3Snapshot TestCtlV3SnapshotStatusBeforeRestore TestCtlV3SnapshotVersion'
e2e+=' TestCtlV3SnapshotCorrupt TestIssue6361 TestRestoreCompactionRevBump TestEtctlutlMigrate'

# A test that only the real one passes, and why: `version name reason`, one a line.
allowed='3.8.0-alpha.0 TestRestoreCompactionRevBump wants a .snap of a restore: etcd stopped writing one after the alpha, and 3.8 needs none'

# The tests of a version, whose programs run them: the etcd of that minor version, its newest etcdutl, the etcd before.
runs='3.8.0-alpha.0 etcd-3.8.0 etcd-3.8.0 etcd-3.7.1
3.7.3 etcd-3.7.1 etcdutl-3.7.3 etcd-3.6.14
3.6.16 etcd-3.6.14 etcdutl-3.6.16 etcd-3.5.1'

# built PACKAGE VERSION MODULE...: the directory of the test program of a package of the first module, with all of one version:
# what a program says of its version is in another module than its own.
built() {
  local package=$1 version=$2 dir=$suites/${1//\//-}-$2 first=$3 module
  shift 2
  mkdir -p "$dir"
  { printf 'module suites\n\ngo 1.26\n'; for module; do printf '\nrequire %s v%s\n' "$module" "$version"; done; } >"$dir/wanted"
  if [[ ! -x $dir/suite.test ]] || ! cmp -s "$dir/wanted" "$dir/key"; then
    rm -f "$dir/suite.test" "$dir/go.sum"
    cp "$dir/wanted" "$dir/go.mod"
    go -C "$dir" test -c -p 2 -o suite.test "$first/$package" >&2
    cp "$dir/wanted" "$dir/key"
  fi
  echo "$dir"
}

# judge NAME LOG-OF-THE-REAL-ONE LOG-OF-OURS: every test and subtest that the real one passes is passed.
judge() {
  local name=$1 real=$2 ours=$3 test passed left
  passed=$(sed -n 's/^ *--- PASS: \([^ ]*\).*/\1/p' "$real" | sort -u)
  [[ $passed ]] || { tail -n 20 "$real"; echo "$name: the real one passes nothing"; failed=1; }
  for test in $passed; do
    left=$(sed -n "s|^${name##* } $test ||p" <<<"$allowed")
    if grep -qE "^ *--- PASS: $test " "$ours"; then
      [[ -z $left ]] || { echo "$name: $test passes with coldbolt: it is to be taken from the list"; failed=1; }
    elif [[ $left ]]; then
      echo "$name: $test is left out: $left"
    else
      echo "$name: $test fails with coldbolt:"
      grep -E "^ *(--- FAIL|.*Error( Trace)?:)" -A 3 "$ours" | cut -c1-300 | tail -n 40 || true
      failed=1
    fi
  done
  echo "$name: $(wc -w <<<"$passed") passed by the real one"
}

alone=(unshare -n)
(($(id -u) == 0)) || alone=(unshare -rn)
own_network() { "${alone[@]}" sh -c 'ip link set lo up && exec "$@"' sh "$@"; }
together=1
own_network true 2>"$work/unshare" || together=

# e2e TESTS WHO VERSION ETCD ETCDUTL LAST: runs the tests with the real etcdutl or ours. Its log is $work/VERSION-WHO.log.
e2e() {
  local tests=$1 who=$2 version=$3 dir=$suites/e2e-$3 bin=$work/bin-$3-$2 module run=()
  module=$(go -C "$dir" list -m -f '{{.Dir}}' go.etcd.io/etcd/tests/v3)
  mkdir -p "$bin" "$work/tmp-$version-$who"
  ln -sf "$peers/$4/"{etcd,etcdctl} "$bin/"
  ln -sf "$peers/$6/etcd" "$bin/etcd-last-release"
  if [[ $who == real ]]; then ln -sf "$peers/$5/etcdutl" "$bin/"; else ln -sf "$binary" "$bin/etcdutl"; fi
  [[ ! $together ]] || run=(own_network)
  (cd "$module/e2e" && TMPDIR=$work/tmp-$version-$who "${run[@]}" timeout 240 "$dir/suite.test" -bin-dir "$bin" \
    -cert-dir "$module/fixtures" -test.v -test.run "^($tests)\$" >>"$work/$version-$who.log" 2>&1) || true
}

while read -r version rest; do
  built e2e "$version" go.etcd.io/etcd/{tests,server,etcdctl,etcdutl,api,pkg,client,client/pkg}/v3 >/dev/null
done <<<"$runs"
for who in real ours; do
  while read -ra run; do
    if [[ $together ]]; then e2e "${e2e// /|}" $who "${run[@]}" & else e2e "${e2e// /|}" $who "${run[@]}"; fi
  done <<<"$runs"
  wait
  # Some wait a second for a server, which a busy machine does not keep, or find what one before left: once more alone.
  while read -ra run; do
    for test in $(sed -n 's/^--- FAIL: \([^ ]*\).*/\1/p' "$work/${run[0]}-$who.log"); do e2e "$test" $who "${run[@]}"; done
  done <<<"$runs"
done
while read -r version rest; do
  judge "etcdutl $version" "$work/$version-real.log" "$work/$version-ours.log"
done <<<"$runs"

# etcd-dump-logs: its golden files lie beside it, and its decoders are not executable in the module's cache.
dir=$(built tools/etcd-dump-logs 3.6.14 go.etcd.io/etcd/v3)
module=$(go -C "$dir" list -m -f '{{.Dir}}' go.etcd.io/etcd/v3)
for who in real ours; do
  cp -r "$module/tools/etcd-dump-logs" "$work/$who"
  chmod -R u+wx "$work/$who"
  if [[ $who == real ]]; then
    cp "$peers/etcd-dump-logs-3.6/etcd-dump-logs" "$work/$who/"
  else
    cp "$binary" "$work/$who/etcd-dump-logs"
  fi
  (cd "$work/$who" && timeout 300 "$dir/suite.test" -test.v -test.run '^TestEtcdDumpLogEntryType$' >"$work/$who.log" 2>&1) ||
    true
done
judge "etcd-dump-logs 3.6.14" "$work/real.log" "$work/ours.log"
exit $failed
