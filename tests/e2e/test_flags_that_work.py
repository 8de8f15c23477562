"""A flag changes something or is refused; no failure of several is without a word; nobody is asked
where nobody can answer."""
import json
import os
import re
import subprocess

import pytest

from support.cli import BINARY, Cli
from support.running import Running
from support.terminal import Terminal

FLAG = re.compile(r"^ {2}(?:-\S, | {4})--([a-z0-9-]+)", re.MULTILINE)


def flags_in_help(*verb):
    text = subprocess.run([BINARY, *verb, "--help"], capture_output=True, text=True, check=True,
                          timeout=60).stdout
    return set(FLAG.findall(text.split("flags:\n", 1)[1].split("\n\n")[0]))


def json_lines(text):
    return [json.loads(line) for line in text.splitlines()]


# ---- what only somebody who watches has a use for

WATCHING = [("--timestamps",), ("--no-prefix",), ("--exit", "max")]


@pytest.mark.parametrize("verb", [("submit",), ("run", "-d")], ids=" ".join)
@pytest.mark.parametrize("flag", WATCHING, ids=lambda flag: flag[0])
def test_a_flag_for_those_who_watch_is_refused_where_nobody_does(cli, tmp_path, verb, flag):
    done = cli(*verb, *flag, "n1", "touch", str(tmp_path / "ran"))
    assert (done.code, done.out) == (125, b"") and flag[0] in done.errors, done
    assert "rexec logs" in done.errors and not (tmp_path / "ran").exists()


@pytest.mark.parametrize("verb", [("submit",), ("run", "-d")], ids=" ".join)
@pytest.mark.parametrize("how", ["stop", "stop-after=1h"])
def test_a_detached_job_is_not_accepted_with_a_rule_for_its_client(cli, tmp_path, verb, how):
    proof = tmp_path / "ran"
    done = cli(*verb, "--on-disconnect", how, "n1", "touch", str(proof))
    assert (done.code, done.out) == (125, b"") and f"--on-disconnect {how}" in done.errors, done
    assert "no client" in done.errors and "leave it out" in done.errors and not proof.exists()
    job = cli(*verb, "--on-disconnect", "keep", "n1", "touch", str(proof)).ok().text.strip()
    assert cli("wait", job).code == 0 and proof.exists()


def test_a_job_of_a_file_is_not_accepted_with_it_either(cli, tmp_path):
    jobs, proof = tmp_path / "jobs.toml", tmp_path / "ran"
    jobs.write_text(f'[one]\ntarget = "n1"\ncmd = ["touch", "{proof}"]\non-disconnect = "stop"\n')
    done = cli("submit", "--dag", str(jobs))
    assert done.code == 125 and "[one]" in done.errors and "no client" in done.errors, done
    assert not proof.exists()


def test_completion_of_submit_offers_the_rule_that_it_takes(cli):
    assert cli("__complete", "submit", "--on-disconnect", "").text.split() == ["keep"]
    assert "stop-after=" in cli("__complete", "run", "--on-disconnect", "").text


def test_help_and_completion_of_submit_do_not_offer_what_it_refuses(cli):
    offered = flags_in_help("submit")
    assert offered.isdisjoint(flag[0][2:] for flag in WATCHING)
    assert {flag[0][2:] for flag in WATCHING} <= flags_in_help("run")
    shown = cli("__complete", "submit", "--").text
    assert "--status-file" in shown and not any(flag[0] in shown for flag in WATCHING)


@pytest.mark.parametrize("verb", [("submit",), ("run", "-d")], ids=" ".join)
def test_the_status_of_a_submit_is_which_jobs_were_accepted(cli, verb):
    done = cli.run(*verb[1:], "n1,n2", "true", verb=verb[0]).ok()
    accepted = {status["job"]: status for status in done.statuses}
    assert set(accepted) == set(done.text.split()) and len(accepted) == 2
    assert {status["node"] for status in accepted.values()} == {"n1", "n2"}
    for status in accepted.values():
        assert (status["outcome"], status["code"], status["signal"]) == ("accepted", None, None)
        assert status["complete"] is False and status["reason"] == ""
    ended = cli.run("n1", "true").status
    assert set(ended) >= set(accepted.popitem()[1]) - {"message"}


