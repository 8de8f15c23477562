"""The status JSON and what a submit prints: refused before anything runs, or said and not in the way."""
import json
import os
import subprocess

import pytest

from support.cli import BINARY


@pytest.mark.parametrize("where", ["directory", "in a file", "slash", "missing", "socket"])
def test_a_status_file_that_cannot_be_is_refused_before_anything_runs(cli, tmp_path, where):
    import socket
    (tmp_path / "file").write_text("")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "socket"))
    path = {"directory": tmp_path, "in a file": tmp_path / "file" / "x", "slash": f"{tmp_path}/new/",
            "missing": tmp_path / "no" / "status", "socket": tmp_path / "socket"}[where]
    for verb in ("run", "submit"):
        done = cli(verb, "--status-file", str(path), "n1", "touch", str(tmp_path / "ran"))
        assert done.code == 125 and "--status-file" in done.errors, done
    assert not (tmp_path / "ran").exists()


def test_a_read_only_status_descriptor_is_refused_before_anything_runs(cli, tmp_path):
    with open("/dev/null", "rb") as null:
        done = cli("run", "--status-fd", str(null.fileno()), "n1", "touch", str(tmp_path / "ran"),
                   pass_fds=[null.fileno()])
    assert done.code == 125 and "--status-fd" in done.errors, done
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("code", [0, 7])
def test_a_status_that_cannot_be_written_at_the_end_is_said_and_the_code_is_kept(cli, code):
    done = cli("run", "--status-file", "/dev/full", "n1", "sh", "-c", f"echo ran; exit {code}")
    assert (done.code, done.text) == (code, "ran\n"), done
    assert "/dev/full" in done.errors and "status was not written" in done.errors, done


def test_checking_the_status_file_leaves_nothing_behind(cli, tmp_path):
    done = cli("run", "--status-file", str(tmp_path / "status"), "n1", "ls", "-A", str(tmp_path))
    assert (done.code, done.text) == (0, ""), done
    assert os.listdir(tmp_path) == ["status"]
    assert json.loads((tmp_path / "status").read_text())["code"] == 0


@pytest.mark.parametrize("argv", [("submit",), ("run", "-d"), ("-q", "submit"), ("submit", "--json")])
def test_an_id_that_cannot_be_printed_is_said_on_stderr_and_is_no_success(cli, argv):
    before = set(cli("ps", "-a", "-o", "name").ok().text.split())
    with open("/dev/full", "wb") as full:
        done = cli(*argv, "n1", "true", stdout=full)
    made = set(cli("ps", "-a", "-o", "name").ok().text.split()) - before
    assert done.code == 1 and len(made) == 1, done
    assert made.pop() in done.errors and "No space left" in done.errors, done


def test_an_id_that_nobody_reads_is_said_too(cli):
    reader, writer = os.pipe()
    os.close(reader)
    done = cli("submit", "n1", "true", stdout=writer)
    os.close(writer)
    assert done.code == 1 and "j-" in done.errors, done


def without_stdout(cli, *argv):
    """The code and the errors of a command whose stdout is closed."""
    done = subprocess.run(["sh", "-c", 'exec "$0" "$@" >&-', str(BINARY), *argv], env=cli.env,
                          stdin=subprocess.DEVNULL, capture_output=True, timeout=60, check=False)
    return done.returncode, done.stderr.decode()


@pytest.mark.parametrize("argv,code", [
    (("run", "n1", "seq", "1", "3"), 122), (("run", "n1,n2", "seq", "1", "3"), 123),
    (("submit", "n1", "true"), 1), (("token", "new", "--node", "other"), 1), (("node", "ls"), 1),
    (("-o", "json", "whoami"), 1), (("version",), 1), (("run", "--help"), 1)])
def test_what_a_closed_stdout_loses_is_no_success(cli, argv, code):
    ended, errors = without_stdout(cli, *argv)
    assert ended == code and "Bad file descriptor" in errors, (ended, errors)


@pytest.mark.parametrize("argv", [("run", "n1", "true"), ("node", "wait", "n1"),
                                  ("run", "n1", "sh", "-c", "echo words >&2")])
def test_a_command_without_output_needs_no_stdout(cli, argv):
    ended, errors = without_stdout(cli, *argv)
    assert ended == 0 and "descriptor" not in errors, (ended, errors)


def full_run(cli, *argv, verb="run"):
    with open("/dev/full", "wb") as full:
        return cli.run(*argv, verb=verb, stdout=full)


@pytest.mark.parametrize("command", [
    ("seq", "1", "100000"),
    ("sh", "-c", "trap '' PIPE; seq 1 100000 2>&-; exit 0"),
    ("echo", "short")])
def test_output_that_could_not_be_written_is_incomplete_in_the_status_too(cli, command):
    done = full_run(cli, "n1", *command)
    assert done.code == 122 and "No space left" in done.errors, done
    assert done.status["complete"] is False, done
    assert done.status["reason"] == "output_not_written", done


