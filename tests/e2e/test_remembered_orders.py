"""An order that was accepted is remembered: a stop for a node that is away is carried out when it is
back. And an order without a grace of its own uses the job's.
"""
import signal

import pytest

from support import processes, wire

TRAP = "trap 'echo cleaning; sleep 7; echo cleaned; exit 0' TERM; echo up; while :; do sleep .1; done"

IGNORE = "trap '' TERM; echo up"


def started(cluster, *flags, command=("sleep", "600")):
    job = cluster.cli.submit(*flags, "n1", *command)
    processes.wait_until(lambda: cluster.cli.job(job)["state"] == "running", "it runs")
    return job


@pytest.fixture
def away(cluster):
    """The cluster, and a way to take its node off the controller while its jobs run on."""
    proxy = cluster.proxy()
    node = cluster.nodes["n1"]
    node.stop()
    cluster.redirect(node, proxy.address)
    node.start()
    cluster.wait_online()

    def leave():
        proxy.refuse()
        processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "it is away")

    cluster.leave, cluster.come_back = leave, proxy.allow
    return cluster


@pytest.mark.parametrize("restart", ["no", "always"])
@pytest.mark.parametrize("controller", ["stays", "restarts"])
def test_a_stop_for_a_node_that_is_away_is_carried_out_when_it_is_back(away, restart, controller):
    job = started(away, "--restart", restart)
    away.leave()
    done = away.cli("stop", job)
    assert done.code == 0 and "will be stopped when node n1 is back" in done.text, done
    assert "stopping" in away.cli.job(job)
    if controller == "restarts":
        away.controller.restart()
        assert "stopping" in away.cli.job(job)
    away.come_back()
    assert away.cli("wait", job).code == 128 + signal.SIGTERM
    ended = away.cli.job(job)
    assert ended["record"]["outcome"] == "stopped" and "stopping" not in ended, ended
    assert not away.job_processes(job)


def test_a_stop_that_is_kept_uses_its_own_grace(away):
    job = started(away, "--grace", "1h", command=("sh", "-c", f"{IGNORE}; sleep 3600"))
    processes.wait_until(lambda: away.cli("logs", job).text == "up\n", "it ignores TERM")
    away.leave()
    away.cli("stop", "--grace", "100ms", job).ok()
    away.come_back()
    assert away.cli("wait", job).code == 128 + signal.SIGKILL


def test_what_ended_before_the_stop_came_keeps_its_end(away, tmp_path):
    go = tmp_path / "go"
    job = started(away, command=("sh", "-c", f"until [ -e {go} ]; do sleep .1; done; exit 3"))
    away.leave()
    away.cli("stop", job).ok()
    go.touch()
    processes.wait_until(lambda: not away.job_processes(job), "it has ended")
    away.come_back()
    assert away.cli("wait", job).code == 3
    # And nobody stops another job for it.
    assert away.cli.run("n1", "true").code == 0


def test_stop_without_a_grace_uses_that_of_the_job(shared):
    cli = shared.cli
    job = cli.submit("--grace", "1m", "n1", "sh", "-c", TRAP)
    processes.wait_until(lambda: cli("logs", job).text == "up\n", "it traps")
    cli("stop", job).ok()
    assert cli("logs", job).text.endswith("cleaned\n")
    assert cli.job(job)["record"]["outcome"] == "stopped"


def test_stop_with_a_grace_uses_that_one(shared):
    cli = shared.cli
    job = cli.submit("--grace", "1h", "n1", "sh", "-c", f"{IGNORE}; sleep 3600")
    processes.wait_until(lambda: cli("logs", job).text == "up\n", "it ignores TERM")
    cli("stop", "--grace", "100ms", job).ok()
    assert cli("wait", job).code == 128 + signal.SIGKILL


def test_a_stop_on_the_stream_of_a_reader_uses_the_grace_of_the_job(shared):
    """What the second Ctrl-C of `run` and `attach` sends."""
    cli = shared.cli
    job = cli.submit("--grace", "1m", "n1", "sh", "-c", TRAP)
    processes.wait_until(lambda: cli("logs", job).text == "up\n", "it traps")
    with wire.Peer(shared.address, directory=cli.context_dir(), timeout=100) as peer:
        peer.hello()
        peer.send(wire.frame(wire.OPEN, {"kind": "attach", "args": {"job": job}}, 1)
                  + wire.frame(wire.SIGNAL, {"t": "stop"}, 1))
        while (got := peer.until(wire.EVENT, wire.RESET, wire.CLOSE))[3].get("t") != "end":
            assert got[0] == wire.EVENT, got
    assert cli("logs", job).text.endswith("cleaned\n")


def test_what_a_schedule_replaces_is_stopped_with_the_grace_of_the_job(shared):
    cli = shared.cli
    cli("schedule", "add", "r", "--every", "2s", "--overlap", "replace", "--grace", "1m", "n1", "sh",
        "-c", TRAP).ok()

    def first():
        rows = cli("ps", "-a", "--json").ok().json()
        jobs = [row["job"] for row in rows if row["command"].startswith("sh -c") and row["final"]]
        return jobs[-1] if jobs else None

    processes.wait_until(first, "one was replaced", 60)
    job = first()
    cli("schedule", "rm", "r").ok()
    assert cli("logs", job).text.endswith("cleaned\n"), cli.job(job)


def test_stop_all_ends_every_job_of_the_user_and_keeps_the_order_for_a_node_that_is_away(away):
    away.add_node("n2")
    cli, other = away.cli, away.new_user("other")
    kept = other.submit("n2", "sleep", "600")
    waits = cli.submit("--lock", "l", "n1", "sleep", "600"), cli.submit("--lock", "l", "n1", "true")
    runs = cli.submit("n2", "sleep", "600")
    processes.wait_until(lambda: cli.job(waits[0])["state"] == "running", "it runs")
    away.leave()
    done = cli("stop", "--all", "-y", "n2").ok()
    assert done.text == f"stopped {runs}\n"
    done = cli("stop", "--all", "-y").ok()
    assert f"{waits[0]} will be stopped when node n1 is back" in done.text
    assert f"stopped {waits[1]}" in done.text
    away.come_back()
    assert cli("wait", *waits).code == 123
    assert other.job(kept)["state"] == "running"
    assert cli("stop").code == 2 and cli("stop", "--all", "-y", "n1", "n2").code == 2
