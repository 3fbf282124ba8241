# weir: targets for users and contributors. `make` lists them.
GO ?= go
# The race detector needs a C compiler; where there is none the tests run without it, and say so.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)
RUNS ?= 5

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-14s %s\n", $$1, $$2}'

.PHONY: build
build: ## build bin/weir
	$(GO) build -o bin/weir ./cmd/weir

.PHONY: test
test: ## all tests that need nothing but Go
ifeq ($(RACE),)
	@echo "no C compiler: the tests run without the race detector"
endif
	@echo "the tests on real Kafka are skipped: make test-docker and make test-external run them"
	$(GO) build $(RACE) ./...
	$(GO) test $(RACE) -p 1 -timeout 15m -skip Docker ./...

.PHONY: test-docker
test-docker: ## the tests on real Kafka in Docker; fails where there is no Docker
# These measure, and under the race detector the generator would be the bottleneck; make test has the detector.
	WEIR_REQUIRE_DOCKER=1 $(GO) test -count=1 -p 1 -timeout 15m -run Docker ./testbed ./cmd/weir

.PHONY: test-external
test-external: ## the tests on a running cluster: WEIR_KAFKA_SEEDS=host:port,…; on a secured broker, too: WEIR_KAFKA_DIR=…
	@test -n "$$WEIR_KAFKA_SEEDS" || { echo "set WEIR_KAFKA_SEEDS to the cluster's addresses"; exit 1; }
	$(GO) test -count=1 -timeout 10m -run RealExternal ./cmd/weir

.PHONY: check
check: ## format, vet, lint and race tests
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools.mod golangci-lint run ./...
	$(MAKE) test

.PHONY: bench
bench: ## the micro-benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./loadgen ./gateway ./results

.PHONY: autobahn
autobahn: ## the Autobahn testsuite for WebSockets in both directions, without its cases of compression; needs Python 2.7
	WEIR_AUTOBAHN=quick $(GO) test -count=1 -v -timeout 15m -run Autobahn ./gateway ./loadgen

.PHONY: autobahn-full
autobahn-full: ## all its cases
	WEIR_AUTOBAHN=full $(GO) test -count=1 -v -timeout 60m -run Autobahn ./gateway ./loadgen

.PHONY: nightly
nightly: build autobahn-full ## longer: the Autobahn testsuite, the library on the embedded Kafka and in Docker, the quickstart RUNS times on each, a minute of each fuzz target
	for s in scenarios/*.yaml; do ./bin/weir run $$s --quiet || exit; done
	for s in scenarios/*.yaml; do ./bin/weir run $$s --quiet --set kafka.provider=docker || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet --set kafka.provider=docker || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet --set kafka.provider=docker --set kafka.brokers=3 || exit; done
	$(MAKE) fuzz FUZZTIME=60s

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done
