# The only way in. Every target makes .venv and installs pinned versions first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Where the demo's viewers are: eight places on six continents.
PLACES := LHR/fibre,FRA/cable,JFK/fibre,GRU/4g,NRT/fibre,SYD/5g,JNB/4g,BOM/4g
# Without setuptools' warning that greets every editable installation.
PIP := PYTHONWARNINGS=ignore $(BIN)/python -m pip --quiet --disable-pip-version-check

.DEFAULT_GOAL := help

help: ## list every target
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

$(VENV)/.demo: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "localpop needs Python 3.11 or newer; name one with: make PYTHON=python3.11 …")'
	@echo "installing localpop into $(VENV) (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt pip setuptools
	@$(PIP) install -c constraints.txt --no-build-isolation --editable . --group load
	@touch $@

$(VENV)/.dev: $(VENV)/.demo
	@echo "installing the tools of tests and checks"
	@$(PIP) install -c constraints.txt --group test --group lint
	@touch $@

install: $(VENV)/.demo ## make .venv with localpop in it

demo: $(VENV)/.demo ## the whole idea in under 3 minutes: log in, generate, push, hit, fall back, measure
	@$(BIN)/localpop run -- sh -ec '\
	  python -m origin.backend login --users 50 --wait; \
	  python -m origin.session issue --users 50 > .localpop/sessions.txt; \
	  localpop predict --places $(PLACES) --lambda-share 0.4 --answer-tokens 188 --handler-ms 8 \
	    --out .localpop/predictions.json >/dev/null; \
	  python -m loadtests run --host "$$LOCALPOP_URL" --sessions .localpop/sessions.txt --time 40 --rate 30 \
	    --places $(PLACES) --fallback-share 0.3 --lambda-share 0.4 \
	    --generated 150 --model "Claude Haiku 4.5" --predictions .localpop/predictions.json --out report'

up: $(VENV)/.demo ## the same servers, left running; reload on save
	@$(BIN)/localpop up

test: $(VENV)/.dev ## the whole test suite, on every core
	@$(BIN)/python -m pytest -n auto --dist loadfile

lint: $(VENV)/.dev ## ruff: rules and format
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .

types: $(VENV)/.dev ## mypy --strict
	@$(BIN)/mypy

layers: $(VENV)/.dev ## a room imports only rooms below it
	@$(BIN)/lint-imports

template: $(VENV)/.dev ## cfn-lint over template.yaml
	@$(BIN)/cfn-lint template.yaml

check: lint types layers template test ## everything CI checks

conformance: $(VENV)/.dev ## how many lines of the facts' checklists hold, per file
	@$(BIN)/python -m tests.conformance

bench: $(VENV)/.dev ## every benchmark, as ratios to a bare ASGI app in the same run
	@for file in benchmarks/[a-z]*.py; do echo "== $$file"; $(BIN)/python -m benchmarks.$$(basename $$file .py) || exit 1; done

clean: ## remove .venv, reports and local state
	rm -rf $(VENV) .localpop report .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info

.PHONY: help install demo up test lint types layers template check conformance bench clean
