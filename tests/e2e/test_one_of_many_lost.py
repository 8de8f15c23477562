"""A run on several nodes, one of which is lost: its job ends as it would alone, the others go on."""
import json
import os
import subprocess
import threading

import pytest

from support import wire
from support.lies import Attended, as_node
from support.running import Running

SAY = "echo one $REXEC_JOB"


def held_by(gate):
    """A script that says its id, waits for the gate, and then writes more than a window."""
    return f"{SAY}; cat {gate} >/dev/null; seq 1 200000; echo done"


NUMBERS = [str(number) for number in range(1, 200_001)]


@pytest.fixture
def gate(tmp_path):
    os.mkfifo(tmp_path / "gate")
    return tmp_path / "gate"


@pytest.fixture
def gates(tmp_path):
    """One for each node; `cat {gates}/$REXEC_NODE` waits for it."""
    for node in ("n1", "n2"):
        os.mkfifo(tmp_path / node)
    return tmp_path


def by_node(done):
    return {status["node"]: status for status in done.statuses}


def start(run, nodes):
    """The nodes' jobs, once each has said its id."""
    return dict(line.split(": one ") for line in (run.line() for _ in range(nodes)))


def test_a_node_that_is_lost_ends_its_own_job_and_the_others_are_read_to_their_end(
        make_cluster, gate):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "--reconnect", "1s", "n1,n2", "sh", "-c", held_by(gate)) as run:
        jobs = start(run, 2)
        cluster.nodes["n2"].stop()
        said = run.err.wait_for("come back with").decode() + run.err.line()
        gate.write_text("go\n")
        done = run.finish()
    assert "n2: the link was away for longer than --reconnect" in said, said
    assert f"rexec job show {jobs['n2']}" in said and "n2: the job goes on for 10m" in said, said
    assert f"rexec attach {jobs['n2']} --from out=" in said, said
    assert done.code == 123 and jobs["n1"] not in said + done.errors, done
    assert done.text.splitlines() == [f"n1: {line}" for line in [*NUMBERS, "done"]]
    states = by_node(done)
    assert (states["n1"]["outcome"], states["n1"]["code"], states["n1"]["complete"]) == \
        ("exited", 0, True), states
    assert (states["n2"]["outcome"], states["n2"]["code"], states["n2"]["reason"]) == \
        ("lost", 121, "link_lost"), states
    assert states["n2"]["job"] == jobs["n2"] and states["n2"]["bytes"]["out"] > 0, states


