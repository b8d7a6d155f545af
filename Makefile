# Every target does its own set-up: nothing but Python 3.11 or newer, make and a shell is needed.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
OLDEST = .venv-oldest
AEON = .venv-aeon
AUDIT = .venv-audit
OLDEST_PYTHON ?= python3.11
READY = $(VENV)/.ready
DOCS_READY = $(VENV)/.ready-docs
WORKERS ?= auto
BROWSER ?= chromium

PROMISES = tests/reliability tests/test_manners.py tests/early/test_session.py
WITH_AEON = tests/test_aeon.py tests/test_aeon_early.py tests/test_pages.py \
	tests/benchmarking/test_early.py skgdpd/aeon

.PHONY: demo test test-slow reliability test-oldest test-aeon lint docs check-pages dist sbom audit clean

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

# Tests, recipes and docstrings that need aeon, which needs older releases of numba than the suite.
# Warnings of these releases are no errors.
test-aeon: $(AEON)/.ready
	$(AEON)/bin/python -m pytest -n $(WORKERS) --override-ini "addopts=--doctest-modules --strict-markers" \
		-W default -k "aeon or imbalanced" $(WITH_AEON)

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m numpydoc lint $$(find skgdpd benchmarks -name "*.py")

# Pages, reference and gallery, in docs/_build/html; warnings are errors.
docs: $(DOCS_READY)
	$(BIN)/python -m sphinx -W --keep-going --quiet --jobs 2 docs docs/_build/html
	$(BIN)/python docs/check_pages.py docs/_build/html

# The layout of each page at the widths of a phone and of two screens, by a Chromium.
check-pages: docs
	$(BIN)/python docs/check_pages.py docs/_build/html --browser $(BROWSER)

# Wheel and source archive, built twice to the same bytes, and what is in them.
dist: $(READY)
	$(BIN)/python .ci/build_dist.py dist --again
	$(BIN)/python .ci/check_dist.py dist

# What an installation of the wheel brings, as CycloneDX.
sbom: dist $(AUDIT)/.ready
	rm -rf $(AUDIT)/installed
	$(PYTHON) -m venv --without-pip $(AUDIT)/installed
	$(AUDIT)/bin/python -m pip --python $(AUDIT)/installed install --quiet --constraint constraints.txt dist/*.whl
	$(AUDIT)/bin/cyclonedx-py environment $(AUDIT)/installed --pyproject pyproject.toml --mc-type library \
		--output-reproducible --output-file dist/sbom.cdx.json

# Known vulnerabilities of the pinned releases, where the registry tells of them.
audit: $(AUDIT)/.ready
	$(AUDIT)/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[test,dev,companions]"
	touch $@

$(OLDEST)/.ready: pyproject.toml constraints-oldest.txt
	$(OLDEST_PYTHON) -m venv $(OLDEST)
	$(OLDEST)/bin/python -m pip install --quiet --constraint constraints-oldest.txt --editable ".[test]"
	touch $@

$(AEON)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(AEON)
	$(AEON)/bin/python -m pip install --quiet "$$(grep '^torch==' constraints.txt)" --editable ".[aeon,sktime]" \
		hypothesis pytest pytest-xdist
	touch $@

$(AUDIT)/.ready: constraints.txt
	$(PYTHON) -m venv $(AUDIT)
	$(AUDIT)/bin/python -m pip install --quiet "cyclonedx-bom>=7" "pip-audit>=2.9"
	touch $@

$(DOCS_READY): $(READY)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[docs]"
	touch $@

clean:
	rm -rf $(VENV) $(OLDEST) $(AEON) $(AUDIT) demo-output dist build docs/_build docs/auto_examples docs/api/generated docs/sg_execution_times.rst
