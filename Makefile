# Every command of the project; `make` alone lists them. All work happens in .venv, made on first use.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= $(firstword $(shell tools/find-pythons) python3)
BIN := .venv/bin
# The other supported Pythons of this machine.
OTHERS = $(shell tools/find-pythons $(BIN)/python)
# Two processes of tests, each with servers of its own: those of one file stay together.
BESIDE := -n 2 --dist loadfile
UNIT := $(wildcard tests/unit tests/plans tests/contract tests/cli tests/docs)

.PHONY: help demo test check unit servers bench docs lock

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: .venv/.ready ## four jobs up and down in order on a throw-away Nomad (the first time builds Nomad: about 4 minutes)
	@$(BIN)/nomad-dtree demo

# About 15 minutes cold on 2 cores. Building Nomad, then Consul, is the longest part, so it begins first and runs beside the quick
# checks; it is quick from then on. `nice` keeps it from slowing them.
test: .venv/.ready ## everything: check, unit, servers
	@tools/install-packages
	@nice -n 10 $(BIN)/python -m tests.servers.programs >/dev/null & programs=$$!; \
	trap 'kill $$programs 2>/dev/null || true' EXIT; \
	$(MAKE) check unit; \
	wait $$programs
	@$(MAKE) servers

check: .venv/.ready ## lint, format, types and layers
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

# The core decides everything and does no I/O, so nothing excuses a branch of it that no test takes.
unit: .venv/.ready ## tests without servers, on every Python here, with coverage of the core
	@$(BIN)/coverage run -m pytest $(UNIT)
	@$(BIN)/coverage report --skip-covered --show-missing --include="$$($(BIN)/python tools/core-files)" --fail-under=100
	@for python in $(OTHERS); do \
		folder=.venv-$$("$$python" -c 'import sys; print("{}.{}".format(*sys.version_info))'); \
		[ "$$folder/.ready" -nt pyproject.toml ] || tools/make-venv "$$folder" "$$python"; \
		"$$folder/bin/python" -m pytest $(BESIDE) $(UNIT); \
	done

servers: .venv/.ready ## tests on real servers (the first time builds Nomad and Consul: about 8 minutes)
	@tools/install-packages
	@$(BIN)/python -m pytest $(BESIDE) tests/servers

bench: .venv/.ready ## measure, and write docs/benchmarks.md
	@$(BIN)/python -m bench

docs: .venv/.ready ## write the generated parts, check that everything is documented and that the examples run
	@$(BIN)/python tools/write_docs.py
	@$(BIN)/python -m pytest tests/docs

# A lock that names a mirror or a folder of this machine would be of no use to anybody else.
lock: ## renew uv.lock (needs uv)
	@uv lock --upgrade --default-index https://pypi.org/simple --no-config
	@! grep -nE '(registry|url|path) = "' uv.lock | grep -vE '"https://(pypi\.org/simple|files\.pythonhosted\.org/[^"]*)"'

.venv/.ready: pyproject.toml
	@tools/make-venv .venv $(PYTHON)
