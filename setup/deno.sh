#!/usr/bin/env bash
# Installs Deno, on which the tests run edge functions, pinned, into a directory of its own below target/, once. From then
# on it needs no network.
set -euo pipefail

home=${1:?deno.sh needs the directory that Deno is to be in}
cd "$(dirname "$0")/.."

deno=2.9.6

setup/packages.sh node
if [ "$(cat "$home/installed" 2>/dev/null)" != "$deno" ]; then
    echo "Installing Deno $deno: once"
    rm -rf "$home"
    mkdir -p "$home"
    # Without the package's own scripts: they prepare a launcher, and here the program is run by itself.
    npm install --prefix "$home" --ignore-scripts --no-audit --no-fund --loglevel=error "deno@$deno" >/dev/null
    ln -s "$(compgen -G "$home/node_modules/@deno/*/deno" | head -n 1)" "$home/deno"
    "$home/deno" --version >/dev/null
    echo "$deno" >"$home/installed"
fi
