"""The fail points themselves: enough of them, not one in the shipped binary, each one passed."""
import os
import pathlib
import subprocess

import pytest

from crash import matrix
from crash.stories import Teller
from support import faults, history
from support.cli import BINARY, SANITIZED
from support.supervision import Supervised

SHIPPED = pathlib.Path(os.environ["REXEC_SHIPPED"])
PROCESSES = {"client", "controller", "store", "net", "spawner", "shim", "job", "file", "spool"}


def test_there_are_at_least_40_points_and_each_names_its_process():
    points = faults.points(BINARY)
    assert len(points) >= 40
    assert {name.split(".")[0] for name in points} == PROCESSES
    assert all(points.values()), "each says what is true there"


@pytest.mark.skipif(SANITIZED, reason="not here: the sanitizer build has its own strings")
def test_the_shipped_binary_has_no_name_of_them():
    shipped = SHIPPED.read_bytes()
    assert b"REXEC_FAIL" in BINARY.read_bytes(), "the other binary has them"
    for name in [*faults.points(BINARY), "REXEC_FAIL"]:
        assert b"\0" + name.encode() + b"\0" not in shipped, name
    assert SHIPPED.stat().st_size <= BINARY.stat().st_size


def test_orders_that_cannot_be_read_end_the_process_at_once():
    for orders in ("no.such.point=kill", "store.begun=explode", "store.sync=error:EWHAT"):
        done = subprocess.run([BINARY, "version"], env={"REXEC_FAIL": orders}, check=False,
                              capture_output=True)
        assert done.returncode == 99 and b"REXEC_FAIL" in done.stderr


@pytest.mark.limit(300)
def test_every_point_is_passed_by_the_stories(make_cluster, tmp_path):
    """A point that nothing passes would be a hole in the matrix that looks like a proof."""
    orders = faults.Orders(tmp_path / "orders")
    cluster = make_cluster(nodes=1, env=orders.env)
    for daemon in (cluster.nodes["n1"], cluster.controller):
        daemon.stop()
    everything = ["usual", "join", "stop", "remove", "lose", "wait", "schedule"]
    rounds = [("", everything)] + [(first, [matrix.STORY.get(point, "usual")])
                                   for point, first in sorted(matrix.FIRST.items())]
    for number, (text, stories) in enumerate(rounds):
        for mark in orders.directory.glob("fired.*"):
            mark.unlink()
        orders.text = text
        record = history.History(tmp_path / f"history{number}")
        with Supervised(cluster, orders.env):
            teller = Teller(cluster, record, tmp_path / f"told{number}", orders.env, ("lost",))
            for story in stories:
                matrix.tell(teller, story)
            teller.settle()
    missed = set(faults.points(BINARY)) - orders.reached()
    assert not missed, f"{sorted(missed)}: no story passes them (tests/crash/matrix.py)"
