"""How long the tests wait before they call something a hang: never a figure that a machine must meet.

Each wait names the time that a quiet machine takes at the very most; a slow or loaded machine takes a
multiple. REXEC_PATIENCE is that multiple. A virtual machine may stand still for minutes and then have
another time: such a pause is not waiting.
"""
import contextlib
import os
import signal
import time

FACTOR = float(os.environ.get("REXEC_PATIENCE", "4"))


def patient(seconds):
    return seconds * FACTOR


class Limit:
    """So many patient seconds of a machine that runs: from one look to the next at most MOST_S pass."""
    MOST_S = 5

    def __init__(self, seconds):
        self.left, self.looked = patient(seconds), time.monotonic()

    def is_over(self):
        now = time.monotonic()
        self.left -= min(now - self.looked, self.MOST_S)
        self.looked = now
        return self.left < 0


@contextlib.contextmanager
def limited(seconds):
    """TimeoutError in the main thread when the limit is over; looked at each second."""
    limit = Limit(seconds)

    def look(*_):
        if limit.is_over():
            raise TimeoutError(f"the test took longer than {patient(seconds):g} s")

    before = signal.signal(signal.SIGALRM, look)
    signal.setitimer(signal.ITIMER_REAL, 1, 1)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def unlimited():
    """Stops the clock of the test's limit: for a preparation, such as a build, that may take long."""
    left = signal.setitimer(signal.ITIMER_REAL, 0)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, *left)
