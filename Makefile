# make demo: a live wall of simulated cameras.  make test: everything that must pass.
# Both install what Debian 12 lacks first (with sudo where needed).
DEMO_SECONDS ?= 60
PEER_ROUNDS ?= 2

.PHONY: help deps demo test lint unit bench-peers
help:
	@echo 'make demo [DEMO_SECONDS=60]   a live 4x4 wall of 16 simulated cameras; ends by itself or on Ctrl-C'
	@echo 'make test                     formatting, lints and all tests, as continuous integration runs them'
	@echo 'make bench-peers              the same mosaic by FFmpeg, GStreamer and Vitrail (10 minutes)'
	@echo 'make deps                     install what Debian 12 lacks'

deps:
	@scripts/install-deps.sh

demo: deps
	@DEMO_SECONDS=$(DEMO_SECONDS) scripts/demo.sh

lint: deps
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: deps
	cargo test --workspace --locked

# Release profile; what is missing on this machine is skipped and said so.
bench-peers: deps
	cargo bench --locked --bench peers -- --rounds $(PEER_ROUNDS)

test:
	@start=$$(date +%s); $(MAKE) --no-print-directory lint unit; status=$$?; \
	echo "make test: $$([ $$status -eq 0 ] && echo passed || echo FAILED) after $$(( $$(date +%s) - start )) s"; exit $$status
