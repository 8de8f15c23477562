"""The rexec binary as a person on a private account uses it: own XDG directories, clean REXEC_*.

A Cli is one account's view. It starts commands and collects code, bytes and the status JSON; it
knows nothing of daemons (cluster.py) and judges nothing.
"""
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import warnings

from support import processes
from support.patience import Limit, patient

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("REXEC_BIN", REPOSITORY / "build" / "rexec")).resolve()
# Timing and memory mean nothing under AddressSanitizer.
_VERSION = subprocess.run([BINARY, "version"], capture_output=True, check=True).stdout
SANITIZED = b"asan" in _VERSION or b"tsan" in _VERSION
KEPT = ("PATH", "LANG", "TMPDIR", "REXEC_TEST_RUN", "ASAN_OPTIONS", "UBSAN_OPTIONS", "TSAN_OPTIONS")
COMMAND_TIMEOUT_S = 60


class Done:
    """A finished command. `out` and `err` are bytes; `status` the objects of --status-file."""

    def __init__(self, argv, code, out, err, status=()):
        self.argv, self.code, self.out, self.err = argv, code, out, err
        self.statuses = list(status)

    @property
    def status(self):
        assert len(self.statuses) == 1, f"{len(self.statuses)} status objects from {self}"
        return self.statuses[0]

    @property
    def text(self):
        return self.out.decode("utf-8", "replace")

    @property
    def errors(self):
        return self.err.decode("utf-8", "replace")

    def json(self):
        return json.loads(self.out)

    def ok(self):
        assert self.code == 0, self
        return self

    def __repr__(self):
        shown = " ".join(ascii(str(word))[1:-1] for word in self.argv)
        return (f"`rexec {shown[:300]}` exited {self.code}\n  stdout ({len(self.out)} bytes): "
                f"{self.out[:800]!r}\n  stderr: {self.errors[-2000:]}\n  status: {self.statuses}")


def _others_with(process):
    """Of each stream that did not end: what it is, and which tasks but this process's have it open."""
    own = f"{os.getpid()}/"
    return {what: others for stream in (process.stdout, process.stderr) if stream and not stream.closed
            for what in [os.readlink(f"/proc/self/fd/{stream.fileno()}")]
            for others in [{task: fds for task, fds in processes.with_open(what).items()
                            if not task.startswith(own) or len(fds) > 1}]}


def _take_rest(stream):
    """What is in a pipe that nobody writes to any more, without waiting for its end."""
    taken = b""
    if stream is None or stream.closed:
        return taken
    os.set_blocking(stream.fileno(), False)
    with contextlib.suppress(BlockingIOError):
        while data := os.read(stream.fileno(), 65536):
            taken += data
        return taken
    # Seen once in some ten thousand commands under load: the system has no writer and no end.
    warnings.warn("a pipe that no task has open for writing has no end of file")
    return taken


class Cli:
    binary = BINARY  # of one account; a test of an upgrade changes it

    def __init__(self, home, extra=None):
        self.home = pathlib.Path(home)
        self.config_home = self.home / "config"
        self.data_home = self.home / "data"
        self.extra = dict(extra or {})
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def env(self):
        kept = {name: os.environ[name] for name in KEPT if name in os.environ}
        # CI switches the kept connection off: what a test starts must end with it.
        return {**kept, "HOME": str(self.home), "XDG_CONFIG_HOME": str(self.config_home),
                "XDG_DATA_HOME": str(self.data_home), "XDG_CACHE_HOME": str(self.home / "cache"),
                "USER": "tester", "LOGNAME": "tester", "SHELL": "/bin/sh", "TERM": "xterm-256color",
                "CI": "1", **self.extra}

    @property
    def config_file(self):
        return self.config_home / "rexec" / "config.toml"

    def context_dir(self, name=None):
        found = sorted((self.data_home / "rexec" / "ctx").iterdir())
        return next(d for d in found if name in (None, d.name))

    def popen(self, *argv, **options):
        options.setdefault("stdin", subprocess.DEVNULL)
        options.setdefault("stdout", subprocess.PIPE)
        options.setdefault("stderr", subprocess.PIPE)
        options.setdefault("env", self.env)
        return subprocess.Popen([str(self.binary), *argv], **options)

    def __call__(self, *argv, input=None, timeout=COMMAND_TIMEOUT_S, **options):
        if input is not None:
            options["stdin"] = subprocess.PIPE
        process = self.popen(*argv, **options)
        limit, why = Limit(timeout), None
        while True:
            try:
                out, err = process.communicate(input, timeout=Limit.MOST_S)
                break
            except subprocess.TimeoutExpired as late:
                input = None  # it is being written
                if process.poll() is not None and not any(_others_with(process).values()):
                    out = (late.output or b"") + _take_rest(process.stdout)
                    err = (late.stderr or b"") + _take_rest(process.stderr)
                    break
                if limit.is_over():
                    assert process.poll() is None, (
                        f"{argv} ended, and its output did not: {_others_with(process)}")
                    why = f"still running after {patient(timeout):g} s: "
                    process.kill()
        done = Done(argv, process.returncode, out or b"", err or b"")
        assert why is None, f"{why}{done!r}"
        return done

    def run(self, *argv, verb="run", **options):
        """`run` (or another verb that follows a job) with its status JSON."""
        with tempfile.TemporaryDirectory(dir=self.home) as directory:
            status = pathlib.Path(directory) / "status"
            done = self(verb, "--status-file", str(status), *argv, **options)
            if status.exists():
                done.statuses = [json.loads(line) for line in status.read_text().splitlines()]
            return done

    def submit(self, *argv, **options):
        """The job id of a detached run."""
        done = self("submit", *argv, **options).ok()
        return done.text.strip()

    def job(self, job):
        return self("job", "show", job, "--json").ok().json()

    def through(self, home, addresses):
        """The same account and keys, dialling other addresses: a proxy's."""
        other = Cli(home, self.extra)
        other.data_home = self.data_home
        other.config_file.parent.mkdir(parents=True, exist_ok=True)
        other.config_file.write_text(replace_addresses(self.config_file.read_text(), addresses))
        other.config_file.chmod(0o600)
        return other


def replace_addresses(toml, addresses):
    """A configuration of ours with every `addresses = […]` line exchanged."""
    listed = ", ".join(f'"{address}"' for address in addresses)
    lines = [f"addresses = [{listed}]" if line.startswith("addresses = ") else line
             for line in toml.splitlines()]
    return "\n".join(lines) + "\n"
