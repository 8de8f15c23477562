"""Peers that misbehave on the real port: each costs its own session, and nothing else.

The wire's numbers are FAULTS.md's W items. After each test others still work.
"""
import random
import socket
import struct
import subprocess

import pytest

from support.cli import SANITIZED
from support import processes, wire
from support.running import Running
from support.wire import (CLOSE, CREDIT, DATA, END, EVENT, HELLO, NOTICE, OPEN, PING, REQUEST, RESET,
                          RESPONSE, SIGNAL, Peer, dial, frame, pack, pairs, text)


@pytest.fixture
def directory(shared):
    return shared.cli.context_dir()


@pytest.fixture(autouse=True)
def others_are_unaffected(shared):
    """A run from before goes on, and a new one works."""
    with Running(shared.cli, "-i", "n3", "cat", stdin=subprocess.PIPE) as bystander:
        bystander.type(b"before\n")
        assert bystander.line() == "before"
        yield
        bystander.type(b"after\n")
        assert bystander.line() == "after"
        bystander.close_stdin()
        assert bystander.finish().code == 0
    assert shared.cli.run("n1", "echo", "hi").text == "hi\n"
    assert shared.controller.running


@pytest.fixture
def peer(shared, directory):
    with Peer(shared.address, directory) as made:
        assert made.hello()[0] == HELLO
        yield made


# ---- before TLS

def read_to_end(sock):
    data = b""
    try:
        while chunk := sock.recv(65536):
            data += chunk
    except ConnectionError:
        pass
    return data


def test_silence_is_closed_and_answered_with_silence(shared):  # FAULTS W1
    with dial(shared.address, timeout=20) as sock:
        assert read_to_end(sock) == b""


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"SSH-2.0-OpenSSH_9\r\n",
                                  b"\0" * 64, b"\x80\x2e\x01\x03\x01", random.randbytes(4096),
                                  b"\x16\x03\x01\x02\x00\x02\x00\x01\xfc\x03\x03"],
                         ids=["http", "ssh", "zeroes", "sslv2", "noise", "not a hello"])
def test_what_is_not_tls_gets_no_word(shared, data):  # FAULTS L1, L2
    with dial(shared.address, timeout=20) as sock:
        sock.sendall(data)
        assert read_to_end(sock) == b""


def test_a_hello_of_106_kilobytes_is_refused_at_its_first_bytes(shared):  # FAULTS L3
    size = 106_000
    with dial(shared.address, timeout=20) as sock:
        sock.sendall(b"\x16\x03\x01\x40\x00\x01" + size.to_bytes(3, "big") + b"\x03\x03")
        assert read_to_end(sock) == b""


def test_a_handshake_that_stops_half_way_is_closed(shared):  # FAULTS L13
    context = wire.tls_context()
    incoming, outgoing = wire.ssl.MemoryBIO(), wire.ssl.MemoryBIO()
    tls = context.wrap_bio(incoming, outgoing)
    with pytest.raises(wire.ssl.SSLWantReadError):
        tls.do_handshake()
    with dial(shared.address, timeout=20) as sock:
        sock.sendall(outgoing.read())
        assert len(read_to_end(sock)) > 0, "a ServerHello, then the end"


def test_hundreds_of_stalled_handshakes_do_not_keep_others_out(shared):  # FAULTS L13, X3
    sockets = [dial(shared.address) for _ in range(400)]
    try:
        for sock in sockets:
            sock.sendall(b"\x16\x03\x01")
        for _ in range(5):
            assert shared.cli.run("n2", "true").code == 0
    finally:
        for sock in sockets:
            sock.close()


# ---- frames

