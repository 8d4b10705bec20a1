# make demo | test | lint | bench: each creates .venv on first use. Needs Python 3.11+ and make.
PYTHON ?= python3
BIN := .venv/bin
DEMO := demo
FUZZ_SECONDS ?= 600
# Processes that test side by side, each with one thread: most tests use one core at a time.
TEST_WORKERS ?= 2
PHOTOS ?= ../shared/data/landmarks13
# All that need no GPU; make bench BENCHES=bench_loader for one.
BENCHES ?= bench_loader bench_race bench_bad_photos bench_build bench_scale \
  "bench_duplicates --photos $(PHOTOS)" "bench_damage $(PHOTOS)" bench_predict bench_evaluate_memory bench_train \
  "bench_classes store" "bench_classes head" "bench_classes train" \
  "bench_classes train --classes 1000" "bench_classes resume" "bench_classes page" \
  bench_landmarks13 bench_options bench_packing bench_long_tail_heads bench_long_tail

.PHONY: help demo test fuzz lint docs bench coverage matrix clean
.DEFAULT_GOAL := help

help:
	@echo "make demo   generated photos -> store -> two models -> the better one, reports, a gallery (five to nine minutes on 2 cores)"
	@echo "make test   all tests that need no GPU, in TEST_WORKERS=2 processes"
	@echo "make fuzz   ten minutes of hostile input for each fuzzer, and processes killed more often"
	@echo "make lint   ruff, pyright, import-linter"
	@echo "make docs   the documentation as pages in build/site; warnings are errors"
	@echo "make bench  every benchmark that needs no GPU (hours); figures go to benchmarks/results and README.md"
	@echo "make coverage  the tests once more, and which lines they reach"
	@echo "make matrix the wheel in fresh environments: Python 3.11 and 3.13, torch 2.11 and newest"

.venv/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "glr-fast needs Python 3.11 or newer, $(PYTHON) is older: make PYTHON=python3.12 ..." >&2; exit 2; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[train,dev]'
	@touch $@

demo: .venv/.installed
	@BIN=$(BIN) DEMO=$(DEMO) sh launch/demo.sh

test: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TEST_WORKERS)

fuzz: .venv/.installed
	FUZZ_SECONDS=$(FUZZ_SECONDS) $(BIN)/python -m pytest -q tests/fuzz
	MEETINGS=25 KILLS=40 $(BIN)/python -m pytest -q tests/shard_tools/build/test_two_at_once.py \
	  tests/shard_tools/build/test_kill.py tests/glr_fast/tuning/test_workers.py

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright
	$(BIN)/lint-imports

docs: .venv/.installed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Each benchmark goes on where another fails (one lacks its photos, or libraries to compare with).
bench: .venv/.installed
	@failed=; for command in $(BENCHES); do echo "== $$command"; \
	  $(BIN)/python -m benchmarks.$$command || failed="$$failed, $$command"; done; \
	$(BIN)/python -m benchmarks.readme_table || failed="$$failed, readme_table"; \
	[ -z "$$failed" ] || { echo "make bench: failed$$failed" >&2; exit 1; }

coverage: .venv/.installed
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n $(TEST_WORKERS) --cov --cov-report=term:skip-covered

matrix:
	.ci/matrix

clean:
	rm -rf .venv $(DEMO) build *.egg-info
