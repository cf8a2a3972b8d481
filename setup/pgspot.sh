#!/usr/bin/env bash
# Lints the scripts that CREATE EXTENSION runs: whatever in them a search path could lead astray. Installs pgspot, pinned,
# into a directory of its own below target/, once.
set -euo pipefail

home=${1:?pgspot.sh needs the directory that pgspot is to be in}
stage=${2:?pgspot.sh needs the directory of the built extension}
cd "$(dirname "$0")/.."

pgspot=0.9.4
# pgspot reads SQL with it; its own manifest leaves the version open.
pglast=7.21

setup/packages.sh python
if [ "$(cat "$home/installed" 2>/dev/null)" != "$pgspot $pglast" ]; then
    echo "Installing pgspot $pgspot: once"
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "pgspot==$pgspot" "pglast==$pglast"
    echo "$pgspot $pglast" >"$home/installed"
fi

mapfile -t scripts < <(find "$stage" -name 'pg_edge*--*.sql')
[ ${#scripts[@]} -gt 0 ] || { echo "$stage holds no pg_edge*--*.sql." >&2; exit 1; }
# Errors and warnings alike fail; there is no list of exceptions, because the scripts need none.
said=$("$home/bin/pgspot" "${scripts[@]}") || { echo "$said" >&2; exit 1; }
grep -q 'Errors: 0 Warnings: 0 Unknown: 0' <<<"$said" || { echo "$said" >&2; exit 1; }
