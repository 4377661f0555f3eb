#!/usr/bin/env python3
"""make-kine-fixture.py COLDBOLT OUTDIR: what a real kine keeps in SQLite, killed so that its log is left, and its answers.

Objects, some of them encrypted, are those of fixtures/kube/encrypted-1.37; beside them lies what a server of k3s shares, with the
EncryptionConfiguration that opens them. kine listens on 127.0.0.1, port PORT (34600). setup.sh must have run.
"""

import base64
import gzip
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

here = pathlib.Path(__file__).resolve().parent
fixtures = here.parent.parent / "fixtures/kube/encrypted-1.37"
peers = pathlib.Path(os.environ.get("COLDBOLT_PEERS", pathlib.Path.home() / ".cache/coldbolt/peers"))
port = os.environ.get("PORT", "34600")
coldbolt, out = sys.argv[1], pathlib.Path(sys.argv[2])
TOKEN = "correct horse"


def ctl(*args, given=b""):
    command = [peers / "etcd-3.6.14/etcdctl", "--endpoints", f"127.0.0.1:{port}", *args]
    return subprocess.run(command, input=given, check=True, capture_output=True).stdout


def put(key, value, *more):
    # etcdctl takes a value from standard input, but not an empty one.
    ctl("put", *more, "--", key, *([] if value else [""]), given=value)


def revision(key):
    return json.loads(ctl("get", "-w", "json", key))["kvs"][0]["mod_revision"]


def delete(key):
    ctl("txn", given=f'mod("{key}") = "{revision(key)}"\n\ndel {key}\n\nget {key}\n\n'.encode())


def start(state):
    dsn = f"sqlite://{state}?_journal_mode=WAL&_busy_timeout=30000&_synchronous=NORMAL&_txlock=immediate"
    command = [peers / "kine-0.17.5/kine", "--listen-address", f"127.0.0.1:{port}", "--endpoint", dsn]
    kine = subprocess.Popen(
        [*command, "--metrics-bind-address", "0", "--compact-min-retain", "0"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for _ in range(100):
        try:
            ctl("get", "/registry/health")
            return kine
        except subprocess.CalledProcessError:
            time.sleep(0.1)
    kine.kill()
    sys.exit("kine does not answer")


def objects(dir):
    snapshot = pathlib.Path(dir) / "snapshot.db"
    snapshot.write_bytes(gzip.decompress((fixtures / "snapshot.db.gz").read_bytes()))
    found = json.loads(subprocess.run([coldbolt, "get", snapshot, "", "--prefix", "-w", "json"], check=True, capture_output=True).stdout)
    return {base64.b64decode(kv["key"]).decode(): base64.b64decode(kv.get("value", "")) for kv in found["kvs"]}


def bootstrap():
    config = base64.b64encode((fixtures / "encryption.json").read_bytes()).decode()
    entries = json.loads((here / "go/k3s-bootstrap/plain.json").read_text())
    entries["EncryptionConfig"]["Content"] = config
    plain = json.dumps(entries).encode()
    made = subprocess.run([peers / "k3s-bootstrap/k3s-bootstrap", TOKEN], input=plain, check=True, capture_output=True)
    return made.stdout.decode().split()


def changes():
    """An update of each kind that keys know, behind which history is compacted."""
    put("/fixture/created", b"")
    put("/fixture/updated", b"first")
    put("/fixture/updated", b"second")
    put("/fixture/deleted", b"for a while")
    delete("/fixture/deleted")
    put("/fixture/again", b"first life")
    delete("/fixture/again")
    put("/fixture/again", b"second life")
    lease = ctl("lease", "grant", "3600").decode().split()[1]
    put("/fixture/leased", b"for an hour", "--lease", lease)
    put("/fixture/large", b"".join(b"%06d " % n for n in range(3000)))
    ctl("txn", given=b'version("compact_rev_key") = "0"\n\nput compact_rev_key 7\n\nget compact_rev_key\n\n')


def main():
    out.mkdir()
    with tempfile.TemporaryDirectory() as dir:
        state = pathlib.Path(dir) / "state.db"
        kine = start(state)
        wanted = ("/registry/namespaces/", "/registry/secrets/vault/", "/registry/configmaps/vault/")
        for key, value in objects(dir).items():
            if key.startswith(wanted):
                put(key, value)
        key, value = bootstrap()
        put(key, value.encode())
        changes()
        kine.terminate()
        kine.wait()
        kine = start(state)
        ctl("compaction", str(revision("/fixture/updated")))
        put("/fixture/updated", b"third")
        delete("/fixture/created")
        (out / "range.json").write_bytes(ctl("get", "/", "--prefix", "-w", "json"))
        (out / "range-at-leased.json").write_bytes(ctl("get", "/", "--prefix", "-w", "json", "--rev", str(revision("/fixture/leased"))))
        kine.kill()
        kine.wait()
        for name in ("state.db", "state.db-wal"):
            with gzip.GzipFile(out / f"{name}.gz", "wb", mtime=0) as packed:
                packed.write((pathlib.Path(dir) / name).read_bytes())


main()
