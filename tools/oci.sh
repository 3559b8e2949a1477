#!/usr/bin/env bash
# Fetches what publishes the components in a registry of OCI artefacts, and what tests that, into .tools/: wkg and wac, built
# from their crates, which are pinned by their lock files, and a registry from Debian's packages. With --wkg, only wkg.
# What is there already is not fetched again. Progress and errors go to standard error.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
wkg=0.16.1
wac=0.12.0
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; say "  $2"; exit 1; }

# installed CRATE VERSION OPTION...: the program of a crate in .tools/CRATE-VERSION/bin.
installed() {
  local crate=$1 version=$2; shift 2
  local folder=$tools/$crate-$version
  [ ! -e "$folder/.complete" ] || return 0
  say "[oci] building $crate $version from its crate (some minutes)"
  env -u RUSTFLAGS CARGO_TARGET_DIR="$tools/$crate.tmp" cargo install --quiet --locked "$crate" --version "$version" \
    --root "$folder" "$@" >&2 \
    || die "$crate $version was not built" "its output is above; it needs a Rust toolchain and a network"
  rm -rf "$tools/$crate.tmp"
  touch "$folder/.complete"
}

installed wkg "$wkg"
[ "${1:-}" != --wkg ] || exit 0
# What `wac plug` of two files does needs no registry.
installed wac-cli "$wac" --no-default-features

if command -v docker-registry >/dev/null || [ -x "$tools/docker-registry/usr/bin/docker-registry" ]; then exit 0; fi
command -v apt-get >/dev/null && command -v dpkg >/dev/null \
  || die "there is no registry to test with" "put docker-registry (github.com/distribution/distribution) on the PATH"
say "[oci] unpacking docker-registry from Debian's packages"
# Unpacked and not installed: the package would start a service.
work=$tools/docker-registry.tmp
rm -rf "$work"
mkdir -p "$work"
(cd "$work" && apt-get download -q docker-registry >log 2>&1) \
  || die "Debian's package docker-registry cannot be fetched: $(tail -n 1 "$work/log")" "as root: apt-get update"
dpkg -x "$work"/*.deb "$work/unpacked"
rm -rf "$tools/docker-registry"
mv "$work/unpacked" "$tools/docker-registry"
rm -rf "$work"
