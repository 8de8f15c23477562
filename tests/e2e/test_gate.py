"""The gate's own rules (tests/support/gate.py), seen on test files written for that."""
import os
import subprocess
import sys
import time

from support import patience, processes
from support.cli import REPOSITORY

LEAVES_ONE = """
import subprocess
def test_that_forgets_a_process():
    print("pid", subprocess.Popen(["sleep", "1000"], start_new_session=True).pid)
"""
SKIPS = """
import pytest
def test_that_gives_no_excuse():
    pytest.skip("no time for that")
def test_that_has_one():
    pytest.skip("not here: no such device")
"""
FAILS_ONCE = """
import pathlib
def test_that_fails_the_first_time():
    mark = pathlib.Path(__file__).with_suffix(".mark")
    there = mark.exists()
    mark.touch()
    assert there
"""


def run(tmp_path, text, ci="0"):
    file = tmp_path / "test_sample.py"
    file.write_text(text)
    env = {**os.environ, "REXEC_CI": ci, "PYTHONPATH": str(REPOSITORY / "tests"),
           "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run([sys.executable, "-m", "pytest", "-q", "-s", "-p", "no:cacheprovider",
                           "-p", "support.gate", "--rootdir", str(tmp_path), str(file)],
                          env=env, cwd=tmp_path, capture_output=True, text=True, check=False)


def test_a_process_left_running_fails_the_run_and_is_ended(tmp_path, monkeypatch):
    monkeypatch.setenv("REXEC_DEPART_S", "0")
    done = run(tmp_path, LEAVES_ONE)
    pid = int(done.stdout.split("pid ")[1].split()[0].rstrip("."))
    assert done.returncode == 1 and f"left running: {pid}" in done.stdout, done.stdout
    processes.wait_until(lambda: not processes.is_alive(pid), "the process is ended")


def test_a_skip_without_an_excuse_fails_on_the_build_machine_alone(tmp_path):
    done = run(tmp_path, SKIPS, ci="1")
    assert done.returncode == 1 and "1 failed, 1 skipped" in done.stdout, done.stdout
    done = run(tmp_path, SKIPS)
    assert done.returncode == 0 and "2 skipped" in done.stdout, done.stdout


def test_a_test_that_failed_once_has_failed(tmp_path):
    assert run(tmp_path, FAILS_ONCE).returncode == 1


def test_a_pause_of_the_whole_machine_uses_up_no_limit(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    limit = patience.Limit(20)
    clock[0] += 3600
    assert not limit.is_over()
    for _ in range(int(patience.patient(20))):
        clock[0] += 1
        ended = limit.is_over()
    assert ended
