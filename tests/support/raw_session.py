"""A user, and a node, that speak rexec/1 frame by frame: many submits on one session, and a node that
takes a start when the test says so.
"""
import os
import queue
import select
import threading
import time

from support import wire
from support.patience import patient


class Session:
    """A user's session of raw frames, which submits many at a time."""

    def __init__(self, cluster, cli):
        self.peer = wire.Peer(cluster.address, directory=cli.context_dir(), timeout=100)
        self.peer.hello()
        self.stream = 1

    def submit(self, count, node, terms, spec=None, **more):
        """The jobs' ids, in the order of their submits. `more`: other arguments of each."""
        spec = spec or wire.pack({"argv": [b"true"], "durable": True})
        jobs = []
        for begin in range(0, count, 100):
            number = min(100, count - begin)
            frames = b""
            for _ in range(number):
                args = {"request": os.urandom(16).hex(), "targets": node, "mode": "detached",
                        "spec_size": len(spec), "terms": terms, **more}
                frames += wire.frame(wire.OPEN, {"kind": "submit", "args": args}, self.stream)
                frames += wire.frame(wire.DATA, spec, self.stream, flags=3)
                frames += wire.frame(wire.END, stream=self.stream)
                self.stream += 2
            self.peer.send(frames)
            answers = {}
            while len(answers) < number:
                _, stream, _, answer = self.peer.until(wire.EVENT, wire.RESET, wire.CLOSE)
                answers[stream] = answer["jobs"][0]["job"]
            jobs += [answers[stream] for stream in sorted(answers)]
        return jobs


class RawNode:
    """A node that joined as any other and runs nothing. Its starts stay open until taken. A thread
    of its own reads, writes and pings, so that it lives while the test does something else.
    """

    def __init__(self, cluster, name):
        self.node = cluster.nodes.get(name) or cluster.join(name)
        self._asked, self._number = [], 1
        self._peer = wire.Peer(cluster.address, directory=self.node.data / "net", timeout=100)
        self._peer.hello(role="node", instance=f"raw {name}")
        self._came, self._to_send, self._ended = queue.Queue(), queue.Queue(), threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()
        self.send(wire.frame(wire.REQUEST, {"id": 1, "verb": "reconcile",
                                            "args": {"jobs": [], "last": True}}))
        self.until(wire.RESPONSE)

    def _serve(self):
        socket, pinged = self._peer.socket, 0.0
        while not self._ended.is_set():
            while not self._to_send.empty():
                self._peer.send(self._to_send.get())
            if time.monotonic() - pinged > 3:
                pinged = time.monotonic()
                self._peer.send(wire.frame(wire.PING, b"12345678"))
            if socket.pending() or select.select([socket], [], [], 0.02)[0]:
                for frame in self._peer.ready():
                    self._came.put(frame)
        self._peer.close()

    def send(self, data):
        self._to_send.put(data)

    def until(self, *kinds):
        """(kind, stream, payload) of the next frame of one of them; what the controller asks
        meanwhile is answered with {}.
        """
        while True:
            kind, stream, _, payload = frame = self._came.get(timeout=patient(30))
            if kind in kinds:
                return kind, stream, wire.unpack(payload) if payload else None
            self._take(frame)

    def _take(self, frame):
        kind, _, _, payload = frame
        if kind == wire.REQUEST:
            asked = wire.unpack(payload)
            self._asked.append((asked["verb"], asked["args"]))
            self.send(wire.frame(wire.RESPONSE, {"id": asked["id"], "result": {}}))

    def next_request(self, verb):
        """The arguments of the next one of that verb, which is answered with {}."""
        while True:
            if self._asked:
                asked, args = self._asked.pop(0)
                if asked == verb:
                    return args
            else:
                self._take(self._came.get(timeout=patient(30)))

    def report(self, job, state, **more):
        """Tells that of the first attempt of a job that the controller knows."""
        self._number += 1
        args = {"job": job, "attempt": 1, "state": state, **more}
        self.send(wire.frame(wire.REQUEST, {"id": self._number, "verb": "job.report", "args": args}))

    def asked(self, verb):
        """The number of the next request of that verb, which is not answered here."""
        while True:
            kind, _, _, payload = frame = self._came.get(timeout=patient(30))
            if kind == wire.REQUEST and wire.unpack(payload)["verb"] == verb:
                return wire.unpack(payload)["id"]
            self._take(frame)

    def next_start(self):
        """(stream, job id)"""
        _, stream, opening = self.until(wire.OPEN)
        assert opening["kind"] == "start", opening
        return stream, opening["args"]["job"]

    def take(self, stream):
        self.send(wire.frame(wire.EVENT, {"t": "started"}, stream)
                  + wire.frame(wire.END, stream=stream))

    def close(self):
        self._ended.set()
        self._thread.join()
