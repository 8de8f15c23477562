"""The time of a line is the time at which the job wrote it, whoever reads it and when.

No test measures how long anything takes: a line that a test made the job write, and has read from
it, was written in between; and all readers of a job, early and late, are told the same times.
"""
import datetime
import json
import re
import time

import pytest

from support import processes
from support.running import Running

ECHO = "echo $REXEC_JOB; while read x; do echo $x; echo $x >&2; done"


def the_clock_moves_on():
    """Whoever takes the time of reading for that of writing is a second off from here on."""
    second = int(time.time())
    processes.wait_until(lambda: int(time.time()) > second, "the next second")


def utc(event):
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", event["time"]), event
    return datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp()


def events(done, *kinds):
    found = [json.loads(line) for line in done.text.splitlines()]
    return [event for event in found if event["t"] in kinds]


def written(done):
    """What was written when, stream by stream and node by node."""
    return sorted((event["node"], event["t"], event["time"], event["data"])
                  for event in events(done, "out", "err"))


def shown(seconds):
    return time.strftime("%H:%M:%S", time.localtime(seconds))


def lines_shown(done, kind):
    """HH:MM:SS TEXT of each line, as the JSON lines say it must be."""
    return [f"{shown(utc(event))} {event['data']}" for event in events(done, kind)]


@pytest.fixture(scope="module")
def known(shared):
    """A job that has ended, and (text, earliest, latest) for each of its lines of both streams."""
    lines = []
    with Running(shared.cli, "-i", "n1", "--", "sh", "-c", ECHO, stdin=-1) as run:
        job = run.line()
        for text in ("one", "two", "three"):
            begun = time.time()
            run.type(text.encode() + b"\n")
            assert run.line() == text and run.err.line() == text
            lines.append((text, begun, time.time()))
        run.close_stdin()
        assert run.finish().code == 0
    the_clock_moves_on()
    return job, lines


READERS = [("logs",), ("logs", "-f"), ("attach",)]


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
@pytest.mark.parametrize("form", [("-o", "jsonl"), ("--json",), ("-o", "json", "--timestamps")],
                         ids=" ".join)
def test_json_lines_say_when_the_job_wrote_them(cli, known, reader, form):
    job, lines = known
    done = cli(*reader, *form, job).ok()
    for kind in ("out", "err"):
        told = [event for event in events(done, kind) if event["data"] != job + "\n"]
        assert [event["data"] for event in told] == [text + "\n" for text, _, _ in lines]
        for event, (text, begun, read) in zip(told, lines):
            assert int(begun * 1000) <= round(utc(event) * 1000) <= read * 1000, (text, event)


@pytest.mark.parametrize("reader", READERS, ids=" ".join)
def test_timestamps_are_when_the_job_wrote_a_line_not_when_it_is_read(cli, known, reader):
    job, _ = known
    done = cli(*reader, "--timestamps", job).ok()
    as_json = cli(*reader, "-o", "jsonl", job).ok()
    assert done.out.decode() == "".join(lines_shown(as_json, "out"))
    assert done.errors == "".join(lines_shown(as_json, "err"))


def test_a_run_shows_the_times_that_a_later_reader_is_told(cli):
    with Running(cli, "--timestamps", "-i", "n1", "--", "sh", "-c", ECHO, stdin=-1) as run:
        job = run.line().split()[1]
        run.type(b"a\n")
        assert run.line().endswith(" a")
        run.close_stdin()
        done = run.finish()
    the_clock_moves_on()
    later = cli("logs", "-o", "jsonl", job).ok()
    assert done.errors == "".join(lines_shown(later, "err"))


def test_a_line_has_the_time_of_its_first_byte(cli):
    script = "printf $REXEC_JOB; read go; echo; read end"
    with Running(cli, "-i", "n1", "--", "sh", "-c", script, stdin=-1) as run:
        job = run.out.wait_for(b"j-").decode()
        begun = time.time()
        the_clock_moves_on()
        run.type(b"go\n")
        job += run.line()
        run.type(b"end\n")
        run.finish()
    line = cli("logs", "--timestamps", job).ok().text
    first, newline = events(cli("logs", "-o", "jsonl", job).ok(), "out")
    assert newline["data"] == "\n" and utc(first) <= begun < utc(newline)
    assert line == f"{shown(utc(first))} {job}\n"


def test_every_node_of_a_fan_out_has_its_own_times(cli):
    live = cli.run("-o", "jsonl", "n1,n2", "--", "sh", "-c", "echo $REXEC_NODE; echo e >&2").ok()
    jobs = {event["node"]: event["job"] for event in events(live, "end")}
    with_words = cli.run("--timestamps", "n1,n2", "--", "sh", "-c", "echo hi; echo e >&2").ok()
    for text in (with_words.text, with_words.errors):
        assert sorted(re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in text.splitlines()) \
            in (["n1: hi", "n2: hi"], ["n1: e", "n2: e"]), text
    the_clock_moves_on()
    late = [written(cli("logs", "-o", "jsonl", job).ok()) for job in jobs.values()]
    assert sorted(line for one in late for line in one) == written(live)


