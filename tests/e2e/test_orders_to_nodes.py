"""What the controller asks of a node that cannot do it now, or that goes in the middle of it."""
import os

import pytest

from support import wire
from support.raw_session import RawNode, Session


def test_a_stop_that_a_node_cannot_carry_out_now_is_told_again(make_cluster):
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    [job] = Session(cluster, cluster.cli).submit(1, "n1", {})
    stream, _ = node.next_start()
    node.take(stream)
    stop = cluster.cli.popen("stop", job)
    busy = {"code": "busy", "message": "the job's supervisor does not answer"}
    node.send(wire.frame(wire.RESPONSE, {"id": node.asked("job.stop"), "error": busy}))
    again = node.asked("job.stop")
    assert "is kept" in cluster.cli.job(job)["stopping"]
    unknown = {"code": "unknown_job", "message": "it never came"}
    node.send(wire.frame(wire.RESPONSE, {"id": again, "error": unknown}))
    stop.communicate()
    assert stop.returncode == 0
    assert cluster.cli.job(job)["state"] == "stopped"
    node.close()


@pytest.mark.limit(300)
def test_a_node_that_goes_while_it_is_given_thousands_of_schedules_harms_nobody(make_cluster):
    cluster = make_cluster(nodes=0)
    RawNode(cluster, "n1").close()
    pid = cluster.controller.pid
    spec = wire.pack({"argv": [b"true"], "durable": True})
    with wire.Peer(cluster.address, directory=cluster.cli.context_dir(), timeout=100) as user:
        user.hello()
        for number in range(1, 2_001):
            answer = user.call(number, "schedule.add", {
                "name": f"s{number}", "targets": "n1", "kind": "every", "rule": "24h",
                "zone": "UTC", "overlap": "skip", "catch_up": "none", "jitter_ms": 0, "spec": spec})
            assert "result" in answer, answer
    directory = cluster.nodes["n1"].data / "net"
    with wire.Peer(cluster.address, directory=directory, timeout=100) as node:
        node.hello(role="node", instance=os.urandom(8).hex())
        node.send(wire.frame(wire.REQUEST, {"id": 1, "verb": "reconcile",
                                            "args": {"jobs": [], "last": True}}))
        while (asked := node.until(wire.REQUEST)[3])["verb"] != "schedule.put":
            node.send(wire.frame(wire.RESPONSE, {"id": asked["id"], "result": {}}))
        # Both in one flight: the answer is dealt with when the session has ended.
        node.send(wire.frame(wire.RESPONSE, {"id": asked["id"], "result": {}})
                  + wire.frame(wire.CLOSE, {"code": "link_lost", "message": "gone"}))
        assert node.closing() is not None
    assert cluster.cli("node", "ls", "--json").ok().json()[0]["name"] == "n1"
    assert cluster.controller.pid == pid
