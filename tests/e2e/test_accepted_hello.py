"""Nothing is served that came before an accepted HELLO, or after a close: of users, nodes, strangers.

Each peer sends all it has in one TLS record, so that the controller has read everything before it
looks at the first of it.
"""
import itertools
import os

import pytest

from support import processes
from support.wire import (CLOSE, DATA, END, HELLO, NOTICE, OPEN, PING, REQUEST, SIGNAL, Peer, frame,
                          pack)

HELLO_OF = {role: frame(HELLO, {"versions": [1, 1], "role": role}) for role in ("user", "node", "enrol")}
GOODBYE = frame(CLOSE, {"code": "busy", "message": "", "hint": ""})


def request(verb, number=1, **args):
    return frame(REQUEST, {"id": number, "verb": verb, "args": args})


def submit(target, *argv, stream=1, **more):
    spec = pack({"argv": [word.encode() for word in argv], "durable": True})
    args = {"request": os.urandom(16).hex(), "targets": target, "mode": "detached",
            "spec_size": len(spec), **more}
    return (frame(OPEN, {"kind": "submit", "args": args}, stream=stream)
            + frame(DATA, spec, stream=stream, flags=3) + frame(END, stream=stream))


def refused(cluster, directory, *pieces):
    """How the controller ends the session of who sends these at once."""
    with Peer(cluster.address, directory) as peer:
        peer.send(b"".join(pieces))
        return peer.closing().get("code")


def running_job(cluster):
    job = cluster.cli.submit("n1", "sleep", "1000")
    processes.wait_until(lambda: cluster.cli.job(job)["state"] == "running", "it runs")
    return job


@pytest.fixture(scope="module")
def put_out():
    """A cluster with a revoked administrator and a job of somebody else that runs: (cluster,
    credentials of the revoked one, job)."""
    from support.cluster import Cluster
    with Cluster(nodes=1) as made:
        eve = made.new_user("eve", "--role", "admin")
        job = running_job(made)
        made.cli("user", "revoke", "eve", "-y").ok()
        yield made, eve.context_dir(), job


ASKED = {
    "a submit": lambda job: submit("n1", "touch", "/nowhere"),
    "a submit that waits": lambda job: submit("n1", "true", terms={"queue_ms": 60_000}),
    "a token": lambda job: request("token.new", role="user", user_role="admin"),
    "a stop": lambda job: request("job.stop", job=job),
    "a node's end": lambda job: request("node.rm", name="n1", force=True),
    "a renewal": lambda job: request("renew", csr=b"x"),
    "an attachment with a stop": lambda job:
        frame(OPEN, {"kind": "attach", "args": {"job": job}}, stream=1)
        + frame(SIGNAL, {"t": "stop", "grace_ms": 0}, stream=1),
    "a schedule": lambda job: request("schedule.add", name="s", targets="n1", kind="every", rule="1s",
                                      spec=pack({"argv": [b"true"]})),
}


def state_of(cluster):
    cli = cluster.cli
    return {"jobs": [(row["job"], row["state"]) for row in cli("ps", "-a", "--json").ok().json()],
            "tokens": len(cli("token", "ls", "--json").ok().json()),
            "nodes": sorted(cluster.node_states()),
            "schedules": cli("schedule", "ls", "--json").ok().json()}


@pytest.mark.parametrize("asked", ASKED, ids=list(ASKED))
def test_nothing_of_a_revoked_user_is_served_whatever_comes_with_his_hello(put_out, asked):
    cluster, eve, job = put_out
    before = state_of(cluster)
    wish = ASKED[asked](job)
    for pieces in ((HELLO_OF["user"], wish), (HELLO_OF["user"], wish, GOODBYE),
                   (frame(PING, b"12345678"), HELLO_OF["user"], wish),
                   (HELLO_OF["user"], wish, HELLO_OF["user"]), (HELLO_OF["node"], wish)):
        assert refused(cluster, eve, *pieces) == "revoked"
    # Before any HELLO, and without one.
    for pieces in ((wish,), (wish, HELLO_OF["user"]), (frame(NOTICE, {"verb": "x"}), wish)):
        assert refused(cluster, eve, *pieces) in ("protocol", "revoked")
    assert state_of(cluster) == before


def test_a_revoked_user_is_sent_away_before_he_says_a_word(put_out):
    cluster, eve, _ = put_out
    assert refused(cluster, eve) == "revoked"


def test_a_session_that_never_greets_ends_with_its_users_revocation(cluster):
    ann = cluster.new_user("ann")
    with Peer(cluster.address, ann.context_dir()) as kept:
        assert kept.answers(), "it may wait before its HELLO"
        cluster.cli("user", "revoke", "ann", "-y").ok()
        assert kept.closing()["code"] == "revoked"


def test_a_refused_copy_of_a_node_ends_no_job(cluster):
    """It has the genuine node's certificate, and is refused because that one is connected."""
    job = running_job(cluster)
    credentials = cluster.nodes["n1"].data / "net"
    record = {"node": "n1", "job": job, "outcome": "exited", "code": 0, "xxh128": {}}
    final = {"job": job, "attempt": 1, "state": "final", "started_ms": 1, "record": record}
    lies = [request("job.report", **final), request("reconcile", jobs=[final], last=True),
            request("reconcile", jobs=[], last=True), request("renew", csr=b"x"),
            request("schedule.report", schedules=[])]
    for one, other in itertools.permutations(lies, 2):
        assert refused(cluster, credentials, HELLO_OF["node"], one, other) == "conflict"
        # Who has said goodbye is told nothing more, and is served nothing either.
        assert not refused(cluster, credentials, HELLO_OF["node"], one, other, GOODBYE)
    assert cluster.cli.job(job)["state"] == "running"
    cluster.cli("stop", job).ok()


def test_a_removed_node_is_told_so_and_nothing_it_says_counts(cluster):
    other = cluster.add_node("n2")
    job = running_job(cluster)
    cluster.cli("node", "rm", "n2", "-y").ok()
    before = state_of(cluster)
    final = {"job": job, "attempt": 1, "state": "final",
             "record": {"outcome": "exited", "code": 0, "xxh128": {}}}
    for wish in (request("job.report", **final), request("reconcile", jobs=[], last=True),
                 request("renew", csr=b"x"), b""):
        for hello in (HELLO_OF["node"], HELLO_OF["user"], b""):
            code = refused(cluster, other.data / "net", hello, wish)
            assert code == "revoked" or (code == "protocol" and not hello), (code, wish)
    assert state_of(cluster) == before
    cluster.cli("stop", job).ok()


@pytest.mark.parametrize("hello", [HELLO_OF["user"], HELLO_OF["node"], b""])
def test_a_stranger_with_another_hello_enrols_nothing(cluster, hello):
    code = refused(cluster, None, hello, request("enrol", token_id="t-x", csr=b"", proof=b""))
    assert code in ("not_signed_in", "protocol"), code
    assert "enrolment refused" not in cluster.controller.logged()


def test_nothing_is_served_after_a_close(cluster):
    """The peer's own, or the one that its bad frame was answered with."""
    directory = cluster.cli.context_dir()
    wish = request("token.new", 2, role="user", user_role="admin")
    before = state_of(cluster)
    for end in (GOODBYE, frame(HELLO, {"versions": [1, 1], "role": "user"}), frame(PING, b"")):
        for behind in (wish, wish + submit("n1", "true")):
            with Peer(cluster.address, directory) as peer:
                peer.send(HELLO_OF["user"] + end + behind)
                while peer.receive() is not None:
                    pass
    assert state_of(cluster) == before
