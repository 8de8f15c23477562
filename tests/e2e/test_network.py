"""Networks: links that break, hang, lie or lead nowhere, on the node's side and on the client's."""
import hashlib
import random
import shutil
import signal
import subprocess
import time

import pytest

from support import processes
from support.daemons import Node
from support.proxy import CARRY_ON, CUT, Proxy
from support.running import Running


@pytest.fixture
def far(make_cluster):
    """A cluster whose node n1 dials through a proxy: (cluster, proxy)."""
    cluster = make_cluster(nodes=0)
    proxy = cluster.proxy(counts="up")
    cluster.add_node("n1", through=proxy)
    return cluster, proxy


def digest_of_seq(count):
    return hashlib.sha256(b"".join(b"%d\n" % i for i in range(1, count + 1))).hexdigest()


@pytest.mark.limit(200)
def test_output_survives_twenty_cuts_of_the_nodes_link(far):  # FAULTS N2
    cluster, proxy = far
    seed = random.randrange(1 << 32)
    print(f"seed={seed}")
    source, count = random.Random(seed), 1_000_000
    for offset in source.sample(range(proxy.up + 1000, proxy.up + 6_000_000), 20):
        proxy.at(offset, lambda: CUT)
    done = cluster.cli.run("--reconnect", "100s", "n1", "seq", "1", str(count), timeout=150)
    assert done.code == 0 and done.status["complete"], done
    assert hashlib.sha256(done.out).hexdigest() == digest_of_seq(count)
    assert proxy.pending == 0 and proxy.trouble is None


def test_stdin_survives_cuts_of_the_nodes_link(far):
    cluster, _ = far
    proxy = cluster.proxies[0]
    data = random.randbytes(3 << 20)
    for offset in range(100_000, 2_900_000, 400_000):
        proxy.at(proxy.up + offset, lambda: CUT)
    done = cluster.cli.run("--reconnect", "100s", "-i", "n1", "cat", input=data, timeout=100)
    assert (done.code, done.out == data) == (0, True), done


@pytest.mark.limit(200)
def test_a_job_that_ends_while_its_node_is_being_greeted_is_reported(make_cluster, tmp_path, quick):
    """Wherever the greeting is when the job ends: a controller must hear of it (FAULTS I1)."""
    cluster = make_cluster(nodes=0)
    proxy = cluster.proxy(counts="down")
    node = cluster.add_node("n1", through=proxy)
    node.stop()
    before = proxy.down
    node.start()
    cluster.wait_online("n1")
    greeting = proxy.down - before
    for offset in range(1, greeting, 200 if quick else 40):
        gate = tmp_path / f"gate{offset}"
        job = cluster.cli.submit("n1", "sh", "-c", f"until [ -e {gate} ]; do sleep 0.01; done")
        processes.wait_until(lambda: cluster.job_processes(job), "the job runs")

        def end_the_job():
            gate.touch()
            processes.wait_until(lambda: not cluster.job_processes(job), "the job has ended")
            processes.wait_until((node.data / "jobs" / f"{job}.1" / "exit").exists, "is recorded")
            return CARRY_ON

        proxy.at(proxy.down + offset, end_the_job)
        proxy.cut()
        assert cluster.cli("wait", job, timeout=20).code == 0, (offset, greeting)


def test_a_node_that_is_cut_off_is_offline_and_comes_back_by_itself(far):
    cluster, proxy = far
    job = cluster.cli.submit("n1", "sleep", "1000")
    processes.wait_until(lambda: cluster.job_processes(job), "the job runs")
    proxy.refuse()
    processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "it is offline")
    assert cluster.cli.run("n1", "true").code == 125
    assert cluster.job_processes(job), "the job does not mind"
    proxy.allow()
    cluster.wait_online("n1", timeout=60)
    assert cluster.cli.job(job)["state"] == "running"
    cluster.cli("stop", job).ok()


@pytest.mark.limit(150)
def test_a_link_that_goes_silent_is_noticed_and_the_job_unaffected(far):  # FAULTS N3, N5
    cluster, proxy = far
    with Running(cluster.cli, "-i", "--reconnect", "120s", "n1", "cat", stdin=subprocess.PIPE) as run:
        run.type(b"before\n")
        assert run.line() == "before"
        proxy.hold()
        started = time.monotonic()
        processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline",
                             "the silence is noticed", 40)
        print(f"\nsilence noticed after {time.monotonic() - started:.1f} s")
        run.type(b"meanwhile\n")
        proxy.cut()
        proxy.release()
        assert run.line() == "meanwhile"
        run.close_stdin()
        assert run.finish().code == 0


