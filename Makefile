# Every target sets up what it needs in $(VENV). `make help` lists them.
VENV ?= .venv
export VENV
PYTEST_ARGS ?=
.DEFAULT_GOAL := help
.PHONY: help run test lint bench models soak nspawn deb fuzz lock audit clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile

run: ## listen to the microphone and print what is heard; without a microphone, play the demo recording
	@tools/setup.sh run
	@$(VENV)/bin/kwsd --no-wait || { code=$$?; [ $$code = 69 ] || exit $$code; \
	  echo 'kwsd: playing the demo recording instead: kwsd --source examples/demo.flac' >&2; \
	  exec $(VENV)/bin/kwsd --source examples/demo.flac; }

test: ## the tests, and all that they need
	@tools/setup.sh test
	@if [ -e $(VENV)-tflite/.installed ]; then \
	    $(VENV)-tflite/bin/python -m pytest -q tests/model && \
	    export KWSD_TFLITE_PYTHON=$(abspath $(VENV)-tflite/bin/python); \
	  else echo 'skipped: what needs tflite-runtime, whose last wheels are for Python 3.11' >&2; fi && \
	  $(VENV)/bin/python -m pytest $(PYTEST_ARGS)

lint: ## ruff, and mypy --strict on kwsd and kwsd_train
	@tools/setup.sh test
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check . && $(VENV)/bin/mypy

bench: ## cost of listening, as one JSON line (docs/performance.md names its keys)
	@tools/setup.sh test
	@$(VENV)/bin/python tools/bench.py

models: ## train the shipped models again from KWSD_DATA (five hours)
	@tools/setup.sh test
	@for recipe in models/*.recipe.sh; do PATH="$(CURDIR)/$(VENV)/bin:$$PATH" $$recipe || exit; done

soak: ## endurance: 24 h of audio, SOAK_MINUTES (60) of a microphone with every sink on, 10 minutes with busy cores, 60 loose plugs, 20 kwsd at one broker
	@tools/setup.sh test
	@$(VENV)/bin/python tools/reliability/soak.py

nspawn: ## try the system unit and the Debian package under a real systemd in a container (root; about six minutes, the first time more)
	@tools/setup.sh test
	@tools/setup.sh nspawn
	@$(VENV)/bin/python tools/reliability/nspawn.py

deb: ## a Debian package for this system and machine, in dist/ (needs the network)
	@tools/setup.sh run
	@$(VENV)/bin/python tools/deb/make_deb.py

FUZZ_SECONDS ?= 60
fuzz: ## feed every parser of foreign bytes with malformed input for FUZZ_SECONDS (60) in all
	@tools/setup.sh fuzz
	@$(VENV)-fuzz/bin/python -m tests.fuzz $(FUZZ_SECONDS)

lock: ## pin the newest dependencies of development, with hashes, in tools/locks
	@tools/lock.sh

audit: ## ask for known vulnerabilities of what is pinned (needs the network)
	@tools/lock.sh audit

clean: ## remove the virtual environment and what tools left behind
	@rm -rf $(VENV) $(VENV)-tflite $(VENV)-fuzz $(VENV)-lock .pytest_cache .hypothesis .mypy_cache .ruff_cache build dist
