// Asks the library, built for wasm32-unknown-unknown, what it says of real files: the same as the real programs
// (fixtures/README.md). node tests/wasm/run.mjs target/wasm/wasm32-unknown-unknown/debug/coldbolt_wasm_test.wasm
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";

const fixtures = new URL("../../fixtures/", import.meta.url);
const read = (name) => readFileSync(new URL(name, fixtures));
const json = (name) => JSON.parse(read(name));

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
// It asks nothing of where it runs: no files, no clock, no threads.
assert.deepEqual(WebAssembly.Module.imports(module), []);
const { input, ask, answer, memory } = new WebAssembly.Instance(module).exports;

const [STATUS, HASHKV, VERIFY, INSPECT, KEYSPACE, OPEN] = [0, 1, 2, 3, 4, 5];

function load(bytes) {
  const at = input(bytes.length) >>> 0;
  new Uint8Array(memory.buffer, at, bytes.length).set(bytes);
}

function asked(question) {
  const len = ask(question) >>> 0;
  return JSON.parse(new TextDecoder().decode(new Uint8Array(memory.buffer, answer() >>> 0, len)));
}

// `total`: which keys the program of that version counts.
function same(name, status, hashkv, total) {
  load(read(`${name}/snapshot.db`));
  const { [total]: totalKey, hash, revision, totalSize, version } = asked(STATUS);
  const { version: due = "", ...numbers } = json(`${name}/${status}`);
  assert.deepEqual({ hash, revision, totalKey, totalSize }, numbers);
  assert.equal(version, due);
  assert.deepEqual(asked(HASHKV), json(`${name}/${hashkv}`));

  const verified = asked(VERIFY);
  assert.equal(verified.verdict, "good", JSON.stringify(verified.findings));
  assert.equal(verified.measured.trailer, "present");
  assert.equal(verified.measured.status_hash, hash);
  assert.equal(verified.measured.revision, revision);

  const inspected = asked(INSPECT);
  assert.equal(inspected.database.size, totalSize);
  assert.equal(inspected.path, "input.db");
  return { hash, inspected, verified, keyspace: asked(KEYSPACE) };
}

const small = same("small-3.5.1", "status.json", "hashkv.json", "allKeys");
assert.equal(small.hash.toString(16), "4f637741");
assert.equal(small.verified.measured.live_keys, 24);
// Every key and value that etcd gave.
const text = (base64) => Buffer.from(base64, "base64").toString();
const kvs = json("small-3.5.1/range.json").kvs;
assert.equal(kvs.length, 24);
assert.deepEqual(
  small.keyspace.keys,
  Object.fromEntries(
    kvs.map(({ key, value, mod_revision: modRevision, version }) => [text(key), { value: text(value ?? ""), modRevision, version }]),
  ),
);
assert.equal(small.keyspace.revision, 41);

for (const [version, total] of Object.entries({ "3.4.23": "allKeys", "3.6.14": "liveKeys", "3.7.1": "liveKeys" })) {
  same(`etcd-${version}`, "snapshot.expected.status.json", "snapshot.expected.hashkv.json", total);
}

// What is damaged is told, not a trap; nor is what is no database, or a path.
const damaged = Uint8Array.from(read("small-3.5.1/snapshot.db"));
damaged[damaged.length - 1] ^= 1;
load(damaged);
assert.equal(asked(VERIFY).verdict, "bad");
load(damaged.subarray(0, 20000));
assert.equal(asked(VERIFY).verdict, "bad");
assert.match(asked(STATUS).error, /^input\.db: /);
load(new TextEncoder().encode("# a text\n"));
assert.match(asked(VERIFY).error, /text file/);
assert.match(asked(OPEN).error, /without the ability to open files/);

console.log("wasm32: status, hashkv, verify, inspect and the keyspace of 4 files as the real programs have them");
