# `make demo` and `make test` each work alone on a fresh clone; README lists the lines for Windows.
PYTHONS = python3.13 python3.12 python3.11 python3
SERVES = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))
# The first that serves. One that is on the PATH need not run: pyenv has such names.
PYTHON ?= $(firstword $(foreach one,$(PYTHONS),\
  $(shell $(one) -c '$(SERVES)' 2>/dev/null && echo $(one))))
# UV=uv installs with uv in place of pip; TORCH=cpu or TORCH=index takes this build of torch.
UV ?=
TORCH ?= auto
# MATRIX="--only floors-3.11 --tests tests/study" is a part of `make matrix`.
MATRIX ?=
BIN = .venv/bin

.PHONY: demo test torture bench site lock matrix clean

demo: .venv/installed
	$(BIN)/digitspan study quick --out results/quick
	$(BIN)/digitspan study demo --out results/demo

test: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/vermin --quiet --no-tips --exclude long --violations -t=3.8- src/digitspan/part1
	$(BIN)/pytest -n auto --dist loadfile

torture: .venv/installed
	$(BIN)/pytest -m "slow or not slow"

.venv/installed: pyproject.toml requirements/lock.txt requirements/torch.txt tools/install.py
	@$(or $(PYTHON),false) -c '$(SERVES)' || { \
	  echo "make: this needs Python 3.11 or newer with venv (on Debian: python3-venv); looked for" \
	    "$(or $(PYTHON),$(PYTHONS)); install one of these, or name another:" \
	    "make demo PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) tools/install.py --torch $(TORCH) $(if $(UV),--uv $(UV))
	@touch $@

bench: .venv/installed
	$(BIN)/digitspan bench

# docs/ as pages that work without a server, in build/site; a broken link or a request ends it.
site: .venv/site
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

.venv/site: .venv/installed requirements/site.txt
	$(PYTHON) tools/install.py --site $(if $(UV),--uv $(UV))
	@touch $@

# What is installed, with hashes, out of pyproject.toml and constraints.txt; needs uv.
lock:
	$(PYTHON) tools/lock.py $(or $(UV),uv)

# The tests at the lowest bounds, at the lock and at the newest versions; needs uv.
matrix:
	$(PYTHON) tools/matrix.py $(or $(UV),uv) $(MATRIX)

clean:
	rm -rf .venv build
