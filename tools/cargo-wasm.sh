#!/usr/bin/env bash
# Runs cargo so that it can compile for the wasm targets on any machine:
#
#   tools/cargo-wasm.sh build -p keyvalue --target …
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
sysroot=$("$root/tools/wasm-targets.sh" wasm32-unknown-unknown wasm32-wasip2)
if [ -n "$sysroot" ]; then
  export CARGO_TARGET_WASM32_WASIP2_RUSTFLAGS="--sysroot=$sysroot"
  export CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_RUSTFLAGS="--sysroot=$sysroot"
fi
exec cargo "$@"
