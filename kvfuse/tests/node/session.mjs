// The file provider on Node.js, for tests: a JSON array a line in, what came of it as JSON a line out.
//
//     ["instance"]           another instance of the provider; buckets are opened by the last one
//     ["open", BUCKET]       gives the number of a handle
//     [HANDLE, DO, …]        an operation on it

import { createInterface } from "node:readline";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";

const [directory, provider] = process.argv.slice(2);
_setPreopens({ "/": directory });

const instances = [];
const handles = [];
const bytes = (text) => new TextEncoder().encode(text);
const text = (bytes) => (bytes === undefined ? null : new TextDecoder().decode(bytes));

async function instance() {
  // Node makes a module anew for every address.
  const made = await import(`${provider}?${instances.length}`);
  const part = (name) => made[`wasi:keyvalue/${name}@0.2.0-draft2`];
  instances.push({ store: part("store"), atomics: part("atomics"), batch: part("batch") });
}

const operations = {
  get: ({ bucket }, key) => text(bucket.get(key)),
  set: ({ bucket }, key, value) => void bucket.set(key, bytes(value)),
  delete: ({ bucket }, key) => void bucket.delete(key),
  exists: ({ bucket }, key) => bucket.exists(key),
  list: ({ bucket }) => {
    const keys = [];
    let page = bucket.listKeys(undefined);
    for (keys.push(...page.keys); page.cursor !== undefined; keys.push(...page.keys)) {
      page = bucket.listKeys(page.cursor);
    }
    return keys.sort();
  },
  increment: ({ bucket, of }, key, delta) => Number(of.atomics.increment(bucket, key, BigInt(delta))),
  // Swaps only what has the expected value, and tells what it had.
  swap: ({ bucket, of }, key, expected, value) => {
    const cas = of.atomics.Cas.new(bucket, key);
    const current = text(cas.current());
    if (current === expected) of.atomics.swap(cas, bytes(value));
    return current;
  },
  getMany: ({ bucket, of }, ...keys) => of.batch.getMany(bucket, keys).map(([key, value]) => [key, text(value)]),
  setMany: ({ bucket, of }, ...pairs) => of.batch.setMany(bucket, pairs.map(([key, value]) => [key, bytes(value)])),
  deleteMany: ({ bucket, of }, ...keys) => of.batch.deleteMany(bucket, keys),
};

async function perform([what, ...words]) {
  if (what === "instance") return instance();
  if (what === "open") {
    const of = instances.at(-1);
    return handles.push({ of, bucket: of.store.open(words[0]) }) - 1;
  }
  const [operation, ...operands] = words;
  return operations[operation](handles[what], ...operands);
}

await instance();
for await (const line of createInterface({ input: process.stdin })) {
  let answer;
  try {
    answer = { ok: (await perform(JSON.parse(line))) ?? null };
  } catch (error) {
    answer = { error: error.payload ?? String(error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
}
