"""kill -9 of everything at seeded moments while jobs come and go (FAULTS K14): invariants I1 to I5.

The order of kills and jobs comes from one seed, which is printed; REXEC_SEED repeats it.
"""
import os
import random
import threading

import pytest

from support import processes

JOBS = 40


class Storm(threading.Thread):
    """Kills and restarts until told to stop; each step when the one before is through."""

    def __init__(self, cluster, source):
        super().__init__(daemon=True)
        self.cluster, self.source, self.over = cluster, source, threading.Event()
        self.count, self.trouble = 0, None

    def run(self):
        try:
            while not self.over.is_set():
                self.step()
                self.count += 1
        except BaseException as error:  # pylint: disable=broad-except
            self.trouble = error

    def step(self):
        node = self.cluster.nodes[self.source.choice(["n1", "n2"])]
        what = self.source.choice(["controller", "net", "net", "spawner", "both"])
        if what == "controller":
            self.cluster.controller.restart()
        elif what == "net":
            node.kill_net()
        elif what == "spawner":
            node.kill()
            node.start()
        else:
            node.kill()
            self.cluster.controller.restart()
            node.start()


def command(number, file):
    """A job that leaves a mark where it starts, says known words, and ends with a known code."""
    return (f"echo start >> {file}; seq {number} {number + 2000}; echo end >&2; "
            f"exit {40 + number % 7}")


def submit(cli, number, file):
    """Until it is acknowledged; the key makes repeats harmless."""
    def try_it():
        done = cli("submit", "--idempotency-key", f"chaos {file}", f"n{number % 2 + 1}", "sh", "-c",
                   command(number, file))
        return done.text.strip() if done.code == 0 else None
    return processes.wait_until(try_it, f"job {number} is acknowledged", 60)


def until_answered(cli, *argv):
    def try_it():
        done = cli(*argv)
        # 5 and a lost link in the middle of the storm's end are no answer.
        return done if done.code not in (5, 121, 125) else None
    return processes.wait_until(try_it, f"an answer to {argv}", 60)


@pytest.mark.limit(400)
def test_acknowledged_jobs_run_once_and_end_once_whatever_dies(make_cluster, tmp_path):
    seed = int(os.environ.get("REXEC_SEED", random.randrange(1 << 32)))
    print(f"REXEC_SEED={seed}")
    cluster = make_cluster(nodes=2)
    storm = Storm(cluster, random.Random(seed))
    storm.start()
    jobs = {}
    try:
        for number in range(JOBS):
            jobs[number] = submit(cluster.cli, number, tmp_path / f"{number}")
    finally:
        storm.over.set()
        storm.join(120)
    assert storm.trouble is None, storm.trouble
    print(f"{storm.count} kills while {JOBS} jobs were submitted")
    cluster.wait_online("n1", "n2", timeout=60)
    for number, job in jobs.items():
        assert until_answered(cluster.cli, "wait", job).code == 40 + number % 7, (seed, number, job)
        shown = cluster.cli.job(job)
        assert shown["record"]["outcome"] == "exited" and shown["record"]["complete"]
        assert (tmp_path / f"{number}").read_text() == "start\n", (seed, number, job)
        logs = cluster.cli("logs", job).ok()
        assert logs.text == "".join(f"{i}\n" for i in range(number, number + 2001)), (seed, number)
        assert logs.err == b"end\n"
    assert len(cluster.cli("ps", "-a", "-n", "200", "--json").json()) == JOBS


@pytest.mark.limit(400)
def test_attached_runs_come_through_the_storm(make_cluster, tmp_path):
    seed = int(os.environ.get("REXEC_SEED", random.randrange(1 << 32)))
    print(f"REXEC_SEED={seed}")
    cluster = make_cluster(nodes=2)
    runs = {}
    for number in range(8):
        gate = tmp_path / f"gate{number}"
        os.mkfifo(gate)
        script = f"echo start >> {tmp_path}/{number}; cat {gate}; seq 1 50000; exit {number}"
        runs[number] = cluster.cli.popen("run", "--reconnect", "200s", f"n{number % 2 + 1}", "sh", "-c",
                                         script)
    for number in runs:
        processes.wait_until((tmp_path / f"{number}").exists, f"job {number} runs")
    storm = Storm(cluster, random.Random(seed))
    storm.start()
    try:
        processes.wait_until(lambda: storm.count >= 6 or storm.trouble, "six kills", 120)
        for number in runs:
            (tmp_path / f"gate{number}").write_text("go\n")
        processes.wait_until(lambda: storm.count >= 9 or storm.trouble, "three more", 120)
    finally:
        storm.over.set()
        storm.join(120)
    assert storm.trouble is None, storm.trouble
    expected = b"go\n" + b"".join(b"%d\n" % i for i in range(1, 50_001))
    for number, run in runs.items():
        out, err = run.communicate(timeout=120)
        assert run.returncode == number, (seed, number, err)
        assert out == expected, (seed, number, len(out))
        assert (tmp_path / f"{number}").read_text() == "start\n"
