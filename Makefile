# Every target sets up what it needs: a virtual environment in .venv, npm packages in js/node_modules, the built front ends.
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin
FRONT := tokprof/static/flamegraph.js
JS_SOURCES := $(shell find js/src widgets js/build.mjs js/package.json -type f 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo demo-agents lab pictures test test-python test-js test-sdks bench bench-views lint build chromium clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

demo: .venv/.installed ## (some 400 MB of downloads the first time) run the notebooks in a real kernel; print their token trees; leave pages in build/
	$(BIN)/python notebooks/build.py notebooks/quickstart.ipynb notebooks/insight.ipynb notebooks/budgets.ipynb

demo-agents: $(FRONT) ## (some 500 MB of downloads the first time) the same with notebooks/agents.ipynb: LangGraph and openai-agents
	"$$($(PYTHON) tests/sdks/matrix.py --python frameworks)" notebooks/build.py notebooks/agents.ipynb

lab: .venv/.installed ## open JupyterLab on a copy of the notebooks
	mkdir -p build/lab
	for notebook in notebooks/*.ipynb; do test -e "build/lab/$${notebook##*/}" || cp "$$notebook" build/lab/; done
	$(BIN)/jupyter lab --notebook-dir=build/lab $$(test "$$(id -u)" = 0 && echo --allow-root) $(LAB_OPTIONS)

pictures: .venv/.installed chromium ## take the README's pictures in a real JupyterLab
	cd tests && ../$(BIN)/python -m browser.pictures

test: test-js test-python ## every test: TypeScript, Python, real kernels, a real JupyterLab

test-python: .venv/.installed chromium
	$(BIN)/python -m pytest $(PYTEST_OPTIONS)

test-js: js/node_modules/.installed
	cd js && npm run --silent check && npm run --silent test

test-sdks: $(FRONT) ## (some 2.5 GB the first time) the SDKs and frameworks, in environments of their own; SDK=cohere for one of them
	$(PYTHON) tests/sdks/matrix.py $(SDK)

bench: .venv/.installed ## what tokprof costs, and its peers beside it, as ratios in one run (the peers: 900 MB in .venv-bench)
	$(BIN)/python tests/bench/overhead.py
	$(BIN)/python tests/bench/context.py
	$(BIN)/python tests/bench/anomalies.py
	$(BIN)/python tests/bench/flow.py
	$(BIN)/python tests/bench/search.py
	$(BIN)/python tests/bench/peers/compare.py

bench-views: .venv/.installed chromium ## what the flame graph costs in a browser, beside d3-flame-graph and speedscope (some 60 MB the first time)
	$(BIN)/python tests/bench/views.py

lint: .venv/.installed ## ruff, mypy --strict, tsc --strict
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd js && npm run --silent check

build: .venv/.installed ## sdist and wheel in dist/
	$(BIN)/python -m build

clean: ## take out everything that was built or installed here
	rm -rf .venv .venv-bench .venv-sdks build dist tokprof/static js/node_modules

.venv/.installed: pyproject.toml | $(FRONT)
	@$(PYTHON) -c 'import sys; sys.exit("tokprof needs Python 3.11 or newer: make PYTHON=python3.11 ..." if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || { echo "Python's venv module is not there: on Debian, apt install python3-venv" >&2; rm -rf .venv; exit 1; }
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

$(FRONT): js/node_modules/.installed $(JS_SOURCES)
	cd js && npm run --silent build
	touch $(FRONT)

js/node_modules/.installed: js/package-lock.json
	@command -v npm > /dev/null || { echo "Node.js 20 or newer with npm is not there: on Debian, apt install nodejs npm" >&2; exit 1; }
	cd js && npm ci --silent --no-audit --no-fund
	touch $@

chromium:
	@command -v chromium chromium-browser google-chrome > /dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get > /dev/null; then \
	  echo "installing Debian's chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium fonts-dejavu-core > /dev/null; \
	else \
	  echo "The browser tests need Chromium: sudo apt install chromium" >&2; exit 1; \
	fi
