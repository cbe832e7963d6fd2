# Everything a newcomer or a developer runs. `make help` lists it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BASE_PYTHON ?= $(shell command -v python3.11 || command -v python3)
PYTHON := .venv/bin/python
export PYTHONPATH := $(CURDIR)
export GRADIO_ANALYTICS_ENABLED := False

# Texts to train on and to measure with; users of the app need none of them.
LLMCOMP_DATA ?= $(abspath $(wildcard ../shared/data))
export LLMCOMP_DATA

.PHONY: help demo test quick slow check style bench figures presets screenshots train-background release-model clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 20

demo: .stamps/runtime ## start the app on the embedded model (no network at run time)
	HF_HUB_OFFLINE=1 $(PYTHON) app.py

test: .stamps/test check ## everything that must hold; CI runs this
	$(PYTHON) -m pytest -m "not slow" --doctest-modules llmcomp tests

quick: .stamps/test ## the fast part of the tests, under two minutes
	$(PYTHON) -m pytest -q -x -m "not slow and not browser and not embedded" tests

slow: .stamps/test ## long tests: fuzzing, megabytes
	$(PYTHON) -m pytest -m slow tests

check: .stamps/test ## lint, format, types and the Space's card, changing nothing
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m mypy
	$(PYTHON) -m llmcomp space check
	$(PYTHON) -m llmcomp space deploy --dry-run | tail -n 14

style: .stamps/test ## format, and fix what lint can fix
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) -m ruff format .

bench: .stamps/runtime ## rates and relative speeds on the documented corpus
	$(PYTHON) -m llmcomp bench
	$(PYTHON) -m llmcomp bench --speed

figures: .stamps/runtime ## measure every figure of README and docs again and write it there (hours)
	$(PYTHON) -m llmcomp.ui.presets
	$(PYTHON) -m llmcomp.evaluate.figures

presets: .stamps/runtime ## compress the app's sample texts with the shipped model again (seconds)
	$(PYTHON) -m llmcomp.ui.presets

screenshots: .stamps/test ## take a picture of every page of the app in both themes and widths
	$(PYTHON) -m llmcomp.ui.screenshots

train-background: .stamps/runtime ## start or resume training the embedded model at lowest priority
	$(PYTHON) -m llmcomp.train train --recipe embedded --background

RELEASE ?= embedded-1
release-model: .stamps/runtime ## decay, export, snap and evaluate a model: RELEASE=embedded-2
	$(PYTHON) -m llmcomp.train release --recipe $(firstword $(subst -, ,$(RELEASE))) \
	    --out assets/$(RELEASE) --pause $(RELEASE_FLAGS)
	$(PYTHON) -m llmcomp.train card

clean: ## remove the virtual environment and caches
	rm -rf .venv .stamps .pytest_cache .hypothesis .mypy_cache .ruff_cache build/fuzz
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	$(BASE_PYTHON) -m venv .venv

.stamps/runtime: requirements.txt | .venv/bin/python
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements.txt
	$(PYTHON) -m llmcomp.evaluate.start --quiet # compiles kernels, once
	mkdir -p .stamps && touch $@

# Browser tests use Debian's chromium; without it they skip with a reason, or fail when CI=true.
.stamps/test: pyproject.toml .stamps/runtime
	$(PYTHON) -c 'import tomllib; print("\n".join(tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["test"]))' > .stamps/test.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r .stamps/test.txt
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null && ! command -v chromium > /dev/null; then \
	    apt-get update -q && apt-get install -y -q --no-install-recommends \
	        chromium fonts-noto-core fonts-noto-cjk fonts-noto-color-emoji; \
	fi
	npm install --silent --no-audit --no-fund --prefix .stamps/axe axe-core@4.14.1 || \
	    echo "axe-core cannot be fetched: tests of reach will try again, and skip without it"
	touch $@
