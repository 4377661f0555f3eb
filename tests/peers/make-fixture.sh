#!/usr/bin/env bash
# make-fixture.sh VERSION OUTDIR: a small snapshot file from a real etcd of that version, and the real programs' answers.
# The etcd listens on 127.0.0.1, ports PORT (34500) and PORT + 1. setup.sh must have run. With PAGE_SIZE=N the database has pages of N
# bytes, as it gets on a machine with such: etcd begins with an empty one, and keeps to what that has.
set -euo pipefail

(($# == 2)) || { echo "usage: [PORT=34500] $0 VERSION OUTDIR" >&2; exit 2; }
peers=${COLDBOLT_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/peers}
version=$1
out=$2
etcd=$peers/etcd-$version
client=http://127.0.0.1:${PORT:=34500}
peer=http://127.0.0.1:$((PORT + 1))
tmp=$(mktemp -d)
pid=

stop() {
  [[ -z $pid ]] || { kill "$pid" && wait "$pid"; } 2>/dev/null || true
  pid=
}
trap 'stop; rm -rf "$tmp"' EXIT

die() { printf 'make-fixture: %s\n' "$*" >&2; exit 1; }
died() { die "etcd $version $1: $(tail -n 5 "$tmp/log")"; }

# Without the caller's ETCD_* and ETCDCTL_* variables.
ctl() { env -i HOME="$tmp" "$etcd/etcdctl" --endpoints "$client" "$@"; }
put() { ctl put "$@" >/dev/null; }

[[ -x $etcd/etcd ]] || die "no $etcd/etcd: run setup.sh"
[[ ! -e $out ]] || die "$out exists"
for port in "$PORT" $((PORT + 1)); do
  ! (: <>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || die "port $port is in use"
done

if [[ -n ${PAGE_SIZE:-} ]]; then
  mkdir -p -m 700 "$tmp/data/member/snap"
  "$peers/mkbolt/mkbolt" -hold "$tmp/data/member/snap/db" -page-size "$PAGE_SIZE" </dev/null >/dev/null
fi
env -i HOME="$tmp" "$etcd/etcd" --name fixture --data-dir "$tmp/data" --snapshot-count 20 \
  --listen-client-urls "$client" --advertise-client-urls "$client" \
  --listen-peer-urls "$peer" --initial-advertise-peer-urls "$peer" \
  --initial-cluster "fixture=$peer" --initial-cluster-token coldbolt-fixture >"$tmp/log" 2>&1 &
pid=$!
for ((try = 1; ; try++)); do
  kill -0 "$pid" 2>/dev/null || died "did not start"
  ! ctl endpoint health >/dev/null 2>&1 || break
  ((try < 100)) || died "does not answer on $client"
  sleep 0.1
done

# 20 plain keys, in two prefixes; then updates, deletes, and one key that comes back.
for i in {01..10}; do put "/app/config/$i" "first value of $i"; done
for i in {01..10}; do put "/app/state/$i" "{\"replicas\":$((10#$i)),\"phase\":\"Running\",\"log\":\"$(printf 'line %d; ' {1..60})\"}"; done
for i in 02 04 06; do put "/app/config/$i" "second value of $i"; done
put /app/config/02 "third value of 02"
ctl del /app/config/05 >/dev/null
ctl del --prefix /app/state/09 >/dev/null
ctl del /app/config/07 >/dev/null
put /app/config/07 "recreated"
put /app/empty ""

# One value longer than a page; one lease with two keys; a txn of four changes in one revision.
put /app/large "$(printf '%05d ' {1..850})"
lease=$(ctl lease grant 86400 | sed -n 's/^lease \([0-9a-f]*\) .*/\1/p')
put --lease "$lease" /lease/one "attached"
put --lease "$lease" /lease/two "attached too"
ctl txn >/dev/null <<'TXN'
value("/app/config/01") = "first value of 01"

put /txn/a 1
put /txn/b 2
del /app/config/08
put /app/config/09 "in a txn"

put /txn/else 0

TXN

# Two users, two roles; auth goes on and off again.
ctl user add root:fixture-root >/dev/null
ctl role add root >/dev/null
ctl user grant-role root root >/dev/null
ctl role add app-reader >/dev/null
ctl role grant-permission --prefix app-reader read /app/ >/dev/null
ctl role grant-permission app-reader readwrite /txn/a >/dev/null
ctl user add reader:fixture-reader >/dev/null
ctl user grant-role reader app-reader >/dev/null
ctl auth enable >/dev/null
ctl --user root:fixture-root auth disable >/dev/null

# Compact a few revisions back, then write on.
revision=$(ctl get / -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
ctl compact --physical $((revision - 5)) >/dev/null
put /app/config/01 "after the compaction"
put /app/config/11 "new after the compaction"
put /app/config/05 "recreated after the compaction"
ctl del /app/state/10 >/dev/null
ctl del /app/config/06 >/dev/null
put /app/config/06 "recreated"
put /txn/a 3

mkdir -p "$out"
ctl snapshot save "$out/snapshot.db" >/dev/null 2>"$tmp/save" || die "snapshot save: $(<"$tmp/save")"
ctl get "" --from-key -w json >"$out/range.json"
kill -0 "$pid" 2>/dev/null || died "ended by itself"
stop

# The real programs get copies: some of them write to the file they read.
utl=$etcd/etcdutl
[[ -x $utl ]] || utl=$etcd/etcdctl
cp "$out/snapshot.db" "$tmp/status.db"
"$utl" snapshot status "$tmp/status.db" -w json >"$out/status.json"
cp "$out/snapshot.db" "$tmp/hashkv.db"
"$peers/etcd-3.7.1/etcdutl" hashkv "$tmp/hashkv.db" -w json >"$out/hashkv.json" 2>"$tmp/hashkv" ||
  die "hashkv: $(<"$tmp/hashkv")"

size=$(stat -c %s "$out/snapshot.db")
[[ -n ${PAGE_SIZE:-} ]] || ((50000 <= size && size <= 70000)) || die "$out/snapshot.db has $size bytes, not 50000 to 70000"
[[ $(head -c -32 "$out/snapshot.db" | sha256sum) == "$(tail -c 32 "$out/snapshot.db" | od -An -v -tx1 | tr -d ' \n')"* ]] ||
  die "$out/snapshot.db does not end with its SHA-256"
echo "$out/snapshot.db: etcd $version, $size bytes, $(<"$out/status.json")"