def test_a_job_without_output_is_complete_on_a_full_disk(cli):
    done = full_run(cli, "n1", "sh", "-c", "echo oops >&2; exit 3")
    assert (done.code, done.errors, done.status["complete"]) == (3, "oops\n", True), done


def test_of_several_nodes_those_that_wrote_are_incomplete(cli):
    done = full_run(cli, "n1,n2", "sh", "-c", "test $REXEC_NODE = n2 || echo out")
    whole = {status["node"]: status["complete"] for status in done.statuses}
    assert (done.code, whole) == (123, {"n1": False, "n2": True}), done


@pytest.mark.parametrize("verb", [("attach",), ("logs",), ("logs", "-f")])
def test_a_position_beyond_the_end_is_a_usage_error_and_the_same_everywhere(cli, verb):
    job = cli.submit("n1", "sh", "-c", "echo four; echo e >&2; exit 7")
    cli("wait", job)
    for where in ("99", "out=6", "err=3", "out=0,err=3"):
        done = cli(*verb, "--from", where, job)
        assert (done.code, done.out) == (2 if verb == ("logs",) else 125, b""), done
        assert "--from" in done.errors and "incomplete" not in done.errors, done
        text = "5 bytes of stdout" if "err" not in where else "2 bytes of stderr"
        assert text in done.errors and "see: rexec logs" in done.errors, done
    end = cli(*verb, "--from", "out=5,err=2", job)
    assert (end.code, end.out, end.err) == (0 if verb == ("logs",) else 7, b"", b""), end


def test_attach_beyond_the_end_is_in_its_status(cli):
    job = cli.submit("n1", "echo", "four")
    cli("wait", job)
    done = cli.run("--from", "99", job, verb="attach")
    assert done.code == done.status["code"] == 125, done
    assert (done.status["node"], done.status["reason"]) == (job, "usage")


def follow_from_15(cli, tmp_path, verb, rest):
    """What a reader gets of a job that has written 11 bytes when it comes, and then does the rest."""
    go = tmp_path / "go"
    os.mkfifo(go)
    job = cli.submit("n1", "sh", "-c", f"echo 0123456789; read x <{go}; {rest}")
    follower = cli.popen(*verb, "--from", "15", job)
    with open(go, "w") as told:  # opens when the job reads
        told.write("\n")
    out, err = follower.communicate(timeout=30)
    return follower.returncode, out, err


@pytest.mark.parametrize("verb", [("attach",), ("logs", "-f")])
def test_a_position_that_is_not_reached_yet_is_waited_for(cli, tmp_path, verb):
    assert follow_from_15(cli, tmp_path, verb, "echo abcdef; exit 4") == (4, b"ef\n", b"")


@pytest.mark.parametrize("verb", [("attach",), ("logs", "-f")])
def test_a_position_that_is_never_reached_is_an_error_at_the_end(cli, tmp_path, verb):
    code, out, err = follow_from_15(cli, tmp_path, verb, ":")
    assert (code, out) == (125, b"") and b"11 bytes of stdout" in err, err


def test_the_status_of_an_offline_node_is_the_same_alone_and_among_others(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.join("n8")
    alone = cluster.cli.run("n8", "true").status
    among = next(s for s in cluster.cli.run("n1,n8", "true").statuses if s["node"] == "n8")
    assert alone["job"] is None and among["job"].startswith("j-")
    for status in (alone, among):
        assert (status["outcome"], status["code"], status["signal"]) == ("unreachable", 125, None)
        assert (status["complete"], status["reason"]) == (False, "node_offline"), status
        assert status["xxh128"] == {"out": "", "err": ""} and "n8" in status["message"]
    assert set(alone) == set(among)


def test_submit_prints_a_list_in_json_and_an_object_a_line_in_jsonl(cli):
    for target, nodes in (("n1", ["n1"]), ("n1,n2", ["n1", "n2"])):
        made = cli("submit", "-o", "json", target, "true").ok().json()
        assert sorted(job["node"] for job in made) == nodes
        lines = cli("submit", "-o", "jsonl", target, "true").ok().text.splitlines()
        assert sorted(json.loads(line)["node"] for line in lines) == nodes


def test_the_summary_of_logs_has_the_code_of_the_job(cli, tmp_path):
    job = cli.submit("n1", "sh", "-c", "exit 4")
    cli("wait", job)
    for flags, code in (((), 0), (("-f",), 4)):
        done = cli("logs", *flags, "-o", "jsonl", job)
        end, summary = [json.loads(line) for line in done.text.splitlines()]
        assert (done.code, end["code"], summary["code"]) == (code, 4, 4), done
    os.mkfifo(tmp_path / "go")
    job = cli.submit("n1", "sh", "-c", f"read x <{tmp_path}/go")
    done = cli("logs", "-o", "jsonl", job)
    assert done.code == 0 and json.loads(done.text.splitlines()[-1])["code"] is None, done
    cli("stop", job)
