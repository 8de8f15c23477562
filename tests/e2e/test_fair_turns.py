"""What one user or node asks for does not take the controller's one thread from the others, nor its
memory: dear requests come in turns, and what would pile up is refused. The figures are those of
src/controller: turns.hpp, renewals.hpp, budget.hpp.
"""
import statistics
import threading
import time

import pytest

from support import certificates as forge
from support import lies, many_rows, processes, wire
from support.certificates import days
from support.cli import SANITIZED
from support.raw_session import RawNode, Session

MIB = 1 << 20
LISTINGS = 1000
USER_RENEWALS, NODE_RENEWALS = 1000, 16
NODE_WAITS = 65_536


def memory(cluster):
    return processes.memory_kib(cluster.controller.pid, "VmRSS") << 10


def ask(peer, count, verb, args=None):
    """So many at once, with the numbers from 1."""
    peer.send(b"".join(wire.frame(wire.REQUEST, {"id": number, "verb": verb, "args": args or {}})
                       for number in range(1, count + 1)))


def answers(peer, count):
    """The next so many, in the order in which they come."""
    got = []
    while len(got) < count:
        kind, _, _, payload = peer.until(wire.RESPONSE, wire.CLOSE)
        assert kind == wire.RESPONSE, payload
        got.append(payload)
    return got


class Reader(threading.Thread):
    """Reads what comes on a peer, as fast as it comes, and says now and then that it is there."""

    def __init__(self, peer):
        super().__init__(daemon=True)
        self.peer, self.read, self.answered, self.ended = peer, 0, 0, threading.Event()

    def run(self):
        while not self.ended.is_set():
            for kind, _, _, payload in self.peer.ready():
                self.answered += kind == wire.RESPONSE
                self.read += len(payload)
                if self.answered % 20 == 1:
                    self.peer.send(wire.frame(wire.PING, b"12345678"))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exc):
        self.ended.set()
        self.join()


def took(cli, count=9):
    """How long each of so many runs took."""
    times = []
    for _ in range(count):
        begun = time.monotonic()
        assert cli.run("n1", "true").code == 0
        times.append(time.monotonic() - begun)
    return times


@pytest.fixture
def crowd(cluster):
    """(ann, eve, a session of eve's); eve has some hundred jobs whose rows are long."""
    ann, eve = cluster.new_user("ann"), cluster.new_user("eve")
    session = Session(cluster, eve)
    spec = wire.pack({"argv": [b"/bin/true", b"x" * 300], "durable": True})
    jobs = session.submit(220, "n1", {}, spec=spec)
    eve("wait", *jobs).ok()
    yield ann, eve, session.peer
    session.peer.close()


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own work is no measure")
def test_others_run_while_one_asks_for_a_thousand_listings_at_once(cluster, crowd):
    ann, _, peer = crowd
    idle, before = statistics.median(took(ann)), memory(cluster)
    ask(peer, LISTINGS, "job.ls", {"all": True, "limit": 200})
    with Reader(peer) as reader:
        times = took(ann)
        assert reader.answered < LISTINGS
        # In one line with all the listings, the first of them took seconds.
        assert statistics.median(times) < 3 * idle + 0.2, (idle, times)
        assert max(times) < 10 * idle + 1.5, (idle, times)
        processes.wait_until(lambda: reader.answered > 20, "listings are answered, too")
    # The rows of all of them were 200 MiB and more.
    assert memory(cluster) - before < 48 * MIB


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own work is no measure")
def test_listings_that_nobody_reads_are_not_made(cluster, crowd):
    ann, eve, peer = crowd
    before = memory(cluster)
    ask(peer, LISTINGS, "job.ls", {"all": True, "limit": 200})
    took(ann)
    # In another session of the same user as well.
    assert eve("ps", "--all", "--json").code == 0
    assert memory(cluster) - before < 48 * MIB
    with Reader(peer) as reader:
        processes.wait_until(lambda: reader.answered > 20, "the answers come when they are read")


def test_small_requests_pass_by_ones_own_listings(crowd):
    _, _, peer = crowd
    ask(peer, 400, "job.ls", {"all": True, "limit": 200})
    peer.send(wire.frame(wire.REQUEST, {"id": 1000, "verb": "whoami", "args": {}}))
    before = 0
    while (got := answers(peer, 1)[0])["id"] != 1000:
        before += 1
    assert got["result"]["user"] == "eve"
    assert before < 200


def new_request():
    """A certificate's request, for a key of its own."""
    key = forge.new_key()
    return forge.run("req", "-new", "-key", "/dev/stdin", "-keyform", "DER", "-subj", "/CN=x",
                     "-outform", "DER", input=key).stdout


def refusals(got):
    errors = [answer["error"] for answer in got if "error" in answer]
    assert all(error["code"] == "limit" for error in errors), errors[:3]
    return errors


