# Sourced: where the cluster of `make run` lives, and how programs run as its owner.

# Postgres refuses to run as root; the user the Debian package made is there for that.
as_server() {
    if [ "$(id -u)" -eq 0 ]; then
        (cd / && exec setpriv --reuid=postgres --regid=postgres --init-groups -- env -u RUST_BACKTRACE HOME=/ "$@")
    else
        "$@"
    fi
}

# Below target/, unless that user cannot get there (a checkout in /root) or the socket's path would be too long
# (107 bytes are allowed).
run_dir() {
    local near=$PWD/target/run
    mkdir -p "$near"
    if [ ${#near} -le 80 ] && as_server test -x "$near"; then
        echo "$near"
    else
        rmdir "$near" 2>/dev/null || true
        echo "/var/tmp/pg_edge-run-$(id -u)"
    fi
}
