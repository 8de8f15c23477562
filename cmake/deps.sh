#!/bin/sh
# Installs the Debian 12 packages that are missing: `deps.sh build` those that the binary needs, `deps.sh` those
# of the tests too. Does nothing when all are there. Without root it uses sudo; without sudo it says what to do.
set -eu
build="clang-19 lld-19 llvm-19 ccache cmake ninja-build gcc libc6-dev git
  libasio-dev libssl-dev nlohmann-json3-dev libcli11-dev doctest-dev librapidcheck-dev libsqlitecpp-dev libsqlite3-dev
  libxxhash-dev libfmt-dev libspdlog-dev libtomlplusplus-dev libbenchmark-dev python3"
tests="clang-tidy-19 clang-format-19 libclang-rt-19-dev
  python3-pytest python3-pytest-xdist python3-pexpect python3-msgpack mandoc openssh-server openssh-client rsync
  tzdata bash-completion fish zsh vim-tiny procps iproute2 openssl shellcheck"
packages=$build
[ "${1:-all}" = build ] || packages="$build $tests"

have=$(mktemp)
trap 'rm -f "$have"' EXIT
if ! command -v dpkg-query > /dev/null; then
  echo "rexec: this is not Debian: install what corresponds to these packages of Debian 12:" $packages >&2
  exit 0
fi
dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2> /dev/null | awk '$1=="installed"{print $2}' |
  sort > "$have"
missing=$(printf '%s\n' $packages | sort | comm -23 - "$have")
[ -z "$missing" ] && exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
  sudo=sudo
  if ! command -v sudo > /dev/null; then
    echo "rexec: packages are missing, and this user is not root and has no sudo" >&2
    echo "  run as root: apt-get install --no-install-recommends" $missing >&2
    echo "  then, as yourself: make" >&2
    exit 1
  fi
fi
echo "installing:" $missing >&2
$sudo apt-get update -q
$sudo env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $missing
