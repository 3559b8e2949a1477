// Serves an HTTP handler on Node.js, as transpiled by `jco transpile`, with one directory as its root, or with none.
//
//     jco transpile handler.fused.wasm --name handler --out-dir .
//     node serve.js 8080 data

import { _setPreopens } from "@bytecodealliance/preview2-shim/filesystem";
import { HTTPServer } from "@bytecodealliance/preview2-shim/http";

const [port, directory] = process.argv.slice(2);
_setPreopens(directory ? { "/": directory } : {});

const { incomingHandler } = await import("./handler.js");
const server = new HTTPServer(incomingHandler);
server.listen(Number(port), "127.0.0.1");
console.error(`serving on http://127.0.0.1:${server.address().port}/`);
