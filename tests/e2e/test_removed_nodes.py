"""What becomes of the jobs and the output of a node that was removed or replaced."""
import shutil

import pytest

from support import processes
from support.running import Running

READERS = (("logs",), ("logs", "-f"), ("attach",))


def remove(cluster, name, *options):
    cluster.cli("node", "rm", "-y", *options, name).ok()


def ended_job(cluster, *command, node="n1"):
    job = cluster.cli.submit(node, *command)
    cluster.cli("wait", job)
    return job


def join_again(cluster, name, *options):
    """In its own directory; its agent has ended by itself."""
    node = cluster.nodes[name]
    processes.wait_until(lambda: not node.running, "the agent of a removed node ends")
    cluster.cli("join", cluster.token("--node", name, *options), "--data", str(node.data),
                "--no-start").ok()
    node.start()


def assert_unreachable(cluster, job, why):
    for verb in READERS:
        done = cluster.cli(*verb, job)
        assert done.code == 122 and not done.out, done
        assert f"the output is not reachable: {why}" in done.errors, done
    assert cluster.cli("wait", job).code == 3


def test_output_on_a_removed_node_is_not_reachable_until_it_joins_again(make_cluster):
    cluster = make_cluster()
    job = ended_job(cluster, "sh", "-c", "echo out; echo err >&2; exit 3")
    remove(cluster, "n1")
    assert_unreachable(cluster, job, 'node "n1" was removed')
    assert "rexec logs " + job in cluster.cli("logs", job).errors
    join_again(cluster, "n1")
    for verb, code in zip(READERS, (0, 3, 3)):
        done = cluster.cli(*verb, job)
        assert (done.code, done.out, b"err\n" in done.err) == (code, b"out\n", True), done


def test_a_job_that_wrote_nothing_misses_nothing_on_a_removed_node(make_cluster):
    cluster = make_cluster()
    job = ended_job(cluster, "true")
    never = ended_job(cluster, "/no/such/command")
    remove(cluster, "n1")
    for verb in READERS:
        done = cluster.cli(*verb, job)
        assert (done.code, done.err) == (0, b""), done
    assert cluster.cli("attach", never).code == 127


def test_output_that_the_node_does_not_have_any_more_is_said_so(make_cluster):
    cluster = make_cluster()
    job = ended_job(cluster, "sh", "-c", "echo out; exit 3")
    node = cluster.nodes["n1"]
    node.stop()
    for directory in node.job_dirs(job):
        shutil.rmtree(directory)
    node.start()
    assert_unreachable(cluster, job, 'node "n1" does not have it any more')


def test_another_node_of_the_name_does_not_have_the_output(make_cluster):
    cluster = make_cluster()
    job = ended_job(cluster, "sh", "-c", "echo out; exit 3")
    remove(cluster, "n1")
    cluster.nodes.pop("n1")
    token = cluster.token("--node", "n1")
    cluster.cli("join", token, "--data", str(cluster.root / "other"), "--no-start").ok()
    other = cluster.cli.popen("agent", "run", "--data", str(cluster.root / "other"))
    try:
        cluster.wait_online("n1")
        assert_unreachable(cluster, job, 'node "n1" was removed, and the node that has its name now')
    finally:
        other.terminate()
        other.communicate()


def test_a_reader_that_waits_for_a_node_hears_that_it_was_removed(make_cluster):
    cluster = make_cluster(nodes=2)
    job = ended_job(cluster, "sh", "-c", "echo out; exit 3", node="n2")
    cluster.nodes["n2"].stop()
    processes.wait_until(lambda: cluster.node_states()["n2"]["state"] == "offline", "it is offline")
    waiter = cluster.cli.popen("node", "wait", "n2")
    with Running(cluster.cli, "-f", job, verb="logs") as reader:
        reader.err.wait_for("the link is lost")  # nobody has answered: it waits
        remove(cluster, "n2")
        done = reader.finish()
        assert done.code == 122 and "was removed" in done.errors, done
    _, errors = waiter.communicate()
    assert waiter.returncode == 3 and b'"n2"' in errors, errors


@pytest.mark.parametrize("how", ["removed", "replaced"])
def test_the_jobs_of_a_node_that_is_gone_end_as_lost(make_cluster, how):
    cluster = make_cluster()
    runs = cluster.cli.submit("n1", "sleep", "1000")
    blocks = cluster.cli.submit("--lock", "one", "n1", "sleep", "1000")
    waits = cluster.cli.submit("--lock", "one", "n1", "true")
    for job in (runs, blocks):
        processes.wait_until(lambda: cluster.cli.job(job)["state"] == "running", "it runs")
    with Running(cluster.cli, "n1", "sh", "-c", "echo here; sleep 1000") as attached:
        attached.out.wait_for("here")
        with Running(cluster.cli, runs, verb="wait") as waiter:
            if how == "removed":
                remove(cluster, "n1", "--force")
            else:
                token = cluster.token("--node", "n1", "--replace")
                cluster.cli("join", token, "--data", str(cluster.root / "new"), "--no-start").ok()
            assert waiter.finish().code == 121
        assert attached.finish().code == 121
    assert {job: cluster.cli.job(job)["state"] for job in (runs, blocks, waits)} == {
        runs: "lost", blocks: "lost", waits: "not_started"}
    assert cluster.cli("ps", "--json").ok().json() == []
    cluster.cli("job", "rm", "-y", runs).ok()
    # A restart does not bring one back either.
    cluster.controller.restart()
    assert cluster.cli.job(blocks)["record"]["reason"] == "node_removed"
    assert cluster.cli("job", "show", runs).code == 3
