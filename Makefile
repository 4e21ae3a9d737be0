# make build      the daemon and the load generator, static, into bin/
# make test       lint, vet, race tests of every module, end-to-end tests; installs what is missing (Debian 12, root, Go, Node)
# make test-long  the soak and the long fuzz runs, which make test leaves out
# make lint       golangci-lint, in the version named here
# make bench      Go benchmarks in benchstat's form
# make fuzz       each fuzz target for FUZZTIME

GOLANGCI_VERSION := v2.15.0
GOLANGCI := $(shell go env GOPATH)/bin/golangci-lint-$(GOLANGCI_VERSION)
FUZZTIME ?= 5m
BENCHCOUNT ?= 10
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null)
LDFLAGS := -s -w -X main.version=$(VERSION) -X main.commit=$(shell git rev-parse --short=12 HEAD 2>/dev/null)

.PHONY: build test test-long lint bench fuzz setup
build:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

test:
	deploy/e2e/test.sh

test-long: build
	LONG=1 deploy/e2e/test.sh

lint: $(GOLANGCI)
	$(GOLANGCI) run --allow-parallel-runners ./...
	cd deploy/e2e && $(GOLANGCI) run --allow-parallel-runners --config ../../.golangci.yml ./...

$(GOLANGCI):
	GOBIN=$(dir $@)tmp-$(GOLANGCI_VERSION) go install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@$(GOLANGCI_VERSION)
	mv $(dir $@)tmp-$(GOLANGCI_VERSION)/golangci-lint $@
	rmdir $(dir $@)tmp-$(GOLANGCI_VERSION)

bench:
	go test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) ./...

fuzz:
	deploy/e2e/fuzz.sh $(FUZZTIME)
