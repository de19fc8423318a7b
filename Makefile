# What a person does with Bailiwick's sources. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# Outside the checkout, so that a fresh clone finds what was built before.
export CARGO_TARGET_DIR ?= $(HOME)/.cache/bailiwick/target

CARGO ?= cargo
# `make test CARGO_FLAGS=` lets cargo update the lock file.
CARGO_FLAGS ?= --locked

DATA ?= ./data
LISTEN ?= 127.0.0.1:7341

# Seconds for each fuzz target.
FUZZ_SECONDS ?= 5
FUZZ_NIGHTLY_SECONDS ?= 60

# Test data belongs in memory: thousands of synchronous writes are not what the tests are about.
TEST_TMP := $(shell if [ -w /dev/shm ]; then echo /dev/shm; else echo "$${TMPDIR:-/tmp}"; fi)

.PHONY: help
help: ## what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## build for release, with the console where it can be built, and serve ./data on http://127.0.0.1:7341
	scripts/build-console --if-possible
	$(CARGO) run --release $(CARGO_FLAGS) -p bailiwick -- serve --data $(DATA) --listen $(LISTEN)

.PHONY: demo
demo: ## see in a minute what this is for
	$(CARGO) run --release $(CARGO_FLAGS) -p bailiwick -- demo

.PHONY: console
console: ## the console and the core that browsers run, which the next build puts into the program
	scripts/step "console" scripts/build-console

.PHONY: build
build: ## the binary and every test, in the profile that the tests use
	scripts/step "build" $(CARGO) build $(CARGO_FLAGS) --workspace --bins --lib --tests --examples

.PHONY: test
test: test-deps console build ## everything that must hold: unit, integration, end to end, doc, in a browser, proofs, a little fuzzing
	scripts/step "documentation tests" $(CARGO) test $(CARGO_FLAGS) --workspace --doc --quiet
	scripts/step "proofs" scripts/with-cvc5 $(CARGO_TARGET_DIR)/debug/prove
	scripts/step "fuzz, $(FUZZ_SECONDS) s each" scripts/fuzz $(FUZZ_SECONDS)
	TMPDIR=$(TEST_TMP) scripts/step "tests" scripts/with-postgres scripts/with-s3 scripts/run-tests
	TMPDIR=$(TEST_TMP) scripts/step "tests of the console" scripts/test-console

.PHONY: prove
prove: test-deps build ## what no policy can allow, proved for every request; and that a spoiled guardrail is noticed
	scripts/step "proofs" scripts/with-cvc5 $(CARGO_TARGET_DIR)/debug/prove

.PHONY: mutants
mutants: test-deps ## the sources spoiled in one way at a time: what should notice does (half an hour)
	TMPDIR=$(TEST_TMP) scripts/step "mutants" scripts/mutants

.PHONY: test-deps
test-deps: ## what the tests need from the operating system (Debian packages, when missing)
	scripts/step "test dependencies" scripts/install-test-deps

.PHONY: lint
lint: ## formatting, clippy, licences and sources of dependencies, spelling, shell scripts
	scripts/lint

.PHONY: dist
dist: console ## the binary as it is shipped: linked as a whole, with the console in it
	scripts/step "build for shipping" $(CARGO) build --profile dist $(CARGO_FLAGS) -p bailiwick

.PHONY: bench
bench: test-deps dist ## every figure that the project states, of what is shipped, measured on this machine
	BAILIWICK_BIN=$(CARGO_TARGET_DIR)/dist/bailiwick scripts/with-postgres $(CARGO) bench $(CARGO_FLAGS) --workspace --benches

.PHONY: fuzz
fuzz: ## FUZZ_SECONDS for each fuzz target
	scripts/fuzz $(FUZZ_SECONDS)

.PHONY: fuzz-nightly
fuzz-nightly: ## a minute for each fuzz target
	scripts/fuzz $(FUZZ_NIGHTLY_SECONDS)
