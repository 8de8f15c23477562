"""Schedules: each nominal time fires once on each node; overlap, jitter, whose they are, what is refused."""
import datetime

import pytest

from support import processes
from support.beats import EACH, Beats, add, now, show


@pytest.fixture
def beats(tmp_path):
    return Beats(tmp_path / "beats")


# ---- each nominal time once

def test_each_nominal_time_fires_once_and_its_jobs_are_the_owners(make_cluster, beats):
    cluster = make_cluster()
    made = add(cluster.cli, "beat", *EACH, "n1", "--", *beats.command)
    assert made["state"] == "active" and made["id"].startswith("s-")
    beats.wait_for(4)
    cluster.cli("schedule", "pause", "beat").ok()
    processes.wait_until(lambda: show(cluster.cli, "beat")["held"] == 0, "the pause arrives")
    processes.wait_until(lambda: show(cluster.cli, "beat")["running"] == 0, "the last one ends")
    processes.wait_until(lambda: show(cluster.cli, "beat")["fired"] == len(beats.times), "told")
    beats.assert_each_second_once()
    jobs = cluster.cli("ps", "-a", "--json").ok().json()
    assert len(jobs) == len(beats.times)
    assert {row["node"] for row in jobs} == {"n1"}
    assert all("REXEC_NOMINAL" in row["command"] for row in jobs)


def test_at_fires_once_and_is_done(make_cluster, beats):
    cluster = make_cluster()
    at = now() + datetime.timedelta(seconds=3)
    add(cluster.cli, "once", "--at", at.strftime("%Y-%m-%dT%H:%M:%SZ"), "n1", "--", *beats.command)
    beats.wait_for(1)
    assert beats.times == [at.replace(microsecond=0)]
    processes.wait_until(lambda: show(cluster.cli, "once")["fired"] == 1, "the controller is told")
    assert cluster.cli("schedule", "show", "once", "--json").ok().json()["state"] == "done"
    assert cluster.cli("schedule", "next", "once", "-o", "json").ok().json() == []


def test_show_says_why_a_firing_failed_and_names_no_job_that_is_not_there(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "bad", "--every", "1s", "-u", "nosuchuser", "n1", "--", "true")
    processes.wait_until(
        lambda: show(cluster.cli, "bad")["failed"] >= 1 and not show(cluster.cli, "bad")["last_job"],
        "one was refused, and its job is not named")
    shown = cluster.cli("schedule", "show", "bad").ok().text
    assert "last failure on n1: " in shown and "nosuchuser" in shown
    # A command that is not there is a job that ended, and no refusal.
    add(cluster.cli, "none", "--every", "1s", "n1", "--", "/nonexistent/command")
    processes.wait_until(lambda: show(cluster.cli, "none")["fired"] >= 2, "it fires")
    assert show(cluster.cli, "none")["failed"] == 0
    states = lambda: {row["state"] for row in cluster.cli("ps", "-a", "--json").ok().json()}
    processes.wait_until(lambda: states() == {"not_started"}, "its jobs are there")


# ---- overlap

WAITS = ("perl", "-e", "sleep 1000")


def test_skip_leaves_firings_out_while_a_job_runs(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "long", "--every", "1s", "n1", "--", *WAITS)
    processes.wait_until(lambda: show(cluster.cli, "long")["skipped"] >= 2, "two are skipped")
    row = show(cluster.cli, "long")
    assert row["fired"] == 1 and row["running"] == 1


def test_queue_lets_firings_wait_one_at_a_time_and_rm_drops_them(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "long", "--every", "1s", "--overlap", "queue", "n1", "--", *WAITS)
    processes.wait_until(lambda: show(cluster.cli, "long")["waiting"] >= 2, "two wait")
    row = show(cluster.cli, "long")
    assert row["fired"] == 1 and row["running"] == 1 and row["skipped"] == 0
    cluster.cli("stop", row["last_job"]).ok()
    processes.wait_until(lambda: show(cluster.cli, "long")["fired"] == 2, "the next one starts")
    second = show(cluster.cli, "long")["last_job"]
    assert second != row["last_job"]
    cluster.cli("schedule", "rm", "long").ok()
    assert cluster.cli("schedule", "show", "long").code == 3
    assert cluster.cli.job(second)["state"] == "running"


def test_allow_starts_another_one(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "long", "--every", "1s", "--overlap", "allow", "n1", "--", *WAITS)
    processes.wait_until(lambda: show(cluster.cli, "long")["running"] >= 3, "three run at once")


def test_replace_stops_the_running_one_first(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "long", "--every", "1s", "--overlap", "replace", "n1", "--", *WAITS)
    processes.wait_until(lambda: show(cluster.cli, "long")["fired"] >= 3, "three were started")
    cluster.cli("schedule", "pause", "long").ok()
    processes.wait_until(lambda: show(cluster.cli, "long")["held"] == 0, "the pause arrives")
    processes.wait_until(
        lambda: len(cluster.cli("ps", "--json").ok().json()) == 1, "one is left running")
    ended = [row for row in cluster.cli("ps", "-a", "--json").ok().json() if row["state"] != "running"]
    assert len(ended) >= 2 and {row["state"] for row in ended} == {"stopped"}


