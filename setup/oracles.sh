#!/usr/bin/env bash
# Installs the two independent calculators of cron times that the schedules are compared with, pinned, into a directory
# of their own below target/, once.
set -euo pipefail

home=${1:?oracles.sh needs the directory that the oracles are to be in}
cd "$(dirname "$0")/.."

cronsim=2.8
crondst=1.0.3

setup/packages.sh python
if [ "$(cat "$home/installed" 2>/dev/null)" != "$cronsim $crondst" ]; then
    echo "Installing cronsim $cronsim and crondst $crondst: once"
    rm -rf "$home"
    python3 -m venv "$home"
    "$home/bin/pip" install --quiet --disable-pip-version-check --no-cache-dir "cronsim==$cronsim" "crondst==$crondst"
    echo "$cronsim $crondst" >"$home/installed"
fi
