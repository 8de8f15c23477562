#!/usr/bin/env python3
"""Runs every test of a build and prints one total: `N passed, N failed[, N skipped]`, always last.

It runs doctest binaries (unit_*, property_*, sim_*), the tidy test, the end-to-end tests and, when
asked, the fuzz targets. What should be there and is not (a test folder without its binary) is a
failure. The tests themselves live in their folders; tests/README.md says how to add one.
"""
import argparse
import concurrent.futures
import importlib.util
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import time
import uuid
import xml.etree.ElementTree as xml

HERE = pathlib.Path(__file__).resolve().parent
BINARY_TIMEOUT_S = 600  # a doctest binary; under sanitizers a property test may take minutes
E2E_TIMEOUT_S = 900     # one file of end-to-end tests, unless --timeout says otherwise
FUZZ_MAX_LEN = 4096     # frames, tokens and targets are small; longer inputs only slow the search


def python_with(*modules):
    """An interpreter that has the modules: Debian's packages are Debian's python3's only."""
    if all(importlib.util.find_spec(module) for module in modules):
        return sys.executable
    return "/usr/bin/python3"


class Outcome:
    """What one program's tests came to. `report` is printed whole when something failed."""

    def __init__(self, name, passed=0, failed=0, skips=(), report="", seconds=0.0):
        self.name, self.passed, self.failed = name, passed, failed
        self.skips, self.report, self.seconds = list(skips), report, seconds


def run(command, timeout, **options):
    """(exit status, output, seconds); status None when it was killed for taking too long."""
    started = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, start_new_session=True, **options)
    try:
        output, _ = process.communicate(timeout=timeout)
        status = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        output, _ = process.communicate()
        status = None
    return status, output.decode("utf-8", "replace"), time.monotonic() - started


def how_it_ended(status):
    if status is None:
        return "killed: it took too long"
    return f"died of signal {-status}" if status < 0 else f"exit status {status}"


def not_tests(binary):
    """Cases that are run by hand (measure: …) or by another case in a process of its own (helper: …)."""
    _, listed, _ = run([str(binary), "-ltc", "-ns", "-tc=measure:*,helper:*"], BINARY_TIMEOUT_S)
    return len(re.findall(r"^(?:measure|helper): ", listed, re.MULTILINE))


def run_doctest(binary):
    # Its own working directory, so that a test that forgets its temporary directory is seen.
    status, output, seconds = run([str(binary)], BINARY_TIMEOUT_S, cwd=binary.parent)
    outcome = Outcome(binary.name, report=output, seconds=seconds)
    skips = re.findall(r"^skipped: (.*)$", output, re.MULTILINE)
    summary = re.search(r"test cases:\s*\d+ \|\s*(\d+) passed \|\s*(\d+) failed \|\s*(\d+) skipped",
                        output)
    if summary:
        passed, failed, marked = map(int, summary.groups())
        marked -= not_tests(binary) if marked else 0
        skips += [f"{binary.name}: {marked} marked skip()"] if marked else []
        outcome.passed = max(passed - len(skips), 0)
        outcome.failed = failed
    outcome.skips = skips
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
        outcome.report += f"\n{binary.name}: {how_it_ended(status)}\n"
    return outcome


def missing_binaries(build):
    """Test folders with sources whose binary nobody built."""
    for kind in ("unit", "property"):
        for folder in sorted((HERE / kind).glob("*/")):
            binary = build / "tests" / f"{kind}_{folder.name}"
            if any(folder.glob("*.cpp")) and not binary.exists():
                yield Outcome(binary.name, failed=1, report=f"{binary} is not built\n")


def run_tidy():
    status, output, seconds = run([sys.executable, str(HERE / "tidy_test.py")], BINARY_TIMEOUT_S)
    total = re.search(r"^(\d+) passed, (\d+) failed$", output, re.MULTILINE)
    passed, failed = map(int, total.groups()) if total else (0, 0)
    if status != 0:
        failed = max(failed, 1)
    return Outcome("tidy_test", passed, failed, report=output, seconds=seconds)