@pytest.mark.parametrize("bad", [
    pytest.param(frame(PING, b""), id="W5 length 0 where 8 belong"),
    pytest.param(frame(PING, length=2**31 - 1), id="W6 length 2^31-1"),
    pytest.param(frame(REQUEST, length=2**32 - 1), id="W6 length 2^32-1"),
    pytest.param(frame(DATA, length=65_537, stream=1), id="W6 DATA of 64 KiB and one"),
    pytest.param(frame(REQUEST, length=(256 << 10) + 1), id="W6 a map over 256 KiB"),
    pytest.param(frame(PING, b"12345678", magic=0xA5A4), id="another magic"),
    pytest.param(frame(PING, b"12345678", version=7), id="a version that was not agreed"),
    pytest.param(frame(99, b"x"), id="W8 an unknown type"),
    pytest.param(frame(0, b""), id="type 0"),
    pytest.param(frame(HELLO, {"versions": [1, 1], "role": "user"}), id="W10 a second HELLO"),
    pytest.param(frame(DATA, b"x", stream=77), id="DATA on a stream never opened"),
    pytest.param(frame(END, stream=78), id="END on a stream never opened"),
    pytest.param(frame(CREDIT, b"12345678", stream=79), id="CREDIT on a stream never opened"),
    pytest.param(frame(OPEN, {"kind": "attach", "args": {}}, stream=2), id="OPEN with their number"),
    pytest.param(frame(OPEN, {"kind": "attach", "args": {}}, stream=0), id="OPEN with number 0"),
    pytest.param(frame(RESPONSE, {"id": 5, "result": {}}), id="an answer to nothing"),
    pytest.param(frame(REQUEST, b""), id="an empty map"),
    pytest.param(frame(REQUEST, b"\xc1"), id="the byte MessagePack never uses"),
    pytest.param(frame(REQUEST, b"\x93\x01\x02\x03"), id="an array for a map"),
    pytest.param(frame(REQUEST, pack({"id": 1, "verb": "whoami"})[:-1]), id="W7 a map cut short"),
    pytest.param(frame(REQUEST, pack({"id": 1, "verb": "whoami"}) + b"\0"), id="bytes after the map"),
    pytest.param(frame(REQUEST, b"\x91" * 10_000 + b"\xc0"), id="W17 10,000 deep"),
    pytest.param(frame(REQUEST, pairs([(pack("id"), pack(1)), (pack("id"), pack(2)),
                                       (pack("verb"), pack("whoami"))])), id="W20 a key twice"),
    pytest.param(frame(REQUEST, pairs([(pack(1), pack(1))])), id="a key that is no text"),
    pytest.param(frame(REQUEST, {"id": "1", "verb": "whoami"}), id='W18 "1" for 1'),
    pytest.param(frame(REQUEST, {"id": -1, "verb": "whoami"}), id="W18 a negative id"),
    pytest.param(frame(REQUEST, {"id": 1.5, "verb": "whoami"}), id="W18 a fraction"),
    pytest.param(frame(REQUEST, {"id": float("nan"), "verb": "whoami"}), id="W18 NaN"),
    pytest.param(frame(REQUEST, {"id": 1, "verb": 3}), id="a verb that is no text"),
    pytest.param(frame(REQUEST, pairs([(pack("id"), pack(1)), (pack("verb"), text(b"\xff\xfe"))])),
                 id="W19 a verb that is not UTF-8"),
    pytest.param(frame(REQUEST, {"id": 1, "verb": "job.show", "args": {"job": "j-\0\0"}}),
                 id="W19 NUL in an id"),
    pytest.param(frame(REQUEST, b"\xdf\xff\xff\xff\xff"), id="a map of 2^32-1 pairs"),
    pytest.param(frame(REQUEST, b"\x81\xa2id\xc7\x05\x01hello"), id="an ext type"),
])
def test_a_bad_frame_ends_its_session_with_a_reason(peer, bad):
    peer.send(bad)
    closing = peer.closing()
    assert closing.get("code") in ("protocol", "limit"), closing
    assert closing["message"] and peer.receive() is None


def test_an_unknown_type_that_may_be_skipped_is_skipped(peer):  # FAULTS W8
    peer.send(frame(0x8000 | 99, b"whatever"))
    assert peer.answers()


def test_a_frame_cut_short_does_nothing(shared, directory):  # FAULTS W7
    before = len(shared.cli("token", "ls", "--json").json())
    with Peer(shared.address, directory) as peer:
        peer.hello()
        peer.send(frame(REQUEST, {"id": 1, "verb": "token.new", "args": {"role": "node"}})[:-1])
    assert len(shared.cli("token", "ls", "--json").json()) == before


@pytest.mark.parametrize("first", [frame(PING, b""), frame(REQUEST, {"id": 1, "verb": "whoami"}),
                                   frame(OPEN, {"kind": "submit", "args": {}}, stream=1),
                                   frame(HELLO, length=4097), frame(HELLO, {"role": "user"}),
                                   frame(HELLO, {"versions": [2, 1], "role": "user"}),
                                   frame(HELLO, {"versions": "1", "role": "user"})])
def test_what_comes_before_a_good_hello_ends_the_session(shared, directory, first):  # FAULTS W6
    with Peer(shared.address, directory) as peer:
        peer.send(first)
        assert peer.closing().get("code") in ("protocol", "limit")


def test_versions_are_negotiated_or_refused_naming_both(shared, directory):  # FAULTS W9
    with Peer(shared.address, directory) as peer:
        assert peer.hello(versions=(1, 900))[0] == HELLO and peer.answers()
    with Peer(shared.address, directory) as peer:
        kind, _, _, answer = peer.hello(versions=(700, 900))
        assert kind in (CLOSE, HELLO)
        closing = answer if kind == CLOSE else peer.closing()
        assert closing["code"] == "version" and "700" in closing["message"], closing


