"""What outlives its job on purpose, and a job that turns against its supervisor."""
import os
import signal
import subprocess

import pytest

from support import processes
from support.running import Running

WRITER = 'read gate < {gate}; echo late; echo late >&2; echo again; touch {mark}'


@pytest.fixture
def place(tmp_path):
    tmp_path.chmod(0o755)
    os.mkfifo(tmp_path / "gate")
    return tmp_path


def left_readers():
    return [pid for pid in processes.all_pids() if processes.read(pid, "comm") == b"rexec-left\n"
            and processes.is_alive(pid)]


@pytest.mark.parametrize("terminal", [[], ["-t"]])
def test_what_is_left_behind_lives_on_when_it_writes(cluster, place, terminal):
    mark = place / "mark"
    script = f"({WRITER.format(gate=place / 'gate', mark=mark)}) & echo hi"
    if terminal:
        script = f"trap '' HUP; {script}"
    done = cluster.cli.run(*terminal, "--children", "leave", "n1", "sh", "-c", script)
    assert done.code == 0 and done.out.strip() == b"hi", done
    (place / "gate").write_text("go\n")
    processes.wait_until(mark.exists, "it went on after its writes")


def test_what_reads_for_those_left_behind_goes_with_the_last_of_them(cluster, place):
    mark = place / "mark"
    before = set(left_readers())
    cluster.cli.run("--children", "leave", "n1", "sh", "-c",
                    f"({WRITER.format(gate=place / 'gate', mark=mark)}) & echo hi")
    reader = processes.wait_until(lambda: set(left_readers()) - before, "it reads").pop()
    assert not [fd for fd in os.listdir(f"/proc/{reader}/fd") if fd not in "01234"]
    (place / "gate").write_text("go\n")
    processes.wait_until(lambda: not processes.is_alive(reader), "nobody is left to write")
    assert mark.exists()


def test_nobody_reads_where_nothing_was_left_behind(cluster):
    before = set(left_readers())
    cluster.cli.run("--children", "leave", "n1", "echo", "hi")
    assert set(left_readers()) == before


# ---- a stopped supervisor

STOPS = "echo $REXEC_JOB; kill -STOP $PPID; while :; do sleep 0.05; done"


def test_stop_ends_a_job_that_stopped_its_supervisor(cluster):
    with Running(cluster.cli, "n1", "sh", "-c", STOPS) as run:
        job = run.line()
        cluster.cli("stop", "--grace", "200ms", job).ok()
        done = run.finish()
    assert done.status["outcome"] == "stopped", done


def test_a_limit_holds_for_a_job_that_stopped_its_supervisor(cluster):
    done = cluster.cli.run("--timeout", "500ms", "--grace", "200ms", "n1", "sh", "-c", STOPS)
    assert (done.code, done.status["outcome"]) == (124, "timeout"), done


def test_a_job_that_stops_its_supervisor_and_ends_has_its_record(cluster):
    done = cluster.cli.run("n1", "sh", "-c", "kill -STOP $PPID; exit 5")
    assert (done.code, done.status["outcome"]) == (5, "exited"), done


def test_a_job_that_stops_its_supervisor_again_and_again_is_ended(cluster):
    with Running(cluster.cli, "n1", "sh", "-c",
                 "echo $REXEC_JOB; trap '' TERM; while :; do kill -STOP $PPID; done") as run:
        job = run.line()
        cluster.cli("stop", "--grace", "200ms", job).ok()
        done = run.finish()
    assert done.status["outcome"] == "stopped", done
    lines = cluster.nodes["n1"].logged().count("had been stopped")
    assert lines == 1, "said once, however often it is done"


def test_an_adopted_supervisor_that_is_stopped_goes_on(cluster):
    """Its agent is not its parent any more, so that nobody is told of the stop."""
    node = cluster.nodes["n1"]
    with Running(cluster.cli, "-i", "--reconnect", "60s", "n1", "sh", "-c",
                 "echo $REXEC_JOB; read x; kill -STOP $PPID; while :; do sleep 0.05; done",
                 stdin=subprocess.PIPE) as run:
        job = run.line()
        shim = node.shim_of(job)
        node.restart()
        assert node.shim_of(job) == shim
        run.type(b"now\n")
        cluster.cli("stop", "--grace", "200ms", job).ok()
        done = run.finish()
    assert done.status["outcome"] == "stopped", done


def test_a_supervisor_in_reserve_that_is_stopped_takes_the_next_job(cluster):
    node = cluster.nodes["n1"]
    cluster.cli.run("n1", "true")
    for pid in processes.children(node.pid):
        if processes.read(pid, "comm") == b"rexec-shim\n":
            processes.kill(pid, signal.SIGSTOP)
    assert cluster.cli.run("n1", "sh", "-c", "exit 4").code == 4
