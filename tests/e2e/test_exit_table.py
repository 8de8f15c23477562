"""The exit codes of CLI.md, verb by verb: a wrong command line, no such object, no context, a
controller that cannot be reached. run, submit, shell, attach, wait and logs -f have 125 for all of
them, because any other code may be the command's own."""
import subprocess

import pytest

from support.cli import BINARY, Cli

RUNS = 125
NODE, JOB = "no-such-node", "j-000000000000"

# A complete command line of each verb, and its codes: usage (with a flag that nobody knows), an
# object that is not there, nobody signed in, the controller out of reach. None: it cannot happen.
VERBS = [
    (("run", NODE, "true"), RUNS, RUNS, RUNS, RUNS),
    (("submit", NODE, "true"), RUNS, RUNS, RUNS, RUNS),
    (("shell", NODE), RUNS, RUNS, RUNS, RUNS),
    (("attach", JOB), RUNS, RUNS, RUNS, RUNS),
    (("logs", "-f", JOB), RUNS, RUNS, RUNS, RUNS),
    (("wait", JOB), RUNS, RUNS, RUNS, RUNS),
    (("logs", JOB), 2, 3, 4, 5),
    (("ps", "--node", NODE), 2, None, 4, 5),
    (("job", "ls"), 2, None, 4, 5),
    (("job", "show", JOB), 2, 3, 4, 5),
    (("job", "rm", JOB), 2, 3, 4, 5),
    (("stop", JOB), 2, 3, 4, 5),
    (("rerun", JOB), 2, 3, 4, 5),
    (("node", "ls"), 2, None, 4, 5),
    (("node", "ls", NODE), 2, 3, 4, 5),
    (("node", "show", NODE), 2, 3, 4, 5),
    (("node", "rm", "-y", NODE), 2, 3, 4, 5),
    (("node", "rm", NODE), 2, 3, 4, 5),
    (("node", "wait", "--timeout", "1s", NODE), 2, 3, 4, 5),
    (("token", "new"), 2, None, 4, 5),
    (("token", "ls"), 2, None, 4, 5),
    (("token", "revoke", "t-nothing"), 2, 3, 4, 5),
    (("user", "ls"), 2, None, 4, 5),
    (("user", "revoke", "nobody"), 2, 3, 4, 5),
    (("whoami",), 2, None, 4, 5),
    (("status",), 2, None, 4, 5),
    (("schedule", "ls"), 2, None, 4, 5),
    (("schedule", "show", "nosuch"), 2, 3, 4, 5),
    (("schedule", "add", "x", "--every", "1h", NODE, "true"), 2, 3, 4, 5),
    (("schedule", "pause", "nosuch"), 2, 3, 4, 5),
    (("schedule", "resume", "nosuch"), 2, 3, 4, 5),
    (("schedule", "next", "nosuch"), 2, 3, 4, 5),
    (("schedule", "rm", "nosuch"), 2, 3, 4, 5),
    (("context", "ls"), 2, None, None, None),
    (("context", "use", "nosuch"), 2, 3, 3, 3),
    (("context", "rm", "-y", "nosuch"), 2, 3, 3, 3),
    (("context", "rm", "nosuch"), 2, 3, 3, 3),
    (("context", "persist", "off"), 2, None, 4, None),
    (("explain", "nosuch"), 2, 3, 3, 3),
    (("help", "nosuch"), 2, 2, 2, 2),
    (("login", "rx1_x"), 2, None, None, None),
    (("join", "rx1_x"), 2, None, None, None),
    (("completion", "tcsh"), 2, 2, 2, 2),
    (("version",), 2, None, None, None),
    (("doctor",), 2, None, None, None),
    (("demo",), 2, None, None, None),
    (("context", "add", "x"), 2, None, None, None),
    (("controller", "init"), 2, None, None, None),
    (("controller", "run"), 2, None, None, None),
    (("controller", "status"), 2, None, None, None),
    (("controller", "backup", "x"), 2, None, None, None),
    (("controller", "restore", "x"), 2, None, None, None),
    (("agent", "run"), 2, None, None, None),
    (("agent", "status"), 2, None, None, None),
]
SUBS = {"ls", "show", "rm", "wait", "new", "revoke", "add", "pause", "resume", "next", "use",
        "persist", "init", "run", "status", "backup", "restore"}


