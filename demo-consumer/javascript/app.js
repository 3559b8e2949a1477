// Counts its runs in a key-value store, in JavaScript.
//
//     jco componentize app.js --wit ../wit --world-name app --out app.wasm
//     kvfuse fuse app.wasm
//     wasmtime run --dir data::/ app.fused.wasm

import { open } from "wasi:keyvalue/store@0.2.0-draft2";
import { increment } from "wasi:keyvalue/atomics@0.2.0-draft2";

export const run = {
  run() {
    const bucket = open("");
    bucket.set("javascript/greeting", new TextEncoder().encode("Grüße aus JavaScript"));
    const greeting = new TextDecoder().decode(bucket.get("javascript/greeting"));
    const runs = increment(bucket, "javascript/runs", 1n);
    console.log(`${greeting}: run ${runs}`);
  },
};
