#!/bin/sh
# Installs the Debian 12 packages the build and the tests need; does nothing when all are there.
set -eu
packages="clang-19 clang-tidy-19 clang-format-19 lld-19 llvm-19 libclang-rt-19-dev ccache cmake ninja-build
  libasio-dev libssl-dev nlohmann-json3-dev libcli11-dev doctest-dev librapidcheck-dev libsqlitecpp-dev libsqlite3-dev
  libxxhash-dev libfmt-dev libspdlog-dev libtomlplusplus-dev libbenchmark-dev
  gcc libc6-dev python3 python3-pytest python3-pexpect python3-msgpack mandoc openssh-server openssh-client
  tzdata bash-completion fish zsh vim-tiny procps git iproute2 openssl shellcheck"
missing=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n' $packages 2>/dev/null | awk '$1=="installed"{print $2}' |
  sort > "${TMPDIR:-/tmp}/rexec-have.$$"; printf '%s\n' $packages | sort | comm -23 - "${TMPDIR:-/tmp}/rexec-have.$$")
rm -f "${TMPDIR:-/tmp}/rexec-have.$$"
[ -z "$missing" ] && exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing: $(echo $missing)" >&2
$sudo apt-get update -q
DEBIAN_FRONTEND=noninteractive $sudo apt-get -o DPkg::Lock::Timeout=300 install -y -q --no-install-recommends $missing
