"""What an error tells people to do next, and small things that were said wrongly or not at all."""
import json
import os
import pathlib
import shlex
import subprocess

import pytest

from support.cli import BINARY, Cli, SANITIZED


# ---- hints

def test_what_a_node_refuses_names_the_node_and_what_to_do(cli):
    done = cli("run", "n1", "nosuchcmd")
    assert done.code == 127 and "rexec: n1: nosuchcmd: No such file" in done.errors, done
    assert "--sh" in done.errors and "rexec explain not_found_exec" in done.errors, done
    done = cli("run", "n2", "/etc")
    assert done.code == 126 and "n2: /etc: " in done.errors, done
    assert "rexec explain not_executable" in done.errors, done
    done = cli("run", "-u", "nosuch", "n1", "true")
    assert done.code == 120 and "rexec: n1: " in done.errors and "nosuch" in done.errors, done
    assert "see: rexec node show n1" in done.errors, done


def test_of_several_nodes_each_is_named_once_without_a_hint(cli):
    done = cli("run", "n1,n2", "nosuchcmd")
    lines = sorted(done.errors.splitlines())
    assert lines == [f"rexec: {node}: nosuchcmd: No such file or directory"
                     for node in ("n1", "n2")]


def test_an_unknown_token_has_a_next_command(cli):
    done = cli("token", "revoke", "t-x")
    assert done.code == 3 and "see: rexec token ls" in done.errors, done


def test_a_person_s_token_for_another_name_has_a_next_command(cluster, tmp_path):
    token = cluster.cli("token", "new", "--user", "ann").ok().text.strip()
    done = Cli(tmp_path / "ann")("login", "--name", "bob", token)
    assert done.code == 4 and "rexec token new --user bob" in done.errors, done


def test_a_controller_of_this_machine_that_is_down_is_asked_with_its_directory(cluster):
    cluster.controller.stop()
    data = cluster.controller.data
    for verb in (("node", "ls"), ("run", "n1", "true")):
        done = cluster.cli(*verb)
        line = next(line for line in done.errors.splitlines() if "controller status" in line)
        command = line[line.index("rexec "):]
        assert shlex.split(command) == ["rexec", "controller", "status", "--data", str(data)], done
        assert cluster.cli(*shlex.split(command)[1:]).code == 1


def test_who_has_no_such_directory_is_sent_to_the_controller_s_machine(cluster):
    ann = cluster.new_user("ann")
    cluster.controller.stop()
    done = ann("node", "ls")
    assert done.code == 5 and "on its machine: rexec controller status" in done.errors, done


def test_the_chmod_of_an_exposed_key_can_be_pasted(make_cluster, tmp_path):
    home = tmp_path / "a home with 'quotes'"
    cluster = make_cluster(nodes=0)
    ann = Cli(home)
    ann("login", cluster.cli("token", "new", "--user", "ann").ok().text.strip()).ok()
    (ann.context_dir() / "key.der").chmod(0o644)
    done = ann("node", "ls")
    line = next(line for line in done.errors.splitlines() if line.strip().startswith("chmod "))
    subprocess.run(["sh", "-c", line.strip()], check=True)
    ann("node", "ls").ok()


def test_a_configuration_that_was_named_and_is_not_there_is_named(cli, tmp_path):
    missing = tmp_path / "nope"
    for done in (cli("--config", str(missing), "node", "ls"),
                 cli("node", "ls", env={**cli.env, "REXEC_CONFIG": str(missing)})):
        assert done.code == 4 and str(missing) in done.errors, done
    stranger = Cli(tmp_path / "stranger")
    assert "config.toml" not in stranger("node", "ls").errors


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


def test_the_number_of_jobs_is_from_1_to_a_million(cli):
    for number in ("0", "1000001", "-1"):
        done = cli("ps", "-n", number)
        assert done.code == 2 and "from 1 to 1000000" in done.errors, done
    assert "1 to 1000000" in cli("ps", "--help").ok().text


