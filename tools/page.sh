#!/usr/bin/env bash
# Makes the page to try kvfuse, as static files: tools/page.sh FOLDER. It needs kvfuse and the demo as components, and jco:
#
#   try/                      the page
#   demo-consumer/browser/    the worker that runs the demo, and its files in OPFS
#   kvfuse.js, kv_demo.js     the two components, transpiled
#   wasi/                     the shims of jco
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
target=${CARGO_TARGET_DIR:-$root/target}
out=$1
"$root/tools/languages.sh" --node-packages
modules=$tools/node-packages/node_modules

rm -rf "$out"
mkdir -p "$out/wasi"
cp "$root"/try/* "$root"/demo-consumer/browser/*.js "$out"
cp "$modules"/@bytecodealliance/preview2-shim/dist/browser/*.js "$out/wasi"

# transpiled COMPONENT NAME FILESYSTEM
transpiled() {
  local maps=(--map "wasi:filesystem/*=./$3#*") shim
  for shim in cli clocks http io random sockets; do maps+=(--map "wasi:$shim/*=./wasi/$shim.js#*"); done
  "$modules/.bin/jco" transpile "$1" --name "$2" --out-dir "$out" --quiet --no-typescript --no-nodejs-compat "${maps[@]}"
}
transpiled "$target/wasm32-wasip2/guest/kvfuse.wasm" kvfuse wasi/filesystem.js
transpiled "$root/components/kv_demo.fused.wasm" kv_demo opfs.js
rm -r "$out"/interfaces "$out"/*.d.ts
