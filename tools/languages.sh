#!/usr/bin/env bash
# Builds the demo consumers in other languages into components/, with toolchains from their registries:
#
#   Python      componentize-py (from the Python package index)            kv_python.wasm, and for WASI 0.3
#                                                                          kv_python_waiting.wasm, kv_python_handler.wasm
#   JavaScript  jco componentize (from npm)                                kv_javascript.wasm
#   C           wit-bindgen (from its crate) and a clang with a C library
#               for WASI (zig cc, from the Python package index)           kv_c.wasm
#
# and transpiles the Rust demo and the file provider for Node with jco, into .tools/node-demo/ and
# .tools/node-provider/. Versions are pinned: those of Python in the requirements.txt next to each source, those of npm
# in package.json and its lock file. Nothing is written outside .tools/ and components/.
#
# With --node-provider, only the last of these; with --node-packages, only jco; with --zig, only zig. Only what is out of
# date is built. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
demo=$root/demo-consumer
wit_bindgen=0.60.0
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is not installed" "$2"; }
# fresh OUT IN...: whether OUT is newer than every IN.
fresh() { local out=$1 in; shift; [ -e "$out" ] || return 1; for in; do [ ! "$in" -nt "$out" ] || return 1; done; }
# quietly WHAT COMMAND...: shows a command's output only when it fails.
quietly() {
  local what=$1 log; shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then tail -n 30 "$log" >&2; rm -f "$log"; die "$what failed"; fi
  rm -f "$log"
}

need python3 "Python 3.10 or newer, with venv: apt-get install python3-venv"
need node "Node.js 20 or newer, with npm: apt-get install npm"
need npm "it comes with Node.js: apt-get install npm"
[[ ${1:-} =~ ^--(node-packages|zig)$ ]] || [ -e "$root/components/keyvalue.wasm" ] || die "the providers are not built" "make build"
mkdir -p "$root/components" "$tools"
xtask() { "${CARGO_TARGET_DIR:-$root/target}/debug/xtask" "$@"; }
# What each of them depends on besides its source: the interfaces, and the options in this script.
wit=("$demo"/wit/world.wit "$demo"/wit/deps/*/*.wit "$root/tools/languages.sh")

# A Python environment with the packages of a requirements.txt, made again when that file has changed.
environment() {
  local folder=$tools/$1 list=$2
  fresh "$folder/.complete" "$list" && return
  say "[languages] fetching $(grep -v '^#' "$list")"
  rm -rf "$folder"
  quietly "python3 -m venv" python3 -m venv "$folder"
  quietly "pip install" "$folder/bin/python" -m pip install --disable-pip-version-check --requirement "$list"
  touch "$folder/.complete"
}

# The npm packages, as in the lock file.
node_packages() {
  local folder=$tools/node-packages
  fresh "$folder/.complete" "$demo/javascript/package.json" "$demo/javascript/package-lock.json" && return
  say "[languages] fetching jco $(sed -n 's/.*"@bytecodealliance\/jco": "\(.*\)".*/\1/p' "$demo/javascript/package.json")"
  rm -rf "$folder"
  mkdir -p "$folder"
  cp "$demo/javascript/package.json" "$demo/javascript/package-lock.json" "$folder"
  # `npm ci` fails: it requires entries for optional packages that were never published for some platforms.
  (cd "$folder" && quietly "npm install" npm install --no-audit --no-fund)
  touch "$folder/.complete"
}

case ${1:-} in
  --node-packages) node_packages; exit ;;
  --zig) environment zig "$demo/c/requirements.txt"; exit ;;
esac

# on_node COMPONENT FOLDER WHAT: transpiles a component to JavaScript and core modules.
on_node() {
  local name=$1 out=$tools/$2
  node_packages
  say "[languages] $3 on Node: $out"
  rm -rf "$out"
  quietly "jco transpile" "$tools/node-packages/node_modules/.bin/jco" transpile \
    "$root/components/$name.wasm" --name "${name%.fused}" --out-dir "$out"
  # Where its imports of wasi: are resolved.
  ln -s ../node-packages/node_modules "$out/node_modules"
  printf '{"type":"module"}\n' > "$out/package.json"
}