def test_a_request_id_used_twice_leaves_the_first_alone(peer):  # FAULTS W11
    wait = {"id": 1, "verb": "node.wait", "args": {"target": "@all", "timeout_ms": 1000}}
    peer.send(frame(REQUEST, wait) + frame(REQUEST, {"id": 1, "verb": "whoami", "args": {}}))
    kinds = {peer.until(RESPONSE, NOTICE, CLOSE)[0] for _ in range(1)}
    assert CLOSE not in kinds and peer.answers()


def test_an_unknown_verb_is_an_error_of_that_request(peer):
    answer = peer.call(1, "no.such.verb")
    assert "error" in answer and peer.answers()
    assert peer.call(2, "whoami")["result"]["user"] == "admin"


def test_wrong_arguments_are_errors_of_that_request(peer):  # FAULTS W18, W19
    number = 10
    for verb in ("node.show", "node.rm", "job.show", "job.wait", "job.stop", "job.rm", "token.revoke",
                 "user.revoke", "renew", "job.resolve"):
        for args in ({}, {"name": 5}, {"job": "../../etc"}, {"job": "j-"},
                     {"id": b"bytes"}, {"csr": b"garbage"}, {"prefix": "'; DROP TABLE jobs; --"},
                     {"name": "x" * 10_000}, [], {"job": {"deep": {}}}):
            number += 1
            peer.send(frame(REQUEST, {"id": number, "verb": verb, "args": args}))
            kind, _, _, answer = peer.until(RESPONSE, CLOSE)
            assert kind == RESPONSE and "error" in answer, (verb, args, answer)
    assert peer.answers()


# ---- streams

def open_attach(peer, stream):
    peer.send(frame(OPEN, {"kind": "attach", "args": {"job": "j-000000000000"}}, stream=stream))


def open_submit(peer, stream, size=1000, **more):
    args = {"request": "ab" * 16, "targets": "n1", "mode": "attached", "spec_size": size, **more}
    peer.send(frame(OPEN, {"kind": "submit", "args": args}, stream=stream))


def test_the_257th_stream_is_refused_and_the_session_lives(peer):  # FAULTS W12
    for number in range(257):
        open_submit(peer, 2 * number + 1)
    kind, stream, _, answer = peer.until(RESET, CLOSE)
    assert (kind, stream, answer["code"]) == (RESET, 513, "limit")
    assert peer.answers()


def test_more_data_than_credit_ends_the_session(shared, peer):  # FAULTS W13
    with Running(shared.cli, "--on-disconnect", "keep", "-i", "n1", "sh", "-c",
                 "echo $REXEC_JOB; sleep 1000", stdin=subprocess.PIPE) as run:
        job = run.line()
        attach = {"job": job, "out": 0, "err": 0, "stdin": True}
        peer.send(frame(OPEN, {"kind": "attach", "args": attach}, stream=1))
        piece = frame(DATA, b"x" * 65_536, stream=1)
        try:
            for _ in range(64):  # 4 MiB; the job reads nothing, so credit stays near 1 MiB
                peer.send(piece)
        except OSError:
            pass
        assert peer.closing().get("code") == "protocol"
        shared.cli("stop", job).ok()


def test_credit_for_more_than_a_window_ends_the_session(peer):
    open_submit(peer, 1)
    peer.send(frame(CREDIT, struct.pack(">Q", 1 << 40), stream=1))
    assert peer.closing()["code"] == "protocol"


@pytest.mark.parametrize("spec,size", [(b"", 0), (b"garbage", 7), (pack({}), None),
                                       (pack({"argv": []}), None), (pack({"argv": b"true"}), None),
                                       (b"x" * 10, 5), (b"x" * 5, 10), (b"\x91" * 3000, None)])
def test_a_spec_that_is_none_is_refused_on_its_stream(peer, spec, size):
    open_submit(peer, 1, size=len(spec) if size is None else size)
    if spec:
        peer.send(frame(DATA, spec, stream=1, flags=3))
    peer.send(frame(END, stream=1))
    got = peer.until(RESET, EVENT, CLOSE)
    assert got[0] == RESET and got[3]["code"] != "internal", got
    assert peer.answers()


@pytest.mark.parametrize("args", [{}, {"spec_size": 2**63}, {"spec_size": 5 << 20}, {"request": 7},
                                  {"request": "zz", "targets": "n1", "spec_size": 1},
                                  {"targets": "[" * 1000, "spec_size": 1}, {"spec_size": -1}])
