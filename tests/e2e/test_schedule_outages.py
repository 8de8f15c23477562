"""Schedules while a node or the controller is away: what is caught up, what is not, and who is told."""
import datetime

import pytest

from support import processes
from support.beats import EACH, Beats, add, now, seconds_pass, show
from support.cli import REPOSITORY


@pytest.fixture
def beats(tmp_path):
    return Beats(tmp_path / "beats")


def test_a_node_fires_while_the_controller_is_away_and_nothing_twice_when_it_is_back(
        make_cluster, beats):
    cluster = make_cluster()
    add(cluster.cli, "beat", *EACH, "n1", "--", *beats.command)
    beats.wait_for(2)
    cluster.controller.kill()
    beats.wait_for_more(4)
    cluster.controller.start()
    cluster.wait_online()
    beats.wait_for_more(3)
    cluster.cli("schedule", "pause", "beat").ok()
    processes.wait_until(lambda: show(cluster.cli, "beat")["held"] == 0, "the pause arrives")
    processes.wait_until(lambda: show(cluster.cli, "beat")["running"] == 0, "the last one ends")
    beats.assert_each_second_once()
    # What ran meanwhile is known by its tickets, once each.
    count = len(beats.times)
    processes.wait_until(
        lambda: len(cluster.cli("ps", "-a", "--json").ok().json()) == count, "all jobs are known")


@pytest.mark.parametrize("what", ["net", "agent"])
def test_a_killed_agent_catches_up_and_fires_nothing_twice(make_cluster, beats, what):
    cluster = make_cluster()
    node = cluster.nodes["n1"]
    add(cluster.cli, "beat", *EACH, "n1", "--", *beats.command)
    beats.wait_for(2)
    for _ in range(3):
        if what == "net":
            node.kill_net()
        else:
            node.kill()
            node.start()
        beats.wait_for_more(2)
    cluster.wait_online()
    cluster.cli("schedule", "pause", "beat").ok()
    processes.wait_until(lambda: show(cluster.cli, "beat")["held"] == 0, "the pause arrives")
    processes.wait_until(lambda: show(cluster.cli, "beat")["running"] == 0, "the last one ends")
    beats.assert_each_second_once()


def killed_while_it_beats(make_cluster, beats, catch_up):
    cluster = make_cluster()
    node = cluster.nodes["n1"]
    add(cluster.cli, "beat", "--every", "1s", "--catch-up", catch_up, "n1", "--", *beats.command)
    beats.wait_for(2)
    node.kill()
    return cluster, node


def test_all_that_was_missed_runs_in_order_with_skip_too(make_cluster, beats):
    _, node = killed_while_it_beats(make_cluster, beats, "all")
    killed = now()
    seconds_pass(4)
    away = {at for at in map(lambda n: killed.replace(microsecond=0) + datetime.timedelta(seconds=n),
                             range(1, 60)) if at < now()}
    node.start()
    processes.wait_until(lambda: away <= set(beats.times), "each missed one ran")
    times = beats.times
    assert times == sorted(set(times))


def test_last_catches_up_one(make_cluster, beats):
    cluster, node = killed_while_it_beats(make_cluster, beats, "last")
    away = len(beats.times)
    clock = cluster.add_node("n2")
    other = Beats(beats.path.with_name("other"))
    add(cluster.cli, "clock", *EACH, clock.name, "--", *other.command)
    other.wait_for(5)
    node.start()
    beats.wait_for(away + 2)
    processes.wait_until(lambda: show(cluster.cli, "beat")["skipped"] >= 2, "the others are counted")
    times = beats.times
    assert len(set(times)) == len(times)


