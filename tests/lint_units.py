#!/usr/bin/env python3
"""Runs clang-tidy over the translation units of a configured build directory; called by lint.sh.

The build itself is not needed: precompiled headers are included as text. A unit whose source,
headers of ours and .clang-tidy are as they were when it was last clean is not run again, because
the units with Asio take half a minute each.
"""
import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
TIDY = "clang-tidy-19"
UNIT_TIMEOUT_S = 300
DROPPED = ("-fno-pch-timestamp", "-Winvalid-pch")


def units(build):
    """(source, compiler arguments) of each unit of src/ and cli/."""
    database = subprocess.run(["ninja", "-C", build, "-t", "compdb"], check=True,
                              capture_output=True, text=True).stdout
    for entry in json.loads(database):
        source = pathlib.Path(entry["file"])
        ours = any(source.is_relative_to(ROOT / top) for top in ("src", "cli"))
        if ours and source.suffix == ".cpp" and source.is_file() and " -c " in entry["command"]:
            yield source, arguments(shlex.split(entry["command"]))


def arguments(words):
    """What matters for reading the source: no ccache, no outputs, no precompiled header."""
    while words and not words[0].rsplit("/")[-1].startswith("clang++"):
        words.pop(0)
    kept, rest = [], iter(words[1:])
    for word in rest:
        if word == "-Xclang":
            value = next(rest)
            if value == "-include-pch":
                next(rest), next(rest)
            elif value not in DROPPED:
                kept += ["-Xclang", value]
        elif word in ("-o", "-MT", "-MF", "-c"):
            next(rest)
        elif word not in ("-MD", *DROPPED):
            kept.append(word)
    return kept


def closure(path, seen):
    """The file and every header of ours that it reaches."""
    if path in seen or not path.is_file():
        return
    seen.add(path)
    for name in re.findall(r'^\s*#\s*include\s*"([^"]+)"', path.read_text(), re.MULTILINE):
        closure(ROOT / name, seen)


def fingerprint(source, flags):
    files = set()
    closure(source, files)
    digest = hashlib.sha256("\0".join(flags).encode())
    for path in [ROOT / ".clang-tidy", *sorted(files)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def check(source, flags, cache):
    """(source, output when not clean, seconds)"""
    started = time.monotonic()
    stamp = cache / (fingerprint(source, flags) + ".clean")
    if stamp.exists():
        return source, "", 0.0
    command = [TIDY, "--quiet", str(source), "--", *flags]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=UNIT_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        return source, f"{source}: clang-tidy took more than {UNIT_TIMEOUT_S} s\n", UNIT_TIMEOUT_S
    if done.returncode == 0:
        stamp.touch()
        return source, "", time.monotonic() - started
    return source, done.stdout + done.stderr, time.monotonic() - started


def main():
    build = sys.argv[1]
    wanted = re.compile(sys.argv[2] if len(sys.argv) > 2 else "")
    cache = pathlib.Path(build) / "lint"
    cache.mkdir(parents=True, exist_ok=True)
    dirty = slowest = 0
    # Largest first, so that the two workers end together.
    work = sorted((u for u in units(build) if wanted.search(str(u[0].relative_to(ROOT)))),
                  key=lambda unit: ("cmake_pch" not in " ".join(unit[1]), str(unit[0])))
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for done in concurrent.futures.as_completed(
                [pool.submit(check, source, flags, cache) for source, flags in work]):
            source, output, seconds = done.result()
            slowest = max(slowest, seconds)
            if output:
                dirty += 1
                print(f"FAIL {source.relative_to(ROOT)} ({seconds:.1f} s)\n{output.rstrip()}")
    print(f"clang-tidy: {len(work)} units, {dirty} with findings, slowest {slowest:.1f} s")
    return 1 if dirty or not work else 0


if __name__ == "__main__":
    sys.exit(main())