def test_the_status_of_a_submit_that_was_refused_says_why(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.join("away")
    done = cluster.cli.run("no-such-node", "true", verb="submit")
    assert done.code == 125 and done.status["outcome"] == "not_started", done
    assert (done.status["reason"], done.status["job"]) == ("unknown_node", None)
    done = cluster.cli.run("n1,away", "true", verb="submit")
    outcomes = {status["node"]: status["outcome"] for status in done.statuses}
    assert outcomes == {"n1": "accepted", "away": "unreachable"}, done


# ---- -o and --json

@pytest.mark.parametrize("form", [("--json",), ("-o", "json"), ("-o", "jsonl"), ("--json", "-o", "jsonl")],
                         ids=" ".join)
def test_json_of_a_run_is_json_lines(cli, form):
    done = cli.run(*form, "n1,n2", "sh", "-c", "echo hi; exit 3")
    assert done.code == 123
    lines = json_lines(done.text)
    assert [line["code"] for line in lines if line["t"] == "end"] == [3, 3]
    assert lines[-1]["t"] == "summary" and lines[-1]["code"] == 123


@pytest.mark.parametrize("form", [("--json",), ("-o", "jsonl")], ids=" ".join)
def test_no_prefix_is_refused_where_lines_have_none(cli, tmp_path, form):
    done = cli("run", *form, "--no-prefix", "n1,n2", "touch", str(tmp_path / "ran"))
    assert done.code == 125 and "--no-prefix" in done.errors, done
    assert not (tmp_path / "ran").exists()


def test_json_of_attach_and_logs_is_json_lines(cli):
    job = cli.submit("n1", "--", "sh", "-c", "echo hi; exit 3")
    assert cli("wait", job).code == 3
    for verb in (("attach",), ("logs",), ("logs", "-f")):
        lines = json_lines(cli(*verb, "--json", job).text)
        assert [line["data"] for line in lines if line["t"] == "out"] == ["hi\n"]
        assert lines[-1]["t"] == "summary"


REFUSED_FORMATS = [
    (("run", "-o", "wide", "n1", "true"), 125), (("run", "-o", "name", "n1", "true"), 125),
    (("shell", "--json", "n1"), 125), (("attach", "-o", "name", "j-x"), 125),
    (("logs", "-o", "wide", "j-x"), 2), (("wait", "-o", "name", "j-x"), 125),
    (("stop", "-o", "wide", "j-x"), 2), (("status", "-o", "name"), 2),
    (("help", "--json"), 2), (("completion", "--json", "bash"), 2), (("demo", "--json"), 2),
    (("version", "-o", "wide"), 2), (("context", "use", "-o", "name", "x"), 2),
    (("ps", "--json", "-o", "name"), 2), (("node", "rm", "-o", "name", "n1"), 2),
]


@pytest.mark.parametrize("argv,code", REFUSED_FORMATS, ids=lambda v: str(v)[:40])
def test_a_format_that_a_verb_does_not_have_is_refused(cli, argv, code):
    done = cli(*argv)
    assert (done.code, done.out) == (code, b""), done
    assert "--output" in done.errors or "--json" in done.errors, done


def without_uptime(text):
    return re.sub(r"(?m)^uptime_s: \d+$", "", text)


def test_a_default_format_that_a_verb_does_not_have_is_no_mistake(cli):
    for default in ("wide", "name"):
        there = Cli(cli.home, {"REXEC_OUTPUT": default})
        there.data_home, there.config_home = cli.data_home, cli.config_home
        assert there("run", "n1", "echo", "hi").ok().text == "hi\n"
        assert without_uptime(there("status").ok().text) == without_uptime(cli("status").ok().text)


# ---- one flag, two values

@pytest.mark.parametrize("argv,code", [
    (("ps", "--state", "exited", "--state", "lost"), 2),
    (("run", "--timeout", "1s", "--timeout=2s", "n1", "true"), 125),
    (("stop", "--grace", "1s", "--grace", "2s", "j-x"), 2),
    (("token", "new", "--node", "a", "--node", "b"), 2)], ids=lambda v: str(v)[:40])
def test_two_values_of_one_flag_are_refused(cli, argv, code):
    done = cli(*argv)
    assert (done.code, done.out) == (code, b"") and "is given twice" in done.errors, done


def test_flags_that_add_up_may_be_repeated(cli):
    done = cli("run", "-e", "A=1", "-e", "B=2", "--lock", "x", "--lock", "y", "n1", "--", "sh", "-c",
               "echo $A$B")
    assert done.ok().text == "12\n"


# ---- words that are missing

@pytest.mark.parametrize("argv,word", [
    (("stop",), "JOB"), (("wait",), "JOB"), (("attach",), "JOB"), (("logs",), "JOB"),
    (("run",), "TARGET"), (("submit",), "TARGET"), (("shell",), "NODE"), (("rerun",), "JOB"),
    (("job", "show"), "JOB"), (("node", "rm"), "NODE"), (("schedule", "add"), "NAME"),
    (("schedule", "add", "x", "--every", "5m"), "TARGET"), (("context", "use"), "NAME"),
    (("token", "revoke"), "ID"), (("controller", "backup"), "FILE"),
    (("context", "persist"), "on|off|auto")], ids=lambda v: str(v)[:40])
def test_the_missing_word_is_named(cli, argv, word):
    done = cli(*argv)
    said = done.errors.splitlines()[0]
    assert said.startswith("rexec: rexec ") and said.endswith(f": missing argument: {word}"), done


@pytest.mark.parametrize("argv,flag", [
    (("run", "--timeout", "n1", "--", "true"), "--timeout"),
    (("run", "--wait-online=n1", "n1", "true"), "--wait-online"),
    (("run", "--pids", "n1", "--", "true"), "--pids"), (("run", "--cpu", "n1", "--", "true"), "--cpu"),
    (("run", "--mem", "n1", "--", "true"), "--mem"),
    (("run", "--restart", "n1", "--", "true"), "--restart"),
    (("run", "--children", "n1", "--", "true"), "--children"),
    (("run", "--overflow", "n1", "--", "true"), "--overflow"),
    (("run", "--exit", "n1", "--", "true"), "--exit"),
    (("run", "--status-fd", "n1", "--", "true"), "--status-fd"),
    (("run", "--env-file", "n1", "--", "true"), "--env-file"),
    (("run", "--user", "n1", "--", "true"), "--user"),
    (("run", "--workdir", "n1", "--", "true"), "--workdir"),
    (("run", "-e", "n1", "--", "true"), "--env"), (("run", "--lock", "n1", "--", "true"), "--lock"),
    (("submit", "--grace", "n1", "--", "true"), "--grace"),
    (("shell", "--timeout", "n1"), "--timeout"), (("shell", "-u", "n1"), "--user"),
    (("wait", "--reconnect", "j-x"), "--reconnect"), (("stop", "--grace", "j-x"), "--grace"),
    (("attach", "--from", "j-x"), "--from"), (("attach", "--status-file", "j-x"), "--status-file"),
    (("logs", "--from", "j-x"), "--from"), (("node", "wait", "--timeout", "n1"), "--timeout"),
    (("schedule", "add", "x", "--jitter", "n1", "true"), "--cron")], ids=lambda v: str(v)[:50])
def test_a_flag_that_has_taken_the_target_is_named(cli, tmp_path, argv, flag):
    done = cli(*argv, cwd=tmp_path)
    assert done.code in (2, 125) and done.out == b"" and flag in done.errors, done


@pytest.mark.parametrize("name", ["A B", "", "export A", "A\tB"])
def test_env_and_env_file_refuse_the_same_names(cli, tmp_path, name):
    file = tmp_path / "env"
    file.write_text(f"{name}=c\n")
    for argv in (("-e", f"{name}=c"), ("--env-file", str(file))):
        done = cli("run", *argv, "n1", "touch", str(tmp_path / "ran"))
        assert done.code == 125 and "is not K=V" in done.errors, done
    assert not (tmp_path / "ran").exists()


def test_env_and_env_file_take_the_same_names(cli, tmp_path):
    file = tmp_path / "env"
    file.write_text("1A=b\nA-B=c\n")
    for argv in (("-e", "1A=b", "-e", "A-B=c"), ("--env-file", str(file))):
        shown = cli("run", *argv, "n1", "env").ok().text.splitlines()
        assert {"1A=b", "A-B=c"} <= set(shown)


def test_a_life_that_a_token_cannot_have_is_refused_not_cut(cli):
    for ttl in ("100w", "31d", "720h1s"):
        done = cli("token", "new", "--ttl", ttl)
        assert (done.code, done.out) == (2, b"") and "--ttl" in done.errors, done
    cli("token", "new", "--ttl", "30d").ok()


@pytest.mark.parametrize("flag", [("--label", "a=b"), ("--replace",)], ids=lambda f: f[0])
def test_what_is_about_a_node_is_refused_for_the_token_of_a_person(cli, flag):
    done = cli("token", "new", "--user", "somebody", *flag)
    assert (done.code, done.out) == (2, b"") and flag[0] in done.errors, done


# ---- several

@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["loud", "quiet"])
def test_a_fan_out_that_fails_says_of_each_node_why(cli, quiet):
    for script, words in (("exit 3", "exit 3"), ("kill -INT $$", "killed by signal 2 (INT)"),
                          ("kill -PIPE $$", "killed by signal 13 (PIPE)"),
                          ("kill -9 $$", "killed by signal 9 (KILL)")):
        done = cli.run(*quiet, "n1,n2", "--", "sh", "-c", f"[ $REXEC_NODE = n1 ] || {script}")
        assert (done.code, done.errors) == (123, f"rexec: n2: {words}\n"), done


