"""Strangers on the port: each has one deadline, whatever he sends; they are counted and shed, and
who is known gets in whatever they hold, also when the controller has few descriptors."""
import contextlib
import fcntl
import os
import resource
import select
import socket
import subprocess
import time

import pytest

from support import processes, wire
from support.cli import SANITIZED
from support.running import Running
from support.wire import HELLO, PING, Peer, dial, frame, tls_context

DEADLINE_S = 10  # of src/net/strangers.hpp
FEW = 300
GREETING = frame(HELLO, {"versions": [1, 1], "role": "enrol"})


@pytest.fixture(autouse=True)
def descriptors():
    """Enough of them for the strangers, who are all in this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def tight(cluster):
    """A cluster whose controller has few descriptors."""
    resource.prlimit(cluster.controller.pid, resource.RLIMIT_NOFILE, (FEW, FEW))
    return cluster


def silent(address):
    """Its descriptor is above those that select() of the others can name."""
    with dial(address) as sock:
        return socket.socket(fileno=fcntl.fcntl(sock, fcntl.F_DUPFD_CLOEXEC, 1024))


def half_a_handshake(address):
    context = tls_context()
    incoming, outgoing = wire.ssl.MemoryBIO(), wire.ssl.MemoryBIO()
    with contextlib.suppress(wire.ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    sock = dial(address)
    sock.sendall(outgoing.read())
    return sock


def greeter(address, context=tls_context()):
    sock = context.wrap_socket(dial(address))
    sock.sendall(GREETING + frame(PING, b"12345678"))
    return sock


SORTS = {"silent": silent, "half a handshake": half_a_handshake, "greeting": greeter}


class Crowd:
    def __init__(self):
        self.sockets = []

    def add(self, sort, address, count):
        for _ in range(count):
            with contextlib.suppress(OSError):  # shed in the middle of a handshake
                self.sockets.append(SORTS[sort](address))

    def close(self):
        for sock in self.sockets:
            sock.close()


@pytest.fixture
def crowd():
    made = Crowd()
    yield made
    made.close()


def is_readable(sock, seconds):
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(seconds * 1000))


def open_files(cluster):
    return len(os.listdir(f"/proc/{cluster.controller.pid}/fd"))


@pytest.mark.parametrize("sort", SORTS)
def test_a_stranger_is_dropped_at_the_deadline_whatever_he_sends(shared, crowd, sort):
    begun = time.monotonic()
    crowd.add(sort, shared.address, 3)
    for sock in crowd.sockets:
        sock.setblocking(False)
        while True:
            # One PING whenever he has heard nothing for a second.
            readable = is_readable(sock, 1)
            try:
                if readable and not sock.recv(65536):
                    break
                if not readable and sort == "greeting":
                    sock.sendall(frame(PING, b"12345678"))
            except (wire.ssl.SSLWantReadError, BlockingIOError):
                pass
            except OSError:
                break
    assert time.monotonic() - begun >= DEADLINE_S - 1, "he has the time that an enrolment may take"


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own memory is no measure")
def test_a_stranger_costs_at_most_64_kib(make_cluster, crowd):
    cluster = make_cluster(nodes=0)
    crowd.add("greeting", cluster.address, 20)  # what the first of them costs once
    before = processes.memory_kib(cluster.controller.pid, "VmRSS")
    count = 400
    crowd.add("greeting", cluster.address, count)
    grown = processes.memory_kib(cluster.controller.pid, "VmRSS") - before
    print(f"\n{grown / count:.1f} KiB for each of {count} strangers")
    assert grown <= 64 * count, grown


@pytest.mark.limit(240)
@pytest.mark.parametrize("sort", SORTS)
def test_who_is_known_gets_in_though_strangers_take_what_they_can(tight, crowd, sort):
    """2,000 of them and 300 descriptors: a user, a node that was away, a new node, a new user."""
    tight.add_node("n0")
    with Running(tight.cli, "-i", "n0", "cat", stdin=subprocess.PIPE) as old:
        old.type(b"before\n")
        assert old.line() == "before"
        node = tight.nodes["n1"]
        node.stop()
        crowd.add(sort, tight.address, 2000 if sort == "silent" else 300)
        assert open_files(tight) < FEW / 2, "strangers have a share of the descriptors, no more"
        node.start()
        assert tight.cli.run("n1", "true").code == 0
        crowd.add(sort, tight.address, 100)
        tight.add_node("n2")
        assert tight.new_user("ann").run("n2", "true").code == 0
        old.type(b"after\n")
        assert old.line() == "after", "who was in before is not put out for strangers"
        old.close_stdin()
        assert old.finish().code == 0


def test_strangers_are_shed_when_the_known_need_the_descriptors(cluster, crowd):
    """With those who are known and the strangers' share there is no reserve left: strangers go."""
    few, each = 120, 15
    users = [cluster.cli] + [cluster.new_user(f"u{i}") for i in range(3)]
    resource.prlimit(cluster.controller.pid, resource.RLIMIT_NOFILE, (few, few))
    crowd.add("silent", cluster.address, 100)
    with contextlib.ExitStack() as stack:
        for cli in users:
            for _ in range(each):
                peer = stack.enter_context(Peer(cluster.address, cli.context_dir()))
                assert peer.hello()[0] == HELLO
        assert cluster.cli.run("n1", "true").code == 0
        assert open_files(cluster) <= few - 16, "and the controller's own files have room"


def test_one_user_does_not_take_all_sessions(tight):
    ann = tight.new_user("ann")
    with contextlib.ExitStack() as stack:
        peers = [stack.enter_context(Peer(tight.address, ann.context_dir()))
                 for _ in range(FEW // 4 + 20)]
        answers = [peer.hello() for peer in peers]
        codes = [got[3].get("code") for got in answers if got[0] != HELLO]
        assert codes == ["limit"] * 20, codes
        assert tight.cli.run("n1", "true").code == 0
        assert peers[0].answers()
    processes.wait_until(lambda: ann("whoami").code == 0, "there is room once some have ended")
