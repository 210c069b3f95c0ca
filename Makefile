# Every target makes what it needs; `make help` lists them.
PYTHON ?= python3
BIN := .venv/bin
# The tests start some thousand processes, each of which would compile again what it imports: 0.2 s, and 4.5 s of
# pytest's own each.
unexport PYTHONDONTWRITEBYTECODE
COMPILE := uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --python-version 3.11
PROJECT := pyproject.toml requirements/build.in
# Declared by mlxtend and TensorFlow, imported by nothing that the image or tests/pure.txt runs: 340 MB.
UNUSED := $(addprefix --no-emit-package ,cloudpickle joblib libclang narwhals pandas scikit-learn scipy threadpoolctl)
IMAGE_LOCK := pyproject.toml --extra image -c requirements/bench.txt $(UNUSED)
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

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
# The first of these that works; docker without an engine does not.
BUILDER ?= $(shell docker info >/dev/null 2>&1 && echo docker || command -v podman || command -v buildah || echo docker)
BUILD = $(BUILDER) build $(if $(PYTHON_IMAGE),--build-arg PYTHON_IMAGE=$(PYTHON_IMAGE)) \
	--build-arg VERSION=$(VERSION) --build-arg REVISION=$(shell git describe --always --abbrev=40 --exclude='*' --dirty) \
	--build-arg SOURCE=$(shell git remote get-url origin 2>/dev/null || echo unknown)

N ?= 4
SEED ?= 1
JOBS ?= 1

.PHONY: help demo test check laws zoo chaos fuzz test-cluster test-fixes test-surroundings test-ends test-pythons lint format bench lock image image-gpu clean
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/demo ## train on 5,000 digits for 2 minutes; leaves a grid with a row for each digit and loss curves in runs
	$(BIN)/launcher submit --backend local --preset demo --workers 1 --root runs

test: .venv/dev .venv-checkov/checkov .venv-keras/oldest ## every test that needs no cluster
	$(BIN)/pytest -n 5 --dist loadfile --no-loadscope-reorder

chaos: .venv/dev ## N schedules of kills, pauses and storage faults from SEED on, JOBS at once, and a table
	$(BIN)/python -m tests.chaos --count $(N) --seed $(SEED) --jobs $(JOBS)

zoo: .venv/dev ## train and judge each row of methods (ROW="a b": these), MNIST=folder of its IDX files; writes docs/zoo
	$(BIN)/python -m bench.zoo $(ROW) $(if $(MNIST),--mnist $(MNIST))
	$(BIN)/python -m bench.zoo.table

fuzz: .venv/dev ## two minutes of broken pictures, archives and records; writes docs/fuzz.md
	{ printf '# Broken files\n\n`make fuzz` at %s on %s:\n\n' "$$(git rev-parse --short HEAD)" \
		"$$(nproc) cores, $$($(BIN)/python -V), Pillow $$($(BIN)/python -c 'import PIL; print(PIL.__version__)')"; \
		$(BIN)/python -m tests.data.fuzz --seconds 120; } >docs/fuzz.new && mv docs/fuzz.new docs/fuzz.md

test-cluster: .venv/dev ## tests on a Kubernetes: its own (needs root, Go and Debian), or GANTRY_TEST_CONTEXT's
	$(BIN)/python -m tests.cluster kueue
	$(BIN)/python -m tests.cluster run -- sh -ec '\
		$(BIN)/pytest -m "cluster and not alone and not fixes" -n 4 --dist loadfile --no-loadscope-reorder tests/cluster; \
		$(BIN)/pytest -m alone -n 5 tests/cluster'

test-fixes: .venv/dev ## run every command that explain prints, as it stands, on a Kubernetes; writes docs/fixes.md
	$(BIN)/python -m tests.cluster kueue
	rm -f build/fixes.jsonl && mkdir -p build
	GANTRY_FIXES=$(CURDIR)/build/fixes.jsonl $(BIN)/python -m tests.cluster run -- \
		$(BIN)/pytest -m "cluster and (fixes or prints)" -n 3 --dist loadfile tests/cluster
	$(BIN)/python -m tests.cluster.fixes_page build/fixes.jsonl >docs/fixes.md

laws: .venv/dev ## every pair of losses, regularizers, networks and options on one and two replicas; writes docs/laws.md
	$(BIN)/python -m tests.laws.page >docs/laws.new && mv docs/laws.new docs/laws.md

