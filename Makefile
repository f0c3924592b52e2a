# Parle. Two commands: `make serve` and `make test`. A second run reuses what the first one built.

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
STACK ?= configs/cpu_stack.yaml
PINS := constraints/cpu.txt
PEER_VENV := .venv-peer
CLIENTS_VENV := .venv-realtime-clients
GPU_VENV := .venv-gpu-engines
GPU_BIN := $(GPU_VENV)/bin
GPU_PINS := constraints/gpu-engines.txt
JUNIT = $(if $(CI),--junitxml=.parle/junit-$(1).xml)
export PIP_CONSTRAINT := $(PINS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1
export RAY_USAGE_STATS_ENABLED := 0
# uv writes no bytecode unless told to, and every process of ours would compile its imports again.
unexport PYTHONDONTWRITEBYTECODE
# uv does the installing (seconds instead of minutes) and does not read pip's settings: pass on what is set for pip.
ifdef PIP_FIND_LINKS
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
endif
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif

.PHONY: help serve rehearse test fuzz soak test-browser test-realtime-clients test-gpu-engines resolve-gpu lint types types-gpu bench bench-capacity bench-gpu-engines clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 20

serve: $(VENV)/.cpu ## build the environment, start the CPU stack (HOST, PORT, STACK) and say where to open it
	@exec $(BIN)/parle serve $(STACK)

test: $(VENV)/.dev ## build what the tests need and run them; ARGS="tests/unit -k turn" runs some of them (needs PostgreSQL: installs Debian's as root)
	@scripts/install_postgresql.sh
ifdef ARGS
	$(BIN)/python -m pytest $(ARGS)
else
	$(BIN)/python -m pytest -n 2 --no-loadscope-reorder tests/server tests/engines tests/unit $(call JUNIT,test)
endif

fuzz: $(VENV)/.dev ## damaged recordings, odd forms, messages and Realtime events, 20 minutes at the most; ARGS="--server --minutes 60": a real server, an hour
	$(BIN)/python -m bench.fuzz $(ARGS)

soak: $(VENV)/.dev ## eight talkers while processes are killed and stopped, 20 minutes; ARGS="--minutes 6 --faults 12 --stack quick": less of it
	$(BIN)/python -m bench.soak $(ARGS)

test-browser: $(VENV)/.dev ## the page in Chromium, with a microphone that speaks Portuguese (installs Debian's; as root)
	@scripts/install_chromium.sh
	$(BIN)/python -m pytest tests/browser $(call JUNIT,browser) $(ARGS)

test-realtime-clients: $(VENV)/.dev $(CLIENTS_VENV)/.done ## OpenAI's SDK and Agents, LiveKit and pipecat, unmodified, at /v1/realtime (0.7 GB of their own)
	$(BIN)/python -m pytest tests/realtime_clients $(call JUNIT,realtime-clients) $(ARGS)

test-gpu-engines: $(GPU_VENV)/.done ## the GPU engines on this CPU, tiny checkpoints through the real libraries (5 GB of its own)
	HF_HUB_OFFLINE=1 $(GPU_BIN)/python -m pytest -m "not cpu_engine" tests/gpu_engines $(wildcard tests/engines/test_*_contract.py) $(call JUNIT,gpu-engines) $(ARGS)

resolve-gpu: .parle/gpu-resolved ## resolve the GPU stacks' environment from its pins, installing nothing

lint: $(VENV)/.dev ## ruff, and what may import what
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

types: $(VENV)/.dev ## pyright, standard
	$(BIN)/pyright

types-gpu: $(VENV)/.dev $(GPU_VENV)/.done ## pyright on what needs PyTorch
	$(BIN)/pyright -p pyright-gpu.json

bench: $(VENV)/.dev $(PEER_VENV)/.done ## the figures of the README, as ratios in one run (keep the machine idle)
	$(BIN)/python -m bench.turns --save bench/results.json
	$(BIN)/python -m bench.transport --save bench/transport.json
	$(BIN)/python -m bench.cefr
	$(BIN)/python -m bench.stt_window
	$(BIN)/python -m bench.learner_stt
	$(BIN)/python -m bench.correction

bench-capacity: $(VENV)/.dev ## docs/scaling.md and docs/startup.md: how many talkers, how soon ready (half an hour, keep the machine idle)
	$(BIN)/python -m bench.startup --save bench/startup.json
	$(BIN)/python -m bench.capacity measure --save bench/service_times.json
	$(BIN)/python -m bench.capacity validate --save bench/capacity.json
	$(BIN)/python -m bench.capacity cards --save bench/cards.json
	$(BIN)/python -m bench.capacity plot
	$(BIN)/python scripts/figures.py scaling

bench-gpu-engines: $(GPU_VENV)/.done ## what batching gains, on this CPU
	$(GPU_BIN)/python -m bench.batching --save bench/batching.json

rehearse: ## build the CPU image from its Dockerfile and take a turn from a container (as root; Debian's buildah; 15 GB)
	deploy/docker/rehearse.sh cpu

clean: ## remove the environments; the joined weights stay in ~/.cache/parle
	rm -rf $(VENV) $(GPU_VENV) $(PEER_VENV)

$(BIN)/uv: $(PINS)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet uv

$(VENV)/.cpu: pyproject.toml $(PINS) | $(BIN)/uv
	$(BIN)/uv pip install --compile-bytecode --python $(BIN)/python -c $(PINS) -e '.[cpu]'
	$(BIN)/uv pip install --python $(BIN)/python --no-deps -r constraints/no-deps.txt
	@touch $@

$(VENV)/.dev: pyproject.toml $(PINS) | $(BIN)/uv
	$(BIN)/uv pip install --python $(BIN)/python -c $(PINS) -e '.[cpu,test,browser]'
	$(BIN)/uv pip install --python $(BIN)/python --no-deps -r constraints/no-deps.txt
	@touch $@ $(VENV)/.cpu

$(CLIENTS_VENV)/.done: constraints/realtime-clients.txt | $(BIN)/uv
	$(PYTHON) -m venv $(CLIENTS_VENV)
	$(BIN)/uv pip install --python $(CLIENTS_VENV)/bin/python --no-deps -r constraints/realtime-clients.txt
	@touch $@

$(PEER_VENV)/.done: constraints/peer.txt | $(BIN)/uv
	$(PYTHON) -m venv $(PEER_VENV)
	$(BIN)/uv pip install --python $(PEER_VENV)/bin/python --no-deps -r constraints/peer.txt
	@touch $@

$(GPU_BIN)/uv: $(PINS)
	$(PYTHON) -m venv $(GPU_VENV)
	$(GPU_BIN)/pip install --quiet uv

$(GPU_VENV)/.done: pyproject.toml $(GPU_PINS) | $(GPU_BIN)/uv
	$(GPU_BIN)/uv pip install --python $(GPU_BIN)/python --no-deps -r $(GPU_PINS)
	$(GPU_BIN)/uv pip install --python $(GPU_BIN)/python --no-deps -r constraints/no-deps.txt
	$(GPU_BIN)/uv pip install --python $(GPU_BIN)/python --no-deps -e .
	@touch $@

.parle/gpu-resolved: pyproject.toml constraints/gpu.txt | $(BIN)/uv
	@mkdir -p .parle
	$(BIN)/uv pip compile --quiet --extra gpu -c constraints/gpu.txt --python-version 3.11 --python-platform x86_64-unknown-linux-gnu -o $@ pyproject.toml
