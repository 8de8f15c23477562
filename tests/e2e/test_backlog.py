"""Much for one node: thousands of jobs, schedules and reports, records at their largest. A session
never dies of what we ourselves send, no page is too large, and others feel nothing of it.
"""
import os
import signal

import pytest

from support import processes, wire
from support.raw_session import RawNode, Session
from support.running import Running

ONLINE = {"online_ms": 3_600_000}
# Ends at once and without a process: the node refuses it.
REFUSED = wire.pack({"argv": [b"true"], "user": "no-such-user", "durable": True})
AT_ONCE = 128  # starts that a node is sent before it took one


def no_jobs_left(cluster, name):
    processes.wait_until(lambda: cluster.node_states()[name]["jobs"] == 0,
                         f"every job of {name} has ended", 240)


@pytest.mark.limit(400)
def test_a_node_that_was_away_takes_thousands_of_jobs_and_others_go_on(make_cluster):
    cluster = make_cluster(nodes=2)
    cluster.nodes["n1"].stop()
    jobs = Session(cluster, cluster.cli).submit(4_000, "n1", ONLINE, REFUSED)
    cluster.nodes["n1"].start()
    assert cluster.cli.run("n2", "echo", "there").text == "there\n"
    no_jobs_left(cluster, "n1")
    assert cluster.cli.run("n1", "echo", "here").text == "here\n"
    for job in (jobs[0], jobs[2_000], jobs[-1]):
        assert cluster.cli.job(job)["record"]["outcome"] in ("denied", "not_started"), job


@pytest.mark.limit(400)
def test_thousands_of_jobs_that_were_sent_and_not_taken_are_sent_after_a_restart(make_cluster):
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    jobs = Session(cluster, cluster.cli).submit(3_000, "n1", {}, REFUSED)
    node.close()
    cluster.controller.restart()
    cluster.nodes["n1"].start()
    no_jobs_left(cluster, "n1")
    assert cluster.cli.job(jobs[-1])["record"]["outcome"] in ("denied", "not_started")


def test_a_node_is_sent_the_next_start_when_it_took_one(make_cluster):
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    jobs = Session(cluster, cluster.cli).submit(AT_ONCE + 20, "n1", {})
    started = [node.next_start() for _ in range(AT_ONCE)]
    assert [job for _, job in started] == jobs[:AT_ONCE]
    later = cluster.cli.job(jobs[AT_ONCE])
    assert later["state"] == "waiting" and 'node "n1" to take' in later["waiting"], later
    for number in range(20):
        node.take(started[number][0])
        assert node.next_start()[1] == jobs[AT_ONCE + number]
    node.close()


def test_stop_and_rm_end_a_job_that_stands_in_the_line_of_its_node(make_cluster):
    cluster = make_cluster(nodes=0)
    cli = cluster.cli
    node = RawNode(cluster, "n1")
    jobs = Session(cluster, cli).submit(AT_ONCE + 3, "n1", {})
    stopped, removed, last = jobs[AT_ONCE:]
    assert cli("stop", stopped).ok().text == f"stopped {stopped}\n"
    assert cli("job", "rm", removed).code == 0
    assert cli("job", "show", removed).code == 3
    started = [node.next_start() for _ in range(AT_ONCE)]
    node.take(started[0][0])
    assert node.next_start()[1] == last  # the two before it are not started
    assert cli.job(stopped)["record"]["outcome"] == "stopped"
    node.close()


def test_stop_and_rm_end_jobs_that_wait_for_their_node(cluster):
    cluster.nodes["n1"].stop()
    cli = cluster.cli
    stopped, removed, kept = (cli.submit("--wait-online", "n1", "echo", word) for word in "abc")
    assert cli("stop", stopped).code == 0
    assert cli("job", "rm", removed).code == 0
    cluster.nodes["n1"].start()
    assert cli("wait", kept).code == 0
    assert cli("wait", stopped).code == 128 + signal.SIGTERM
    assert cli("job", "show", removed).code == 3


