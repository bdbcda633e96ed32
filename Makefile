# `make` alone prints this help.

SEEDS ?= 10000
TOOL = go tool -modfile=scripts/tools/go.mod

.DEFAULT_GOAL := help
.PHONY: help build test race sim fuzz lint proto generate nocgo bench check

help: ## Print this help.
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the program into bin/.
	go build -o bin/millrace ./cmd/millrace

test: ## Run the tests.
	go test ./...

race: ## Run the tests with the race detector.
	go test -race -short ./...

sim: ## Run the simulation over SEEDS seeds.
	go test ./sim -run TestSeeds -seeds=$(SEEDS) -timeout 0

fuzz: ## Run every fuzz target for a while (FUZZTIME=20s).
	scripts/fuzz

lint: ## Check the format, vet, staticcheck.
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { gofmt -d $$(git ls-files '*.go'); exit 1; }
	go vet ./...
	$(TOOL) staticcheck ./...

proto: ## Check the contract: lint, format, breaking changes, generated code.
	scripts/check-proto

generate: ## Generate code from the contract.
	$(TOOL) buf generate
	go generate ./api/...

nocgo: ## Check what is there without cgo: everything but SQL.
	CGO_ENABLED=0 go vet ./...
	CGO_ENABLED=0 go test -short ./cmd/... ./worker/...

bench: ## Measure: ratios against other programs, side by side.
	go run ./scripts/bench

check: lint proto nocgo test race ## All that CI runs.