test-surroundings: .venv/dev ## a short run in each of other people's surroundings; writes docs/surroundings.md
	rm -f build/surroundings.jsonl && mkdir -p build
	GANTRY_SURROUNDINGS=$(CURDIR)/build/surroundings.jsonl $(BIN)/pytest tests/trainer/test_surroundings.py
	$(BIN)/python -m tests.trainer.surroundings_page build/surroundings.jsonl >docs/surroundings.md

test-ends: .venv/dev ## every signal in every phase, disks that are full or fail, open files; writes docs/ends.md
	rm -f build/ends.jsonl && mkdir -p build
	GANTRY_ENDS=$(CURDIR)/build/ends.jsonl $(BIN)/pytest -m "not cluster" -n 2 tests/ends
	$(BIN)/python -m tests.ends.page build/ends.jsonl >build/ends.md
	mv build/ends.md docs/ends.md # whose place is of the revision until then

test-pythons: .venv/dev ## the tests of make check on each promised Python that the machine has; says which it has not
	$(BIN)/python -m tests.pythons

lint: .venv/dev ## ruff, mypy --strict, import-linter, vulture, hadolint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	@mkdir -p build && $(BIN)/python -m tests.support.pages docs/python.md >build/python_page.py
	$(BIN)/mypy build/python_page.py
	$(BIN)/lint-imports
	$(BIN)/vulture
	@test ! -x $(BIN)/hadolint || $(BIN)/hadolint Dockerfile

check: lint ## lint and the tests that start no process and import no TensorFlow: for every save
	$(BIN)/pytest -q -n 2 --durations=3 @tests/pure.txt

format: .venv/dev ## rewrite the code as ruff wants it
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/bench ## measure speed side by side and write docs/benchmarks*.md (installs PyTorch and JAX, 30 minutes)
	$(BIN)/python -m bench
	$(BIN)/python -m bench --only methods,r1 --out docs/benchmarks-methods.md
	$(BIN)/python -m tests.cluster run -- $(BIN)/python -m bench --only download,transport,launching \
		--out docs/benchmarks-kubernetes.md
	$(BIN)/python -m tests.cluster kwok
	$(BIN)/python -m tests.cluster run -- $(BIN)/python -m bench --only scale,history --out docs/benchmarks-scale.md

lock: ## resolve every version anew (needs uv)
	$(COMPILE) $(PROJECT) --upgrade --extra dev --extra bench -o requirements/bench.txt
	$(COMPILE) $(PROJECT) --extra dev -c requirements/bench.txt -o requirements/dev.txt
	$(COMPILE) $(PROJECT) --extra check -c requirements/bench.txt $(UNUSED) -o requirements/check.txt
	$(COMPILE) $(PROJECT) --extra demo -c requirements/bench.txt -o requirements/demo.txt
	$(COMPILE) $(PROJECT) --extra trainer -c requirements/bench.txt -o requirements/trainer.txt
	$(COMPILE) $(IMAGE_LOCK) --extra trainer -o requirements/image.txt
	$(COMPILE) $(IMAGE_LOCK) --extra trainer-gpu -o requirements/image-gpu.txt
	$(COMPILE) requirements/build.in -c requirements/bench.txt -o requirements/image-build.txt
	$(COMPILE) requirements/checkov.in --upgrade -o requirements/checkov.txt
	$(COMPILE) --no-deps requirements/keras-oldest.in -o requirements/keras-oldest.txt

image: ## build the image gantry:VERSION; BUILDER and PYTHON_IMAGE may be given
	$(BUILD) --tag gantry:$(VERSION) .

image-gpu: ## the same with CUDA: gantry:VERSION-gpu
	$(BUILD) --build-arg TRAINER=image-gpu --tag gantry:$(VERSION)-gpu .

clean: ## remove .venv, caches and build outputs; runs/ stays
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/demo: requirements/demo.txt pyproject.toml
	$(call install,demo)

.venv/dev: requirements/dev.txt pyproject.toml
	$(call install,dev)

.venv/bench: requirements/bench.txt pyproject.toml
	$(call install,bench)

.venv-checkov/checkov: requirements/checkov.txt
	@echo "installing requirements/checkov.txt into .venv-checkov"
	@test -x .venv-checkov/bin/python || $(PYTHON) -m venv .venv-checkov
	@.venv-checkov/bin/pip install --quiet --disable-pip-version-check --require-hashes -r requirements/checkov.txt
	@touch $@

.venv-keras/oldest: requirements/keras-oldest.txt .venv/dev
	@echo "installing requirements/keras-oldest.txt into .venv-keras"
	@rm -rf .venv-keras
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes --no-deps --target .venv-keras \
		-r requirements/keras-oldest.txt
	@touch $@
