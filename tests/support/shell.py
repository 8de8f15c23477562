"""An interactive bash on a pseudo-terminal, with job control and rexec on its PATH.

What it is asked answers on a line of its own between marks, so that no prompt is taken for it.
"""
import itertools
import os
import re

import pexpect

from support import processes
from support.terminal import PATIENCE_S

PROMPT = "prompt> "


class Shell(pexpect.spawn):
    def __init__(self, cli, size=(24, 80)):
        env = {**cli.env, "PATH": f"{cli.binary.parent}:{os.environ['PATH']}", "PS1": PROMPT}
        super().__init__("bash", ["--norc", "--noprofile", "-i"], env=env, timeout=PATIENCE_S,
                         dimensions=size)
        self.delaybeforesend = None
        self._marks = itertools.count(1)
        self.ask("bind 'set enable-bracketed-paste off'")

    def ask(self, command):
        """What it prints, once it has ended."""
        number = next(self._marks)
        # In two parts: the echo of the line that is typed must not be taken for the answer.
        self.send(f"{command}; echo MA''RK{number}\r")
        self.expect(rf"MARK{number}\r\n")
        lines = self.before.decode().replace("\r", "").split("\n")
        return "\n".join(line for line in lines if "MA''RK" not in line).strip()

    def wait_prompt(self):
        """What is typed before it may go to what still runs."""
        self.expect(PROMPT)

    def modes(self):
        """Of its terminal while a command runs, as one word; its news of jobs stands beside it."""
        return re.search(r"^[0-9a-f]+(:[0-9a-f]+){20,}$", self.ask("stty -g"), re.MULTILINE)[0]

    def begin(self, command):
        """In the background; its pid."""
        return int(re.search(r"^pid=(\d+)$", self.ask(f"{command} & echo pid=$!"), re.MULTILINE)[1])

    def wait_stopped(self, pid):
        processes.wait_until(lambda: processes.stat_fields(pid)[:1] == [b"T"], f"{pid} is stopped")

    def __exit__(self, *exc):
        self.close(force=True)
