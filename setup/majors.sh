#!/usr/bin/env bash
# Builds the extension for each of these major versions of Postgres, and runs the end-to-end tests there. One line a version
# says how many passed, failed and were skipped; its log has the rest. Ends with an error if any failed, or did not run.
# ARGS are filters and options for the tests.
set -euo pipefail

target=${1:?majors.sh needs the directory for what is built}
shift
cd "$(dirname "$0")/.."
. setup/server.sh

# Tests that need pg_cron, with which these builds of Postgres do not come. They count as skipped.
absent=(--skip=pg_cron:: --skip=the_morning_digest_of_pg_cron)

# The user that the servers run as must get to their programs.
servers=$target/postgres
mkdir -p "$servers"
if ! as_server test -x "$servers"; then
    # Anybody may have made one of this name before, or a link to somewhere else.
    servers=/var/tmp/pg_edge-postgres-$(id -u)
    mkdir -p -m 755 "$servers"
    if [ ! -O "$servers" ] || [ -L "$servers" ]; then
        echo "majors.sh builds Postgres in $servers, and that is not yours: have it removed." >&2
        exit 1
    fi
fi

build() {
    setup/postgres.sh "$home" "$major"
    # A home of its own for each: a file in it that changes has the bindings made anew.
    export PGRX_HOME=$target/pgrx/$major PG_CONFIG=$home/bin/pg_config
    mkdir -p "$PGRX_HOME"
    setup/quietly.sh setup/pgrx.sh
    setup/quietly.sh cargo pgrx package --pg-config "$PG_CONFIG" --no-default-features --debug \
        --features "pg$major test-hooks" --out-dir "$stage"
    setup/net.sh "$stage"
    # Before 18, Postgres finds only what is installed, and this one is ours alone.
    [ "$major" -ge 18 ] || cp -r "$stage$home/." "$home/"
}

run_tests() {
    local absent=("${absent[@]}")
    # pg_upgrade of 14 gives databases other numbers, and nobody comes to 14 from a version that this is for. That of 18 looks
    # for no library along the path on which the extension is found there.
    case $major in 14 | 18) absent+=(--skip=databases::upgrading::) ;; esac
    # Its libraries are where it was moved to, and not where it looks for them.
    LD_LIBRARY_PATH=$home/lib PG_EDGE_STAGE=$stage PG_EDGE_PG_BIN=$home/bin \
        cargo test --quiet --no-default-features --test e2e -- "${absent[@]}" "${args[@]}" >"$log" 2>&1
}

# What libtest's last line says.
verdict() {
    local said
    said=$(sed -n 's/^test result: [^.]*\. \(.*passed\); \(.*failed\); .* \([0-9]*\) filtered out.*/\1, \2, \3 skipped/p' "$log")
    echo "PostgreSQL $(<"$home/installed"): ${said:-did not run} ($log)"
}

read -ra args <<<"${ARGS:-}"
verdicts=()
status=0
for major in "$@"; do
    home=$servers/$major
    stage=$target/stage-test-pg$major
    log=$target/test-pg$major.log
    echo "== building the extension for PostgreSQL $major, with failpoints"
    build
    echo "== end-to-end tests on PostgreSQL $major"
    run_tests || { status=1; sed -n '/^failures:$/,$p' "$log" >&2; }
    verdicts+=("$(verdict)")
done
echo "Skipped were the tests with pg_cron, which is not to be had for these, pg_upgrade's on 14 and 18, and what ARGS leave out."
printf '%s\n' "${verdicts[@]}"
exit "$status"
