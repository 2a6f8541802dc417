# Thaw: make run, make test. Everything lives in .venv and in the data folder (THAW_HOME).
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PORT   ?=
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check
# The tested platform installs exact versions with checksums; every other one what requirements.txt allows.
LOCKED := $(shell $(PYTHON) -c 'import platform, sys; print((sys.version_info[:2], sys.platform, platform.machine()) == ((3, 11), "linux", "x86_64"))')
REQUIREMENTS       := $(if $(filter True,$(LOCKED)),requirements.lock,requirements.txt)
TEST_REQUIREMENTS  := $(if $(filter True,$(LOCKED)),tests/requirements.lock,tests/requirements.txt)
# Runs a step and prints how long it took: $(call timed,name,command)
timed   = @echo "== $(1)"; start=$$(date +%s); $(2); status=$$?; echo "-- $(1): $$(( $$(date +%s) - start )) s"; exit $$status
export PYTHONUTF8 := 1
export TOKENIZERS_PARALLELISM := false

.PHONY: help run test lint types imports unit bench lock clean chromium
help:
	@echo "make run    install what is missing, start Thaw, print its address   (PORT=8600 to choose a port)"
	@echo "make test   every check: lint, types, import contracts, unit, jobs, pages, browser"
	@echo "make lint   the quick checks only          make bench   Thaw against a plain training script"
	@echo "make lock   pin the versions that requirements allow, with checksums (needs uv)"
	@echo "make clean  remove .venv and caches (your data folder stays)"

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Thaw needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 run")'
	$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade "pip>=24.1"

# Stamp files: the second `make run` installs nothing.
$(VENV)/.installed: $(REQUIREMENTS) | $(BIN)/python
	@echo "Installing what Thaw needs (the first time this takes a few minutes) ..."
	@$(PIP) -r $(REQUIREMENTS)
	@touch $@

$(VENV)/.installed-tests: $(TEST_REQUIREMENTS) $(VENV)/.installed
	@start=$$(date +%s); $(PIP) -r $(TEST_REQUIREMENTS) && touch $@ && echo "-- install test requirements: $$(( $$(date +%s) - start )) s"

run: $(VENV)/.installed
	@$(BIN)/python -m core supervise --detach
	@echo "Starting Thaw; stop it with Ctrl+C. Runs that are under way go on without it."
	@exec $(BIN)/streamlit run streamlit_app.py --server.headless true $(if $(filter 1 true yes,$(THAW_PUBLIC)),--server.address 0.0.0.0) $(if $(PORT),--server.port $(PORT))

# The browser tests drive the system's Chromium; the figures' PNG export uses it too.
chromium:
	@if command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null; then exit 0; fi; \
	if command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
	  echo "== install Chromium"; apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	elif command -v apt-get >/dev/null && sudo -n true 2>/dev/null; then \
	  echo "== install Chromium"; sudo apt-get update -qq && sudo DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "The browser tests need Chromium and this account may not install it. Install the package 'chromium', then run make test again."; exit 1; fi

lint: $(VENV)/.installed-tests
	$(call timed,ruff,$(BIN)/ruff check .)

types: $(VENV)/.installed-tests
	$(call timed,mypy,$(BIN)/mypy core pages streamlit_app.py)

imports: $(VENV)/.installed-tests
	$(call timed,import contracts,$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports)

# Unit tests and pages side by side, one thread each; so do processes, which mostly wait for each other; servers and browsers follow alone. Of
# these one that fails is tried once more and named as such: on two busy cores a click can come to a page that is being drawn anew. What fails twice
# is a failure.
# pytest's summary is the last line; no tests collected is exit status 5, which make reports as a failure.
test: $(VENV)/.installed-tests chromium lint types imports
	@echo "== unit tests, pages"; $(BIN)/python -m pytest tests/contracts tests/unit tests/ui -n 2 --dist worksteal --durations=10 $(ARGS)
	@echo "== processes"; $(BIN)/python -m pytest tests/jobs -n 2 --dist worksteal --reruns 1 -raR --durations=10 $(ARGS)
	@echo "== browser"; $(BIN)/python -m pytest tests/e2e tests/gpu --reruns 1 -raR --durations=20 $(ARGS)

unit: $(VENV)/.installed-tests
	@$(BIN)/python -m pytest tests/contracts tests/unit -n 2 --dist worksteal -m "not slow" $(ARGS)

bench: $(VENV)/.installed
	@$(BIN)/python benchmarks/run.py $(ARGS)
	@$(BIN)/python benchmarks/probe_time.py
	@$(BIN)/python benchmarks/language.py --steps-only --steps 12
	@$(BIN)/python benchmarks/feature_space.py
	@$(BIN)/python benchmarks/import_speed.py
	@$(BIN)/python benchmarks/bookkeeping.py
	@$(BIN)/python benchmarks/workshop.py

# Needs uv (pip install uv). The tests' versions come first, so that both files agree.
LOCK := uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-unknown-linux-gnu --no-annotate \
        --custom-compile-command "make lock" --upgrade
lock:
	$(LOCK) tests/requirements.txt -o tests/requirements.lock
	$(LOCK) requirements.txt -c tests/requirements.lock -o requirements.lock

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
