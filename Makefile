# What can be done here; `make` alone prints it.

TESTS ?= dist/test
T ?=

.DEFAULT_GOAL := help
.PHONY: help install build check format test test-one test-busy setup demo kills fault-points power-cuts soak bench bench-quick clean

help: ## Print this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

install: node_modules/.package-lock.json ## Install the npm packages that package-lock.json names

node_modules/.package-lock.json: package.json package-lock.json
	npm ci --ignore-scripts --no-fund --no-audit --loglevel=error
	@touch $@

build: install ## Compile to dist/, and put what the program loads into a few files
	npx tsc -p tsconfig.json
	node dist/build/bundle.js

check: build ## The quick gate: format, lint, types, import law, unit tests (as root)
	npx biome check
	node dist/test/run.js rooms base sys engine fuse image/model image/tar image/unpack container/options

format: install ## Rewrite the sources in the project's format
	npx biome check --write

setup: ## Install the Debian packages that the tests and benchmarks use (as root)
	sh test/setup.sh

test: setup build ## Everything: what check does, real mounts, the Debian scenario (as root)
	npx biome check
	node dist/test/run.js

test-one: build ## One part of the tests: make test-one T=mount/lifecycle
	node dist/test/run.js $(T)

test-busy: setup build ## The tests twice at once, beside mounts, containers and an installed tsoverlay (as root): T=PARTS
	sh test/support/isolated.sh --internet sh test/support/busy.sh $(T)

demo: build ## Build, mount a small layered root file system, change it, show what happened (as root)
	node dist/test/demo.js

kills: setup build ## Kill the server a thousand times and more under load, half an hour (as root)
	TAP_TIMEOUT=36000 KILLS=1000 CONTAINER_ROUNDS=300 node dist/test/run.js survival/loads survival/kills survival/containers survival/container-ends

fault-points: setup build ## Kill it at every point of every request that changes something, an hour (as root)
	TAP_TIMEOUT=36000 FAULT_STRIDE=1 node dist/test/run.js survival/fault-points survival/lazy-copies

power-cuts: setup build ## Cut the power 500 times (as root)
	TAP_TIMEOUT=36000 CUTS=250 node dist/test/run.js survival/power-cut

soak: setup build ## A day's work in an hour or two, measured (as root)
	TAP_TIMEOUT=36000 SOAK_REQUESTS=8640000 node dist/test/run.js survival/soak

bench: setup build ## Measure against the plain directory, kernel overlayfs, fuse-overlayfs, Podman and Buildah (as root)
	node dist/bench/main.js
	node dist/bench/images.js
	node dist/bench/containers.js
	node dist/bench/builds.js

bench-quick: setup build ## The same with small inputs and one round, to see that it runs
	node dist/bench/main.js --quick
	node dist/bench/images.js --quick
	node dist/bench/containers.js --quick
	node dist/bench/builds.js --quick

clean: ## Remove what was built
	rm -rf dist .tap
