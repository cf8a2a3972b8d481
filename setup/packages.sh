#!/usr/bin/env bash
# Sees to it that Debian's packages are there: a Postgres server, its headers, libclang and a C tool chain.
# Runs before every build, so it only looks when nothing is missing: no network, no root.
# PG_CONFIG names the Postgres to build for; by default Debian's 15 is installed and used.
# "packages.sh python" sees to Python as well, with which a tool of the tests is installed; "packages.sh node" to Node and
# npm, with which a test verifies signatures, a websocket relay runs and Deno is installed; "packages.sh cron" to pg_cron
# for that Postgres, beside which tests run ours.
set -euo pipefail

pg_config=${PG_CONFIG:?packages.sh needs PG_CONFIG, the path of the pg_config to build for}
major=15

is_installed() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q '^install ok installed$'; }

if ! command -v cargo >/dev/null; then
    echo "cargo is missing. Install Rust (https://rustup.rs, stable, 1.95 or newer), then run make again." >&2
    exit 1
fi

missing=()
command -v gcc >/dev/null || missing+=(gcc)
[ -f /usr/include/stdio.h ] || missing+=(libc6-dev)
command -v make >/dev/null || missing+=(make)
command -v pkg-config >/dev/null || missing+=(pkg-config)
# Any libclang that brings its headers will do; bindgen finds them all.
compgen -G '/usr/lib/llvm-*/lib/clang/*/include/stddef.h' >/dev/null &&
    compgen -G '/usr/lib/llvm-*/lib/libclang*.so*' >/dev/null || missing+=(libclang-14-dev)
if [ "${1:-}" = python ]; then
    python3 -c 'import ensurepip, venv' 2>/dev/null || missing+=(python3-venv)
fi
if [ "${1:-}" = node ]; then
    command -v node >/dev/null || missing+=(nodejs)
    command -v npm >/dev/null || missing+=(npm)
fi
if [ "${1:-}" = cron ] && [ -x "$pg_config" ]; then
    [ -f "$("$pg_config" --pkglibdir)/pg_cron.so" ] || missing+=("postgresql-$("$pg_config" --version | sed 's/^PostgreSQL \([0-9]*\).*/\1/')-cron")
fi
# A server that somebody else put there counts, as long as it can be built for and started.
if [ ! -x "$pg_config" ] || [ ! -f "$("$pg_config" --includedir-server)/postgres.h" ] || [ ! -x "$("$pg_config" --bindir)/initdb" ]; then
    case $pg_config in
    "/usr/lib/postgresql/$major/"*)
        is_installed "postgresql-$major" || missing+=("postgresql-$major")
        is_installed "postgresql-server-dev-$major" || missing+=("postgresql-server-dev-$major")
        ;;
    *)
        echo "PG_CONFIG=$pg_config is not a Postgres that can be built for: it needs pg_config, the server's headers and initdb." >&2
        exit 1
        ;;
    esac
fi
[ ${#missing[@]} -eq 0 ] && exit 0

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]} (Debian's names). There is no apt-get here: install them by this system's means." >&2
    exit 1
fi
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null; then
        echo "Missing packages: ${missing[*]}. Installing them needs root, and there is no sudo. As root:" >&2
        echo "    apt-get update && apt-get install ${missing[*]}" >&2
        exit 1
    fi
    as_root=(sudo)
fi

echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
# Only the programs are wanted: RUNLEVEL=1 keeps the packages from starting a server of their own, which fails
# in containers, where no service manager runs.
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive RUNLEVEL=1 \
    apt-get install -y -qq --no-install-recommends "${missing[@]}"
