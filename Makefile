# SPDX-FileCopyrightText: The OneMap authors
# SPDX-License-Identifier: Apache-2.0
#
# Every target may be repeated; what is already there is not made again.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# One thing after the other, but for what $(together) names.
ifndef AT_ONCE
.NOTPARALLEL:
endif
.DELETE_ON_ERROR:

GO ?= go
# Nothing is downloaded behind the reader's back: deps.sh names a toolchain that is too old.
export GOTOOLCHAIN ?= local
# The web framework's codec for MessagePack, which nothing here speaks, takes half a minute to compile, each way anew.
export GOFLAGS := $(strip $(shell $(GO) env GOFLAGS) -tags=nomsgpack)
export NO_UPDATE_NOTIFIER = 1
export NO_COLOR = 1

WEB := frontend/web
NPM := npm --prefix $(WEB) --no-fund --no-audit --no-progress --no-update-notifier --loglevel=error
# What the pages are built from: not their tests.
WEB_SOURCES := $(shell find $(WEB) \( -name node_modules -o -name test -o -name testdata -o -name e2e \) -prune -o -type f -print 2>/dev/null)
GO_FILES = $(shell find . \( -name node_modules -o -name .git \) -prune -o -name '*.go' -print)
# The whole program in a browser is tested by itself, so that nothing else takes its time. The longest begins first.
PACKAGES = ./internal/app $(shell $(GO) list ./... | grep -vE '/internal/(app|e2e)$$')

