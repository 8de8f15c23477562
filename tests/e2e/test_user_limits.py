"""What one user may take of what all need: over all sessions, with a clear error, and only until
what took it is gone. The figures are those of src/controller/core/budget.hpp."""
import os
import resource
import threading

import pytest

from support import processes, wire
from support.cli import SANITIZED

MIB = 1 << 20
UPLOADS = 64 * MIB
SPECS = 128 * MIB
KEPT_SPECS = 256 * MIB
SCHEDULE_SPECS = 64 * MIB
ATTACHMENTS, REQUESTS, SESSIONS = 4096, 16384, 1000
STREAMS, UNANSWERED = 256, 1024  # of one session


@pytest.fixture
def peers(cluster):
    """peers(cli): a new session of that account. All are closed at the end."""
    made = []

    def make(cli):
        made.append(wire.Peer(cluster.address, directory=cli.context_dir(), timeout=100))
        made[-1].hello()
        return made[-1]

    yield make
    for peer in made:
        peer.close()


def resets(peer):
    """The errors of the streams that were reset up to now, by stream."""
    found = {}
    peer.send(wire.frame(wire.PING, b"12345678"))
    while (got := peer.until(wire.PONG, wire.RESET, wire.CLOSE))[0] != wire.PONG:
        assert got[0] == wire.RESET, got
        found[got[1]] = got[3]
    return found


def open_submit(peer, stream, node, sizes, **more):
    parts = [{"name": f"p{k}", "targets": node, "spec_size": size} for k, size in enumerate(sizes)]
    args = {"request": os.urandom(16).hex(), "targets": "", "mode": "detached", "spec_size": 0,
            "dag": parts, **more}
    peer.send(wire.frame(wire.OPEN, {"kind": "submit", "args": args}, stream=stream))


def submit(peer, stream, node, specs):
    """A DAG's answer: its EVENT's map, or the RESET's."""
    open_submit(peer, stream, node, [len(spec) for spec in specs])
    sent, limit = 0, wire.WINDOW
    for spec in specs:
        for begin in range(0, len(spec), 64 << 10):
            piece = spec[begin:begin + (64 << 10)]
            while sent + len(piece) > limit:
                kind, _, _, got = peer.until(wire.CREDIT, wire.RESET, wire.CLOSE)
                if kind != wire.CREDIT:
                    return got
                limit = max(limit, int.from_bytes(got, "big"))
            peer.send(wire.frame(wire.DATA, piece, stream=stream, flags=3))
            sent += len(piece)
    peer.send(wire.frame(wire.END, stream=stream))
    while (got := peer.until(wire.EVENT, wire.RESET, wire.CLOSE, wire.PING))[0] == wire.PING:
        peer.send(wire.frame(wire.PONG, got[3]))  # a slow disk's commit may outlast its patience
    return got[3]


def offline_job(cluster):
    """An ended job whose output is on a node that is away."""
    job = cluster.cli.submit("n1", "true")
    assert cluster.cli("wait", job).code == 0
    cluster.nodes["n1"].stop()
    processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "n1 is away")
    return job


def rss_mib(cluster):
    return processes.memory_kib(cluster.controller.pid, "VmRSS") >> 10