def test_at_is_pending_while_a_node_of_its_target_has_not_told(make_cluster, beats):
    cluster = make_cluster(nodes=2)
    away = cluster.nodes["n2"]
    at = now() + datetime.timedelta(seconds=7)
    add(cluster.cli, "once", "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "@all", "--", *beats.command)
    for node in ("n1", "n2"):
        processes.wait_until(lambda: show(cluster.cli, "once", node)["held"] == 1, "it is held")
    away.kill()
    state = lambda: cluster.cli("schedule", "show", "once", "--json").ok().json()["state"]
    assert state() == "active"
    processes.wait_until(lambda: show(cluster.cli, "once")["fired"] == 1, "n1 has told")
    assert state() == "pending"
    away.start()
    processes.wait_until(lambda: show(cluster.cli, "once", "n2")["fired"] == 1, "n2 has told too")
    assert state() == "done"
    # Its job says so to a controller that nobody has told.
    processes.wait_until(lambda: len(cluster.cli("ps", "-a", "--json").ok().json()) == 2, "jobs")
    away.kill()
    cluster.controller.restart()
    cluster.wait_online("n1")
    processes.wait_until(lambda: state() == "done", "known by its job")


def test_paused_while_a_node_is_offline_fires_nothing_there_afterwards(make_cluster, beats):
    cluster = make_cluster(nodes=2)
    other = Beats(beats.path.with_name("other"))
    add(cluster.cli, "beat", *EACH, "n1", "--", *beats.command)
    add(cluster.cli, "clock", *EACH, "n2", "--", *other.command)
    beats.wait_for(1)
    cluster.nodes["n1"].stop()
    cluster.cli("schedule", "pause", "beat").ok()
    seconds_pass(2)
    known = len(beats.times)
    cluster.nodes["n1"].start()
    processes.wait_until(lambda: show(cluster.cli, "beat")["held"] == 0, "the pause arrives")
    other.wait_for_more(3)
    assert len(beats.times) == known
    cluster.cli("schedule", "resume", "beat").ok()
    beats.wait_for(known + 2)
    times = beats.times
    assert len(set(times)) == len(times)
    gaps = [(b - a).total_seconds() for a, b in zip(times, times[1:])]
    assert max(gaps) >= 3.0, "what the pause left out stays left out"


def test_what_was_paused_or_dropped_while_a_node_was_down_is_not_caught_up(make_cluster, tmp_path):
    cluster = make_cluster()
    node = cluster.nodes["n1"]
    beats = {name: Beats(tmp_path / name) for name in ("paused", "dropped", "kept")}
    for name, beat in beats.items():
        add(cluster.cli, name, *EACH, "n1", "--", *beat.command)
    for beat in beats.values():
        beat.wait_for(2)
    node.kill()
    cluster.cli("schedule", "pause", "paused").ok()
    cluster.cli("schedule", "rm", "dropped").ok()
    seconds_pass(3)
    known = {name: len(beat.times) for name, beat in beats.items()}
    node.start()
    beats["kept"].wait_for_more(5)
    assert len(beats["paused"].times) == known["paused"]
    assert len(beats["dropped"].times) == known["dropped"]
    beats["kept"].assert_each_second_once()


def test_a_change_says_which_nodes_have_not_heard_of_it(make_cluster):
    cluster = make_cluster(nodes=2)
    add(cluster.cli, "beat", "--every", "1h", "@all", "--", "true")
    for node in ("n1", "n2"):
        processes.wait_until(lambda: show(cluster.cli, "beat", node)["held"] > 0, "it is held")
    assert cluster.cli("schedule", "pause", "beat").ok().errors == ""
    for node in ("n1", "n2"):
        processes.wait_until(lambda: show(cluster.cli, "beat", node)["held"] == 0, "it is paused")
    cluster.nodes["n2"].kill()
    processes.wait_until(lambda: cluster.node_states()["n2"]["state"] != "online", "n2 is away")
    again = cluster.cli("schedule", "pause", "beat").ok()
    assert again.errors == "", "n2 heard of it before it went"
    resumed = cluster.cli("schedule", "resume", "beat").ok()
    assert resumed.text == "resumed beat\n"
    assert "n2" in resumed.errors and "n1" not in resumed.errors
    assert cluster.cli("schedule", "pause", "beat", "--json").ok().json()["unheard"] == ["n2"]
    removed = cluster.cli("schedule", "rm", "beat").ok()
    assert "n2" in removed.errors and "n1" not in removed.errors


def test_a_node_without_a_controller_catches_up_after_a_while(make_cluster, beats):
    cluster = make_cluster()
    node = cluster.nodes["n1"]
    add(cluster.cli, "beat", *EACH, "n1", "--", *beats.command)
    beats.wait_for(2)
    cluster.controller.kill()
    node.kill()
    seconds_pass(3)
    known = len(beats.times)
    node.launch()
    beats.wait_for(known + 3)
    beats.assert_each_second_once()
    cluster.controller.start()
    cluster.wait_online(timeout=60)
    node.wait_ready()


def test_with_none_the_newest_still_runs_within_a_minute_as_help_and_manual_say(make_cluster, beats):
    cluster = make_cluster()
    node = cluster.nodes["n1"]
    at = (now() + datetime.timedelta(seconds=7)).replace(microsecond=0)
    add(cluster.cli, "once", "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "n1", "--", *beats.command)
    processes.wait_until(lambda: show(cluster.cli, "once")["held"] == 1, "the node has it")
    node.kill()
    processes.wait_until(lambda: now() > at, "the time", 60)
    node.start()
    beats.wait_for(1)
    assert beats.times == [at]
    said = "up to one minute late is still on time"
    assert said in cluster.cli("schedule", "add", "--help").ok().text
    assert said in (REPOSITORY / "man" / "rexec-schedule.1").read_text(encoding="utf-8")
