# make install set up .venv with what a run needs
# make bench   set up .venv and run the main job: every suite on the Nano 33 (the virtual one, if none is attached)
# make boards  images of every kind of board whose images aren't committed, with the cross compiler (some minutes)
# make test    set up .venv and run the fast tests; SLOW=1 runs all of them, JOBS=1 one after another, COVERAGE=1 measures
#              how much of the code the fast ones reach
# make lint    format, lint and type checks
# make labgrid set up .venv-labgrid, the environment of its own that labgrid needs
# make pins    write requirements-*.txt anew, for what pyproject.toml asks for now; UPGRADE=1 takes the newest releases
# make clean   remove the environments and every cache
#
# Needs Python 3.11 or newer, and nothing else.

PYTHON ?= python3
DEVICE ?= nano33
SLOW   ?=
COVERAGE ?=
# Two more than there are processors: many tests wait for a board that is late on purpose.
JOBS   ?= $(shell echo $$(($$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2) + 2)))

VENV    := .venv
LABGRID := .venv-labgrid
BIN     := $(VENV)/bin
INSTALL := -m pip install --quiet --disable-pip-version-check
PIP     := $(BIN)/python $(INSTALL) --require-hashes -r
EDIT    := $(BIN)/python $(INSTALL) --no-deps --no-build-isolation -e .
PINS    := .venv-pins

# Tests start some hundred processes: without the bytecode of the package each of them would compile it again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install bench boards test lint labgrid pins clean

install: $(VENV)/run

bench: $(VENV)/run
	$(BIN)/pytest suites/ --device $(DEVICE)

boards: $(VENV)/run
	$(MAKE) -C firmware boards -k -j $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)

test: $(VENV)/test
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(if $(COVERAGE),$(BIN)/coverage run -m pytest,$(BIN)/python -m pytest) -n $(JOBS) --durations 30 $(if $(SLOW),,-m "not slow")
	$(if $(COVERAGE),$(BIN)/coverage combine --quiet)
	$(if $(COVERAGE),$(BIN)/coverage report)

lint: $(VENV)/test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

labgrid: $(LABGRID)/made

# One set of releases for Python 3.11 and newer, and for every system, with the SHA-256 of each of their files. What is
# pinned already stays, unless it doesn't fit any more. setuptools builds the package, in the environment itself.
UV := $(PINS)/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make pins" $(if $(UPGRADE),--upgrade)
pins:
	test -x $(PINS)/bin/uv || { $(PYTHON) -m venv $(PINS) && $(PINS)/bin/python $(INSTALL) uv; }
	echo 'setuptools>=77' | $(UV) --extra dev --extra farm -o requirements-test.txt pyproject.toml -
	echo 'setuptools>=77' | $(UV) -c requirements-test.txt -o requirements-run.txt pyproject.toml -

clean:
	rm -rf $(VENV) $(LABGRID) $(PINS) .mypy_cache .pytest_cache .ruff_cache .coverage .coverage.* build *.egg-info
	$(MAKE) -C firmware clean

define NEW_ENOUGH
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is older. Name another: make PYTHON=python3.12"; exit 1; }
endef

# Stamps: the environment is made again when what it is made from changes.
$(VENV)/run: pyproject.toml requirements-run.txt
	@$(NEW_ENOUGH)
	@echo "setting up $(VENV) (about 700 MB; a minute with a warm package cache)"
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) requirements-run.txt
	rm -rf *.egg-info build
	$(EDIT)
	touch $@

$(VENV)/test: $(VENV)/run requirements-test.txt
	@echo "adding what the tests need"
	$(PIP) requirements-test.txt
	touch $@

# An environment of its own, because labgrid's fork of pyserial and pyserial itself are both called `serial`.
$(LABGRID)/made: constraints-labgrid.txt
	@$(NEW_ENOUGH)
	@echo "setting up $(LABGRID)"
	test -x $(LABGRID)/bin/python || $(PYTHON) -m venv $(LABGRID)
	$(LABGRID)/bin/python $(INSTALL) -c constraints-labgrid.txt labgrid
	touch $@
