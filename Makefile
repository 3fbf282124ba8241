# weir: targets for users and contributors. `make` lists them.
GO ?= go
# The race detector needs a C compiler; where there is none the tests run without it, and say so.
RACE := $(shell command -v $${CC:-cc} >/dev/null 2>&1 && echo -race)

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
	WEIR_REQUIRE_DOCKER=1 $(GO) test -count=1 -p 1 -timeout 20m -run Docker ./testbed ./cmd/weir

.PHONY: test-external
test-external: ## the tests on a running cluster: WEIR_KAFKA_SEEDS=host:port,…; on a secured broker, too: WEIR_KAFKA_DIR=…
	@test -n "$$WEIR_KAFKA_SEEDS" || { echo "set WEIR_KAFKA_SEEDS to the cluster's addresses"; exit 1; }
	$(GO) test -count=1 -timeout 10m -run RealExternal ./cmd/weir
	$(GO) test -count=1 -timeout 15m -run RealExternal ./gateway

.PHONY: check
check: ## format, vet, lint and race tests
	@test -z "$$(gofmt -l .)" || { gofmt -l .; echo "run gofmt -w on these"; exit 1; }
	$(GO) vet ./...
	$(GO) tool -modfile=tools.mod golangci-lint run ./...
	$(MAKE) test

.PHONY: bench-micro
bench-micro: ## the micro-benchmarks of the hot paths
	$(GO) test -run '^$$' -bench . -benchmem ./loadgen ./gateway ./results

# The targets below compare on this machine, which is to be left alone meanwhile; bench/README.md says how.
# BENCH adds flags: make bench ROUNDS=1 BENCH='-clients 500'.
ROUNDS ?= 5
AA ?= 10
BENCH ?=
.PHONY: bench
bench: bench-build ## clients, gateways and dialling side by side, and pacing, in ROUNDS rounds (5), AA pairs of equal runs (10): tables in results/runs/bench-TIME
	bin/bench/bench -rounds $(ROUNDS) -aa $(AA) $(BENCH)

.PHONY: bench-growth
bench-growth: bench-build ## what clients, rate, streams and size cost as they grow: tables and plots in results/runs/bench-TIME
	bin/bench/bench -parts growth -warm 2s -measure 6s $(BENCH)

.PHONY: bench-build
bench-build: build
	$(GO) build -o bin/bench/bench ./bench

.PHONY: gateways
gateways: RUNS ?= 3
gateways: build ## the same work through every gateway, RUNS times each (3) on Kafka in Docker: the table of docs/TARGETS.md
	sh internal/sidebyside/gateways.sh bin/weir $(RUNS)

.PHONY: gateway-faults
gateway-faults: RUNS ?= 1
gateway-faults: build ## what each gateway loses or doubles when clients, the gateway or a broker fail, RUNS times (1), on three brokers in Docker
	@mkdir -p results/runs
	WEIR_REQUIRE_DOCKER=1 WEIR_GATEWAY_FAULTS=$(CURDIR)/results/runs/gateway-faults.md WEIR_GATEWAY_FAULTS_RUNS=$(RUNS) \
		$(GO) test -count=1 -timeout 4h -run GatewayFaults -v ./cmd/weir
	@cat results/runs/gateway-faults.md

.PHONY: autobahn
autobahn: ## the Autobahn testsuite for WebSockets in both directions, without its cases of compression; needs Python 2.7
	WEIR_AUTOBAHN=quick $(GO) test -count=1 -v -timeout 15m -run Autobahn ./gateway ./loadgen

.PHONY: autobahn-full
autobahn-full: ## all its cases
	WEIR_AUTOBAHN=full $(GO) test -count=1 -v -timeout 60m -run Autobahn ./gateway ./loadgen

.PHONY: nightly
nightly: RUNS ?= 5
nightly: build autobahn-full ## longer: the Autobahn testsuite, the library on the embedded Kafka and in Docker, the quickstart RUNS times on each, a minute of each fuzz target
	for s in scenarios/*.yaml; do ./bin/weir run $$s --quiet || exit; done
	for s in scenarios/*.yaml; do ./bin/weir run $$s --quiet --set kafka.provider=docker || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet --set kafka.provider=docker || exit; done
	for i in $$(seq $(RUNS)); do ./bin/weir run scenarios/quickstart.yaml --quiet --set kafka.provider=docker --set kafka.brokers=3 || exit; done
	$(MAKE) fuzz FUZZTIME=60s

# A run directory of its own for each run of the targets below.
STAMP := $(shell date -u +%Y%m%d-%H%M%S)
SOAK_FOR ?= 58m
SOAK_WARM ?= 2m
.PHONY: soak
soak: build ## an hour at 2,000 clients, and the slopes of goroutines, descriptors and memory; SOAK_FOR=3m SOAK_WARM=1m shortens it
	@dir=results/runs/soak-$(STAMP); \
	./bin/weir run scenarios/endurance/soak.yaml --quiet --out $$dir \
		--set phases.warm-up=$(SOAK_WARM) --set phases.measure.0.duration=$(SOAK_FOR); code=$$?; \
	$(GO) run ./internal/soak $$dir && exit $$code

.PHONY: storm
storm: build ## 5,000 clients drop and resume within 5 s: on the embedded Kafka and in Docker
	./bin/weir run scenarios/endurance/reconnect-storm.yaml --quiet
	./bin/weir run scenarios/endurance/reconnect-storm.yaml --quiet --set kafka.provider=docker

REPLAYS_SET ?=
.PHONY: replays
replays: RUNS ?= 5
replays: build ## what replays cost live clients: the ratio of their p99 beside replays to that without, of RUNS runs
	@mkdir -p results/runs; dirs=; for i in $$(seq $(RUNS)); do dir=results/runs/replays-$(STAMP)-$$i; dirs="$$dirs $$dir"; \
		./bin/weir run scenarios/endurance/replay-beside-live.yaml --quiet --out $$dir $(REPLAYS_SET) >$$dir.txt; code=$$?; \
		case $$code in 0|5) ;; *) cat $$dir.txt; exit $$code;; esac; \
		grep -E '^(audit|health|returns)' $$dir.txt; \
	done; $(GO) run ./internal/replays $$dirs

FUZZTIME ?= 10s
.PHONY: fuzz
fuzz: ## each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./...); do \
		for f in $$($(GO) test -list '^Fuzz' $$pkg | grep '^Fuzz'); do \
			echo "$$pkg $$f"; $(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) $$pkg || exit 1; \
		done; \
	done
