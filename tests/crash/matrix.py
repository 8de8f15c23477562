"""One crossing of the matrix: a fail point, what happens there, a story that passes it, a verdict.

    cross(cluster, scratch, Case("shim.forked", "kill"))        raises with the violations

A case's name is its replay: `pytest tests/crash -k 'shim.forked-kill'`.
"""
import contextlib
import dataclasses
import os
import random
import threading
import uuid
import zlib

from crash.stories import Teller
from support import checker, faults, history, processes
from support.cli import BINARY, SANITIZED
from support.cluster import Cluster
from support.supervision import Supervised, restarts

# Killing the shim between these loses the job (FAULTS K8): the start is on record, the end is not.
LOSES = {"shim.started.written", "shim.go.sent", "shim.output.read", "shim.output.appended",
         "shim.segment.opened", "shim.stdin.taken", "shim.stdin.ended", "shim.leader.reaped",
         "shim.drained", "shim.synced", "shim.recording", "file.written", "file.sync",
         "spool.write"}
KILLS_THE_JOB = {"job.forked", "job.ready", "job.released"}
# Points that the usual story (a detached job, an attached run) does not pass.
STORY = {"client.join.answered": "join", "controller.join.received": "join",
         "controller.join.committed": "join", "controller.stop.sent": "stop",
         "controller.remove.committed": "remove", "spawner.removing": "remove",
         "spawner.lost.killed": "lose", "spawner.lost.written": "lose",
         "spawner.adopted": "stop", "controller.adopted": "attach",
         "controller.wait.admitted": "wait", "controller.slot.posted": "wait",
         "controller.slot.committed": "wait", "controller.wait.refused": "wait",
         "controller.schedule.committed": "schedule", "controller.schedule.sent": "schedule",
         "net.schedule.taken": "schedule", "net.schedule.begun": "schedule",
         "net.schedule.started": "schedule"}
# Passed only when something else has happened before.
FIRST = {"controller.adopted": "controller.report.received=kill",
         "client.attach.sent": "controller.output.relayed=kill@2",
         "spawner.adopted": "spawner.channel.posted=kill",
         "spawner.restarted": "shim.meta.copied=kill;spawner.shim.gone=kill",
         "store.ballast.released": "store.write=error:ENOSPC@9+once",
         "store.ballast.back": "store.write=error:ENOSPC@9+once"}
AT_THE_END = {"controller.node.gone", "store.closing"}  # who stands there would stand for ever
NOT_IN_A_STORY = {"store.migrated"}  # only init migrates: test_disk.py


@dataclasses.dataclass(frozen=True)
class Case:
    point: str
    action: str          # kill, or stop-VICTIM: while this one stands still that one dies
    at: int = 1

    @property
    def name(self):
        return f"{self.point}-{self.action.replace(':', '-')}" + (
            f"-{self.at}" if self.at > 1 else "")

    @property
    def victim(self):
        return self.action.partition("-")[2]

    @property
    def is_error(self):
        return self.action.startswith("error:")

    def orders(self):
        own = self.point
        if self.point.startswith("file."):
            own += "/shim"  # the spawner writes such files too
        first = FIRST.get(self.point)
        once = "+once" if self.is_error else ""
        return [*([first] if first else []),
                f"{own}={self.action.partition('-')[0]}@{self.at}{once}"]

    def lossy(self):
        lossy = set()
        if self.victim in ("shim", "job") or (self.action == "kill" and self.point in LOSES):
            lossy |= {"lost", "signaled"}
        if self.point in KILLS_THE_JOB:
            lossy |= {"signaled"}
        if self.is_error and self.point == "file.sync" and self.at == 1:
            lossy |= {"not_started"}  # refused: its start cannot be put on record
        return lossy


def kills(points):
    """Every point, its process dead: the first time, and where that differs a later time."""
    cases = [Case(point, "kill") for point in points if point not in NOT_IN_A_STORY]
    cases += [Case("file.written", "kill", 2), Case("shim.output.appended", "kill", 2),
              Case("shim.stdin.taken", "kill", 2), Case("controller.output.relayed", "kill", 2),
              Case("store.committing", "kill", 2), Case("store.committed", "kill", 2),
              Case("client.output.read", "kill", 2), Case("net.output.sent", "kill", 2)]
    return cases


def errors(points):
    """Disks that fail once: S1, S9, S13 to S15. A failed sync ends the controller, nothing else."""
    cases = [Case("store.sync", "error:EIO", at) for at in (1, 2, 4)]
    cases += [Case("store.write", f"error:{name}", at) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO")
              for at in (6, 9)]
    cases += [Case("file.sync", f"error:{name}", at) for name in ("EIO", "ENOSPC") for at in (1, 2)]
    cases += [Case("spool.write", f"error:{name}", at) for name in ("ENOSPC", "EDQUOT", "EIO")
              for at in (1, 2, 3)]
    return [case for case in cases if case.point in points]


