# Every target makes what it needs; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11 pyproject.toml requirements/build.in
# $(call install,SET): the locked packages of requirements/SET.txt and the project itself, editable.
define install
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "error: $(PYTHON) is $$($(PYTHON) -V), expected Python 3.11 to 3.13 (make PYTHON=python3.12)"; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing requirements/$(1).txt into .venv"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/$(1).txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch .venv/$(1)
endef

.PHONY: help demo test lint format bench lock clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/demo ## train on 5,000 digits with 2 worker processes; leaves a grid and loss curves in runs/demo
	$(BIN)/launcher submit --backend local --preset demo --workers 2 --root runs

test: .venv/dev ## every test that needs no cluster
	$(BIN)/pytest -n 2 --dist loadfile

lint: .venv/dev ## ruff, mypy --strict, import-linter
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: .venv/dev ## rewrite the code as ruff wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/bench ## measure speed side by side and write docs/benchmarks.md (installs PyTorch, 15 minutes)
	$(BIN)/python -m bench

lock: ## resolve every version anew (needs uv)
	$(COMPILE) --upgrade --extra dev --extra bench -o requirements/bench.txt
	$(COMPILE) --extra dev -c requirements/bench.txt -o requirements/dev.txt
	$(COMPILE) --extra demo -c requirements/bench.txt -o requirements/demo.txt
	$(COMPILE) --extra trainer -c requirements/bench.txt -o requirements/trainer.txt

clean: ## remove .venv, caches and build outputs; runs/ stays
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/demo: requirements/demo.txt pyproject.toml
	$(call install,demo)

.venv/dev: requirements/dev.txt pyproject.toml
	$(call install,dev)

.venv/bench: requirements/bench.txt pyproject.toml
	$(call install,bench)
