"""Schedules that fire no more: what may still be done with them, and what is refused."""
import datetime

from support import processes
from support.beats import add, now, show


def state(cluster, name):
    return cluster.cli("schedule", "show", name, "--json").ok().json()["state"]


def add_once(cluster, name):
    """--at a time that is soon, and not past when the controller hears of it; that time."""
    for lead in (3, 15, 60):
        at = (now() + datetime.timedelta(seconds=lead)).replace(microsecond=0)
        done = cluster.cli("schedule", "add", name, "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "n1",
                           "--", "true")
        if done.code == 0:
            return at
        assert "is in the past" in done.errors, done
    raise AssertionError("the machine is too slow to make a schedule within a minute")


def assert_refused(done, words):
    assert done.code == 6 and words in done.errors, done
    assert not done.out, done


def test_what_has_fired_for_the_last_time_is_neither_resumed_nor_paused(make_cluster):
    cluster = make_cluster()
    add_once(cluster, "once")
    processes.wait_until(lambda: show(cluster.cli, "once")["fired"] == 1, "it fires", 90)
    refused = cluster.cli("schedule", "resume", "once")
    assert_refused(refused, 'schedule "once" has fired for the last time, it cannot be resumed')
    assert "make another: rexec schedule add" in refused.errors, refused
    assert_refused(cluster.cli("schedule", "pause", "once"), "there is nothing to pause")
    assert state(cluster, "once") == "done"
    cluster.controller.restart()
    assert_refused(cluster.cli("schedule", "resume", "once"), "cannot be resumed")
    cluster.cli("schedule", "rm", "once").ok()
    gone = cluster.cli("schedule", "resume", "once")
    assert gone.code == 3 and 'no schedule "once"' in gone.errors, gone


def test_what_was_paused_when_its_last_time_came_is_not_resumed(make_cluster):
    cluster = make_cluster()
    cluster.nodes["n1"].stop()  # until it is back nothing has fired: a pause comes in time
    due = add_once(cluster, "once")
    for _ in range(2):
        cluster.cli("schedule", "pause", "once").ok()
    processes.wait_until(lambda: now() > due, "its time comes", 90)
    assert_refused(cluster.cli("schedule", "resume", "once"), "was paused when its last time came")
    assert state(cluster, "once") == "paused"
    cluster.nodes["n1"].start()
    assert_refused(cluster.cli("schedule", "resume", "once"), "was paused when its last time came")
    assert show(cluster.cli, "once")["fired"] == 0


def test_of_several_schedules_those_that_fire_no_more_are_named(make_cluster):
    cluster = make_cluster()
    add_once(cluster, "once")
    add(cluster.cli, "often", "--every", "1h", "n1", "--", "true")
    cluster.cli("schedule", "pause", "often").ok()
    processes.wait_until(lambda: show(cluster.cli, "once")["fired"] == 1, "it fires", 90)
    done = cluster.cli("schedule", "resume", "once", "often")
    assert done.code == 7 and 'schedule "once"' in done.errors, done
    assert "resumed often" in done.text and state(cluster, "often") == "active", done
    cluster.cli("schedule", "resume", "often").ok()  # it is: said so twice


def test_a_schedule_whose_owner_was_revoked_is_not_resumed(make_cluster):
    cluster = make_cluster()
    bob = cluster.new_user("bob")
    add(bob, "his", "--every", "1h", "n1", "--", "true")
    cluster.cli("schedule", "pause", "his").ok()
    cluster.cli("user", "revoke", "-y", "bob").ok()
    assert_refused(cluster.cli("schedule", "resume", "his"), "its owner was revoked")