def pairs(points):
    """Every point, its process standing still there while another one dies."""
    victims = ("controller", "net", "spawner", "shim", "job")
    return [Case(point, f"stop-{victim}") for point in points for victim in victims
            if point not in NOT_IN_A_STORY | AT_THE_END and point.split(".")[0] != "job"
            and point not in ("file.sync", "spool.write", "store.sync", "store.write")
            and not (victim == "shim" and point.startswith("shim."))]


def some(cases, count, seed=1):
    """The same few of many, spread by name."""
    return sorted(random.Random(seed).sample(cases, min(count, len(cases))),
                  key=lambda case: zlib.crc32(case.name.encode()))


def cases_of(processes_):
    """What one of the two files runs: the cases at points that these processes pass."""
    points = [point for point in faults.points(BINARY) if point.split(".")[0] in processes_]
    quick = SANITIZED or os.environ.get("REXEC_QUICK") == "1"
    dying = [case for case in kills(points) if case.point in points]
    paired = pairs(points)
    every = os.environ.get("REXEC_CRASH") == "all"
    return [*(some(dying, 16) if quick else dying), *errors(points),
            *(paired if every else some(paired, 4 if quick else 16))]


class Murder(threading.Thread):
    """Waits until a process stands at the point, kills another one, lets the first go on."""

    def __init__(self, cluster, orders, case):
        super().__init__(daemon=True)
        self.cluster, self.orders, self.case = cluster, orders, case
        self.killed, self.trouble, self.over = None, None, threading.Event()

    def run(self):
        while not self.over.is_set():
            fired = self.orders.fired().get(self.case.point)
            if fired:
                return self.do_it(fired[0])
            self.over.wait(0.01)

    def do_it(self, standing):
        # Written before the signal: it stands when its state says so.
        processes.wait_until(lambda: processes.stat_fields(standing)[:1] in ([b"T"], [], [b"Z"]),
                             "it stands still", 10)
        victim = self.find(standing)
        if victim:
            processes.kill_and_wait(victim)
            self.killed = victim
        self.orders.go_on(self.case.point)

    def find(self, standing):
        node = self.cluster.nodes["n1"]
        alive = self.cluster.controller.running, node.running
        found = {"controller": self.cluster.controller.pid if alive[0] else None,
                 "spawner": node.pid if alive[1] else None,
                 "net": node._find_net() if alive[1] else None}.get(self.case.victim)
        if self.case.victim in ("shim", "job"):
            found = self.of_a_job(self.case.victim)
        return None if found == standing else found

    def of_a_job(self, what):
        node = self.cluster.nodes["n1"]
        for directory in sorted((node.data / "jobs").glob("j-*.*")):
            job = directory.name.split(".")[0]
            found = node.shim_of(job) if what == "shim" else \
                next(iter(self.cluster.job_processes(job)), None)
            if found:
                return found
        return None


def tell(teller, story):
    if story == "join":
        return teller.joined(f"n{uuid.uuid4().hex[:8]}")
    if story == "stop":
        return teller.stopped()
    if story == "remove":
        return teller.removed(teller.detached())
    if story == "wait":
        return teller.waiting()
    if story == "schedule":
        return teller.scheduled()
    if story == "lose":
        return teller.lost()
    if story == "usual":
        teller.detached()
    return teller.attached()


def cross(cluster, scratch, case):
    """Returns the restarts it took; raises on any violation, and when the point was not passed."""
    scratch.mkdir()
    orders = faults.Orders(scratch / "orders", *case.orders())
    record = history.History(scratch / "history.jsonl")
    murder = Murder(cluster, orders, case) if case.victim else None
    with Supervised(cluster, orders.env) as kept:
        teller = Teller(cluster, record, scratch / "told", orders.env, case.lossy())
        if murder:
            murder.start()
        try:
            tell(teller, STORY.get(case.point, "usual"))
            teller.settle()
        finally:
            if murder:
                murder.over.set()
                murder.join(30)
    history.read_starts(record, teller.marks)
    history.read_records(record, cluster.nodes["n1"])
    history.read_audit(record, cluster.controller.data)
    assert case.point in orders.fired(), f"{case.name}: no process passed {case.point}"
    violations = checker.check(record.lines)
    assert not violations, "\n".join([f"{case.name}:", *violations, f"history: {record._path}"])
    return restarts(kept)


@contextlib.contextmanager
def resting_cluster():
    """One node, joined, and nothing running: each case starts its own daemons."""
    with Cluster(nodes=1) as cluster:
        cluster.nodes["n1"].stop()
        cluster.controller.stop()
        yield cluster
