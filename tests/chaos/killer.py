"""Kills and stops processes of a supervised cluster at seeded moments until told to stop.

What it does is drawn from one random source: which process, and how long it waits. It may kill a
job's shim or leader; that is written into the history, because such a job may be lost.
"""
import pathlib
import signal
import threading

from support import processes

# What, and how often out of the sum. Daemons far more than jobs, or nothing would ever end well.
WEIGHTS = {"controller": 6, "net": 8, "spawner": 6, "both": 2, "shim": 1, "leader": 1,
           "stop controller": 3, "stop net": 3, "stop spawner": 3}
LONGEST_STOP_S = 3.0


class Killer(threading.Thread):
    def __init__(self, cluster, record, random, mean_s=0.7, weights=None):
        super().__init__(daemon=True)
        self.cluster, self.record, self.random, self.mean_s = cluster, record, random, mean_s
        self.weights = weights or WEIGHTS
        self.over, self.counts, self.trouble = threading.Event(), {}, None

    def run(self):
        try:
            while not self.over.wait(self.random.expovariate(1 / self.mean_s)):
                what = self.random.choices(*zip(*self.weights.items()))[0]
                self.counts[what] = self.counts.get(what, 0) + bool(self.do(what))
        except BaseException as error:  # pylint: disable=broad-except
            self.trouble = error

    def stop(self):
        self.over.set()
        self.join(30)
        assert self.trouble is None, self.trouble

    def do(self, what):
        node = self.cluster.nodes[self.random.choice(sorted(self.cluster.nodes))]
        if what.startswith("stop "):
            return self.pause(self.pid(what.removeprefix("stop "), node))
        if what in ("shim", "leader"):
            return self.kill_of_a_job(what, node)
        if what == "both":
            processes.kill(self.pid("controller", node) or 0x7ffffff)
            what = "spawner"
        pid = self.pid(what, node)
        return pid and processes.kill(pid)

    def pid(self, what, node):
        if what == "controller":
            return self.cluster.controller.pid if self.cluster.controller.running else None
        if not node.running:
            return None
        return node.pid if what == "spawner" else node._find_net()

    def pause(self, pid):
        if not pid or not processes.kill(pid, signal.SIGSTOP):
            return False
        self.over.wait(self.random.random() * LONGEST_STOP_S)
        return processes.kill(pid, signal.SIGCONT)

    def kill_of_a_job(self, what, node):
        running = [d for d in sorted((node.data / "jobs").glob("j-*.*"))
                   if (d / "started").exists() and not (d / "exit").exists()]
        if not running:
            return False
        directory = self.random.choice(running)
        job = directory.name.split(".")[0]
        pid = node.shim_of(job) if what == "shim" else self.leader(directory)
        if not pid:
            return False
        # Before the kill: the record may be there a moment later.
        self.record.add("killed", what=what, job=job)
        return processes.kill(pid)

    def leader(self, directory):
        try:
            lines = dict(line.split(" ", 1) for line in
                         pathlib.Path(directory / "started").read_text().splitlines())
        except (OSError, ValueError):
            return None
        pid = int(lines["pid"])
        fields = processes.stat_fields(pid)
        # The start time makes it that process and not a later one of the same number.
        return pid if len(fields) > 19 and fields[19].decode() == lines["ticks"] else None
