"""A job that waited is known to be on its way before its node hears of it: what is said of it after a
crash is what the node says. And a node is not left running what everybody was told is over.
"""
import signal
import time

import pytest

from support import processes
from support.raw_session import RawNode


@pytest.fixture
def begun(make_cluster):
    """A job that its node has and has not told of: (cluster, job)."""
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")

    def begin(*flags):
        job = cluster.cli.submit(*flags, "n1", "true")
        stream, started = node.next_start()
        assert started == job
        node.take(stream)
        node.close()
        return job

    cluster.begin = begin
    return cluster


def crash(cluster):
    cluster.controller.kill()
    cluster.controller.start()


@pytest.mark.parametrize("flag", ["--queue-timeout=2s", "--wait-online=2s"])
def test_a_job_on_its_way_is_not_called_unstarted_after_a_crash(begun, flag):
    job = begun.begin(flag)
    expired = time.monotonic() + 2
    crash(begun)
    processes.wait_until(lambda: time.monotonic() > expired, "the limit is over")
    # Whatever expires has done so before a later one does.
    other = begun.cli.submit("--wait-online=300ms", "n1", "true")
    assert begun.cli("wait", other).code == 125
    told = begun.cli.job(job)
    assert (told["state"], told["final"]) == ("dispatched", False), told


def test_a_stop_of_a_job_on_its_way_is_kept_for_its_node_after_a_crash(begun):
    job = begun.begin("--wait-online")
    crash(begun)
    done = begun.cli("stop", job).ok()
    assert "will be stopped when node n1 is back" in done.text, done
    begun.nodes["n1"].start()
    assert begun.cli("wait", job).code == 128 + signal.SIGTERM


def test_a_node_that_runs_what_was_stopped_here_is_told_to_stop_it(make_cluster):
    cluster = make_cluster(nodes=0)
    RawNode(cluster, "n1").close()
    job = cluster.cli.submit("--wait-online", "n1", "true")
    cluster.cli("stop", job).ok()
    node = RawNode(cluster, "n1")
    node.report(job, "running", started_ms=1_800_000_000_000)
    assert node.next_request("job.stop") == {"job": job, "attempt": 1}
    # An attempt after that one, too.
    node.report(job, "running", started_ms=1_800_000_000_000, attempt=2)
    assert node.next_request("job.stop") == {"job": job, "attempt": 2}
    assert cluster.cli.job(job)["record"]["outcome"] == "stopped"
    node.close()
