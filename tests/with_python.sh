#!/bin/sh
# Runs a command that needs python3; skips it (exit code 77) where there is none.
# usage: with_python.sh COMMAND [ARGUMENT...]
set -eu
if ! python3 -c '' 2>/dev/null; then
    echo "skipped: Python: no python3"
    exit 77
fi
exec "$@"
