#!/usr/bin/env bash
# Checks the crates of others against deny.toml: licences, bans and sources; known faults where the database
# of advisories can be had. What cannot be checked here is said, and fails nothing.
#
#   scripts/deny.sh             fetches the database of advisories first
#   scripts/deny.sh --offline   asks no network; takes the database that is already here
set -uo pipefail
cd "$(dirname "$0")/.."

offline=()
case ${1:-} in
  '') ;;
  --offline) offline=(--offline) ;;
  *) echo "deny: unknown option $1; known: --offline" >&2; exit 2 ;;
esac
if ! cargo deny --version >/dev/null 2>&1; then
  echo 'skipped: cargo-deny is not installed (cargo install --locked cargo-deny)'
  exit 0
fi

status=0
cargo deny --workspace --locked "${offline[@]}" check licenses bans sources || status=1

# Without a connection, fetching fails sooner or later; a minute is more than it takes.
if [ ${#offline[@]} -eq 0 ]; then
  timeout 60 cargo deny fetch db >/dev/null 2>&1
  have=$?
else
  compgen -G "${CARGO_HOME:-$HOME/.cargo}/advisory-db*/*" >/dev/null
  have=$?
fi
if [ "$have" -eq 0 ]; then
  cargo deny --workspace --locked "${offline[@]}" check --disable-fetch advisories || status=1
else
  echo 'skipped: known faults of crates, for the database of advisories cannot be had here'
fi
exit "$status"
