#!/usr/bin/env bash
# Gets what pushes the components to an OCI registry, and a registry to test that with, into .tools/:
#
#   wkg               built from its crate, pinned (some minutes)          .tools/wkg/bin/wkg
#   docker-registry   unpacked from Debian's package, not installed        .tools/docker-registry/usr/bin/docker-registry
#
# With --push, only the first. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
wkg=0.16.1
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }
mkdir -p "$tools"

if [ ! -x "$tools/wkg/bin/wkg" ]; then
  say "[oci] building wkg $wkg from its crate (some minutes)"
  cargo install --quiet --locked wkg --version "$wkg" --root "$tools/wkg" >&2 || die "wkg $wkg did not build"
fi
[ "${1:-}" != --push ] || exit 0

if [ ! -x "$tools/docker-registry/usr/bin/docker-registry" ]; then
  command -v apt-get >/dev/null && command -v dpkg >/dev/null \
    || die "there is no way to get docker-registry without apt-get and dpkg" "the test runs on Debian and its derivatives"
  say "[oci] unpacking docker-registry"
  work=$(mktemp -d "$tools/docker-registry.XXXXXX")
  trap 'rm -rf "$work"' EXIT
  (cd "$work" && apt-get download --quiet docker-registry >log 2>&1) \
    || die "apt-get could not download docker-registry: $(tail -n 1 "$work/log")" "run 'apt-get update' as root once"
  dpkg -x "$work"/*.deb "$work/unpacked"
  rm -rf "$tools/docker-registry"
  mv "$work/unpacked" "$tools/docker-registry"
fi
