# make demo: a live wall of simulated cameras.  make test: everything that must pass.
# Both install what Debian 12 lacks first (with sudo where needed).
DEMO_SECONDS ?= 60
PEER_ROUNDS ?= 2

.PHONY: help deps demo test lint unit page bench-peers web web-test web-e2e
help:
	@echo 'make demo [DEMO_SECONDS=60]   a live 4x4 wall of 16 simulated cameras; ends by itself or on Ctrl-C'
	@echo 'make test                     formatting, lints and all tests, as continuous integration runs them'
	@echo 'make web                      the controller'"'"'s page, built into web/dist, which the server embeds'
	@echo 'make web-test                 its types, words and unit tests'
	@echo 'make web-e2e                  it in a real browser against a real wall of simulated cameras'
	@echo 'make bench-peers              the same mosaic by FFmpeg, GStreamer and Vitrail (10 minutes)'
	@echo 'make deps                     install what Debian 12 lacks'

deps:
	@scripts/install-deps.sh

demo: deps
	@DEMO_SECONDS=$(DEMO_SECONDS) scripts/demo.sh

lint: deps
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps --locked
	@scripts/deny.sh

unit: deps
	@scripts/unit.sh

# The lock file says what is installed; it is installed anew only when that changes.
web/node_modules/.package-lock.json: web/package-lock.json web/package.json
	cd web && npm ci --no-audit --no-fund
	@touch $@

# Built anew only where something of it changed: the program follows the page's files.
PAGE := $(shell find web/src web/public -type f 2>/dev/null) $(wildcard web/*.html web/*.json web/*.ts)
web/dist/index.html: web/node_modules/.package-lock.json $(PAGE)
	cd web && npm run --silent build
	@touch $@

web: deps web/dist/index.html

web-test: deps web/node_modules/.package-lock.json
	cd web && npm run --silent check && npm test --silent

# The page first: the program embeds it.
web-e2e: web
	VITRAIL=$$(scripts/program.sh) && export VITRAIL && cd web && npm run --silent e2e

# Release profile; what is missing on this machine is skipped and said so.
bench-peers: deps
	cargo bench --locked --bench peers -- --rounds $(PEER_ROUNDS)

# The page's packages come over the network; where they cannot be had, its tests are skipped and said so.
page: deps
	@if $(MAKE) --no-print-directory web/node_modules/.package-lock.json >/dev/null 2>&1; \
	then $(MAKE) --no-print-directory web web-test; \
	else echo 'skipped: the page and its tests, for npm ci in web/ fails here'; fi

test: deps
	@scripts/test.sh
