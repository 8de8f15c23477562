"""Several nodes at once: lists and @all, prefixes, whole lines, JSON lines, exit 123."""
import json
import os
import signal

import pytest

from support import processes
from support.running import Running


def by_node(done):
    return {status["node"]: status for status in done.statuses}


@pytest.mark.parametrize("target,nodes", [
    ("n1,n2", ["n1", "n2"]), ("@all", ["n1", "n2", "n3"]), ("n3,n1,n3", ["n1", "n3"]),
    ("n[1-3]", ["n1", "n2", "n3"]), ("@all&!n2", ["n1", "n3"]),
])
def test_every_node_runs_it_once_with_its_name_before_each_line(cli, target, nodes):
    done = cli.run(target, "sh", "-c", "echo one $REXEC_NODE; echo two >&2")
    assert done.code == 0, done
    assert sorted(done.text.splitlines()) == [f"{n}: one {n}" for n in nodes]
    assert sorted(done.errors.splitlines()) == [f"{n}: two" for n in nodes]
    assert sorted(by_node(done)) == nodes
    assert all(status["outcome"] == "exited" for status in done.statuses)


def test_one_failure_is_123_and_the_status_says_whose(cli):
    done = cli.run("@all", "sh", "-c", "[ $REXEC_NODE != n2 ] || exit 42")
    assert done.code == 123, done
    assert {n: s["code"] for n, s in by_node(done).items()} == {"n1": 0, "n2": 42, "n3": 0}
    assert "n2" in done.errors and "42" in done.errors


@pytest.mark.parametrize("rule,code", [("max", 42), ("any", 0), ("first", 42)])
def test_exit_chooses_another_rule(cli, rule, code):
    done = cli.run("--exit", rule, "@all", "sh", "-c", "[ $REXEC_NODE != n2 ] || exit 42")
    assert done.code == code, done


def test_an_unknown_name_in_a_list_starts_nothing(cli, tmp_path):
    done = cli.run("n1,nosuch", "touch", str(tmp_path / "started"))
    assert done.code == 125 and not (tmp_path / "started").exists(), done


def test_lines_are_never_torn(cli):
    script = "i=0; while [ $i -lt 300 ]; do printf 'aaaa'; printf 'bbbb\\n'; i=$((i+1)); done"
    done = cli.run("@all", "sh", "-c", script)
    lines = done.text.splitlines()
    assert len(lines) == 900 and set(lines) == {f"{n}: aaaabbbb" for n in ("n1", "n2", "n3")}


def test_a_line_of_megabytes_is_not_torn_either(cli):
    script = ("for i in 1 2 3; do head -c 3000000 /dev/zero | tr '\\0' x; echo; echo short; "
              "head -c 70000 /dev/zero | tr '\\0' y; echo; done; printf last; [ $REXEC_NODE = n2 ]")
    done = cli.run("@all", "sh", "-c", script)
    lines = sorted(done.text.splitlines())
    parts = ["x" * 3000000, "short", "y" * 70000] * 3 + ["last"]
    assert [len(line) for line in lines] == [
        len(line) for line in sorted(f"{n}: {part}" for n in ("n1", "n2", "n3") for part in parts)]
    assert lines == sorted(f"{n}: {part}" for n in ("n1", "n2", "n3") for part in parts)
    assert done.code == 123 and "n3: exit 1" in done.errors


def test_a_line_that_does_not_end_is_broken_for_the_others(cli, tmp_path):
    script = (f"if [ $REXEC_NODE = n1 ]; then head -c 200000 /dev/zero | tr '\\0' x; "
              f"cat {tmp_path}/a; else cat {tmp_path}/b; echo other; fi")
    for name in ("a", "b"):
        os.mkfifo(tmp_path / name)
    with Running(cli, "n1,n2", "sh", "-c", script) as run:
        run.out.wait_count(200000)
        (tmp_path / "b").write_text("")
        assert run.line() == "n1: " + "x" * 200000
        assert run.line() == "n2: other"
        (tmp_path / "a").write_text("end\n")
        assert run.line() == "n1: end"
        assert run.finish().code == 0


def test_a_last_line_without_newline_is_shown_whole(cli):
    done = cli.run("n1,n2", "printf", "no newline")
    assert sorted(done.text.splitlines()) == ["n1: no newline", "n2: no newline"]


def test_no_prefix_takes_it_away(cli):
    done = cli.run("--no-prefix", "n1,n2", "echo", "hi").ok()
    assert done.text == "hi\nhi\n"


def test_jsonl_is_one_object_a_line_with_end_and_summary_last(cli):
    done = cli.run("-o", "jsonl", "n1,n2", "sh", "-c", "echo out; echo err >&2; exit 3")
    objects = [json.loads(line) for line in done.text.splitlines()]
    assert done.code == 123 and all(o["v"] == 1 for o in objects), done
    assert objects[-1]["t"] == "summary"
    for node in ("n1", "n2"):
        mine = [o for o in objects if o.get("node") == node]
        assert mine[0]["t"] in ("start", "state") and mine[-1]["t"] == "end"
        assert mine[-1]["code"] == 3 and mine[-1]["outcome"] == "exited"
        assert "".join(o["data"] for o in mine if o["t"] == "out") == "out\n"
        assert "".join(o["data"] for o in mine if o["t"] == "err") == "err\n"
        assert [o["seq"] for o in mine] == sorted(o["seq"] for o in mine)
        assert all(o["job"].startswith("j-") for o in mine)


def test_jsonl_carries_bytes_that_are_no_text(cli):
    import base64
    done = cli.run("-o", "jsonl", "n1", "printf", r"\377\000x").ok()
    objects = [json.loads(line) for line in done.text.splitlines()]
    raw = b"".join(base64.b64decode(o["base64"]) if "base64" in o else o["data"].encode()
                   for o in objects if o["t"] == "out")
    assert raw == b"\xff\x00x"


def test_stdin_goes_to_every_node(cli):
    done = cli.run("-i", "@all", "cat", input=b"same for all\n")
    assert sorted(done.text.splitlines()) == [f"n{i}: same for all" for i in (1, 2, 3)], done


def test_ctrl_c_reaches_every_node(cli):
    # No shell: dash forgets a signal that comes while it starts a command.
    script = '$| = 1; print "$ENV{REXEC_JOB}\\n"; sleep 1000'
    with Running(cli, "@all", "perl", "-e", script) as run:
        jobs = [run.line().split(": ")[1] for _ in range(3)]
        run.signal(signal.SIGINT)
        done = run.finish()
    assert {s["signal"] for s in done.statuses} == {signal.SIGINT}, done
    for job in jobs:
        assert processes.with_environment("REXEC_JOB", job) == []


def test_a_detached_fan_out_prints_an_id_for_each_node(cli):
    jobs = cli("submit", "@all", "sh", "-c", "echo $REXEC_NODE").ok().text.split()
    assert len(jobs) == 3 and all(job.startswith("j-") for job in jobs)
    assert cli("wait", *jobs).code == 0
    assert sorted(cli("logs", job).text for job in jobs) == ["n1\n", "n2\n", "n3\n"]


def test_a_slow_node_does_not_hold_the_others_lines(cli, tmp_path):
    script = f"[ $REXEC_NODE = n1 ] && while [ ! -e {tmp_path}/go ]; do sleep 0.02; done; echo done"
    with Running(cli, "@all", "sh", "-c", script) as run:
        assert sorted([run.line(), run.line()]) == ["n2: done", "n3: done"]
        (tmp_path / "go").touch()
        assert run.line() == "n1: done"
        assert run.finish().code == 0
