"""The checker objects to each invariant's violation, and to nothing in a history that is right."""
import copy
import json

import pytest

from support import history
from support.checker import check

OUT = {"bytes": 4, "sha256": history.digest(b"out\n")}


def good():
    """A detached job: submitted twice, run once, looked at by everybody, audited."""
    log = history.History()
    log.add("wanted", key="k", kind="detached",
            tells={"marks": True, "code": 3, "streams": {"out": OUT}, "never": ["lost"]})
    log.add("ack", key="k", job="j-1")
    log.add("ack", key="k", job="j-1")
    log.add("start", job="j-1", attempt=1, pid=10)
    record = {"job": "j-1", "attempt": 1, "outcome": "exited", "code": 3, "signal": 0,
              "complete": True, "bytes": {"out": 4, "err": 0}, "sha256": {"out": OUT["sha256"]}}
    log.add("shown", job="j-1", state="running", final=False)
    log.add("shown", job="j-1", state="exited", final=True)
    for source in ("client", "controller", "node"):
        log.outcome(source, record)
    log.add("output", job="j-1", source="logs", stream="out", whole=True, prefix_ok=True,
            bytes=4, sha256=OUT["sha256"])
    log.add("audit", verb="job.submit", object="job/j-1")
    log.add("audit_chain", ok=True, why="", rows=1)
    return log.lines


def test_a_history_that_is_right_is_not_objected_to():
    assert check(good()) == []
    assert check([]) == []


def of(lines, kind, nth=0):
    return [line for line in lines if line["t"] == kind][nth]


def without(lines, kind):
    return [line for line in lines if line["t"] != kind]


def changed(t, nth=0, **fields):
    lines = copy.deepcopy(good())
    of(lines, t, nth).update(fields)
    return lines


def added(t, **fields):
    return [*good(), {"t": t, **fields}]


WRONG = {
    "I1 an acknowledged job that nobody knows": (without(good(), "shown"), "I1"),
    "I1 an acknowledged job without an end": (
        [line for line in good() if not line.get("final")], "I1"),
    "I2 two starts of one attempt": (added("start", job="j-1", attempt=1, pid=11), "I2"),
    "I2 one key, two jobs": (added("ack", key="k", job="j-2"), "I2"),
    "I3 two codes": (changed("outcome", 2, code=4), "I3"),
    "I3 two outcomes": (changed("outcome", 1, outcome="signaled"), "I3"),
    "I3 complete to one, incomplete to another": (changed("outcome", 1, complete=False), "I3"),
    "I3 two digests": (changed("outcome", 2, sha256={"out": "0"}), "I3"),
    "I3 a final state that goes away": (
        added("shown", job="j-1", state="running", final=False), "I3"),
    "I3 a word that is no outcome": (changed("outcome", 1, outcome="running"), "I3"),
    "I3 exited without a start": (without(good(), "start"), "I3"),
    "I3 not started, but it did": (
        [{**line, "outcome": "not_started"} if line["t"] == "outcome" else line
         for line in good()], "I3"),
    "I3 lost, which nobody asked for": (
        [{**line, "outcome": "lost"} if line["t"] == "outcome" and line["source"] != "client"
         else line for line in good()], "I3"),
    "I3 another code than the job's": (
        [{**line, "code": 0} if line["t"] == "outcome" else line for line in good()], "I3"),
    "I4 bytes that were never written": (changed("output", prefix_ok=False), "I4"),
    "I5 complete with a byte too few": (
        [{**line, "bytes": {"out": 3, "err": 0}} if line["t"] == "outcome" else line
         for line in good()], "I5"),
    "I5 complete, the reader has less": (
        changed("output", bytes=2, sha256=history.digest(b"ou")), "I5"),
    "I6 a submit without its row": (without(good(), "audit"), "I6"),
    "I6 a removal without its row": (added("effect", verb="job.rm", job="j-1"), "I6"),
    "I6 a broken chain": (changed("audit_chain", ok=False, why="row 2"), "I6"),
    "I3 a patient client that gave up": (
        [{**line, "tells": {**line["tells"], "patient": True}} if line["t"] == "wanted" else
         {**line, "outcome": "lost"} if line.get("source") == "client" else line
         for line in good()], "I3"),
    "an answer that no document promises": (added("odd", what="submit exited 77"), "odd"),
    "I8 a process after the end": (added("leftover", job="j-1", pid=12), "I8"),
}


@pytest.mark.parametrize("what", WRONG, ids=str)
def test_the_checker_objects_to(what):
    lines, rule = WRONG[what]
    assert any(violation.startswith(rule) for violation in check(lines)), check(lines)


def test_a_client_that_only_lost_sight_contradicts_nobody():
    lines = changed("outcome", 0, outcome="lost", code=121, complete=False)
    assert check(lines) == []


def test_a_job_whose_shim_was_killed_may_be_lost():
    lines = [{**line, "outcome": "lost", "code": 121, "complete": False}
             if line["t"] == "outcome" else line for line in good()]
    assert check(lines)
    assert check([*lines, {"t": "killed", "what": "shim", "job": "j-1"}]) == []


def test_an_attempt_more_is_no_second_start():
    lines = added("start", job="j-1", attempt=2, pid=12)
    assert check(lines) == []


def test_a_job_that_was_removed_need_not_be_known():
    lines = without(good(), "shown")
    lines += [{"t": "effect", "verb": "job.rm", "job": "j-1"},
              {"t": "audit", "verb": "job.rm", "object": "job/j-1"}]
    assert check(lines) == []


def test_the_recorder_keeps_what_it_is_told_as_json_lines(tmp_path):
    log = history.History(tmp_path / "lines")
    log.add("ack", key="k", job="j-1")
    (tmp_path / "marks").write_text("j-1 1 77\nj-2 2 78\n")
    history.read_starts(log, tmp_path / "marks")
    kept = [json.loads(line) for line in (tmp_path / "lines").read_text().splitlines()]
    assert kept == log.lines and kept[2] == {"t": "start", "job": "j-2", "attempt": 2, "pid": 78}
    assert log.acked() == {"k": "j-1"}
