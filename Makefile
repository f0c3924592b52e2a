# Parle. Two commands: `make serve` and `make test`. A second run reuses what the first one built.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STACK ?= configs/cpu_stack.yaml
PINS := constraints/cpu.txt
export PIP_CONSTRAINT := $(PINS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help serve test lint types bench clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

serve: $(VENV)/.cpu ## build the environment, start the CPU stack (HOST, PORT, STACK) and say where to open it
	@exec $(BIN)/parle serve $(STACK)

test: $(VENV)/.test ## build what the tests need and run them
	$(BIN)/python -m pytest $(ARGS)

lint: $(VENV)/.test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.test ## pyright, standard
	$(BIN)/pyright

bench: $(VENV)/.test ## the figures of the README, as ratios in one run (keep the machine idle)
	$(BIN)/python -m bench.turns --save bench/results.json
	$(BIN)/python -m bench.cefr

clean: ## remove the environment; the joined weights stay in ~/.cache/parle
	rm -rf $(VENV)

$(VENV)/.cpu: pyproject.toml $(PINS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --progress-bar on -e '.[cpu]'
	@touch $@

$(VENV)/.test: $(VENV)/.cpu
	$(BIN)/pip install --quiet --progress-bar on -e '.[cpu,test]'
	@touch $@
