"""The work that goes on while processes die: one class a kind of job, each knows its jobs' ends.

A kind is told `once(desk)` again and again by several threads; `desk` has the account, a seeded
random source and the history. `available` says whether this binary has the verb at all, so that a
kind can be here before its verb is. Nothing is judged here.
"""
import datetime
import json
import subprocess
import uuid
import zlib

from support import history, processes
from support.cli import BINARY

PATIENCE_S = 150     # one answer, while daemons die twice a second
RECONNECT = "120s"
MARK = 'echo "$REXEC_JOB $REXEC_ATTEMPT $$" >> "$0"; '
NEVER = ("lost", "signaled", "timeout", "stopped")


class Desk:
    """What one worker works with."""

    def __init__(self, cli, record, marks, random, over, nodes):
        self.cli, self.record, self.marks, self.random = cli, record, str(marks), random
        self.over, self.nodes = over, nodes
        self.scratch = cli.home / f"worker-{uuid.uuid4().hex}"
        self.scratch.mkdir()

    def key(self, kind):
        return f"{kind} {uuid.UUID(int=self.random.getrandbits(128)).hex}"

    def node_of(self, key):
        """The same for each try of one key."""
        return self.nodes[zlib.crc32(key.encode()) % len(self.nodes)]

    def ended_by(self, try_it, what):
        """The first answer; nobody asks on once the run is over and nothing is acknowledged."""
        return processes.wait_until(try_it, what, PATIENCE_S)

    def submit(self, key, *argv):
        def try_it():
            done = self.cli("submit", "--idempotency-key", key, "--connect-timeout", "3s", *argv,
                            timeout=PATIENCE_S)
            if done.code not in (0, 125, 121, 5):
                self.record.add("odd", what=f"submit exited {done.code}: {done.errors[-300:]}")
            return done.text.split() if done.code == 0 else None
        return self.ended_by(try_it, f"{key} is acknowledged")

    def wanted(self, key, kind, code, out, err=b"", **more):
        streams = {name: {"bytes": len(data), "sha256": history.digest(data)}
                   for name, data in (("out", out), ("err", err))}
        self.record.add("wanted", key=key, kind=kind,
                        tells={"marks": True, "code": code, "never": list(NEVER),
                               "streams": streams, "patient": True, **more})


def numbers(count):
    return b"".join(b"%d\n" % i for i in range(1, count + 1))


class Detached:
    """Submitted with a key, sometimes twice; its output is read back at the end."""

    name = "detached"
    available = staticmethod(lambda cli: True)

    def once(self, desk):
        key, count, code = desk.key(self.name), desk.random.randrange(20_000), \
            desk.random.randrange(100)
        desk.wanted(key, self.name, code, numbers(count), b"end\n")
        pause = desk.random.choice(["", "", "sleep 0.3; ", "sleep 2; "])
        script = MARK + f"{pause}seq 1 {count}; echo end >&2; exit {code}"
        for _ in range(desk.random.choice([1, 1, 2])):
            job = desk.submit(key, "--sha256", desk.node_of(key), "sh", "-c", script, desk.marks)[0]
            desk.record.add("ack", key=key, job=job)


