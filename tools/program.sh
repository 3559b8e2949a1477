#!/usr/bin/env bash
# Builds kvfuse for another platform, by the name of Rust's target: tools/program.sh TARGET. It is then in
# target/TARGET/release/. What is missing is installed: Rust's standard library for the target with rustup, and a C compiler,
# which links the program too, from Debian's packages, given root and apt-get.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
target=$1
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; say "  $2"; exit 1; }

case $target in
  x86_64-unknown-linux-musl) compiler=musl-gcc packages=(musl-tools) ;;
  aarch64-unknown-linux-gnu) compiler=aarch64-linux-gnu-gcc packages=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross) ;;
  x86_64-pc-windows-gnu) compiler=x86_64-w64-mingw32-gcc packages=(gcc-mingw-w64-x86-64) ;;
  *) die "there is no way to build for $target here" "tools/program.sh has the targets that there are" ;;
esac

if ! ls "$(rustc --print sysroot)/lib/rustlib/$target/lib/"libstd-*.rlib >/dev/null 2>&1; then
  command -v rustup >/dev/null || die "the Rust toolchain has no standard library for $target" "install Rust with rustup"
  rustup target add "$target" >&2 || die "rustup could not fetch the standard library for $target" "its output is above"
fi

if ! command -v "$compiler" >/dev/null; then
  [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null \
    || die "$target needs $compiler" "Debian's package: as root, apt-get install ${packages[*]}"
  say "[program] installing ${packages[*]}"
  export DEBIAN_FRONTEND=noninteractive
  log=$(mktemp)
  { apt-get install -y --no-install-recommends "${packages[@]}" \
    || { apt-get update && apt-get install -y --no-install-recommends "${packages[@]}"; }; } >"$log" 2>&1 \
    || die "apt-get could not install ${packages[*]}" "its output is in $log"
  rm -f "$log"
fi

# The compiler links for other processors. For the others rustc knows what to call.
if [ "$target" = aarch64-unknown-linux-gnu ]; then export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=$compiler; fi
cd "$root"
exec cargo build --locked --release --package kvfuse --target "$target"
