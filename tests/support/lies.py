"""A node and a person that say whatever a test wants, with genuine certificates.

`variations` turns a good message into many, each with one field at an extreme; `Liar` is the peer
that sends them and goes on with a new connection whenever one was ended for it.
"""
import contextlib
import copy
import queue
import socket
import threading

from support import wire

MISSING = object()
NAN, INFINITY = float("nan"), float("inf")


def _deep(levels):
    value = "core"
    for _ in range(levels):
        value = {"in": [value]}
    return value


EXTREMES = [MISSING, None, True, 0, -1, 2**53, 2**63, 2**64 - 1, -2**63, NAN, INFINITY, -INFINITY,
            1e300, "", "no such word", "x" * 200_000, "\x1b]0;title\x07\r\n\x7f\u202e",
            "a" * 63 + "é", "é" * 2000, b"\xff\x00", b"y" * 100_000, [], {}, [[]] * 50, _deep(8)]
# These are no message at all: they end the session that sends them.
UNREADABLE = [wire.Text(b"a\xff"), wire.Text(b"a\x00b"), _deep(40)]


def _paths(value, path=()):
    """Every field of a message, the inner ones too."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from _paths(item, (*path, key))


def at(message, path, value):
    """The message with `value` in that place."""
    changed = copy.deepcopy(message)
    inner = changed
    for key in path[:-1]:
        inner = inner[key]
    if value is MISSING:
        del inner[path[-1]]
    else:
        inner[path[-1]] = value
    return changed


def variations(message, values=None):
    for path in _paths(message):
        for value in EXTREMES if values is None else values:
            yield at(message, path, value)


class Liar:
    """A peer with the keys in `directory`. `hello` are the fields of its HELLO."""

    def __init__(self, address, directory, greet):
        self.address, self.directory, self.greet = address, directory, greet
        self.peer, self.next = None, 1

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *exc):
        self.peer.close()

    def connect(self):
        if self.peer:
            self.peer.close()
        self.peer = wire.Peer(self.address, self.directory, timeout=30)
        self.greet(self.peer)
        self.next = 1000

    def number(self):
        self.next += 1
        return self.next

    def tell(self, verb, messages, at_once=20):
        """Sends each as a request and waits until all were answered, or the session was ended."""
        messages = list(messages)
        for begin in range(0, len(messages), at_once):
            chunk = messages[begin:begin + at_once]
            if not self._answered([(verb, one) for one in chunk]):
                for one in chunk:
                    self.connect()
                    self._answered([(verb, one)])
                self.connect()

    def _answered(self, requests):
        waiting = set()
        with contextlib.suppress(OSError):
            for verb, args in requests:
                waiting.add(self.number())
                self.peer.send(wire.frame(wire.REQUEST, {"id": self.next, "verb": verb,
                                                         "args": args}))
        while waiting:
            got = self.peer.until(wire.RESPONSE, wire.CLOSE)
            if got is None or got[0] == wire.CLOSE:
                return False
            waiting.discard(got[3]["id"])
        return True


def as_node(cluster, name, /, reconciles=True, **hello):
    """A Liar with the identity of a node that never ran: it greets and reconciles as one."""
    node = cluster.nodes.get(name) or cluster.join(name)

    def greet(peer):
        with contextlib.suppress(OSError):  # a HELLO that is none ends the session
            peer.hello("node", **{"instance": "i", **hello})
            if reconciles:
                peer.call(1, "reconcile", {"jobs": [], "last": True})

    return Liar(cluster.address, node.data / "net", greet)


def as_user(cluster, cli):
    return Liar(cluster.address, cli.context_dir(), lambda peer: peer.hello("user"))


class Attended(threading.Thread):
    """Answers what is opened or asked on a peer: answer(what, number, args) gives frames."""

    def __init__(self, peer, answer):
        super().__init__(daemon=True)
        self.peer, self.answer, self.seen, self.end = peer, answer, queue.Queue(), None
        self.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        """Ends the thread first: a descriptor that it still reads must not become another's."""
        with contextlib.suppress(OSError):
            socket.socket.shutdown(self.peer.socket, socket.SHUT_RDWR)
        self.join()

    def run(self):
        try:
            while (got := self.peer.until(wire.OPEN, wire.REQUEST, wire.PING, wire.CLOSE)):
                kind, number, _, map_ = got
                if kind == wire.CLOSE:
                    self.end = map_
                    return
                if kind == wire.PING:
                    self.peer.send(wire.frame(wire.PONG, map_))
                    continue
                what = map_["kind"] if kind == wire.OPEN else map_["verb"]
                self.seen.put(what)
                reply = self.answer(what, number or map_["id"], map_["args"])
                if reply:
                    self.peer.send(reply)
        except (OSError, ValueError) as error:  # the test is over, or the session was ended
            self.end = error
