"""A client that ended is not one that is silent: it says so, and its job ends with it, at once. A
controller or an agent that is away is no client that left.
"""
import os
import signal
import subprocess

import pytest

from support import processes, wire
from support.client_ends import OwnTerminal, waiting_for
from support.patience import patient
from support.running import Running

RULES = {"stop": ("--on-disconnect", "stop"), "a moment": ("--on-disconnect", "stop-after=1ms"),
         "default": ()}


def restart_controller(cluster):
    cluster.controller.restart()


def kill_controller(cluster):
    cluster.controller.kill()
    cluster.controller.start()


def kill_agent(cluster):
    cluster.nodes["n1"].kill()
    cluster.nodes["n1"].start()


def kill_net(cluster):
    [net] = [pid for pid in processes.children(cluster.nodes["n1"].pid)
             if b"agent-net" in processes.cmdline(pid)]
    processes.kill(net, signal.SIGKILL)


@pytest.mark.parametrize("rule", ["stop", "a moment"])
@pytest.mark.parametrize("outage", [restart_controller, kill_controller, kill_agent, kill_net])
def test_an_outage_of_controller_or_agent_is_not_the_clients_leaving(cluster, tmp_path, outage, rule):
    fifo = tmp_path / "go"
    with Running(cluster.cli, *RULES[rule], "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        outage(cluster)
        cluster.wait_online("n1")
        # Its client is back when the job's output reaches it.
        fifo.write_text("on\n")
        assert run.line() == "on"
        assert run.finish().code == 5
    assert cluster.cli.job(job)["record"]["outcome"] == "exited"


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("flags", [(), ("-i",)])
def test_a_client_without_a_terminal_that_is_hung_up_takes_its_job_along(cluster, flags, rule):
    with Running(cluster.cli, *flags, *RULES[rule], "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000 & sleep 1000",
                 stdin=subprocess.PIPE, start_new_session=True) as run:
        job = run.line()
        run.signal(signal.SIGHUP)
        done = run.finish()
    assert done.code == 121 and "the job is to stop there, because its client ends" in done.errors, done
    assert cluster.cli("wait", job).code == 128 + signal.SIGTERM
    record = cluster.cli.job(job)["record"]
    assert (record["outcome"], record["reason"]) == ("stopped", "client_ended"), record
    processes.wait_until(lambda: not cluster.job_processes(job), "nothing of it is left")


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_run_that_may_be_repeated_finds_its_job_when_its_client_has_ended(cluster, tmp_path, number):
    fifo = tmp_path / "go"
    words = ("--idempotency-key", str(tmp_path), "n1", *waiting_for(fifo))
    with Running(cluster.cli, *words, start_new_session=True) as run:
        assert run.line().startswith("up ")
        cluster.cli("ps").ok()  # takes longer than a client is without its watcher
        run.signal(number)
        done = run.finish()
    if number == signal.SIGHUP:
        assert done.code == 121 and "the job goes on for" in done.errors, done
    with Running(cluster.cli, *words) as again:
        assert again.line().startswith("up ")
        fifo.write_text("on\n")
        assert again.line() == "on"
        assert again.finish().code == 5


@pytest.mark.parametrize("flags", [(), ("-i",)])
def test_unless_the_job_is_to_be_kept(cluster, tmp_path, flags):
    fifo = tmp_path / "go"
    with Running(cluster.cli, *flags, "--on-disconnect", "keep", "n1", *waiting_for(fifo),
                 stdin=subprocess.PIPE, start_new_session=True) as run:
        job = run.line().split()[1]
        run.signal(signal.SIGHUP)
        done = run.finish()
    assert done.code == 121 and "the job goes on" in done.errors, done
    fifo.write_text("on\n")
    assert cluster.cli("wait", job).code == 5


@pytest.mark.parametrize("flags", [(), ("-i",), ("-t",)])
def test_a_closed_terminal_keeps_the_job(cluster, tmp_path, flags):
    fifo = tmp_path / "go"
    terminal = OwnTerminal()
    with cluster.cli.popen("run", *flags, "n1", *waiting_for(fifo), **terminal.options) as client:
        job = terminal.job()
        terminal.close()
        client.wait(patient(20))
    fifo.write_text("on\n")
    assert cluster.cli("wait", job).code == 5


def test_a_reader_that_is_hung_up_ends_its_reading_alone(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        with Running(cluster.cli, job, verb="attach") as reader:
            reader.line()
            reader.signal(signal.SIGHUP)
            assert reader.finish().code == 121
        fifo.write_text("on\n")
        assert run.finish().code == 5


def test_a_job_of_which_a_reader_is_left_ends_when_that_goes_too(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "n1", *waiting_for(fifo), start_new_session=True) as run:
        job = run.line().split()[1]
        with Running(cluster.cli, job, verb="attach") as reader:
            reader.line()
            run.signal(signal.SIGHUP)
            assert run.finish().code == 121
            assert cluster.cli.job(job)["state"] == "running"
            reader.signal(signal.SIGHUP)
            assert reader.finish().code == 121
    assert cluster.cli("wait", job).code == 128 + signal.SIGTERM
    assert cluster.cli.job(job)["record"]["reason"] == "client_ended"


def test_a_reader_that_goes_before_its_job_can_be_read_is_forgotten(cluster, tmp_path):
    """One that stays among the job's readers would hold the job back for ever."""
    rounds = tmp_path / "rounds"
    job = cluster.cli.submit("n1", "sh", "-c",
                             f"while :; do head -c 4000000 /dev/zero; echo >> {rounds}; done")
    processes.wait_until(rounds.exists, "the job writes")
    peer = wire.Peer(cluster.address, directory=cluster.cli.context_dir(), timeout=30)
    peer.hello()
    for number in range(20):
        attach = {"kind": "attach", "args": {"job": job, "out": 0, "err": 0, "stdin": False}}
        peer.send(wire.frame(wire.OPEN, attach, 2 * number + 1))
        peer.send(wire.frame(wire.RESET, {"code": "link_lost", "message": "gone"}, 2 * number + 1))
        peer.call(number + 1, "status", {})
    peer.close()
    for _ in range(3):
        before = rounds.stat().st_size
        processes.wait_until(lambda: rounds.stat().st_size > before + 20, "the job goes on")
    cluster.cli("stop", "--grace", "0s", job).ok()


def test_a_third_ctrl_c_sends_no_second_term(cluster, tmp_path):
    terms = tmp_path / "terms"
    script = f"trap 'echo int' INT; trap 'echo term | tee -a {terms}' TERM; echo $REXEC_JOB; while :; do sleep .05; done"
    with Running(cluster.cli, "--grace", "2s", "n1", "sh", "-c", script, start_new_session=True) as run:
        job = run.line()
        for answer in ("int", "term"):
            run.signal(signal.SIGINT)
            run.out.wait_for(answer)
        run.signal(signal.SIGINT)
        run.finish()
    assert cluster.cli("wait", job).code == 128 + signal.SIGKILL
    assert terms.read_text() == "term\n"


def test_a_visitor_that_leaves_in_an_outage_stops_no_job(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "--on-disconnect", "stop", "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        os.kill(run.pid, signal.SIGSTOP)
        kill_agent(cluster)
        cluster.wait_online("n1")
        with Running(cluster.cli, job, verb="attach") as visitor:
            visitor.line()
            visitor.signal(signal.SIGTERM)
            assert visitor.finish().code == 121
        os.kill(run.pid, signal.SIGCONT)
        fifo.write_text("on\n")
        assert run.line() == "on"
        assert run.finish().code == 5


def test_an_outage_carries_out_no_end_that_waits_for_another_reader(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "n1", *waiting_for(fifo), start_new_session=True) as run:
        job = run.line().split()[1]
        with Running(cluster.cli, job, verb="attach") as reader:
            reader.line()
            run.signal(signal.SIGHUP)
            assert run.finish().code == 121
            kill_controller(cluster)
            cluster.wait_online("n1")
            fifo.write_text("on\n")
            assert reader.line() == "on"
            assert reader.finish().code == 5


@pytest.mark.parametrize("flags", [("-i",), ("-t",)])
def test_the_end_of_a_closed_terminal_is_no_end_of_input(cluster, flags):
    """Below a shell, which hangs its jobs up a moment after its terminal was closed."""
    terminal = OwnTerminal()
    command = ["bash", "-ic", '"$0" "$@"; true', str(cluster.cli.binary), "run", *flags, "n1", "sh", "-c",
               "echo up $REXEC_JOB; cat; exit 7"]
    with subprocess.Popen(command, env=cluster.cli.env, **terminal.options) as shell:
        job = terminal.job()
        clients = processes.descendants(shell.pid)
        terminal.close()
        shell.wait(patient(20))
    processes.wait_until(lambda: not any(map(processes.is_alive, clients)), "the client has gone")
    assert cluster.cli.job(job)["state"] == "running"
    assert cluster.cli("stop", job).code == 0


def test_a_last_word_goes_out_behind_what_is_being_sent(cluster, tmp_path):
    """In an upload through a slow link the client's end waits behind what was written before."""
    proxy = cluster.proxy()
    with Running(cluster.client_through(proxy), "-i", "n1", "sh", "-c", "echo $REXEC_JOB; cat >/dev/null",
                 stdin=subprocess.PIPE, start_new_session=True) as run:
        job = run.line()
        feed = subprocess.Popen(["head", "-c", "100000000", "/dev/zero"], stdout=run.process.stdin)
        processes.wait_until(lambda: proxy.up > 1_000_000, "the upload is under way")
        proxy.hold()
        run.signal(signal.SIGHUP)
        proxy.release()
        assert run.finish().code == 121
        feed.kill()
        feed.wait()
    assert cluster.cli("wait", job).code == 128 + signal.SIGTERM
    assert cluster.cli.job(job)["record"]["reason"] == "client_ended"