def test_a_node_renews_its_certificate_a_few_times_and_then_once_a_minute(cluster):
    request = new_request()
    with lies.as_node(cluster, "liar") as node:
        ask(node.peer, 500, "renew", {"csr": request})
        assert cluster.cli.run("n1", "true").code == 0
        got = answers(node.peer, 500)
    refused = refusals(got)
    assert 400 < len(refused) <= 500 - NODE_RENEWALS
    assert "it may be renewed again in" in refused[0]["message"], refused[0]


@pytest.mark.limit(300)
def test_a_user_whose_renewals_are_used_up_goes_on_with_the_certificate_he_has(cluster):
    eve = cluster.new_user("eve")
    request, directory = new_request(), eve.context_dir()
    with wire.Peer(cluster.address, directory, timeout=100) as peer:
        peer.hello()
        got = []
        for _ in range(2):
            ask(peer, 600, "renew", {"csr": request})
            assert cluster.cli.run("n1", "true").code == 0
            got += answers(peer, 600)
        refused = refusals(got)
        assert 0 < len(refused) <= 1200 - USER_RENEWALS
        # Past half of its life it is due; the client asks, is refused, and works.
        name, uri = forge.describe(directory)
        old = forge.issue(cluster.controller.data, (directory / "key.der").read_bytes(), name,
                          [f"URI:{uri}"], after=-days(0.3), until=days(0.05))
        (directory / "cert.der").write_bytes(old)
        while "result" in peer.call(5000, "renew", {"csr": request}):
            pass
        assert eve.run("n1", "echo", "there").text == "there\n"
    assert (directory / "cert.der").read_bytes() == old


def test_the_nodes_that_a_user_waits_for_are_bounded_over_all_his_requests(cluster):
    fleet = 300
    cluster.controller.stop()
    many_rows.nodes(cluster.controller.data, fleet)
    cluster.controller.start()
    cluster.wait_online()
    eve, most = cluster.new_user("eve"), NODE_WAITS // (fleet + 1)
    with wire.Peer(cluster.address, eve.context_dir(), timeout=100) as peer:
        peer.hello()
        ask(peer, most + 5, "node.wait", {"target": "@all", "timeout_ms": 86_400_000})
        refused = refusals(answers(peer, 5))
        assert len(refused) == 5
        assert f"the limit for one user is {NODE_WAITS}" in refused[0]["message"], refused[0]
        # Another's, and what there is room for.
        assert cluster.cli("node", "wait", "n1").code == 0
        assert eve("node", "wait", "n1").code == 0
    with wire.Peer(cluster.address, eve.context_dir(), timeout=100) as peer:
        peer.hello()

        def is_given_back():
            answer = peer.call(1, "node.wait", {"target": "@all", "timeout_ms": 1})
            return answer["error"]["code"] == "timeout"

        processes.wait_until(is_given_back, "what the session waited for went with it")


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer's own work is no measure")
def test_a_wait_that_its_nodes_absence_ended_leaves_nothing_behind(cluster):
    eve = cluster.new_user("eve")
    node = RawNode(cluster, "away")
    job = eve.submit("away", "true")
    node.take(node.next_start()[0])
    node.close()
    processes.wait_until(lambda: eve("node", "wait", "--timeout", "1ms", "away").code != 0,
                         "the controller sees that the node is away")
    with wire.Peer(cluster.address, eve.context_dir(), timeout=100) as peer:
        peer.hello()

        def wait_often(times):
            for _ in range(times):
                ask(peer, 500, "job.wait", {"job": job, "away_ms": 1})
                errors = [answer["error"]["code"] for answer in answers(peer, 500)]
                assert set(errors) == {"node_offline"}, set(errors)

        wait_often(10)
        before = memory(cluster)
        wait_often(60)
        # 30,000 of them, of half a KiB and more each.
        assert memory(cluster) - before < 6 * MIB


def test_a_node_that_reports_a_removed_job_without_end_is_told_once_to_forget_it(cluster):
    with lies.as_node(cluster, "liar") as node:
        peer = node.peer
        job = cluster.cli.submit("liar", "true")
        _, stream, _, _ = peer.until(wire.OPEN)
        peer.send(wire.frame(wire.EVENT, {"t": "started"}, stream)
                  + wire.frame(wire.END, stream=stream))
        report = {"job": job, "attempt": 1, "state": "final", "started_ms": 1, "ticket": "",
                  "record": {"job": job, "node": "liar", "attempt": 1, "outcome": "exited",
                             "code": 0, "bytes": {"out": 0, "err": 0}, "complete": True}}
        assert "result" in peer.call(2, "job.report", report)
        cluster.cli("job", "rm", job).ok()
        assert peer.until(wire.REQUEST)[3]["verb"] == "job.remove"

        def told(times):
            """How often it was told while it reported so often."""
            ask(peer, times, "job.report", report)
            kinds = []
            while kinds.count(wire.RESPONSE) < times:
                kind, _, _, payload = peer.until(wire.RESPONSE, wire.REQUEST, wire.CLOSE)
                assert kind == wire.REQUEST or "result" in payload, payload
                kinds.append(kind)
            return kinds.count(wire.REQUEST)

        assert told(100) == 1
        assert told(100) == 0
