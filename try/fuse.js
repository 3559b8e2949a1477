// Runs the program kvfuse in a worker: the message is a command line with a file, and is answered with what the program said.
//
//     { words, file }     { code, stdout, stderr, fused? }
//
// `file` is in /app.wasm; `fused` is what the program left in /app.fused.wasm.

import { _setPreopens } from "./wasi/filesystem.js";
import { command, serve } from "./command.js";

serve(async ({ words, file }) => {
  const root = { dir: { "app.wasm": { source: file } } };
  _setPreopens({ "/": root });
  const ran = await command("kvfuse.js", ["kvfuse", ...words]);
  return { ...ran, fused: root.dir["app.fused.wasm"]?.source };
});
