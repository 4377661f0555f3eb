#!/usr/bin/env bash
# make-v2-fixture.sh VERSION OUTDIR: the directory of a real etcd up to 3.3 with keys of both APIs, killed, a snapshot file of it,
# and its answers after it has replayed its log. The etcd listens on 127.0.0.1, ports PORT (34500) and PORT + 1. setup.sh must have run.
set -euo pipefail

(($# == 2)) || { echo "usage: [PORT=34500] $0 VERSION OUTDIR" >&2; exit 2; }
peers=${COLDBOLT_PEERS:-${XDG_CACHE_HOME:-$HOME/.cache}/coldbolt/peers}
version=$1
etcd=$peers/etcd-$version
client=http://127.0.0.1:${PORT:=34500}
peer=http://127.0.0.1:$((PORT + 1))
mkdir "$2"
out=$(realpath "$2")
tmp=$(mktemp -d)
pid=
trap '[[ -z $pid ]] || kill -9 "$pid"; rm -rf "$tmp"' EXIT

v2() { env -i HOME="$tmp" ETCDCTL_API=2 "$etcd/etcdctl" --endpoints "$client" "$@"; }
v3() { env -i HOME="$tmp" ETCDCTL_API=3 "$etcd/etcdctl" --endpoints "$client" "$@"; }
start() {
  (cd "$tmp" && exec env -i HOME="$tmp" "$etcd/etcd" --name m1 --data-dir cold --snapshot-count 40 \
    --listen-client-urls "$client" --advertise-client-urls "$client" --listen-peer-urls "$peer" \
    --initial-advertise-peer-urls "$peer" --initial-cluster "m1=$peer" --initial-cluster-token fixture >>"$tmp/log" 2>&1) &
  pid=$!
  for ((try = 1; ; try++)); do
    ! v3 endpoint health >/dev/null 2>&1 || break
    ((try < 100)) || { tail -n 5 "$tmp/log" >&2; exit 1; }
    sleep 0.1
  done
}

start
"$etcd/etcd" --version | head -n 1 >"$out/VERSION"
{
  v2 mkdir /empty
  for i in {01..10}; do
    v2 set "/config/$i" "old value of $i"
    v3 put "/app/$i" "value of $i"
  done
  v2 set /_hidden/key hidden
  v2 rm /config/03
  v3 del /app/03
  v3 put /app/04 "second value"
  v3 txn <<<$'\nput /txn/a 1\nput /txn/b 2\n\n'
  lease=$(v3 lease grant 86400 | sed -n 's/^lease \([0-9a-f]*\) .*/\1/p')
  v3 put --lease "$lease" /leased/a value
  v3 role add reader
  v3 role grant-permission reader read /app/ --prefix
  v3 user add alice:secret
  v3 user grant-role alice reader
  v3 compact 8
  v3 snapshot save "$out/snapshot.db"
  # After the raft snapshot.
  for i in {11..15}; do
    v2 set "/config/$i" "old value of $i"
    v3 put "/app/$i" "value of $i"
  done
  v2 set --ttl 86400 /config/ttl value
  v3 del --prefix /txn/
  v3 lease grant 3600
} >/dev/null 2>>"$tmp/log"
kill -9 "$pid"
wait "$pid" 2>/dev/null || true
cp "$out/snapshot.db" "$tmp/status.db"
env -i ETCDCTL_API=3 "$etcd/etcdctl" snapshot status "$tmp/status.db" -w json >"$out/snapshot.expected.status.json"
rm -f "$tmp"/cold/member/wal/*.tmp
tar -C "$tmp" --sort=name --owner=0 --group=0 -cf - cold | gzip -9n >"$out/cold.tar.gz"
start
v3 get "" --from-key -w json >"$out/cold.expected.range.json"
v3 endpoint hashkv -w json >"$out/cold.expected.hashkv.json"
v2 ls -r --sort / >"$out/cold.expected.v2.txt"
ls -l "$out"
