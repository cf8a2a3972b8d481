#!/usr/bin/env bash
# Installs the server that runs the Autobahn cases against our websockets, pinned, into a directory of its own below
# target/, once.
set -euo pipefail

home=${1:?autobahn.sh needs the directory that the server is to be in}
cd "$(dirname "$0")/.."

kosoku=0.1.0

setup/packages.sh python
if [ "$(cat "$home/installed" 2>/dev/null)" != "$kosoku" ]; then
    echo "Installing kosoku $kosoku: once"
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "kosoku==$kosoku"
    echo "$kosoku" >"$home/installed"
fi
