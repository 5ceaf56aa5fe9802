# make figures | test | docs | gpu-check | lint | bench | why | status | plan | results | wheel-check; each
# creates .venv first, with nothing but PyPI.
PYTHON ?= python3
CORES ?= all
STUDY ?= config.yaml
# A package index with other builds of torch: make figures TORCH_INDEX=<its address>
TORCH_INDEX ?=
# Number of parallel test processes; auto is one per core, at most four. WORKERS=0 runs the tests serially.
WORKERS ?= auto

VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install

.PHONY: figures test test-fast test-slurm gpu-check wheel-check docs lint bench plan why status results schema clean-venv

figures: $(VENV)/.installed
	$(BIN)/snakemake --cores $(CORES) --configfile $(STUDY)

why: $(VENV)/.installed
	$(BIN)/python -m disobey why $(STUDY)

# Read-only: call it in another terminal while a study runs.
status: $(VENV)/.installed
	@$(BIN)/python -m disobey status $(STUDY)

# Prints the tables of a finished study as Markdown, as in docs/results.md.
results: $(VENV)/.installed
	@$(BIN)/python -m disobey results $(STUDY)

# Takes some twenty minutes on an otherwise idle machine and updates docs/performance.md.
bench: $(VENV)/.installed
	$(BIN)/python -m benchmarks
	$(BIN)/python -m benchmarks.page

plan: $(VENV)/.installed
	$(BIN)/python -m disobey plan $(STUDY)

test: $(VENV)/.installed-dev
	$(PYTEST) -n $(WORKERS)

# Omits the tests that run the whole workflow, and files that take long.
test-fast: $(VENV)/.installed-dev
	$(PYTEST) -n $(WORKERS) -m "not workflow and not slow and not slurm and not gpu"

# Needs the one-node SLURM of slurm-up.sh (docs/cluster.md); without it the tests are skipped. Serial, because
# the tests share one cluster.
test-slurm: $(VENV)/.installed-dev
	$(PYTEST) -p no:xdist tests/slurm -m slurm -rs

# Takes some eight minutes on a machine with a GPU (some tests need two) and prints tests, errors and rates as
# one table. Without a GPU it runs what the CPU can run and lists the rest as skipped.
gpu-check: $(VENV)/.installed-dev
	$(BIN)/python -m benchmarks.gpu

# The core in an environment of its own: its size, and that it works without torch.
wheel-check:
	PYTHON=$(PYTHON) .ci/wheel-check

# The site, into docs/_build/html: every warning is an error, and the notebook must print what it holds.
docs: $(VENV)/.installed-docs
	$(BIN)/python docs/run_notebook.py
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky --fresh-env docs docs/_build/html
	@echo "the site is in docs/_build/html/index.html"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow/Snakefile rules
	$(BIN)/mypy
	$(BIN)/snakemake --lint

# Run it after changing the study models; a test fails while the file is out of date.
schema: $(VENV)/.installed
	$(BIN)/python -m disobey schema > workflow/schemas/study.schema.json

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "$(PYTHON) is older than Python 3.11; name another one: make figures PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(if $(TORCH_INDEX),$(PIP) --constraint constraints.txt --index-url $(TORCH_INDEX) torch)
	$(PIP) --constraint constraints.txt --editable '.[all]'
	touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	$(PIP) --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/.installed-docs: $(VENV)/.installed
	$(PIP) --constraint constraints.txt --editable '.[docs]'
	touch $@

clean-venv:
	rm -rf $(VENV)
