# make bench   set up .venv and run the main job: every suite on the Nano 33 (the virtual one, if none is attached)
# make test    set up .venv and run the fast tests; SLOW=1 runs all of them, JOBS=1 one after another
# make lint    format, lint and type checks
# make labgrid set up .venv-labgrid, the environment of its own that labgrid needs
# make clean   remove the environments and every cache
#
# Needs Python 3.11 or newer, and nothing else.

PYTHON ?= python3
DEVICE ?= nano33
SLOW   ?=
JOBS   ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

VENV    := .venv
LABGRID := .venv-labgrid
BIN     := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
PIP     := $(BIN)/python $(INSTALL) -c constraints.txt

.PHONY: bench test lint labgrid clean

bench: $(VENV)/run
	$(BIN)/pytest suites/ --device $(DEVICE)

test: $(VENV)/test
	@command -v arm-none-eabi-gcc >/dev/null || echo "note: no arm-none-eabi-gcc, so firmware is not rebuilt and the tests that compile it are skipped; install it with: apt-get install gcc-arm-none-eabi libnewlib-arm-none-eabi"
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -n $(JOBS) --durations 30 $(if $(SLOW),,-m "not slow")
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

labgrid: $(LABGRID)/made

clean:
	rm -rf $(VENV) $(LABGRID) .hypothesis .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* build *.egg-info
	$(MAKE) -C firmware clean

define NEW_ENOUGH
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
endef

# Stamps: the environment is made again when what it is made from changes.
$(VENV)/run: pyproject.toml constraints.txt
	@$(NEW_ENOUGH)
	@echo "setting up $(VENV) (about 700 MB; a minute with a warm package cache)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	touch $@

$(VENV)/test: $(VENV)/run
	@echo "adding what the tests need"
	$(PIP) -e '.[build,dev,farm]'
	touch $@

# An environment of its own, because labgrid's fork of pyserial and pyserial itself are both called `serial`.
$(LABGRID)/made: constraints-labgrid.txt
	@$(NEW_ENOUGH)
	@echo "setting up $(LABGRID)"
	test -x $(LABGRID)/bin/python || $(PYTHON) -m venv $(LABGRID)
	$(LABGRID)/bin/python $(INSTALL) -c constraints-labgrid.txt labgrid
	touch $@
