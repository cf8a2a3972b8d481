#!/usr/bin/env bash
# Installs the package ws, with which the tests run a websocket relay on Node, pinned, into a directory of its own below
# target/, once. From then on it needs no network.
set -euo pipefail

home=${1:?node_ws.sh needs the directory that ws is to be in}
cd "$(dirname "$0")/.."

ws=8.23.0

setup/packages.sh node
if [ "$(cat "$home/installed" 2>/dev/null)" != "$ws" ]; then
    echo "Installing ws $ws: once"
    rm -rf "$home"
    mkdir -p "$home"
    npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel=error "ws@$ws" >/dev/null
    NODE_PATH="$home/node_modules" node -e 'require("ws").WebSocketServer'
    echo "$ws" >"$home/installed"
fi
