# From a clone, with Python 3.11 or later and nothing installed:
#
#   make demo   install, train a GAN on handwritten digits, and say where to look (under five minutes)
#   make test   install, and run all tests
#
# Everything is installed into .venv here. `make PYTHON=/path/to/python3.12 demo` chooses the Python;
# pip's own settings (PIP_INDEX_URL, pip.conf) choose where packages come from.

.POSIX:
SHELL = /bin/sh
PYTHON = python3
VENV = .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
DEMO_MINUTES = 2
TESTS = tests
JOBS = auto

help:
	@echo "make demo       install, train on handwritten digits, and say where to look"
	@echo "make test       install, and run all tests"
	@echo "make lint       ruff"
	@echo "make types      pyright"
	@echo "make contracts  import-linter: which room may import which"
	@echo "make clean      remove .venv and what tools have left (runs/ stays)"

# Runs are never overwritten: a second demo is runs/demo-2.
demo: $(VENV)/.installed
	@out=runs/demo; n=1; \
	while [ -e "$$out" ]; do n=$$((n + 1)); out=runs/demo-$$n; done; \
	$(BIN)/gansmith train auto --data digits --minutes $(DEMO_MINUTES) --out "$$out" && \
	echo && echo "gansmith is in $(BIN): . $(BIN)/activate puts it on your path."

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile $(TESTS)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/pyright --pythonpath $(BIN)/python

contracts: $(VENV)/.dev
	PYTHONPATH=src $(BIN)/lint-imports

$(VENV)/.python:
	@python="$(PYTHON)"; \
	for each in "$$python" python3.13 python3.12 python3.11 python; do \
	  if "$$each" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "installing into $(VENV) with $$("$$each" --version); this takes a minute or two"; \
	    "$$each" -m venv --clear $(VENV) && : > $@ && exit 0; \
	    echo "make: cannot make a virtual environment (on Debian and Ubuntu: apt install python3-venv)" >&2; exit 2; \
	  fi; \
	done; \
	echo "make: gansmith needs Python 3.11 or later, and '$(PYTHON)' is not." >&2; \
	echo "make: Name one: make PYTHON=/path/to/python3.12 demo" >&2; exit 2

$(VENV)/.installed: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) -e .
	@: > $@

$(VENV)/.dev: $(VENV)/.python pyproject.toml constraints.txt
	$(PIP) -e '.[dev,hub]'
	@: > $(VENV)/.installed
	@: > $@

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests bench -name __pycache__ -type d -exec rm -rf {} +

.PHONY: help demo test lint types contracts clean
