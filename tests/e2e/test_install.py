"""What `make` does to a machine: packages, `make install` and `make uninstall`."""
import os
import shutil
import subprocess

from support.cli import BINARY, REPOSITORY

INSTALL = ["make", "-o", "all", f"BUILD={BINARY.parent}"]  # the binary is as it is


def files(directory):
    return sorted(path.relative_to(directory) for path in directory.rglob("*") if path.is_file())


def test_uninstall_removes_all_that_install_wrote_and_nothing_else(tmp_path):
    kept = tmp_path / "usr/local/share/man/man1/rex.1"
    kept.parent.mkdir(parents=True)
    kept.write_text("another program's page\n")
    subprocess.run([*INSTALL, "install", f"DESTDIR={tmp_path}"], cwd=REPOSITORY, check=True)
    names = {path.name for path in files(tmp_path)}
    assert {"rexec", "rexec-run.1", "rexec.fish", "_rexec"} <= names, names
    assert os.access(tmp_path / "usr/local/bin/rexec", os.X_OK)
    subprocess.run([*INSTALL, "uninstall", f"DESTDIR={tmp_path}"], cwd=REPOSITORY, check=True)
    assert files(tmp_path) == [kept.relative_to(tmp_path)]


def tools(directory, **stubs):
    """A PATH with only the usual tools and these scripts in the place of others."""
    directory.mkdir()
    for name in ("sh", "sort", "comm", "awk", "mktemp", "rm", "cat"):
        (directory / name).symlink_to(shutil.which(name))
    for name, text in stubs.items():
        (directory / name).write_text(f"#!/bin/sh\n{text}\n")
        (directory / name).chmod(0o755)
    return {"PATH": str(directory)}


def deps(env, *words):
    return subprocess.run([str(REPOSITORY / "cmake" / "deps.sh"), *words], env=env,
                          capture_output=True, text=True, check=False)


def test_missing_packages_without_root_and_sudo_name_the_command_to_run(tmp_path):
    env = tools(tmp_path / "bin", **{"dpkg-query": "exit 1", "id": "echo 1000"})
    done = deps(env, "build")
    assert done.returncode == 1
    assert "run as root: apt-get install" in done.stderr and "clang-19" in done.stderr
    assert "fish" not in done.stderr, "the build asks for no package that only tests need"


def test_a_machine_that_has_all_packages_installs_nothing(tmp_path):
    everything = 'shift 2; for p in "$@"; do echo "installed $p"; done'
    env = tools(tmp_path / "bin", **{"dpkg-query": everything, "id": "echo 1000"})
    for words in ((), ("build",)):
        done = deps(env, *words)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