def test_a_users_unfinished_submits_are_bounded_over_all_sessions_and_others_go_on(cluster, peers):
    ann = cluster.new_user("ann")
    fifteen = [15 * MIB // 4] * 4
    first, second = peers(ann), peers(ann)
    for stream in (1, 3):
        open_submit(first, stream, "n1", fifteen)
        open_submit(second, stream, "n1", fifteen)
    assert resets(first) == {} and resets(second) == {}
    open_submit(second, 5, "n1", fifteen)
    error = resets(second)[5]
    assert error["code"] == "limit" and "unfinished submits" in error["message"], error
    assert "64 MiB" in error["message"] and error["hint"], error
    assert cluster.cli.run("n1", "echo", "there").text == "there\n"
    # What is complete, and what its session leaves behind, is given back.
    first.close()
    processes.wait_until(lambda: not (open_submit(peer := peers(ann), 1, "n1", fifteen)
                                      or resets(peer)), "there is room again")
    assert ann.run("n1", "echo", "there").text == "there\n"


@pytest.mark.limit(300)
def test_commands_of_jobs_that_run_are_bounded_until_these_end(make_cluster, tmp_path):
    cluster = make_cluster(nodes=1)
    ann, script = cluster.new_user("ann"), tmp_path / "script"
    pad = "#" * (4 * MIB - 4096)  # with the rest of its job a little less than 4 MiB

    def submit(cli, number):
        script.write_text(f"exec sleep 1000 # {number}\n{pad}")
        return cli("submit", "--script", str(script), "n1")

    def runs(cli, job):
        processes.wait_until(lambda: cli.job(job)["state"] == "running", f"{job} runs", 60)

    jobs = []
    for number in range(KEPT_SPECS // (4 * MIB)):
        jobs.append(submit(ann, number).ok().text.strip())
        runs(ann, jobs[-1])
    refused = submit(ann, "more")
    assert refused.code != 0 and "commands of jobs that have not ended" in refused.errors, refused
    assert "256 MiB" in refused.errors, refused
    runs(cluster.cli, submit(cluster.cli, "other").ok().text.strip())
    cluster.controller.restart()
    cluster.wait_online("n1")
    assert "commands of jobs that have not ended" in submit(ann, "more").errors
    ann("stop", "--grace", "0s", jobs[0]).ok()
    runs(ann, submit(ann, "again").ok().text.strip())


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer keeps freed memory")
def test_what_waits_for_an_offline_node_goes_with_its_session(cluster, peers):
    job = offline_job(cluster)
    peers(cluster.cli)
    before = rss_mib(cluster)
    for _ in range(4):
        peer = peers(cluster.cli)
        for number in range(250):
            args = {"job": job, "pad": "x" * 40_000}
            peer.send(wire.frame(wire.OPEN, {"kind": "attach", "args": args},
                                 stream=1 + 2 * number))
            peer.send(wire.frame(wire.SIGNAL, {"t": "signal", "n": 1, "pad": "x" * 40_000},
                                 stream=1 + 2 * number))
        assert resets(peer) == {}
        peer.close()
    processes.wait_until(lambda: rss_mib(cluster) < before + 24,
                         f"the controller has its {before} MiB again")


@pytest.mark.skipif(SANITIZED, reason="not here: a sanitizer keeps freed memory")
def test_waits_for_a_job_or_a_node_go_with_their_session(cluster, peers):
    offline_job(cluster)
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "true")
    before = rss_mib(cluster)
    for _ in range(40):
        peer = peers(cluster.cli)
        for number in range(UNANSWERED // 2):
            for verb, args in (("job.wait", {"job": job}),
                               ("node.wait", {"target": "n1", "timeout_ms": 86_400_000})):
                peer.send(wire.frame(wire.REQUEST, {
                    "id": 2 * number + (verb == "job.wait"), "verb": verb, "args": args}))
        assert peer.answers()
        peer.close()
    processes.wait_until(lambda: rss_mib(cluster) < before + 24,
                         f"the controller has its {before} MiB again")


def test_a_users_attachments_are_bounded_over_all_sessions(cluster, peers):
    job = offline_job(cluster)
    ann = cluster.new_user("ann", "--role", "admin")
    sessions = [peers(ann) for _ in range(ATTACHMENTS // STREAMS)]

    def attach(peer, number):
        peer.send(wire.frame(wire.OPEN, {"kind": "attach", "args": {"job": job}},
                             stream=1 + 2 * number))

    for peer in sessions:
        for number in range(STREAMS):
            attach(peer, number)
        assert resets(peer) == {}
    one_more = peers(ann)
    attach(one_more, 0)
    error = resets(one_more)[1]
    assert error["code"] == "limit" and f"{ATTACHMENTS}" in error["message"], error
    other = peers(cluster.cli)
    attach(other, 0)
    assert resets(other) == {}


def test_a_users_unanswered_requests_are_bounded_over_all_sessions(cluster, peers):
    offline_job(cluster)
    job = cluster.cli.submit("--queue-timeout", "1h", "n1", "true")
    sessions = [peers(cluster.cli) for _ in range(REQUESTS // UNANSWERED)]
    for peer in sessions:
        for number in range(UNANSWERED):
            peer.send(wire.frame(wire.REQUEST, {"id": number, "verb": "job.wait",
                                                "args": {"job": job}}))
        assert peer.answers()
    answer = peers(cluster.cli).call(1, "whoami")
    assert answer["error"]["code"] == "limit" and "without an answer" in answer["error"]["message"]
    ann = cluster.new_user
    sessions[0].close()
    processes.wait_until(lambda: "result" in peers(cluster.cli).call(1, "whoami"),
                         "there is room again")
    assert ann("ann")("whoami").code == 0


@pytest.mark.limit(400)
def test_a_users_sessions_are_bounded_and_another_user_gets_in(cluster, peers):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < SESSIONS + 200:
        pytest.skip("not here: fewer descriptors than a user's sessions")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, SESSIONS + 200), hard))
    ann = cluster.new_user("ann")
    context = wire.tls_context(directory=ann.context_dir())
    opened, over = [], threading.Event()

    def keep_alive():
        """Who says nothing for a while is taken for dead, and opening them all may take longer."""
        while not over.wait(1):
            for peer in opened[:-1]:
                peer.send(wire.frame(wire.PING, b"12345678"))

    keeper = threading.Thread(target=keep_alive)
    keeper.start()
    try:
        for _ in range(SESSIONS):
            opened.append(wire.Peer(cluster.address, context=context, timeout=100))
            assert opened[-1].hello()[0] == wire.HELLO
        opened.append(wire.Peer(cluster.address, context=context, timeout=100))
        kind, _, _, error = opened[-1].hello()
        assert kind == wire.CLOSE and error["code"] == "limit", error
        assert "open sessions" in error["message"], error
        assert cluster.cli.run("n1", "echo", "there").text == "there\n"
        over.set()
        keeper.join()
        opened.pop(0).close()
        processes.wait_until(lambda: ann("whoami").code == 0, "there is room for one")
    finally:
        over.set()
        keeper.join()
        for peer in opened:
            peer.close()
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.limit(600)
def test_the_commands_of_a_users_waiting_jobs_are_bounded_and_given_back(cluster, peers):
    offline_job(cluster)
    ann = cluster.new_user("ann")
    peer = peers(ann)
    spec = wire.pack({"argv": [b"true", b"x" * (4 * MIB - 1000)], "durable": True})
    specs = [spec[:-8] + os.urandom(4).hex().encode() for _ in range(4)]
    jobs, stream = [], 1
    for _ in range(SPECS // (16 * MIB)):
        answer = submit(peer, stream, "n1", specs)
        assert answer.get("t") == "accepted", answer
        jobs += [row["job"] for row in answer["jobs"]]
        stream += 2
    error = submit(peer, stream, "n1", specs)
    assert error["code"] == "limit" and "no node has started" in error["message"], error
    assert "128 MiB" in error["message"] and "rexec ps" in error["hint"], error
    assert ann("submit", "--queue-timeout", "1h", "n1", "true").code == 0
    assert cluster.cli("submit", "--queue-timeout", "1h", "n1", "true").code == 0
    ann("stop", *jobs[:4]).ok()
    assert submit(peer, stream + 2, "n1", specs).get("t") == "accepted"


def test_the_commands_of_a_users_schedules_are_bounded_and_given_back(cluster, peers):
    ann = cluster.new_user("ann")
    peer = peers(ann)
    size = 128 << 10
    spec = wire.pack({"argv": [b"true", b""], "durable": True})
    spec = wire.pack({"argv": [b"true", b"x" * (size - len(spec))], "durable": True})
    assert len(spec) == size

    def add(number):
        return peer.call(number + 1, "schedule.add", {
            "name": f"s{number}", "targets": "n1", "kind": "at", "rule": "2050-01-01T00:00",
            "spec": spec})

    most = SCHEDULE_SPECS // size
    for number in range(most):
        answer = add(number)
        assert "result" in answer, answer
    error = add(most)["error"]
    assert error["code"] == "limit" and "commands of schedules" in error["message"], error
    ann("schedule", "rm", "s0").ok()
    assert "result" in add(most + 1)
