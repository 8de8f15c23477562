#!/usr/bin/env python3
"""Runs every test of a build and prints one total: `N passed, N failed[, N skipped]`, always last.

ctest runs the doctest binaries, the tree rules and the fuzz targets (tests/CMakeLists.txt);
pytest-xdist runs the end-to-end tests, each file on one worker. Each test runs once: a test that
fails is a failure. This file starts the two and adds up what they counted.
"""
import argparse
import importlib.util
import os
import pathlib
import re
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
# The crash tests exchange the binary for their whole process, so they have a pytest of their own.
# The longest come first, so that the end of the run is not one file alone.
PYTEST_RUNS = (("crash",), ("chaos", "e2e"))
# These files come first in their run: they build the previous commit, which takes minutes.
FIRST = ("test_upgrade",)
MODULES = ("pytest", "xdist", "pexpect", "msgpack")
HANG_S = 7200  # a binary that takes longer hangs; an honest one takes minutes under sanitizers
OUTPUT_LIMIT = 1 << 20  # of one binary in ctest's report; the summary is its last line


def python_with(*modules):
    """An interpreter that has the modules: Debian's packages are Debian's python3's only."""
    if all(importlib.util.find_spec(module) for module in modules):
        return sys.executable
    return "/usr/bin/python3"


class Total:
    def __init__(self):
        self.passed = self.failed = 0
        self.skips, self.failures = [], []

    def fail(self, name, count=1):
        self.failed += count
        self.failures.append(name)


def count_case(case, total):
    """One program of ctest: the cases of a doctest binary, or one test."""
    output, name = case.findtext("system-out") or "", case.get("name")
    summary = re.search(r"test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed", output)
    passed, failed = map(int, summary.groups()) if summary else (1, 0)
    skips = re.findall(r"^skipped: (.*)$", output, re.MULTILINE)
    if case.get("status") != "run":  # "fail": a signal, an exit status, no binary
        failed = max(failed, 1)
        passed = passed if summary else 0
    total.skips += skips
    total.passed += max(passed - len(skips), 0)
    if failed:
        total.fail(name, failed)


def run_ctest(build, jobs, wanted, fuzz_seconds, total):
    report = build / "ctest.xml"
    report.unlink(missing_ok=True)
    command = ["ctest", "--test-dir", str(build), "-j", str(jobs), "--output-on-failure",
               "--output-junit", str(report), "--timeout", str(HANG_S),
               "--test-output-size-passed", str(OUTPUT_LIMIT),
               "--test-output-size-failed", str(OUTPUT_LIMIT)]
    # An empty pattern matches no test; a pattern may be about end-to-end tests alone.
    command += ["-R", wanted, "--no-tests=ignore"] if wanted else ["--no-tests=error"]
    command += [] if fuzz_seconds else ["-LE", "fuzz"]
    env = {**os.environ, "REXEC_FUZZ_SECONDS": str(fuzz_seconds)}
    code = subprocess.run(command, stdin=subprocess.DEVNULL, env=env, check=False).returncode
    before = total.failed
    for case in xml.parse(report).getroot().iter("testcase") if report.exists() else ():
        count_case(case, total)
    if code != 0 and total.failed == before:
        total.fail(f"ctest (exit status {code})")


def run_pytest(folders, build, jobs, wanted, total):
    """Every test file of the folders; one run."""
    files = [str(path) for folder in folders for path in sorted((HERE / folder).glob("test_*.py"))
             if re.search(wanted, path.stem)]
    files.sort(key=lambda file: pathlib.Path(file).stem not in FIRST)
    if not files:
        return
    report = build / f"pytest-{'-'.join(folders)}.xml"
    report.unlink(missing_ok=True)
    env = {**os.environ, "REXEC_BIN": str(build / "rexec"), "PYTHONDONTWRITEBYTECODE": "1",
           "PYTHONPATH": f"{HERE}:{os.environ.get('PYTHONPATH', '')}".rstrip(":")}
    command = [python_with(*MODULES), "-m", "pytest", "-q", "-rsfE", "-p", "no:cacheprovider",
               "-p", "support.gate", "-n", str(jobs), "--dist", "loadfile", "--durations=15",
               f"--junitxml={report}", *files]
    code = subprocess.run(command, cwd=HERE.parent, env=env, stdin=subprocess.DEVNULL,
                          check=False).returncode
    before = total.failed
    for case in xml.parse(report).getroot().iter("testcase") if report.exists() else ():
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            total.fail(name)
        elif skipped is not None:
            total.skips.append(f"{name}: {skipped.get('message', 'no reason given')}")
        else:
            total.passed += 1
    if code != 0 and total.failed == before:
        total.fail(f"pytest {' '.join(folders)} (exit status {code})")


def unexcused(skips):
    """The doctest binaries' skips are judged here, as tests/support/gate.py judges pytest's."""
    if os.environ.get("REXEC_CI") != "1":
        return []
    return [reason for reason in skips if "not here:" not in reason]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path, help="the build directory")
    parser.add_argument("--fuzz-seconds", type=int, default=0, help="for each fuzz target")
    parser.add_argument("--only", default="", help="a pattern for the names of programs to run")
    options = parser.parse_args()
    # A caller that put us in the background has these ignored, and a job would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    build = options.build.resolve()
    jobs = int(os.environ.get("REXEC_TEST_JOBS", os.cpu_count() or 1))
    started, total = time.monotonic(), Total()
    run_ctest(build, jobs, options.only, options.fuzz_seconds, total)
    for folders in PYTEST_RUNS:
        run_pytest(folders, build, jobs, options.only, total)
    for reason in total.skips:
        print(f"skipped: {reason}")
    for reason in unexcused(total.skips):
        total.skips.remove(reason)
        total.fail(f"a skip without an excuse: {reason}")
    if total.passed + total.failed == 0:
        total.fail("nothing ran")
    if total.failures:
        print("failed: " + ", ".join(total.failures))
    print(f"all of it took {time.monotonic() - started:.0f} s")
    skipped = f", {len(total.skips)} skipped" if total.skips else ""
    print(f"{total.passed} passed, {total.failed} failed{skipped}")
    return 1 if total.failed else 0


if __name__ == "__main__":
    sys.exit(main())
