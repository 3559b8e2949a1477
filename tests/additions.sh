#!/usr/bin/env bash
# Shows what CONTRIBUTING.md says: in a scratch copy of this repository it adds a toy store and a toy generation of the
# interface, touching only the places named there, and checks that the build, kvfuse and the conformance suite know both.
#
#   tests/additions.sh               everything
#   tests/additions.sh --no-runtime  without the conformance run, which needs wasmtime as a library
#
# The copy is in the target folder. It begins with a copy of what is compiled there, because one target folder cannot serve
# two copies of a workspace: cargo would take the crates of one for those of the other.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
export KVFUSE_TOOLS=${KVFUSE_TOOLS:-$root/.tools}
copy=$target/additions
export CARGO_TARGET_DIR=$copy/target
runtime=true
[ "${1:-}" != --no-runtime ] || runtime=false
say() { printf '[additions] %s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }

rm -rf "$copy"
mkdir -p "$copy/target/debug"
trap 'rm -rf "$copy/target"' EXIT
(cd "$root" && git ls-files -z | tar --create --null --files-from=- --file=-) | tar --extract --directory "$copy" --file=-
for part in guest wasm32-unknown-unknown debug/.fingerprint debug/build; do
  if [ -d "$target/$part" ]; then cp -a --reflink=auto "$target/$part" "$copy/target/$part"; fi
done
# Programs are linked again anyway, and are most of what there is.
if [ -d "$target/debug/deps" ]; then
  (cd "$target/debug" && find deps -name '*.rlib' -o -name '*.rmeta' -o -name '*.so' -o -name '*.d') |
    tar --create --directory "$target/debug" --files-from=- | tar --extract --directory "$copy/target/debug"
fi
cd "$copy"
git init --quiet
git add --all
git -c user.name=additions -c user.email= commit --quiet --message "before"

# ---- a store: a folder, a stanza, a page ----
mkdir -p provider/stores/toy/src
cat >provider/stores/toy/Cargo.toml <<'END'
[package]
name = "kvfuse-toy"
version.workspace = true
edition.workspace = true
license.workspace = true

[dependencies]
kvfuse-core.workspace = true
kvfuse-memory.workspace = true
END
cat >provider/stores/toy/src/lib.rs <<'END'
//! A store that forgets.
pub mod wasi {
    use kvfuse_core::{Result, Settings};
    pub type Store = kvfuse_memory::MemoryStore;
    pub fn store(_: &Settings) -> Result<Store> {
        Ok(Store::default())
    }
}
END
sed -i 's|^pub const STORES: &\[Store\] = &\[|&\n    Store {\n        name: "toy",\n        about: "nothing that lasts",\n        artefact: "keyvalue-toy",\n        imports: \&[],\n        waiting: None,\n        variables: \&[],\n        largest: None,\n        longest_key: None,\n        lifetimes: false,\n        lists: true,\n        extends: None,\n        tested_with: \&[],\n    },|' \
  provider/table/src/stores.rs
printf '# The toy store\n\nIt forgets.\n' >docs/toy.md

# ---- a generation: a folder, a file, a guest, a line ----
cp -R wit/draft2 wit/toy
sed -i 's/0\.2\.0-draft2/0.3.0-toy/; s/draft2-provider/toy-provider/' wit/toy/*.wit
sed 's/0\.2\.0-draft2/0.3.0-toy/g; s/draft2-provider/toy-provider/; s|wit/draft2|wit/toy|; s/kvfuse_facade::draft2/kvfuse_facade::toy/' \
  provider/facade/src/draft2.rs >provider/facade/src/toy.rs
sed 's/0\.2\.0-draft2/0.3.0-toy/g; s|wit/draft2|wit/toy|' \
  tests/conformance/guests/examples/draft2.rs >tests/conformance/guests/examples/toy.rs
sed -i 's|^pub const GENERATIONS: &\[Generation\] = &\[|&\n    generation("toy", "wasi:keyvalue@0.3.0-toy", "store", "0.3.0-toy", "the toy"),|' \
  provider/table/src/generations.rs

say "touched:"
git status --short --untracked-files=all >&2
[ "$(git status --short | grep -c '^ M')" = 2 ] || die "more than the stanza and the line was edited"

# ---- what knows them ----
say "the build"
make --no-print-directory providers conformance-guests
for file in keyvalue-toy keyvalue-toy-draft2-optional-pairs keyvalue-toy-v0-1-consume-methods; do
  [ -f "components/$file.wasm" ] || die "components/$file.wasm was not built"
done
grep -q '^| `toy` |' README.md || die "the README's table does not have the store"

say "kvfuse"
cargo build --quiet --package kvfuse --package xtask --no-default-features
kvfuse=$CARGO_TARGET_DIR/debug/kvfuse
"$kvfuse" stores >stores.txt
grep -q '^toy: nothing that lasts$' stores.txt || die "kvfuse stores does not list the store"
! grep '^  provider ' stores.txt | grep -v 'wasi:keyvalue@0.3.0-toy' || die "not every provider has the generation"
"$CARGO_TARGET_DIR/debug/xtask" componentize "$CARGO_TARGET_DIR/wasm32-unknown-unknown/guest/examples/toy.wasm" app.wasm app "a consumer"
"$kvfuse" inspect app.wasm >inspected.txt
grep -q 'the toy' inspected.txt || die "kvfuse inspect does not know the generation: $(cat inspected.txt)"
for store in files toy; do
  "$kvfuse" fuse --quiet --store "$store" app.wasm --output "$store.wasm"
done
# The store has a place among the others behind one provider, which asks the host for no more than the two need.
"$kvfuse" fuse --store files --bucket scratch=toy app.wasm --output both.wasm >fused.txt
grep -q 'inside: the stores files and toy (keyvalue-stores.wasm)$' fused.txt || die "the store cannot be routed to: $(cat fused.txt)"
! grep -q 'wasi:sockets\|wasi:http' fused.txt || die "more is imported than the stores need: $(cat fused.txt)"

if $runtime; then
  say "conformance"
  # The set that the tests are built as: other features would compile the runtime once more.
  make --no-print-directory native
  for store in files toy; do
    "$CARGO_TARGET_DIR/debug/kvfuse-conformance" --target "$store" --generation toy --generation draft2 >conformance.txt ||
      die "conformance: $(cat conformance.txt)"
    grep -q "^$store / toy: 40 of 40 passed$" conformance.txt || die "conformance: $(cat conformance.txt)"
  done
fi
say "a store and a generation were added, and everything knows them"
