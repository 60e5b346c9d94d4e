# Each target is a line or two of a public tool. PYTHON is the interpreter that .venv is made from.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python -m
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup conformance test lint ops golden weights report clean

help: ## this page
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the suite needs into .venv (the targets below do it by themselves)
	@$(PYTHON) requirements/install.py $(VENV)

conformance: setup ops ## judge the model: export, compile, run, verdict (ARGS="--model-ts PATH", "-m npu", ...)
	$(RUN) pytest conformance --benchmark $(ARGS)

test: setup ops ## judge the judge: the suite's own tests
	$(RUN) pytest tests $(ARGS)

lint: setup ## style of the Python code
	$(RUN) ruff check . && $(RUN) ruff format --check .

ops: setup ## build mmdet_ops/build/libmmdet_ops.so for the torch of .venv
	@$(RUN) plugins.drivers.ops_library

golden: setup ops ## rewrite golden data that differs: make golden REASON="..." (such a run fails; review it)
	$(RUN) pytest conformance --update-golden "$(REASON)" $(ARGS)

weights: setup ops ## make a subject's weights again: make weights SUBJECT=retinanet_shapes REASON="..."
	$(RUN) fixtures.weights "$(SUBJECT)" "$(REASON)"

report: ## show the last verdict
	@$(RUN) json.tool .artifacts/runs/latest/verdict.json

clean: ## delete what runs left behind; golden data and .venv stay
	rm -rf .artifacts .pytest_cache .hypothesis mmdet_ops/build
