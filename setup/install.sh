#!/usr/bin/env bash
# Builds the release as the caller and copies it into the Postgres of PG_CONFIG, as root where that is needed.
set -euo pipefail

major=${1:?install.sh needs the major version of Postgres}
pg_config=${PG_CONFIG:?install.sh needs PG_CONFIG}
cd "$(dirname "$0")/.."

sudo=()
as_root=()
if [ ! -w "$("$pg_config" --pkglibdir)" ] || [ ! -w "$("$pg_config" --sharedir)/extension" ]; then
    if ! command -v sudo >/dev/null; then
        echo "$("$pg_config" --pkglibdir) can only be written by root, and there is no sudo: run make install as root." >&2
        exit 1
    fi
    sudo=(--sudo)
    as_root=(sudo)
fi
cargo pgrx install --release --pg-config "$pg_config" --no-default-features --features "pg$major" "${sudo[@]}"
"${as_root[@]}" setup/net.sh "$("$pg_config" --sharedir)/extension"
cat <<END
Installed. In postgresql.conf, then restart the server:
    shared_preload_libraries = 'pg_edge'
and in each database that is to have it:
    CREATE EXTENSION pg_edge;
and where SQL is to go on that was written for pg_net:
    CREATE EXTENSION pg_edge_net;
END
