# Two commands for a newcomer, as root on Debian 12:  make demo  and  make test.
PYTHON ?= /usr/bin/python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
export PYTHON

ROOMS  := gridtypes tfchain rmb provisioners zosd client devgrid images oio dynamo
LENIENT := $(if $(filter 0,$(shell id -u)),,--lenient)

.PHONY: help setup demo image test test-interop test-faults test-oio-fuzz fuzz lint format proto bench lock $(addprefix test-,$(ROOMS) host grid)

help: ## show this list
	@grep -hE '^[a-z%-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 16

setup: ## install packages, virtual environment and guest image (starts no service)
	@$(PYTHON) devgrid/bootstrap.py

demo: setup ## a grid of two nodes, a deployment over both, VMs that answer
	@$(BIN)/python -m devgrid.demo

test: ## set up and run all tests
	@$(PYTHON) devgrid/bootstrap.py $(LENIENT)
	@$(PYTEST) -m "not toolchain and not boots and not long" tests

$(addprefix test-,$(filter-out oio,$(ROOMS)) host grid): test-%: ## run the tests of one room
	@$(PYTHON) devgrid/bootstrap.py $(LENIENT)
	@$(PYTEST) tests/$*

test-dynamo: export DYNAMO_LONG = 1

test-interop: ## unmodified clients of others (Go, JavaScript, Rust) against our chain, relay and nodes; needs their tool-chains
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@$(PYTEST) tests/interop tests/grid/interop

test-faults: ## kill the daemon at every point that it passes, one after the other; the count is printed
	@$(PYTHON) devgrid/bootstrap.py $(LENIENT)
	@FAULTS=all $(PYTEST) -q tests/faults/test_real.py & points=$$!; \
	FAULTS=all $(PYTEST) -q tests/faults --ignore tests/faults/test_real.py; others=$$?; \
	wait $$points && exit $$others

fuzz: ## search by coverage for bytes that break what reads those of strangers (a minute for each)
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@$(BIN)/python -m tests.fuzz

test-oio: ## run all tests of the metadata directory, then those of its services again with leases in ZooKeeper
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@$(PYTEST) tests/oio
	@OIO_LEASES=zookeeper $(PYTEST) -m "not long" tests/oio/service tests/oio/directory tests/oio/cli

test-oio-fuzz: ## 10,000 malformed bodies on every route of the directory's proxy
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@OIO_MALFORMED=10000 $(PYTEST) tests/oio/service/test_malformed.py

image: setup ## the boot image of a node: kernel, initrd, UEFI disk, ISO, manifest
	@$(BIN)/python -m images.node

lint: ## ruff, mypy --strict, import-linter
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd dynamo/check && PYTHONPATH=$(CURDIR) $(abspath $(BIN))/lint-imports \
		--config $(CURDIR)/pyproject.toml --cache-dir $(CURDIR)/.import_linter_cache

format: ## let ruff format and fix
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

proto: ## generate the code of the bus's envelope anew
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@$(BIN)/python -m rmb.gen2.regenerate

bench: setup ## measure, with ratios to a floor or a peer
	@$(BIN)/python -m tests.bench

bench-%: ## measure one part: bench-rmb, bench-chain, bench-dynamo, …
	@$(PYTHON) devgrid/bootstrap.py --without-image $(LENIENT)
	@$(BIN)/python -m tests.bench $*

lock: ## resolve requirements.lock anew (needs uv)
	uv pip compile --python $(PYTHON) --extra dev --universal --python-version 3.11.2 \
		--generate-hashes --no-emit-index-url --no-header --quiet --upgrade pyproject.toml --output-file requirements.lock