def test_a_fan_out_of_which_a_job_is_stopped_says_so(cli):
    script = "echo $REXEC_JOB; exec sleep 1000"
    with Running(cli, "-q", "n1,n2", "--", "sh", "-c", script) as run:
        jobs = dict(reversed(run.line().split(": ")) for _ in range(2))
        for job in jobs:
            cli("stop", job).ok()
        done = run.finish()
    assert done.code == 123, done
    for node in jobs.values():
        assert f"rexec: {node}: stopped" in done.errors, done


@pytest.mark.parametrize("quiet", [(), ("-q",)], ids=["loud", "quiet"])
def test_wait_names_each_job_that_failed_or_was_stopped(cli, quiet):
    good = cli.submit("n1", "true")
    failed = cli.submit("n1", "--", "sh", "-c", "exit 4")
    missing = cli.submit("n2", "no-such-command")
    stopped = cli.submit("n1", "sleep", "1000")
    cli("stop", stopped).ok()
    done = cli("wait", *quiet, good, failed, missing, stopped)
    assert done.code == 123 and good not in done.errors, done
    said = {line.split(": ")[1]: line for line in done.errors.splitlines() if line.startswith("rexec")}
    assert said[failed].endswith(": exit 4")
    assert "stopped" in said[stopped]
    assert "no-such-command" in said[missing] and set(said) == {failed, stopped, missing}
    only = cli("wait", *quiet, good, stopped)
    assert only.code == 123 and stopped in only.errors, only
    unknown = cli("wait", *quiet, good, "j-zzzzzzzz")
    assert unknown.code == 123 and "j-zzzzzzzz" in unknown.errors, unknown


