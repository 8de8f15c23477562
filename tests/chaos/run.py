#!/usr/bin/env python3
"""Chaos: random processes die for minutes under a mixed workload; then the history is checked.

    tests/chaos/run.py --binary build/rexec --seconds 600 [--seed N]

Real binaries, one controller and two nodes on loopback, kept alive as by systemd. The last line says
how many jobs ran and what died; a violation is printed with the seed and a command to replay it, and
the history (JSON lines) and the daemons' logs are kept.
"""
import argparse
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))


def arguments(argv):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", default=os.environ.get("REXEC_BIN", "build/rexec"))
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("REXEC_SEED", "0")) or None)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--kinds", default="", help="only these, separated by commas")
    options = parser.parse_args(argv)
    options.seed = options.seed or random.randrange(1, 1 << 32)
    return options


class Worker(threading.Thread):
    """Does one kind after the other until the time is over."""

    def __init__(self, desk, kinds):
        super().__init__(daemon=True)
        self.desk, self.kinds, self.counts, self.trouble = desk, kinds, {}, None

    def run(self):
        try:
            while not self.desk.over.is_set():
                kind = self.desk.random.choice(self.kinds)
                kind.once(self.desk)
                self.counts[kind.name] = self.counts.get(kind.name, 0) + 1
        except BaseException as error:  # pylint: disable=broad-except
            self.trouble = error


class Chaos:
    def __init__(self, options):
        from chaos import kinds, waiting_kinds
        from support.cluster import Cluster
        from support.history import History
        self.options = options
        self.kept = pathlib.Path(tempfile.mkdtemp(prefix="rexec-chaos-"))
        self.record = History(self.kept / "history.jsonl")
        self.cluster = Cluster(nodes=2)
        for daemon in [*self.cluster.nodes.values(), self.cluster.controller]:
            daemon.stop()
        wanted = set(filter(None, options.kinds.split(",")))
        every = [*kinds.KINDS, waiting_kinds.Dag(), waiting_kinds.Slot()]
        self.kinds = [kind for kind in every
                      if kind.available(self.cluster.cli) and (not wanted or kind.name in wanted)]
        self.over = threading.Event()
        self.marks = self.cluster.root / "marks"
        self.workers = []

    def source(self, name):
        """Each part draws from its own sequence, so that threads do not take each other's."""
        return random.Random(f"{self.options.seed} {name}")

    def storm(self):
        """The time of killing; returns what died."""
        from chaos.killer import Killer
        from chaos.kinds import Desk
        killer = Killer(self.cluster, self.record, self.source("killer"))
        for number in range(self.options.workers):
            desk = Desk(self.cluster.cli, self.record, self.marks, self.source(number), self.over,
                        sorted(self.cluster.nodes))
            self.workers.append(Worker(desk, self.kinds))
        killer.start()
        for worker in self.workers:
            worker.start()
        self.over.wait(self.options.seconds)
        self.over.set()
        killer.stop()
        # In calm weather everything under way must come to its end.
        for worker in self.workers:
            worker.join(200)
            if worker.is_alive():
                self.record.add("odd", what=f"a worker is stuck after {worker.counts}")
            if worker.trouble:
                self.record.add("odd", what=f"a worker gave up: {worker.trouble!r}")
        return killer.counts

    def until_final(self, teller, job):
        """The last thing shown of it counts; the checker objects when that is no end (I1)."""
        from support import processes
        try:
            processes.wait_until(lambda: (teller.show(job) or {"record": 1}).get("record"),
                                 f"{job} has an end", 60)
        except processes.Timeout:
            self.cluster.cli("stop", "--grace", "0s", job)

    def settle(self):
        """What became of every job that anybody was told of, and of every other one."""
        from crash.stories import Teller
        from support import history
        teller = Teller(self.cluster, self.record, self.cluster.root / "told", {})
        self.cluster.wait_online(timeout=60)
        jobs = {line["job"] for line in self.record.lines if line["t"] == "ack"}
        unknown = teller.until_answered("ps", "-n", "200", "--json").json()
        for row in unknown:
            if row["job"] not in jobs:  # its client died before it could say, and for good
                teller.until_answered("stop", "--grace", "0s", row["job"])
        for job in sorted(jobs):
            self.until_final(teller, job)
            for pid in self.cluster.job_processes(job):
                self.record.add("leftover", job=job, pid=pid)
        history.read_starts(self.record, self.marks)
        for node in self.cluster.nodes.values():
            history.read_records(self.record, node)
        return jobs

    def run(self):
        from support import checker, history
        from support.supervision import Supervised, restarts
        began = time.monotonic()
        with Supervised(self.cluster, most_restarts=100_000) as kept:
            died = self.storm()
            jobs = self.settle()
            restarted = restarts(kept)
        history.read_audit(self.record, self.cluster.controller.data)
        violations = checker.check(self.record.lines)
        done = {}
        for worker in self.workers:
            for name, count in worker.counts.items():
                done[name] = done.get(name, 0) + count
        print(f"chaos: seed {self.options.seed}, {time.monotonic() - began:.0f} s, {len(jobs)} jobs "
              f"{done}, killed {died}, restarted {restarted}", flush=True)
        return violations

    def close(self, failed):
        if failed:
            shutil.copytree(self.cluster.logs, self.kept / "logs")
        self.cluster.close()
        if not failed:
            shutil.rmtree(self.kept)


def main(argv=None):
    options = arguments(argv)
    os.environ["REXEC_BIN"] = str(pathlib.Path(options.binary).resolve())  # support.cli reads it
    replay = f"tests/chaos/run.py --seconds {options.seconds:g} --seed {options.seed}"
    chaos, failed = Chaos(options), True
    try:
        violations = chaos.run()
        failed = bool(violations)
        for violation in violations[:50]:
            print(f"  {violation}")
        if failed:
            print(f"{len(violations)} violations; history and logs: {chaos.kept}\nagain: {replay}")
    finally:
        chaos.close(failed)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
