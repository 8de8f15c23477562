#!/usr/bin/env python3
"""Runs one libFuzzer target over a copy of its corpus for REXEC_FUZZ_SECONDS; ctest calls it.

What the target finds stays in the build directory, beside the inputs that led there.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
MAX_LEN = 4096  # frames, tokens and targets are small; longer inputs only slow the search


def main():
    binary, build = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    work = build / "fuzz" / binary.name
    shutil.rmtree(work / "corpus", ignore_errors=True)
    (work / "corpus").mkdir(parents=True)
    seeds = HERE / "corpus" / binary.name
    if not any(seeds.glob("*")):
        sys.exit(f"{seeds} is empty")
    dictionary = HERE / f"{binary.name}.dict"
    command = [str(binary), f"-max_total_time={os.environ.get('REXEC_FUZZ_SECONDS', '30')}",
               f"-max_len={MAX_LEN}", "-timeout=20", "-rss_limit_mb=2048", "-print_final_stats=1",
               f"-artifact_prefix={work}/",
               *([f"-dict={dictionary}"] if dictionary.exists() else []),
               str(work / "corpus"), str(seeds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    output = done.stdout.decode("utf-8", "replace")
    print(output[-20000:])
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", output)
    if done.returncode != 0:
        sys.exit(f"{binary.name}: exit status {done.returncode}; see {work}")
    if units is None or int(units.group(1)) == 0:
        sys.exit(f"{binary.name}: no input was run")


if __name__ == "__main__":
    main()
