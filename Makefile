# Each target is a line or two of a public tool. PYTHON is the interpreter that an environment is made
# from: one that is there keeps its own. PYTHON39 is the one for the two stacks of the source document.
VENV := .venv
PYTHON ?= $(firstword $(wildcard $(VENV)/bin/python) python3)
PYTHON39 ?=
RUN := $(VENV)/bin/python -m
FIND39 := $(PYTHON) requirements/python39.py $(PYTHON39)
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup env-export env-npu python39 conformance matrix test bite bench growth operating lint ops golden weights report canary mutants census evidence books browser clean

help: ## this page
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## install what the suite needs into .venv (the targets below do it by themselves)
	@$(PYTHON) requirements/install.py $(VENV)

env-export: ## .venv-export: torch 1.10.1 on Python 3.9, what the source exports with
	@python=$$($(FIND39)) && $$python requirements/install.py .venv-export export.txt

env-npu: ## .venv-npu: torch 2.0.1 on Python 3.9, the stack of an Ascend runner; the whole suite runs there
	@python=$$($(FIND39)) && $$python requirements/install.py .venv-npu

python39: ## print the Python 3.9 that those two are made from (or name one: PYTHON39=...)
	@$(FIND39)

conformance: setup ops ## judge the model: export, compile, run, verdict (ARGS="--model-ts=PATH", "-m npu", ...)
	$(RUN) pytest conformance --benchmark $(ARGS)

matrix: setup env-export env-npu ## operators in torch 1.10.1; each pair of torch versions: the same detections?
	OPS_TEST_PYTHON=$(CURDIR)/.venv-export/bin/python $(RUN) pytest -q $(wildcard tests/test_ops*.py)
	$(RUN) fixtures.matrix .venv-export .venv-npu $(VENV)

test: setup ops ## judge the judge: the suite's own tests
	$(RUN) pytest tests $(ARGS)

bite: setup ops ## seed every known fault for real: who catches it? goes on where it stopped (ARGS="-k nms")
	$(RUN) tests.bite $(ARGS)

bench: setup ops ## operators, images, mAP, emulation, collection: ours beside peers and floors (ARGS="--record")
	$(RUN) pytest -c benchmarks/pytest.ini benchmarks $(ARGS)

growth: setup ## time and memory at 500, 5000 and 50 000 images (ARGS="--out=golden/evidence/growth.json")
	$(RUN) benchmarks.growth $(ARGS)

operating: setup ops ## images that the accuracy decision takes, and how often it errs (ARGS="--trials=10")
	$(RUN) benchmarks.operating $(ARGS)

lint: setup ## style of the Python code
	$(RUN) ruff check . && $(RUN) ruff format --check .

ops: setup ## build mmdet_ops/build/libmmdet_ops.so for the torch of .venv
	@$(RUN) plugins.drivers.ops_library

golden: setup ops ## rewrite golden data that differs: make golden REASON="..." (such a run fails; review it)
	$(RUN) pytest conformance --update-golden "$(REASON)" $(ARGS)

weights: setup ops ## make a subject's weights again: make weights SUBJECT=retinanet_shapes REASON="..."
	$(RUN) fixtures.weights "$(SUBJECT)" "$(REASON)"

report: ## where the report of the last run is (it is drawn again)
	@$(RUN) plugins.report

canary: setup ops ## prove that a broken model turns the job red
	@$(RUN) plugins.canary

mutants: setup ## judge the judge's tests: change its code a little, thousands of times (ARGS="plugins/x.py")
	$(RUN) tests.mutants $(ARGS)

census: setup ops ## judge clean products again and again: each alarm is a false one; goes on where it stopped
	$(RUN) tests.census $(ARGS)

evidence: setup ## write docs/evidence.md from golden/evidence/*.json
	$(RUN) tests.evidence

books: setup ## write conformance/must_run.toml from what is collected; review the difference
	@$(RUN) plugins.books

browser: ## .venv-browser: a headless Chromium for the test that opens report.html (Python 3.10+, 550 MB)
	@$(PYTHON) requirements/install.py .venv-browser browser.txt

clean: ## delete what runs left behind; golden data and .venv* stay
	rm -rf .artifacts .pytest_cache .hypothesis mmdet_ops/build
