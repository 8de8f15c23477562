#!/bin/sh
# make bench: everything side by side in one run. REXEC is the stripped binary; more in bench.py --help.
set -eu
rexec=$1
shift
here=$(cd "$(dirname "$0")" && pwd)
build=$(dirname "$rexec")
ninja -C "$build" bench_line bench_idle_agents bench_submits >/dev/null
exec python3 "$here/bench.py" --rexec "$rexec" --tools "$build/tests" "$@"