# The file store by itself: a program can only be started once, so tests with many operations in one process use this, and
# it is published.
node_provider() {
  local out=$tools/node-provider
  fresh "$out/.complete" "$root/components/keyvalue.wasm" "$demo/javascript/package.json" "$root"/wit/draft2/*.wit && return
  on_node keyvalue node-provider "the file store"
  # Several generations share the names of their interfaces, and jco writes one file for each name. Users get these types.
  quietly "jco types" "$tools/node-packages/node_modules/.bin/jco" types "$root/wit/draft2" --world-name draft2-provider \
    --out-dir "$out/types"
  touch "$out/.complete"
}
if [ "${1:-}" = --node-provider ]; then node_provider; exit; fi

out=$root/components/kv_python.wasm
if ! fresh "$out" "$demo/python/app.py" "$demo/python/requirements.txt" "${wit[@]}"; then
  environment componentize-py "$demo/python/requirements.txt"
  say "[languages] Python: $out"
  (cd "$demo/python" && PYTHONDONTWRITEBYTECODE=1 quietly "componentize-py" \
    "$tools/componentize-py/bin/componentize-py" -d ../wit -w app componentize app -o "$out")
fi

# The same for WASI 0.3, whose WIT is in the crate that the guests of the tests are built with.
wasi_of_rust() {
  cargo metadata --locked --format-version 1 --manifest-path "$root/Cargo.toml" | python3 -c '
import json, os, sys
packages = json.load(sys.stdin)["packages"]
print(next(os.path.dirname(p["manifest_path"]) + "/wit" for p in packages if p["name"] == "wasip3"))'
}
third() {
  local module=$1 world=$2 out=$root/components/$3
  fresh "$out" "$demo/python/$module.py" "$demo/python/requirements.txt" "$root/Cargo.lock" "$demo/wit-waiting/world.wit" \
    "$demo"/wit-waiting/deps/*/*.wit "$root/tools/languages.sh" && return
  environment componentize-py "$demo/python/requirements.txt"
  say "[languages] Python, WASI 0.3: $out"
  local wasi
  wasi=$(wasi_of_rust)
  (cd "$demo/python" && PYTHONDONTWRITEBYTECODE=1 quietly "componentize-py" "$tools/componentize-py/bin/componentize-py" \
    -d "$wasi" -d ../wit-waiting -w "demo:waiting/$world" componentize "$module" -o "$out")
}
third waiting app kv_python_waiting.wasm
third waiting_handler handler kv_python_handler.wasm

# jco supports neither symbolic links nor paths that lead upwards.
out=$root/components/kv_javascript.wasm
if ! fresh "$out" "$demo/javascript/app.js" "$demo/javascript/package.json" "${wit[@]}"; then
  node_packages
  say "[languages] JavaScript: $out"
  work=$tools/javascript
  rm -rf "$work"
  mkdir -p "$work"
  cp -RL "$demo/wit" "$demo/javascript/app.js" "$work"
  (cd "$work" && quietly "jco componentize" "$tools/node-packages/node_modules/.bin/jco" componentize app.js \
    --wit wit --world-name app --disable http --disable fetch-event --out "$out")
fi

out=$root/components/kv_c.wasm
if ! fresh "$out" "$demo/c/app.c" "$demo/c/requirements.txt" "${wit[@]}"; then
  environment zig "$demo/c/requirements.txt"
  bindgen=$tools/wit-bindgen-$wit_bindgen/bin/wit-bindgen
  if [ ! -x "$bindgen" ]; then
    say "[languages] building wit-bindgen $wit_bindgen (about a minute on 2 cores)"
    quietly "cargo install wit-bindgen-cli" cargo install --locked wit-bindgen-cli --version "$wit_bindgen" \
      --no-default-features --features c --root "$tools/wit-bindgen-$wit_bindgen"
  fi
  say "[languages] C: $out"
  work=$tools/c
  rm -rf "$work"
  mkdir -p "$work"
  quietly "wit-bindgen c" "$bindgen" c "$demo/wit" --world app --out-dir "$work"
  (cd "$work" && quietly "zig cc" "$tools/zig/bin/python" -m ziglang cc --target=wasm32-wasi -O2 -s -I . \
    "$demo/c/app.c" app.c app_component_type.o -mexec-model=reactor -o app.core.wasm)
  xtask componentize "$work/app.core.wasm" "$out" kv_c "Counts its runs in a key-value store, in C" >&2
fi

# The Rust demo with the file store inside.
out=$tools/node-demo
if ! fresh "$out/.complete" "$root/components/kv_demo.fused.wasm" "$demo/javascript/package.json"; then
  on_node kv_demo.fused node-demo Rust
  cp "$demo/javascript/node.js" "$out/run.js"
  touch "$out/.complete"
fi

node_provider
