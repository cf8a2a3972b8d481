#!/usr/bin/env bash
# Sees to it that cargo-pgrx is there in the version the crate is pinned to, and that it knows the Postgres to build for.
set -euo pipefail

pg_config=${PG_CONFIG:?pgrx.sh needs PG_CONFIG, the path of the pg_config to build for}
cd "$(dirname "$0")/.."

# cargo-pgrx must be of the very version of the pgrx it builds; the manifest is the one place that says which.
version=$(sed -n 's/^pgrx = { version = "=\([0-9.]*\)".*/\1/p' Cargo.toml)
[ -n "$version" ] || { echo "Cargo.toml pins no version of pgrx (pgrx = { version = \"=…\" … })." >&2; exit 1; }

if [ "$(cargo pgrx --version 2>/dev/null)" != "cargo-pgrx $version" ]; then
    echo "Installing cargo-pgrx $version: some minutes, once"
    cargo install cargo-pgrx --version "$version" --locked --quiet
fi

major=$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')
config=${PGRX_HOME:-$HOME/.pgrx}/config.toml
if ! grep -qsF "pg$major = \"$pg_config\"" "$config"; then
    # init writes the file anew, so the other majors it knows are told again.
    others=()
    if [ -f "$config" ]; then
        while read -r name path; do
            [ "$name" = "pg$major" ] || others+=("--$name=$path")
        done < <(sed -n 's/^\(pg[0-9]*\) = "\(.*\)"$/\1 \2/p' "$config")
    fi
    cargo pgrx init "--pg$major=$pg_config" "${others[@]}"
fi
