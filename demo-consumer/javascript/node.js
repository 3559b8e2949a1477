// Runs a component on Node.js, as transpiled by `jco transpile`, with one directory as its root.
//
//     jco transpile kv_demo.fused.wasm --name kv_demo --out-dir .
//     node run.js data list

import { mkdirSync } from "node:fs";
import { _setArgs } from "@bytecodealliance/preview2-shim/cli";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";

const [directory, ...args] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
_setPreopens({ "/": directory });
_setArgs(["kv_demo", ...args]);

const { run } = await import("./kv_demo.js");
run.run();
