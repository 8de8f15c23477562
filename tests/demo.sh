#!/bin/sh
# make demo: a controller and three agents on loopback in a temporary directory, a real job on them, and nothing left behind.
# REXEC_DEMO_STAY=1 keeps it open until Ctrl-C.
set -eu
rexec=$1
if [ -n "${REXEC_DEMO_STAY:-}" ]; then
  exec "$rexec" demo
fi
exec "$rexec" demo --exec '
set -e
say() { printf "\n$ %s\n" "$1"; }
say "rexec node ls";                                   rexec node ls
say "rexec run n1 -- uname -sr";                       rexec run n1 -- uname -sr
say "rexec run @all -- sh -c \"echo hello from \\\$REXEC_NODE\"";  rexec run @all -- sh -c "echo hello from \$REXEC_NODE"
say "seq 1 3 | rexec run -i n2 -- sort -rn";             seq 1 3 | rexec run -i n2 -- sort -rn
say "rexec run n3 -- sh -c \"exit 42\"; echo \$?";      rexec run n3 -- sh -c "exit 42" || echo $?
say "rexec ps --all";                                  rexec ps --all
'
