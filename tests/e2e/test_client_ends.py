"""A client that ended is not one that is silent: it says so, and its job ends with it, at once. A
controller or an agent that is away is no client that left.
"""
import fcntl
import os
import re
import signal
import subprocess
import termios

import pytest

from support import processes
from support.patience import patient
from support.running import Running

RULES = {"stop": ("--on-disconnect", "stop"), "a moment": ("--on-disconnect", "stop-after=1ms"),
         "default": ()}


def waiting_for(path):
    """A command that goes on when somebody writes to the FIFO."""
    os.mkfifo(path)
    return "sh", "-c", f"echo up $REXEC_JOB; read line < {path}; echo $line; exit 5"


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


def on_own_terminal():
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


@pytest.mark.parametrize("flags", [(), ("-i",), ("-t",)])
def test_a_closed_terminal_keeps_the_job(cluster, tmp_path, flags):
    fifo = tmp_path / "go"
    master, slave = os.openpty()
    with cluster.cli.popen("run", *flags, "n1", *waiting_for(fifo), stdin=slave, stdout=slave, stderr=slave,
                           start_new_session=True, preexec_fn=on_own_terminal) as client:
        os.close(slave)
        shown = b""
        while not (found := re.search(rb"up (j-\w+)\s", shown)):
            shown += os.read(master, 4096)
        job = found[1].decode()
        os.close(master)
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
