# make test: everything that must pass.  make demo: a live wall of simulated cameras.
.PHONY: deps test lint unit
deps:
	@scripts/install-deps.sh

lint: deps
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

unit: deps
	cargo test --workspace --locked

test: lint unit
