"""Thousands of waiting jobs: what one event costs does not grow with them, and the order holds."""
import os

import pytest

from support import processes
from support.cli import SANITIZED
from support.raw_session import Session

LOCK = {"locks": [{"name": "l", "slots": 1}]}


def cpu_s(pid):
    fields = processes.stat_fields(pid)
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def gate(tmp_path):
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own work is no measure")
def test_a_submit_behind_a_long_line_costs_what_one_behind_a_short_line_does(cluster, gate):
    cluster.cli.submit("--lock", "l", "n1", "cat", str(gate))
    session, pid = Session(cluster, cluster.cli), cluster.controller.pid
    costs = []
    for _ in range(4):
        before = cpu_s(pid)
        session.submit(2_000, "n1", LOCK)
        costs.append(cpu_s(pid) - before)
    # What grew with the line would make it seven times.
    assert costs[3] < 3 * costs[0], costs


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own work is no measure")
def test_to_stop_one_of_a_long_line_costs_what_it_does_in_a_short_one(cluster, gate):
    cli, pid = cluster.cli, cluster.controller.pid
    session = Session(cluster, cli)

    def cost_of_stops(jobs):
        before = cpu_s(pid)
        for number, job in enumerate(jobs):
            answer = session.peer.call(number + 1, "job.stop", {"job": job})
            assert "result" in answer, answer
        return cpu_s(pid) - before

    cli.submit("--lock", "l", "n1", "cat", str(gate))
    wide = session.submit(1_000, "n1", LOCK)
    short = cost_of_stops(wide[:500])
    session.submit(15_000, "n1", LOCK)
    long = cost_of_stops(wide[500:])
    # Half a second is what a busy machine may add; the square of the line was minutes.
    assert long < 3 * short + 0.5, (short, long)


@pytest.mark.limit(300)
def test_others_run_while_thousands_wait_and_the_line_goes_on_in_order(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    ann = cluster.new_user("ann")
    holder = ann.submit("--lock", "l", "n1", "cat", str(gate))
    jobs = Session(cluster, ann).submit(5_000, "n1", LOCK)
    assert cluster.cli.run("n2", "echo", "there").text == "there\n"
    # Far behind, too, it names who holds the lock at this moment.
    for job in (jobs[0], jobs[2_500], jobs[-1]):
        assert ann.job(job)["waiting"] == f'lock "l" is held by job {holder}'
    assert ann.job(jobs[9])["state"] == "waiting"
    gate.write_text("")
    assert ann("wait", *jobs[:10]).code == 0
    assert cluster.cli.run("n2", "echo", "there").text == "there\n"
    started = [ann.job(job)["started"] for job in jobs[:10]]
    assert started == sorted(started)


@pytest.mark.limit(300)
def test_a_long_line_is_there_after_a_restart_and_goes_on_in_order(cluster, gate):
    cli = cluster.cli
    holder = cli.submit("--lock", "l", "n1", "cat", str(gate))
    jobs = Session(cluster, cli).submit(3_000, "n1", LOCK)
    cluster.controller.restart()
    cluster.wait_online()
    assert cli.job(jobs[-1])["waiting"] == f'lock "l" is held by job {holder}'
    gate.write_text("")
    assert cli("wait", *jobs[:5]).code == 0
    assert cli.job(jobs[-1])["state"] == "waiting"


def test_a_thousand_that_wait_for_one_job_all_hear_of_its_end(cluster, gate):
    cli = cluster.cli
    session = Session(cluster, cli)
    first = cli.submit("n1", "sh", "-c", f"cat {gate}; exit 1")
    fine = session.submit(30, "n1", {"after": [{"job": first, "when": "fail"}]})
    refused = session.submit(1_000, "n1", {"after": [{"job": first, "when": "ok"}]})
    gate.write_text("")
    assert cli("wait", *fine).code == 0
    for job in (refused[0], refused[-1]):
        assert cli("wait", job).code == 125
        assert cli.job(job)["record"]["reason"] == "dependency"


@pytest.mark.parametrize("codes,ok,failed", [((0, 0), 0, 125), ((0, 3), 125, 0), ((3, 3), 125, 0)])
def test_after_a_job_on_several_nodes_fail_is_true_when_one_failed_and_ok_when_none_did(
        make_cluster, tmp_path, codes, ok, failed):
    cluster = make_cluster(nodes=2)
    cli = cluster.cli
    (tmp_path / "jobs.toml").write_text(f"""
[wide]
target = "n1,n2"
sh = "case $REXEC_NODE in n1) exit {codes[0]};; *) exit {codes[1]};; esac"
[good]
target = "n1"
cmd = ["true"]
after = ["wide"]
[bad]
target = "n2"
cmd = ["true"]
after = ["wide:fail"]
[any]
target = "n1,n2"
cmd = ["true"]
after = ["wide:any"]
""")
    rows = cli("submit", "--json", "--dag", str(tmp_path / "jobs.toml")).ok().json()
    ends = {row["name"]: cli("wait", row["job"]).code for row in rows}
    assert (ends["good"], ends["bad"], ends["any"]) == (ok, failed, 0), ends


def test_a_branch_for_failures_waits_for_all_nodes_and_survives_a_restart(make_cluster, tmp_path,
                                                                           gate):
    cluster = make_cluster(nodes=2)
    cli = cluster.cli
    (tmp_path / "jobs.toml").write_text(f"""
[wide]
target = "n1,n2"
sh = "case $REXEC_NODE in n1) exit 3;; *) cat {gate};; esac"
[bad]
target = "n1"
cmd = ["true"]
after = ["wide:fail"]
""")
    rows = cli("submit", "--json", "--dag", str(tmp_path / "jobs.toml")).ok().json()
    jobs = {(row["name"], row["node"]): row["job"] for row in rows}
    assert cli("wait", jobs["wide", "n1"]).code == 3
    cluster.controller.restart()
    cluster.wait_online()
    bad = cli.job(jobs["bad", "n1"])
    assert bad["state"] == "waiting" and jobs["wide", "n2"] in bad["waiting"], bad
    gate.write_text("")
    assert cli("wait", jobs["bad", "n1"]).code == 0
