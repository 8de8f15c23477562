"""What `job show` says of output that is gone: that it is, when and why, as `logs` does."""
import signal
import subprocess
import time

import pytest

from support import lies, processes, wire
from support.kept import MIB, ended_log, job_of, keep, pull, spools
from support.patience import patient
from support.running import Running

GONE = ("unreachable", "given_up", "output")
RECORD = {"outcome": "exited", "code": 0, "bytes": {"out": MIB, "err": 0},
          "xxh128": {"out": "0" * 32, "err": "0" * 32}, "complete": True}


def fields(cli, job):
    """What is said of output that is gone, and nothing else."""
    return {key: value for key, value in cli.job(job).items() if key in GONE}


def text_of(cli, job):
    lines = cli("job", "show", job).ok().text.splitlines()
    return [line for line in lines if line.startswith(GONE)]


def says_that_it_was_given_up(cluster, job, why, words):
    node, cli, began = cluster.nodes["n1"], cluster.cli, time.time()
    cli("wait", job)
    processes.wait_until(lambda: not spools(node, job), "it is given up")
    gone = fields(cli, job)
    assert gone == {"unreachable": "given_up", "given_up": {"why": why, "ms": gone["given_up"]["ms"]}}
    # What a reader of it is told.
    status = cli.run(job, verb="attach").status
    assert gone == {key: value for key, value in status.items() if key in GONE}
    assert began - 60 <= gone["given_up"]["ms"] / 1000 <= time.time() + 1, gone
    [line] = text_of(cli, job)
    assert line.startswith("output: ") and words in line, line
    assert line.removeprefix("output: ") in cli("logs", job).errors
    node.restart()
    cluster.wait_online("n1")
    assert fields(cli, job) == gone


def test_job_show_says_when_and_why_output_was_given_up(cluster):
    _, cli = keep(cluster, keep_read_output="0s", keep_bytes="6M"), cluster.cli
    log = ended_log(cli)
    pull(cli, 1)
    says_that_it_was_given_up(cluster, job_of(cli, "head"), "read",
                              "after rexec run had received all of it")
    assert (fields(cli, log), text_of(cli, log)) == ({}, [])
    large = cli.submit("n1", "--", "head", "-c", str(9 * MIB), "/dev/zero")
    says_that_it_was_given_up(cluster, large, "room", "for want of room")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_what_a_transport_left_behind_when_its_client_ended_is_given_up(cluster, number):
    _, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    jobs = []
    for flags in ((), ("-i",)):
        with Running(cli, *flags, "n1", "--", "sh", "-c",
                     "head -c 3000000 /dev/zero; exec sleep 1000",
                     stdin=subprocess.PIPE, start_new_session=True) as run:
            run.out.wait_count(3_000_000)
            run.signal(number)
            run.finish()
        jobs.append(cli("ps", "-a", "--json").ok().json()[0]["job"])
        cli("wait", jobs[-1])
        assert cli.job(jobs[-1])["record"]["reason"] == "client_ended"
    says_that_it_was_given_up(cluster, jobs[1], "client_ended",
                              "after the rexec run -i that began the job had ended")
    assert len(cli("logs", jobs[0]).out) == 3_000_000


def test_job_show_says_nothing_of_output_on_a_node_that_is_away(cluster):
    node, cli = keep(cluster, keep_read_output="0s"), cluster.cli
    pull(cli, 1)
    job = job_of(cli, "head")
    processes.wait_until(lambda: not spools(node, job), "it is given up")
    node.stop()
    processes.wait_until(lambda: cluster.node_states()["n1"]["state"] == "offline", "it is away")
    assert fields(cli, job) == {} and cli.job(job)["record"]["bytes"]["out"] == MIB


def test_job_show_says_that_a_removed_or_forgetful_node_has_the_output_no_more(cluster):
    node, cli = cluster.nodes["n1"], cluster.cli
    log, nothing = ended_log(cli), cli.submit("n1", "true")
    cli("wait", nothing).ok()
    for directory in node.job_dirs(log) + node.job_dirs(nothing):
        processes.wait_until((directory / "reported").exists, "its end is reported")
        directory.rename(node.data / directory.name)
    assert fields(cli, log) == {"unreachable": "forgotten"}
    assert "does not have it any more" in text_of(cli, log)[0]
    cli("node", "rm", "n1", "-y").ok()
    assert fields(cli, log) == {"unreachable": "removed"}
    assert fields(cli, nothing) == {}


ANSWERS = [
    ({"given_up": {"why": "read", "ms": 5, "more": 1}, "unreachable": "\x1b[2J", "more": "x"},
     {"unreachable": "given_up", "given_up": {"why": "read", "ms": 5}}),
    ({"given_up": {"why": "room", "ms": 2**63}},
     {"unreachable": "given_up", "given_up": {"why": "room", "ms": 0}}),
    *[({"given_up": said}, {})
      for said in ({"why": "\x1b[2J", "ms": 5}, {"ms": 5}, [], "read", None)],
    ({"unreachable": "removed"}, {}), ([], {}),
    # A node of before this question; one that lost it.
    ({"error": {"code": "protocol", "message": "unknown verb", "hint": ""}}, {}),
    ({"error": {"code": "unknown_job", "message": "\x1b[2J", "hint": "x"}},
     {"unreachable": "forgotten"}),
    (None, {})]  # no answer at all


@pytest.mark.parametrize(("said", "shown"), ANSWERS, ids=range(len(ANSWERS)))
def test_what_a_node_says_of_its_output_is_read_into_known_words(shared_liar, said, shown):
    cluster, jobs = shared_liar

    def answer(what, number, args):
        if what != "job.output" or said is None:
            return b""
        is_error = "error" in said
        return wire.frame(wire.RESPONSE, {"id": number, **(said if is_error else {"result": said})})

    with lies.as_node(cluster, "liar") as node:
        node.tell("job.report", [{"job": jobs[0], "attempt": 1, "state": "final", "ticket": "",
                                  "started_ms": 1, "record": RECORD}])
        with lies.Attended(node.peer, answer) as attended:
            begin = time.monotonic()
            assert fields(cluster.cli, jobs[0]) == shown
            assert time.monotonic() - begin < patient(30), "nobody waits for a node without end"
            while attended.seen.get(timeout=patient(30)) != "job.output":
                pass


@pytest.fixture(scope="module")
def shared_liar(shared):
    with lies.as_node(shared, "liar"):
        pass
    return shared, [shared.cli.submit("--wait-online", "liar", "true")]