def test_the_lost_job_says_the_same_as_on_a_node_alone(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    told = {}
    for nodes in ("n2", "n1,n2"):
        if not cluster.nodes["n2"].running:
            cluster.nodes["n2"].start()
        cluster.wait_online("n2")
        with Running(cluster.cli, "--reconnect", "1s", "--no-prefix", nodes, "sh", "-c",
                     f"{SAY}; [ $REXEC_NODE = n2 ] || exit 0; cat {gate}") as run:
            lines = [run.line() for _ in nodes.split(",")]
            cluster.nodes["n2"].stop()
            done = run.finish()
        status = by_node(done)["n2"]
        job = status.pop("job")
        assert f"one {job}" in lines, lines
        kept = [line.removeprefix("n2: ") if "rexec: n2: " not in line else
                line.replace("rexec: n2: ", "rexec: ") for line in done.errors.splitlines()]
        told[nodes] = (sorted(line.replace(job, "JOB") for line in kept if "is lost" not in line),
                       status)
    assert told["n2"] == told["n1,n2"], told
    gate.write_text("go\n")


def test_what_became_of_each_job_stands_in_the_json_lines(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "--reconnect", "1s", "-o", "jsonl", "n1,n2", "sh", "-c",
                 held_by(gate)) as run:
        begun = run.out.wait_for("one ") + run.out.wait_for("one ")
        cluster.nodes["n2"].stop()
        begun += run.out.wait_for('"outcome":"lost"')
        gate.write_text("go\n")
        done = run.finish()
    events = [json.loads(line) for line in (begun + done.out).splitlines()]
    ends = {event["node"]: event for event in events if event["t"] == "end"}
    assert (ends["n1"]["outcome"], ends["n1"]["code"]) == ("exited", 0), ends
    assert (ends["n2"]["outcome"], ends["n2"]["code"]) == ("lost", 121), ends
    states = [(event["node"], event["state"]) for event in events if event["t"] == "state"]
    assert states == [("n2", "reconnecting")], states
    out = "".join(event["data"] for event in events if event["t"] == "out"
                  and event["node"] == "n1")
    assert out.splitlines()[1:] == [*NUMBERS, "done"]
    assert events[-1]["t"] == "summary" and (events[-1]["code"], events[-1]["ok"]) == (123, 1)
    assert json.loads(done.errors)["error"]["code"] == "link_lost", done


def test_the_lost_job_can_be_read_on_when_its_node_is_back(make_cluster, gates):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "--reconnect", "1s", "n1,n2", "sh", "-c",
                 f"{SAY}; cat {gates}/$REXEC_NODE; exit 3") as run:
        jobs = start(run, 2)
        cluster.nodes["n2"].stop()
        run.err.wait_for("come back with")
        cluster.nodes["n2"].start()
        cluster.wait_online("n2")
        (gates / "n2").write_text("rest\n")
        read = cluster.cli("attach", jobs["n2"])
        assert (read.code, read.text) == (3, f"one {jobs['n2']}\nrest\n"), read
        (gates / "n1").write_text("mine\n")
        done = run.finish()
    assert done.text == "n1: mine\n", done  # nothing of what n2 wrote after it was lost
    assert {node: status["code"] for node, status in by_node(done).items()} == {"n1": 3, "n2": 121}


def test_a_node_that_is_back_in_time_loses_nothing(make_cluster, gates):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "--reconnect", "200s", "n1,n2", "sh", "-c",
                 f"{SAY}; cat {gates}/$REXEC_NODE") as run:
        start(run, 2)
        cluster.nodes["n2"].stop()
        assert "n2: the link is lost" in run.err.line()
        (gates / "n1").write_text("first\n")
        assert run.line() == "n1: first"  # the other is read while the one is away
        cluster.nodes["n2"].start()
        assert run.err.line() == "rexec: n2: the link is back"
        (gates / "n2").write_text("second\n")
        done = run.finish()
    assert (done.code, done.text) == (0, "n2: second\n"), done


def test_the_standard_input_goes_on_to_the_others(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "-i", "--reconnect", "1s", "n1,n2", "sh", "-c",
                 f"{SAY}; [ $REXEC_NODE = n1 ] || cat {gate}; wc -c", stdin=subprocess.PIPE) as run:
        start(run, 2)
        cluster.nodes["n2"].stop()
        size = 4 << 20  # more than is read ahead of a node that takes none
        feeder = threading.Thread(target=run.type, args=(b"x" * size,))
        feeder.start()
        run.err.wait_for("come back with")
        feeder.join()
        run.close_stdin()
        assert run.line() == f"n1: {size}"
        assert run.finish().code == 123


def test_a_standard_input_that_one_of_several_does_not_take_says_so(make_cluster, gates):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "-i", "n1,n2", "sh", "-c",
                 f"[ $REXEC_NODE = n1 ] || cat {gates}/n2; wc -c", stdin=subprocess.PIPE) as run:
        size = 8 << 20
        feeder = threading.Thread(target=run.type, args=(b"x" * size,))
        feeder.start()
        assert "the standard input waits for n2, which does not take it" in run.err.line()
        (gates / "n2").write_text("go\n")
        feeder.join()
        run.close_stdin()
        done = run.finish()
    assert done.code == 0 and done.errors == "", done
    assert {f"n1: {size}", "n2: go", f"n2: {size}"} == set(done.text.splitlines()), done