class Attached:
    """A run with stdin that a client follows; a client that dies is started again, same key."""

    name = "attached"
    available = staticmethod(lambda cli: True)

    def once(self, desk):
        key, code = desk.key(self.name), desk.random.randrange(100)
        data = desk.random.randbytes(desk.random.choice([0, 10, 50_000, 900_000, 3_000_000]))
        desk.wanted(key, self.name, code, b"begin\n" + data, b"end\n")
        script = MARK + f"echo begin; cat; echo end >&2; exit {code}"
        argv = ("--sha256", "-i", "--idempotency-key", key, "--reconnect", RECONNECT,
                desk.node_of(key), "sh", "-c", script, desk.marks)
        deadly = desk.random.random() < 0.2

        def try_it():
            nonlocal deadly
            patience, deadly = (desk.random.random() * 0.5 if deadly else None), False
            return self.follow(desk, key, argv, data, patience)
        desk.ended_by(try_it, f"{key} has an end")

    def follow(self, desk, key, argv, data, patience):
        """False: no outcome yet. `patience`: after so many seconds this client is killed."""
        status = desk.scratch / uuid.uuid4().hex
        process = subprocess.Popen([str(BINARY), "run", "--status-file", str(status), *argv],
                                   env=desk.cli.env, stdin=subprocess.PIPE,
                                   stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        try:
            out, err = process.communicate(data, timeout=patience or PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            if patience is None:
                desk.record.add("odd", what=f"{key}: no end in {PATIENCE_S} s: {err[-300:]!r}")
        told = [json.loads(line) for line in status.read_text().splitlines()] \
            if status.exists() else []
        for one in told:
            if one.get("job"):
                self.tell(desk, key, one, b"begin\n" + data, out)
        if process.returncode not in (0, -9, 121, 122, 125) and not any(
                one.get("job") for one in told):
            desk.record.add("odd", what=f"{key}: {process.returncode}: {err[-300:]!r}")
        return any(one.get("job") and one["outcome"] != "not_started" for one in told)

    def tell(self, desk, key, one, expected, out):
        desk.record.add("ack", key=key, job=one["job"])
        desk.record.outcome("client", one)
        desk.record.add("output", job=one["job"], source="client", stream="out", bytes=len(out),
                        whole=bool(one.get("complete")), sha256=history.digest(out),
                        prefix_ok=expected.startswith(out))


class FanOut:
    """One submit for all nodes; the digests of the records say what the jobs wrote."""

    name = "fan-out"
    available = staticmethod(lambda cli: True)

    def once(self, desk):
        request, count = desk.key(self.name), desk.random.randrange(5_000)
        script = MARK + f"seq 1 {count}; exit 7"
        jobs = desk.submit(request, "--sha256", ",".join(desk.nodes), "sh", "-c", script,
                           desk.marks)
        for number, job in enumerate(jobs):
            # A node that was away when this came is "unreachable" and has no start.
            desk.wanted(f"{request} {number}", self.name, 7, numbers(count))
            desk.record.add("ack", key=f"{request} {number}", job=job)


class Stopped:
    """A job that waits for ever, and a stop; ended as a whole, whoever was away meanwhile."""

    name = "stopped"
    available = staticmethod(lambda cli: True)

    def once(self, desk):
        key = desk.key(self.name)
        desk.record.add("wanted", key=key, kind=self.name,
                        tells={"marks": True, "never": ["lost", "exited", "timeout"]})
        script = MARK + "sleep 1000 & wait"
        job = desk.submit(key, desk.node_of(key), "sh", "-c", script, desk.marks)[0]
        desk.record.add("ack", key=key, job=job)
        desk.ended_by(lambda: desk.cli("stop", "--grace", "200ms", job,
                                       timeout=PATIENCE_S).code in (0, 3), f"{job} is stopped")


def knows(cli, *words):
    """Whether this binary's help of a verb names a flag."""
    done = cli(words[0], "--help")
    return done.code == 0 and all(word in done.text for word in words[1:])


class Restarted:
    """A job that fails twice and is started again by its policy: three attempts, each once."""

    name = "restarted"

    @staticmethod
    def available(cli):
        return knows(cli, "submit", "--restart")

    def once(self, desk):
        key = desk.key(self.name)
        desk.record.add("wanted", key=key, kind=self.name,
                        tells={"marks": True, "never": ["stopped", "timeout"]})
        script = MARK + 'echo attempt $REXEC_ATTEMPT; [ "$REXEC_ATTEMPT" -ge 3 ]'
        job = desk.submit(key, "--restart", "on-failure:5", desk.node_of(key), "sh", "-c", script,
                          desk.marks)[0]
        desk.record.add("ack", key=key, job=job)


class Scheduled:
    """A schedule that fires each second for a while: each nominal time once, none left out."""

    name = "scheduled"

    @staticmethod
    def available(cli):
        return knows(cli, "schedule", "add")

    def once(self, desk):
        name = f"beat-{uuid.UUID(int=desk.random.getrandbits(128)).hex[:12]}"
        beats = desk.scratch / name
        node = desk.node_of(name)
        script = MARK + f"echo $REXEC_NOMINAL >> {beats}"
        # 6: an earlier try got through and its answer got lost.
        self.answered(desk, (0, 6), "add", name, "--every", "1s", "--overlap", "queue",
                      "--catch-up", "all", node, "--", "sh", "-c", script, desk.marks)
        desk.over.wait(desk.random.uniform(2, 8))
        self.answered(desk, (0,), "pause", name)
        desk.ended_by(lambda: self.is_quiet(desk, name, node), f"{name} is paused")
        self.look_at_times(desk, name, beats.read_text().split() if beats.exists() else [])
        self.answered(desk, (0, 3), "rm", name)

    def answered(self, desk, codes, *words):
        def try_it():
            done = desk.cli("schedule", *words, timeout=PATIENCE_S)
            if done.code not in (0, 1, 5, 121, 125, *codes):
                desk.record.add("odd", what=f"schedule {words[:2]}: {done.code} {done.errors}")
            return done.code in codes
        desk.ended_by(try_it, f"schedule {words[:2]}")

    def is_quiet(self, desk, name, node):
        done = desk.cli("schedule", "show", name, "--json", timeout=PATIENCE_S)
        if done.code != 0:
            return False
        row = next((row for row in done.json()["nodes"] if row["node"] == node), None)
        return row and row["held"] == 0 and row["running"] == 0

    def look_at_times(self, desk, name, said):
        times = [datetime.datetime.fromisoformat(text.replace("Z", "+00:00")) for text in said]
        if len(set(times)) != len(times):
            desk.record.add("odd", what=f"{name} fired twice: {said}")
        acked = set(desk.record.acked().values())
        excused = any(line["t"] == "killed" and line["job"] not in acked
                      for line in desk.record.lines)
        times = sorted(set(times))
        gaps = [b for a, b in zip(times, times[1:]) if (b - a).total_seconds() != 1]
        if gaps and not excused:
            desk.record.add("odd", what=f"{name} left out a time before {gaps}: {said}")


KINDS = [Detached(), Attached(), FanOut(), Stopped(), Restarted(), Scheduled()]
