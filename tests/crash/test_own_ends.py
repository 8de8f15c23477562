"""An end that the controller decides by itself is on the disk before anybody is told of it."""
import contextlib
import signal

import pytest

from support import faults
from support.running import Running

SLOW = "store.committing=delay:1500"  # long beside the way of an answer


@pytest.fixture
def slow(make_cluster, tmp_path):
    """slow(*orders): the controller of a cluster whose node is away meets these from now on."""
    cluster = make_cluster(nodes=1)
    cluster.nodes["n1"].stop()
    orders = []

    def obey(*words):
        cluster.controller.stop()
        orders.append(faults.Orders(tmp_path / f"orders{len(orders)}", *words))
        cluster.controller.env = {**cluster.cli.env, **orders[-1].env}
        cluster.controller.start()

    def crash():
        cluster.controller.kill()
        cluster.controller.env = cluster.cli.env
        cluster.controller.start()

    def write_no_more():
        """From its start on, or soon after, no write to the database succeeds."""
        for number in range(1, 100):
            with contextlib.suppress(AssertionError):  # the start itself met it
                return obey(f"store.write=error:EROFS@{number}")
        raise AssertionError("every start writes more than that")

    cluster.obey, cluster.crash, cluster.write_no_more = obey, crash, write_no_more
    return cluster


def test_a_stop_of_a_waiting_job_is_answered_after_its_commit(slow):
    job = slow.cli.submit("--wait-online", "n1", "true")
    slow.obey(SLOW)
    assert slow.cli("stop", job).ok().text == f"stopped {job}\n"
    slow.crash()
    record = slow.cli.job(job)["record"]
    assert (record["outcome"], record["code"]) == ("stopped", 143)


def test_a_stop_that_finds_the_end_under_way_is_answered_after_the_commit_too(slow):
    job = slow.cli.submit("--wait-online", "n1", "true")
    slow.obey(SLOW)
    first = slow.cli.popen("stop", job)
    second = slow.cli("stop", job)
    assert second.code == 0, second
    slow.crash()
    first.communicate(timeout=60)
    assert slow.cli.job(job)["record"]["outcome"] == "stopped"


def test_a_run_that_waits_hears_of_its_end_after_the_commit(slow):
    slow.obey(SLOW)
    with Running(slow.cli, "--on-disconnect", "keep", "--wait-online", "n1", "true") as run:
        run.err.wait_for("waiting:")
        [job] = [row["job"] for row in slow.cli("ps", "--json").ok().json()]
        run.signal(signal.SIGINT)
        assert run.finish().code == -signal.SIGINT
    slow.crash()
    assert slow.cli.job(job)["record"]["outcome"] == "stopped"


def test_a_stop_that_cannot_be_written_is_not_called_done(slow):
    job = slow.cli.submit("--wait-online", "n1", "true")
    slow.write_no_more()
    for _ in range(2):  # nor when the end is known already
        done = slow.cli("stop", job)
        assert done.code not in (0, None) and "database" in done.errors, done
    slow.crash()
    assert slow.cli.job(job)["state"] == "waiting"
    slow.cli("stop", job).ok()
