#!/usr/bin/env bash
# Ends the cluster and the function server that `make run` left up. Nothing is running: nothing to do.
set -euo pipefail
cd "$(dirname "$0")/.."
. setup/server.sh
run=$(run_dir)
pg_bin=$("${PG_CONFIG:?stop.sh needs PG_CONFIG}" --bindir 2>/dev/null) || exit 0

if [ -f "$run/data/postmaster.pid" ]; then
    as_server "$pg_bin/pg_ctl" stop -D "$run/data" -m fast >/dev/null || true
fi
if [ -f "$run/functions.pid" ]; then
    pid=$(<"$run/functions.pid")
    # The number may belong to somebody else by now.
    if [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = function_server ]; then kill "$pid"; fi
    rm -f "$run/functions.pid"
fi
