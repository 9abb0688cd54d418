# Two commands do everything on a fresh machine with Python >= 3.11: make demo, make test.
PYTHON ?= python3
BIN := .venv/bin
SIDE_BY_SIDE := OMP_NUM_THREADS=1 OMP_WAIT_POLICY=PASSIVE $(BIN)/pytest -n 2 --dist worksteal
# Every process that a test starts would compile all sources again, and every worker of pytest all tests.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test soak soak-kills bench-growth lint map advisories install clean

demo: .venv/installed
	@$(BIN)/echonode demo

# Two at a time: most tests wait for processes. One thread each: those of torch would want the other core, too,
# and where the program takes both, the threads of torch sleep while they wait instead of spinning. Of what has to
# run alone only the files are given: to collect the others takes longer than to run it.
test: lint
	$(SIDE_BY_SIDE) tests/unit tests/integration tests/acceptance -m "not alone"
	$(BIN)/pytest $$(grep -rl --include='*.py' mark.alone tests/acceptance) -m alone

# What takes minutes: the kill matrix, thousands of hostile files and PDUs, the weights against their thresholds.
soak: .venv/installed-dev
	$(SIDE_BY_SIDE) tests/soak -m "not alone"
	$(BIN)/pytest $$(grep -rl --include='*.py' mark.alone tests/soak) -m alone

# KILLS=2000 make soak-kills
soak-kills: .venv/installed-dev
	$(BIN)/pytest tests/soak/test_kill_matrix.py -s

# What things cost with 10^3 to 10^6 studies: SIZES=1000,10000 make bench-growth; JSON=1 for a document (tests/bench/README.md).
bench-growth: .venv/installed-dev
	@PYTHONPATH=.:tests $(BIN)/python tests/bench/growth.py

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The rooms and their imports, drawn; a test fails when the picture is stale.
map: .venv/installed-dev
	PYTHONPATH=.:tests $(BIN)/python -m support.draw_map

# Known vulnerabilities of what is installed; needs the advisory service of PyPI.
advisories: .venv/installed-dev
	$(BIN)/pip-audit --local --skip-editable --progress-spinner off

install: .venv/installed

.venv/installed: pyproject.toml
	@echo "Installing into .venv (the first time takes some minutes: torch is large) ..."
	@$(PYTHON) -m venv .venv
	@$(BIN)/pip install --quiet --editable .
	@touch $@

.venv/installed-dev: .venv/installed
	@echo "Installing what the tests need ..."
	@$(BIN)/pip install --quiet --editable '.[dev]'
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
