#!/bin/sh
# What a machine can say about the text without running it: `tests/lint.sh BUILD`. Runs every check
# and fails at the end if one did. Formatting is not checked here; tidy_test.py has the hard rules.
set -u
cd "$(dirname "$0")/.." || exit 1
build=${1:?usage: tests/lint.sh BUILD_DIRECTORY}
failed=0

step() { # step NAME COMMAND…
  name=$1
  shift
  start=$(date +%s)
  if output=$("$@" 2>&1); then
    echo "ok   $name ($(($(date +%s) - start)) s)"
  else
    failed=$((failed + 1))
    printf 'FAIL %s\n%s\n' "$name" "$output"
  fi
}

python_files() { git ls-files '*.py' && git ls-files --others --exclude-standard '*.py'; }
shell_files() {
  git ls-files '*.sh' '.ci/*' | while read -r file; do
    [ -f "$file" ] && head -n 1 "$file" | grep -qE '^#!/(usr/bin/env )?(/?bin/)?(ba|da)?sh' && echo "$file"
  done
}
check_python() {
  for file in $(python_files); do
    # Compiled in memory: no __pycache__ is left in the tree.
    python3 -c 'import sys; compile(open(sys.argv[1]).read(), sys.argv[1], "exec")' "$file" || return 1
  done
}
check_pages() {
  # Style remarks (portability of names, dates) are not errors.
  for page in man/*.1; do mandoc -T lint -W warning "$page" || return 1; done
}
check_completions() {
  bash -n completions/rexec.bash || return 1
  if command -v zsh > /dev/null; then zsh -n completions/rexec.zsh || return 1; fi
  if command -v fish > /dev/null; then fish -n completions/rexec.fish || return 1; fi
}

step "tree rules" tests/tidy_test.py
step "python compiles" check_python
if ls man/*.1 > /dev/null 2>&1; then step "man pages" check_pages; fi
if [ -d completions ]; then step "completions parse" check_completions; fi
if command -v shellcheck > /dev/null; then
  # shellcheck disable=SC2046
  step "shellcheck" shellcheck -S warning $(shell_files)
else
  echo "skipped: shellcheck is not installed"
  [ "${REXEC_CI:-0}" = 1 ] && failed=$((failed + 1))
fi
step "clang-tidy" python3 tests/lint_units.py "$build"

[ "$failed" = 0 ] || { echo "$failed checks failed" && exit 1; }
echo "lint: clean"
