"""What the gate asks of pytest beyond pytest itself; `tests/run.py` loads it with `-p support.gate`.

- With REXEC_CI=1 a skip whose reason does not contain "not here:" is a failure: it hid a promise.
- A process that the tests started and left running is a failure of the run, and is ended.
"""
import os
import signal
import time
import uuid

import pytest

from support import processes

RUN = "REXEC_TEST_RUN"  # in the environment of every process that the tests start
# Daemons may still be on their way out when the last test has ended.
DEPART_S = float(os.environ.get("REXEC_DEPART_S", "30"))


def excused(reason):
    """A machine that cannot run a test is no fault; on the build machine every other skip is one."""
    return os.environ.get("REXEC_CI") != "1" or "not here:" in reason


def pytest_configure(config):
    # pytest-xdist gives each worker the identity of the run; without workers we make one.
    worker = getattr(config, "workerinput", None)
    config.rexec_run = (worker or {}).get("testrunuid") or getattr(
        config.option, "testrunuid", None) or uuid.uuid4().hex
    os.environ[RUN] = config.rexec_run


def _fail_if_unexcused(report):
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
    if not excused(reason):
        report.outcome = "failed"
        report.longrepr = f"a skip without an excuse: {reason}"


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_runtest_makereport():
    outcome = yield
    _fail_if_unexcused(outcome.get_result())


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_make_collect_report():
    outcome = yield
    _fail_if_unexcused(outcome.get_result())


def _left_behind(run):
    return [(pid, processes.cmdline(pid)) for pid in processes.with_environment(RUN, run)
            if pid != os.getpid()]


def pytest_sessionfinish(session):
    if hasattr(session.config, "workerinput"):
        return  # other workers still use theirs
    deadline = time.monotonic() + DEPART_S
    while (left := _left_behind(session.config.rexec_run)) and time.monotonic() < deadline:
        time.sleep(processes.POLL_S)
    for pid, _ in left:
        processes.kill(pid, signal.SIGKILL)
    if left:
        session.config.rexec_left = left
        session.exitstatus = 1


def pytest_terminal_summary(terminalreporter, config):
    for pid, command in getattr(config, "rexec_left", ()):
        terminalreporter.write_line(f"FAILED left running: {pid} {command!r}")
