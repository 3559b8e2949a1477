#!/usr/bin/env bash
# Builds applications with Spin's SDKs into components/, as Spin's users do, from tests/spin/:
#
#   Rust     spin-sdk (from its crates), for Spin 2 and 3 and for Spin 4     spin3-shelf.wasm, spin4-shelf.wasm
#   Python   spin-sdk and componentize-py (from the Python package index)    spin-python.wasm
#
# Versions are pinned in the Cargo.lock and the requirements.txt there. Nothing is written outside .tools/, target/ and
# components/. Only what is out of date is built. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
apps=$root/tests/spin
target=${CARGO_TARGET_DIR:-$root/target}/spin
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }
# fresh OUT IN...: whether OUT is newer than every IN.
fresh() { local out=$1 in; shift; [ -e "$out" ] || return 1; for in; do [ ! "$in" -nt "$out" ] || return 1; done; }
# quietly WHAT COMMAND...: shows a command's output only when it fails.
quietly() {
  local what=$1 log; shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then tail -n 30 "$log" >&2; rm -f "$log"; die "$what failed"; fi
  rm -f "$log"
}
command -v python3 >/dev/null 2>&1 || die "python3 is not installed" "Python 3.10 or newer, with venv: apt-get install python3-venv"
mkdir -p "$root/components" "$tools"

# Cargo knows what is out of date.
say "[spin] Rust: components/spin3-shelf.wasm, components/spin4-shelf.wasm"
(cd "$apps" && CARGO_TARGET_DIR=$target "$root/tools/cargo-wasm.sh" build --quiet --locked --release --target wasm32-wasip2 >&2)
for app in spin3 spin4; do cp "$target/wasm32-wasip2/release/${app}_shelf.wasm" "$root/components/$app-shelf.wasm"; done

out=$root/components/spin-python.wasm
list=$apps/python/requirements.txt
if ! fresh "$out" "$apps/python/app.py" "$list" "$0"; then
  environment=$tools/spin-python
  if ! fresh "$environment/.complete" "$list"; then
    say "[spin] fetching $(grep -v '^#' "$list" | paste -sd' ')"
    rm -rf "$environment"
    quietly "python3 -m venv" python3 -m venv "$environment"
    quietly "pip install" "$environment/bin/python" -m pip install --disable-pip-version-check --requirement "$list"
    touch "$environment/.complete"
  fi
  say "[spin] Python: $out"
  (cd "$apps/python" && PYTHONDONTWRITEBYTECODE=1 VIRTUAL_ENV=$environment quietly "componentize-py" \
    "$environment/bin/componentize-py" -w spin:up/http-trigger@4.1.0 componentize app -o "$out")
fi
