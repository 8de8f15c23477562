#!/usr/bin/env python3
"""How long the lists of a large fleet take: nodes, tokens and people, written into the store.

    tests/bench/listings.py [--count 10000] [--runs 10]      REXEC_BIN names another binary
"""
import argparse
import os
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import many_rows  # noqa: E402
from support.cluster import Cluster  # noqa: E402

BUDGET_MS = 200


def measure(cli, argv, runs):
    times = []
    for _ in range(runs):
        begin = time.perf_counter()
        cli(*argv).ok()
        times.append((time.perf_counter() - begin) * 1e3)
    times.sort()
    return times[len(times) // 2], times[0], times[-1]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=10)
    args = parser.parse_args()
    with Cluster(nodes=0) as c:
        c.controller.stop()
        for rows in (many_rows.nodes, many_rows.tokens, many_rows.users):
            rows(c.controller.data, args.count)
        c.controller.start()
        print(f"{args.count} rows each; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
        for argv in (["node", "ls"], ["node", "ls", "--json"], ["node", "ls", "@all"],
                     ["token", "ls"], ["user", "ls"], ["whoami"]):
            p50, least, most = measure(c.cli, argv, args.runs)
            missed = "" if p50 <= BUDGET_MS else f"  missed: {BUDGET_MS} ms"
            print(f"{' '.join(argv):18} p50 {p50:7.1f} ms   {least:7.1f} to {most:7.1f}{missed}",
                  flush=True)


if __name__ == "__main__":
    main()
