"""Jobs that no node ever had: their node is removed, or what was to start them is gone."""
from support import wire
from support.raw_session import RawNode, Session


def test_removing_a_node_starts_none_of_those_that_wait_and_loses_none_of_them(make_cluster):
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    cli = cluster.cli
    holder = cli.submit("--lock", "l", "n1", "true")
    stream, _ = node.next_start()
    node.take(stream)
    locked = cli.submit("--lock", "l", "n1", "true")
    after = cli.submit("--after", f"{holder}:any", "n1", "true")
    patient = cli.submit("--lock", "l", "--wait-online", "n1", "true")
    cli("node", "rm", "-y", "--force", "n1").ok()
    assert cli.job(holder)["record"]["outcome"] == "lost"
    for job in (locked, after, patient):
        record = cli.job(job)["record"]
        assert (record["outcome"], record["code"]) == ("not_started", 125), record
    node.close()


def test_an_attached_job_that_neither_its_node_nor_its_client_has_ends(make_cluster):
    """Committed, and then the controller and its client are gone before the node had the start."""
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    session = Session(cluster, cluster.cli)
    [job] = session.submit(1, "n1", {}, wire.pack({"argv": [b"true"]}), mode="attached")
    other = cluster.cli.submit("n1", "true")  # committed after it
    session.peer.close()
    cluster.controller.kill()
    node.close()
    cluster.controller.start()
    assert cluster.cli.job(job)["state"] == "accepted"
    cluster.nodes["n1"].start()
    assert cluster.cli("wait", job).code == 125
    record = cluster.cli.job(job)["record"]
    assert (record["outcome"], record["reason"]) == ("not_started", "disconnect")
    assert cluster.cli("wait", other).code == 0
