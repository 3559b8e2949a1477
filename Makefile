# kvfuse. `make` builds everything, fuses the demo with the file provider and runs it; `make help` lists the rest.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := run

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
LEAN := $(CARGO_TARGET_DIR)/wasm32-unknown-unknown/guest
WASI := $(CARGO_TARGET_DIR)/wasm32-wasip2/guest
# The packages whose guests the tests run; the lints look at all of them.
LEAN_GUESTS := kvfuse-artefacts kvfuse-runner keyvalue_floor keyvalue_mutant kvfuse-conformance-guests kvfuse-consumers
# Those of them whose guests are examples.
EXAMPLES := kvfuse-artefacts kvfuse-runner kvfuse-conformance-guests kvfuse-consumers
WASI_GUESTS := kv_demo kvfuse-test-guests kvfuse-serve-guest
# Made by the target `xtask`.
XTASK := $(CARGO_TARGET_DIR)/debug/xtask
# The native packages are always built as one set: for a part of it cargo would choose other features of the same
# dependencies, and compile the runtime once more.
NATIVE := --workspace $(addprefix --exclude ,$(LEAN_GUESTS) $(WASI_GUESTS))
# The benchmarks bring the stores that they compare with, one of them in C. Without them, all features stay as they are.
TESTED := $(NATIVE) $(addprefix --exclude ,kvfuse-bench kvfuse-bench-copy kvfuse-bench-guest kvfuse-curve)
# To inspect needs no runtime, and without it kvfuse compiles in a fraction of the time.
KVFUSE := cargo run --quiet --package kvfuse --no-default-features --

say = @printf '\n\033[1m== %s\033[0m\n' "$(1)"

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' Makefile

.PHONY: run
run: build ## build, fuse and run the demo on the folder data/ (the default)
	$(call say,running it: wasmtime run --dir data::/ components/kv_demo.fused.wasm)
	@wasmtime=$$(tools/wasmtime.sh); mkdir -p data; "$$wasmtime" run --dir data::/ components/kv_demo.fused.wasm

.PHONY: build
build: components/kv_demo.fused.wasm

.PHONY: fused-component
fused-component: build providers ## build the provider and the demo, fuse them, show the result
	$(call say,what the fused component is)
	@$(KVFUSE) inspect --verbose components/kv_demo.fused.wasm

.PHONY: toolchain
toolchain:
	$(call say,looking for the wasm targets of the Rust toolchain)
	@tools/wasm-targets.sh wasm32-unknown-unknown wasm32-wasip2 >/dev/null

# Cargo and xtask know what is up to date; make only orders the steps.

# With the features that the tests have, so that they compile nothing of it again.
.PHONY: xtask
xtask:
	@cargo build $(TESTED) --bin xtask

# The provider components: what provider/table lists, compiled side by side.
ARTEFACTS := build --package kvfuse-artefacts --package kvfuse-runner --target wasm32-unknown-unknown --profile guest
.PHONY: providers generate components/keyvalue.wasm
components/keyvalue.wasm: toolchain generate
	$(call say,the provider: components/keyvalue.wasm)
	@tools/cargo-wasm.sh $(ARTEFACTS) --example keyvalue
	@$(XTASK) providers $(LEAN)/examples components keyvalue

providers: toolchain generate ## the provider components, of every store, and the explorer
	$(call say,the providers)
	@tools/cargo-wasm.sh $(ARTEFACTS) --examples
	@$(XTASK) providers $(LEAN)/examples components
	$(call say,the explorer: components/explorer.wasm)
	@tools/cargo-wasm.sh build --package kvfuse-explorer --target wasm32-unknown-unknown --profile guest
	@$(XTASK) componentize $(LEAN)/kvfuse_explorer.wasm components/explorer.wasm explorer \
	  "A page in the browser that shows and edits any wasi:keyvalue store"

generate: xtask ## write what provider/table determines in the source: artefacts, lists of modules, the README's tables
	@$(XTASK) generate

