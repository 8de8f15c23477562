"""A TCP proxy in a thread that forwards bytes, and holds or cuts at exact byte offsets.

Timing-dependent cuts become facts: `at(offset, action)` stops the flow after exactly that many bytes
of all its connections together, runs the action, then goes on or cuts. It counts what flows towards
the dialler (a client's output), or away from it (an agent's) with counts="up".
"""
import select
import socket
import threading

from support.patience import patient

CHUNK = 65536
CUT = "cut"          # end the connections with RST; the dialler must come back
END = "end"          # the same with FIN, as a process that is killed ends them
CARRY_ON = "go on"


class Proxy:
    def __init__(self, target, counts="down"):
        self._counts = counts
        host, port = target.rsplit(":", 1)
        self._target = (host.strip("[]"), int(port))
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Condition()
        self._pairs = []
        self._schedule = []     # [(offset, action)], ascending
        self._refuses = self._held = self._closed = False
        self.down = 0           # bytes delivered to diallers
        self.up = 0
        self.accepted = 0
        self.trouble = None     # what an action raised
        self._acting = 0
        self._pumps = {}        # connections, and how many of their directions have not come to their end
        threading.Thread(target=self._accept, daemon=True).start()

    # ---- what a test does

    def at(self, offset, action):
        """At `offset` bytes: action() → CUT or CARRY_ON. It may take its time: all is held."""
        with self._lock:
            self._schedule = sorted([*self._schedule, (offset, action)], key=lambda pair: pair[0])

    def cut(self):
        with self._lock:
            self._cut_all()

    def hold(self):
        with self._lock:
            self._held = True

    def release(self):
        with self._lock:
            self._held = False
            self._lock.notify_all()

    def refuse(self):
        """New connections end at once, present ones are cut: the network is down."""
        with self._lock:
            self._refuses = True
            self._cut_all()

    def allow(self):
        with self._lock:
            self._refuses = False

    def wait_down(self, count, seconds=30):
        with self._lock:
            assert self._lock.wait_for(lambda: self.down >= count, patient(seconds)), \
                f"{self.down} of {count} bytes passed in {patient(seconds):g} s"

    def wait_accepted(self, count, seconds=30):
        with self._lock:
            assert self._lock.wait_for(lambda: self.accepted >= count, patient(seconds)), \
                f"{self.accepted} of {count} connections in {patient(seconds):g} s"

    def wait_idle(self, seconds=60):
        """Until no action is under way; those that were not reached yet do not count."""
        with self._lock:
            assert self._lock.wait_for(lambda: not self._acting, patient(seconds)), "an action does not end"

    def counted(self, direction, seconds=60):
        """`up` or `down` when all connections have ended: a client may be gone before its last bytes are counted."""
        with self._lock:
            assert self._lock.wait_for(lambda: not self._pumps, patient(seconds)), "a connection does not end"
            return getattr(self, direction)

    def forget(self):
        """Drops the actions that have not run."""
        with self._lock:
            self._schedule.clear()

    @property
    def pending(self):
        """Actions that have not run."""
        with self._lock:
            return len(self._schedule)

    def close(self):
        with self._lock:
            self._closed = True
            self._held = False
            self._cut_all()
            self._lock.notify_all()
        # A blocked accept() is not woken by close() alone.
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()

    # ---- threads: a connection's sockets are closed by the last of its two pumps alone, because the number of a
    # socket that is closed under a waiting thread may be another connection's a moment later

    def _accept(self):
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            with self._lock:
                refused = self._refuses or self._closed
            if refused:
                _reset(client)
                continue
            try:
                server = socket.create_connection(self._target, timeout=5)
            except OSError:
                _reset(client)
                continue
            for side in (client, server):
                side.settimeout(None)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            pair = (client, server)
            with self._lock:
                self._pairs.append(pair)
                self._pumps[pair] = 2
                self.accepted += 1
                self._lock.notify_all()
            for source, sink, direction in ((client, server, "up"), (server, client, "down")):
                threading.Thread(target=self._pump, args=(pair, source, sink, direction), daemon=True).start()

    def _pump(self, pair, source, sink, direction):
        try:
            while True:
                # Looked at before reading: what is held stays with the sender's kernel.
                room = self._allowance(direction)
                select.select([source], [], [])
                data = source.recv(room)
                with self._lock:
                    self._lock.wait_for(lambda: not self._held or self._closed)
                if not data:
                    sink.shutdown(socket.SHUT_WR)
                    return
                sink.sendall(data)
                self._count(direction, len(data))
        except OSError:
            for side in pair:
                _cut(side)
        finally:
            self._pump_ended(pair)

    def _pump_ended(self, pair):
        with self._lock:
            self._pumps[pair] -= 1
            if self._pumps[pair] == 0:
                del self._pumps[pair]
                if pair in self._pairs:
                    self._pairs.remove(pair)
                for side in pair:
                    side.close()
            self._lock.notify_all()

    def _allowance(self, direction):
        """Bytes until the next action, at most CHUNK."""
        with self._lock:
            if not self._schedule or direction != self._counts:
                return CHUNK
            return max(1, min(CHUNK, self._schedule[0][0] - getattr(self, direction)))

    def _count(self, direction, size):
        with self._lock:
            setattr(self, direction, getattr(self, direction) + size)
            self._lock.notify_all()
            due = []
            while self._schedule and self._schedule[0][0] <= getattr(self, self._counts):
                due.append(self._schedule.pop(0)[1])
            self._acting += len(due)
        for action in due:
            self._act(action)

    def _act(self, action):
        self.hold()
        try:
            verdict = action()
        except BaseException as error:  # pylint: disable=broad-except
            self.trouble, verdict = error, CARRY_ON
        with self._lock:
            self._held = False
            if verdict in (CUT, END):
                self._cut_all(_cut if verdict == CUT else _end)
            self._acting -= 1
            self._lock.notify_all()

    def _cut_all(self, how=None):
        for pair in self._pairs:
            for side in pair:
                (how or _cut)(side)
        self._pairs.clear()


def _end(side):
    """What is on its way arrives; what the peer sends once the socket is closed is answered by RST."""
    try:
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _cut(side):
    """At once and without a close_notify: a network that went away, never a clean end."""
    try:
        side.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        side.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass


def _reset(side):
    _cut(side)
    side.close()
