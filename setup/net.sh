#!/usr/bin/env bash
# Puts pg_edge_net beside pg_edge: its control file and its install script, under the crate's version. Takes the directory
# of a built extension, or the very directory of control files.
set -euo pipefail

place=$(realpath "${1:?net.sh needs the directory of the built extension}")
cd "$(dirname "$0")/.."

extension=$(dirname "$(find "$place" -name pg_edge.control -print -quit)")
[ -f "$extension/pg_edge.control" ] || { echo "$place holds no pg_edge.control: build pg_edge first." >&2; exit 1; }
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)

# What an earlier version left there would be another way to install it.
rm -f "$extension"/pg_edge_net--*.sql
sed "s/@CARGO_VERSION@/$version/" pg_edge_net.control >"$extension/pg_edge_net.control"
for part in tables functions responses queue collector expiry rights comments; do
  cat "sql/net/$part.sql"
  echo
done >"$extension/pg_edge_net--$version.sql"
chmod a+r "$extension/pg_edge_net.control" "$extension/pg_edge_net--$version.sql"