.PHONY: components/kv_demo.wasm components/kv_demo.fused.wasm
components/kv_demo.wasm: toolchain xtask
	$(call say,the consumer: components/kv_demo.wasm)
	@tools/cargo-wasm.sh build --package kv_demo --target wasm32-wasip2 --profile guest
	@$(XTASK) componentize $(WASI)/kv_demo.wasm $@ kv_demo "A guided tour of wasi:keyvalue, and a small tool for any store"

components/kv_demo.fused.wasm: components/keyvalue.wasm components/kv_demo.wasm
	$(call say,fusing them: components/kv_demo.fused.wasm)
	@$(XTASK) compose components/kv_demo.wasm components/keyvalue.wasm $@

# The servers are mostly waited for, and the providers computed. (With --jobs, cargo would look for make's job server, which only
# recipes that are themselves make can reach.)
.PHONY: providers-and-servers
providers-and-servers:
	@$(MAKE) --no-print-directory servers & servers=$$!; \
	  $(MAKE) --no-print-directory providers || { wait $$servers; exit 1; }; wait $$servers

.PHONY: test test-full native
test: providers-and-servers build test-guests conformance-guests consumers ## the tests, with real servers; what is long is in test-long
	$(call say,tests)
	@WASMTIME=$$(tools/wasmtime.sh) $(XTASK) test $(TESTED)

test-full: lint test-long test-languages ## what CI runs after `make test`: lints, the long tests, consumers in other languages, a soak
	$(call say,what is refused when it is to be published)
	@cd packaging; python3 -B -m unittest test_rules
	$(call say,the simulation of the file store)
	@$(MAKE) --no-print-directory soak SOAK=150 SEED=100 SEEDS=2500

# The tests that `make test` leaves out.
.PHONY: test-long
test-long: providers-and-servers build test-guests conformance-guests consumers ## the whole conformance matrix, every mutant, and other tests that are long
	$(call say,long tests)
	@WASMTIME=$$(tools/wasmtime.sh) $(XTASK) test $(TESTED) --test conformance --test mutants --test slow --test every_byte --test engine_guests --test several --test together --test at_once \
	  --test explore_use --test explore_live --test streams --test contract -- --ignored
	@$(XTASK) test $(NATIVE) --lib --bins --

native:
	@cargo build $(TESTED)

.PHONY: additions
additions: toolchain ## a toy store and a toy generation, added as CONTRIBUTING.md says, in a scratch copy
	$(call say,adding a store and a generation in a scratch copy)
	@tests/additions.sh

SOAK := 600
SEED :=
SEEDS :=
.PHONY: soak
soak: ## the simulation of the file store, seed after seed: SOAK=seconds (600 by default); SEED=the first one (random by default), SEEDS=how many
	@cargo run --quiet --release --package kvfuse-files-sim --bin soak -- $(SOAK) $(SEED) $(SEEDS)

.PHONY: servers
servers: ## the servers that the tests start: installed with apt-get when root, and emulators from npm and the Python package index
	@tools/servers.sh
	@tools/emulators.sh

.PHONY: test-guests
test-guests: toolchain
	$(call say,the guests of the tests)
	@tools/cargo-wasm.sh build --package kvfuse-test-guests --package kvfuse-serve-guest --target wasm32-wasip2 --profile guest

# What stands between the clock and what is timed is optimised, unlike for the tests.
MEASURED := $(foreach package,kvfuse-bench kvfuse-tests,--config profile.dev.package.$(package).opt-level=2)
.PHONY: bench bench-sizes bench-node bench-guests
bench: bench-guests ## speed beside peers, measured in one run (some minutes): docs/bench.md
	$(call say,measuring)
	@WASMTIME=$$(tools/wasmtime.sh) $(CARGO_TARGET_DIR)/debug/kvfuse-bench $(BENCH)

SIZES := 1000,100000,1000000,10000000
bench-sizes: bench-guests ## the curve over sizes with 10,000,000 keys (half an hour or more, 20 GB of disk): its section of docs/bench.md; BENCH_DIR=/dev/shm takes the disk out
	$(call say,measuring)
	@WASMTIME=$$(tools/wasmtime.sh) $(CARGO_TARGET_DIR)/debug/kvfuse-bench --curve --write --sizes $(SIZES) $(BENCH)

