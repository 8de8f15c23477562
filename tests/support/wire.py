"""rexec/1 as a hostile or broken peer speaks it: raw frames over a real TLS connection.

A minimal MessagePack is here because tests need encodings that no library would produce.
Constants are those of src/wire/PROTOCOL.md.
"""
import base64
import contextlib
import socket
import ssl
import struct
import tempfile

HELLO, CLOSE, PING, PONG, REQUEST, RESPONSE, NOTICE, OPEN = range(1, 9)
DATA, EVENT, SIGNAL, CREDIT, END, RESET = range(9, 15)
WINDOW = 1 << 20
HEADER = struct.Struct(">HHHIIH")


class Text:
    """A str of MessagePack with any bytes in it, for pack()."""

    def __init__(self, raw):
        self.raw = raw


def pack(value):
    if isinstance(value, Text):
        return text(value.raw)
    if value is None:
        return b"\xc0"
    if isinstance(value, bool):
        return b"\xc3" if value else b"\xc2"
    if isinstance(value, int):
        return b"\xcf" + struct.pack(">Q", value) if value >= 0 else b"\xd3" + struct.pack(">q", value)
    if isinstance(value, float):
        return b"\xcb" + struct.pack(">d", value)
    if isinstance(value, bytes):
        return b"\xc6" + struct.pack(">I", len(value)) + value
    if isinstance(value, str):
        return text(value.encode())
    if isinstance(value, (list, tuple)):
        return b"\xdd" + struct.pack(">I", len(value)) + b"".join(map(pack, value))
    return pairs([(pack(key), pack(item)) for key, item in value.items()])


def text(raw):
    """A str of MessagePack with any bytes in it."""
    return b"\xdb" + struct.pack(">I", len(raw)) + raw


def pairs(items):
    """A map with keys and values packed already: duplicates and odd keys are possible."""
    return b"\xdf" + struct.pack(">I", len(items)) + b"".join(key + value for key, value in items)


def unpack(data):
    value, rest = _unpack(memoryview(data))
    assert not rest, "bytes after the value"
    return value


_FIXED = {0xca: (">f", 4), 0xcb: (">d", 8), 0xcc: (">B", 1), 0xcd: (">H", 2), 0xce: (">I", 4),
          0xcf: (">Q", 8), 0xd0: (">b", 1), 0xd1: (">h", 2), 0xd2: (">i", 4), 0xd3: (">q", 8)}
_SIZED = {0xc4: 1, 0xc5: 2, 0xc6: 4, 0xd9: 1, 0xda: 2, 0xdb: 4, 0xdc: 2, 0xdd: 4, 0xde: 2, 0xdf: 4}


def _unpack(data):
    kind, data = data[0], data[1:]
    if kind < 0x80:
        return kind, data
    if kind >= 0xe0:
        return kind - 256, data
    if kind in (0xc0, 0xc2, 0xc3):
        return {0xc0: None, 0xc2: False, 0xc3: True}[kind], data
    if kind in _FIXED:
        layout, size = _FIXED[kind]
        return struct.unpack(layout, data[:size])[0], data[size:]
    if kind < 0xc0:
        size = kind & (0x1f if kind >= 0xa0 else 0x0f)
        family = "map" if kind < 0x90 else "list" if kind < 0xa0 else "text"
    else:
        width = _SIZED[kind]
        size, data = int.from_bytes(data[:width], "big"), data[width:]
        family = "bin" if kind < 0xc7 else "text" if kind < 0xdc else \
            "list" if kind < 0xde else "map"
    if family in ("text", "bin"):
        raw = bytes(data[:size])
        return (raw.decode() if family == "text" else raw), data[size:]
    values = []
    for _ in range(size * (2 if family == "map" else 1)):
        value, data = _unpack(data)
        values.append(value)
    return (dict(zip(values[::2], values[1::2])) if family == "map" else values), data


def frame(kind, payload=b"", stream=0, flags=0, version=1, length=None, magic=0xA5A5):
    payload = payload if isinstance(payload, bytes) else pack(payload)
    size = len(payload) if length is None else length
    return HEADER.pack(magic, version, kind, size, stream, flags) + payload


def _pem(der, label):
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{body}-----END {label}-----\n"


def tls_context(ca_der=None, directory=None, alpn="rexec/1"):
    """`directory` has ca.der, cert.der, key.der: the account or node to pose as."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if alpn:
        context.set_alpn_protocols([alpn])
    if directory:
        ca_der = (directory / "ca.der").read_bytes()
        chain = _pem((directory / "cert.der").read_bytes(), "CERTIFICATE")
        key = _pem((directory / "key.der").read_bytes(), "PRIVATE KEY")
        with tempfile.NamedTemporaryFile("w") as file:
            file.write(chain + key)
            file.flush()
            context.load_cert_chain(file.name)
    if ca_der:
        context.load_verify_locations(cadata=ca_der)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def dial(address, timeout=10):
    host, port = address.rsplit(":", 1)
    return socket.create_connection((host, int(port)), timeout=timeout)


class Peer:
    """One TLS connection. receive() gives (kind, stream, flags, payload), None at its end."""

    def __init__(self, address, directory=None, context=None, timeout=15):
        self._buffer = b""
        context = context or tls_context(directory=directory)
        self.socket = context.wrap_socket(dial(address, timeout))

    def send(self, data):
        self.socket.sendall(data)

    def _whole(self):
        """The next frame if all of it has come."""
        if len(self._buffer) < HEADER.size:
            return None
        magic, _, kind, size, stream, flags = HEADER.unpack_from(self._buffer)
        assert magic == 0xA5A5
        if len(self._buffer) < HEADER.size + size:
            return None
        payload = self._buffer[HEADER.size:HEADER.size + size]
        self._buffer = self._buffer[HEADER.size + size:]
        return kind, stream, flags, payload

    def ready(self):
        """The frames that are whole after one read, which may wait."""
        self._buffer += self.socket.recv(65536)
        while (got := self._whole()) is not None:
            yield got

    def receive(self):
        while True:
            if (got := self._whole()) is not None:
                return got
            try:
                chunk = self.socket.recv(65536)
            except (ConnectionError, ssl.SSLError):
                return None
            if not chunk:
                return None
            self._buffer += chunk

    def until(self, *kinds):
        """The next frame of one of the kinds, the payload unpacked; None when the session ends."""
        while (got := self.receive()) is not None:
            kind, stream, flags, payload = got
            if kind in kinds:
                maps = kind not in (PING, PONG, DATA, CREDIT, END)
                return kind, stream, flags, unpack(payload) if maps and payload else payload
        return None

    def hello(self, role="user", versions=(1, 1), **more):
        self.send(frame(HELLO, {"versions": list(versions), "role": role, "software": "test",
                                "wall_ms": 0, **more}))
        return self.until(HELLO, CLOSE)

    def closing(self):
        """The CLOSE's map, {} when the connection ended without one."""
        got = self.until(CLOSE)
        return got[3] if got else {}

    def call(self, number, verb, args=None):
        self.send(frame(REQUEST, {"id": number, "verb": verb, "args": args or {}}))
        got = self.until(RESPONSE, CLOSE)
        return got[3] if got else None

    def answers(self):
        """Whether the session still lives: a PING comes back."""
        with contextlib.suppress(OSError):
            self.send(frame(PING, b"12345678"))
        got = self.until(PONG, CLOSE)
        return got is not None and got[0] == PONG and got[3] == b"12345678"

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.close()
