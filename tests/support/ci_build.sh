#!/bin/bash
# A CI build with nothing but rexec: ship this directory to every node named, build and test there at
# the same time, show each log, and fail when one of them failed.
#   cd project && ci_build.sh n1 n2 n3
set -u
run=$(mktemp -d)
trap 'rm -rf "$run"' EXIT
build() {
  dir=$(rexec run "$1" -- mktemp -d /tmp/ci.XXXXXX) || return
  tar c . | rexec run -i "$1" -- tar x -C "$dir" &&
    rexec run --timeout 10m -w "$dir" "$1" -- make test
  code=$?
  rexec run "$1" -- rm -rf "$dir"
  return $code
}
for node in "$@"; do
  (build "$node" >"$run/$node.log" 2>&1; echo $? >"$run/$node.code") &
done
wait
failed=0
for node in "$@"; do
  code=$(cat "$run/$node.code")
  echo "== $node: exit $code"
  cat "$run/$node.log"
  [ "$code" = 0 ] || failed=1
done
exit $failed
