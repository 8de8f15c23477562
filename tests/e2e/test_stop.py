"""A job's end waits for no reader: stop, timeout and wait act while nobody drains the output."""
import os
import signal

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
    with Stalled(cluster) as stalled:
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