@pytest.mark.skipif(SANITIZED, reason="not here: the sanitizer itself needs descriptors")
@pytest.mark.parametrize("few", [6, 8, 10, 12])
def test_too_few_descriptors_are_an_error_with_words(cli, few):
    script = f'ulimit -n {few}; exec "$0" run --status-file "$1" n1 -- true'
    status = cli.home / f"few-{few}"
    done = subprocess.run(["sh", "-c", script, str(BINARY), str(status)], env=cli.env,
                          capture_output=True, timeout=30, check=False)
    errors = done.stderr.decode()
    assert done.returncode == 125 and "open files" in errors and "terminate" not in errors, errors


@pytest.mark.parametrize("content,line", [
    ("A=1\nexport C=3\n", 2), (" D = 4\n", 1), ("A=1\n\n=x\n", 3), ("two words\n", 1)])
def test_a_line_that_names_no_variable_is_an_error_with_its_place(cli, tmp_path, content, line):
    file = tmp_path / "env"
    file.write_text(content)
    done = cli("run", "--env-file", str(file), "n1", "touch", str(tmp_path / "ran"))
    assert done.code == 125 and f"--env-file: {file}:{line}:" in done.errors, done
    assert "write K=V" in done.errors and not (tmp_path / "ran").exists(), done


def test_an_environment_from_windows_is_read(cli, tmp_path):
    file = tmp_path / "env"
    file.write_bytes(b"\xef\xbb\xbfA=1\r\n# words\r\nB=two words\r\n")
    done = cli("run", "--env-file", str(file), "n1", "sh", "-c", "echo $A,$B,")
    assert done.text == "1,two words,\n", done


@pytest.mark.parametrize("first,word", [("#!/no/such/interpreter -x", "/no/such/interpreter"),
                                        ("#!/bin/sh\r", "CR LF")])
def test_a_script_without_its_interpreter_names_it(cli, tmp_path, first, word):
    (tmp_path / "s").write_text(first + "\ntrue\n", newline="")
    done = cli("run", "--script", str(tmp_path / "s"), "n1")
    assert done.code == 127 and word in done.errors and "--sh" not in done.errors, done


def test_logs_of_no_job_is_no_such_object_unless_it_follows(cli):
    assert cli("logs", "j-nonononono").code == 3
    assert cli("logs", "-f", "j-nonononono").code == 125


def test_explain_timeout_tells_the_code_of_a_job_that_reached_it(cli):
    text = cli("explain", "timeout").ok().text
    assert "exit 124" in text and "124 for --timeout" in text


def test_explain_incomplete_speaks_of_output_that_the_node_gave_up_too(cli):
    text = cli("explain", "incomplete").ok().text
    for part in ["disk was full", "gave the output up", "keep_read_output", "keep_bytes",
                 "rexec submit", "Exit: 122.\n"]:
        assert part in text, (part, text)


@pytest.mark.parametrize("toml", [None, "x = [\n"], ids=["none", "damaged"])
def test_daemons_have_one_code_for_a_wrong_configuration(cli, tmp_path, toml):
    for daemon in ("controller", "agent"):
        if toml is not None:
            (tmp_path / f"{daemon}.toml").write_text(toml)
        for verb in ("run", "status"):
            done = cli(daemon, verb, "--data", str(tmp_path))
            assert done.code == 2 and f"{daemon}.toml" in done.errors, done


def test_an_empty_directory_for_the_job_is_refused(cli):
    done = cli("run", "-w", "", "n1", "true")
    assert done.code == 125 and "--workdir" in done.errors, done


# ---- what, where, and the next command

def test_a_directory_that_is_not_there_is_called_one(cli, tmp_path):
    done = cli("run", "-w", "/nope", "n1", "true")
    assert done.code == 125 and "directory: /nope" in done.errors and "--workdir" in done.errors, done
    gone = tmp_path / "gone"
    gone.mkdir()
    script = 'cd "$1" && rmdir "$1" && exec "$0" run --here n1 -- true'
    done = subprocess.run(["sh", "-c", script, str(BINARY), str(gone)], env=cli.env,
                          capture_output=True, timeout=30, check=False)
    assert done.returncode == 125 and b"--here: this directory" in done.stderr, done.stderr
    assert b"removed" in done.stderr, done.stderr


