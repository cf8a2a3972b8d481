#!/usr/bin/env bash
# Runs a command and shows what it said only when it fails.
set -euo pipefail
said=$(mktemp)
trap 'rm -f "$said"' EXIT
status=0
"$@" >"$said" 2>&1 || status=$?
[ "$status" -eq 0 ] || cat "$said" >&2
exit "$status"
