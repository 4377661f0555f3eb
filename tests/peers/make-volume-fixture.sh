#!/bin/bash
# Makes fixtures/volume of a real etcd 3.6.14 on a mounted ext4, killed and copied with its journal. Needs root, for the mount.
#
#   make-volume-fixture.sh OUT
set -euo pipefail
out=${1:?where to}
etcd=${COLDBOLT_PEERS:-$HOME/.cache/coldbolt/peers}/etcd-3.6.14
work=$(mktemp -d)
ctl() { "$etcd/etcdctl" --endpoints 127.0.0.1:29379 "$@" >/dev/null; }
mkdir -p "$out" "$work/mnt"
truncate -s 192M "$work/img"
mkfs.ext4 -q -F -b 1024 -J size=1 -N 512 -m 0 -O ^resize_inode -E nodiscard,lazy_itable_init=0 "$work/img"
mount -o loop,nodiscard "$work/img" "$work/mnt"
mkdir -p "$work/mnt/var/lib"
"$etcd/etcd" --name m1 --data-dir "$work/mnt/var/lib/etcd" \
    --listen-client-urls http://127.0.0.1:29379 --advertise-client-urls http://127.0.0.1:29379 \
    --listen-peer-urls http://127.0.0.1:29380 --initial-advertise-peer-urls http://127.0.0.1:29380 \
    --initial-cluster m1=http://127.0.0.1:29380 >"$work/log" 2>&1 &
server=$!
sleep 4
for i in $(seq 1 25); do ctl put "/volume/$i" "value-$i"; done
ctl snapshot save "$work/mnt/backup.db"
for i in $(seq 26 40); do ctl put "/volume/$i" "value-$i"; done
kill -9 $server
wait $server || true
cp --sparse=always "$work/img" "$work/crashed.img"
# What the kernel gives of the same files.
(cd "$work/mnt" && find . -type f | sed 's|^\./||' | sort | xargs sha256sum) >"$out/ext4.sha256"
umount "$work/mnt"
xz -9e -c "$work/crashed.img" >"$out/ext4.img.xz"
rm -r "$work"
sha256sum "$out"/*
