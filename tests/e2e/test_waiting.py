"""Jobs that wait before they start: for their node, for a slot, for other jobs; and for how long."""
import os
import signal
import time

import pytest

from support import processes
from support.running import Running
from support.terminal import Terminal


@pytest.fixture
def gate(tmp_path):
    """A FIFO that a job waits at until the test writes."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def waiting(cli, job):
    return cli.job(job).get("waiting", "")


def wait_for_reason(cli, job, words):
    processes.wait_until(lambda: words in waiting(cli, job), f"{job} waits: {words}")


def test_a_job_waits_for_its_offline_node_and_survives_the_controller(cluster):
    cluster.nodes["n1"].stop()
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "echo", "late")
    assert waiting(cluster.cli, job) == 'node "n1" is offline'
    assert cluster.cli.job(job)["state"] == "waiting"
    assert "waiting" in cluster.cli("ps").text
    assert cluster.cli("ps", "--state", "waiting", "-o", "name").text.strip() == job
    assert cluster.cli("ps", "--state", "bogus").code == 2
    cluster.controller.restart()
    assert waiting(cluster.cli, job) == 'node "n1" is offline'
    cluster.nodes["n1"].start()
    assert cluster.cli("wait", job).code == 0
    assert cluster.cli("logs", job).text == "late\n"


def test_without_being_told_to_wait_an_offline_node_is_refused(cluster):
    cluster.nodes["n1"].stop()
    done = cluster.cli("submit", "n1", "true")
    assert done.code == 125 and "offline" in done.errors


def test_an_attached_run_waits_online_says_so_and_gets_its_stdin(cluster):
    cluster.nodes["n1"].stop()
    with Running(cluster.cli, "-i", "--wait-online", "n1", "cat", stdin=-1) as run:
        run.err.wait_for('waiting: node "n1" is offline')
        run.type(b"here\n")
        run.close_stdin()
        cluster.nodes["n1"].start()
        done = run.finish()
    assert (done.code, done.text) == (0, "here\n"), done


def test_wait_online_ends_as_unreachable_when_nobody_comes(cluster):
    cluster.nodes["n1"].stop()
    done = cluster.cli.run("--wait-online=300ms", "n1", "true")
    assert done.code == 125 and done.status["outcome"] == "unreachable", done
    assert done.status["reason"] == "node_offline" and "offline" in done.errors


def test_queue_timeout_ends_a_job_that_has_not_started_and_nothing_ran(cluster, gate, tmp_path):
    cli = cluster.cli
    holder = cli.submit("--lock", "l", "n1", "cat", str(gate))
    done = cli.run("--lock", "l", "--queue-timeout", "300ms", "n1", "touch", str(tmp_path / "ran"))
    assert done.code == 125 and done.status["outcome"] == "not_started", done
    assert done.status["reason"] == "queue_timeout" and holder in done.errors
    assert not done.status["complete"] and done.status["signal"] is None
    assert "explain queue_timeout" in done.errors
    gate.write_text("x")
    assert cli("wait", holder).code == 0
    assert not (tmp_path / "ran").exists()


def test_what_comes_after_a_job_that_expired_while_the_controller_was_down_hears_of_it(cluster):
    cluster.add_node("n2").stop()
    cli = cluster.cli
    for kind in ("--queue-timeout", "--wait-online"):
        first = cli.submit(f"{kind}=2s", *(["--wait-online=1h"] if "queue" in kind else []),
                           "n2", "true")
        expired = time.monotonic() + 2
        any_end, ok_end = (cli.submit("--after", f"{first}:{when}", "n1", "true")
                           for when in ("any", "ok"))
        cluster.controller.kill()
        processes.wait_until(lambda: time.monotonic() > expired, "the limit is over")
        cluster.controller.start()
        assert cli("wait", any_end).code == 0
        assert cli("wait", ok_end).code == 125


def test_a_lock_lets_one_job_run_at_a_time_in_the_order_of_arrival(cluster, gate):
    cli = cluster.cli
    jobs = [cli.submit("--lock", "deploy", "n1", "cat", str(gate)) for _ in range(3)]
    wait_for_reason(cli, jobs[1], f'lock "deploy" is held by job {jobs[0]}')
    for index, job in enumerate(jobs):
        processes.wait_until(lambda: cli.job(job)["state"] == "running", f"{job} runs")
        assert all(cli.job(later)["state"] == "waiting" for later in jobs[index + 1:])
        gate.write_text("x")
        assert cli("wait", job).code == 0


def test_a_lock_of_a_node_is_each_nodes_and_a_fleet_lock_everybodys(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    cli = cluster.cli
    both = cli("submit", "--lock", "l", "n1,n2", "cat", str(gate)).ok().text.split()
    for job in both:
        processes.wait_until(lambda: cli.job(job)["state"] == "running", f"{job} runs")
    cli("stop", *both).ok()
    both = cli("submit", "--fleet-lock", "l", "n1,n2", "cat", str(gate)).ok().text.split()
    first = processes.wait_until(
        lambda: [job for job in both if cli.job(job)["state"] == "running"], "one of them runs")
    assert len(first) == 1
    cli("stop", *both).ok()


def test_a_running_job_holds_its_lock_through_a_restart_of_the_controller(cluster, gate):
    cli = cluster.cli
    first = cli.submit("--lock", "l", "n1", "cat", str(gate))
    processes.wait_until(lambda: cli.job(first)["state"] == "running", "the first runs")
    second = cli.submit("--lock", "l", "n1", "true")
    cluster.controller.restart()
    cluster.wait_online()
    assert waiting(cli, second) == f'lock "l" is held by job {first}'
    gate.write_text("x")
    assert cli("wait", first, second).code == 0


@pytest.mark.parametrize("when,code,starts", [("ok", 0, True), ("ok", 3, False), ("fail", 0, False),
                                              ("fail", 3, True), ("any", 0, True), ("any", 3, True)])
def test_a_job_starts_after_the_end_that_it_asks_for(cluster, gate, when, code, starts):
    cli = cluster.cli
    first = cli.submit("n1", "sh", "-c", f"cat {gate}; exit {code}")
    second = cli.submit("--after", f"{first}:{when}", "n1", "echo", "second")
    assert waiting(cli, second) == f"for the end of job {first}"
    gate.write_text("x")
    done = cli("wait", second)
    record = cli.job(second)["record"]
    if starts:
        assert done.code == 0 and cli("logs", second).text == "second\n"
    else:
        assert done.code == 125 and record["outcome"] == "not_started", done
        assert record["reason"] == "dependency" and first in record["message"]


def test_after_a_job_that_has_ended_counts_at_once(cluster):
    cli = cluster.cli
    first = cli.submit("n1", "true")
    cli("wait", first).ok()
    assert cli.run("--after", first[:10], "n1", "true").code == 0
    done = cli.run("--after", f"{first}:fail", "n1", "true")
    assert done.code == 125 and done.status["reason"] == "dependency", done


def test_after_a_job_that_is_not_known_is_refused(cluster):
    done = cluster.cli("submit", "--after", "j-0000000000zz", "n1", "true")
    assert done.code == 125 and "j-0000000000zz" in done.errors


def test_a_chain_runs_in_order_though_the_controller_dies_between_its_links(cluster, tmp_path, gate):
    cli, log = cluster.cli, tmp_path / "log"
    jobs = [cli.submit("n1", "sh", "-c", f"cat {gate} >/dev/null; echo 0 >>{log}")]
    for i in range(1, 4):
        jobs.append(cli.submit("--after", jobs[-1], "n1", "sh", "-c", f"echo {i} >>{log}"))
    cluster.controller.kill()
    gate.write_text("x")  # the first ends while nobody is there to hear it
    cluster.controller.start()
    assert cli("wait", *jobs).code == 0
    assert log.read_text() == "0\n1\n2\n3\n"


def test_logs_of_a_waiting_job_are_empty_and_end_at_once(cluster):
    cluster.nodes["n1"].stop()
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "true")
    done = cluster.cli("logs", job)
    assert (done.code, done.out) == (0, b""), done


def test_a_job_that_waits_for_a_node_which_is_removed_was_not_started(cluster):
    cluster.nodes["n1"].stop()
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "true")
    assert cluster.cli("node", "rm", "-y", "n1").code == 6
    cluster.cli("node", "rm", "-y", "--force", "n1").ok()
    record = cluster.cli.job(job)["record"]
    assert (record["outcome"], record["code"]) == ("not_started", 125)


def test_stop_ends_a_waiting_job_without_its_node(cluster):
    cluster.nodes["n1"].stop()
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "true")
    cluster.cli("stop", job).ok()
    record = cluster.cli.job(job)["record"]
    assert (record["outcome"], record["code"]) == ("stopped", 143)
    cluster.nodes["n1"].start()
    assert cluster.cli.job(job)["started"] is None


def test_ctrl_c_ends_a_waiting_run_and_the_client_dies_of_it(cluster):
    cluster.nodes["n1"].stop()
    with Running(cluster.cli, "--wait-online", "n1", "true") as run:
        run.err.wait_for("waiting: ")
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.code == -signal.SIGINT and done.status["outcome"] == "stopped", done


def test_ctrl_c_says_that_it_stops_a_job_that_had_not_started(cluster, gate):
    holder = cluster.cli.submit("--lock", "l", "n1", "cat", str(gate))
    with Running(cluster.cli, "--lock", "l", "n1", "true") as run:
        run.err.wait_for("waiting: ")
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.code == -signal.SIGINT and done.status["outcome"] == "stopped", done
    assert "the job is stopped: it had not started yet" in done.errors, done
    assert "INT was sent" not in done.errors, done
    cluster.cli("stop", holder).ok()


def test_ctrl_c_after_a_job_has_waited_is_sent_to_it(cluster, gate):
    holder = cluster.cli.submit("--lock", "l", "n1", "cat", str(gate))
    with Running(cluster.cli, "--lock", "l", "n1", "sh", "-c", "echo up; exec sleep 60") as run:
        run.err.wait_for("waiting: ")
        cluster.cli("stop", holder).ok()
        run.out.wait_for("up")
        run.signal(signal.SIGINT)
        done = run.finish()
    assert done.status["signal"] == signal.SIGINT and "INT was sent" in done.errors, done


def test_ctrl_c_in_a_raw_terminal_ends_a_waiting_run_too(cluster):
    cluster.nodes["n1"].stop()
    with Terminal(cluster.cli, "run", "-it", "--wait-online", "n1", "cat") as t:
        t.expect("waiting: ")
        t.send("typed ahead\x03")
        ended = t.ended()
    assert (ended.code, ended.restored) == (-signal.SIGINT, ""), ended.screen
    assert ended.status["outcome"] == "stopped", ended.status


def test_a_waiting_run_goes_on_waiting_through_a_restart_of_the_controller(cluster):
    cluster.nodes["n1"].stop()
    with Running(cluster.cli, "--wait-online=1h", "n1", "echo", "back") as run:
        run.err.wait_for("waiting: ")
        cluster.controller.restart()
        cluster.nodes["n1"].start()
        done = run.finish()
    assert (done.code, done.text) == (0, "back\n"), done


def test_leaving_a_waiting_run_keeps_the_job_waiting(cluster):
    cluster.nodes["n1"].stop()
    with Running(cluster.cli, "--wait-online=1h", "n1", "echo", "left") as run:
        run.err.wait_for("waiting: ")
        run.signal(signal.SIGQUIT)
        done = run.finish()
    assert done.code == 121 and "attach" in done.errors, done
    job = cluster.cli("ps", "-o", "name").ok().text.strip()
    cluster.nodes["n1"].start()
    done = cluster.cli.run(job, verb="attach")
    assert (done.code, done.text) == (0, "left\n")


def test_a_waiting_run_whose_client_is_gone_ends_as_on_disconnect_says(cluster):
    cluster.nodes["n1"].stop()
    with Running(cluster.cli, "--wait-online=1h", "--on-disconnect", "stop", "n1", "true") as run:
        run.err.wait_for("waiting: ")
        run.process.kill()
        run.process.wait()
    job = cluster.cli("ps", "-o", "name").ok().text.strip()
    done = cluster.cli("wait", job)
    record = cluster.cli.job(job)["record"]
    assert record["outcome"] == "stopped" and record["reason"] in ("disconnect", "client_ended"), done


def test_waiting_flags_that_cannot_be_meant_are_refused_by_name(cli):
    for words, expected in [(["--lock", "a:0"], "--lock"), (["--fleet-lock", ":3"], "--fleet-lock"),
                            (["--after", ":ok"], "--after"), (["--after", "j-1:maybe"], "--after"),
                            (["--queue-timeout", "soon"], "--queue-timeout"),
                            (["--queue-timeout", "0"], "--queue-timeout"),
                            (["--wait-online=-1s"], "--wait-online")]:
        done = cli("submit", *words, "n1", "true")
        assert done.code == 125 and expected in done.errors, done
