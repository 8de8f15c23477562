"""A node whose disk is full: its jobs can be ended, their records are written, new ones hear why."""
import os
import shlex
import stat

import pytest

from support import processes
from support.accounts import can_have_accounts
from support.cli import BINARY

SMALL_DISK = pytest.mark.skipif(not can_have_accounts(), reason="not here: not root, or no mounts")
DISK = "24m"
FULL = 1 << 20  # a job that was held for room takes back what it had written of its last frame


@pytest.fixture
def small(make_cluster):
    """A cluster whose node n1 has a disk of 24 MiB to itself."""
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    disk, data = cluster.root / "disk", node.data
    disk.mkdir()
    steps = ["mount --make-rprivate /",
             f"mount -t tmpfs -o size={DISK},mode=711 none {shlex.quote(str(disk))}",
             f"cp -a {shlex.quote(str(data))}/. {shlex.quote(str(disk))}",
             f"mount --bind {shlex.quote(str(disk))} {shlex.quote(str(data))}",
             f'exec {shlex.quote(str(BINARY))} "$@"']
    script = cluster.root / "small-rexec"
    script.write_text(f"#!/bin/sh\nexec unshare -m sh -c {shlex.quote(' && '.join(steps))} x \"$@\"\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    node.binary = script
    node.start()
    return cluster


def inside(node):
    """The node's data directory as its agent sees it."""
    return f"/proc/{node.pid}/root{node.data}"


def free(node):
    disk = os.statvfs(inside(node))
    return disk.f_bavail * disk.f_frsize


def fill(cluster, *options, command=("yes",)):
    """A job whose output nobody reads fills the disk; its id."""
    job = cluster.cli.submit("--output-quota", "1T", *options, "n1", *command)
    processes.wait_until(lambda: free(cluster.nodes["n1"]) < FULL, "the disk is full", 60)
    return job


def room_is_back(node):
    processes.wait_until(lambda: free(node) > 16 << 20, "the job's output has left the disk")


@SMALL_DISK
def test_a_job_that_fills_its_nodes_disk_can_be_stopped_and_gives_it_back(small):
    job = fill(small)
    small.cli("stop", "--grace", "500ms", job).ok()
    record = small.cli.job(job)["record"]
    assert record["outcome"] == "stopped" and record["complete"] is False, record
    assert record["dropped"]["out"] > 0, record
    assert "disk was full" in record["message"]
    room_is_back(small.nodes["n1"])
    assert small.cli.run("n1", "echo", "again").text == "again\n"


@SMALL_DISK
def test_a_limit_ends_a_job_on_a_full_disk(small):
    limited = small.cli.submit("--timeout", "10s", "--grace", "200ms", "n1", "yes")
    filler = fill(small)
    assert small.cli("wait", limited).code == 124
    assert small.cli.job(limited)["record"]["outcome"] == "timeout"
    small.cli("stop", "--grace", "200ms", filler).ok()


@SMALL_DISK
def test_what_ended_by_itself_on_a_full_disk_waits_for_room_until_it_is_stopped(small):
    job = fill(small)
    node = small.nodes["n1"]
    processes.wait_until(lambda: "cannot be kept" in small.cli.job(job).get("held", ""),
                         "its output waits for room", 60)
    for pid in processes.with_environment("REXEC_JOB", job):
        processes.kill_and_wait(pid)
    assert small.cli.job(job)["state"] == "running"
    small.cli("stop", job).ok()
    record = small.cli.job(job)["record"]
    assert record["outcome"] == "signaled" and record["signal"] == 9, record
    room_is_back(node)


@SMALL_DISK
def test_a_new_job_on_a_full_disk_is_refused_with_the_reason(small):
    job = fill(small)
    done = small.cli.run("n1", "true")
    assert done.code == 125 and done.status["outcome"] == "not_started", done
    assert "the disk of node n1 is full" in done.errors, done
    small.cli("stop", "--grace", "200ms", job).ok()


@SMALL_DISK
def test_every_job_of_a_full_disk_has_room_for_its_record(small):
    """Others that ran while the disk was filled, by themselves and by a kill of their supervisor."""
    node = small.nodes["n1"]
    quiet = [small.cli.submit("n1", "sh", "-c", "trap 'exit 7' USR1; while :; do sleep 0.05; done")
             for _ in range(3)]
    shims = [processes.wait_until(lambda j=job: shim_inside(node, j), "it runs") for job in quiet]
    filler = fill(small)
    processes.kill_and_wait(shims[0])
    small.cli("stop", "--signal", "USR1", quiet[1])
    for pid in processes.with_environment("REXEC_JOB", quiet[1]):
        processes.kill(pid)
    small.cli("stop", "--grace", "200ms", quiet[2]).ok()
    outcomes = []
    for job in quiet:
        small.cli("wait", job)
        outcomes.append(small.cli.job(job)["record"]["outcome"])
    assert outcomes[0] == "lost" and outcomes[2] == "stopped", outcomes
    assert outcomes[1] in ("exited", "signaled", "stopped"), outcomes
    assert free(node) < FULL, "all of that while the disk was full"
    small.cli("stop", "--grace", "200ms", filler).ok()


def shim_inside(node, job):
    for pid in processes.with_environment("REXEC_JOB", job):
        return int(processes.stat_fields(pid)[1])
    return None
