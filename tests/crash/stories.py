"""What people do while processes die: small stories on one node, each recorded in a history.

A story knows beforehand what its jobs write and how they end, and repeats what a person would
repeat: a submit without an answer, with the same key. Nothing is judged here (support/checker.py).
"""
import datetime
import json
import os
import pathlib
import subprocess
import uuid

from support import history, processes
from support.cli import BINARY

PATIENCE_S = 60
SOON_S = 8  # a time that is not past when a controller was killed and started before it was told
RUN_S = 60
# The first thing a job does: one short append is one write, so a second start is seen.
MARK = 'echo "$REXEC_JOB $REXEC_ATTEMPT $$" >> "$0"; '
STDIN = b"".join(b"line %d of stdin\n" % i for i in range(9000))
WORDS = b"".join(b"%d\n" % i for i in range(1, 4001))


def tells(code, out, err=b"", never=("lost", "stopped", "timeout", "signaled")):
    return {"marks": True, "code": code, "never": list(never),
            "streams": {name: {"bytes": len(data), "sha256": history.digest(data)}
                        for name, data in (("out", out), ("err", err))}}


class Teller:
    """Tells stories on one cluster whose daemons somebody else keeps alive."""

    def __init__(self, cluster, record, scratch, env, lossy=()):
        self.cluster, self.record, self.env = cluster, record, {**cluster.cli.env, **env}
        self.scratch = pathlib.Path(scratch)
        self.scratch.mkdir(exist_ok=True)
        self.marks = self.scratch / "marks"
        self.never = [one for one in ("lost", "stopped", "timeout", "signaled")
                      if one not in lossy]
        self.content = {}

    def cli(self, *argv, **options):
        return self.cluster.cli(*argv, env=self.env, **options)

    def wanted(self, key, kind, code, out, err=b""):
        self.content[key] = {"out": out, "err": err}
        self.record.add("wanted", key=key, kind=kind, tells=tells(code, out, err, self.never))

    def ack(self, key, job):
        self.record.add("ack", key=key, job=job)
        return job

    # ---- stories

    def detached(self, code=41):
        """A submit until it is acknowledged, and once more: the same job."""
        key = f"detached {uuid.uuid4().hex}"
        self.wanted(key, "detached", code, WORDS, b"end\n")
        script = MARK + f"seq 1 4000; echo end >&2; exit {code}"
        for _ in range(2):
            job = self.submit(key, "--sha256", "n1", "sh", "-c", script, str(self.marks))
        self.job_ends(key, job)
        return job

    def submit(self, key, *argv):
        def try_it():
            done = self.cli("submit", "--idempotency-key", key, "--connect-timeout", "5s", *argv)
            return done.text.strip() if done.code == 0 else None
        return self.ack(key, processes.wait_until(try_it, f"{key} is acknowledged", PATIENCE_S))

    def attached(self, code=42):
        """A run with stdin, repeated with the same key and the same stdin if its client dies."""
        key = f"attached {uuid.uuid4().hex}"
        self.wanted(key, "attached", code, b"begin\n" + STDIN, b"end\n")
        script = MARK + f"echo begin; cat; echo end >&2; exit {code}"
        argv = ("--sha256", "-i", "--idempotency-key", key, "--reconnect", f"{RUN_S}s", "n1", "sh",
                "-c", script, str(self.marks))

        def try_it():
            ended = self.run_once(key, *argv, stdin=STDIN)
            return ended if ended is not None and ended.returncode not in (-9, 125) else None
        ended = processes.wait_until(try_it, f"{key} has an end", PATIENCE_S)
        return ended

    def run_once(self, key, *argv, stdin=b""):
        """One client; what it was told goes into the history, however it ends."""
        status = self.scratch / f"status-{uuid.uuid4().hex}"
        ended = subprocess.run([str(BINARY), "run", "--status-file", str(status), *argv],
                               env=self.env, input=stdin, capture_output=True, timeout=RUN_S + 20,
                               check=False)
        self.record.add("client", key=key, code=ended.returncode, err=ended.stderr.decode()[-400:])
        for line in status.read_text().splitlines() if status.exists() else ():
            told = json.loads(line)
            if not told.get("job"):
                continue  # it never heard of one
            self.ack(key, told["job"])
            self.record.outcome("client", told)
            for stream, data in (("out", ended.stdout), ("err", ended.stderr)):
                own = [line for line in data.splitlines(True) if not line.startswith(b"rexec: ")] \
                    if stream == "err" else [data]
                self.output(key, told["job"], "client", stream, b"".join(own),
                            whole=told.get("complete", False))
        return ended

    def output(self, key, job, source, stream, data, whole):
        expected = self.content[key][stream]
        self.record.add("output", job=job, source=source, stream=stream, whole=whole,
                        bytes=len(data), sha256=history.digest(data),
                        prefix_ok=expected.startswith(data))

    def stopped(self):
        """A job that waits for ever, and a stop that is repeated until it is answered."""
        key = f"stopped {uuid.uuid4().hex}"
        self.content[key] = {"out": b"", "err": b""}
        self.record.add("wanted", key=key, kind="stopped", tells={"marks": True})
        gate = self.scratch / f"gate-{uuid.uuid4().hex}"
        os.mkfifo(gate)
        job = self.submit(key, "n1", "sh", "-c", MARK + f"cat {gate}", str(self.marks))
        self.until_answered("stop", job)
        self.job_ends(key, job, with_logs=False)
        return job

    def waiting(self):
        """Two jobs that share a slot, one after the first, one that can never start."""
        slot, jobs = self.scratch / f"slot-{uuid.uuid4().hex}", []
        alone = MARK + f'mkdir {slot} || exit 9; seq 1 4000; rmdir {slot}; exit 43'
        for number in range(2):
            key = f"slot{number} {uuid.uuid4().hex}"
            self.wanted(key, "detached", 43, WORDS)
            jobs.append((key, self.submit(key, "--lock", "slot", "n1", "sh", "-c", alone,
                                          str(self.marks))))
        key = f"after {uuid.uuid4().hex}"
        self.wanted(key, "detached", 44, WORDS)
        jobs.append((key, self.submit(key, "--after", f"{jobs[0][1]}:fail", "n1", "sh", "-c",
                                      MARK + "seq 1 4000; exit 44", str(self.marks))))
        key = f"never {uuid.uuid4().hex}"
        self.content[key] = {"out": b"", "err": b""}
        self.record.add("wanted", key=key, kind="never", tells={"marks": False})
        never = self.submit(key, "--after", f"{jobs[0][1]}:ok", "n1", "sh", "-c",
                            MARK + "exit 45", str(self.marks))
        for known, job in jobs:
            self.job_ends(known, job)
        self.job_ends(key, never, with_logs=False)
        assert never not in self.marked(), f"{never} ran, though what it is after has failed"

    def scheduled(self):
        """A firing some seconds from now, of a schedule that is added until somebody has it."""
        name = f"once-{uuid.uuid4().hex[:8]}"
        self.wanted(name, "detached", 46, WORDS)
        fired = self.scratch / f"fired-{name}"
        soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=SOON_S)
        script = f'echo $REXEC_JOB >> {fired}; ' + MARK + "seq 1 4000; exit 46"
        done = self.until_answered("schedule", "add", name, "--at", soon.strftime("%FT%TZ"), "n1",
                                   "sh", "-c", script, str(self.marks))
        assert done.code in (0, 6), done  # 6: an earlier try had it stored
        processes.wait_until(lambda: fired.exists() and fired.read_text().endswith("\n"),
                             f"{name} fires", PATIENCE_S)
        job = self.ack(name, fired.read_text().split()[0])
        processes.wait_until(lambda: self.show(job), f"{job} is known", PATIENCE_S)
        self.job_ends(name, job)
        assert fired.read_text().split() == [job], "it fires once"
        self.until_answered("schedule", "rm", name)

    def lost(self):
        """The shim of a running job is killed."""
        key = f"lost {uuid.uuid4().hex}"
        self.content[key] = {"out": b"before\n", "err": b""}
        self.record.add("wanted", key=key, kind="lost", tells={"marks": True})
        gate = self.scratch / f"gate-{uuid.uuid4().hex}"
        os.mkfifo(gate)
        job = self.submit(key, "n1", "sh", "-c", MARK + f"echo before; cat {gate}", str(self.marks))
        node = self.cluster.nodes["n1"]
        processes.wait_until(lambda: job in self.marked(), "the job runs", PATIENCE_S)
        shim = node.shim_of(job)
        if shim:
            processes.kill(shim)
        self.job_ends(key, job, with_logs=False)
        return job

    def removed(self, job):
        """A finished job is removed, until somebody says that it is gone."""
        def try_it():
            done = self.cli("job", "rm", job)
            return done.code == 0 or done.code == 3
        processes.wait_until(try_it, f"{job} is removed", PATIENCE_S)
        self.record.add("effect", verb="job.rm", job=job)

    def joined(self, name):
        """Another node enrols, with the same token until it is in."""
        token = self.token(name)
        data = self.scratch / name

        def try_it():
            return self.cli("join", token, "--data", str(data), "--no-start").code == 0
        processes.wait_until(try_it, f"{name} has joined", PATIENCE_S)

    def token(self, name):
        def try_it():
            done = self.cli("token", "new", "--node", name, "--json")
            return done.json()["token"] if done.code == 0 else None
        return processes.wait_until(try_it, "a token", PATIENCE_S)

    # ---- what became of it

    def marked(self):
        text = self.marks.read_text() if self.marks.exists() else ""
        return {line.split()[0] for line in text.splitlines()}

    def until_answered(self, *argv):
        def try_it():
            done = self.cli(*argv)
            # Lost links and dying controllers are no answer.
            return done if done.code not in (1, 5, 121, 125, -9) else None
        return processes.wait_until(try_it, f"an answer to {argv}", PATIENCE_S)

    def show(self, job):
        def try_it():
            done = self.cli("job", "show", job, "--json")
            return done if done.code in (0, 3) else None
        done = processes.wait_until(try_it, f"an answer about {job}", PATIENCE_S)
        if done.code == 3:
            return None
        shown = done.json()
        self.record.add("shown", job=job, state=shown["state"], final=bool(shown.get("record")),
                        run=shown.get("run"))
        if shown.get("record"):
            self.record.outcome("controller", shown["record"], job)
        return shown

    def job_ends(self, key, job, with_logs=True):
        def has_ended():
            shown = self.show(job)
            return shown is None or shown.get("record")
        processes.wait_until(has_ended, f"{job} has an end", PATIENCE_S)
        shown = self.show(job)
        if with_logs and not (shown and shown["record"]["outcome"] == "not_started"):
            logs = self.until_answered("logs", job)
            whole = bool(shown and shown["record"].get("complete")) and logs.code == 0
            self.output(key, job, "logs", "out", logs.out, whole)

    def settle(self):
        """After all stories: every job that was acknowledged, and every job there is, once more."""
        listed = self.until_answered("ps", "-a", "-n", "200", "--json").json()
        for row in listed:
            if not row.get("record"):
                # Of a client that died for good: a person would end it.
                self.until_answered("stop", "--grace", "0s", row["job"])
        for job in {*self.record.acked().values(), *(row["job"] for row in listed)}:
            self.show(job)
            for pid in self.cluster.job_processes(job):
                self.record.add("leftover", job=job, pid=pid)
        # An attached run's rows may wait 100 ms for company; this commit takes them along.
        self.token("somebody")
