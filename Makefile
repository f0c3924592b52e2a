# Parle. Two commands: `make serve` and `make test`. A second run reuses what the first one built.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STACK ?= configs/cpu_stack.yaml
PINS := constraints/cpu.txt
GPU_VENV := .venv-gpu-engines
GPU_PINS := constraints/gpu-engines.txt
export PIP_CONSTRAINT := $(PINS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export RAY_USAGE_STATS_ENABLED := 0

.PHONY: help serve rehearse test test-browser test-gpu-engines resolve-gpu lint types types-gpu bench bench-capacity bench-gpu-engines clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

serve: $(VENV)/.cpu ## build the environment, start the CPU stack (HOST, PORT, STACK) and say where to open it
	@exec $(BIN)/parle serve $(STACK)

test: $(VENV)/.test ## build what the tests need and run them
	$(BIN)/python -m pytest --ignore=tests/browser $(ARGS)

test-browser: $(VENV)/.browser ## the page in Chromium, with a microphone that speaks Portuguese (installs Debian's; as root)
	@scripts/install_chromium.sh
	$(BIN)/python -m pytest tests/browser $(ARGS)

test-gpu-engines: $(GPU_VENV)/.done ## the GPU engines on this CPU, tiny checkpoints through the real libraries (5 GB of its own)
	HF_HUB_OFFLINE=1 $(GPU_VENV)/bin/python -m pytest tests/gpu_engines tests/engines/test_stt_contract.py tests/engines/test_cefr_contract.py tests/engines/test_llm_contract.py tests/engines/test_tts_contract.py $(ARGS)

resolve-gpu: $(GPU_VENV)/.done ## resolve the GPU stacks' environment, installing nothing
	PIP_CONSTRAINT= $(GPU_VENV)/bin/python -m pip install --quiet --dry-run --ignore-installed -c constraints/gpu.txt '.[gpu]'

lint: $(VENV)/.test ## ruff
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.browser ## pyright, standard
	$(BIN)/pyright

types-gpu: $(VENV)/.test $(GPU_VENV)/.done ## pyright on what needs PyTorch
	$(BIN)/pyright -p pyright-gpu.json

bench: $(VENV)/.test ## the figures of the README, as ratios in one run (keep the machine idle)
	$(BIN)/python -m bench.turns --save bench/results.json
	$(BIN)/python -m bench.transport --save bench/transport.json
	$(BIN)/python -m bench.cefr

bench-capacity: $(VENV)/.test ## docs/scaling.md and docs/startup.md: how many talkers, how soon ready (half an hour, keep the machine idle)
	$(BIN)/python -m bench.startup --save bench/startup.json
	$(BIN)/python -m bench.capacity measure --save bench/service_times.json
	$(BIN)/python -m bench.capacity validate --save bench/capacity.json
	$(BIN)/python -m bench.capacity cards --save bench/cards.json
	$(BIN)/python -m bench.capacity plot
	$(BIN)/python scripts/figures.py scaling

bench-gpu-engines: $(GPU_VENV)/.done ## what batching gains, on this CPU
	$(GPU_VENV)/bin/python -m bench.batching --save bench/batching.json

rehearse: $(VENV)/.test ## carry out the CPU image's recipe in a clean Debian (as root, with debootstrap; 8 GB)
	$(BIN)/python deploy/docker/rehearse.py .parle/rehearsal --run

clean: ## remove the environments; the joined weights stay in ~/.cache/parle
	rm -rf $(VENV) $(GPU_VENV)

$(VENV)/.cpu: pyproject.toml $(PINS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --progress-bar on -e '.[cpu]'
	@touch $@

$(VENV)/.test: $(VENV)/.cpu
	$(BIN)/pip install --quiet --progress-bar on -e '.[cpu,test]'
	@touch $@

$(VENV)/.browser: $(VENV)/.test
	$(BIN)/pip install --quiet --progress-bar on -e '.[cpu,test,browser]'
	@touch $@

$(GPU_VENV)/.done: pyproject.toml $(GPU_PINS)
	$(PYTHON) -m venv $(GPU_VENV)
	PIP_CONSTRAINT= $(GPU_VENV)/bin/python -m pip install --quiet --progress-bar on --no-deps -r $(GPU_PINS)
	PIP_CONSTRAINT= $(GPU_VENV)/bin/python -m pip install --quiet --no-deps -e .
	@touch $@
