"""Restart policies: attempts in turn, back-off and budget on the node, stops, crashes in between."""
import re
import signal

import pytest

from support import processes
from support.running import Running

# Fails until its file has as many lines as it is told.
UNTIL = 'echo attempt $REXEC_ATTEMPT; echo x >>"$1"; [ $(wc -l <"$1") -ge "$2" ] || exit 7'


def until(path, count):
    return "sh", "-c", UNTIL, "sh", str(path), str(count)


def lines(path):
    return path.read_text().count("x") if path.exists() else 0


def wait_state(cli, job, state):
    return processes.wait_until(lambda: (row := cli.job(job))["state"] == state and row,
                                f"{job} is {state}")


def test_run_follows_its_job_through_all_attempts_to_the_last_ones_code(cli, tmp_path):
    done = cli.run("--restart", "on-failure", "n1", "--", *until(tmp_path / "f", 2))
    assert done.code == 0
    assert done.text == "attempt 1\nattempt 2\n"
    assert re.search(r"rexec: attempt 2 starts in \d s: exited 7\n", done.errors)
    assert done.status["outcome"] == "exited" and done.status["complete"]
    assert done.status["attempt"] == 2
    shown = cli.job(done.status["job"])
    assert shown["attempt"] == 2
    assert [(a["attempt"], a["code"]) for a in shown["attempts"]] == [(1, 7), (2, 0)]
    # Later readers get every attempt's output in turn.
    assert cli("logs", done.status["job"]).ok().text == "attempt 1\nattempt 2\n"
    assert cli.run(done.status["job"], verb="attach").text == "attempt 2\n"


def test_the_budget_ends_in_the_last_attempts_own_code(cli, tmp_path):
    done = cli.run("--restart", "on-failure:1", "n1", "--", *until(tmp_path / "f", 99))
    assert done.code == 7 and done.status["attempt"] == 2
    assert lines(tmp_path / "f") == 2


@pytest.mark.parametrize("policy, count", [("no", 1), ("on-failure", 1)])
def test_success_and_no_policy_are_final(cli, tmp_path, policy, count):
    assert cli.run("--restart", policy, "n1", "--", *until(tmp_path / "f", 1)).code == 0
    assert lines(tmp_path / "f") == count


def test_always_goes_on_after_success_until_it_is_stopped(cli, tmp_path):
    job = cli.submit("--restart", "always", "n1", "--", *until(tmp_path / "f", 1))
    processes.wait_until(lambda: lines(tmp_path / "f") >= 2, "a second attempt")
    cli("stop", job).ok()
    shown = cli.job(job)
    assert shown["final"], shown
    count = lines(tmp_path / "f")
    assert cli("wait", job).code in (0, 143)  # an attempt may end by itself just then
    assert lines(tmp_path / "f") == count


def test_who_comes_after_a_service_that_was_stopped_in_a_pause_does_not_take_it_for_success(cli):
    service = cli.submit("--restart", "always", "n1", "true")
    follower = cli.submit("--after", f"{service}:ok", "n1", "true")
    wait_state(cli, service, "restarting")
    cli("stop", service).ok()
    assert cli("wait", follower).code == 125


def test_stop_of_a_job_that_waits_for_its_restart_cancels_it(cli, tmp_path):
    job = cli.submit("--restart", "always", "n1", "--", *until(tmp_path / "f", 99))
    # The second pause is two seconds: time enough to be seen, and to be stopped in.
    processes.wait_until(lambda: lines(tmp_path / "f") == 2, "the second attempt")
    shown = wait_state(cli, job, "restarting")
    assert shown["next_attempt"] and not shown["final"]
    cli("stop", job).ok()
    shown = cli.job(job)
    assert shown["final"] and shown["state"] == "stopped" and shown["record"]["code"] == 143
    assert "exited 7" in shown["record"]["message"], shown
    assert cli("wait", job).code == 143
    assert lines(tmp_path / "f") == 2


