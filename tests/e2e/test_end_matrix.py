"""What becomes of a job when its client ends, is not heard of, or somebody between them is away: each
kind of end, with each kind of run and each --on-disconnect, as the table in rexec-run(1) says. All runs
of one kind of end are under way side by side. REXEC_ROUNDS repeats it.
"""
import contextlib
import fcntl
import os
import re
import signal
import subprocess
import termios

import pytest

from support import processes
from support.patience import patient

RUNS = {"foreground": (), "with input": ("-i",), "in a terminal": ("-t",), "reader": None}
RULES = {"keep": ("--on-disconnect", "keep"), "stop": ("--on-disconnect", "stop"),
         "default": ()}
KINDS = [(run, rule) for run in RUNS for rule in RULES
         if RUNS[run] is not None or rule == "default"]  # a detached job has no rule
ROUNDS = int(os.environ.get("REXEC_ROUNDS", "1"))

GOES_ON = "goes on"
TAKES_TERM = "takes the TERM that its client was sent"
ENDED = ("client_ended",)
SILENT = ("disconnect",)
EITHER = ENDED + SILENT  # with "stop" the end of the connection may be heard first


def fate(end, run, rule):
    """GOES_ON, TAKES_TERM, or the reasons for which the job may be stopped."""
    if run == "reader" or end in OUTAGES or end == "leave":
        return GOES_ON
    if end == "TERM":
        return TAKES_TERM
    if rule == "keep":
        return GOES_ON
    if end == "KILL":
        return EITHER if rule == "stop" else ENDED
    if end == "HUP" and run != "in a terminal":
        return ENDED
    return SILENT if rule == "stop" else GOES_ON


class Client:
    """A run of that kind whose job waits for `fifo`, or a reader of a detached job; in a terminal of its
    own where the kind asks for one."""

    def __init__(self, cluster, through, run, rule, fifo):
        self.cluster, self.fifo, self.run, self.rule = cluster, fifo, run, rule
        os.mkfifo(fifo)
        command = ("n1", "sh", "-c", f"echo up $REXEC_JOB; read line < {fifo}; exit 5")
        words = (*RULES[rule], *command)
        self.master, streams = None, {"stdin": subprocess.PIPE}
        if run == "reader":
            argv = ("attach", cluster.cli.submit(*command))
        else:
            argv = ("run", *RUNS[run], *words)
        if run == "in a terminal":
            self.master, slave = os.openpty()
            streams = {"stdin": slave, "stdout": slave, "stderr": slave,
                       "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)}
        self.process = through.popen(*argv, start_new_session=True, **streams)
        if self.master is not None:
            os.close(slave)
        self.job = self._job()

    def _job(self):
        source, shown = self.master or self.process.stdout.fileno(), b""
        while not (found := re.search(rb"up (j-\w+)\s", shown)):
            shown += os.read(source, 4096)
        return found[1].decode()

    def signal(self, number):
        self.process.send_signal(number)

    def hang_up(self):
        if self.master is None:
            return self.signal(signal.SIGHUP)
        os.close(self.master)
        self.master = None

    def close(self):
        self.process.kill()
        if self.master is not None:
            os.close(self.master)
        with contextlib.suppress(ValueError):  # of a terminal's
            self.process.communicate()

    def check(self, end):
        expected, cli = fate(end, self.run, self.rule), self.cluster.cli
        place = (end, self.run, self.rule)
        if expected == GOES_ON:
            # Whoever is not there any more has gone before the job ends.
            if end not in STAYS:
                self.process.wait(patient(30))
            self.fifo.write_text("on\n")
            assert cli("wait", self.job).code == 5, place
            if end in STAYS:
                assert self.process.wait(patient(30)) == 5, place
            return
        assert cli("wait", self.job).code == 128 + signal.SIGTERM, place
        record = cli.job(self.job)["record"]
        if expected == TAKES_TERM:
            assert (record["outcome"], record["signal"]) == ("signaled", signal.SIGTERM), (place, record)
        else:
            assert record["outcome"] == "stopped" and record["reason"] in expected, (place, record)
        processes.wait_until(lambda: not self.cluster.job_processes(self.job), f"{place}: nothing is left")


def leave(_, clients):
    for client in clients:
        client.signal(signal.SIGQUIT)


def term(_, clients):
    for client in clients:
        client.signal(signal.SIGTERM)


def hang_up(_, clients):
    for client in clients:
        client.hang_up()


def kill(_, clients):
    for client in clients:
        if client.run != "reader" and client.rule != "keep":
            processes.wait_until(lambda: processes.children(client.process.pid), "the client is watched")
        client.signal(signal.SIGKILL)


def cut(proxy, clients):
    proxy.refuse()
    await_silence(clients)
    proxy.allow()


def stand_still(_, clients):
    for client in clients:
        client.signal(signal.SIGSTOP)
    await_silence(clients)
    for client in clients:
        client.signal(signal.SIGCONT)


def await_silence(clients):
    """Until the node has noticed that nobody is there."""
    for client in clients:
        if fate("cut", client.run, client.rule) != GOES_ON:
            assert client.cluster.cli("wait", client.job, timeout=120).code == 128 + signal.SIGTERM


def restart_controller(_, clients):
    clients[0].cluster.controller.restart()


def kill_controller(_, clients):
    clients[0].cluster.controller.kill()
    clients[0].cluster.controller.start()


def kill_agent(_, clients):
    clients[0].cluster.nodes["n1"].kill()
    clients[0].cluster.nodes["n1"].start()


def kill_net(_, clients):
    clients[0].cluster.nodes["n1"].kill_net()


OUTAGES = {"controller restarted": restart_controller, "controller killed": kill_controller,
           "agent killed": kill_agent, "net killed": kill_net}
ENDS = {"leave": leave, "TERM": term, "HUP": hang_up, "KILL": kill, "cut": cut, "stopped": stand_still,
        **OUTAGES}
STAYS = {"cut", "stopped", *OUTAGES}  # the client is there all the time


@pytest.mark.limit(400)
@pytest.mark.parametrize("number", range(ROUNDS))
@pytest.mark.parametrize("end", ENDS)
def test_a_job_ends_or_goes_on_as_the_table_says(cluster, tmp_path, end, number):
    proxy = cluster.proxy()
    through = cluster.client_through(proxy) if end == "cut" else cluster.cli
    with contextlib.ExitStack() as stack:
        clients = []
        for run, rule in KINDS:
            clients.append(Client(cluster, through, run, rule, tmp_path / f"{run} {rule}".replace(" ", "-")))
            stack.callback(clients[-1].close)
        ENDS[end](proxy, clients)
        for client in clients:
            client.check(end)
