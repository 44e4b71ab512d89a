# What people do daily. Everything is installed into .venv in this folder.

PYTHON ?= python3
BIN = .venv/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: help demo test lint format benchmarks screenshots clean

help:
	@echo "make demo        install the light core and trace the example song"
	@echo "make test        install everything, check the code and run the tests"
	@echo "make lint        linter, formatter and type checker only"
	@echo "make format      let the formatter rewrite the code"
	@echo "make benchmarks  print the tables of benchmarks/ that need no corpus"
	@echo "make screenshots take those of the README anew (needs chromium)"
	@echo "make clean       remove .venv, demo/ and caches"

demo: .venv/core
	$(BIN)/moodcurve predict examples/four_moods.ogg -o demo --plot

test: lint
	$(BIN)/python -m pytest

lint: .venv/all
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: .venv/all
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

benchmarks: .venv/all
	$(BIN)/python benchmarks/predict.py
	$(BIN)/python benchmarks/live.py
	$(BIN)/python benchmarks/training.py --quick

screenshots: .venv/all
	MOODCURVE_SCREENSHOTS=docs $(BIN)/python -m pytest tests/test_page.py tests/test_page_library.py -k screenshots

clean:
	rm -rf .venv demo .pytest_cache .mypy_cache .ruff_cache .hypothesis

.venv/bin/python:
	$(PYTHON) -m venv .venv

BUILT_FROM = pyproject.toml constraints.txt hatch_build.py \
	$(wildcard src/moodcurve/*.h src/moodcurve/*/*.c)

.venv/core: .venv/bin/python $(BUILT_FROM)
	$(PIP) --editable '.[plot]'
	@touch $@

.venv/all: .venv/bin/python $(BUILT_FROM)
	$(PIP) --editable '.[all,dev]'
	@touch $@ .venv/core
