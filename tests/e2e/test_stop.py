"""A job's end waits for no reader: stop, timeout and wait act while nobody drains the output."""
import os
import signal
import subprocess

import pytest

from support import processes
from support.running import Running

# Says who it is and floods. Held back after its quota at the latest.
FLOOD = "echo $REXEC_JOB; exec yes"


def wait_held(job):
    """The flood stands still: its processes are blocked in a write, and have been since a look."""
    seen = [None]

    def stands_still():
        yes = [pid for pid in processes.with_environment("REXEC_JOB", job)
               if processes.cmdline(pid) == [b"yes"]]
        now = [processes.read(pid, "io").split()[3] for pid in yes]
        before, seen[0] = seen[0], now
        return now and now == before and all(
            b"pipe_write" in processes.read(pid, "wchan") for pid in yes)
    processes.wait_until(stands_still, f"{job} is held back")


class Stalled:
    """A client nobody reads from, whose job is held back."""

    def __init__(self, cluster, *flags, command=FLOOD):
        self.running = Running(cluster.cli, *flags, "n1", "sh", "-c", command, keep=False)
        self.cluster = cluster

    def __enter__(self):
        self.running.out.pause()
        self.job = processes.wait_until(self.newest, "the job runs")
        wait_held(self.job)
        return self

    def newest(self):
        names = self.cluster.cli("ps", "-o", "name", "-n", "1").text.split()
        return names[0] if names else None

    def __exit__(self, *exc):
        self.running.__exit__(*exc)


def check_whole(cluster, job):
    """The record is complete and the spool has every byte of it."""
    record = cluster.cli.job(job)["record"]
    assert record["complete"] is True, record
    logs = cluster.cli("logs", job).ok()
    assert len(logs.out) == record["bytes"]["out"]
    assert logs.out.endswith(b"y\n" * 1000) or logs.out.endswith(b"\ny" * 1000)
    return record


def test_stop_ends_a_held_job_whose_client_was_killed(cluster):
    with Stalled(cluster, "--on-disconnect", "stop-after=10m", "--idempotency-key", "k") as stalled:
        os.kill(stalled.running.pid, signal.SIGKILL)
        cluster.cli("stop", "--grace", "1", stalled.job, timeout=8).ok()
        assert cluster.cli("wait", stalled.job, timeout=8).code == 143
        assert cluster.cli.job(stalled.job)["state"] == "stopped"
        assert not processes.with_environment("REXEC_JOB", stalled.job)
        check_whole(cluster, stalled.job)


def test_stop_ends_a_held_job_while_its_client_stands_still_and_loses_it_nothing(cluster):
    with Stalled(cluster) as stalled:
        cluster.cli("stop", "--grace", "1", stalled.job, timeout=8).ok()
        record = check_whole(cluster, stalled.job)
        stalled.running.out.resume()
        done = stalled.running.finish()
        assert done.code == 143, done
        assert stalled.running.out.count == record["bytes"]["out"]


def test_stop_kills_what_ignores_term_in_a_held_job(cluster):
    command = "trap '' TERM; echo $REXEC_JOB; (setsid yes) & yes"
    with Stalled(cluster, command=command) as stalled:
        cluster.cli("stop", "--grace", "0.2", stalled.job, timeout=8).ok()
        assert not processes.with_environment("REXEC_JOB", stalled.job)
        assert cluster.cli.job(stalled.job)["record"]["signal"] == signal.SIGKILL


@pytest.mark.parametrize("children", ["kill", "wait"])
def test_a_timeout_ends_a_held_job_whose_client_stands_still(cluster, children):
    with Stalled(cluster, "--timeout", "2", "--children", children) as stalled:
        assert cluster.cli("wait", stalled.job, timeout=8).code == 124
        record = check_whole(cluster, stalled.job)
        stalled.running.out.resume()
        assert stalled.running.finish().code == 124
        assert stalled.running.out.count == record["bytes"]["out"]


def test_many_are_stopped_side_by_side(cluster, tmp_path):
    """All of them have had their TERM while the first has not ended yet."""
    jobs = []
    for number in range(10):
        script = f"trap 'touch {tmp_path}/{number}' TERM; while :; do sleep 0.02; done"
        jobs.append(cluster.cli.submit("n1", "sh", "-c", script))
        processes.wait_until(lambda: cluster.job_processes(jobs[-1]), "it runs")
    stop = cluster.cli.popen("stop", "--grace", "60s", *jobs, "j-zzzz")
    processes.wait_until(lambda: len(list(tmp_path.iterdir())) == 10, "each has heard of it")
    assert stop.poll() is None
    for job in jobs:
        for pid in cluster.job_processes(job):
            processes.kill(pid)
    out, errors = stop.communicate(timeout=30)
    assert stop.returncode == 7 and b"j-zzzz" in errors, errors
    assert sorted(out.decode().split()) == sorted([*jobs, *["stopped"] * 10])


def test_a_stop_that_overtakes_its_start_leaves_nothing_running(make_cluster, tmp_path):
    """Requests do not wait behind data, so a stop may come before the spec of the job it ends."""
    cluster = make_cluster(nodes=0)
    proxy = cluster.proxy()
    cluster.add_node("n1", through=proxy)
    # Nobody reads this stdin, so it fills what lies between controller and node, and stays there.
    with Running(cluster.cli, "-i", "n1", "sh", "-c", "echo up; read x; exec sleep 600",
                 stdin=subprocess.PIPE) as flood:
        assert flood.line() == "up"
        proxy.hold()
        os.set_blocking(flood.process.stdin.fileno(), False)
        sent = 0

        def is_full():
            nonlocal sent
            before = sent
            try:
                sent += os.write(flood.process.stdin.fileno(), b"x" * 65536)
            except BlockingIOError:
                pass
            return sent > 1 << 20 and sent == before
        processes.wait_until(is_full, "the way to the node is full")
        job = cluster.cli.submit("n1", "sh", "-c", f"echo started > {tmp_path}/mark; sleep 600")
        stop = cluster.cli.popen("stop", "--grace", "0s", job)
        cluster.cli("ps").ok()  # asked later, so the stop is with the controller
        proxy.release()
        stop.communicate(timeout=30)
        assert stop.returncode == 0
        shown = cluster.cli.job(job)
        assert shown["record"]["outcome"] == "stopped"
        # Everything sent before this is there by now; what is said to be over does not run.
        assert cluster.cli("run", "n1", "true").code == 0
        if (tmp_path / "mark").exists():
            assert "xxh128" in shown["record"], f"it began, and its node does not say so: {shown}"
        assert not cluster.job_processes(job)
        assert cluster.cli("attach", job).code == shown["record"]["code"]
