# Each rule calls uv (fetched into .tools when the machine has none) or compose. ARGS= passes options on:
#   make test ARGS='tests/e2e -k journey'      make demo ARGS='--state build/demo'
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

UV := $(or $(shell command -v uv),.tools/bin/uv)
RUN := $(UV) run --frozen
COMPOSE := docker compose
MIGRATIONS := $(wildcard chassis/migrations/*.sql services/*/migrations/*.sql)

MEND := Connect this machine (proxy: HTTPS_PROXY; mirrors: PIP_INDEX_URL, UV_DEFAULT_INDEX), then run make again: \
  what was fetched is kept.

.PHONY: help demo test check bench simulate chaos up down packages

help: ## what can be done here
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' Makefile

demo: | packages ## the whole product with the demo town, embedded; Ctrl-C stops it
	@$(RUN) taiwa demo $(ARGS)

test: | packages ## every test, in parallel
	@only=''; docker info >/dev/null 2>&1 || \
	  { only='not compose'; echo 'No container engine runs here: the compose tests are left out.'; }; \
	$(RUN) pytest -n $$(($$(nproc) + 1)) --dist loadgroup -m "$$only" $(ARGS)

check: | packages ## format, lint, types, imports, migrations, contracts, house rules
	$(RUN) ruff check
	$(RUN) ruff format --check
	$(RUN) mypy
	$(RUN) lint-imports
	$(if $(MIGRATIONS),$(RUN) squawk --reporter gcc $(MIGRATIONS))
	$(RUN) python -m taiwa.contracts check
	$(RUN) python -m tests.architecture

bench: | packages ## what we cost beside raw loops, as ratios
	@$(RUN) python -m tests.performance $(ARGS)

simulate: | packages ## any number of schedules of relay and consumer, each told by its seed
	@$(RUN) python -m tests.simulation $(ARGS)

chaos: | packages ## faults of every kind under load, and what was lost: docs/reliability.md
	@$(RUN) python -m tests.chaos $(ARGS)

up: ## the product in containers, empty: docs/operations.md
	@$(COMPOSE) up -d --wait $(ARGS)

down: ## stop the containers; ARGS=-v forgets their volumes too
	@$(COMPOSE) down $(ARGS)

.tools/bin/uv:
	@echo 'uv is missing: fetching it into .tools'
	@python3 -m venv .tools
	@.tools/bin/pip install --quiet --disable-pip-version-check uv || \
	  { echo 'uv could not be fetched. $(MEND)' >&2; exit 1; }

# First without the network and without a word: everything is there, except at the first time.
packages: | $(UV)
	@$(UV) sync --frozen --inexact --offline --quiet 2>/dev/null || $(UV) sync --frozen --inexact || \
	  { echo 'Python packages could not be fetched. $(MEND)' >&2; exit 1; }
