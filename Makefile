# `make demo` and `make test` set themselves up: all they need is Python 3.11 or newer with pip, and a
# network to install from. Everything goes into .venv; remove that folder to start over.

VENV := .venv
BIN := $(VENV)/bin
# The first of these that is there and new enough makes the environment; `make PYTHON=... demo` chooses another.
PYTHON ?= $(firstword $(foreach name,python3 python3.14 python3.13 python3.12 python3.11 python,\
	$(shell $(name) -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $(name))))

.PHONY: demo test soak check lint types imports docs format clean

demo: $(VENV)/.installed ## run a real model locally, then stream from one over HTTP
	@$(BIN)/python examples/demo.py

# A file's tests stay together, for what they share is made once. The files begin in the order of their names, so that
# those with an engine, which last longest, are not what the other processes wait for in the end. There is one process
# more than there are processors, since much of what a test does is to wait for others: for the engine, or for a grace.
test: $(VENV)/.installed-test ## run all tests
	@$(BIN)/python -m compileall -q servekit cli templates
	$(BIN)/python -m pytest --numprocesses=$$($(BIN)/python -c 'import os; print(min(4, os.cpu_count() + 1))') --dist=loadfile --no-loadscope-reorder

soak: $(VENV)/.installed-test ## kill workers for five minutes under load, and look at what is left
	PYTHONPATH=tests/support $(BIN)/python -m soak $(SOAK)

check: lint types imports docs ## everything but the tests

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy
	$(BIN)/pyright

imports: $(VENV)/.installed-dev
	$(BIN)/lint-imports

docs: $(VENV)/.installed-dev ## build the site into docs/_build/html
	$(BIN)/sphinx-build --fail-on-warning --keep-going --quiet --builder html docs docs/_build/html

format: $(VENV)/.installed-dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf $(VENV) docs/_build dist

# uv comes with the project and installs everything else: it is several times faster than pip. With bytecode, since
# where PYTHONDONTWRITEBYTECODE is set every server, worker and command would compile what it imports, for a second.
INSTALL := $(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --editable .

$(BIN)/uv:
	@test -n "$(PYTHON)" || { echo "servekit needs Python 3.11 or newer with venv and pip; \
	install it, or name it: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; exit 1; }
	@# Debian splits ensurepip off Python; there, the pip outside installs into the environment.
	$(PYTHON) -m venv $(VENV) 2>/dev/null || $(PYTHON) -m venv --clear --without-pip $(VENV)
	$(BIN)/python -m pip install --quiet "uv>=0.9" 2>/dev/null \
		|| $(PYTHON) -m pip --python $(BIN)/python install --quiet "uv>=0.9"

$(VENV)/.installed: $(BIN)/uv pyproject.toml
	$(INSTALL)
	@touch $@

$(VENV)/.installed-test: $(BIN)/uv pyproject.toml
	$(INSTALL) --group test
	@touch $@ $(VENV)/.installed

$(VENV)/.installed-dev: $(BIN)/uv pyproject.toml
	$(INSTALL) --group dev
	@touch $@ $(VENV)/.installed $(VENV)/.installed-test
