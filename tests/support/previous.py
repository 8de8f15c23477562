"""The binary of an earlier commit, for tests of upgrades: built once a commit and machine.

A build takes as long as it takes: nothing here limits it. What has not changed since that commit
comes from the compiler cache that the build of this checkout filled (CMakeLists.txt).

The earlier one is REXEC_PREVIOUS (any git revision), else the newest tag, else the commit before
HEAD. A source archive has no history: then there is none, and the caller says so.
"""
import os
import pathlib
import shutil
import subprocess
import tempfile

from support.cli import REPOSITORY


def git(*words):
    done = subprocess.run(["git", "-C", str(REPOSITORY), *words], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def revision():
    """The commit's hash; empty where there is no history."""
    if git("rev-parse", "--show-toplevel") != str(REPOSITORY):
        return ""
    tag = git("describe", "--tags", "--abbrev=0", "HEAD~1")
    wanted = os.environ.get("REXEC_PREVIOUS") or tag or "HEAD~1"
    return git("rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}")


def binary():
    """Its path, or None where there is no history."""
    commit = revision()
    if not commit:
        return None
    kept = pathlib.Path(tempfile.gettempdir()) / f"rexec-previous-{os.getuid()}"
    kept.mkdir(mode=0o700, exist_ok=True)
    assert kept.stat().st_uid == os.getuid() and not kept.stat().st_mode & 0o022, kept
    made = kept / commit
    if not made.exists():
        _build(commit, made)
    return made


def _build(commit, made):
    with tempfile.TemporaryDirectory(prefix="rexec-previous-") as directory:
        def run(*words):
            done = subprocess.run(words, cwd=directory, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT)
            assert done.returncode == 0, done.stdout.decode("utf-8", "replace")[-3000:]

        archive = subprocess.run(["git", "-C", str(REPOSITORY), "archive", commit],
                                 stdout=subprocess.PIPE, check=True).stdout
        subprocess.run(["tar", "x", "-C", directory], input=archive, check=True)
        run("cmake", "-S", ".", "-B", "build", "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
            "-DCMAKE_C_COMPILER=clang-19", "-DCMAKE_CXX_COMPILER=clang++-19", "-DREXEC_TESTS=OFF")
        run("nice", "ninja", "-C", "build", "rexec")
        unfinished = made.with_suffix(f".{os.getpid()}")
        shutil.copy(pathlib.Path(directory, "build", "rexec"), unfinished)
        unfinished.rename(made)
