# wares: `make demo` and `make test` are all a fresh machine needs (Python 3.11+ and make).

PYTHON ?= $(shell for p in python3.11 python3 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP := $(BIN)/python -m pip --disable-pip-version-check -q
BENCHMARKS := $(sort $(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format bench examples docs clean

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

install: $(STAMP)  ## virtual environment with wares and everything it was tested with

$(STAMP): pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "wares needs Python 3.11 or newer: install it, or run make PYTHON=/path/to/python" >&2; exit 1; }
	@echo "Installing into $(VENV) (a few minutes the first time)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt -e '.[offline,train,serve,memory,ray,pyterrier,dev]'
	@touch $@

demo: $(STAMP)  ## the whole story on the sample marketplace
	$(BIN)/wares demo

# A process a core, and a thread each: threads of several processes would only get in each other's way.
test: lint  ## lint, types, then every test with coverage
	OMP_NUM_THREADS=1 $(BIN)/pytest -n logical --maxprocesses 4 --cov --cov-report=term

lint: $(STAMP)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy src/wares tests docs/conf.py docs/_ext examples/execute.py $(BENCHMARKS)

format: $(STAMP)  ## rewrite the code as lint wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## the benchmarks, one after another (minutes to an hour)
	@test -n "$(BENCHMARKS)" || { echo "no scripts in benchmarks/"; exit 1; }
	@set -e; for script in $(BENCHMARKS); do echo "== $$script"; $(BIN)/python $$script; done

examples: $(STAMP)  ## the notebooks, run anew
	$(BIN)/python examples/execute.py

# A dead link, anchor or reference is a warning of Sphinx, and a warning fails the build.
docs: $(STAMP)  ## the documents and the references, as a site in site/ that needs no network
	$(BIN)/sphinx-build --fail-on-warning --keep-going --conf-dir docs . site
	@echo "Open site/index.html"

clean:  ## everything that make made
	rm -rf $(VENV) site docs/reference/api docs/reference/cli.md build dist demo .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find src tests benchmarks docs -name __pycache__ -type d -prune -exec rm -rf {} +
