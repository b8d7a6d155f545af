# Every target does its own set-up: nothing but Python 3.11 or newer, make and a shell is needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OLDEST = .venv-oldest
OLDEST_PYTHON ?= python3.11
READY = $(VENV)/.ready
DOCS_READY = $(VENV)/.ready-docs
WORKERS ?= auto

PROMISES = tests/reliability tests/test_manners.py tests/early/test_session.py

.PHONY: demo test test-slow reliability test-oldest lint docs dist clean

demo: $(READY)
	$(BIN)/python -m skgdpd demo

test: $(READY)
	$(BIN)/python -m pytest -n $(WORKERS)

test-slow: $(READY)
	$(BIN)/python -m pytest -m slow

# Every promise, tried as often as docs/reliability.md says, and its figures in there.
reliability: $(READY)
	$(BIN)/python -m pytest $(PROMISES) -m "slow or not slow" --write-promises docs/reliability.md

# The suite with the oldest supported versions, on the oldest supported Python.
test-oldest: $(OLDEST)/.ready
	$(OLDEST)/bin/python -m pytest -n $(WORKERS)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m numpydoc lint $$(find skgdpd benchmarks -name "*.py")

# Pages, reference and gallery, in docs/_build/html; warnings are errors.
docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -W --keep-going --quiet --jobs 2 docs docs/_build/html
	$(BIN)/python docs/check_pages.py docs/_build/html

# Wheel and source archive, and what is in them.
dist: $(READY)
	rm -rf dist build
	$(BIN)/python -m build --quiet --outdir dist .
	$(BIN)/python .ci/check_dist.py dist

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,dev]"
	touch $@

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable ".[test]"
	touch $@

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) demo-output dist build docs/_build docs/auto_examples docs/api/generated docs/sg_execution_times.rst
