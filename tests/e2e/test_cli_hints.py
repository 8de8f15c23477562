"""What an error tells people to do next, and small things that were said wrongly or not at all."""
import json
import os
import pathlib

import pytest


# ---- refused

@pytest.mark.parametrize("value", ["", "=x", "="])
def test_a_variable_without_a_name_is_refused(cli, tmp_path, value):
    done = cli("run", "-e", value, "n1", "touch", str(tmp_path / "ran"))
    assert done.code == 125 and "--env" in done.errors and "K=V" in done.errors, done
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("flags", [("--user", ""), ("--ttl", "0"),
                                   ("--user", "ann", "--ttl", "0s"), ("--ttl", "10ms")])
def test_a_token_for_nobody_or_for_no_time_is_refused(cli, flags):
    before = len(cli("token", "ls", "-o", "name").ok().text.split())
    done = cli("token", "new", *flags)
    assert (done.code, done.out) == (2, b"") and flags[-2] in done.errors, done
    assert len(cli("token", "ls", "-o", "name").ok().text.split()) == before


# ---- doctor, explain

@pytest.mark.parametrize("content", [b"", b"garbage", None])
def test_doctor_finds_a_damaged_key(make_cluster, content):
    cluster = make_cluster(nodes=0)
    if content is None:
        content = (cluster.new_user("ann").context_dir() / "key.der").read_bytes()
    (cluster.cli.context_dir() / "key.der").write_bytes(content)
    done = cluster.cli("doctor", "--json")
    key = {row["check"]: row for row in done.json()}["key"]
    assert done.code == 2 and key["health"] == "failed", key
    assert "rexec login" in key["mend"], key


def test_a_table_in_a_pipe_is_whole(cli):
    text = cli("explain").ok().text
    assert "…" not in text
    assert all(len(line.split()) > 3 for line in text.splitlines())
    words = [f"word{number}" for number in range(15)]
    job = cli.submit("n1", "echo", *words)
    cli("wait", job).ok()
    assert " ".join(words) in next(line for line in cli("ps", "-a").ok().text.splitlines()
                                   if line.startswith(job))


# ---- the status of a command line that is wrong

@pytest.mark.parametrize("argv", [
    ("run", "--foo", "--status-file", "S", "n1", "true"),
    ("run", "--status-file=S", "--foo", "n1", "true"),
    ("run", "--status-file", "S", "--fold", "n1", "true"),
    ("run", "--status-file", "S"),
    ("submit", "--status-file", "S", "--foo=1", "n1", "true"),
    ("attach", "--foo", "--status-file", "S", "j-1234"),
    ("run", "--status-file", "S", "-o", "yaml", "n1", "true")])
def test_a_wrong_command_line_is_in_the_status_file_too(cli, tmp_path, argv):
    path = tmp_path / "S"
    done = cli(*[word.replace("S", str(path)) for word in argv])
    assert done.code == 125, done
    status = json.loads(path.read_text())
    assert (status["outcome"], status["code"], status["reason"]) == ("not_started", 125, "usage")


def test_what_belongs_to_the_command_is_no_status_file(cli, tmp_path):
    path = tmp_path / "S"
    assert cli("run", "--foo", "n1", "echo", "--status-file", str(path)).code == 125
    assert cli("run", "--foo", "--status-file", str(tmp_path), "n1", "true").code == 125
    assert not path.exists() and pathlib.Path(tmp_path).is_dir() and os.listdir(tmp_path) == []
