"""One controller or agent as a foreground process: start with --ready-fd, kill, start again."""
import json
import os
import pathlib
import select
import signal
import subprocess
import time

from support import processes
from support.cli import BINARY
from support.patience import patient

READY_S = patient(20)
END_S = patient(10)


def _read_ready(process, fd, log):
    """The ready line's object. A descriptor closed without a line means that it failed."""
    deadline, text = time.monotonic() + READY_S, b""
    while b"\n" not in text:
        readable, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        chunk = os.read(fd, 4096) if readable else b""
        if not chunk:
            why = "closed without a line" if readable else f"no line in {READY_S:g} s"
            raise AssertionError(f"ready-fd of {process.args[1:3]} (pid {process.pid}): {why}\n"
                                 + log.read_text(errors="replace")[-3000:])
        text += chunk
    return json.loads(text)


class Daemon:
    """Started and restarted with the same arguments; its log grows in one file."""
    binary = BINARY

    def __init__(self, argv, env, log):
        self.argv, self.env, self.log = argv, env, pathlib.Path(log)
        self.process = None
        self.ready = None

    def start(self):
        self.launch()
        return self.wait_ready()

    def launch(self):
        assert self.process is None or self.process.poll() is not None
        self._ready_fd, write_end = os.pipe()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [str(self.binary), *self.argv, "--ready-fd", str(write_end)], env=self.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[write_end],
                start_new_session=True)
        os.close(write_end)

    def wait_ready(self):
        try:
            self.ready = _read_ready(self.process, self._ready_fd, self.log)
        except AssertionError:
            self._end_quietly()
            raise
        finally:
            os.close(self._ready_fd)
        return self

    def _end_quietly(self):
        """What said that it failed ends by itself; what said nothing is killed."""
        try:
            self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()

    @property
    def pid(self):
        return self.process.pid

    @property
    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        """kill -9, and gone."""
        self.process.kill()
        self.process.wait(END_S)

    def stop(self):
        """TERM; the exit status."""
        if self.running:
            self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"{self.argv[:2]} did not end within {END_S:g} s of TERM") from None

    def restart(self):
        self.kill()
        return self.start()

    def logged(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""


class Controller(Daemon):
    def __init__(self, data, env, log):
        super().__init__(["controller", "run", "--data", str(data)], env, log)
        self.data = pathlib.Path(data)


class Node(Daemon):
    """An agent: the process is its spawner, the net process and the shims are below it."""

    def __init__(self, name, data, env, log):
        super().__init__(["agent", "run", "--data", str(data)], env, log)
        self.name, self.data = name, pathlib.Path(data)

    @property
    def config_file(self):
        return self.data / "agent.toml"

    def net_pid(self):
        """The process that speaks to the network, once it is there."""
        return processes.wait_until(self._find_net, f"the agent {self.name} has a net process")

    def _find_net(self):
        for child in processes.children(self.pid):
            if b"agent-net" in processes.cmdline(child):
                return child
        return None

    def kill_net(self):
        """kill -9 of net; returns when the spawner has started another one."""
        old = self.net_pid()
        processes.kill_and_wait(old)
        processes.wait_until(lambda: self._find_net() not in (None, old),
                             f"the spawner of {self.name} starts another net process")

    def job_dirs(self, job):
        return sorted((self.data / "jobs").glob(f"{job}.*"))

    def shim_of(self, job):
        """The pid that holds the attempt's lock, or None."""
        for directory in self.job_dirs(job):
            holder = lock_holder(directory / "lock")
            if holder:
                return holder
        return None


def lock_holder(path):
    """The pid that holds a POSIX record lock on the file, by F_GETLK."""
    import fcntl
    import struct
    layout = "hhqqi"  # struct flock on 64-bit Linux, padded
    try:
        with open(path, "rb") as file:
            asked = struct.pack(layout, fcntl.F_RDLCK, os.SEEK_SET, 0, 0, 0)
            kind, _, _, _, pid = struct.unpack(layout, fcntl.fcntl(file, fcntl.F_GETLK, asked))
    except OSError:
        return None
    return pid if kind != fcntl.F_UNLCK else None
