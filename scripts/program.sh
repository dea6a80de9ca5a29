#!/usr/bin/env bash
# Builds the program `vitrail` and prints where it is: cargo knows, whatever CARGO_TARGET_DIR or a cargo
# configuration say. Arguments go to cargo.
#
#   scripts/program.sh --release
set -euo pipefail
cd "$(dirname "$0")/.."

# One JSON object a line; what a person should read goes to stderr.
said=$(cargo build --locked --bin vitrail --message-format=json-render-diagnostics "$@")
program=$(sed -n 's/.*"executable":"\(\([^"\\]\|\\.\)*\)".*/\1/p' <<<"$said" | sed 's/\\\(["\\]\)/\1/g' | tail -n 1)
[ -x "$program" ] || { echo "program.sh: cargo built no program that can be run here: '$program'" >&2; exit 3; }
echo "$program"
