"""Jobs that no node ever had."""
from support.raw_session import RawNode


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
