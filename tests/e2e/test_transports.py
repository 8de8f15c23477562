"""rsync, git, sftp and ssh over `rexec run -i`: however a session of theirs ends, no job and no process of
it is left on the node. REXEC_SESSIONS sets how many sessions each way of ending gets.
"""
import os
import shutil
import signal
import subprocess

import pytest

from support import processes
from support.cli import BINARY
from support.patience import patient

SESSIONS = int(os.environ.get("REXEC_SESSIONS", "2"))
SFTP_SERVER, SSHD = "/usr/lib/openssh/sftp-server", "/usr/sbin/sshd"
ENDS = {"by itself": None, "interrupted": signal.SIGINT, "TERM": signal.SIGTERM, "HUP": signal.SIGHUP,
        "KILL": signal.SIGKILL, "rexec killed": signal.SIGKILL}


def need(*programs):
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip(f"not here: no {program}")


class Transport:
    """What each of the four has: a session that stays until it is ended, and one that ends by itself."""

    def __init__(self, cluster, path):
        self.cluster, self.path = cluster, path
        self.env = {**cluster.cli.env, "PATH": f"{BINARY.parent}:{os.environ['PATH']}"}

    def start(self, number, stays):
        self.place = self.path / str(number)
        self.place.mkdir()
        return subprocess.Popen(self.command(self.place, stays), env=self.env, stdin=subprocess.PIPE,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True)

    def wait_up(self, _, number):
        """The program at the other end is at work."""
        processes.wait_until((self.path / str(number) / "up").exists, "the session is up")


class Rsync(Transport):
    def __init__(self, cluster, path):
        need("rsync")
        super().__init__(cluster, path)
        self.source = path / "source"
        self.source.write_bytes(os.urandom(400_000))

    def command(self, place, stays):
        slow = ["--bwlimit=1"] if stays else []  # KiB a second
        return ["rsync", *slow, "-e", "rexec run -i", str(self.source), f"n1:{place}/copy"]

    def wait_up(self, _, number):
        place = self.path / str(number)
        processes.wait_until(lambda: any(place.glob(".copy.*")), "the other end has begun the file")


class Git(Transport):
    def __init__(self, cluster, path):
        need("git")
        super().__init__(cluster, path)
        self.origin = path / "origin"
        run = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org"]
        subprocess.run([*run, "init", "-q", self.origin], check=True)
        subprocess.run([*run, "-C", self.origin, "commit", "-q", "--allow-empty", "-m", "first"], check=True)

    def command(self, place, stays):
        hook = place / "hook"
        hook.write_text(f"#!/bin/sh\ntouch {place}/up\nsleep 1000\n")
        hook.chmod(0o755)
        # While the hook works git writes each second, and hears then that nobody reads.
        slow = f"-c uploadpack.keepAlive=1 -c uploadpack.packObjectsHook={hook} " if stays else ""
        remote = f"ext::rexec run -i n1 -- git -c safe.directory=* {slow}upload-pack {self.origin}"
        return ["git", "-c", "protocol.ext.allow=always", "clone", "-q", remote, str(place / "copy")]


class Sftp(Transport):
    def __init__(self, cluster, path):
        need("sftp", SFTP_SERVER)
        super().__init__(cluster, path)

    def command(self, place, stays):
        batch = place / "batch"
        batch.write_text(f"mkdir {place}/up\n" + ("" if stays else "bye\n"))
        # At the end of its batch sftp leaves: what stays is typed.
        source = ["-b", str(batch)] if not stays else []
        return ["sftp", *source, "-D", f"rexec run -i n1 -- {SFTP_SERVER}"]

    def start(self, number, stays):
        process = super().start(number, stays)
        if stays:
            process.stdin.write(f"mkdir {self.place}/up\n".encode())
            process.stdin.flush()
        return process


class Ssh(Transport):
    def __init__(self, cluster, path):
        need("ssh", "ssh-keygen", SSHD)
        super().__init__(cluster, path)
        for name in ("host", "user"):
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path / name], check=True)
        shutil.copy(path / "user.pub", path / "authorized")
        os.makedirs("/run/sshd", exist_ok=True)
        (path / "sshd_config").write_text(
            f"HostKey {path}/host\nAuthorizedKeysFile {path}/authorized\nStrictModes no\nUsePAM no\n"
            "PermitRootLogin prohibit-password\n")

    def command(self, place, stays):
        work = f"touch {place}/up; exec sleep 1000" if stays else "true"
        return ["ssh", "-F", "none", "-T", "-i", str(self.path / "user"), "-o", "StrictHostKeyChecking=no",
                "-o", f"UserKnownHostsFile={place}/known", "-o", "LogLevel=ERROR", "-o",
                f"ProxyCommand=rexec run -i n1 -- {SSHD} -i -f {self.path}/sshd_config", "n1", work]


def clients_below(pid):
    return [one for one in processes.descendants(pid) if processes.cmdline(one)[0].endswith(b"rexec")]


def end(process, way):
    if way == "by itself":
        assert process.wait(patient(60)) == 0, process.stdout.read()
    elif way == "interrupted":
        os.killpg(process.pid, signal.SIGINT)
    elif way == "rexec killed":
        for client in clients_below(process.pid):
            if processes.children(client):  # its child that watches it has none
                processes.kill(client, signal.SIGKILL)
    else:
        process.send_signal(ENDS[way])
    if way in ("interrupted", "rexec killed") and process.args[0] == "sftp":
        # sftp takes Ctrl-C for the end of a command, and looks at its server with the next one alone.
        process.stdin.close()
        process.stdin = None
    process.wait(patient(60))


@pytest.mark.limit(600)
@pytest.mark.parametrize("way", ENDS)
@pytest.mark.parametrize("kind", [Rsync, Git, Sftp, Ssh])
def test_an_ended_session_leaves_no_job_and_no_process(cluster, tmp_path, kind, way):
    if kind is Ssh and os.geteuid() != 0:
        pytest.skip("not here: sshd -i takes a key for another user as root alone")
    transport, stays = kind(cluster, tmp_path), way != "by itself"
    sessions = [transport.start(number, stays) for number in range(SESSIONS)]
    try:
        for number, session in enumerate(sessions if stays else ()):
            transport.wait_up(session, number)
            if way == "rexec killed":
                processes.wait_until(lambda: any(map(processes.children, clients_below(session.pid))),
                                     "the client is watched")
        for session in sessions:
            end(session, way)
    finally:
        for session in sessions:
            session.kill()
            session.communicate()
    jobs = [row["job"] for row in cluster.cli("ps", "-a", "-n", "1000", "--json").ok().json()]
    assert len(jobs) >= SESSIONS
    for job in jobs:
        processes.wait_until(lambda: cluster.cli.job(job)["final"], "the job has ended")
        processes.wait_until(lambda: not cluster.job_processes(job), "nothing of it is left")
