"""A `rexec run` that is under way: its output as it comes, signals to it, its end.

Reads in threads, so that a test may wait for a line while the command also writes elsewhere.
"""
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import threading

from support.cli import Done
from support.patience import patient

LINE_S = 30


class Pipe:
    """Collects one stream of the command, waits for parts of it, and can stop reading."""

    def __init__(self, file, keep=True):
        self._file, self._keep = file, keep
        self._changed = threading.Condition()
        self.data = bytearray()
        self.count = 0
        self.ended = False
        self._paused = False
        threading.Thread(target=self._pump, daemon=True).start()

    def _pump(self):
        while True:
            with self._changed:
                self._changed.wait_for(lambda: not self._paused)
            chunk = os.read(self._file.fileno(), 65536)
            with self._changed:
                self.count += len(chunk)
                if self._keep:
                    self.data += chunk
                self.ended = not chunk
                self._changed.notify_all()
            if not chunk:
                return

    def wait_for(self, wanted, seconds=LINE_S):
        """Everything up to and with the wanted bytes, taken out."""
        wanted = wanted.encode() if isinstance(wanted, str) else wanted
        with self._changed:
            self._changed.wait_for(lambda: wanted in self.data or self.ended, patient(seconds))
            end = self.data.find(wanted)
            assert end >= 0, f"{wanted!r} did not come in {patient(seconds):g} s: {bytes(self.data[-500:])!r}"
            taken = bytes(self.data[:end + len(wanted)])
            del self.data[:end + len(wanted)]
            return taken

    def line(self, seconds=LINE_S):
        return self.wait_for(b"\n", seconds)[:-1].decode("utf-8", "replace")

    def wait_count(self, count, seconds=LINE_S):
        with self._changed:
            assert self._changed.wait_for(lambda: self.count >= count, patient(seconds)), \
                f"{self.count} of {count} bytes in {patient(seconds):g} s"

    def wait_end(self, seconds=LINE_S):
        with self._changed:
            assert self._changed.wait_for(lambda: self.ended, patient(seconds)), "the stream did not end"

    def pause(self):
        with self._changed:
            self._paused = True

    def resume(self):
        with self._changed:
            self._paused = False
            self._changed.notify_all()


class Running:
    """`with Running(cli, "n1", "cat") as r:`; killed at the end unless it ended."""

    def __init__(self, cli, *argv, verb="run", keep=True, **options):
        self._directory = tempfile.TemporaryDirectory(dir=cli.home)
        self._status = pathlib.Path(self._directory.name) / "status"
        status = [] if verb in ("logs", "wait") else ["--status-file", str(self._status)]
        self.argv = (verb, *status, *argv)
        self.process = cli.popen(*self.argv, **options)
        self.out = Pipe(self.process.stdout, keep) if self.process.stdout else None
        self.err = Pipe(self.process.stderr) if self.process.stderr else None

    @property
    def pid(self):
        return self.process.pid

    def line(self):
        return self.out.line()

    def signal(self, number):
        self.process.send_signal(number)

    def type(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close_stdin(self):
        self.process.stdin.close()

    def finish(self, seconds=60):
        """Waits for the end; what was not taken out of the streams is in the Done."""
        try:
            self.process.wait(patient(seconds))
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {patient(seconds):g} s: {self.argv}; stderr: "
                                 f"{bytes(self.err.data[-1000:]) if self.err else b''!r}") from None
        for pipe in (self.out, self.err):
            if pipe:
                pipe.wait_end()
        done = Done(self.argv, self.process.returncode, bytes(self.out.data) if self.out else b"",
                    bytes(self.err.data) if self.err else b"")
        if self._status.exists():
            done.statuses = [json.loads(line) for line in self._status.read_text().splitlines()]
        return done

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        for pipe in (self.out, self.err):
            if pipe:
                pipe.resume()
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        if self.process.stdin:
            try:
                self.process.stdin.close()
            except OSError:
                pass
        self._directory.cleanup()
