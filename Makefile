# make demo | test | lint | bench: each creates .venv on first use. Needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
FUZZ_SECONDS ?= 600

# Training on the CPU: threads that spin while they wait steal the cores that others work on, and
# memory given back to the system after each step costs page faults to get again.
export OMP_WAIT_POLICY ?= passive
export MALLOC_TRIM_THRESHOLD_ ?= 8000000000
export MALLOC_MMAP_THRESHOLD_ ?= 8000000000

.PHONY: help demo test fuzz lint bench clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   generated photos -> store -> two trained models -> evaluation (about 6 minutes on 2 cores)"
	@echo "make test   all tests that need no GPU"
	@echo "make fuzz   ten minutes of hostile input for each fuzzer"
	@echo "make lint   ruff, pyright, import-linter"
	@echo "make bench  the benchmarks that run on this machine; figures go to benchmarks/results"

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "glr-fast needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

demo: .venv/.installed
	@BIN=$(BIN) DEMO=$(DEMO) sh launch/demo.sh

test: .venv/.installed
	$(BIN)/python -m pytest -q

fuzz: .venv/.installed
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -q tests/fuzz

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

bench: .venv/.installed
	$(BIN)/python -m benchmarks.bench_loader
	$(BIN)/python -m benchmarks.bench_build

clean:
	rm -rf .venv $(DEMO) build *.egg-info
