"""From the previous commit's binary to this one under running jobs: agent, controller and client.

A shim lives as long as its job, so the new agent speaks with shims of the old binary.
"""
import hashlib
import os
import shutil

import pytest

from support import previous
from support.cli import BINARY, SANITIZED
from support.patience import unlimited
from support.running import Running
from support.terminal import Terminal

COUNTS = "i=0; while [ $i -lt 2000 ]; do echo line $i; i=$((i + 1)); done"


@pytest.fixture(scope="module")
def old_binary():
    if SANITIZED:
        pytest.skip("not here: the earlier commit is built once, for the release build")
    with unlimited():
        found = previous.binary()
    if found is None:
        pytest.skip("not here: no git history")
    return found


class Old:
    """A cluster whose daemons and person are of the old binary, with jobs of every kind."""

    def __init__(self, make_cluster, old_binary, go):
        self.cluster = make_cluster(nodes=0, start=False, binary=old_binary)
        self.node, self.go = None, go
        self.cluster.controller.start()
        self.node = self.cluster.join("n1")
        self.node.binary = old_binary
        self.node.start()
        cli = self.cluster.cli
        self.pipe = Running(cli, "-i", "n1", "sh", "-c", "echo ready; exec cat", stdin=-1)
        self.terminal = Terminal(cli, "run", "-t", "n1", "sh", "-c", "echo ready; exec cat")
        self.quiet = cli.submit("n1", "--", "sh", "-c", f"{COUNTS}; read x <{go}; {COUNTS}")
        self.pipe.line()
        self.terminal.expect("ready")

    def is_there(self, text):
        """Both attached jobs answer."""
        self.pipe.type(f"pipe {text}\n".encode())
        assert self.pipe.line() == f"pipe {text}"
        self.terminal.sendline(f"terminal {text}")
        self.terminal.expect(f"terminal {text}")

    def upgrade(self, *parts):
        for part in parts:
            assert part.stop() == 0
            part.binary = BINARY
            part.start()
            self.cluster.wait_online()

    def all_end_once(self):
        self.pipe.type(b"x" * 200000 + b"\n")
        self.pipe.close_stdin()
        done = self.pipe.finish().ok()
        assert done.out == b"x" * 200000 + b"\n"
        assert done.status["outcome"] == "exited" and done.status["complete"]
        self.terminal.sendeof()
        ended = self.terminal.ended()
        assert (ended.code, ended.restored) == (0, "")
        self.go.write_text("go\n")
        cli = self.cluster.cli
        assert cli("wait", self.quiet).code == 0
        expected = "".join(f"line {i}\n" for i in range(2000)) * 2
        assert cli("logs", self.quiet).ok().text == expected
        rows = cli("ps", "--all", "--json").ok().json()
        assert len(rows) == 3 and all(row["attempt"] == 1 and row["final"] for row in rows)
        assert all(len(self.node.job_dirs(row["job"])) == 1 for row in rows)


@pytest.fixture
def old(make_cluster, old_binary, tmp_path):
    os.mkfifo(tmp_path / "go")
    made = Old(make_cluster, old_binary, tmp_path / "go")
    yield made
    made.pipe.__exit__()
    made.terminal.__exit__()


def test_jobs_of_the_old_binary_go_on_under_a_new_agent_then_controller_then_client(old):
    shims = {job: old.node.shim_of(job) for job in running_jobs(old)}
    old.is_there("before")
    old.upgrade(old.node)
    old.is_there("after the agent")
    old.upgrade(old.cluster.controller)
    old.is_there("after the controller")
    old.cluster.cli.binary = BINARY
    assert {job: old.node.shim_of(job) for job in running_jobs(old)} == shims
    with Running(old.cluster.cli, old.quiet, verb="attach") as reader:
        reader.out.wait_for("line 1999\n")
    old.all_end_once()


def test_the_controller_may_be_upgraded_before_the_agent(old):
    old.upgrade(old.cluster.controller)
    old.is_there("after the controller")
    new = old.cluster.cli("run", "n1", "--", "sh", "-c", "echo $REXEC_ATTEMPT").ok()
    assert new.text == "1\n"
    old.cluster.cli("job", "rm", job_of(old, "echo $REXEC_ATTEMPT")).ok()
    old.upgrade(old.node)
    old.is_there("after the agent")
    old.cluster.cli.binary = BINARY
    old.all_end_once()


def test_jobs_of_the_new_binary_live_on_when_the_agent_goes_back(old):
    old.upgrade(old.node)
    job = old.cluster.cli.submit("n1", "--", "sh", "-c", "exec sleep 1000")
    assert old.node.stop() == 0
    old.node.binary = old.cluster.cli.binary
    old.node.start()
    old.cluster.wait_online()
    old.is_there("with the old agent again")
    assert old.cluster.cli("stop", job).code == 0
    assert old.cluster.cli.job(job)["state"] == "stopped"
    old.cluster.cli("job", "rm", job).ok()
    old.all_end_once()


def test_net_is_started_again_from_the_file_that_was_started(make_cluster, tmp_path):
    # The file was replaced by an upgrade, the agent not restarted yet: one binary inside an agent.
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    node.binary = tmp_path / "rexec"
    shutil.copy(BINARY, node.binary)
    node.start()
    replacement = tmp_path / "new"
    replacement.write_text("#!/bin/sh\nexit 1\n")
    replacement.chmod(0o755)
    replacement.rename(node.binary)
    node.kill_net()
    cluster.wait_online()
    cluster.cli("run", "n1", "true").ok()
    text = open(f"/proc/{node.net_pid()}/exe", "rb").read() if os.geteuid() == 0 else None
    if text is not None:
        same = hashlib.sha256(BINARY.read_bytes()).digest()
        assert hashlib.sha256(text).digest() == same


def running_jobs(old):
    return [row["job"] for row in old.cluster.cli("ps", "--json").ok().json()]


def job_of(old, text):
    rows = old.cluster.cli("ps", "--all", "--json").ok().json()
    return next(row["job"] for row in rows if text in row["command"])
