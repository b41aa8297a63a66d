# `make demo` and `make test` each work alone on a fresh clone; README lists the lines for Windows.
PYTHON ?= python3.11
BIN = .venv/bin

.PHONY: demo test torture bench clean

demo: .venv/installed
	$(BIN)/digitspan study quick --out results/quick

test: .venv/installed
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/vermin --quiet --no-tips --violations -t=3.8- src/digitspan/part1
	$(BIN)/pytest -n auto --dist loadfile

torture: .venv/installed
	$(BIN)/pytest -m "slow or not slow"

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[check,report,test,zoo]"
	touch $@

bench: .venv/installed
	$(BIN)/digitspan bench

clean:
	rm -rf .venv build