def test_ctrl_c_between_two_attempts_ends_the_run(cli, tmp_path):
    with Running(cli, "--restart", "always", "n1", "--", *until(tmp_path / "f", 99)) as run:
        run.err.wait_for("attempt 3 starts")
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.code == -signal.SIGINT and done.status["outcome"] == "stopped", done
    assert "the job is stopped: it was between two attempts" in done.errors, done
    assert "INT was sent" not in done.errors and lines(tmp_path / "f") == 2


def test_a_timeout_is_a_failure_and_a_stop_is_not(cli, tmp_path):
    done = cli.run("--restart", "on-failure:1", "--timeout", "300ms", "n1", "--", "sleep", "60")
    assert done.code == 124 and done.status["attempt"] == 2
    job = cli.submit("--restart", "always", "n1", "--", "sleep", "60")
    wait_state(cli, job, "running")
    cli("stop", job).ok()
    assert cli.job(job)["state"] == "stopped" and cli.job(job)["attempt"] == 1


def test_a_job_that_may_be_restarted_takes_no_stdin(cli):
    done = cli("run", "-i", "--restart", "always", "n1", "--", "cat")
    assert done.code == 125 and "takes no stdin" in done.errors
    done = cli("run", "--restart", "sometimes", "n1", "--", "true")
    assert done.code == 125 and "--restart" in done.errors


def test_a_killed_agent_starts_the_next_attempt_once_and_in_time(cluster, tmp_path):
    # FAULTS K5, K16: the decision is on disk, whoever was killed when.
    node, cli = cluster.nodes["n1"], cluster.cli
    job = cli.submit("--restart", "on-failure", "n1", "--", *until(tmp_path / "f", 4))
    for attempt in (1, 2):
        processes.wait_until(lambda: lines(tmp_path / "f") >= attempt, f"attempt {attempt}")
        node.restart()
        cluster.wait_online()
    node.kill_net()
    assert cli("wait", job).code == 0
    assert lines(tmp_path / "f") == 4
    assert cli.job(job)["attempt"] == 4
    names = [directory.name for directory in node.job_dirs(job)]
    assert sorted(names) == [f"{job}.{n}" for n in (1, 2, 3, 4)]


def test_attempts_go_on_while_the_controller_is_away(cluster, tmp_path):
    cli, controller = cluster.cli, cluster.controller
    job = cli.submit("--restart", "on-failure", "n1", "--", *until(tmp_path / "f", 3))
    processes.wait_until(lambda: lines(tmp_path / "f") >= 1, "the first attempt")
    controller.kill()
    processes.wait_until(lambda: lines(tmp_path / "f") >= 3, "the third attempt")
    controller.start()
    assert cli("wait", job).code == 0
    shown = cli.job(job)
    assert shown["attempt"] == 3 and [a["code"] for a in shown["attempts"]] == [7, 7, 0]


def test_a_follower_whose_link_breaks_between_attempts_misses_nothing(cluster, tmp_path):
    cli = cluster.cli
    with Running(cli, "--restart", "on-failure", "n1", "--", *until(tmp_path / "f", 3)) as run:
        run.err.wait_for("attempt 3 starts")
        cluster.controller.restart()
        done = run.finish().ok()
    assert done.out.endswith(b"attempt 1\nattempt 2\nattempt 3\n")


def test_a_lost_supervisor_is_a_failure_only_under_a_policy(cluster, tmp_path):
    # FAULTS K8
    node, cli = cluster.nodes["n1"], cluster.cli
    script = 'echo x >>"$1"; [ $(wc -l <"$1") -ge 2 ] || exec sleep 60'
    for policy, outcome, count in (("on-failure", "exited", 2), ("no", "lost", 1)):
        path = tmp_path / policy
        job = cli.submit("--restart", policy, "n1", "--", "sh", "-c", script, "sh", str(path))
        processes.wait_until(lambda: lines(path) == 1, "it runs")
        processes.kill(node.shim_of(job))
        cli("wait", job)
        assert (cli.job(job)["state"], lines(path)) == (outcome, count)
