#!/usr/bin/env bash
# All that must pass: the page, formatting and lints, all tests. A step that fails hides no other; what failed
# is said again in the end.
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()
for step in page lint unit; do
  make --no-print-directory "$step" || failed+=("$step")
done
if [ ${#failed[@]} -eq 0 ]; then
  echo "make test: passed after $SECONDS s"
else
  echo "make test: FAILED (${failed[*]}) after $SECONDS s; each again alone: make ${failed[0]}"
  exit 1
fi
