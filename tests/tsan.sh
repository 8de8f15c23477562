#!/bin/sh
# The daemons under ThreadSanitizer: the unit tests of everything that has a thread, then end-to-end
# tests short enough for its pace. A race is an exit status of 66 and a report. Called by `make tsan`.
set -eu
build=$(realpath "$1")
cd "$(dirname "$0")/.."
export TSAN_OPTIONS="halt_on_error=1 exitcode=66 log_path=$build/tsan-report ${TSAN_OPTIONS:-}"
rm -f "$build"/tsan-report.*
for unit in store controller net agent client job; do
  "$build/tests/unit_$unit" || { cat "$build"/tsan-report.* 2>/dev/null; exit 1; }
done
REXEC_QUICK=1 tests/run.py --build "$build" \
  --only '^(test_detached|test_streams|test_reconnect|test_survival|test_upkeep)$' || status=$?
# A daemon that was restarted hides its report from the test that it served.
for report in "$build"/tsan-report.*; do
  [ -e "$report" ] || continue
  cat "$report"
  status=1
done
exit "${status:-0}"
