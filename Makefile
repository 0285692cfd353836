.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The machine's uv if it has one, otherwise a private copy from pip (--target also works where Debian marks its Python
# as externally managed).
UV := $(or $(shell command -v uv),.uv/bin/uv)
UVRUN := $(if $(filter .uv/%,$(UV)),PYTHONPATH=.uv $(UV),$(UV))
READY := $(VENV)/.ready
VIEWER := serve/viewer

.PHONY: help setup demo test test-library test-cluster test-bench test-slow test-sets coverage viewer-screenshot lint docs lock clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 26

setup: $(READY) $(VIEWER)/vendor/LICENSE ## create .venv from requirements.lock, and copy three.js next to the viewer

.uv/bin/uv:
	$(PYTHON) -m pip install --quiet --target .uv uv

$(READY): requirements.lock pyproject.toml $(filter .uv/%,$(UV))
	test -x $(BIN)/python || $(UVRUN) venv --quiet --python $(PYTHON) $(VENV)
# Without bytecode, and with PYTHONDONTWRITEBYTECODE as containers often set it, each of Ray's processes compiles its
# imports anew: predicting one mesh took 24.6 s, with bytecode 11.6 s.
	$(UVRUN) pip sync --quiet --compile-bytecode --python $(BIN)/python requirements.lock
	$(UVRUN) pip install --quiet --python $(BIN)/python --no-deps --editable .
	touch $(READY)

$(VIEWER)/vendor/LICENSE: $(VIEWER)/package-lock.json $(VIEWER)/vendor.mjs
	@if command -v npm >/dev/null; \
	then cd $(VIEWER) && npm ci --omit=dev --no-audit --no-fund --silent && npm run --silent vendor; \
	else echo "npm is not here: the viewer will lack its 3D panel (Debian: apt-get install nodejs npm)"; fi

demo: setup ## generate a small dataset and run the whole pipeline on it
	$(BIN)/featurelib demo --run runs/demo

test: setup ## run the test suite, its two halves side by side; each half prints its output when it ends
	$(MAKE) --no-print-directory --jobs=2 --output-sync=target test-library test-cluster

test-library:
	$(BIN)/python -m pytest --durations=10 tests/rendering # alone: Mesa's llvmpipe and TensorFlow crash in one process
	$(BIN)/python -m pytest --durations=30 -m "not slow" --ignore=tests/rendering --ignore=tests/jobs --ignore=tests/serve

test-cluster:
	$(BIN)/python -m pytest --durations=30 -m "not slow" --ignore=tests/jobs/bench --ignore=tests/jobs/experiments tests/jobs tests/serve

test-bench: setup ## run the tests of the benchmarks and experiments
	$(BIN)/python -m pytest --durations=10 -m "not slow" tests/jobs/bench tests/jobs/experiments

test-slow: setup ## run the slow tests: repeated and killed trainings, memory
	$(BIN)/python -m pytest -m slow --ignore=tests/rendering

test-sets: setup ## repeat the tests of whole runs, kills and S3 on six landmarks in place of a pair
	$(BIN)/python -m pytest -m "slow or not slow" --landmark-set tests/jobs/test_pipeline.py tests/jobs/test_predict.py \
		tests/jobs/test_predict_survives.py tests/jobs/test_render_survives.py tests/jobs/test_on_s3.py tests/jobs/test_submitted.py

coverage: setup ## run the test suite and list uncovered lines, without those of child processes
	$(BIN)/python -m pytest --cov --cov-report= tests/rendering
	$(BIN)/python -m pytest --cov --cov-append --cov-report=term-missing -m "not slow" --ignore=tests/rendering

viewer-screenshot: setup ## measure the viewer of a running server (URL=...), and take its screenshot for the README
	VIEWER_URL="$(URL)" $(BIN)/python -m pytest tests/serve/test_viewer_live.py

lint: setup ## run ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/mypy tests/typing

docs: setup ## build the documentation into site/; broken links are errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

lock: ## update requirements.lock
	$(UVRUN) pip compile --quiet --universal --upgrade --python-version 3.11 --no-header --group dev pyproject.toml -o requirements.lock

clean: ## remove the files of the other targets
	rm -rf $(VENV) .uv runs site .coverage $(VIEWER)/node_modules $(VIEWER)/vendor .pytest_cache .mypy_cache .ruff_cache
