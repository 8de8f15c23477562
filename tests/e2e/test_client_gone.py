"""A waiting job whose client left does not start: with --on-disconnect stop from that moment on, with
stop-after=D from D on, whatever it waits for and whatever happens meanwhile.
"""
import signal

import pytest

from support import processes, wire
from support.raw_session import RawNode, Session
from support.running import Running


class Hold:
    """What a job waits for, until release()."""

    def __init__(self, cluster, kind, tmp_path):
        self.cluster, self.kind = cluster, kind
        self.job = None
        if kind in ("lock", "job"):
            flags = ("--lock", "l") if kind == "lock" else ()
            self.job = cluster.cli.submit(*flags, "n1", "sleep", "600")
        elif kind == "node":
            cluster.nodes["n1"].stop()

    @property
    def flags(self):
        return {"lock": ("--lock", "l"), "job": ("--after", f"{self.job}:any"),
                "node": ("--wait-online",)}[self.kind]

    def release(self):
        if self.job:
            self.cluster.cli("stop", self.job).ok()
        else:
            self.cluster.nodes["n1"].start()


def waiting_job(cli):
    rows = [row for row in cli("ps", "--json").ok().json() if row["state"] == "waiting"]
    return rows[0]["job"] if rows else None


def start_waiting(cluster, flags, proof, rule="stop"):
    run = Running(cluster.cli, "--on-disconnect", rule, *flags, "n1", "touch", str(proof),
                  start_new_session=True)
    run.err.wait_for("waiting:")
    return run, waiting_job(cluster.cli)


# With --on-disconnect stop the end of a killed client's connection may be heard first.
KILLED = ("disconnect", "client_ended")


def never_started(cluster, job, proof, reasons=KILLED):
    """It ends for that, and afterwards the node has begun nothing of it."""
    assert cluster.cli("wait", job, timeout=60).code == 128 + signal.SIGTERM
    record = cluster.cli.job(job)["record"]
    assert record["outcome"] == "stopped" and record["reason"] in reasons, record
    cluster.wait_online()
    assert cluster.cli.run("n1", "true").code == 0
    assert not proof.exists()


@pytest.mark.parametrize("kind", ["lock", "job", "node"])
@pytest.mark.parametrize("number,reasons", [(signal.SIGKILL, KILLED), (signal.SIGHUP, ["client_ended"])])
def test_a_waiting_job_whose_client_is_gone_never_starts(cluster, tmp_path, kind, number, reasons):
    hold, proof = Hold(cluster, kind, tmp_path), tmp_path / "proof"
    run, job = start_waiting(cluster, hold.flags, proof)
    with run:
        run.signal(number)
        run.process.wait()
    hold.release()
    never_started(cluster, job, proof, reasons)


@pytest.mark.parametrize("kind", ["lock", "node"])
def test_nor_when_the_controller_restarts_meanwhile(cluster, tmp_path, kind):
    hold, proof = Hold(cluster, kind, tmp_path), tmp_path / "proof"
    run, job = start_waiting(cluster, hold.flags, proof)
    with run:
        run.signal(signal.SIGKILL)
        run.process.wait()
    cluster.controller.restart()
    if kind == "lock":
        cluster.wait_online()
    hold.release()
    never_started(cluster, job, proof)


def test_nor_after_the_time_that_stop_after_gives(cluster, tmp_path):
    hold, proof = Hold(cluster, "lock", tmp_path), tmp_path / "proof"
    run, job = start_waiting(cluster, hold.flags, proof, rule="stop-after=300ms")
    with run:
        run.signal(signal.SIGKILL)
        run.process.wait()
    assert cluster.cli("wait", job).code == 128 + signal.SIGTERM
    hold.release()
    never_started(cluster, job, proof)


def test_nor_in_the_line_of_its_node(make_cluster, tmp_path):
    cluster, proof = make_cluster(nodes=0), tmp_path / "proof"
    node = RawNode(cluster, "n1")
    Session(cluster, cluster.cli).submit(128, "n1", {})
    run, job = start_waiting(cluster, (), proof)
    with run:
        run.signal(signal.SIGKILL)
        run.process.wait()
    started = [node.next_start() for _ in range(128)]
    for stream, _ in started[:5]:
        node.take(stream)
    assert cluster.cli("wait", job).code == 128 + signal.SIGTERM
    node.close()
    cluster.nodes["n1"].start()
    never_started(cluster, job, proof)


def test_a_client_whose_link_was_cut_and_comes_back_has_its_job_started(cluster, tmp_path):
    hold, proof = Hold(cluster, "lock", tmp_path), tmp_path / "proof"
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "--on-disconnect", "stop", *hold.flags, "n1", "touch", str(proof)) as run:
        run.err.wait_for("waiting:")
        proxy.cut()
        proxy.wait_accepted(2)
        hold.release()
        assert run.finish().code == 0
    assert proof.exists()
    processes.wait_until(lambda: waiting_job(cluster.cli) is None, "nobody waits")


@pytest.mark.parametrize("resumes", [False, True])
def test_nor_when_the_client_is_gone_before_it_has_attached(cluster, tmp_path, resumes):
    hold, proof = Hold(cluster, "lock", tmp_path), tmp_path / "proof"
    session = Session(cluster, cluster.cli)
    spec = wire.pack({"argv": [b"touch", str(proof).encode()], "on_disconnect": "stop"})
    [job] = session.submit(1, "n1", {"locks": [{"name": "l", "slots": 1}]}, spec,
                           mode="attached", resume=resumes)
    assert cluster.cli.job(job)["state"] == "waiting"
    session.peer.close()
    hold.release()
    never_started(cluster, job, proof)