def test_a_submit_that_cannot_be_read_is_refused_on_its_stream(peer, args):
    peer.send(frame(OPEN, {"kind": "submit", "args": args}, stream=1))
    peer.send(frame(DATA, b"x", stream=1, flags=3) + frame(END, stream=1))
    assert peer.until(RESET, EVENT, CLOSE)[0] == RESET
    assert peer.answers()


def test_an_attach_to_nothing_is_refused_on_its_stream(peer):
    for number, job in enumerate(["j-000000000000", "x", "", "j-" + "z" * 500, 5, b"j"]):
        peer.send(frame(OPEN, {"kind": "attach", "args": {"job": job}}, stream=2 * number + 1))
        assert peer.until(RESET, EVENT, CLOSE)[0] == RESET
    peer.send(frame(OPEN, {"kind": "nonsense", "args": {}}, stream=101))
    assert peer.until(RESET, CLOSE)[0] == RESET
    assert peer.answers()


def test_signals_of_any_shape_harm_nobody(shared, peer):
    with Running(shared.cli, "-i", "n1", "sh", "-c", "echo $REXEC_JOB; cat",
                 stdin=subprocess.PIPE) as run:
        job = run.line()
        peer.send(frame(OPEN, {"kind": "attach", "args": {"job": job, "out": 0, "err": 0}}, stream=1))
        assert peer.until(EVENT, RESET)[0] == EVENT
        for signal in ({"t": "signal", "n": 0}, {"t": "signal", "n": 4096}, {"t": "signal", "n": "9"},
                       {"t": "resize", "rows": 2**40, "cols": 0}, {"t": "close", "channel": 0},
                       {"t": "close", "channel": 99}, {"t": "?"}, {}, {"t": 5}):
            peer.send(frame(SIGNAL, signal, stream=1))
        assert peer.answers()
        run.type(b"unharmed\n")
        assert run.line() == "unharmed"
        run.close_stdin()
        assert run.finish().code == 0


# ---- many

def test_interleaved_half_frames_of_many_sessions_do_not_mix(shared, directory):  # FAULTS W15
    peers = [Peer(shared.address, directory) for _ in range(100)]
    try:
        for peer in peers:
            peer.hello()
        calls = [frame(REQUEST, {"id": 1000 + n, "verb": "whoami", "args": {}})
                 for n in range(len(peers))]
        for half in (slice(0, 9), slice(9, 20), slice(20, None)):
            for peer, call in zip(peers, calls):
                peer.send(call[half])
        answers = [peer.until(RESPONSE, CLOSE)[3] for peer in peers]
        assert [a["id"] for a in answers] == [1000 + n for n in range(len(peers))]
        assert all(a["result"]["user"] == "admin" for a in answers)
    finally:
        for peer in peers:
            peer.close()


def test_bits_flipped_below_tls_end_the_session(shared, directory):  # FAULTS W16
    seed = random.randrange(1 << 32)
    print(f"seed={seed}")
    source = random.Random(seed)
    for _ in range(20):
        with Peer(shared.address, directory) as peer:
            peer.hello()
            call = bytearray(frame(REQUEST, {"id": 1, "verb": "token.new", "args": {"role": "x"}}))
            call[source.randrange(16)] ^= 1 << source.randrange(8)
            peer.send(bytes(call))
            peer.socket.settimeout(1)
            try:
                got = peer.until(RESPONSE, CLOSE)
                assert got is None or got[0] in (CLOSE, RESPONSE)
            except TimeoutError:
                pass  # a length that grew: it waits for the rest


def test_many_bad_sessions_leave_no_memory_behind(shared, directory):
    pid = shared.controller.pid

    def round_of_abuse():
        for _ in range(25):
            with Peer(shared.address, directory) as peer:
                peer.hello()
                open_submit(peer, 1)
                peer.send(frame(REQUEST, b"\x91" * 5000))
                peer.closing()
            with dial(shared.address) as sock:
                sock.sendall(b"nonsense, and enough of it")
                read_to_end(sock)

    round_of_abuse()  # what grows once and is kept
    before = processes.memory_kib(pid, "VmRSS")
    for _ in range(4):
        round_of_abuse()
    growth = processes.memory_kib(pid, "VmRSS") - before
    print(f"\n200 bad sessions: {growth} KiB")
    assert growth <= 1024 or SANITIZED, f"{growth} KiB"


def test_a_reset_in_the_middle_of_everything_is_survived(shared, directory):
    for size in (0, 5, 16, 20, 40):
        with Peer(shared.address, directory) as peer:
            peer.hello()
            peer.send(frame(REQUEST, {"id": 1, "verb": "node.ls", "args": {}})[:size])
            peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
