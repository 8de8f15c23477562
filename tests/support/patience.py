"""How long the tests wait before they call something a hang: never a figure that a machine must meet.

Each wait names the time that a quiet machine takes at the very most; a slow or loaded machine takes a
multiple. REXEC_PATIENCE is that multiple.
"""
import contextlib
import os
import signal

FACTOR = float(os.environ.get("REXEC_PATIENCE", "4"))


def patient(seconds):
    return seconds * FACTOR


@contextlib.contextmanager
def unlimited():
    """Stops the clock of the test's limit: for a preparation, such as a build, that may take long."""
    left = signal.alarm(0)
    try:
        yield
    finally:
        signal.alarm(left)
