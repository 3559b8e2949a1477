#!/usr/bin/env bash
# Makes sure that the emulators for the tests are in .tools/: of DynamoDB, dynalite (from npm) and moto (from the Python
# package index), and of Azure Tables, azurite (from npm). The versions are pinned in tests/servers/. The tests start them on
# free loopback ports.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
pinned=$root/tests/servers/dynamodb
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; say "  $2"; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "the tests need emulators of DynamoDB and Azure, and $1 is not installed" "$2"; }
# fresh FOLDER FILE...: whether FOLDER was completed after every FILE.
fresh() { local done=$1/.complete in; shift; [ -e "$done" ] || return 1; for in; do [ ! "$in" -nt "$done" ] || return 1; done; }
# quietly WHAT COMMAND...: shows a command's output only when it fails.
quietly() {
  local what=$1 log; shift
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then tail -n 20 "$log" >&2; rm -f "$log"; die "$what failed" "its output is above"; fi
  rm -f "$log"
}

# from_npm NAME FOLDER: the package that FOLDER pins.
from_npm() {
  local name=$1 pinned=$2
  fresh "$tools/$name" "$pinned/package.json" "$pinned/package-lock.json" && return
  need node "Node.js 20 or newer, with npm: apt-get install npm"
  need npm "it comes with Node.js: apt-get install npm"
  say "[emulators] fetching $name"
  rm -rf "${tools:?}/$name"
  mkdir -p "$tools/$name"
  cp "$pinned/package.json" "$pinned/package-lock.json" "$tools/$name"
  (cd "$tools/$name" && quietly "npm ci" npm ci --no-audit --no-fund --omit=optional)
  touch "$tools/$name/.complete"
}

from_npm dynalite "$pinned"
from_npm azurite "$root/tests/servers/azurite"

if ! fresh "$tools/moto" "$pinned/requirements.txt"; then
  need python3 "Python 3.10 or newer, with venv: apt-get install python3-venv"
  say "[emulators] fetching moto"
  rm -rf "$tools/moto"
  quietly "python3 -m venv" python3 -m venv "$tools/moto"
  quietly "pip install" "$tools/moto/bin/python" -m pip install --disable-pip-version-check \
    --requirement "$pinned/requirements.txt"
  touch "$tools/moto/.complete"
fi
