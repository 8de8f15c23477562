"""Crashes and cuts in the middle of a run: nothing lost, nothing twice, the command's own code.

The proxy holds the client's bytes at seeded offsets; at each offset one thing happens: the link is
cut, the controller or a part of the agent is killed with -9 and comes back.
"""
import hashlib
import os
import random
import subprocess
import threading

import pytest

from support import processes
from support.proxy import CARRY_ON, CUT
from support.running import Running

COUNT = 5_000_000
RECONNECT = "120s"


def seed():
    value = int(os.environ.get("REXEC_SEED", random.randrange(1 << 32)))
    print(f"REXEC_SEED={value}")
    return random.Random(value)


def expected_digest(count=COUNT):
    digest = hashlib.sha256()
    for start in range(1, count + 1, 100_000):
        stop = min(start + 100_000, count + 1)
        digest.update(b"".join(b"%d\n" % i for i in range(start, stop)))
    return digest.hexdigest()


def size_of_seq(count=COUNT):
    """Bytes of `seq 1 count`: each number and its newline."""
    return sum((digits + 1) * (min(count, 10 ** digits - 1) - 10 ** (digits - 1) + 1)
               for digits in range(1, len(str(count)) + 1))


class Havoc:
    """The things that may happen, as actions of the proxy."""

    def __init__(self, cluster):
        self.cluster, self.node = cluster, cluster.nodes["n1"]

    def cut(self):
        return CUT

    def controller(self):
        self.cluster.controller.restart()
        return CARRY_ON

    def net(self):
        self.node.kill_net()
        return CARRY_ON

    def spawner(self):
        self.node.kill()
        self.node.start()
        return CARRY_ON


def arm(proxy, source, total, actions):
    source.shuffle(actions)
    offsets = sorted(source.sample(range(20_000, total - 20_000), len(actions)))
    for offset, action in zip(offsets, actions):
        proxy.at(offset, action)


def follow(cli, proxy, *argv, **options):
    """(code, digest of stdout, stderr) of a run through the proxy."""
    with cli.popen("run", "--reconnect", RECONNECT, *argv, **options) as process:
        errors = []
        reader = threading.Thread(target=lambda: errors.append(process.stderr.read()))
        reader.start()
        digest = hashlib.sha256()
        while chunk := process.stdout.read1(1 << 16):
            digest.update(chunk)
        code = process.wait(60)
        reader.join()
    assert proxy.trouble is None, proxy.trouble
    assert proxy.pending == 0, f"{proxy.pending} of the planned events did not come"
    return code, digest.hexdigest(), errors[0].decode()


@pytest.mark.limit(400)
def test_seq_survives_cuts_and_kills_of_everything(cluster):
    source, proxy, havoc = seed(), cluster.proxy(), Havoc(cluster)
    actions = [havoc.cut] * 20 + [havoc.controller] * 5 + [havoc.net] * 5 + [havoc.spawner] * 3
    arm(proxy, source, size_of_seq(), actions)
    cli = cluster.client_through(proxy)
    code, digest, errors = follow(cli, proxy, "n1", "seq", "1", str(COUNT))
    assert (code, digest) == (0, expected_digest()), errors
    # It all happened, and nothing ran twice: one job, one attempt.
    assert cluster.controller.logged().count("listening") == 6
    assert cluster.nodes["n1"].logged().count("online") >= 8  # a kill may come before the last one was over
    jobs = cluster.cli("ps", "-a", "--json").ok().json()
    assert len(jobs) == 1 and jobs[0]["record"]["attempt"] == 1, jobs


@pytest.mark.limit(400)
def test_stdin_and_stdout_survive_while_the_job_lives(cluster):
    """`cat` cannot end before its stdin does, so every event meets a living job."""
    source, proxy, havoc = seed(), cluster.proxy(), Havoc(cluster)
    actions = [havoc.cut] * 8 + [havoc.controller] * 2 + [havoc.net] * 3 + [havoc.spawner] * 2
    size = 12 << 20
    arm(proxy, source, size, actions)
    data = source.randbytes(size)
    cli = cluster.client_through(proxy)
    read_end, write_end = os.pipe()

    def feed():
        with os.fdopen(write_end, "wb") as file:
            file.write(data)

    feeder = threading.Thread(target=feed)
    feeder.start()
    code, digest, errors = follow(cli, proxy, "-i", "n1", "cat", stdin=read_end)
    os.close(read_end)
    feeder.join()
    assert (code, digest) == (0, hashlib.sha256(data).hexdigest()), errors


@pytest.mark.parametrize("victim", ["controller", "net", "spawner"])
def test_a_running_job_goes_on_and_its_output_too(cluster, victim):
    with Running(cluster.cli, "-i", "--reconnect", RECONNECT, "n1", "sh", "-c",
                 "echo $$; while read x; do echo got $x; done; exit 11",
                 stdin=subprocess.PIPE) as run:
        pid = int(run.line())
        run.type(b"one\n")
        assert run.line() == "got one"
        assert getattr(Havoc(cluster), victim)() == CARRY_ON
        assert processes.is_alive(pid), "the job did not notice"
        run.type(b"two\n")
        assert run.line() == "got two"
        run.close_stdin()
        done = run.finish()
    assert done.code == 11 and done.status["complete"], done


