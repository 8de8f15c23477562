"""Daemons kept alive as systemd would keep them: what dies is started again, a moment later.

    with Supervised(cluster, env) as kept: …

A daemon that dies again and again without ever being ready is trouble, and said so at the end.
"""
import subprocess
import threading

from support.cli import BINARY

MOST_RESTARTS = 40  # of one daemon in a short supervision; more is a loop


class Keeper(threading.Thread):
    """One daemon. Knows its process only through cluster's Daemon object, which it updates."""

    def __init__(self, daemon, env, most):
        super().__init__(daemon=True)
        self.daemon_, self.env, self.most = daemon, env, most
        self.over = threading.Event()
        self.started = 0
        self.statuses = []
        self.launch()

    def launch(self):
        with self.daemon_.log.open("ab") as log:
            self.daemon_.process = subprocess.Popen(
                [str(BINARY), *self.daemon_.argv], env=self.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
        self.started += 1

    def run(self):
        while True:
            self.statuses.append(self.daemon_.process.wait())
            if self.over.is_set() or self.started > self.most:
                return
            if self.over.wait(0.02):
                return
            self.launch()

    def end(self, kill):
        self.over.set()
        process = self.daemon_.process
        if process.poll() is None:
            process.kill() if kill else process.terminate()
        self.join(15)
        late = self.is_alive()
        if late:  # what comes after needs its directory
            self.daemon_.process.kill()
            self.join(15)
        assert not late, f"{self.daemon_.argv[:2]} does not end"
        assert self.started <= self.most, f"{self.daemon_.argv[:2]} died {self.statuses}"


class Supervised:
    """The controller and all agents of a cluster whose daemons are not running."""

    def __init__(self, cluster, env=None, most_restarts=MOST_RESTARTS):
        self.cluster, self.most = cluster, most_restarts
        self.env = {**cluster.cli.env, **(env or {})}
        self.keepers = {}

    def start(self):
        self.keepers["controller"] = Keeper(self.cluster.controller, self.env, self.most)
        for name, node in self.cluster.nodes.items():
            self.keepers[name] = Keeper(node, self.env, self.most)
        for keeper in self.keepers.values():
            keeper.start()
        return self

    def stop(self, kill=False):
        """Agents first: the ends that they report are taken."""
        trouble = []
        for name in sorted(self.keepers, key=lambda name: name == "controller"):
            try:
                self.keepers[name].end(kill)
            except AssertionError as error:
                trouble.append(str(error))
        assert not trouble, trouble

    def __enter__(self):
        return self.start()

    def __exit__(self, kind, *rest):
        self.stop(kill=kind is not None)


def restarts(supervised):
    return {name: keeper.started - 1 for name, keeper in supervised.keepers.items()}
