# Needs Python 3.11+ and make; brings everything else.
.DEFAULT_GOAL := help
SHELL := /bin/sh

UV_VERSION := 0.13.8
PYTHON ?= python3
VIDEO ?=
ONLY ?=
N ?=
SEED ?=
JSON ?=
PLOT ?=

BIN := .venv/bin
UV := .bootstrap/bin/uv
export UV_PYTHON = $(shell command -v $(PYTHON))
export UV_PYTHON_DOWNLOADS := never
# Certificates that the machine trusts are trusted, as behind a company's proxy.
export UV_SYSTEM_CERTS := true

.PHONY: help setup demo test check synth bootstrap deploy bench faults fuzz soak mutate-iam clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

setup: .venv/.stamp ## Install everything into this folder (.venv, .bootstrap)

demo: setup ## Upload a video to the embedded cloud, look at the results (VIDEO=path for your own)
	@$(BIN)/framewright demo $(if $(VIDEO),--video "$(VIDEO)")

test: setup ## Run all tests (ARGS="-k name" for some)
	@$(BIN)/pytest $(ARGS)

check: setup ## Lint, format, types, import directions, findings of synthesis, advisories
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/pytest -q tests/test_imports.py tests/stacks/test_checks.py
	@$(BIN)/python -m local.audit $(UV)

synth: setup stage ## Write a stage's CloudFormation templates to cdk.out (STAGE=dev)
	@$(BIN)/python -m local.cdk synth --quiet -c stage=$(STAGE)
	@ls cdk.out/framewright-$(STAGE)-*.template.json

bootstrap: setup ## Prepare the AWS account and region of your credentials for the CDK, once
	@$(BIN)/python -m local.cdk bootstrap

deploy: setup stage ## Deploy a stage to the AWS account of your credentials (STAGE=dev)
	@$(BIN)/python -m local.cdk deploy --all -c stage=$(STAGE)

bench: .venv/.bench ## Measure against peers (ONLY=case,case JSON=out.json PLOT=out.png)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY)) $(if $(JSON),--json "$(JSON)") \
		$(if $(PLOT),--plot "$(PLOT)") $(ARGS)

faults: setup ## Break every part at every step, and count the jobs
	@$(BIN)/python -m tests.e2e.faults

mutate-iam: setup ## Take each grant of the templates away, and see what fails (ONLY='*settle*' for some)
	@$(BIN)/python -m tests.e2e.iam.mutate $(if $(ONLY),--only '$(ONLY)')

fuzz: setup ## Send N mutated videos through the container (N=2000), or one of them again (SEED=17)
	@$(BIN)/python -m tests.fuzz $(if $(SEED),--seed $(SEED)) $(if $(N),--count $(N)) $(ARGS)

soak: setup ## Upload N videos at once to an embedded cloud, and watch memory (N=1000)
	@$(BIN)/python -m tests.e2e.soak $(if $(N),--uploads $(N))

clean: ## Remove all that make and the embedded cloud wrote, after taking the cloud down
	@if [ -x $(BIN)/framewright ]; then $(BIN)/framewright down; fi
	rm -rf .venv .venv-ministack .bootstrap .build .framewright cdk.out node_modules \
		.mypy_cache .pytest_cache .ruff_cache .hypothesis

.PHONY: stage
stage:
	@test -n "$(STAGE)" || { echo "Name a stage: make synth STAGE=dev (stages are the files of config/)" >&2; exit 64; }

.venv/.stamp: pyproject.toml uv.lock $(UV)
	@echo "Installing the environment"
	@$(UV) sync --quiet --locked
	@touch $@

# After the stamp: installing the environment anew takes out what is not in it.
.venv/.bench: .venv/.stamp
	@echo "Installing the peers"
	@$(UV) sync --quiet --locked --group bench
	@touch $@

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Framewright needs Python 3.11 or later; name one: make PYTHON=/path/to/python3.12" >&2; exit 69; }
	@echo "Installing uv $(UV_VERSION)"
	@$(PYTHON) -m venv .bootstrap
	@.bootstrap/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@touch $@