# ---- who, where, when not

def test_a_node_that_joins_the_target_later_takes_part(make_cluster, beats):
    cluster = make_cluster()
    add(cluster.cli, "beat", "--every", "1s", "@all", "--", "sh", "-c",
        f"echo $REXEC_NODE >> {beats.path}")
    cluster.add_node("n2")
    processes.wait_until(
        lambda: beats.path.exists() and {"n1", "n2"} <= set(beats.path.read_text().split()),
        "both nodes fire")


def test_a_schedule_is_its_owners_and_the_administrators(make_cluster):
    cluster = make_cluster()
    ann = cluster.new_user("ann")
    ann("schedule", "add", "mine", "--cron", "0 0 1 1 *", "n1", "--", "true").ok()
    bob = cluster.new_user("bob")
    assert bob("schedule", "show", "mine").code == 3
    assert bob("schedule", "rm", "mine").code == 3
    assert bob("schedule", "ls", "--json").ok().json() == []
    assert bob("schedule", "add", "mine", "--every", "1h", "n1", "true").code == 6
    assert [row["owner"] for row in cluster.cli("schedule", "ls", "--json").ok().json()] == ["ann"]
    cluster.cli("user", "revoke", "ann").ok()
    processes.wait_until(lambda: show(cluster.cli, "mine")["held"] == 0, "nothing fires for ann")
    assert cluster.cli("schedule", "show", "mine", "--json").ok().json()["state"] == "broken"


def test_schedules_survive_the_controller(make_cluster):
    cluster = make_cluster()
    made = add(cluster.cli, "nightly", "--cron", "30 2 * * *", "--tz", "Europe/Rome", "--overlap",
               "replace", "--catch-up", "last", "--jitter", "5m", "@all", "true")
    cluster.controller.kill()
    cluster.controller.start()
    [row] = cluster.cli("schedule", "ls", "--json").ok().json()
    assert row == made
    cluster.wait_online()
    processes.wait_until(lambda: show(cluster.cli, "nightly")["held"] == 32, "the node holds 32")


# ---- what is refused, and the dry run

@pytest.mark.parametrize("words, says", [
    (("--cron", "0 0 31 2 *", "n1", "true"), "never happens"),
    (("--cron", "61 * * * *", "n1", "true"), "column 1"),
    (("--cron", "* * * * *", "--tz", "Europe/Roma", "n1", "true"), "did you mean: Europe/Rome"),
    (("--every", "10ms", "n1", "true"), "at least 1s"),
    (("--at", "2020-01-01T00:00", "n1", "true"), "in the past"),
    (("--every", "1m", "--jitter", "2m", "n1", "true"), "jitter"),
    (("--every", "1m", "--at", "2030-01-01T00:00", "n1", "true"), "give one of"),
    (("n1", "true"), "give one of"),
    (("--every", "1m", "--overlap", "maybe", "n1", "true"), "--overlap"),
    (("--every", "1m", "n1"), "no command"),
])
def test_what_cannot_be_is_refused_when_it_is_added(shared, words, says):
    done = shared.cli("schedule", "add", "bad", *words)
    assert done.code == 2, done
    assert says in done.errors, done
    assert shared.cli("schedule", "show", "bad").code == 3


def test_next_works_out_a_rule_without_a_controller(shared, tmp_path):
    shown = shared.cli("schedule", "next", "--cron", "30 2 * * *", "--tz", "Europe/Rome", "-n", "3",
                       "--config", str(tmp_path / "none.toml"), "--json").ok().json()
    assert len(shown) == 3
    assert all(" 02:30:00 +0" in row["local"] or " 03:00:00 +0200" in row["local"] for row in shown)
    assert all(row["utc"].endswith("Z") for row in shown)


def test_next_of_a_stored_one_and_the_tables(make_cluster):
    cluster = make_cluster()
    add(cluster.cli, "nightly", "--cron", "@daily", "n1", "true")
    stored = cluster.cli("schedule", "next", "nightly", "--json").ok().json()
    dry = cluster.cli("schedule", "next", "--cron", "0 0 * * *", "--json").ok().json()
    assert stored[1:] == dry[1:] or stored == dry
    table = cluster.cli("schedule", "ls").ok().text
    assert "nightly" in table and "cron @daily" in table
    assert "n1" in cluster.cli("schedule", "show", "nightly").ok().text
    cluster.cli("schedule", "pause", "nightly").ok()
    assert cluster.cli("schedule", "ls", "--json").json()[0]["state"] == "paused"
    assert cluster.cli("schedule", "next", "nightly", "--json").ok().json() == []
