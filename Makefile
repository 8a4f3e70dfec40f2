# beespace: needs Python 3.11 or newer with venv, and make; everything else goes into .venv.

PYTHON ?= python3
VENV   ?= .venv
APP    ?= examples/hello.lua
ARGS   ?=
TIME   ?=

BIN   := $(VENV)/bin
STAMP := $(VENV)/.installed
PIP   := $(BIN)/python -m pip -qq --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help install serve test lint fuzz soak bench clean

help: ## list the targets
	@sed -n 's/^\([a-z]*\):[^#]*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install beespace with its test and bench tools

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is Python %d.%d, beespace needs 3.11 or newer: make PYTHON=..." % sys.version_info[:2])'
	@echo "installing into $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --editable '.[test,bench]'
	@touch $@

serve: $(STAMP) ## start the server: APP=examples/hello.lua ARGS='--workers 2'
	@exec $(BIN)/beespace serve $(APP) $(ARGS)

# Its servers start several hundred processes of Python; compiled once, they start a fifth faster.
test: export PYTHONDONTWRITEBYTECODE =
test: $(STAMP) ## the whole gate, three files at a time: ARGS='-k codec' runs a part
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(ARGS)

lint: $(STAMP) ## only the rules: style, types, layers, headers
	@$(BIN)/python -m pytest tests/rules $(ARGS)

fuzz: $(STAMP) ## throw broken packets at the server: TIME=60 seconds, ARGS='--seed 7' repeats a run
	@$(BIN)/python -m tests.fuzz --seconds $(or $(TIME),60) $(ARGS)

soak: $(STAMP) ## minutes of load and faults, then every invariant: TIME=180 seconds, ARGS='--seed 7' repeats a run
	@$(BIN)/python -m tests.soak --seconds $(or $(TIME),180) $(ARGS)

bench: $(STAMP) ## measure, and compare with tarantool when it is installed
	@$(BIN)/python -m bench compare $(ARGS)

clean: ## remove .venv and everything built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
