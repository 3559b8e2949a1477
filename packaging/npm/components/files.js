import { mkdirSync } from "node:fs";
import { resolve } from "node:path";
import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";

let granted;
let loaded;

export async function files(directory) {
  directory = resolve(directory);
  if (granted !== undefined && granted !== directory) {
    throw new Error(`kvfuse-components: the file store keeps its data in ${granted}; it cannot open ${directory} as well`);
  }
  mkdirSync(directory, { recursive: true });
  granted = directory;
  // Granted before it is loaded: without that the host grants the root of the whole file system.
  _setPreopens({ "/": directory });
  loaded ??= import("./files/keyvalue.js");
  const store = await loaded;
  const part = (name) => store[`wasi:keyvalue/${name}@0.2.0-draft2`];
  return { store: part("store"), atomics: part("atomics"), batch: part("batch") };
}