def run_pytest(path, build, mark, timeout):
    """One file of end-to-end tests in a process of its own, so that a hang costs one file."""
    name = f"{path.parent.name}/{path.stem}"
    results = build / "e2e" / f"{path.stem}.xml"
    results.parent.mkdir(exist_ok=True)
    results.unlink(missing_ok=True)
    env = {**os.environ, "REXEC_BIN": str(build / "rexec"), "REXEC_TEST_RUN": mark,
           "PYTHONDONTWRITEBYTECODE": "1"}
    python = python_with("pytest", "pexpect", "msgpack")
    command = [python, "-m", "pytest", "-q", "-rsfE", "-p", "no:cacheprovider",
               f"--junitxml={results}", str(path)]
    status, output, seconds = run(command, timeout, cwd=HERE.parent, env=env)
    if status == 1 and "CI" in os.environ:
        # Two cores run everything at once there. What fails twice is broken; what fails once is said.
        first = re.findall(r"^(?:FAILED|ERROR) (\S+)", output, re.MULTILINE) or [path.stem]
        print(f"again: {name}, for {', '.join(first)}", flush=True)
        print(output[-6000:], flush=True)
        status, output, seconds = run(command, timeout, cwd=HERE.parent, env=env)
    outcome = Outcome(name, report=output, seconds=seconds)
    if status in (0, 1) and results.exists():
        count_junit(results, outcome)
    if status != 0 and outcome.failed == 0:
        outcome.failed = 1
        outcome.report += f"\n{name}: {how_it_ended(status)}\n"
    return outcome


def count_junit(results, outcome):
    for case in xml.parse(results).getroot().iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            outcome.failed += 1
        elif skipped is not None:
            reason = skipped.get("message", "no reason given")
            outcome.skips.append(f"{outcome.name}: {case.get('name')}: {reason}")
        else:
            outcome.passed += 1


