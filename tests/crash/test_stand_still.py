"""Processes that stand still for long, and memory that runs out: nobody is declared dead for it."""
import contextlib
import os
import signal
import subprocess

import pytest

from support import processes
from support.running import Running

QUICK = os.environ.get("REXEC_QUICK") == "1"
STILL_S = 17  # longer than the 15 s after which a silent peer is given up


@pytest.mark.limit(200)
def test_a_controller_that_stands_still_loses_no_node_and_no_job(make_cluster, tmp_path):
    """FAULTS K17: when it goes on, all that waited for it is late and none of it is lost."""
    cluster = make_cluster(nodes=2)
    over = tmp_path / "over"
    os.mkfifo(over)
    job = cluster.cli.submit("n1", "sh", "-c", f"cat {over}; exit 4")
    with Running(cluster.cli, "-i", "--reconnect", "120s", "n2", "sh", "-c",
                 "while read x; do echo got $x; done; exit 5", stdin=subprocess.PIPE) as run:
        run.type(b"one\n")
        assert run.line() == "got one"
        cluster.controller.process.send_signal(signal.SIGSTOP)
        run.type(b"two\n")
        over.write_text("ended meanwhile\n")
        # Nothing tells how long it stood but its own clock: a second process that waits so long.
        subprocess.run(["sleep", "1" if QUICK else str(STILL_S)], check=True)
        cluster.controller.process.send_signal(signal.SIGCONT)
        assert run.line() == "got two"
        run.close_stdin()
        done = run.finish()
    assert done.code == 5 and done.status["complete"], done
    assert cluster.cli("wait", job).code == 4
    assert cluster.cli("logs", job).text == "ended meanwhile\n"
    cluster.wait_online()
    for name in ("n1", "n2"):
        assert cluster.cli("run", name, "true").code == 0
    states = {row["job"]: row["record"]["outcome"]
              for row in cluster.cli("ps", "-a", "--json").json()}
    assert set(states.values()) == {"exited"}, states


def may_lower_its_score():
    tried = subprocess.run(["sh", "-c", "echo -1 > /proc/self/oom_score_adj"], check=False,
                           capture_output=True)
    return tried.returncode == 0


@pytest.mark.skipif(not may_lower_its_score(), reason="not here: no process may lower its score")
def test_memory_takes_jobs_before_shims_and_shims_before_the_agent(make_cluster, tmp_path):
    """FAULTS K18: the order in which the kernel chooses is what it will do."""
    cluster = make_cluster(nodes=1)
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    job = cluster.cli.submit("n1", "cat", str(gate))
    node = cluster.nodes["n1"]
    shim = processes.wait_until(lambda: node.shim_of(job), "the job's shim is there")
    running = processes.wait_until(
        lambda: [pid for pid in cluster.job_processes(job) if processes.cmdline(pid)[0] == b"cat"],
        "the job runs")

    def score(pid):
        return int(processes.read(pid, "oom_score_adj"))
    assert score(running[0]) > score(shim) > score(node.pid)
    gate.write_text("")
    assert cluster.cli("wait", job).code == 0


@pytest.mark.parametrize("who", ["net", "spawner", "shim"])
def test_a_part_of_the_agent_that_stands_still_delays_and_changes_nothing(make_cluster, who):
    cluster = make_cluster(nodes=1)
    node = cluster.nodes["n1"]
    with Running(cluster.cli, "-i", "--reconnect", "60s", "n1", "sh", "-c",
                 "echo $REXEC_JOB; cat; exit 6", stdin=subprocess.PIPE) as run:
        job = run.line()
        pid = {"net": node.net_pid, "spawner": lambda: node.pid,
               "shim": lambda: node.shim_of(job)}[who]()
        os.kill(pid, signal.SIGSTOP)
        run.type(b"words\n")
        run.close_stdin()
        asked = cluster.cli.popen("run", "n1", "sh", "-c", "exit 7")
        with contextlib.suppress(ProcessLookupError):  # the spawner wakes a shim, which may have ended
            os.kill(pid, signal.SIGCONT)
        done = run.finish()
        asked.communicate(timeout=60)
    assert (done.code, done.text, asked.returncode) == (6, "words\n", 7), done