def test_a_client_whose_link_goes_silent_comes_back(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "-i", "--reconnect", "120s", "n1", "cat", stdin=subprocess.PIPE) as run:
        run.type(b"before\n")
        assert run.line() == "before"
        proxy.hold()
        run.type(b"into the void\n")
        connections = proxy.accepted
        # Held bytes are lost with their connection, as by a middlebox that forgot it.
        processes.wait_until(lambda: proxy.accepted > connections, "it dials anew", 40)
        proxy.release()
        assert run.line() == "into the void"
        run.close_stdin()
        assert run.finish().code == 0


def test_a_dead_address_is_passed_over(cluster):  # FAULTS N8
    dead = Proxy(cluster.address)
    dead.close()
    hanging = cluster.proxy()
    hanging.hold()
    addresses = [dead.address, hanging.address, cluster.address]
    cli = cluster.cli.through(cluster.root / "three", addresses)
    started = time.monotonic()
    assert cli.run("n1", "echo", "hi").text == "hi\n"
    took = time.monotonic() - started
    print(f"\nthird address reached after {took:.2f} s")
    assert took < 8


def test_connect_timeout_is_kept(cluster):
    hanging = cluster.proxy()
    hanging.hold()
    cli = cluster.client_through(hanging)
    started = time.monotonic()
    done = cli.run("--connect-timeout", "500ms", "n1", "true")
    assert done.code == 125 and done.status["outcome"] == "unreachable", done
    assert time.monotonic() - started < 8


def sessions(cluster):
    return cluster.cli("status", "--json").ok().json()["sessions"]


def test_what_is_waited_for_is_told_once_the_link_is_back(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    job = cluster.cli.submit("n1", "sleep", "1000")
    before = sessions(cluster)
    waiting = cli.popen("wait", job)
    processes.wait_until(lambda: sessions(cluster) > before, "it waits")
    proxy.cut()
    cluster.cli("stop", job).ok()
    out, err = waiting.communicate(timeout=20)
    assert waiting.returncode == 143, (out, err)


def test_one_identity_on_two_machines_never_runs_a_job_twice(cluster, tmp_path):  # FAULTS N11
    first = cluster.nodes["n1"]
    shutil.copytree(first.data, cluster.root / "clone", ignore=shutil.ignore_patterns("jobs"))
    clone = Node("n1", cluster.root / "clone", cluster.cli.env, cluster.logs / "clone.log")
    cluster.nodes["clone"] = clone
    clone.launch()
    processes.wait_until(lambda: "connected already" in clone.logged(), "the clone is sent away")
    file = tmp_path / "starts"
    for number in range(10):
        done = cluster.cli.run("n1", "sh", "-c", f"echo {number} >> {file}")
        assert done.code == 0, done
    assert file.read_text().split() == [str(n) for n in range(10)]
    assert "DUPLICATE_NODE" in cluster.controller.logged()
    assert "online" not in clone.logged()
    first.kill()
    clone.wait_ready()
    assert cluster.cli.run("n1", "echo", "moved").text == "moved\n"


def test_ctrl_c_while_the_node_is_away_reaches_the_job_when_it_is_back(far):
    cluster, proxy = far
    script = '$| = 1; print "$ENV{REXEC_JOB}\\n"; sleep 1000'
    with Running(cluster.cli, "--reconnect", "120s", "n1", "perl", "-e", script) as run:
        job = run.line()
        proxy.refuse()
        processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "it is away")
        run.signal(signal.SIGINT)
        assert cluster.job_processes(job)
        proxy.allow()
        done = run.finish()
    assert done.status["outcome"] == "signaled" and done.status["signal"] == signal.SIGINT, done


def test_a_run_waits_for_a_node_that_was_here_a_moment_ago(cluster):
    node = cluster.nodes["n1"]
    for disturb in (node.kill_net, cluster.controller.restart):
        disturb()
        done = cluster.cli.run("n1", "echo", "hi")
        assert (done.code, done.text) == (0, "hi\n"), (disturb, done)
        disturb()
        cluster.cli("submit", "n1", "true").ok()
