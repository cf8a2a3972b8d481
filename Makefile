# Everything people run. Plain `make` lists it. Each target does its own set-up: see setup/.

# The Postgres to build for. Its major version picks the cargo feature.
PG_CONFIG ?= /usr/lib/postgresql/15/bin/pg_config
export PG_CONFIG
# Where cargo puts what it installs; a shell that is no login shell may not look there.
export PATH := $(HOME)/.cargo/bin:$(PATH)

SHELL := bash
.SHELLFLAGS := -euo pipefail -c

# Asked only once set-up has put that Postgres there.
MAJOR = $(shell $(PG_CONFIG) --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
PG_BIN = $(shell $(PG_CONFIG) --bindir)
TARGET := $(or $(CARGO_TARGET_DIR),target)

# The floors that need no Postgres, built alone: that is what holds the border between them and the rest.
ALONE := --no-default-features
# What `cargo pgrx package` builds for the tests, with failpoints, and for everybody else.
PACKAGE = cargo pgrx package --pg-config $(PG_CONFIG) --no-default-features
TEST_STAGE = $(abspath $(TARGET))/stage-test-pg$(MAJOR)
STAGE = $(abspath $(TARGET))/stage-pg$(MAJOR)
# Every test target but the one that needs a built extension.
UNIT_TESTS = $(patsubst tests/%/main.rs,--test %,$(filter-out tests/e2e/main.rs,$(wildcard tests/*/main.rs)))

.PHONY: help
help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

.PHONY: run
run: stage ## set up, build, start a cluster and a function server, run examples/quickstart.sql against them
	@cargo build --quiet $(ALONE) --example function_server
	@setup/run.sh "$(STAGE)" "$(TARGET)/debug/examples/function_server"

.PHONY: stop
stop: ## end what `make run` left up
	@setup/stop.sh

.PHONY: test
test: setup lint ## set up, then every check and every test
	@echo "== tests without Postgres"
	@setup/oracles.sh "$(abspath $(TARGET))/oracles"
	@setup/autobahn.sh "$(abspath $(TARGET))/autobahn"
	@cargo test --quiet $(ALONE) --lib $(UNIT_TESTS)
	@cargo test --quiet $(ALONE) --doc
	@echo "== building the extension for PostgreSQL $(MAJOR), with failpoints"
	@setup/quietly.sh $(PACKAGE) --debug --features "pg$(MAJOR) test-hooks" --out-dir "$(TEST_STAGE)"
	@setup/net.sh "$(TEST_STAGE)"
	@echo "== lints of the install scripts"
	@setup/pgspot.sh "$(abspath $(TARGET))/pgspot" "$(TEST_STAGE)"
	@setup/packages.sh node
	@setup/deno.sh "$(abspath $(TARGET))/deno"
	@setup/node_ws.sh "$(abspath $(TARGET))/node_ws"
	@setup/packages.sh cron
	@echo "== end-to-end tests on PostgreSQL $(MAJOR)"
	@PG_EDGE_STAGE="$(TEST_STAGE)" PG_EDGE_PG_BIN="$(PG_BIN)" cargo test --quiet $(ALONE) --test e2e $(ARGS)
	@echo "Everything passed: format, lints (the install scripts' too), tests without Postgres, end-to-end tests on PostgreSQL $(MAJOR)."

# Those that Debian's 15, with which everything else is done, leaves over.
MAJORS ?= 14 16 17 18

.PHONY: test-majors
test-majors: setup ## the end-to-end tests on the other versions of Postgres, MAJORS="14 16 17 18", which takes long
	@setup/deno.sh "$(abspath $(TARGET))/deno"
	@setup/node_ws.sh "$(abspath $(TARGET))/node_ws"
	@ARGS="$(ARGS)" setup/majors.sh "$(abspath $(TARGET))" $(MAJORS)

.PHONY: lint
lint: setup ## formatting and lints, with and without Postgres
	@echo "== formatting"
	@cargo fmt --check
	@echo "== lints without Postgres"
	@cargo clippy --quiet $(ALONE) --all-targets -- -D warnings
	@echo "== lints with PostgreSQL $(MAJOR)"
	@cargo clippy --quiet --no-default-features --features "pg$(MAJOR) test-hooks" --lib -- -D warnings
	@if command -v cargo-deny >/dev/null; then echo "== dependencies"; cargo deny --log-level error check; fi

.PHONY: install
install: setup ## build the release and install it into the Postgres of PG_CONFIG=…
	@setup/install.sh "$(MAJOR)"

.PHONY: bench
bench: stage ## measure, against limits measured in the same run
	@PG_EDGE_STAGE="$(STAGE)" PG_EDGE_PG_BIN="$(PG_BIN)" cargo bench --quiet $(ALONE) --bench budget $(ARGS)

.PHONY: deny
deny: setup ## licences, advisories and sources of the dependencies; installs cargo-deny, which takes long
	@command -v cargo-deny >/dev/null || cargo install cargo-deny --locked --quiet
	@cargo deny check

.PHONY: clean
clean: stop ## remove what was built
	@cargo clean

.PHONY: setup
setup: ## packages and tools, where they are missing
	@setup/packages.sh
	@setup/pgrx.sh

.PHONY: stage
stage: setup
	@echo "== building the release for PostgreSQL $(MAJOR)"
	@setup/quietly.sh $(PACKAGE) --features "pg$(MAJOR)" --out-dir "$(STAGE)"
	@setup/net.sh "$(STAGE)"