def test_wait_gives_the_commands_code_whatever_became_of_unread_output(cli):
    for code in (0, 9):
        job = cli.submit("--output-quota", "1M", "n1", "--", "sh", "-c",
                         f"head -c 4000000 /dev/zero; exit {code}")
        done = cli("wait", job)
        assert done.code == code, done
        assert "the output is incomplete" in done.errors and "were dropped" in done.errors, done
        assert cli("wait", "--json", job).json()["complete"] is False
        # Those who read it are told by their code.
        for reader in (("logs", "-f"), ("attach",)):
            assert cli(*reader, job).code == 122
    both = cli("wait", job, cli.submit("n1", "true"))
    assert both.code == 123 and f"{job}: exit 9" in both.errors


# ---- questions

@pytest.fixture
def asked(make_cluster):
    cluster = make_cluster(nodes=0)
    cluster.join("n1")
    own = cluster.cli("context", "ls", "-o", "name").text.strip()
    cluster.cli("login", cluster.token("--user", "ann"), "--context", "second").ok()
    cluster.cli("context", "use", own).ok()
    return cluster


ASKING = [("node", "rm", "n1"), ("context", "rm", "second")]


@pytest.mark.parametrize("argv", ASKING, ids=" ".join)
def test_where_nobody_can_be_asked_what_would_ask_is_refused(asked, argv):
    cli = asked.cli
    for extra, env in (((), {}), (("--no-input",), {}), ((), {"REXEC_NO_INPUT": "1"})):
        done = cli(*argv, *extra, env={**cli.env, **env})
        assert (done.code, done.out) == (2, b""), done
        assert f"add -y: rexec {argv[0]} {argv[1]} -y" in done.errors, done
    assert "n1" in cli("node", "ls", "-o", "name").text
    assert "second" in cli("context", "ls", "-o", "name").text
    cli(*argv, "-y", "--no-input").ok()
    assert argv[2] not in cli(argv[0], "ls", "-o", "name").text


