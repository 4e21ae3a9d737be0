# make build      builds the daemon and the load generator, static, into bin/
# make deb        builds the Debian packages, amd64 and arm64, into bin/
# make image      builds the container image with docker or buildah
# make test       runs lint, vet, race tests of every module and end-to-end tests, and installs the tools they need
#                 (Debian 12, root, Go, Node)
# make test-long  runs the tests that make test omits: soaks, floods, long fuzz runs, every call, the package in a fresh Debian
# make lint       runs golangci-lint in the version below
# make bench      runs the Go benchmarks and prints them for benchstat
# make fuzz       runs each fuzz target for FUZZTIME

# An installed golangci-lint is used if it has this version. Otherwise this version is built once, which takes about a minute.
GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(shell go env GOPATH)/bin/golangci-lint-$(GOLANGCI_VERSION)
ifneq (,$(findstring version $(GOLANGCI_VERSION:v%=%) ,$(shell golangci-lint version 2>/dev/null)))
GOLANGCI := $(shell command -v golangci-lint)
endif
FUZZTIME ?= 5m
BENCHCOUNT ?= 10
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(shell git rev-parse --short=12 HEAD 2>/dev/null)

.PHONY: build deb image test test-long lint linter bench fuzz
build:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

deb:
	deploy/debian/build.sh

image: build
	mkdir -p bin/state
	$$(command -v docker || echo buildah) build $$(command -v docker >/dev/null || echo --format docker) -f deploy/Dockerfile -t icebox .

test:
	deploy/e2e/test.sh

test-long: build
	LONG=1 deploy/e2e/test.sh

lint: $(GOLANGCI)
	$(GOLANGCI) run --allow-parallel-runners ./...
	cd deploy/e2e && $(GOLANGCI) run --allow-parallel-runners --config ../../.golangci.yml ./...

linter: $(GOLANGCI)
$(GOLANGCI):
	GOBIN=$(dir $@)tmp-$(GOLANGCI_VERSION) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(dir $@)tmp-$(GOLANGCI_VERSION)/golangci-lint $@
	rmdir $(dir $@)tmp-$(GOLANGCI_VERSION)

bench:
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./...

fuzz:
	deploy/e2e/fuzz.sh $(FUZZTIME)