.PHONY: bench-copy
bench-copy: kvfuse servers ## kvfuse copy of 1,000,000 keys from files to Redis beside native clients (a minute, once built)
	$(call say,measuring)
	@cargo run --quiet --release --package kvfuse-bench-copy -- $(CARGO_TARGET_DIR)/release/kvfuse

bench-node: bench-guests languages ## calls of a store on Node through jco, composed and flat (needs Python and Node)
	$(call say,measuring on Node)
	@$(CARGO_TARGET_DIR)/debug/kvfuse-bench --node $(BENCH)

bench-guests: providers
	$(call say,the guests of the benchmarks)
	@tools/cargo-wasm.sh build --package kvfuse-bench-guest --target wasm32-wasip2 --profile guest
	@tools/cargo-wasm.sh build --package kvfuse-consumers $(addprefix --example ,many_wasmcloud two_views visitors visitors_p3 visitors_wasmcloud) --target wasm32-unknown-unknown --profile guest
	@tools/cargo-wasm.sh build --package keyvalue_floor --target wasm32-unknown-unknown --profile guest
	@$(XTASK) componentize $(LEAN)/keyvalue_floor.wasm components/bench-floor.wasm keyvalue_floor \
	  "The floor of the benchmarks: answers from memory"
	@cargo build $(NATIVE) $(MEASURED)

.PHONY: lint
lint: toolchain ## formatting and lints, guests included
	$(call say,formatting and lints)
	@cargo fmt --all --check
	@rustfmt --check --edition 2024 packaging/crate/src/lib.rs
	@cargo clippy --quiet $(NATIVE) --all-targets -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet $(addprefix --package ,$(LEAN_GUESTS) kvfuse-transport kvfuse-explorer) \
	  --target wasm32-unknown-unknown -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet $(addprefix --package ,$(EXAMPLES)) --examples --target wasm32-unknown-unknown -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet $(addprefix --package ,$(WASI_GUESTS)) --target wasm32-wasip2 -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet --package kvfuse --no-default-features --target wasm32-wasip2 -- --deny warnings

# ---- generations and conformance ----
# What the tests of the generations fuse and run. The service in tests/golem/ is built as people did in 2024-01: a
# program puts bindings where the macro of that time looks for them, in the folder that CARGO_TARGET_DIR names.
.PHONY: consumers
consumers: toolchain
	$(call say,the consumers of the generations)
	@tools/cargo-wasm.sh build --package kvfuse-consumers --examples --target wasm32-unknown-unknown --profile guest
	@export CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/golem; cd tests/golem; cargo run --quiet --package golem-bindings; \
	  ../../tools/cargo-wasm.sh build --quiet --package golem-tutorial --target wasm32-unknown-unknown --release

# Not part of `make test`: it compiles a second, older wasmtime.
.PHONY: test-wrpc
test-wrpc: providers ## the provider served over wRPC to another process (compiles some minutes)
	$(call say,the provider over wRPC)
	@cd tests/wrpc; CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/wrpc cargo test

# Not part of `make test`: it compiles wasm-smith.
FUSED := 5000
.PHONY: fuzz-flat
fuzz-flat: providers components/kv_demo.wasm ## random components made flat: FUSED=how many
	$(call say,random components made flat)
	@cd tests/smith; CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/smith cargo run --quiet -- $(FUSED)

