#!/usr/bin/env bash
# The main job: a scratch cluster that has the extension, a local function server, and the quick start driven by
# psql. Both stay up. Started again, it ends the old ones first and begins with an empty cluster.
set -euo pipefail

stage=${1:?run.sh needs the directory of the built extension}
function_server=${2:?run.sh needs the function server}
cd "$(dirname "$0")/.."
. setup/server.sh
pg_bin=$("$PG_CONFIG" --bindir)
setup/stop.sh
run=$(run_dir)
rm -rf "$run"
mkdir -p "$run"
chmod 755 "$run"
[ "$run" = "$PWD/target/run" ] || echo "The server's user cannot use $PWD/target, so the cluster is in $run."

# The server's user must be able to read the library, wherever the checkout lies.
cp -r "$stage" "$run/stage"
chmod -R a+rX "$run/stage"
mkdir "$run/data" "$run/log"
if [ "$(id -u)" -eq 0 ]; then chown -R postgres: "$run"; fi

echo "== function server"
setsid "$function_server" --address-file "$run/functions.address" >"$run/log/functions" 2>&1 </dev/null &
echo $! >"$run/functions.pid"
for _ in $(seq 100); do
    [ -s "$run/functions.address" ] && break
    kill -0 $! 2>/dev/null || { cat "$run/log/functions" >&2; exit 1; }
    sleep 0.1
done
base_url="http://$(<"$run/functions.address")/functions/v1"
echo "$base_url"

echo "== cluster"
as_server "$pg_bin/initdb" -D "$run/data" -U postgres -A trust -E UTF8 --no-locale >"$run/log/initdb"
library=$(find "$run/stage" -name pg_edge.so)
known=$("$pg_bin/postgres" --describe-config)
if grep -q '^extension_destdir' <<<"$known"; then
    # Debian's way to use an extension that is not installed.
    found="extension_destdir = '$run/stage'
dynamic_library_path = '$(dirname "$library"):\$libdir'
shared_preload_libraries = '$library'"
else
    share=$(dirname "$(dirname "$(find "$run/stage" -name pg_edge.control)")")
    found="extension_control_path = '$share:\$system'
dynamic_library_path = '$(dirname "$library"):\$libdir'
shared_preload_libraries = 'pg_edge'"
fi
cat >>"$run/data/postgresql.conf" <<END
listen_addresses = ''
unix_socket_directories = '$run'
max_worker_processes = 32
pg_edge.allowed_networks = '127.0.0.0/8, ::1'
$found
END
as_server "$pg_bin/pg_ctl" start -D "$run/data" -l "$run/log/postgres" -w >/dev/null ||
    { cat "$run/log/postgres" >&2; exit 1; }

echo "== examples/quickstart.sql"
"$pg_bin/psql" -X -h "$run" -U postgres -d postgres -v ON_ERROR_STOP=1 -v "base_url=$base_url" -f examples/quickstart.sql

cat <<END

Cluster and function server stay up:
    $pg_bin/psql -h $run -U postgres postgres
    curl http://$(<"$run/functions.address")/log        what the functions were asked
    $run/log/postgres        the server's log
    make stop        ends both
END
