"""The binary with driven fail points (tests/faulty): where it is, its points, orders and marks.

    orders = Orders(directory, "store.committed=kill"); cli = Cli(home, orders.env)

A process that meets an order leaves the mark `fired.POINT` with its pid and role.
"""
import os
import pathlib
import signal
import subprocess

from support import processes

REPOSITORY = pathlib.Path(__file__).resolve().parents[2]


def find_binary():
    """REXEC_FAULTY, or what stands beside REXEC_BIN, or what the usual build has."""
    named = os.environ.get("REXEC_FAULTY")
    beside = pathlib.Path(os.environ.get("REXEC_BIN", "")).parent / "rexec-faulty"
    usual = REPOSITORY / "build" / "rexec-faulty"
    for path in [named] if named else [beside, usual]:
        if pathlib.Path(path).is_file():
            return pathlib.Path(path).resolve()
    raise FileNotFoundError(f"rexec-faulty is not built: neither {beside} nor {usual}")


def points(binary):
    """{name: what is true there}, as the binary itself lists them."""
    listed = subprocess.run([binary, "fail-points"], capture_output=True, check=True, text=True)
    return dict(line.split("\t", 1) for line in listed.stdout.splitlines())


class Orders:
    """One REXEC_FAIL with a directory for its marks, which any user's process may write to."""

    def __init__(self, directory, *orders):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir()
        self.directory.chmod(0o777)
        self.text = ";".join(orders)

    @property
    def env(self):
        return {"REXEC_FAIL": self.text, "REXEC_FAIL_DIR": str(self.directory)}

    def _marks(self, kind):
        return {path.name.removeprefix(kind + "."): path
                for path in self.directory.glob(f"{kind}.*")}

    def reached(self):
        return set(self._marks("reached"))

    def fired(self):
        """{point: (pid, role)} of every action taken."""
        found = {}
        for point, path in self._marks("fired").items():
            words = path.read_text().split()
            if len(words) == 2:
                found[point] = (int(words[0]), words[1])
        return found

    def wait_fired(self, point, seconds=20):
        return processes.wait_until(lambda: self.fired().get(point), f"{point} is met", seconds)

    def go_on(self, point):
        """Continues the process that stopped at the point, if it is still there."""
        pid, _ = self.fired()[point]
        return processes.kill(pid, signal.SIGCONT)