def test_each_attempt_of_a_restarted_job_has_its_own_times(cli):
    live = cli.run("-o", "jsonl", "--restart", "on-failure:2", "n1", "--", "sh", "-c",
                   "echo $REXEC_ATTEMPT; exit 1")
    job = events(live, "end")[0]["job"]
    assert [line[3] for line in written(live)] == ["1\n", "2\n", "3\n"]
    the_clock_moves_on()
    assert written(cli("logs", "-o", "jsonl", job).ok()) == written(live)


def test_what_is_replayed_after_a_lost_link_has_the_times_at_which_it_was_written(cluster, tmp_path):
    proxy, go = cluster.proxy(), tmp_path / "go"
    cli = cluster.client_through(proxy)
    script = f"echo $REXEC_JOB; until [ -e {go} ]; do sleep 0.05; done; echo late; echo err >&2"
    with Running(cli, "-o", "jsonl", "n1", "--", "sh", "-c", script) as run:
        while True:
            first = run.line()
            if '"t":"out"' in first:
                break
        job = json.loads(first)["job"]
        proxy.hold()
        go.touch()
        direct = written(cluster.cli("logs", "-f", "-o", "jsonl", job).ok())
        the_clock_moves_on()
        proxy.cut()
        proxy.release()
        done = run.finish()
    assert done.code == 0
    assert written(done) == [line for line in direct if line[3] != job + "\n"]
    assert len(written(done)) == 2


# Pieces of all sizes on both streams: the frames of the spool, of the wire and of the relay are cut
# at different places.
PIECES = ("my $x = 'x' x 70000; for my $i (1 .. 400) { "
          "syswrite(STDOUT, substr($x, 0, $i * 7919 % 66000) . \"\\n\"); syswrite(STDERR, \"$i\\n\") }")


def test_bytes_and_digests_are_the_same_with_and_without_times(cli):
    plain = cli.run("n1", "--", "perl", "-e", PIECES).ok()
    timed = cli.run("--timestamps", "n1", "--", "perl", "-e", PIECES).ok()
    assert timed.status["complete"] and timed.status["xxh128"] == plain.status["xxh128"]
    for got, wanted in ((timed.out, plain.out), (timed.err, plain.err)):
        lines = got.split(b"\n")
        assert all(re.match(rb"\d\d:\d\d:\d\d ", line) for line in lines[:-1])
        assert b"\n".join(line[9:] for line in lines) == wanted


@pytest.mark.parametrize("policy", ["spill", "block"])
def test_a_quota_of_less_than_a_window_holds_nobody_who_wants_times(cli, policy):
    script = "head -c 3000000 /dev/zero | tr '\\0' x; echo END"
    done = cli.run("--timestamps", "--overflow", policy, "--output-quota", "1M", "n1", "--", "sh",
                   "-c", script)
    assert (done.code, len(done.out), done.out[-4:]) == (0, 3000004 + len("HH:MM:SS "), b"END\n")


def test_many_small_lines_for_a_reader_that_stands_still_arrive_whole(cli, tmp_path):
    # Each is a piece of its own, whose header costs credit and never the stream.
    path = tmp_path / "written"
    script = "for (1 .. 60000) { syswrite(STDOUT, \"$_\\n\") } open(F, '>', $ARGV[0])"
    with Running(cli, "--timestamps", "n1", "--", "perl", "-e", script, str(path)) as run:
        run.out.wait_count(1)
        run.out.pause()
        processes.wait_until(path.exists, "the job has written all of it", 60)
        run.out.resume()
        done = run.finish()
    assert done.code == 0
    assert [int(line[9:]) for line in done.out.splitlines()] == list(range(1, 60001))


def test_what_was_held_back_has_the_time_at_which_it_was_written(cli):
    job = cli.submit("--output-quota", "1M", "--overflow", "block", "n1", "--", "sh", "-c",
                     "head -c 3000000 /dev/zero | tr '\\0' x")
    processes.wait_until(lambda: "held" in cli.job(job), "it stands still at its quota")
    held = time.time()
    kept = events(cli("logs", "-o", "jsonl", job).ok(), "out")
    end_of_kept = kept[-1]["offset"] + len(kept[-1]["data"])
    the_clock_moves_on()
    later = events(cli("attach", "-o", "jsonl", job).ok(), "out")
    # The frame that did not fit any more was read from the job before it was held.
    first = next(event for event in later if event["offset"] == end_of_kept)
    assert utc(first) <= held < utc(later[-1])
