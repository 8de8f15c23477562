#!/usr/bin/env python3
"""What others feel of a long queue: how long `rexec run n2 -- true` takes while another user's jobs
wait behind one lock, in the tens of thousands.

    tests/bench/queue.py [--locked 20000] [--waiting 100000] [--runs 100]

Prints a row for each moment: the median and the 99th percentile of the runs, and the latter as a
multiple of the idle one, which may be 3. Raw frames submit, so that the submitting costs little.
"""
import argparse
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import wire  # noqa: E402
from support.cluster import Cluster  # noqa: E402
from support.felt import Bench  # noqa: E402

IN_FLIGHT = 100  # submits of the flooding session


def submit(stream, node, terms):
    spec = wire.pack({"argv": [b"true"], "durable": True})
    args = {"request": os.urandom(16).hex(), "targets": node, "mode": "detached",
            "spec_size": len(spec), "terms": terms}
    return (wire.frame(wire.OPEN, {"kind": "submit", "args": args}, stream=stream)
            + wire.frame(wire.DATA, spec, stream=stream, flags=3)
            + wire.frame(wire.END, stream=stream))


class Flood:
    """A user who submits as fast as he is answered."""

    def __init__(self, cluster, cli):
        self.cluster, self.cli, self.jobs = cluster, cli, []

    def add(self, count, node, terms):
        # A session of its own: one that reads nothing for a while is taken for dead.
        self.peer = wire.Peer(self.cluster.address, directory=self.cli.context_dir(), timeout=600)
        self.peer.hello()
        self.stream, left, open_now = 1, count, 0
        while left or open_now:
            while left and open_now < IN_FLIGHT:
                self.peer.send(submit(self.stream, node, terms))
                self.stream, left, open_now = self.stream + 2, left - 1, open_now + 1
            kind, _, _, map_ = self.peer.until(wire.EVENT, wire.RESET, wire.CLOSE)
            assert kind == wire.EVENT, map_
            self.jobs.append(map_["jobs"][0]["job"])
            open_now -= 1


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--locked", type=int, default=20_000)
    parser.add_argument("--waiting", type=int, default=100_000)
    parser.add_argument("--drained", type=int, default=300)
    parser.add_argument("--runs", type=int, default=100)
    options = parser.parse_args()
    with Cluster(nodes=2) as cluster:
        other = cluster.new_user("other")
        cluster.join("off")
        bench, flood = Bench(cluster, options.runs), Flood(cluster, other)
        bench.quiet("idle")
        gate = cluster.root / "gate"
        os.mkfifo(gate)
        lock = {"locks": [{"name": "l", "slots": 1}]}
        holder = other.submit("--lock", "l", "n1", "cat", str(gate))
        bench.during(f"{options.locked} are put behind one lock",
                     lambda: flood.add(options.locked, "n1", lock))
        bench.quiet("they wait")
        gate.write_text("")
        other("wait", holder).ok()

        def drained():
            other("wait", flood.jobs[options.drained], timeout=3600).ok()
        bench.during(f"the first {options.drained} of them run, one by one", drained)
        offline = {"queue_ms": 86_400_000}
        bench.during(f"{options.waiting - options.locked} more for an offline node",
                     lambda: flood.add(options.waiting - options.locked, "off", offline))
        bench.quiet(f"{options.waiting} wait, and the lock goes on")


if __name__ == "__main__":
    main()
