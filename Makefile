# Two commands do all the set-up: `make demo` runs the main job, `make test` passes the tests.
# `make soak` tries for hours what goes wrong, and writes docs/reliability.md's table of it.
# `make model` trains the embedded model from nothing, in 1 hour 55 minutes on two cores with bfloat16; stopped, it goes on.
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
SUPPLY := $(VENV)/supply
LOCK := requirements/develop.txt
# Whole, for tests work in other folders too.
ROWS := $(CURDIR)/build/tried.jsonl

export QT_QPA_PLATFORM := offscreen
export PYTHONPATH := Testing
export PYTHONUTF8 := 1

# The training: its data (5 GB) and what comes of it.
MODEL := build/model
RECIPE = -m med2e3 train --config configs/phantom.yaml --data $(MODEL)/data --out $(MODEL)/run --threads 1
TRAIN = $(BIN)/python -m torch.distributed.run --standalone --nproc-per-node 2 $(RECIPE)

.PHONY: demo test soak model model-language model-vision lint lock audit sbom clean

demo: $(READY)
	@$(BIN)/python -m SlicerHost check
	$(BIN)/python Testing/demo.py --out demo $(if $(VOLUME),--volume "$(VOLUME)")

# Two worlds, two processes: Slicer's own never loads torch, and the engine's tests do.
test: $(READY) lint
	@$(BIN)/python -m SlicerHost check
	$(BIN)/python -m pytest -q --ignore=Testing/host --ignore=Testing/module
	$(BIN)/python -m pytest -q Testing/host Testing/module

# -m "" also takes the tests that are too long for `make test`.
soak: $(READY)
	mkdir -p build && rm -f $(ROWS)
	-$(BIN)/python -m pip install --quiet --no-deps atheris==3.0.0
	MED2E3_RECORD=$(ROWS) $(BIN)/python -m pytest -q -m "" --timeout 7200 \
		Testing/reliability Testing/command/test_download.py Testing/cohort
	MED2E3_RECORD=$(ROWS) $(BIN)/python -m pytest -q -m "" --timeout 7200 Testing/module
	$(BIN)/python Testing/reliability/report.py $(ROWS) docs/reliability.md

# What the trainer frees it needs again at once: glibc keeps it instead of giving it back each time.
model model-language model-vision: export MALLOC_MMAP_MAX_ = 0
model model-language model-vision: export MALLOC_TRIM_THRESHOLD_ = 20000000000
model: $(READY)
	$(BIN)/python -m med2e3 phantom dataset --out $(MODEL)/data --train 4000 --validation 100 --test 500 --size 32 128 128
	$(MAKE) --jobs 2 model-language model-vision
	$(TRAIN)
	$(BIN)/python -m med2e3 evaluate phantom --model $(MODEL)/run/model --data $(MODEL)/data --out $(MODEL)/evaluation

# They need nothing of one another, and what one leaves idle the other takes.
model-language: $(READY)
	$(TRAIN) --stage letters --stage language --stage ideal --stage places
model-vision: $(READY)
	$(BIN)/python $(RECIPE) --stage contrast-slices --stage contrast-volumes

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# torch goes first and alone: asked for together with others, pip may fetch a CUDA build of
# several GB before it sees the pin.
$(READY): pyproject.toml $(LOCK)
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 10) <= sys.version_info[:2] <= (3, 13))' || \
		{ echo "$(PYTHON) must be Python 3.10 to 3.13; name another one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) cannot make environments; on Debian and Ubuntu: sudo apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check torch==2.13.0
	@if $(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))'; then \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement $(LOCK); \
	else echo "$(LOCK) is for Python 3.11; this one takes the newest versions that pyproject.toml allows."; fi
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[develop]"
	@touch $@

# The tools of the three live in an environment of their own, and change nothing in the first.
$(SUPPLY)/.ready: $(READY)
	$(BIN)/python -m venv $(SUPPLY)
	$(SUPPLY)/$(notdir $(BIN))/python -m pip install --quiet pip-tools==7.6.2 pip-audit==2.10.1 cyclonedx-bom==7.5.0
	@touch $@

# The versions that are installed and tested, with the hashes that the registry states. torch is
# left out: which build of it is right depends on the machine.
lock: $(SUPPLY)/.ready
	$(BIN)/python -m pip freeze --exclude-editable | grep -Ev '^(torch|atheris)==|@' > $(SUPPLY)/installed.txt
	CUSTOM_COMPILE_COMMAND="make lock" $(SUPPLY)/$(notdir $(BIN))/pip-compile --quiet \
		--extra develop --generate-hashes --strip-extras --no-annotate --unsafe-package torch --unsafe-package med2e3 \
		--no-emit-index-url --no-emit-find-links --no-emit-trusted-host \
		--constraint $(SUPPLY)/installed.txt --output-file $(LOCK) pyproject.toml

# Holds the lock file against the registry's list of known vulnerabilities, and fails if that cannot
# be reached.
audit: $(SUPPLY)/.ready
	$(SUPPLY)/$(notdir $(BIN))/pip-audit --requirement $(LOCK) --disable-pip --require-hashes --strict

# What the environment is made of, as CycloneDX JSON.
sbom: $(SUPPLY)/.ready
	mkdir -p build
	$(SUPPLY)/$(notdir $(BIN))/cyclonedx-py environment --pyproject pyproject.toml --output-file build/sbom.json $(BIN)/python

clean:
	rm -rf $(VENV) demo
