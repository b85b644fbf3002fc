# meshd's tasks. `make run` and `make test` work from a fresh clone on a machine that has Python
# 3.11 or newer, make and git; everything else is installed into .venv and tests/node.

PYTHON ?= python3
MANIFESTS ?= manifests/
BIN := .venv/bin
PIP := $(BIN)/python -m pip -qq --disable-pip-version-check
TEST_STAGES := lint types contracts fresh unit e2e conformance
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help run test fix lint types contracts fresh unit e2e conformance soak bench \
        schemas docs lock install install-dev clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: install ## serve the mesh in manifests/ (another one: MANIFESTS=path)
	@exec $(BIN)/meshd run $(MANIFESTS)

test: install-dev ## run every stage that CI runs; stop at the first that fails
	@for stage in $(TEST_STAGES); do \
	  echo "--- $$stage"; start=$$(date +%s); \
	  $(MAKE) --no-print-directory $$stage || { echo "--- $$stage failed" >&2; exit 1; }; \
	  echo "--- $$stage passed in $$(($$(date +%s) - start)) s"; \
	done

fix: install-dev ## format, and repair what ruff can repair
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format .

lint: install-dev ## check style and formatting
	@$(BIN)/ruff check --output-format concise .
	@$(BIN)/ruff format --check --output-format concise .

types: install-dev ## check types
	@$(BIN)/pyright --pythonpath $(BIN)/python

contracts: install-dev ## check which package may import which
	@$(BIN)/lint-imports --no-cache

fresh: install-dev ## check that generated files are fresh and texts are clean
	@$(BIN)/python -m tests.tools.check_fresh
	@$(BIN)/python -m tests.tools.check_text

unit: install-dev ## run the fast tests on two cores, with coverage
	@$(BIN)/pytest -q --cov -n 2

e2e: install-dev ## run the tests that start real processes
	@$(BIN)/pytest -q -m e2e -n 2 --dist loadfile

conformance: install-dev ## run the official MCP conformance suite
	@$(BIN)/pytest -q -m conformance

soak: install-dev ## run the long tests (minutes)
	@$(BIN)/pytest -m soak --hypothesis-profile=explore

bench: install-dev ## measure, and print the figures of docs/performance/
	@for script in tests/benchmarks/*.py; do echo "--- $$script"; PYTHONPATH=. $(BIN)/python $$script; done

docs: install-dev ## write schemas/ and docs/reference/ from the code
	@$(BIN)/python -m tests.tools.generate

schemas: docs ## the same

lock: .venv/.created ## lock dependencies again (newer versions: LOCK_FLAGS=--upgrade)
	@$(PIP) install uv==$(UV_VERSION)
	@$(LOCK) -o requirements.lock
	@$(LOCK) --extra dev --constraint requirements.lock -o requirements-dev.lock

LOCK = $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 --extra build \
       --extra samples --generate-hashes --no-annotate --custom-compile-command 'make lock' $(LOCK_FLAGS)

clean: ## remove everything that the other tasks have installed or cached
	@rm -rf .venv .venv-mcp-mesh .meshd tests/node/node_modules .pytest_cache .ruff_cache .hypothesis .coverage
	@find meshd tests -name __pycache__ -prune -exec rm -rf {} +

# What follows is skipped while it is up to date.

install: .venv/.installed
install-dev: .venv/.installed-dev tests/node/node_modules/.installed

.venv/.created:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("meshd needs Python 3.11 or newer, and $(PYTHON) is older: say make PYTHON=python3.12")'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || $(INSTALL_VENV)
	@$(PYTHON) -m venv .venv
	@touch $@

# Debian packs venv apart from Python.
INSTALL_VENV = { \
  package=$$($(PYTHON) -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo "installing $$package" >&2; \
    apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y $$package >/dev/null; \
  else \
    echo "$(PYTHON) has no venv: install $$package" >&2; exit 1; \
  fi; }

.venv/.installed: requirements.lock pyproject.toml | .venv/.created
	@echo "installing what meshd runs with into .venv" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q meshd  # as pip does for all else; some environments forbid it later
	@touch $@

.venv/.installed-dev: requirements-dev.lock .venv/.installed
	@echo "installing what meshd is tested with into .venv" >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

tests/node/node_modules/.installed: tests/node/package-lock.json | .venv/.installed-dev
	@echo "installing the MCP programs that tests talk to into tests/node" >&2
	@$(BIN)/python -m tests.tools.node
	@touch $@