ATTACHED = {"t": "attached", "out": 0, "err": 0, "in": 0}
END = {"t": "end", "record": {"outcome": "exited", "code": 0}}
BREAKS = {
    "a reset that it may come back": lambda stream: wire.frame(
        wire.RESET, {"code": "link_lost", "message": "x", "hint": ""}, stream),
    "a reset that it is busy": lambda stream: wire.frame(
        wire.RESET, {"code": "timeout", "message": "x", "hint": ""}, stream),
    "a job that it does not know": lambda stream: wire.frame(
        wire.RESET, {"code": "unknown_job", "message": "x", "hint": ""}, stream),
    "an event after its end": lambda stream: wire.frame(wire.END, stream=stream)
    + wire.frame(wire.EVENT, END, stream),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_node_that_breaks_its_streams_breaks_no_others(make_cluster, gate, how):
    cluster = make_cluster(nodes=1)
    cluster.join("liar")

    def answer(what, number, _):
        if what == "attach":
            return BREAKS[how](number)
        if what == "start":
            return wire.frame(wire.END, stream=number)
        return b""

    with as_node(cluster, "liar") as liar, Attended(liar.peer, answer), \
            Running(cluster.cli, "--reconnect", "1s", "n1,liar", "sh", "-c", held_by(gate)) as run:
        assert run.line().startswith("n1: one ")
        run.err.wait_for("liar: the link was away for longer than --reconnect")
        gate.write_text("go\n")
        done = run.finish()
    assert done.text.splitlines() == [f"n1: {line}" for line in [*NUMBERS, "done"]], done.errors
    states = by_node(done)
    assert done.code == 123 and states["n1"]["code"] == 0 and states["n1"]["complete"], states
    assert (states["liar"]["outcome"], states["liar"]["code"]) == ("lost", 121), states


RECORD = {"outcome": "exited", "code": 1}
FLOODS = {
    "gap": lambda number: {"t": "gap", "channel": 1, "from": 0, "to": number},
    "restarting": lambda number: {"t": "restarting", "attempt": number, "at_ms": 10**14 + number,
                                  "record": RECORD},
    "held": lambda number: {"t": "held", "why": f"reason {number}"},
}


@pytest.mark.parametrize("what", FLOODS)
def test_what_a_node_tells_without_end_is_said_seldom(make_cluster, what):
    cluster = make_cluster(nodes=1)
    cluster.join("liar")
    count = 3000

    def answer(kind, number, _):
        if kind == "attach":
            told = [ATTACHED, *(FLOODS[what](i) for i in range(2, count + 2)), END]
            return (b"".join(wire.frame(wire.EVENT, one, number) for one in told)
                    + wire.frame(wire.END, stream=number))
        return wire.frame(wire.END, stream=number) if kind == "start" else b""

    with as_node(cluster, "liar") as liar, Attended(liar.peer, answer):
        done = cluster.cli.run("n1,liar", "echo", "hi")
    said = done.errors.splitlines()
    left_out = [line for line in said if "more notices like these were left out" in line]
    assert "n1: hi\n" in done.text and len(left_out) == 1, done
    assert left_out[0].startswith("rexec: liar: "), left_out
    words = {"gap": "are gone", "restarting": "starts in ", "held": "cannot keep its output"}[what]
    told = [line for line in said if words in line]
    assert 0 < len(told) < count and int(left_out[0].split()[2]) + len(told) == count, done
    for line in told if what == "restarting" else []:
        assert int(line.split("starts in ")[1].split(" s")[0]) <= 330, line


def test_the_own_link_that_is_away_too_long_ends_the_whole_run(make_cluster, gate):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "--reconnect", "1s", "n1,n2", "sh", "-c", held_by(gate)) as run:
        start(run, 2)
        cluster.controller.kill()
        done = run.finish()
    assert done.code == 123 and done.errors.count("away for longer than --reconnect") == 1, done
    assert {status["code"] for status in done.statuses} == {121}, done