@pytest.mark.parametrize("victim", ["controller", "net", "spawner"])
def test_a_job_that_ends_while_a_daemon_is_away_is_reported(cluster, victim, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with Running(cluster.cli, "--reconnect", RECONNECT, "n1", "sh", "-c",
                 f"echo ready $$; cat {gate}; exit 12") as run:
        pid = int(run.line().split()[1])
        node = cluster.nodes["n1"]
        daemon = cluster.controller if victim == "controller" else node
        if victim == "net":
            os.kill(node.net_pid(), 9)
        else:
            daemon.kill()
        gate.write_bytes(b"last words\n")
        processes.wait_until(lambda: not processes.is_alive(pid), "the job ended meanwhile")
        if victim != "net":
            daemon.start()
        done = run.finish()
    assert (done.code, done.text) == (12, "last words\n"), done
    assert done.status["outcome"] == "exited" and done.status["complete"]


def test_everything_killed_at_once_loses_nothing(cluster):
    with Running(cluster.cli, "-i", "--reconnect", RECONNECT, "n1", "cat",
                 stdin=subprocess.PIPE) as run:
        run.type(b"before\n")
        assert run.line() == "before"
        node = cluster.nodes["n1"]
        os.kill(node.net_pid(), 9)
        node.kill()
        cluster.controller.kill()
        cluster.controller.start()
        node.start()
        run.type(b"after\n")
        assert run.line() == "after"
        run.close_stdin()
        assert run.finish().code == 0


def test_a_controller_that_lost_its_last_writes_adopts_the_job_by_its_ticket(cluster):  # FAULTS K3
    """kill -9 right after the start: whether the row was written or not, the job is known after."""
    for _ in range(5):
        with Running(cluster.cli, "-i", "--reconnect", RECONNECT, "n1", "sh", "-c",
                     "echo $REXEC_JOB; cat", stdin=subprocess.PIPE) as run:
            job = run.line()
            cluster.controller.restart()
            run.type(b"still here\n")
            assert run.line() == "still here"
            assert cluster.cli.job(job)["state"] == "running"
            run.close_stdin()
            assert run.finish().code == 0


def test_readers_of_a_job_on_an_offline_node_hear_of_it_and_keep_to_reconnect(cluster):
    cli, node = cluster.cli, cluster.nodes["n1"]
    ended = cli.submit("n1", "sh", "-c", "echo hi; exit 4")
    runs = cli.submit("n1", "sh", "-c", "echo on; while :; do sleep 0.1; done")
    assert cli("wait", ended).code == 4
    node.kill()
    for argv in (("attach", "--reconnect", "1s", runs), ("attach", "--reconnect", "1s", ended),
                 ("wait", "--reconnect", "1s", runs)):
        done = cli(*argv)
        assert done.code == 121 and '"n1" is offline' in done.errors, done
    done = cli("logs", ended)
    assert done.code == 1 and '"n1" is offline' in done.errors, done
    assert "see: rexec node show n1" in done.errors
    assert cli("wait", "--reconnect", "1s", ended).code == 4  # the controller has its end
    with Running(cli, ended, verb="attach") as late:
        late.err.wait_for('"n1" is offline')
        node.start()
        done = late.finish()
    assert (done.code, done.out) == (4, b"hi\n"), done
    cli("stop", runs).ok()


def test_waiting_through_a_controller_that_stays_away_is_an_unknown_outcome(cluster):
    ended = cluster.cli.submit("n1", "sh", "-c", "exit 4")
    runs = cluster.cli.submit("n1", "sh", "-c", "while :; do sleep 0.1; done")
    with Running(cluster.cli, "--reconnect", "500ms", ended, runs, verb="wait") as waiting:
        waiting.err.wait_for(f"{ended}: exit 4")  # it has asked for both
        cluster.controller.kill()
        done = waiting.finish()
    assert done.code == 123 and "away for longer than --reconnect" in done.errors, done


def test_output_that_nobody_reads_meanwhile_is_kept(cluster, tmp_path):
    """The client is away while the job writes; it comes back and has every byte."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "--reconnect", RECONNECT, "n1", "sh", "-c",
                 f"echo $REXEC_JOB; read x < {gate}; seq 1 100000; echo done > {gate}; exit 3") as run:
        run.line()
        proxy.refuse()
        gate.write_text("go\n")
        assert gate.read_text() == "done\n"
        proxy.allow()
        done = run.finish()
    assert done.code == 3 and done.status["complete"], done
    assert hashlib.sha256(done.out).hexdigest() == expected_digest(100_000)
