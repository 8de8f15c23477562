"""A rexec client on a pseudo-terminal of its own, as a person at a terminal has it.

The command runs below a small guard (guard.py) that ignores the terminal's signals, and says at the
end how it ended and whether the terminal is as it was.
"""
import json
import pathlib
import re
import sys

import pexpect

from support.patience import patient

GUARD = pathlib.Path(__file__).with_name("guard.py")
PATIENCE_S = patient(20)
# For `python3 -c`: says the terminal's size, and each time that it changes. The signal is blocked but
# where it is waited for; a shell's trap loses one that comes between two of its commands.
SIZES = """
import os, signal
signal.signal(signal.SIGINT, signal.SIG_DFL)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGWINCH])
print("job", os.environ["REXEC_JOB"], flush=True)
while True:
    size = os.get_terminal_size(0)
    print("size", size.lines, size.columns, flush=True)
    signal.sigwait([signal.SIGWINCH])
"""


class Ended:
    def __init__(self, code, restored, statuses, screen):
        self.code = code          # as subprocess has it: negative for a signal
        self.restored = restored  # what differs from before, nothing when all is well
        self.statuses = statuses
        self.screen = screen

    @property
    def status(self):
        assert len(self.statuses) == 1, (self.statuses, self.screen)
        return self.statuses[0]


class Terminal(pexpect.spawn):
    """`t = Terminal(cli, "run", "-t", "n1", "vim")`; expect() and send() are pexpect's."""

    def __init__(self, cli, verb, *argv, size=(24, 80), status=True, env=None):
        self.status_file = cli.home / f"status-{id(self)}"
        words = [verb, *(["--status-file", str(self.status_file)] if status else []), *argv]
        super().__init__(sys.executable, [str(GUARD), str(cli.binary), *words], dimensions=size,
                         env={**cli.env, **(env or {})}, timeout=PATIENCE_S, echo=False)
        self.delaybeforesend = None
        self.delayafterclose = self.delayafterterminate = 0

    def ended(self, seconds=PATIENCE_S):
        self.expect(r"GUARD code=(-?\d+) changed=(\S*)\r?\n", timeout=seconds)
        code, changed = int(self.match[1]), self.match[2].decode()
        screen = self.before.decode("utf-8", "replace")
        self.expect(pexpect.EOF)
        self.close()
        statuses = []
        if self.status_file.exists():
            statuses = [json.loads(s) for s in self.status_file.read_text().splitlines()]
        return Ended(code, changed, statuses, screen)

    def __exit__(self, *exc):
        self.close(force=True)


def strip_escapes(text):
    return re.sub(r"\x1b(\[[0-9;?]*[a-zA-Z]|[()][A-Z0-9]|[=>])", "", text)