# The runner embeds what is in components/conformance/.
CONFORMANCE_GUESTS := $(basename $(notdir $(wildcard tests/conformance/guests/examples/*.rs)))
.PHONY: conformance conformance-check conformance-guests
conformance-guests: toolchain xtask
	$(call say,the guests of the conformance suite)
	@tools/cargo-wasm.sh build --package kvfuse-conformance-guests --examples --target wasm32-unknown-unknown --profile guest
	@tools/cargo-wasm.sh build --package keyvalue_mutant --target wasm32-unknown-unknown --profile guest
	@$(foreach guest,$(CONFORMANCE_GUESTS),$(XTASK) componentize $(LEAN)/examples/$(guest).wasm \
	  components/conformance/$(guest).wasm $(guest) "Cases of the conformance suite of wasi:keyvalue";)

conformance-check: providers servers conformance-guests ## the conformance of every artefact, a part of `make test`
	$(call say,conformance)
	@cargo test $(TESTED) --test conformance

conformance: providers servers conformance-guests native ## the same, that of wasmtime's own host, and all of it flat; writes the tables in the documentation
	$(call say,conformance)
	@WASMTIME=$$(tools/wasmtime.sh) $(CARGO_TARGET_DIR)/debug/kvfuse-servers \
	  $(CARGO_TARGET_DIR)/debug/kvfuse-conformance \
	  --page docs/conformance.md --readme README.md --json components/conformance.json
	@cargo test $(TESTED) --test conformance -- --ignored
# ---- end of generations and conformance ----
# The command line as its users have it, and consumers of the interface in other languages.

.PHONY: kvfuse languages package
# The paths of this machine are left out of the program, so that it is the same from any folder.
REMAP = --remap-path-prefix=$(CURDIR)=kvfuse --remap-path-prefix=$${CARGO_HOME:-$$HOME/.cargo}=cargo
kvfuse: providers ## build the kvfuse command line, optimised: target/release/kvfuse
	$(call say,kvfuse)
	@RUSTFLAGS="$${RUSTFLAGS:-} $(REMAP)" cargo build --locked --release --package kvfuse
	@ls -l $(CARGO_TARGET_DIR)/release/kvfuse

# The packages for a registry. A package contains the components that it embeds, so that it installs without make; cargo
# compiles each package by itself. It does so in a folder of its own: the file of kvfuse-explorer, which is a cdylib as well, has no
# hash in its name, and would replace that of the workspace.
PACKAGES := kvfuse-core kvfuse-suite kvfuse-table kvfuse-transport kvfuse-files kvfuse-compose kvfuse-explorer kvfuse kvfuse-conformance
define packages
	@trap 'rm -rf kvfuse/embedded packaging/crate/embedded tests/conformance/embedded' EXIT; \
	  mkdir -p kvfuse/embedded packaging/crate/embedded tests/conformance/embedded; \
	  cp components/keyvalue*.wasm components/runner-*.wasm components/explorer.wasm kvfuse/embedded/; \
	  cp kvfuse/embedded/*.wasm packaging/crate/embedded/; \
	  cp components/conformance/*.wasm tests/conformance/embedded/; \
	  cargo package --quiet --allow-dirty $(1) $(addprefix --package ,$(PACKAGES)); \
	  cargo package --quiet --allow-dirty $(1) --manifest-path packaging/crate/Cargo.toml
endef
package: providers conformance-guests ## make the packages for a registry, and compile each as its users will
	$(call say,packages)
	$(call packages,--target-dir $(CARGO_TARGET_DIR)/packages)

# The page to try kvfuse, as static files. kvfuse runs on it as a component, and the demo with its files in the browser.
PAGE := $(CARGO_TARGET_DIR)/page
.PHONY: page
page: providers build ## the page to try kvfuse: target/page, which any server of files can serve (needs Node)
	$(call say,the page: $(PAGE))
	@tools/cargo-wasm.sh build --package kvfuse --no-default-features --target wasm32-wasip2 --profile guest
	@tools/page.sh $(PAGE)

# What a release publishes. BINARY names another program than the one that make kvfuse builds; PLATFORMS, those that there are
# programs for besides x86-64 Linux with glibc, by the names of Rust's targets.
DIST := dist
BINARY :=
PLATFORMS :=
EVERY_PLATFORM := x86_64-unknown-linux-musl aarch64-unknown-linux-gnu x86_64-pc-windows-gnu
PROGRAM = $(or $(BINARY),$(CARGO_TARGET_DIR)/release/kvfuse)
.PHONY: programs dist test-dist publish-oci release
programs: providers ## kvfuse for other platforms, optimised: PLATFORMS (all that there are, by default; some minutes each)
	@$(foreach platform,$(or $(PLATFORMS),$(EVERY_PLATFORM)),RUSTFLAGS="$${RUSTFLAGS:-} $(REMAP)" tools/program.sh $(platform);)

dist: $(if $(BINARY),,kvfuse) $(if $(PLATFORMS),programs) providers conformance-guests page ## what a release publishes, into dist/: wheel, npm packages, archives, crates (needs Python and Node); PLATFORMS adds others
	@tools/languages.sh --node-provider
	$(call say,crates)
	$(call packages,--no-verify)
	$(call say,$(DIST))
	@python3 packaging/make.py $(DIST) --binary $(PROGRAM) --page $(PAGE) --platforms $(PLATFORMS) \
	  --crates $(PACKAGES) kvfuse-components

# The second time in another time zone, and with the components transpiled once more.
test-dist: dist components/kv_demo.wasm $(if $(PLATFORMS),runtimes) ## dist/ twice the same, and each package in it installed by itself and used; the components in a registry of OCI
	$(call say,the same once more)
	@rm -f .tools/node-provider/.complete
	@TZ=Pacific/Kiritimati $(MAKE) --no-print-directory dist DIST=$(CARGO_TARGET_DIR)/dist-again BINARY=$(PROGRAM) >/dev/null
	@diff $(DIST)/SHA256SUMS $(CARGO_TARGET_DIR)/dist-again/SHA256SUMS
	$(call say,each package installed)
	@tools/oci.sh
	@cd packaging; KVFUSE_DIST=$(abspath $(DIST)) KVFUSE_PLATFORMS="$(PLATFORMS)" python3 -B -m unittest --verbose
	@KVFUSE_PAGE=$(abspath $(DIST))/page cargo test $(TESTED) --test try_page -- --ignored

REGISTRY :=
publish-oci: ## the components of dist/ in a registry of OCI artefacts, with wkg: REGISTRY=registry.example/someone (DRY_RUN=1 publishes nothing)
	@tools/oci.sh --wkg
	@python3 -B packaging/oci.py $(if $(DRY_RUN),--dry-run) --dist $(DIST) --wkg $$(echo .tools/wkg-*/bin/wkg) "$(REGISTRY)"

release: ## the version in every Cargo.toml, a commit and a tag: VERSION=1.2.3 (DRY_RUN=1 changes nothing)
	@python3 packaging/release.py $(if $(DRY_RUN),--dry-run) "$(VERSION)"

.PHONY: screenshots
screenshots: providers servers ## the pictures of kvfuse explore in the documentation, taken by its tests
	$(call say,pictures of kvfuse explore)
	@KVFUSE_SCREENSHOTS=docs cargo test $(TESTED) --test explore_page --test explore_use -- --include-ignored

.PHONY: runtimes test-runtimes
runtimes: ## fetch the runtimes that the tests run fused components on (needs Python and Node)
	@tools/runtimes.sh

# Not part of `make test`, except for what needs not be fetched.
test-runtimes: providers build servers consumers conformance-guests runtimes page ## a command and a handler on every runtime; writes the README's table
	$(call say,every runtime)
	@KVFUSE_RUNTIMES_TABLE=1 cargo test $(TESTED) --test runtimes --test try_page -- --include-ignored

languages: providers build ## consumers in Python, JavaScript and C, and the Rust demo on Node (fetches their toolchains)
	$(call say,consumers in other languages)
	@tools/languages.sh

.PHONY: spin
spin: toolchain ## applications built with Spin's SDKs for Rust and Python (fetches them)
	$(call say,applications for Spin)
	@tools/spin.sh

# Not part of `make test`: it needs Python and Node.
.PHONY: test-languages
test-languages: languages spin ## the consumers in other languages, fused and run
	$(call say,tests of the consumers in other languages)
	@WASMTIME=$$(tools/wasmtime.sh) WASMTIME_OLDEST=$$(tools/wasmtime.sh --oldest) \
	  $(XTASK) test $(TESTED) --test languages --test engines --test spin_sdk -- --ignored

.PHONY: clean
clean: ## remove everything that was built or fetched into this folder; data/ stays
	@cargo clean --quiet
	@rm -rf components/*.wasm components/*.json components/conformance .tools
	@if [ -d data ]; then echo "data/ holds your data and was kept; rm -r data removes it"; fi