@pytest.mark.parametrize("argv", ASKING, ids=" ".join)
def test_at_a_terminal_it_asks_and_no_input_forbids_that(asked, argv):
    cli = asked.cli
    with Terminal(cli, *argv, "--no-input", status=False) as terminal:
        done = terminal.ended()
        assert done.code == 2 and "[y/N]" not in done.screen and " -y " in done.screen
    for typed, code in (("n", 1), ("y", 0)):
        assert argv[2] in cli(argv[0], "ls", "-o", "name").text
        with Terminal(cli, *argv, status=False) as terminal:
            terminal.expect(r"\[y/N\] ")
            terminal.sendline(typed)
            assert terminal.ended().code == code
    assert argv[2] not in cli(argv[0], "ls", "-o", "name").text
    with Terminal(cli, *argv, status=False) as terminal:
        done = terminal.ended()
        assert done.code == 3 and "[y/N]" not in done.screen


@pytest.mark.parametrize("name", ["node", "context"])
def test_what_is_not_there_is_asked_about_by_nobody(asked, name):
    for extra in ((), ("--no-input",), ("-y",)):
        assert asked.cli(name, "rm", "nosuch", *extra).code == 3


def test_revoking_asks_nobody(asked):
    asked.new_user("bob")
    asked.cli("user", "revoke", "bob", "--no-input").ok()
    token = asked.cli("token", "new", "--json").ok().json()["id"]
    asked.cli("token", "revoke", token, "--no-input").ok()


def test_an_empty_name_is_no_context(asked):
    keys = sorted(os.listdir(asked.cli.data_home / "rexec" / "ctx"))
    for argv in (("context", "rm", "-y", ""), ("context", "use", "")):
        assert asked.cli(*argv).code == 3
    assert sorted(os.listdir(asked.cli.data_home / "rexec" / "ctx")) == keys