# Runs $(1) and shows what it says only when it fails.
quiet = log=$$($(1) 2>&1) || { printf '%s\n' "$$log"; exit 1; }
# Makes the targets behind it at once, waits for all, and shows what each says when it has ended.
together = $(MAKE) --no-print-directory -j -Otarget AT_ONCE=1
# Rings 0 to 2 start no goroutine (archtest sees to it): no races to look for, but for the locks of track's live index
# and auth's throttles. Commands, the store, the demo's load, golden and backups do one thing after the other.
RACEABLE = $(shell $(GO) list ./... | grep -vE '^onemap/(analysis|dispatch|feed|frontend|geo|intake|migrations|people|store)(/.*)?$$|/internal/(e2e|archtest|app|backup|demo|golden|prove)$$|/cmd/onemap$$')
# Where one thing after the other is the rule, the tests in which much happens at once. Whole servers, and what searches share.
PARTLY = ./internal/app ./store ./store/ledger ./analysis ./geo/gazetteer ./geo/road ./intake/file
RACY = Live|Socket|Stream|AtOnce|Once|Burst|Stop|Commit|Feed|Revoke|Locked|Together|Slow|Panic|AtATime|ASecond|SharedByMany|AnotherReads|OneUse|OpensOne|OneByOne|OfMany|TwoWriters|BetweenTwo|TwoServers|SameKey|Racing|RaceRedraws|PoisonIs|PhoneToHistory|RollIsCalled|NoticeIsRead|WhistleIsAnswered|Cancelled|Seals|Expires
# Called like those, yet one client asks one thing after the other: the last part of make test runs them, without the detector.
ALONE = ^Test(ABodyHasEveryKeyOnceAndByItsName|PagesOfAListHoldEveryIncidentOnce|AWallSignsInOnceByItsLink|TheSameKeyWithAnotherBodyIsRefusedAndWithTheSameBodyRepeats|WhoHeadsAGridAtATime|ABatchOfPlacesIsAnsweredAsOneByOne|TheStreamIsOpenedByOurOwnPagesAndByTokensAlone|GuessersAreSlowedDown)$$
# What the race detector has run in full is not run again: not by package where nothing heeds -short, and of these three
# not by name, but for the files that heed it. The longest of what is left begins first.
RACED_IN = internal/app store store/ledger
SHORTENED = $(shell grep -rl --include='*_test.go' --exclude-dir=node_modules 'testing\.Short()' . | xargs -n1 dirname | sort -u | sed 's|^\.|onemap|')
LONGEST = ./internal/app ./store ./store/ledger ./cmd/onemap ./internal/demo
THE_REST = $(LONGEST) $(filter-out $(LONGEST:./%=onemap/%) onemap/internal/e2e onemap/internal/archtest $(filter-out $(SHORTENED),$(RACEABLE)),$(shell $(GO) list ./...))
RACED = ^($(shell grep -sL 'testing\.Short()' $(RACED_IN:%=%/*_test.go) | xargs -r grep -hoE '^func Test[A-Za-z0-9_]*($(RACY))[A-Za-z0-9_]*' | sed 's/^func //' | grep -vE '$(ALONE)' | paste -sd '|'))$$
# Runs go test and keeps what became of each test; make test ends with those that were skipped.
RESULTS := bin/tested.txt
PROVE = $(GO) run ./internal/prove
VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
ARGS ?=
FUZZTIME ?= 2m
BENCHCOUNT ?= 5
# A cached pass is good enough at a desk, not where a change is judged. Vet is a part of its own.
FRESH := $(if $(CI),-count=1) -vet=off
# Tests of whole servers wait more than they work.
WIDE := -parallel 4

##@ Run

help: ## list the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@ / {printf "\n%s\n", substr($$0, 5)} /^[a-z0-9-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' Makefile

run: deps build ## start everything with the made-up county (ARGS="--listen 0.0.0.0:8080")
	@exec bin/onemap serve --demo $(ARGS)

demo: deps build ## load the made-up county and stop
	@bin/onemap demo $(ARGS)

##@ Prove

check: fmt vet staticcheck web-check ## the fast gate, to run before each commit
	@$(GO) test -short ./internal/archtest
	@$(GO) test -short $(PACKAGES)

test: export ONEMAP_REQUIRE_DB = 1
test: deps-test fmt vet staticcheck compose ## the whole proof, as the gate runs it
	@mkdir -p bin; rm -f $(RESULTS)
	@$(GO) mod verify
	@$(PROVE) $(RESULTS) $(FRESH) ./internal/archtest
	@$(together) $(WEB_CHECKS) build
	@$(together) race fuzz FUZZTIME=20000x
	@$(MAKE) --no-print-directory e2e
	@echo "== all that is left"
	@$(PROVE) -last $(RESULTS) $(FRESH) $(WIDE) -p 3 -timeout 15m -skip '$(RACED)' $(THE_REST)

race: ## the tests under the race detector, without the long ones
	@echo "== race detector"
	@mkdir -p bin
	@$(PROVE) $(RESULTS) -race -short $(FRESH) -p 4 -timeout 15m $(RACEABLE)
	@$(PROVE) $(RESULTS) -race -short $(FRESH) $(WIDE) -timeout 15m -run '$(RACY)' -skip '$(ALONE)' $(PARTLY)

e2e: deps-test build ## the whole program in a real browser
	@echo "== whole program in a browser"
	@ONEMAP_BIN=$(CURDIR)/bin/onemap $(PROVE) $(RESULTS) $(FRESH) -parallel 2 -timeout 15m ./internal/e2e

fuzz: ## each fuzz target for FUZZTIME (2m; 20000x is a count)
	@mkdir -p bin
	@grep -rHo --include='*_test.go' --exclude-dir=node_modules '^func Fuzz[A-Za-z0-9_]*' . \
	  | sed 's|^\(.*\)/[^/]*:func \(.*\)|\1 \2|' | sort \
	  | while read -r dir name; do \
	      echo "== fuzz $$dir $$name"; \
	      [ "$$dir" = "$${built:-}" ] || $(GO) test -c -vet=off -ldflags='-s -w' -fuzz . -o bin/fuzz.test "$$dir"; built=$$dir; \
	      (cd "$$dir" && nice -n 10 "$(CURDIR)/bin/fuzz.test" -test.run '^$$' -test.fuzz "^$$name\$$" -test.fuzztime $(FUZZTIME) \
	        -test.fuzzcachedir "$$($(GO) env GOCACHE)/fuzz/onemap/$$dir" </dev/null 2>&1) | sed -E '/^(fuzz: elapsed|PASS)/d'; \
	    done

bench: deps ## benchmarks, with their rivals in the same run
	@$(GO) test -run '^$$' -bench . -benchmem -count $(BENCHCOUNT) -timeout 60m $(PACKAGES) | grep -v '\[no test files\]'
	@$(GO) test -run '^$$' -bench FiftyASecond -benchtime 1000x ./internal/app
	@$(GO) test -run '^$$' -bench . -benchtime 1x -count 3 ./internal/e2e

soak: deps-test build ## the long tests at full size
	@ONEMAP_SOAK=1 ONEMAP_REQUIRE_DB=1 $(GO) test -count=1 -timeout 120m ./...

golden: ## ask R anew for what package analysis is held against
	@deploy/deps.sh golden
	@$(GO) test -count=1 -vet=off -v ./internal/golden -update | grep -E '^(---|ok|FAIL)|SKIPPED|golden|R says'

##@ Parts

deps: ## what running needs: installs it as root, else says how
	@deploy/deps.sh run

deps-test: ## what testing needs
	@deploy/deps.sh test

web: frontend/dist/.built ## build the pages, if their sources are newer

build: web ## build bin/onemap and bin/fieldsim
	@mkdir -p bin
	@for c in $(notdir $(wildcard cmd/*)); do $(GO) build -buildvcs=false -ldflags '-X main.version=$(VERSION)' -o bin/$$c ./cmd/$$c; done

fmt:
	@bad=$$($(GO) tool gofumpt -l $(GO_FILES)); [ -z "$$bad" ] || { echo "not formatted (go tool gofumpt -w FILE):"; echo "$$bad"; exit 1; }

vet:
	@$(GO) vet ./...

staticcheck:
	@$(GO) tool staticcheck ./...

compose:
	@docker-compose --file docker-compose.yml config -q

WEB_CHECKS = web-lint web-types web-tests

web-check:
	@$(together) $(WEB_CHECKS)

web-lint: $(WEB)/node_modules/.installed
	@$(call quiet,$(NPM) run --silent lint); echo "== pages: lint passes"

web-types: $(WEB)/node_modules/.installed
	@$(call quiet,$(NPM) run --silent typecheck); echo "== pages: types pass"

web-tests: $(WEB)/node_modules/.installed
	@$(call quiet,$(NPM) run --silent test); echo "== pages: tests"; printf '%s\n' "$$log" | grep -E '^ *(Test Files|Tests) '

$(WEB)/node_modules/.installed: $(WEB)/package-lock.json $(WEB)/package.json
	@echo "== fetching the front end's tools"
	@$(call quiet,$(NPM) ci)
	@touch $@

frontend/dist/.built: $(WEB)/node_modules/.installed $(WEB_SOURCES)
	@echo "== building the pages"
	@$(call quiet,$(NPM) run --silent build); printf '%s\n' "$$log" | grep -E ' of [0-9]+ KB'
	@touch $@

clean: ## remove what was built
	@rm -rf bin $(WEB)/node_modules
	@find frontend/dist -mindepth 1 ! -name index.html -delete

.PHONY: help run demo check test race e2e fuzz bench soak golden deps deps-test web build fmt vet staticcheck compose web-check $(WEB_CHECKS) clean
