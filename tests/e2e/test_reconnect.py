"""The connection breaks while it is being made: a pause at most, never a crash, nothing twice.

The proxy cuts after every so many bytes of the set-up, in each direction, by RST and by FIN (what
a killed controller leaves); a run's request id makes its second submit the same job.
"""
import pathlib
import re
import socket
import threading

import pytest

from support import processes
from support.proxy import CARRY_ON, CUT, END

RAW = ("OpenSSL", "error:0", "SSL routines", "reset by peer", "Broken pipe", "unexpected eof")
LINES = "".join(f"{i}\n" for i in range(1, 2001))


def in_plain_words(text):
    return not any(raw.lower() in text.lower() for raw in RAW)


class Setup:
    """A client behind a proxy, and how many bytes its connections' beginnings have."""

    def __init__(self, cluster, counts):
        self.cluster, self.proxy = cluster, cluster.proxy(counts)
        self.cli = cluster.client_through(self.proxy)
        self.marks = pathlib.Path(cluster.root / f"marks-{counts}")
        self.counts = counts

    def passed(self):
        """The bytes of all connections until now; none is left."""
        return self.proxy.counted(self.counts)

    def at(self, offset, action):
        """After so many bytes of the next command. A command may have fewer: its action never runs."""
        self.proxy.forget()
        self.proxy.at(self.passed() + offset, action)

    def run(self, name, *options):
        mark = self.marks.with_name(f"{self.marks.name}-{name}")
        script = f"echo x >>{mark}; seq 1 2000; exit 7"
        done = self.cli.run(*options, "n1", "sh", "-c", script)
        return done, mark.read_text().count("x") if mark.exists() else 0

    def size(self, *argv):
        """The bytes of a whole command whose TLS session is a resumed one."""
        self.cli(*argv)
        before = self.passed()
        self.cli(*argv)
        return self.passed() - before


@pytest.fixture(scope="module", params=["down", "up"])
def setup(request, shared):
    return Setup(shared, request.param)


@pytest.mark.limit(300)
@pytest.mark.parametrize("how", [CUT, END])
def test_a_run_survives_a_cut_at_any_byte_of_its_beginning(setup, how, quick):
    total = setup.size("run", "n1", "true")
    stride = 211 if quick else 23
    for offset in range(1, total, stride):
        setup.at(offset, lambda: how)
        done, ran = setup.run(f"{how}-{offset}")
        assert (done.code, done.text, ran) == (7, LINES, 1), (offset, total, done)
        assert in_plain_words(done.errors), (offset, done)


@pytest.mark.limit(300)
def test_a_run_survives_several_cuts_in_a_row(setup):
    total = setup.size("run", "n1", "true")
    for count in (2, 3, 5):
        setup.proxy.forget()
        before = setup.passed()
        for step in range(count):
            setup.proxy.at(before + (step + 1) * (total * 2 // 3), lambda: CUT)
        done, ran = setup.run(f"several-{count}")
        assert (done.code, done.text, ran) == (7, LINES, 1), done


@pytest.mark.limit(300)
@pytest.mark.parametrize("how", [CUT, END])
def test_questions_are_put_again_or_fail_in_plain_words(setup, how, quick):
    total = setup.size("ps")
    stride = 211 if quick else 37
    for offset in range(1, total, stride):
        setup.at(offset, lambda: how)
        done = setup.cli("ps")
        assert done.code == 0, (offset, total, done)


@pytest.mark.limit(300)
def test_what_changes_something_is_done_once_or_says_that_nobody_knows(setup):
    total = setup.size("token", "new", "--user", "counted", "--json")
    for offset in range(1, total, 97):
        setup.at(offset, lambda: CUT)
        done = setup.cli("token", "new", "--user", f"u{offset}{setup.counts}", "--json")
        if done.code == 0:
            continue
        assert done.code == 5 and in_plain_words(done.errors), (offset, done)
        assert "try again" in done.errors, done


@pytest.mark.limit(300)
def test_a_detached_submit_survives_too(setup, quick):
    total = setup.size("submit", "n1", "true")
    for offset in range(1, total, 211 if quick else 61):
        setup.at(offset, lambda: END)
        job = setup.cli("submit", "n1", "true")
        assert job.code == 0 and re.fullmatch(r"j-\w{12}\n", job.text), (offset, job)


@pytest.mark.limit(300)
def test_a_controller_killed_while_a_client_connects_is_a_pause(make_cluster):
    """kill -9 after so many bytes of the set-up; nobody listens until it is there again."""
    cluster = make_cluster(nodes=1)
    setup = Setup(cluster, "down")
    total = setup.size("run", "n1", "true")

    def restart():
        cluster.controller.kill()
        threading.Thread(target=cluster.controller.start).start()
        return END

    for offset in range(40, total, max(1, total // 9)):
        cluster.wait_online()
        setup.at(offset, restart)
        done, ran = setup.run(f"killed-{offset}")
        assert (done.code, done.text, ran) == (7, LINES, 1), (offset, total, done)
        processes.wait_until(lambda: cluster.controller.running, "the controller runs again")


def test_a_run_whose_beginning_never_succeeds_is_121_after_reconnect(cluster):
    setup = Setup(cluster, "up")
    total = setup.size("run", "n1", "true")

    def cut_and_refuse():
        setup.proxy.refuse()
        return CUT

    # Amid a long submit: the controller had taken the connection.
    setup.at(total + 20_000, cut_and_refuse)
    done, _ = setup.run("never", "--reconnect", "1s", "-e", "LONG=" + 60_000 * "x")
    assert done.code == 121, done
    assert done.status["outcome"] == "lost" and done.status["reason"] == "link_lost"
    assert "--reconnect" in done.errors and "rexec" in done.errors and in_plain_words(done.errors)


def test_nobody_at_the_first_dial_is_125_at_once(cluster):
    cluster.controller.kill()
    done = cluster.cli.run("n1", "true")
    assert done.code == 125, done
    assert (done.status["outcome"], done.status["reason"]) == ("unreachable", "controller_down")
    assert "Connection refused" in done.errors
    assert cluster.cli("ps").code == 5


def test_one_who_hangs_up_on_everybody_is_named_in_plain_words(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    proxy.refuse()
    done = cli.run("n1", "true")
    assert done.code == 125 and done.status["reason"] == "controller_down", done
    assert "the controller closed the connection during the handshake" in done.errors
    assert in_plain_words(done.errors) and "rexec controller status" in done.errors


def test_a_port_that_speaks_something_else_is_said_so(cluster):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        def answer():
            peer, _ = listener.accept()
            with peer:
                peer.recv(1)
                peer.sendall(b"SSH-2.0-something else\r\n" * 4)
                peer.recv(65536)

        threading.Thread(target=answer, daemon=True).start()
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        other = cluster.cli.through(cluster.root / "other", [address])
        done = other("ps")
    assert done.code == 5 and "does not speak TLS" in done.errors, done
    assert in_plain_words(done.errors)


def test_a_very_short_connect_timeout_is_not_a_missing_address(cluster):
    done = cluster.cli.run("--connect-timeout", "1ms", "n1", "true")
    assert "no address is known" not in done.errors, done
    assert done.code in (0, 125)


def test_a_held_connection_goes_on_where_it_was(cluster):
    """Nothing breaks: the beginning only waits, and no second submit is made."""
    setup = Setup(cluster, "down")
    total = setup.size("run", "n1", "true")
    setup.at(total // 2, lambda: CARRY_ON)
    done, ran = setup.run("held")
    assert (done.code, done.text, ran) == (7, LINES, 1), done
