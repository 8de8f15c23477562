"""What becomes of what a user began when he is revoked: waiting jobs end as denied, running ones go
on with their last attempt, schedules fire no more. man rexec-user says so."""
import os
import signal

import pytest

from support import processes
from support.beats import Beats, now


@pytest.fixture
def ann(cluster):
    return cluster.new_user("ann")


def revoke(cluster, name="ann"):
    cluster.cli("user", "revoke", name, "-y").ok()


def ended_as(cluster, job):
    row = cluster.cli.job(job)
    return row["state"], (row.get("record") or {}).get("reason")


def assert_denied(cluster, *jobs):
    for job in jobs:
        assert ended_as(cluster, job) == ("denied", "revoked"), cluster.cli.job(job)
        done = cluster.cli("wait", job)
        assert done.code == 120, done


def test_a_job_that_waits_for_its_node_never_runs(cluster, ann, tmp_path):
    node = cluster.nodes["n1"]
    node.stop()
    job = ann.submit("--wait-online=1h", "n1", "touch", str(tmp_path / "ran"))
    other = cluster.cli.submit("--wait-online=1h", "n1", "true")
    revoke(cluster)
    assert_denied(cluster, job)
    node.start()
    assert cluster.cli("wait", other).code == 0, "somebody else's waited beside it and runs"
    assert not (tmp_path / "ran").exists()


def test_jobs_after_others_and_behind_locks_end_without_their_turn(cluster, ann, tmp_path):
    holder = cluster.cli.submit("--lock", "disk", "n1", "sleep", "1000")
    touch = ("n1", "touch", str(tmp_path / "ran"))
    waits = ann.submit("--lock", "disk", *touch)
    after = [ann.submit("--after", f"{waits}:{when}", *touch) for when in ("ok", "any", "fail")]
    last = ann.submit("--after", f"{after[1]}:any", *touch)
    revoke(cluster)
    assert_denied(cluster, waits, *after, last)
    cluster.cli("stop", holder).ok()
    assert cluster.cli("run", "--lock", "disk", "n1", "true").code == 0
    assert not (tmp_path / "ran").exists()


def test_what_was_denied_stays_so_after_a_crash(cluster, ann, tmp_path):
    node = cluster.nodes["n1"]
    node.stop()
    job = ann.submit("--wait-online=1h", "n1", "touch", str(tmp_path / "ran"))
    revoke(cluster)
    cluster.controller.kill()
    cluster.controller.start()
    node.start()
    assert cluster.cli.run("n1", "true").code == 0
    assert_denied(cluster, job)
    assert not (tmp_path / "ran").exists()


def test_a_start_that_never_reached_its_node_is_not_sent_again(cluster, ann, tmp_path):
    node = cluster.nodes["n1"]
    net = node.net_pid()
    os.kill(net, signal.SIGSTOP)
    job = ann.submit("n1", "touch", str(tmp_path / "ran"))
    revoke(cluster)
    node.kill_net()
    cluster.wait_online("n1")
    processes.wait_until(lambda: cluster.cli.job(job)["state"] == "denied", "it is denied")
    assert_denied(cluster, job)
    assert cluster.cli.run("n1", "true").code == 0
    assert not (tmp_path / "ran").exists()


def test_a_running_job_goes_on_and_an_administrator_may_stop_it(cluster, ann, tmp_path):
    ready = tmp_path / "ready"
    job = ann.submit("n1", "sh", "-c", f"touch {ready}; sleep 1000")
    processes.wait_until(ready.exists, "it runs")
    revoke(cluster)
    assert cluster.cli.job(job)["state"] == "running"
    cluster.cli("stop", job).ok()
    assert cluster.cli.job(job)["state"] == "stopped"


@pytest.mark.parametrize("when", ["while it runs", "between two attempts", "while its node is away"])
def test_no_further_attempt_begins(cluster, ann, tmp_path, when):
    node, begun, go = cluster.nodes["n1"], tmp_path / "begun", tmp_path / "go"
    job = ann.submit("--restart", "always", "n1", "sh", "-c",
                     f"echo >> {begun}; until [ -e {go} ]; do sleep 0.05; done; exit 1")
    processes.wait_until(begun.exists, "its first attempt runs")
    if when == "between two attempts":
        go.touch()
        # The pauses grow: one is as long as a second, and more.
        processes.wait_until(lambda: cluster.cli.job(job)["state"] == "restarting", "it pauses")
        revoke(cluster)
    elif when == "while it runs":
        revoke(cluster)
        go.touch()
    else:
        node.kill()
        revoke(cluster)
        node.start()
        go.touch()
    assert cluster.cli("wait", job, timeout=60).code != 0
    attempts = len(begun.read_text())
    assert cluster.cli.job(job)["state"] in ("exited", "stopped"), cluster.cli.job(job)
    assert cluster.cli.run("n1", "true").code == 0
    assert len(begun.read_text()) == attempts


@pytest.mark.limit(200)
def test_a_schedule_fires_no_more_and_its_node_lets_go_of_it(cluster, ann, tmp_path):
    theirs, ours = Beats(tmp_path / "theirs"), Beats(tmp_path / "ours")
    ann("schedule", "add", "theirs", "--every", "1s", "n1", "--", *theirs.command).ok()
    cluster.cli("schedule", "add", "ours", "--every", "1s", "n1", "--", *ours.command).ok()
    theirs.wait_for(1)
    revoke(cluster)
    shown = processes.wait_until(lambda: dropped(cluster, "theirs"), "the node holds none of it")
    assert shown["state"] == "broken" and "revoked" in shown["error"], shown
    ours.wait_for_more(2)  # what was fired before that has run
    before = theirs.times
    ours.wait_for_more(3)
    assert theirs.times == before


def dropped(cluster, name):
    shown = cluster.cli("schedule", "show", name, "--json").ok().json()
    return shown if all(node["held"] == 0 for node in shown["nodes"]) else None


@pytest.mark.limit(200)
def test_a_node_that_was_down_at_the_revocation_fires_nothing_of_it(cluster, ann, tmp_path):
    node, theirs, ours = cluster.nodes["n1"], Beats(tmp_path / "theirs"), Beats(tmp_path / "ours")
    for cli, name, beats in ((ann, "theirs", theirs), (cluster.cli, "ours", ours)):
        cli("schedule", "add", name, "--every", "1s", "--catch-up", "all", "n1", "--",
            *beats.command).ok()
    theirs.wait_for(1)
    ours.wait_for(1)
    node.stop()
    stopped = now()
    revoke(cluster)
    processes.wait_until(lambda: not running(cluster), "what was fired has ended")
    node.start()
    ours.wait_for_more(3)
    # A firing that was noted before the stop is the node's to finish.
    assert [time for time in theirs.times if time > stopped] == []


def running(cluster):
    return [pid for pid in cluster.processes()
            if processes.environment(pid).get("REXEC_SCHEDULE") == b"theirs"]
