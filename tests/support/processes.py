"""Processes as /proc shows them: children, environment marks, descriptors, memory; and waiting.

It never signals by name: a caller has a pid, which it started or found below one it started.
"""
import contextlib
import glob
import os
import pathlib
import signal
import time

from support.patience import Limit, patient

# In stat_fields: the clock ticks at its start; where its environment is, 0 while there is none.
START_TIME, ENV_START = 19, 47
POLL_S = 0.01  # how often wait_until looks; nothing depends on the figure


class Timeout(AssertionError):
    """A condition did not come true. An assertion: the promise under test was not kept."""


def wait_until(condition, what, seconds=20):
    """The condition's first true value. The only place in the suite that looks again and again."""
    limit = Limit(seconds)
    while True:
        value = condition()
        if value:
            return value
        if limit.is_over():
            raise Timeout(f"after {patient(seconds):g} s still not: {what}")
        time.sleep(POLL_S)


def read(pid, name):
    try:
        return pathlib.Path(f"/proc/{pid}/{name}").read_bytes()
    except OSError:
        return b""


def stat_fields(pid):
    """Fields of /proc/PID/stat from the state on: [state, ppid, pgrp, session, …]; [] if gone."""
    text = read(pid, "stat")
    return text[text.rfind(b")") + 2:].split() if text else []


def all_pids():
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def is_pending(pid, number):
    """A signal that came twice before it was taken came once."""
    for line in read(pid, "status").decode().splitlines():
        if line.startswith(("SigPnd:", "ShdPnd:")) and int(line.split()[1], 16) >> (number - 1) & 1:
            return True
    return False


def is_alive(pid):
    """Runs or sleeps; a zombie is dead."""
    fields = stat_fields(pid)
    return bool(fields) and fields[0] not in (b"Z", b"X")


def children(pid):
    found = []
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[0] != b"Z" and int(fields[1]) == pid:
            found.append(other)
    return found


def descendants(*pids):
    """Below any of them. One look at /proc serves all: a node may have a thousand jobs."""
    below = {}
    for other in all_pids():
        fields = stat_fields(other)
        if fields and fields[0] != b"Z":
            below.setdefault(int(fields[1]), []).append(other)
    found, todo = [], list(pids)
    while todo:
        for child in below.pop(todo.pop(), ()):
            found.append(child)
            todo.append(child)
    return found


def cmdline(pid):
    return read(pid, "cmdline").split(b"\0")[:-1]


def environment(pid):
    pairs = (entry.partition(b"=") for entry in _environment(pid) if entry)
    return {name.decode("utf-8", "replace"): value for name, _, value in pairs}


def _is_in_exec(pid):
    """Between its old program and the new one a process has no environment to read. One that is older
    than this process and has none is none of the tests'."""
    fields = stat_fields(pid)
    return (len(fields) > ENV_START and fields[ENV_START] == b"0" and b"VmSize" in read(pid, "status")
            and int(fields[START_TIME]) >= int(stat_fields("self")[START_TIME]))


def _environment(pid):
    for _ in range(100):  # an exec takes no second
        text = read(pid, "environ")
        if text or not _is_in_exec(pid):
            break
        time.sleep(POLL_S)
    return text.split(b"\0")


def with_environment(name, value):
    """Live processes whose environment at exec had name=value."""
    wanted = f"{name}={value}".encode()
    return [pid for pid in all_pids() if wanted in _environment(pid) and is_alive(pid)]


def with_argument(text):
    """Live processes with an argument that contains the text, a mark of the test's own."""
    wanted = text.encode() if isinstance(text, str) else text
    return [pid for pid in all_pids()
            if pid != os.getpid() and any(wanted in word for word in cmdline(pid))
            and is_alive(pid)]


def with_open(what):
    """Tasks with a descriptor that /proc shows as this: {"pid/task name state": [descriptors]}. Each
    thread is asked, because that of a process whose first thread has ended shows nothing."""
    found = {}
    for directory in glob.glob("/proc/[0-9]*/task/[0-9]*"):
        with contextlib.suppress(OSError):
            fds = [fd for fd in os.listdir(f"{directory}/fd")
                   if os.readlink(f"{directory}/fd/{fd}") == what]
            if fds:
                stat = pathlib.Path(directory, "stat").read_text().rpartition(")")
                found[f"{directory[6:]} {stat[0].partition('(')[2]} {stat[2].split()[0]}"] = fds
    return found


def memory_kib(pid, field):
    """VmRSS, VmHWM, … of /proc/PID/status."""
    for line in read(pid, "status").decode().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1])
    raise Timeout(f"no {field} of process {pid}: it is gone")


def pss_kib(pid):
    for line in read(pid, "smaps_rollup").decode().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    return 0


def kill(pid, number=signal.SIGKILL):
    """True when it was there to be signalled."""
    try:
        os.kill(pid, number)
        return True
    except ProcessLookupError:
        return False


def kill_and_wait(pid):
    kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), f"process {pid} is dead of SIGKILL")
