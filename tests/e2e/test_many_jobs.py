"""A node with very many running jobs: its agent and the controller start again, and all are there."""
import os
import subprocess

import pytest

from support import processes
from support.cli import BINARY
from support.running import Running


def submit_many(cluster, count, *command):
    """Two at a time; the ids, as they were printed."""
    script = 'i=0; while [ $i -lt "$0" ]; do "$@" || exit 1; i=$((i + 1)); done'
    argv = ["sh", "-c", script, str(count // 2), str(BINARY), "submit", "n1", "--", *command]
    makers = [subprocess.Popen(argv, env=cluster.cli.env, stdout=subprocess.PIPE) for _ in range(2)]
    outputs = [maker.communicate()[0].decode().split() for maker in makers]
    assert all(maker.returncode == 0 for maker in makers)
    return outputs[0] + outputs[1]


def running(cluster):
    """How many the controller believes to run, and how many of its node it knows as unfinished."""
    counted = cluster.cli("status", "--json").ok().json()["jobs"]["running"]
    return counted, cluster.node_states()["n1"]["jobs"]


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.limit(240)
def test_every_running_job_is_there_again_after_the_agent_and_the_controller_were_killed(cluster,
                                                                                         quick):
    # FAULTS K16, N7: a thousand jobs, adopted by the next agent, told to the next controller.
    count = 100 if quick else 1000
    node = cluster.nodes["n1"]
    ids = submit_many(cluster, count, "sh", "-c", "echo $REXEC_JOB; exec sleep 600")
    assert len(set(ids)) == count
    # A node is sent some starts at once, the next when it took one.
    processes.wait_until(lambda: running(cluster) == (count, count), "all run", 60)
    shims = {job: node.shim_of(job) for job in ids}
    node.restart()  # kill -9 of the spawner; net ends with it
    assert running(cluster) == (count, count)
    assert {job: node.shim_of(job) for job in ids} == shims, "no shim was replaced"
    # A job that nobody reads costs net its socket, whatever it has written.
    assert descriptors(node.net_pid()) < count + 50
    assert descriptors(node.pid) < count + 50
    cluster.controller.restart()
    cluster.wait_online()
    assert running(cluster) == (count, count)
    node.kill_net()
    cluster.wait_online()
    assert running(cluster) == (count, count)
    # Their output is still to be had, although no segment was held open for it.
    with Running(cluster.cli, ids[0], verb="attach") as reader:
        assert reader.line() == ids[0]
    assert cluster.cli("logs", ids[-1]).ok().out == ids[-1].encode() + b"\n"
