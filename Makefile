# The front door of this checkout. Needs make and a Python from 3.11 to 3.13; everything else it fetches by itself.
#
#   make demo                     see Kitsune work
#   make test PYTHON=python3.12   choose the Python
#   make test VENV=.venv-3.12     choose where the environment goes (to keep several)
#   make test PYTEST_ARGS='-k canary -x' JOBS=0

SHELL := /bin/sh
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?=
VENV ?= .venv
PYTEST_ARGS ?=
# Test processes beside each other: most tests wait for real servers, so a few more than there are processors.
JOBS ?= 3
SOAK_ARGS ?=
BENCH_ARGS ?=
BENCH_VENV ?= .venv-bench
BENCH_STAMP := $(BENCH_VENV)/.kitsune-ready

BIN := $(VENV)/bin
PY := $(BIN)/python
# Written last by a set-up that came to its end; holds what that set-up was made for.
STAMP := $(VENV)/.kitsune-ready
# Not empty when the stamp lies: the checkout moved, its Python vanished, or another one is asked for.
STALE := $(shell PYTHON='$(PYTHON)' sh dev/setup.sh --check '$(VENV)' || echo stale)

UV_COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

.PHONY: help
help: ## Show this list.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-14s%s\n", $$1, $$2 }'

.PHONY: setup
setup: $(STAMP) ## Make the environment in .venv (every other target does it when needed).

$(STAMP): requirements/dev.txt pyproject.toml dev/setup.sh $(if $(STALE),stale)
	@PYTHON='$(PYTHON)' sh dev/setup.sh '$(VENV)'

.PHONY: stale
stale:

.PHONY: demo
demo: $(STAMP) ## See a rollout succeed, then one fail and be undone, on this machine.
	@$(BIN)/kitsune demo

.PHONY: test
test: $(STAMP) ## Run every test that needs nothing but this machine; PYTEST_ARGS go to pytest.
	@$(PY) -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

.PHONY: coverage
coverage: $(STAMP) ## The same, and which lines and branches no test ran; takes a third longer.
	@$(PY) -m coverage erase
	@$(PY) -m pytest -n $(JOBS) --dist worksteal --cov --cov-report=term $(PYTEST_ARGS)

.PHONY: test-long
test-long: $(STAMP) ## Throw random faults at real processes for minutes; PYTEST_ARGS='--seed 7' repeats.
	@$(PY) -m pytest tests/faults -m long -rP $(PYTEST_ARGS)

.PHONY: soak
soak: $(STAMP) ## Random faults, then memory, descriptors and threads; SOAK_ARGS='--minutes 5 --seed 1 --agents 6'.
	@PYTHONPATH=tests exec $(PY) -m faults.soak $(SOAK_ARGS)

.PHONY: check
check: $(STAMP) ## Check format, lint, types, import layers, YAML and that docs/reference is up to date.
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -m mypy
	$(BIN)/lint-imports
	$(PY) -m yamllint --strict dev deploy
	$(PY) docs/generate.py --check

.PHONY: format
format: $(STAMP) ## Format the code and repair what lint can repair.
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

.PHONY: docs
docs: $(STAMP) ## Write docs/reference from the code.
	$(PY) docs/generate.py

# Only the part `systems` needs the peers.
ifeq ($(findstring --help,$(BENCH_ARGS)),)
ifneq ($(if $(findstring --parts,$(BENCH_ARGS)),$(findstring systems,$(BENCH_ARGS)),all),)
BENCH_PEERS = $(BENCH_STAMP)
endif
endif

.PHONY: bench
bench: $(STAMP) $(BENCH_PEERS) ## Measure Kitsune, the floors below it and its peers; BENCH_ARGS='--servers 20 --rounds 1'.
	@BENCH_VENV='$(BENCH_VENV)' exec $(PY) -m benchmarks $(BENCH_ARGS)

# The peers live apart from Kitsune. What cannot be installed is left out, and the benchmark says so.
$(BENCH_STAMP): benchmarks/requirements.txt | $(STAMP)
	@echo "kitsune: installing the peers into $(BENCH_VENV); that takes minutes" >&2
	@rm -rf '$(BENCH_VENV)'
	@$(PY) -m venv '$(BENCH_VENV)'
	@if $(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps \
		-r benchmarks/requirements.txt; then touch '$@'; else echo 'kitsune: not all peers could be installed' >&2; fi

.PHONY: bench-large
bench-large: $(STAMP) ## Run the workflows of a large fleet on skipped time; BENCH_ARGS='--servers 4000'.
	@$(PY) -m benchmarks.simulation $(BENCH_ARGS)

.PHONY: lock
lock: $(STAMP) ## Pin dependencies anew in requirements/*.txt; UPGRADE=1 takes the newest.
	$(UV_COMPILE) --extra dashboard --extra embedded --extra otel --extra webhooks pyproject.toml requirements/dev.in -o requirements/dev.txt
	$(UV_COMPILE) --constraint requirements/dev.txt --extra otel --extra webhooks pyproject.toml -o requirements/run.txt
	$(UV_COMPILE) --constraint requirements/dev.txt requirements/build.in -o requirements/build.txt
	$(UV_COMPILE) benchmarks/requirements.in -o benchmarks/requirements.txt

.PHONY: clean
clean: ## Remove everything that these targets made, the environment included.
	rm -rf '$(VENV)' '$(BENCH_VENV)' build dist .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .ruff_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