def left_behind(mark):
    """Processes that carry this run's mark in their environment."""
    wanted = f"REXEC_TEST_RUN={mark}".encode()
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name), (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(
                    "utf-8", "replace")
        except OSError:
            continue


def check_nothing_left(mark):
    """Ends what the end-to-end tests left running, and fails for it."""
    deadline = time.monotonic() + 10  # daemons may still be on their way out
    while (left := list(left_behind(mark))) and time.monotonic() < deadline:
        time.sleep(0.1)
    for pid, _ in left:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    if not left:
        return Outcome("e2e/nothing left running", passed=1)
    lines = "".join(f"  {pid} {command}\n" for pid, command in left)
    return Outcome("e2e/nothing left running", failed=1, report=f"left running:\n{lines}")


def run_fuzz(binary, build, seconds):
    """A libFuzzer target over a copy of its corpus; what it finds stays in the build directory."""
    work = build / "fuzz" / binary.name
    shutil.rmtree(work / "corpus", ignore_errors=True)
    (work / "corpus").mkdir(parents=True)
    seeds = HERE / "fuzz" / "corpus" / binary.name
    if not any(seeds.glob("*")):
        return Outcome(binary.name, failed=1, report=f"{seeds} is empty\n")
    dictionary = HERE / "fuzz" / f"{binary.name}.dict"
    command = [str(binary), f"-max_total_time={seconds}", f"-max_len={FUZZ_MAX_LEN}", "-timeout=20",
               "-rss_limit_mb=2048", "-print_final_stats=1", f"-artifact_prefix={work}/",
               *([f"-dict={dictionary}"] if dictionary.exists() else []),
               str(work / "corpus"), str(seeds)]
    status, output, took = run(command, seconds + 180)
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    good = status == 0 and units is not None and int(units.group(1)) > 0
    outcome = Outcome(f"{binary.name}", int(good), int(not good), report=output, seconds=took)
    if good:
        outcome.name += f" ({units.group(1)} runs)"
    elif status != 0:
        outcome.report += f"\n{binary.name}: {how_it_ended(status)}; see {work}\n"
    return outcome


def show(outcome):
    verdict = "FAIL" if outcome.failed else "ok  "
    counts = f"{outcome.passed} passed"
    counts += f", {outcome.failed} failed" if outcome.failed else ""
    counts += f", {len(outcome.skips)} skipped" if outcome.skips else ""
    print(f"{verdict} {outcome.name:<32} {counts} ({outcome.seconds:.1f} s)", flush=True)
    if outcome.failed:
        print(f"---- {outcome.name}\n{outcome.report.rstrip()}\n----", flush=True)


def in_parallel(function, items, jobs):
    """Outcomes in the order in which they finish, each shown at once."""
    outcomes = []
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        for future in concurrent.futures.as_completed([pool.submit(function, i) for i in items]):
            outcomes.append(future.result())
            show(outcomes[-1])
    return outcomes


def run_everything(build, fuzz_seconds, wanted, timeout=E2E_TIMEOUT_S):
    jobs = int(os.environ.get("REXEC_TEST_JOBS", os.cpu_count() or 1))
    outcomes = []

    def select(paths):
        return [p for p in sorted(paths) if wanted.search(p.stem)]

    binaries = [p for kind in ("unit", "property", "sim")
                for p in (build / "tests").glob(f"{kind}_*")
                if p.is_file() and os.access(p, os.X_OK)]
    outcomes += in_parallel(run_doctest, select(binaries), jobs)
    missing = [o for o in missing_binaries(build) if wanted.search(o.name)]
    if wanted.search("tidy_test"):
        missing.append(run_tidy())
    # The longest first, so that the end of the run is not one file alone.
    e2e = [path for folder in ("crash", "chaos", "e2e")
           for path in select((HERE / folder).glob("test_*.py"))]
    if e2e:
        mark = uuid.uuid4().hex
        outcomes += in_parallel(lambda path: run_pytest(path, build, mark, timeout), e2e, jobs)
        missing.append(check_nothing_left(mark))
    if fuzz_seconds > 0:
        sources = select((HERE / "fuzz").glob("*.cpp"))
        targets = [build / "tests" / source.stem for source in sources]
        missing += [Outcome(t.name, failed=1, report=f"{t} is not built: REXEC_FUZZ=ON\n")
                    for t in targets if not t.exists()]
        outcomes += in_parallel(lambda target: run_fuzz(target, build, fuzz_seconds),
                                [t for t in targets if t.exists()], jobs)
    for outcome in missing:
        show(outcome)
    return outcomes + missing


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", required=True, type=pathlib.Path, help="the build directory")
    parser.add_argument("--fuzz-seconds", type=int, default=0, help="for each fuzz target")
    parser.add_argument("--only", default="", help="a pattern for the names of programs to run")
    parser.add_argument("--timeout", type=int, default=E2E_TIMEOUT_S,
                        help="seconds for one file of end-to-end tests")
    options = parser.parse_args()
    # A caller that put us in the background has these ignored, and a job would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    build = options.build.resolve()
    outcomes = run_everything(build, options.fuzz_seconds, re.compile(options.only),
                              options.timeout)

    passed = sum(o.passed for o in outcomes)
    failed = sum(o.failed for o in outcomes)
    skips = [reason for o in outcomes for reason in o.skips]
    for reason in skips:
        print(f"skipped: {reason}")
    # On the build machine a skip hides a promise that nobody checked, unless it says that the
    # machine cannot ("not here: no systemd").
    if os.environ.get("REXEC_CI") == "1":
        unexcused = [reason for reason in skips if "not here:" not in reason]
        for reason in unexcused:
            print(f"FAIL a skip without an excuse: {reason}")
        failed += len(unexcused)
        skips = [reason for reason in skips if "not here:" in reason]
    if passed + failed == 0:
        print("nothing ran")
        failed = 1
    failures = [o.name for o in outcomes if o.failed]
    if failures:
        print("failed: " + ", ".join(failures))
    print(f"{passed} passed, {failed} failed" + (f", {len(skips)} skipped" if skips else ""))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
