"""A client that is killed, or ends while its link is away, cannot say that it ends: a child of it does."""
import signal
import subprocess

import pytest

from support import processes, wire
from support.client_ends import OwnTerminal, ended_with_its_client, kill_when_watched, waiting_for
from support.running import Running


@pytest.mark.parametrize("flags", [(), ("-i",), ("--on-disconnect", "stop-after=1h")])
def test_a_killed_client_takes_its_job_along(cluster, flags):
    with Running(cluster.cli, *flags, "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000 & sleep 1000",
                 stdin=subprocess.PIPE) as run:
        job = run.line()
        kill_when_watched(run)
    ended_with_its_client(cluster.cli, job)
    processes.wait_until(lambda: not cluster.job_processes(job), "nothing of it is left")


def test_a_killed_client_in_a_terminal_too(cluster, tmp_path):
    terminal = OwnTerminal()
    with cluster.cli.popen("run", "-t", "n1", *waiting_for(tmp_path / "go"), **terminal.options) as client:
        job = terminal.job()
        processes.wait_until(lambda: processes.children(client.pid), "somebody watches the client")
        client.kill()
        client.wait()
        ended_with_its_client(cluster.cli, job)
        terminal.close()


def test_a_killed_client_of_several_nodes_takes_all_its_jobs_along(make_cluster):
    cluster = make_cluster(nodes=3)
    with Running(cluster.cli, "n1,n2,n3", "sh", "-c", "echo $REXEC_JOB; sleep 1000") as run:
        jobs = [run.line().split()[-1] for _ in range(3)]
        kill_when_watched(run)
    for job in jobs:
        ended_with_its_client(cluster.cli, job)


def test_a_kept_job_outlives_a_killed_client(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "--on-disconnect", "keep", "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        run.process.kill()
        run.process.wait()
    fifo.write_text("on\n")
    assert cluster.cli("wait", job).code == 5


def test_a_killed_reader_ends_its_reading_alone(cluster, tmp_path):
    fifo = tmp_path / "go"
    with Running(cluster.cli, "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        with Running(cluster.cli, job, verb="attach") as reader:
            reader.line()
            reader.process.kill()
            reader.process.wait()
        fifo.write_text("on\n")
        assert run.finish().code == 5


def test_a_client_that_is_killed_in_an_outage_is_heard_of_after_it(cluster, tmp_path):
    with Running(cluster.cli, "n1", *waiting_for(tmp_path / "go")) as run:
        job = run.line().split()[1]
        cluster.controller.kill()
        kill_when_watched(run)
    cluster.controller.start()
    processes.wait_until(lambda: cluster.cli("job", "show", job).code == 0, "the node has told of the job")
    ended_with_its_client(cluster.cli, job)


def test_a_killed_client_whose_job_another_reads_ends_it_when_that_goes(cluster, tmp_path):
    with Running(cluster.cli, "n1", *waiting_for(tmp_path / "go")) as run:
        job = run.line().split()[1]
        with Running(cluster.cli, job, verb="attach") as reader:
            reader.line()
            kill_when_watched(run)
            assert cluster.cli.job(job)["state"] == "running"
            reader.signal(signal.SIGHUP)
            assert reader.finish().code == 121
    ended_with_its_client(cluster.cli, job)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_a_client_that_ends_between_two_attempts_ends_the_job(cluster, number):
    with Running(cluster.cli, "--restart", "always", "n1", "sh", "-c", "echo $REXEC_JOB; exit 3",
                 start_new_session=True) as run:
        job = run.line()
        run.err.wait_for("attempt 4 starts")
        run.signal(number)
        run.process.wait()
    ended_with_its_client(cluster.cli, job)


def test_who_left_on_purpose_and_is_killed_then_leaves_the_job(cluster, tmp_path):
    fifo = tmp_path / "go"
    proxy = cluster.proxy()
    with Running(cluster.client_through(proxy), "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        processes.wait_until(lambda: processes.children(run.pid), "somebody watches the client")
        proxy.hold()
        run.signal(signal.SIGQUIT)
        processes.wait_until(lambda: not processes.children(run.pid), "nobody watches it any more")
        run.process.kill()
        run.process.wait()
        proxy.release()
    fifo.write_text("on\n")
    assert cluster.cli("wait", job).code == 5


def test_no_other_user_says_that_a_client_ended(cluster, tmp_path):
    fifo, other = tmp_path / "go", cluster.new_user("other")
    with Running(cluster.cli, "n1", *waiting_for(fifo)) as run:
        job = run.line().split()[1]
        peer = wire.Peer(cluster.address, directory=other.context_dir(), timeout=30)
        peer.hello()
        assert peer.call(1, "job.client_ended", {"job": job})["error"]["code"] == "unknown_job"
        fifo.write_text("on\n")
        assert run.finish().code == 5


@pytest.mark.parametrize("numbers", [[signal.SIGHUP], 3 * [signal.SIGTERM]])
@pytest.mark.parametrize("away", ["controller", "node"])
def test_a_client_that_ends_in_an_outage_takes_its_job_along_when_the_link_is_back(cluster, away, numbers):
    daemon = cluster.controller if away == "controller" else cluster.nodes["n1"]
    with Running(cluster.cli, "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000", start_new_session=True) as run:
        job = run.line()
        daemon.kill()
        run.err.wait_for("the link is lost")
        for number in numbers:
            run.signal(number)
            processes.wait_until(lambda: not processes.is_pending(run.pid, number), "the signal is taken")
        done = run.finish()
    assert done.code == 121 and "the job is to stop there, because its client ends" in done.errors, done
    daemon.start()
    cluster.wait_online("n1")
    ended_with_its_client(cluster.cli, job)


def test_a_reader_of_the_log_does_not_keep_the_job_of_a_killed_client(cluster):
    with Running(cluster.cli, "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000") as run:
        job = run.line()
        with Running(cluster.cli, "-f", job, verb="logs") as reader:
            assert reader.line() == job
            kill_when_watched(run)
            ended_with_its_client(cluster.cli, job)
            reader.finish()
