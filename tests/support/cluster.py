"""A controller and agents on loopback in one temporary directory, and the account that owns them.

    with Cluster(nodes=3) as c: c.cli.run("n1", "true")

Everything is found by pid or by the cluster's own mark in the environment, and is gone at the end.
"""
import os
import pathlib
import shutil
import tempfile
import uuid

from support import processes
from support.cli import Cli, replace_addresses
from support.daemons import Controller, Node
from support.patience import patient
from support.proxy import Proxy

MARK = "REXEC_TEST_CLUSTER"


class Cluster:
    def __init__(self, nodes=1, start=True, env=None, binary=None):
        self.mark = uuid.uuid4().hex
        self.root = pathlib.Path(tempfile.mkdtemp(prefix="rexec-e2e-"))
        self.logs = self.root / "logs"
        self.logs.mkdir()
        self.cli = Cli(self.root / "admin", {MARK: self.mark, **(env or {})})
        if binary:  # of another commit, whose store this one could not share
            self.cli.binary = binary
        self.nodes, self.proxies, self.names = {}, [], 0
        self.controller = None
        self.clients = []
        try:
            self._init()
            if start:
                self.controller.start()
                for number in range(1, nodes + 1):
                    self.add_node(f"n{number}")
        except BaseException:
            self.close()
            raise

    def _init(self):
        data = self.root / "controller"
        self.made = self.cli("controller", "init", "--data", str(data), "--listen", "127.0.0.1:0",
                             "--json").ok().json()
        self.address = self.made["listen"]
        self.controller = Controller(data, self.cli.env, self.logs / "controller.log")
        self.controller.binary = self.cli.binary

    def token(self, *options):
        return self.cli("token", "new", *options, "--json").ok().json()["token"]

    def join(self, name, token=None, *options):
        """Enrols a node that is not started yet."""
        node = Node(name, self.root / name, self.cli.env, self.logs / f"{name}.log")
        token = token or self.token("--node", name)
        self.cli("join", token, "--data", str(node.data), "--no-start", *options).ok()
        self.nodes[name] = node
        return node

    def add_node(self, name, through=None):
        node = self.join(name)
        if through:
            self.redirect(node, through.address)
        node.start()
        return node

    def redirect(self, node, *addresses):
        """The node dials these from its next start on."""
        text = node.config_file.read_text()
        node.config_file.write_text(replace_addresses(text, addresses))

    def proxy(self, counts="down"):
        proxy = Proxy(self.address, counts)
        self.proxies.append(proxy)
        return proxy

    def client_through(self, proxy):
        self.names += 1
        return self.cli.through(self.root / f"client{self.names}", [proxy.address])

    def new_user(self, name, *options):
        """Another person, signed in on an account of their own."""
        other = Cli(self.root / f"user-{name}", {MARK: self.mark})
        other("login", self.token("--user", name, *options)).ok()
        return other

    def node_states(self):
        return {row["name"]: row for row in self.cli("node", "ls", "--json").ok().json()}

    def wait_online(self, *names, timeout=20):
        self.cli("node", "wait", "--timeout", f"{patient(timeout):g}s", *(names or self.nodes)).ok()

    def processes(self):
        """Every live process of this cluster: those with its mark, and what is below them."""
        found = set(processes.with_environment(MARK, self.mark))
        found.update(processes.descendants(*found))
        found.discard(os.getpid())
        return found

    def job_processes(self, job):
        return processes.with_environment("REXEC_JOB", job)

    def close(self):
        for proxy in self.proxies:
            proxy.close()
        # Spawners first, so that nothing is started while the rest is being ended.
        for daemon in [*self.nodes.values(), self.controller]:
            if daemon is not None and daemon.running:
                self._end_tree(daemon)
        for _ in range(3):
            for pid in self.processes():
                processes.kill(pid)
        processes.wait_until(lambda: not self.processes(), "the cluster's processes are gone", 10)
        shutil.rmtree(self.root, ignore_errors=True)

    def _end_tree(self, daemon):
        below = processes.descendants(daemon.pid)
        daemon.kill()
        for pid in below:
            processes.kill(pid)

    def log_tails(self, size=2500):
        for log in sorted(self.logs.glob("*.log")):
            text = log.read_text(errors="replace")
            yield f"{log.name} (last of {len(text)} characters)", text[-size:]

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