def table(column):
    rows = [(row[0], row[column]) for row in VERBS if row[column] is not None]
    return pytest.mark.parametrize("argv,code", rows, ids=[" ".join(argv) for argv, _ in rows])


def check(done, code):
    assert done.code == code and done.out == b"", done
    assert done.errors.startswith("rexec: "), done


@pytest.fixture(scope="module")
def nobody(tmp_path_factory):
    return Cli(tmp_path_factory.mktemp("nobody"))


@pytest.fixture(scope="module")
def cut_off(shared, tmp_path_factory):
    """The same account with a controller's address at which nobody is."""
    import socket
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield shared.cli.through(tmp_path_factory.mktemp("cut-off"),
                                 [f"127.0.0.1:{free.getsockname()[1]}"])


def test_the_table_has_every_verb():
    text = subprocess.run([BINARY, "--help"], capture_output=True, text=True, check=True).stdout
    listed = {line.split()[0] for line in text.split("\n\n")[2].splitlines()}
    assert listed == {row[0][0] for row in VERBS}


@table(1)
def test_a_flag_that_nobody_knows(nobody, argv, code):
    verbs = 2 if argv[1:] and argv[1] in SUBS else 1
    check(nobody(*argv[:verbs], "--no-such-flag", *argv[verbs:]), code)


@table(2)
def test_an_object_that_is_not_there(cli, argv, code):
    check(cli(*argv), code)


@table(3)
def test_nobody_is_signed_in(nobody, argv, code):
    check(nobody(*argv), code)


@table(4)
def test_a_controller_that_cannot_be_reached(cut_off, argv, code):
    extra = ("--connect-timeout", "10s") if argv[0] in ("run", "submit", "shell") else ()
    check(cut_off(argv[0], *extra, *argv[1:]), code)


@pytest.mark.parametrize("verb", [
    ("run",), ("submit",), ("shell",), ("attach",), ("wait",), ("logs", "-f")], ids=" ".join)
def test_missing_words_of_what_follows_a_job_are_125(nobody, verb):
    check(nobody(*verb), RUNS)


@pytest.mark.parametrize("verb", [
    ("logs",), ("job", "show"), ("job", "rm"), ("stop",), ("rerun",), ("node", "show"),
    ("node", "rm"), ("token", "revoke"), ("user", "revoke"), ("schedule", "show"),
    ("schedule", "add"), ("schedule", "pause"), ("schedule", "rm"), ("context", "use"),
    ("context", "rm"), ("context", "add"), ("context", "persist"), ("completion",),
    ("controller", "backup"), ("controller", "restore")], ids=" ".join)
def test_missing_words_of_every_other_verb_are_2(nobody, verb):
    check(nobody(*verb), 2)


@pytest.mark.parametrize("verb,code", [
    (("attach",), RUNS), (("wait",), RUNS), (("logs", "-f"), RUNS), (("logs",), 2), (("stop",), 2),
    (("job", "show"), 2), (("job", "rm"), 2), (("rerun",), 2)], ids=lambda v: str(v))
@pytest.mark.parametrize("job", ["j", "j-", "x", "../x", ""])
def test_a_word_that_is_no_job(cli, verb, code, job):
    """An id is 2 when it can be none, and 3 when there is none of that name."""
    done = cli(*verb, job)
    assert done.code in {code, 3 if code == 2 else code} and done.out == b"", done


@pytest.mark.parametrize("argv,code", [
    (("ps",), 3), (("node", "ls"), 3), (("whoami",), 3), (("logs", JOB), 3), (("stop", JOB), 3),
    (("context", "persist", "off"), 3), (("context", "use", "nope"), 3),
    (("run", "n1", "true"), RUNS), (("logs", "-f", JOB), RUNS)], ids=lambda v: str(v))
def test_a_context_that_is_not_there_is_no_such_object(cli, argv, code):
    check(cli("--context", "nope", *argv), code)
    check(cli(*argv, env={**cli.env, "REXEC_CONTEXT": "nope"}), code)


def test_a_context_that_is_not_there_is_told_apart_from_nobody_signed_in(cli, nobody):
    assert nobody("--context", "nope", "ps").code == 4
    assert "did you mean" in cli("--context", cli("context", "ls", "-o", "name").text[:-2], "ps").errors
