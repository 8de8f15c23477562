#!/usr/bin/env python3
"""What others feel of much for one node: how long `rexec run n2 -- true` takes while a hundred
thousand jobs wait for a node that is away and are taken when it is back, and while it is given ten
thousand schedules.

    tests/bench/backlog.py [--jobs 100000] [--schedules 10000] [--runs 100]

Prints a row for each moment: the median and the 99th percentile of the runs, and the latter as a
multiple of the idle one, which may be 3. The jobs are refused by their node (their user is not
there), so that what is measured is the way there and not a hundred thousand processes; --run lets
them run.
"""
import argparse
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import processes, wire  # noqa: E402
from support.cluster import Cluster  # noqa: E402
from support.felt import Bench  # noqa: E402
from support.raw_session import Session  # noqa: E402

LONG_S = 3600
TRUE = {"argv": [b"true"], "durable": True}


def add_schedules(cluster, count):
    spec = wire.pack(TRUE)
    with wire.Peer(cluster.address, directory=cluster.cli.context_dir(), timeout=LONG_S) as peer:
        peer.hello()
        for number in range(count):
            answer = peer.call(number + 1, "schedule.add", {
                "name": f"s{number}", "targets": "n1", "kind": "every", "rule": "24h",
                "zone": "UTC", "overlap": "skip", "catch_up": "none", "jitter_ms": 0, "spec": spec})
            assert "result" in answer, answer


def held(cluster):
    directory = cluster.nodes["n1"].data / "net" / "schedules.d"
    return sum("." not in file.name for file in directory.iterdir()) if directory.exists() else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--schedules", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--run", action="store_true", help="the jobs run on their node")
    options = parser.parse_args()
    spec = wire.pack(TRUE if options.run else {**TRUE, "user": "no-such-user"})
    with Cluster(nodes=2) as cluster:
        bench, n1 = Bench(cluster, options.runs), cluster.nodes["n1"]
        bench.quiet("idle")

        n1.stop()
        session = Session(cluster, cluster.cli)
        bench.during(f"{options.jobs} jobs are submitted for a node that is away", lambda:
                     session.submit(options.jobs, "n1", {"online_ms": LONG_S * 1000}, spec))
        bench.quiet("they wait")
        cluster.controller.restart()
        cluster.wait_online("n2")
        bench.quiet("they wait, after a restart of the controller")

        def taken():
            n1.start()
            processes.wait_until(lambda: cluster.node_states()["n1"]["jobs"] == 0,
                                 "the node took them all", LONG_S)
        bench.during("the node is back and takes them", taken)

        bench.during(f"{options.schedules} schedules are added for it", lambda:
                     add_schedules(cluster, options.schedules))
        processes.wait_until(lambda: held(cluster) == options.schedules, "it holds all", LONG_S)
        bench.quiet("it holds them")
        n1.stop()

        def again():
            n1.start()
            cluster.wait_online("n1", timeout=LONG_S)
        bench.during("it is back and tells and hears of all of them", again)


if __name__ == "__main__":
    main()
