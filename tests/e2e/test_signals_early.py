"""A signal ends a client at once wherever it has got to: name, dial, handshake, kept connection."""
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading

import pytest

from support import processes
from support.proxy import CUT
from support.running import Running

LONG = ["--connect-timeout", "1h"]  # so that nothing but the signal ends it
RUNS = [["run", *LONG, "n1", "true"], ["run", *LONG, "n1,n2", "true"], ["shell", *LONG, "n1"],
        ["run", "-d", *LONG, "n1", "true"], ["submit", *LONG, "n1", "true"]]
# They have no limit of their own to raise; that they die of the signal says what ended them.
QUESTIONS = [["ps"], ["wait", "j-000000000000"], ["logs", "-f", "j-000000000000"], ["node", "ls"],
             ["attach", "j-000000000000"], ["stop", "j-000000000000"], ["status"], ["whoami"],
             ["token", "ls"], ["job", "show", "j-000000000000"], ["schedule", "ls"]]
SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT]


class Mute:
    """Takes connections and says nothing: a controller that is stopped."""

    def __init__(self, listener):
        self._listener = listener
        self._taken = []
        self._some = threading.Condition()
        threading.Thread(target=self._take, daemon=True).start()

    def _take(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            first = connection.recv(1)  # so it has begun to speak
            with self._some:
                self._taken.append((connection, first))
                self._some.notify_all()

    def wait_spoken(self):
        with self._some:
            assert self._some.wait_for(lambda: self._taken, 30), "nobody came"
            return self._taken.pop()[0]

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection, _ in self._taken:
            connection.close()


@pytest.fixture
def mute(shared, tmp_path):
    listener = socket.create_server(("127.0.0.1", 0))
    server = Mute(listener)
    server.cli = shared.cli.through(tmp_path / "client", [f"127.0.0.1:{listener.getsockname()[1]}"])
    yield server
    server.close()


def ended_by(cli, argv, number, wait):
    process = cli.popen(*argv)
    try:
        wait()
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("argv", RUNS, ids=" ".join)
def test_a_run_that_is_dialling_ends_at_once_and_nothing_was_started(mute, argv, number):
    code, out, err = ended_by(mute.cli, argv, number, mute.wait_spoken)
    assert code == (-signal.SIGINT if number == signal.SIGINT else 125), (code, err)
    assert out == b"" and (number == signal.SIGINT or "nothing was started" in err), (out, err)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("argv", QUESTIONS, ids=" ".join)
def test_a_question_that_is_dialling_dies_of_the_signal(mute, argv, number):
    code, out, err = ended_by(mute.cli, argv, number, mute.wait_spoken)
    assert code == -number and out == b"", (code, out, err)


@pytest.mark.parametrize("number", SIGNALS)
def test_the_status_of_a_run_that_never_reached_a_controller_is_not_started(mute, number):
    with Running(mute.cli, *LONG, "n1", "true") as run:
        mute.wait_spoken()
        run.signal(number)
        done = run.finish()
    assert (done.status["outcome"], done.status["reason"]) == ("not_started", "interrupted"), done
    assert done.status["job"] is None and done.status["node"] == "n1", done


@pytest.mark.parametrize("verb", [["submit"], ["run", "-d"]], ids=["submit", "run -d"])
@pytest.mark.parametrize("number", SIGNALS)
def test_what_ended_before_it_was_accepted_is_no_success(cluster, verb, number):
    """The controller has taken the connection, and the answer to the submit does not come."""
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    cli("whoami").ok()  # from here on a ticket resumes the handshake
    before = proxy.counted("down")
    cli("whoami").ok()
    greeted = proxy.counted("down") - before
    held, go_on = threading.Event(), threading.Event()

    def hold():
        held.set()
        go_on.wait(60)
        return CUT

    # Amid the first answer behind the greeting, whichever that is.
    proxy.at(proxy.down + greeted - 1, hold)
    code, out, err = ended_by(cli, [*verb, "n1", "true"], number, lambda: held.wait(60))
    go_on.set()
    assert held.is_set() and out == b"", (code, out, err)
    assert code == (-signal.SIGINT if number == signal.SIGINT else 121), (code, err)
    assert "may have been started" in err and "rexec ps" in err, err


@pytest.mark.parametrize("word", [b"", b"R"], ids=["silent", "lent and silent"])
@pytest.mark.parametrize("number", SIGNALS)
def test_a_kept_connection_that_says_nothing_holds_nobody(cluster, number, word):
    cli = cluster.cli
    cli("context", "persist", "on").ok()
    path = cli.context_dir() / "persist.sock"
    path.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path)) if len(str(path)) < 100 else bind_far(listener, path)
        listener.listen()
        keeper = Mute(listener)

        def asked():
            connection = keeper.wait_spoken()
            connection.sendall(word)
            if word:
                connection.recv(1)  # HELLO: from here on it waits for an answer

        with Running(cli, *LONG, "n1", "true") as run:
            asked()
            run.signal(number)
            done = run.finish(60)
        assert done.code in (-signal.SIGINT, 121, 125), done
        assert (done.code == -signal.SIGINT) == (number == signal.SIGINT), done
        keeper.close()


def bind_far(listener, path):
    """sun_path holds 108 bytes."""
    directory = os.open(path.parent, os.O_PATH)
    listener.bind(f"/proc/self/fd/{directory}/{path.name}")
    os.close(directory)


RESOLVER = """
import os, socket, sys
with open(sys.argv[1], "w") as file:
    file.write("nameserver 127.0.0.1\\noptions timeout:30 attempts:5\\n")
import subprocess
subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
subprocess.run(["mount", "--bind", sys.argv[1], "/etc/resolv.conf"], check=True)
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("127.0.0.1", 53))
client = subprocess.Popen(sys.argv[2:])
server.recv(512)
print("asked", client.pid, flush=True)
print("code", client.wait(), flush=True)
"""


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("argv", [["run", *LONG, "n1", "true"], ["submit", *LONG, "n1", "true"],
                                  ["ps"]], ids=["run", "submit", "ps"])
def test_a_name_that_is_not_resolved_holds_nobody(shared, tmp_path, argv, number):
    if os.geteuid() != 0 or not shutil.which("unshare") or not shutil.which("ip"):
        pytest.skip("not here: needs root, unshare and ip")
    if not pathlib.Path("/etc/resolv.conf").exists():
        pytest.skip("not here: no /etc/resolv.conf")
    cli = shared.cli.through(tmp_path / "client", ["controller.example:7443"])
    # The pid is the same outside: no namespace of processes.
    process = subprocess.Popen(
        ["unshare", "--mount", "--net", sys.executable, "-c", RESOLVER, str(tmp_path / "resolv"),
         str(cli.binary), *argv], env=cli.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL)
    try:
        word, pid = process.stdout.readline().split()
        assert word == b"asked", process.stderr.read()
        os.kill(int(pid), number)
        out, err = process.communicate(timeout=60)
    finally:
        for child in processes.descendants(process.pid):
            processes.kill(child)
        process.kill()
    dies = number == signal.SIGINT or argv == ["ps"]
    assert out.split() == [b"code", b"%d" % (-number if dies else 125)], (out, err)