def test_a_client_whose_job_stands_in_the_line_hears_it_and_gets_its_output(make_cluster):
    cluster = make_cluster(nodes=0)
    node = RawNode(cluster, "n1")
    Session(cluster, cluster.cli).submit(AT_ONCE, "n1", {}, REFUSED)
    with Running(cluster.cli, "n1", "echo", "mine") as run:
        run.err.wait_for("waiting:")
        node.close()
        cluster.nodes["n1"].start()
        done = run.finish()
    assert (done.code, done.text) == (0, "mine\n"), done


def test_wait_and_stop_take_thousands_of_jobs(cluster):
    cluster.nodes["n1"].stop()
    jobs = Session(cluster, cluster.cli).submit(2_000, "n1", ONLINE)
    done = cluster.cli("stop", *jobs)
    assert done.code == 0 and done.text.count("stopped ") == len(jobs)
    assert cluster.cli("wait", *jobs).code == 123


@pytest.mark.limit(300)
def test_what_ended_while_the_controller_was_away_is_told_in_pages(cluster, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    count = 300
    spec = wire.pack({"argv": [b"sh", b"-c", f"cat {gate}".encode()], "durable": True})
    jobs = Session(cluster, cluster.cli).submit(count, "n1", {}, spec)
    processes.wait_until(lambda: all(cluster.cli.job(job)["state"] == "running"
                                     for job in jobs[-3:]), "the last runs", 60)
    cluster.controller.stop()
    with open(gate, "w"):  # all of them end
        pass
    processes.wait_until(lambda: not any(cluster.job_processes(job) for job in jobs),
                         "all have ended", 60)
    cluster.controller.start()
    cluster.wait_online()
    no_jobs_left(cluster, "n1")
    assert cluster.cli("wait", *jobs).code == 0


def test_a_command_of_any_length_that_cannot_be_run_ends_with_the_reason(shared):
    done = shared.cli.run("n1", "x" * 120_000)
    assert done.code in (126, 127) and done.status["outcome"] == "not_started", done
    assert shared.cli.run("n1", "\\\"" * 40_000).status["outcome"] == "not_started"


@pytest.mark.limit(300)
def test_a_node_holds_thousands_of_schedules_and_drops_what_went(make_cluster):
    cluster = make_cluster(nodes=2)
    count = 2_000
    cluster.nodes["n1"].stop()
    with wire.Peer(cluster.address, directory=cluster.cli.context_dir(), timeout=100) as peer:
        peer.hello()
        for number in range(count):
            args = {"name": f"s{number}", "targets": "n1", "kind": "every", "rule": "24h",
                    "zone": "UTC", "overlap": "skip", "catch_up": "none", "jitter_ms": 0,
                    "spec": wire.pack({"argv": [b"true"], "durable": True})}
            answer = peer.call(number + 1, "schedule.add", args)
            assert "result" in answer, answer
    assert cluster.cli.run("n2", "echo", "there").text == "there\n"
    cluster.nodes["n1"].start()
    held = cluster.nodes["n1"].data / "net" / "schedules.d"

    def definitions():
        return [file for file in held.iterdir() if "." not in file.name] if held.exists() else []

    processes.wait_until(lambda: len(definitions()) == count, "the node holds all", 120)
    cluster.cli("schedule", "rm", "s7").ok()
    processes.wait_until(lambda: len(definitions()) == count - 1, "the node drops one", 60)
    # It starts from its own files, without a controller, and is told only what changed.
    cluster.controller.stop()
    cluster.nodes["n1"].kill()
    cluster.controller.start()
    cluster.nodes["n1"].start()
    cluster.cli("schedule", "add", "new", "--every", "24h", "n1", "true").ok()
    processes.wait_until(lambda: len(definitions()) == count, "the node holds the new one", 60)
