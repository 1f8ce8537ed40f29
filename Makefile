# make bench   set up .venv and run the main job: every suite on the Nano 33 (the virtual one, if none is attached)
# make test    set up .venv and run the fast tests; SLOW=1 runs all of them
# make lint    format, lint and type checks
# make clean   remove .venv and every cache
#
# Needs Python 3.11 or newer, and nothing else.

PYTHON ?= python3
DEVICE ?= nano33
SLOW   ?=

VENV := .venv
BIN  := $(VENV)/bin
PIP  := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: bench test lint clean

bench: $(VENV)/run
	$(BIN)/pytest suites/ --device $(DEVICE)

test: $(VENV)/test
	@command -v arm-none-eabi-gcc >/dev/null || echo "note: no arm-none-eabi-gcc, so firmware is not rebuilt and the tests that compile it are skipped; install it with: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
	$(BIN)/coverage run -m pytest $(if $(SLOW),,-m "not slow")
	$(BIN)/coverage report

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

clean:
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .coverage build *.egg-info
	$(MAKE) -C firmware clean

# Stamps: the environment is made again when what it is made from changes.
$(VENV)/run: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
	@echo "setting up $(VENV) (about 700 MB; a minute with a warm package cache)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/test: $(VENV)/run
	@echo "adding what the tests need"
	$(PIP) -e '.[build,dev,farm]'
	touch $@
