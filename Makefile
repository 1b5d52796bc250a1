# throughway: every target can be run again at any time.
#
#   make demo    install what is missing, bring up the lab, carry a client home and back, clean up
#   make test    install what is missing, run every test
#   make unit    install what is missing, run the tests that need no root
#   make lint    ruff, mypy strict, import contracts
#   make measure how fast it connects, what it weighs: writes docs/performance.md
#   make bench   throughway beside every other tunnel: writes docs/performance.md
#   make matrix  every fault of the lab, who notices what: writes docs/operate/faults.md
#   make soak    an hour of healthy running with roaming: writes docs/performance-soak.md
#   make help    this list

SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.PHONY: help install system demo test unit measure bench matrix soak lint format lock clean

help:
	@sed -n 's/^#   //p' $(MAKEFILE_LIST)

install: system $(VENV)/.installed

# Debian packages: only the missing ones, only as root.
system:
	@packaging/install-debian-packages

$(VENV)/.installed: requirements.lock pyproject.toml setup.py src/throughway/net/_segments.c
	@echo "== Python packages (first time: about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install
	@$(BIN)/throughway lab demo

test: install
	@packaging/run-tests

unit: install
	@echo "The tests marked lab (namespaces, TUN, real services) are left out; as root: make test"
	@$(BIN)/pytest -q -n auto -m "not lab"

ROUNDS ?= 10

# Ten rounds, and five with a distant gateway, take five minutes, what it weighs two. Exit 1 when a target is missed.
measure: install
	@$(BIN)/python -m bench.weigh
	@$(BIN)/python -m bench.connect --rounds $(ROUNDS)

# Three rounds take a quarter of an hour. Exit 1 when a target is missed.
BENCH_ROUNDS = $(if $(filter file,$(origin ROUNDS)),3,$(ROUNDS))
bench: install
	@packaging/install-debian-packages debian-packages-bench.txt
	@$(BIN)/python -m bench.tunnel --rounds $(BENCH_ROUNDS) || [ $$? -eq 1 ]
	@$(BIN)/python -m bench.scale
	@$(BIN)/python -m bench.names --rounds $(BENCH_ROUNDS) || [ $$? -eq 1 ]
	@$(BIN)/python -m bench.tunnel_report

# Half an hour for all faults, pairs of them, what flaps, and the status while busy; FAULTS: only these; FAULTS=--left: what
# was interrupted or came out otherwise. Exit 1 when somebody said something else than wanted.
matrix: install
	@$(BIN)/python -m bench.matrix $(FAULTS)

# An hour. Exit 1 when something alarmed, leaked or grew.
MINUTES ?= 60
soak: install
	@$(BIN)/python -m bench.soak --minutes $(MINUTES)

lint: install
	$(BIN)/ruff check src tests bench
	$(BIN)/ruff format --check src tests bench
	$(BIN)/mypy
	$(BIN)/lint-imports

format: install
	$(BIN)/ruff check --fix src tests
	$(BIN)/ruff format src tests

# After a change of dependencies in pyproject.toml.
lock:
	$(BIN)/uv pip compile pyproject.toml --extra dev --extra kerberos --extra directory --generate-hashes --universal --python-version 3.11 --quiet -o requirements.lock

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
