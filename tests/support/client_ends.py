"""What tests of a client's end share: commands that wait, a terminal to close, what becomes of the job."""
import fcntl
import os
import re
import signal
import termios

from support import processes


def waiting_for(path):
    """A command that goes on when somebody writes to the FIFO."""
    os.mkfifo(path)
    return "sh", "-c", f"echo up $REXEC_JOB; read line < {path}; echo $line; exit 5"


class OwnTerminal:
    """What a command has as its controlling terminal: its standard streams, until close()."""

    def __init__(self):
        self.master, self.slave = os.openpty()
        self.options = {"stdin": self.slave, "stdout": self.slave, "stderr": self.slave,
                        "start_new_session": True,
                        "preexec_fn": lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0)}

    def job(self):
        """Of the line "up JOB"; nobody else holds this end of the terminal then."""
        os.close(self.slave)
        shown = b""
        while not (found := re.search(rb"up (j-\w+)\s", shown)):
            shown += os.read(self.master, 4096)
        return found[1].decode()

    def close(self):
        os.close(self.master)


def kill_when_watched(run):
    """When the child that waits for the client's death is there."""
    processes.wait_until(lambda: processes.children(run.pid), "somebody watches the client")
    run.process.kill()
    run.process.wait()


def ended_with_its_client(cli, job):
    assert cli("wait", job).code == 128 + signal.SIGTERM
    record = cli.job(job)["record"]
    assert (record["outcome"], record["reason"]) == ("stopped", "client_ended"), record
