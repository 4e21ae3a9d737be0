# make build      the daemon and the load generator, static, into bin/
# make deb        the Debian packages, amd64 and arm64, into bin/
# make image      the container image, with docker or buildah
# make test       lint, vet, race tests of every module, end-to-end tests; installs what is missing (Debian 12, root, Go, Node)
# make test-long  what make test leaves out: the soak, floods, long fuzz runs, every call, the package in a fresh Debian
# make lint       golangci-lint, in the version named here
# make bench      Go benchmarks in benchstat's form
# make fuzz       each fuzz target for FUZZTIME

# Built once, in about a minute, beside a golangci-lint of another version that may be there; one of this version is used.
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
