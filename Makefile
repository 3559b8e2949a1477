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
LEAN_GUESTS := keyvalue keyvalue_draft2_2024 keyvalue_0_1_methods kvfuse-file kvfuse-conformance-guests kvfuse-consumers
WASI_GUESTS := kv_demo kvfuse-test-guests
XTASK := cargo run --quiet --package xtask --

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
fused-component: build ## build the provider and the demo, fuse them, show what came out
	$(call say,what the fused component is)
	@$(XTASK) describe components/kv_demo.fused.wasm

.PHONY: toolchain
toolchain:
	$(call say,looking for the wasm targets of the Rust toolchain)
	@tools/wasm-targets.sh wasm32-unknown-unknown wasm32-wasip2 >/dev/null

# Cargo and xtask know what is up to date; make only orders the steps.
.PHONY: components/keyvalue.wasm components/kv_demo.wasm components/kv_demo.fused.wasm
components/keyvalue.wasm: toolchain
	$(call say,the provider: components/keyvalue.wasm)
	@tools/cargo-wasm.sh build --package keyvalue --target wasm32-unknown-unknown --profile guest
	@$(XTASK) componentize $(LEAN)/keyvalue.wasm $@ keyvalue \
	  "wasi:keyvalue over files in a granted directory" provider/components/file/imports.txt

# The same provider for consumers of an earlier shape of one version string.
EARLIER := components/keyvalue_draft2_2024.wasm components/keyvalue_0_1_methods.wasm
.PHONY: providers $(EARLIER)
providers: components/keyvalue.wasm $(EARLIER) ## the provider's artefacts, one for each set of shapes
$(EARLIER): components/%.wasm: toolchain
	$(call say,the provider: $@)
	@tools/cargo-wasm.sh build --package $* --target wasm32-unknown-unknown --profile guest
	@$(XTASK) componentize $(LEAN)/$*.wasm $@ $* \
	  "wasi:keyvalue over files in a granted directory, an earlier shape" provider/components/file/imports.txt

components/kv_demo.wasm: toolchain
	$(call say,the consumer: components/kv_demo.wasm)
	@tools/cargo-wasm.sh build --package kv_demo --target wasm32-wasip2 --profile guest
	@$(XTASK) componentize $(WASI)/kv_demo.wasm $@ kv_demo "A guided tour of wasi:keyvalue, and a small tool for any store"

components/kv_demo.fused.wasm: components/keyvalue.wasm components/kv_demo.wasm
	$(call say,fusing them: components/kv_demo.fused.wasm)
	@$(XTASK) compose components/kv_demo.wasm components/keyvalue.wasm $@

.PHONY: test
test: lint build providers test-guests conformance-guests consumers ## everything that must hold: formatting, lints, every test
	$(call say,tests)
	@WASMTIME=$$(tools/wasmtime.sh) cargo test --workspace $(NOT_NATIVE)

.PHONY: test-guests
test-guests: toolchain
	$(call say,the guests of the tests)
	@tools/cargo-wasm.sh build --package kvfuse-test-guests --target wasm32-wasip2 --profile guest

# Packages that only compile for wasm.
# (kvfuse-file is no guest by itself, but only its artefacts can be linked.)
NOT_NATIVE := $(addprefix --exclude ,$(LEAN_GUESTS) $(WASI_GUESTS))

.PHONY: lint
lint: toolchain ## formatting and lints, guests included
	$(call say,formatting and lints)
	@cargo fmt --all --check
	@cargo clippy --quiet --workspace $(NOT_NATIVE) --all-targets -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet $(addprefix --package ,$(LEAN_GUESTS) kvfuse-transport) \
	  --target wasm32-unknown-unknown -- --deny warnings
	@tools/cargo-wasm.sh clippy --quiet $(addprefix --package ,$(WASI_GUESTS)) --target wasm32-wasip2 -- --deny warnings

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
test-wrpc: components/keyvalue.wasm ## the provider served over wRPC to another process (compiles some minutes)
	$(call say,the provider over wRPC)
	@cd tests/wrpc; CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/wrpc cargo test

.PHONY: conformance conformance-guests
conformance-guests: toolchain
	$(call say,the guests of the conformance suite)
	@tools/cargo-wasm.sh build --package kvfuse-conformance-guests --examples --target wasm32-unknown-unknown --profile guest

conformance: providers conformance-guests ## every generation against every artefact, and against wasmtime's own host
	$(call say,conformance)
	@WASMTIME=$$(tools/wasmtime.sh) cargo run --quiet --package kvfuse-conformance -- \
	  --markdown docs/conformance-table.md --json components/conformance.json
# ---- end of generations and conformance ----

.PHONY: clean
clean: ## remove everything that was built or fetched into this folder; data/ stays
	@cargo clean --quiet
	@rm -rf components/*.wasm .tools
	@if [ -d data ]; then echo "data/ holds your data and was kept; rm -r data removes it"; fi