@pytest.mark.parametrize("flag", ["--env-file", "--script"])
def test_a_file_that_cannot_be_read_is_named_with_its_flag(cli, flag, tmp_path):
    for path in ("/nope", str(tmp_path)):
        done = cli("run", flag, path, "n1", "true")
        assert done.code == 125 and f"{flag}: {path}" in done.errors, done
        assert len(done.errors.splitlines()) > 1, done


def test_a_token_file_that_is_not_there_is_named_with_its_variable(cli):
    done = cli("login", env={**cli.env, "REXEC_TOKEN_FILE": "/nope"})
    assert done.code != 0 and "REXEC_TOKEN_FILE: /nope" in done.errors, done
    done = cli("login", "-", input=b"")
    assert done.code == 2 and "it is empty" in done.errors, done


@pytest.mark.parametrize("content", [b"\xff\xfe", b'foo = "x"\n', None])
def test_a_wrong_configuration_has_a_next_command(cli, tmp_path, content):
    file = tmp_path / "c"
    file.write_bytes(content) if content else file.mkdir()
    done = cli("--config", str(file), "whoami")
    assert done.code == 2 and "--config FILE" in done.errors, done


def test_node_wait_names_the_nodes_that_did_not_come(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.join("n8")
    done = cluster.cli("node", "wait", "--timeout", "10ms", "n1", "n8")
    assert done.code == 1 and ": n8\n" in done.errors, done


@pytest.mark.parametrize("argv", [
    ("run", "-t", "n1,n2", "true"), ("run", "--children", "king", "n1", "true"),
    ("token", "new", "--user", "x", "--role", "king"), ("join", "--data", "", "rx1_")])
def test_a_wrong_value_has_a_next_step(cli, argv):
    done = cli(*argv)
    assert done.code in (2, 125) and len(done.errors.splitlines()) > 1, done


def test_a_key_that_is_a_directory_is_called_one(cluster):
    ann = cluster.new_user("ann")
    key = ann.context_dir() / "key.der"
    key.unlink()
    key.mkdir(mode=0o755)
    done = ann("whoami")
    assert "Is a directory" in done.errors and "read by others" not in done.errors, done


def test_stop_does_not_claim_what_ended_by_itself(cli):
    job = cli.submit("n1", "sh", "-c", "exit 3")
    cli("wait", job)
    assert cli("stop", job).ok().text == f"{job} has ended: exited 3\n"
    job = cli.submit("n1", "sleep", "1000")
    assert cli("stop", job).ok().text == f"stopped {job}\n"


@pytest.mark.parametrize("argv", [("run", "--fold", "n1", "true"), ("node", "label", "n1"),
                                  ("agent", "install"), ("node", "drain", "n1")])
def test_what_comes_later_is_said_to_be_not_in_this_version(cli, argv):
    done = cli(*argv)
    assert done.code in (2, 125) and "not in this version" in done.errors, done


@pytest.mark.parametrize("where", ["", "out=1,out=2", "out=1,err=2,err=3", ","])
def test_a_position_is_given_once(cli, where):
    for verb, code in ((("logs",), 2), (("logs", "-f"), 125), (("attach",), 125)):
        done = cli(*verb, "--from", where, "j-nonononono")
        assert done.code == code and "--from" in done.errors, done


def test_the_status_file_keeps_to_the_umask(cli, tmp_path):
    for mask, mode in (("077", 0o600), ("022", 0o644)):
        file = tmp_path / mask
        script = f'umask {mask}; exec "$0" run --status-file "$1" n1 -- true'
        subprocess.run(["sh", "-c", script, str(BINARY), str(file)], env=cli.env, timeout=30,
                       check=True)
        assert file.stat().st_mode & 0o777 == mode


def test_a_join_that_is_refused_leaves_no_directory(cluster):
    token = cluster.token("--node", "n2")
    data = cluster.root / "refused"
    assert cluster.cli("join", "--no-start", "--data", str(data), "--name", "other", token).code != 0
    assert not data.exists()
