#!/usr/bin/env bash
# Makes sure that this machine can compile for the given wasm targets, and prints the sysroot to use for them: an empty
# line if the installed toolchain has them, otherwise the folder of an overlay that is built here.
#
#   tools/wasm-targets.sh wasm32-unknown-unknown wasm32-wasip2
#
# 1. If the toolchain has them, or `rustup target add` installs them, nothing else is necessary.
# 2. Otherwise (rustup's downloads cannot be reached, or there is no rustup) the standard library is built from its
#    source in Debian's packages. Nothing is installed; everything stays in .tools/.
#
# Progress and errors go to standard error, only the result goes to standard output.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
tools=${KVFUSE_TOOLS:-$root/.tools}
targets=("$@")
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $1"; shift; for line in "$@"; do say "  $line"; done; exit 1; }

release=$(rustc -vV | sed -n 's/^release: //p')
[ -n "$release" ] || die "rustc does not run" "install Rust's stable toolchain with rustup"
sysroot=$(rustc --print sysroot)

missing=()
for target in "${targets[@]}"; do
  ls "$sysroot/lib/rustlib/$target/lib/"libstd-*.rlib >/dev/null 2>&1 || missing+=("$target")
done
if [ ${#missing[@]} -eq 0 ]; then echo; exit 0; fi

overlay=$tools/rust-$release
if [ -e "$overlay/.complete-$(IFS=+; echo "${targets[*]}")" ]; then echo "$overlay"; exit 0; fi

# The toolchain may come from rustup or from a distribution. Only the first can add targets.
if [ -z "${KVFUSE_NO_RUSTUP:-}" ] && command -v rustup >/dev/null 2>&1; then
  say "[wasm targets] rustup target add ${missing[*]}"
  if rustup target add "${missing[@]}" >&2; then echo; exit 0; fi
  say "[wasm targets] rustup could not fetch them; building the standard library from Debian's source package instead"
fi

command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || die \
  "there is no standard library for ${missing[*]}, and no way to get one" \
  "rustup could not add the targets, and building it needs Debian's apt-get and dpkg." \
  "With a network that reaches rustup's downloads:  rustup target add ${missing[*]}"

site=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' 2>/dev/null | grep -v security | head -n 1 || true)
[ -n "$site" ] || die "apt has no package source" \
  "run 'apt-get update' as root once, or: rustup target add ${missing[*]}"

work=$tools/wasm-targets.tmp
rm -rf "$work"
mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/src"
trap 'rm -rf "$work"' EXIT

# Private lists and cache, so that the system's package state is not changed. Signatures are checked as usual.
printf 'deb %s %s main\n' "$site" trixie "$site" trixie-backports "$site" forky > "$work/sources.list"
apt=(-o "Dir::Etc::SourceList=$work/sources.list" -o Dir::Etc::SourceParts=/dev/null
     -o "Dir::State::Lists=$work/lists" -o "Dir::Cache=$work/cache" -o APT::Sandbox::User=root
     -o Acquire::Languages=none -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -q)

say "[wasm targets] 1/4 reading package lists"
apt-get "${apt[@]}" update >"$work/update.log" 2>&1 || say "$(grep -E '^(E|W|Err)' "$work/update.log" | head -n 5)"
version=$(apt-cache "${apt[@]}" madison rust-src | awk '{print $3}' | grep -E "^${release//./\\.}[+~-]" | head -n 1 || true)
if [ -z "$version" ]; then
  have=$(apt-cache "${apt[@]}" madison rust-src | awk '{print $3}' | sed 's/[+~-].*//' | sort -uV | paste -sd' ')
  die "Debian has no source of the standard library for rustc $release (it has: ${have:-none})" \
      "Use one of those toolchains, or, with a network that reaches rustup's downloads:" \
      "rustup target add ${missing[*]}"
fi
libc=$(apt-cache "${apt[@]}" madison wasi-libc | awk '{print $3}' | grep -F 20241209 | head -n 1 || true)
libc=${libc:-$(apt-cache "${apt[@]}" madison wasi-libc | awk '{print $3}' | head -n 1)}
[ -n "$libc" ] || die "Debian's package wasi-libc was not found" "or: rustup target add ${missing[*]}"

say "[wasm targets] 2/4 fetching rust-src $version and wasi-libc $libc (46 MB)"
(cd "$work" && apt-get "${apt[@]}" download "rust-src=$version" "wasi-libc=$libc" >download.log 2>&1) \
  || die "the download failed: $(tail -n 1 "$work/download.log")" "Try again, or: rustup target add ${missing[*]}"
for package in "$work"/*.deb; do dpkg -x "$package" "$work/src"; done
library=$(echo "$work/src/usr/src"/*"$release"*/library)
[ -d "$library/std" ] || die "the package rust-src $version contains no standard library" "or: rustup target add ${missing[*]}"

say "[wasm targets] 3/4 compiling the standard library for ${targets[*]} (about 25 s each on 2 cores)"
mkdir -p "$work/empty/src"
printf '[package]\nname = "empty"\nversion = "0.0.0"\nedition = "2021"\n[workspace]\n' > "$work/empty/Cargo.toml"
: > "$work/empty/src/lib.rs"
# The two variables make `-Z build-std` work with a stable cargo. `lto = true` needs the bitcode later.
(cd "$work/empty" && env -u CARGO_TARGET_DIR -u CARGO_ENCODED_RUSTFLAGS RUSTC_BOOTSTRAP=1 \
  __CARGO_TESTS_ONLY_SRC_ROOT="$library" RUSTFLAGS=-Cembed-bitcode=yes \
  cargo build --release -Z build-std=std,panic_abort $(printf -- '--target %s ' "${targets[@]}") >&2) \
  || die "the standard library of rustc $release did not build from rust-src $version" \
         "With a network that reaches rustup's downloads:  rustup target add ${missing[*]}"

say "[wasm targets] 4/4 laying out $overlay"
rm -rf "$overlay"
for target in "${targets[@]}"; do
  lib=$overlay/lib/rustlib/$target/lib
  mkdir -p "$lib"
  cp "$work/empty/target/$target/release/deps/"*.rlib "$lib/"
  rm -f "$lib"/libempty-*.rlib
  case $target in wasm32-wasip2)
    mkdir -p "$lib/self-contained"
    cp "$work/src/usr/lib/wasm32-wasip2/"{libc.a,crt1-command.o,crt1-reactor.o} "$lib/self-contained/" ;;
  esac
done
touch "$overlay/.complete-$(IFS=+; echo "${targets[*]}")"
echo "$overlay"
