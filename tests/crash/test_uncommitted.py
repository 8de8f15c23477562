"""A job that is not on the disk yet is sent to nobody, whatever makes the controller look for work."""
import os

from support import faults, processes


def test_a_job_whose_submit_is_not_committed_is_not_sent_to_a_node_that_comes(make_cluster, tmp_path):
    orders = faults.Orders(tmp_path / "orders", "store.committing=delay:1200")
    cluster = make_cluster(nodes=1)
    cli, node, gate, ran = cluster.cli, cluster.nodes["n1"], tmp_path / "gate", tmp_path / "ran"
    os.mkfifo(gate)
    first = cli.submit("n1", "cat", str(gate))
    processes.wait_until(lambda: cli.job(first)["state"] == "running", "the first job runs")
    cluster.controller.stop()
    cluster.controller.env = {**cli.env, **orders.env}
    node.stop()
    cluster.controller.start()
    for mark in orders.directory.iterdir():
        mark.unlink()
    node.launch()
    # What the node has is being committed; the submit comes after it, and is a commit of its own.
    orders.wait_fired("store.committing")
    submit = cli.popen("submit", "--after", first, "n1", "touch", str(ran))
    second = submit.communicate(timeout=60)[0].decode().strip()
    node.wait_ready()
    assert cli.job(second)["waiting"] == f"for the end of job {first}"
    assert not ran.exists(), "it began before the job that it is after had ended"
    gate.write_text("x")
    assert cli("wait", first, second).code == 0
    assert ran.exists()


def test_who_joins_and_is_gone_before_the_commit_harms_nobody(make_cluster, tmp_path):
    """The token is spent, the node is listed, and everybody else goes on."""
    orders = faults.Orders(tmp_path / "orders", "store.committing=delay:1200")
    cluster = make_cluster(nodes=1)
    cli = cluster.cli
    token = cli("token", "new", "--node", "n2", "--json").ok().json()["token"]
    cluster.controller.stop()
    cluster.controller.env = {**cli.env, **orders.env}
    cluster.controller.start()
    cluster.wait_online()
    for mark in orders.directory.iterdir():
        mark.unlink()
    joining = cli.popen("join", token, "--data", str(tmp_path / "n2"), "--no-start")
    orders.wait_fired("store.committing")
    joining.kill()
    joining.communicate()
    processes.wait_until(lambda: "n2" in cluster.node_states(), "n2 is listed")
    assert cli.run("n1", "true").code == 0
