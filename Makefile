# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# PYTHON names the interpreter to start from (3.10 to 3.13), VOLUME a CT for the demo.

PYTHON ?= python3
VENV ?= .venv
VOLUME ?=

ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
READY := $(VENV)/.ready

export QT_QPA_PLATFORM := offscreen
export PYTHONPATH := Testing
export PYTHONUTF8 := 1

.PHONY: demo test lint clean

demo: $(READY)
	@$(BIN)/python -m SlicerHost check
	$(BIN)/python Testing/demo.py --out demo $(if $(VOLUME),--volume "$(VOLUME)")

# Two worlds, two processes: Slicer's own never loads torch, and the engine's tests do.
test: $(READY) lint
	@$(BIN)/python -m SlicerHost check
	$(BIN)/python -m pytest -q --ignore=Testing/host --ignore=Testing/module
	$(BIN)/python -m pytest -q Testing/host Testing/module

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch goes first and alone: asked for together with others, pip may fetch a CUDA build of
# several GB before it sees the pin.
$(READY): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) must be Python 3.10 to 3.13; name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[develop]"
	@touch $@

clean:
	rm -rf $(VENV) demo
