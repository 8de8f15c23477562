"""Schedules whose jobs write down which firing they are, and what a node has told of a schedule."""
import datetime

from support import processes


class Beats:
    """What the jobs of a schedule wrote: the nominal times, in the order in which they ran."""

    def __init__(self, path):
        self.path = path

    @property
    def command(self):
        return ("sh", "-c", f"echo $REXEC_NOMINAL >> {self.path}")

    @property
    def times(self):
        if not self.path.exists():
            return []
        return [datetime.datetime.fromisoformat(line.replace("Z", "+00:00"))
                for line in self.path.read_text().split()]

    def wait_for(self, count, what="firings"):
        processes.wait_until(lambda: len(self.times) >= count, f"{count} {what}", 60)

    def wait_for_more(self, count):
        self.wait_for(len(self.times) + count)

    def assert_each_second_once(self):
        times = self.times
        assert len(set(times)) == len(times), times
        steps = {(b - a).total_seconds() for a, b in zip(times, times[1:])}
        assert steps <= {1.0}, times


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def seconds_pass(count):
    """Those in which something would fire."""
    start = now()
    processes.wait_until(lambda: now() > start + datetime.timedelta(seconds=count), "time", 60)


def add(cli, name, *words):
    return cli("schedule", "add", "--json", name, *words).ok().json()


def show(cli, name, node="n1"):
    shown = cli("schedule", "show", name, "--json").ok().json()
    return next(row for row in shown["nodes"] if row["node"] == node)


EACH = ("--every", "1s", "--overlap", "queue", "--catch-up", "all")
