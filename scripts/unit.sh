#!/usr/bin/env bash
# All tests of all packages, whatever fails on the way, and in the end the names of those that failed in one
# place. Arguments go to cargo.
set -uo pipefail
cd "$(dirname "$0")/.."

log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A terminal keeps its colours although what is said is kept too.
[ ! -t 1 ] || export CARGO_TERM_COLOR=${CARGO_TERM_COLOR:-always}
cargo test --workspace --locked --no-fail-fast "$@" 2>&1 | tee "$log"
status=${PIPESTATUS[0]}
if [ "$status" -ne 0 ]; then
  echo
  echo 'what failed:'
  # A program of tests that ended before its time has no names of tests; cargo names it then.
  sed 's/\x1b\[[0-9;]*m//g' "$log" | awk '
    /^ +Running unittests / { place = $4; sub(/.*\//, "", place); sub(/-[0-9a-f]*\)$/, "", place) }
    /^ +Running [^u]/ { place = $2 }
    /^ +Doc-tests / { place = $2 " (documentation)" }
    /^test .* FAILED$/ { name = $0; sub(/^test /, "", name); sub(/ \.\.\. FAILED$/, "", name); print "  " place ": " name }
    /^error: (test failed|[0-9]+ target|could not)/ || /^    `/ { print "  " $0 }'
fi
exit "$status"
