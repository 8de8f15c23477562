"""A stop that comes while the submit of its job is being committed."""
import os

from support import faults, wire
from support.patience import patient


def test_a_stop_that_meets_the_submit_of_a_job_that_waits_ends_it(make_cluster, tmp_path):
    cluster = make_cluster(nodes=1)
    cluster.nodes["n1"].stop()
    cluster.controller.stop()
    orders = faults.Orders(tmp_path / "orders", "store.committing=delay:1500")
    cluster.controller.env = {**cluster.cli.env, **orders.env}
    cluster.controller.start()
    ran = tmp_path / "ran"
    spec = wire.pack({"argv": [b"touch", str(ran).encode()], "durable": True})
    args = {"request": os.urandom(16).hex(), "targets": "n1", "mode": "detached",
            "spec_size": len(spec), "terms": {"online_ms": 3_600_000}}
    directory = cluster.cli.context_dir()
    with wire.Peer(cluster.address, directory=directory, timeout=patient(30)) as peer:
        peer.hello()
        peer.send(wire.frame(wire.OPEN, {"kind": "submit", "args": args}, 1)
                  + wire.frame(wire.DATA, spec, 1, flags=3) + wire.frame(wire.END, stream=1))
        number, listed = 1, []
        while not listed:  # it is in memory, and its commit takes longer than this
            number += 1
            listed = peer.call(number, "job.ls")["result"]["jobs"]
        job = listed[0]["job"]
        ended = peer.call(number + 1, "job.stop", {"job": job})["result"]
    assert ended["final"] and ended["record"]["outcome"] == "stopped", ended
    cluster.controller.kill()
    cluster.controller.env = cluster.cli.env
    cluster.controller.start()
    cluster.nodes["n1"].start()
    assert cluster.cli.run("n1", "true").code == 0
    assert cluster.cli.job(job)["record"]["outcome"] == "stopped"
    assert not ran.exists()
