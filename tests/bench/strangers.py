#!/usr/bin/env python3
"""What 2,000 strangers on the port cost a client: `rexec run n1 -- true` with and without them.

A controller and an agent on loopback; the strangers are a process of their own, in which each one that was dropped dials again, at
most --redial of them a second. Sorts: silent (a connection and nothing else), half (a ClientHello and nothing else), greeting (TLS, HELLO
as one who enrols, and a PING each 4 s). Before each sort the same is measured without strangers. Prints ratios; ends only what it started.
    REXEC_BIN=build/rexec tests/bench/strangers.py [--runs 200] [--strangers 2000] [--redial 100] [--only silent,half,greeting] [--descriptors N]
"""
import argparse
import contextlib
import multiprocessing
import os
import pathlib
import resource
import select
import socket
import ssl
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from support import processes, wire  # noqa: E402
from support.cluster import Cluster  # noqa: E402

GREETING = wire.frame(wire.HELLO, {"versions": [1, 1], "role": "enrol"})
PING = wire.frame(wire.PING, b"12345678")
PING_EVERY_S = 4


def client_hello():
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        wire.tls_context().wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


class Crowd:
    """All strangers of one sort, by readiness."""

    def __init__(self, sort, address, count, redial):
        self.sort, self.count, self.redial = sort, count, redial
        host, port = address.rsplit(":", 1)
        self.where = (host, int(port))
        self.poll = select.epoll()
        self.there, self.pinged = {}, {}
        self.hello, self.context = client_hello(), wire.tls_context()

    def add(self):
        try:
            sock = socket.create_connection(self.where, timeout=5)
            if self.sort == "half":
                sock.sendall(self.hello)
            if self.sort == "greeting":
                sock = self.context.wrap_socket(sock)
                sock.sendall(GREETING)
        except OSError:
            return
        sock.setblocking(False)
        self.there[sock.fileno()] = sock
        self.pinged[sock.fileno()] = time.monotonic()
        self.poll.register(sock.fileno(), select.EPOLLIN)

    def drop(self, fd):
        self.poll.unregister(fd)
        self.there.pop(fd).close()
        self.pinged.pop(fd)

    def hear(self):
        for fd, _ in self.poll.poll(0.01):
            try:
                if not self.there[fd].recv(65536):
                    self.drop(fd)
            except (ssl.SSLWantReadError, BlockingIOError):
                pass
            except OSError:
                self.drop(fd)

    def ping(self):
        now = time.monotonic()
        for fd in [fd for fd, at in self.pinged.items() if at + PING_EVERY_S < now]:
            self.pinged[fd] = now
            try:
                self.there[fd].sendall(PING)
            except OSError:
                self.drop(fd)

    def stay(self, ready):
        for _ in range(self.count):
            self.add()
        ready.set()
        next_dial = time.monotonic()
        while True:
            self.hear()
            if self.sort == "greeting":
                self.ping()
            if len(self.there) < self.count and time.monotonic() >= next_dial:
                self.add()
                next_dial = max(next_dial, time.monotonic() - 1) + 1 / self.redial


def crowd(sort, address, count, redial, ready):
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(count + 100, 20_000),) * 2)
    Crowd(sort, address, count, redial).stay(ready)


def quantile(values, p):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(p * (len(ordered) - 1)))]


def measure(cluster, runs):
    times = []
    for _ in range(runs):
        begun = time.monotonic()
        done = cluster.cli("run", "n1", "--", "true")
        times.append((time.monotonic() - begun) * 1000)
        assert done.code == 0, done
    return quantile(times, 0.5), quantile(times, 0.99)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=200)
    parser.add_argument("--strangers", type=int, default=2000)
    parser.add_argument("--redial", type=float, default=100)
    parser.add_argument("--only", default="silent,half,greeting")
    parser.add_argument("--descriptors", type=int, help="the controller's RLIMIT_NOFILE")
    args = parser.parse_args()
    with Cluster(nodes=1) as cluster:
        pid = cluster.controller.pid
        if args.descriptors:
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (args.descriptors,) * 2)
        measure(cluster, 10)
        print(f"{'strangers':>20} {'p50':>9} {'p99':>9}   ratio to idle (p50, p99)   held  RSS")
        for sort in args.only.split(","):
            idle = measure(cluster, args.runs)
            rss = processes.memory_kib(pid, "VmRSS")
            print(f"{'none':>20} {idle[0]:6.2f} ms {idle[1]:6.2f} ms")
            ready = multiprocessing.Event()
            worker = multiprocessing.Process(target=crowd, daemon=True,
                                             args=(sort, cluster.address, args.strangers, args.redial, ready))
            files = len(os.listdir(f"/proc/{pid}/fd"))
            worker.start()
            ready.wait()
            try:
                busy = measure(cluster, args.runs)
                held = len(os.listdir(f"/proc/{pid}/fd")) - files
                grown = processes.memory_kib(pid, "VmRSS") - rss
            finally:
                worker.terminate()
                worker.join()
            print(f"{args.strangers:>12} {sort:>7} {busy[0]:6.2f} ms {busy[1]:6.2f} ms   "
                  f"{busy[0] / idle[0]:.2f}x, {busy[1] / idle[1]:.2f}x   {held:9} +{grown} KiB")


if __name__ == "__main__":
    main()
