"""Output that was read whole goes keep_read_output later, whatever dies in between: never before, never
twice, and what was not read stays."""
import contextlib
import json
import os
import signal

import pytest

from support import processes
from support.kept import MIB, job_of, keep, spools
from support.running import Running

KEPT_MS = 3_000  # longer than a restart on a machine with nothing else to do


def note_of(node, job):
    """The record's note of what was given up; None: it is there."""
    [directory] = node.job_dirs(job)
    return json.loads((directory / "exit").read_text()).get("given_up")


def given_up(node, job):
    processes.wait_until(lambda: not spools(node, job), "what was read is given up")
    return note_of(node, job)


def mark_of(node, job):
    """When the node heard that it was read, in ms; None: it has not."""
    [directory] = node.job_dirs(job)
    mark = directory / "read"
    return mark.stat().st_mtime_ns / 1e6 if mark.exists() else None


def unread_ones(cluster):
    """Jobs whose output nobody received to the end."""
    words = ["n1", "--", "head", "-c", str(MIB + 1), "/dev/zero"]
    jobs = [cluster.cli.submit(*words)]
    with Running(cluster.cli, "--on-disconnect", "keep", *words) as run:
        run.out.pause()
        run.out.wait_count(1)
        run.process.kill()
    jobs += [row["job"] for row in cluster.cli("ps", "-a", "--json").ok().json() if row["job"] not in jobs]
    for job in jobs:
        cluster.cli("wait", job).ok()
    assert len(jobs) == 2
    return jobs


def read_whole(cluster):
    """A run that has received its output; the node may not have heard of that yet."""
    done = cluster.cli("run", "n1", "--", "head", "-c", str(MIB), "/dev/zero").ok()
    assert len(done.out) == MIB
    return job_of(cluster.cli, f"head -c {MIB} ")


def stop_and_start(node):
    node.stop()
    node.start()


KILLS = {"stopped": stop_and_start, "killed": lambda node: node.restart(), "net": lambda node: node.kill_net()}


@pytest.mark.parametrize("kill", KILLS.values(), ids=KILLS)
def test_what_was_read_goes_in_its_time_when_the_agent_dies_before(cluster, kill):
    node = keep(cluster, keep_read_output=f"{KEPT_MS}ms")
    unread = unread_ones(cluster)
    job = read_whole(cluster)
    read = processes.wait_until(lambda: mark_of(node, job), "the node hears that it was read")
    kill(node)
    note = given_up(node, job)
    assert note["why"] == "read" and note["ms"] >= int(read) + KEPT_MS, (note, read)
    kill(node)
    cluster.wait_online("n1")
    later = read_whole(cluster)
    assert given_up(node, later)["why"] == "read"
    assert note_of(node, job) == note, "it is given up once"
    for one in unread:
        assert spools(node, one) and note_of(node, one) is None and mark_of(node, one) is None


@pytest.mark.parametrize("victim", ["spawner", "net"])
def test_that_output_was_read_is_not_lost_with_the_process_that_was_to_write_it_down(cluster, victim):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    with Running(cli, "-i", "n1", "--", "sh", "-c", f"read go; head -c {MIB} /dev/zero", stdin=-1,
                 keep=False) as run:
        job = processes.wait_until(lambda: job_of(cli, "sh"), "it is listed")
        processes.wait_until(lambda: cli.job(job)["state"] == "running", "it runs")
        node.process.send_signal(signal.SIGSTOP)
        run.type(b"go\n")
        run.close_stdin()
        assert run.finish().code == 0
    assert mark_of(node, job) is None
    if victim == "spawner":
        node.restart()
    else:
        net = node.net_pid()
        os.kill(net, signal.SIGKILL)
        node.process.send_signal(signal.SIGCONT)
    assert given_up(node, job)["why"] == "read"


def test_a_node_that_is_away_hears_that_output_was_read_when_it_is_back(cluster):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    with Running(cli, "n1", "--", "head", "-c", str(MIB // 2), "/dev/zero", keep=False) as run:
        run.out.pause()
        job = processes.wait_until(lambda: job_of(cli, "head"), "it is listed")
        cli("wait", job).ok()
        node.stop()
        processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "it is away")
        run.out.resume()
        with contextlib.suppress(AssertionError):  # its last bytes may still be on the node
            run.finish(10)
            assert spools(node, job)
        node.start()
        assert run.finish().code == 0
    assert given_up(node, job)["why"] == "read"


def test_an_agent_that_died_half_way_through_giving_up_goes_on_and_keeps_the_note(cluster):
    node = keep(cluster, keep_read_output="1h")
    job = read_whole(cluster)
    processes.wait_until(lambda: mark_of(node, job), "the node hears that it was read")
    node.stop()
    [directory] = node.job_dirs(job)
    note = {"why": "read", "ms": 1_000}
    record = json.loads((directory / "exit").read_text())
    (directory / "exit").write_text(json.dumps({**record, "given_up": note}))
    text = node.config_file.read_text()
    node.config_file.write_text(text.replace('keep_read_output = "1h"', 'keep_read_output = "0s"'))
    node.start()
    assert given_up(node, job) == note
