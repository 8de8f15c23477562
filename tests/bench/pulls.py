#!/usr/bin/env python3
"""Pulls of gigabytes leave nothing on the node: its disk is back where it was within a minute of the last.

A controller and an agent with its usual settings, on loopback; a small log, then so many runs of so many MiB whose output is received and thrown
away. Looks at the node's jobs/ every half second, and after the last pull until what the pulls wrote is gone. Prints the figures; exits 1 when a
minute was not enough or the log is not there. Needs 2 GiB below TMPDIR; ends and removes only what it started.
    REXEC_BIN=build/rexec tests/bench/pulls.py [--pulls 30] [--mib 1024]
"""
import argparse
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support.cluster import Cluster  # noqa: E402
from support.kept import LOG, MIB, ended_log, pull, used  # noqa: E402

LOOK_S = 0.5
A_MINUTE_S = 60


class Watch(threading.Thread):
    """The most that was seen below jobs/."""

    def __init__(self, node):
        super().__init__(daemon=True)
        self.node, self.most, self.over = node, 0, threading.Event()
        self.start()

    def run(self):
        while not self.over.wait(LOOK_S):
            self.most = max(self.most, used(self.node))

    def stop(self):
        self.over.set()
        self.join()
        return self.most


def seconds_until_back(node, most):
    """How long after now; None when a minute is not enough."""
    begin = time.monotonic()
    while (passed := time.monotonic() - begin) < A_MINUTE_S:
        if used(node) <= most:
            return passed
        time.sleep(LOOK_S)
    return None


def measure(cluster, pulls, mib):
    node, cli = cluster.nodes["n1"], cluster.cli
    log = ended_log(cli)
    before, watch, begin = used(node), Watch(node), time.monotonic()
    for _ in range(pulls):
        pull(cli, mib, timeout=600)
    took = time.monotonic() - begin
    at_end = used(node)
    # Records and notes of the pulls alone, and the directory's own growth.
    back = seconds_until_back(node, before + MIB)
    most, after, text = watch.stop(), used(node), cli("logs", log).text
    print(f"{pulls} pulls of {mib} MiB: {took:.1f} s, {pulls * mib / took:.0f} MiB/s")
    print(f"jobs/ before {before / MIB:.2f} MiB, at most {most / MIB:.0f} MiB, at the last pull's end "
          f"{at_end / MIB:.0f} MiB, then {after / MIB:.2f} MiB")
    print("back after " + (f"{back:.1f} s" if back is not None else f"more than {A_MINUTE_S} s"))
    print(f"the log written before: {'there' if text == LOG else repr(text)}")
    return back is not None and text == LOG


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pulls", type=int, default=30)
    parser.add_argument("--mib", type=int, default=1024)
    options = parser.parse_args()
    with Cluster(nodes=1) as cluster:
        sys.exit(0 if measure(cluster, options.pulls, options.mib) else 1)


if __name__ == "__main__":
    main()
