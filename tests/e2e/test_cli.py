"""What every verb has in common: errors and their codes, formats, help, and odd surroundings."""
import json
import os
import signal
import subprocess
import sys

import pytest

from support.cli import BINARY, Cli


@pytest.fixture
def stranger(tmp_path):
    """An account that is signed in nowhere."""
    return Cli(tmp_path / "stranger")


def error_of(done):
    return json.loads(done.errors.strip().splitlines()[-1])["error"]


@pytest.mark.parametrize("argv,code,name", [
    (("whoami",), 4, "not_signed_in"),
    (("node", "sl"), 2, "usage"),
    (("nodes", "ls"), 2, "usage"),
    (("cp", "a", "b"), 2, "usage"),
    (("agent", "install"), 2, "usage"),
    (("node", "show"), 2, "usage"),
    (("node", "show", "a", "b"), 2, "usage"),
    (("explain", "nod_offline"), 3, "unknown_object"),
    (("context", "use", "prod"), 3, "unknown_object"),
    (("join", "rx1_broken"), 2, "token_bad"),
    (("login", "rx1_broken"), 2, "token_bad"),
    (("run", "n1", "true"), 125, "not_signed_in"),
    (("run", "n1"), 125, "usage"),
    (("run", "--fold", "n1", "true"), 125, "usage"),
    (("attach", "j-0000"), 125, "not_signed_in"),
    (("ps", "--limit", "many"), 2, "usage"),
    (("ps", "-o", "yaml", "--color", "never"), 2, "usage"),
])
def test_each_kind_of_error_has_its_code_and_its_name(stranger, argv, code, name):
    done = stranger("--json", *argv)
    assert done.code == code and done.out == b"", done
    assert error_of(done)["code"] == name
    text = stranger(*argv)
    assert text.code == code and text.errors.startswith("rexec: "), text


@pytest.mark.parametrize("argv,code,name", [
    (("node", "show", "n9"), 3, "unknown_node"),
    (("job", "show", "j-zzzz"), 3, "unknown_job"),
    (("job", "show", "j"), 2, "usage"),
    (("token", "revoke", "t-0"), 3, "unknown_object"),
    (("user", "revoke", "nobody"), 3, "unknown_object"),
    (("user", "revoke", "admin"), 4, "denied"),
])
def test_errors_of_the_controller_keep_their_code(cli, argv, code, name):
    done = cli("--json", *argv)
    assert done.code == code, done
    assert error_of(done)["code"] == name


def test_some_of_several_is_7(cli):
    job = cli.submit("n1", "true")
    cli("wait", job).ok()
    done = cli("job", "rm", job, "j-zzzz")
    assert done.code == 7, done
    assert done.text == f"removed {job}\n"


def test_a_mistyped_word_gets_a_suggestion(stranger):
    assert "did you mean: run?" in stranger("rnu").errors
    assert "did you mean: show?" in stranger("node", "shwo").errors
    assert "did you mean: --timeout?" in stranger("run", "--timeot", "1", "n1", "true").errors


def test_every_list_has_five_formats(cli):
    cli("wait", cli.submit("n1", "true")).ok()
    for verb, key in ((("node", "ls"), "name"), (("ps", "-a"), "job"), (("token", "ls"), "id"),
                      (("user", "ls"), "name"), (("context", "ls"), "name")):
        objects = cli(*verb, "--json").ok().json()
        lines = [json.loads(line) for line in cli(*verb, "-o", "jsonl").ok().text.splitlines()]
        names = cli(*verb, "-o", "name").ok().text.splitlines()
        assert [o[key] for o in objects] == [o[key] for o in lines] == names
        table = cli(*verb).ok().text.splitlines()
        wide = cli(*verb, "-o", "wide").ok().text.splitlines()
        assert len(table) == len(wide) == len(names) + 1
        assert all(word in wide[0].split() for word in table[0].split())


def test_times_are_local_in_tables_and_utc_in_json(cli):
    there = Cli(cli.home, {"TZ": "XYZ+5"})
    there.data_home, there.config_home = cli.data_home, cli.config_home
    enrolled = there("node", "show", "n1", "--json").ok().json()["enrolled"]
    assert enrolled.endswith("Z")
    hour = (int(enrolled[11:13]) - 5) % 24
    line = next(row for row in there("node", "show", "n1").ok().text.splitlines()
                if row.startswith("enrolled: "))
    assert line.split()[2].startswith(f"{hour:02d}{enrolled[13:19]}")


def test_rexec_output_is_the_default_of_o_and_the_flag_wins(cli):
    there = Cli(cli.home, {"REXEC_OUTPUT": "name"})
    there.data_home, there.config_home = cli.data_home, cli.config_home
    assert there("node", "ls").ok().text == "n1\nn2\nn3\n"
    assert there("node", "ls", "-o", "table").ok().text.startswith("NODE")
    wrong = Cli(cli.home, {"REXEC_OUTPUT": "nmae"})
    assert wrong("version").code == 2


def test_help_goes_to_stdout_and_its_absence_to_stderr(stranger):
    assert stranger("--help").ok().text.startswith("rexec runs commands")
    assert stranger("run", "--help").ok().text.startswith("rexec run: ")
    assert stranger("controller", "--help").ok().text.startswith("rexec controller: ")
    assert stranger("help", "node", "wait").ok().text.startswith("rexec node wait: ")
    assert "123" in stranger("help", "exit").ok().text
    bare = stranger()
    assert (bare.code, bare.out) == (2, b"") and "usage: rexec VERB" in bare.errors
    assert stranger("help", "rnu").code == 2


def test_help_after_the_command_is_the_commands(cli):
    assert cli("run", "n1", "echo", "--help", "-V", "--json").ok().text == "--help -V --json\n"


def test_version_and_explain(stranger):
    assert set(stranger("version", "--json").ok().json()) >= {"version", "commit", "build"}
    assert stranger("-V").ok().text == stranger("version").ok().text
    codes = stranger("explain", "-o", "name").ok().text.split()
    assert "node_offline" in codes
    for code in codes:
        assert stranger("explain", code).ok().text.startswith(code + "\n\n")


@pytest.mark.parametrize("names", [[], [b""]])
def test_an_empty_argv_is_a_clear_error(names):  # FAULTS C1
    script = f"""
import ctypes
argv = (ctypes.c_char_p * {len(names) + 1})(*{names!r}, None)
ctypes.CDLL(None).execve({str(BINARY)!r}.encode(), argv, (ctypes.c_char_p * 1)(None))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=20)
    assert done.returncode == 2 and b"usage: rexec VERB" in done.stderr, done


def test_without_home_and_terminal_it_says_what_to_do():  # FAULTS C15
    done = subprocess.run([BINARY, "node", "ls"], env={"TERM": "dumb", "LANG": "C"},
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 2
    assert "HOME" in done.stderr
    assert subprocess.run([BINARY, "version"], env={}, capture_output=True, timeout=20).returncode == 0


def test_an_unwritable_cache_costs_nothing(cli):  # FAULTS C16
    there = Cli(cli.home, {"XDG_CACHE_HOME": "/proc/nowhere"})
    there.data_home, there.config_home = cli.data_home, cli.config_home
    env = {**there.env, "XDG_CACHE_HOME": "/proc/nowhere"}
    done = there("node", "ls", env=env).ok()
    assert done.errors == ""
    assert "no cache for completion" in there("node", "ls", "-v", env=env).ok().errors


def test_closed_standard_descriptors_are_no_ones_sockets(cli):
    for closed in ("<&-", ">&-", "2>&-", "<&- >&- 2>&-"):
        script = f'"$0" run n1 -- sh -c "echo out; echo err >&2; exit 6" {closed}'
        done = subprocess.run(["sh", "-c", script, str(BINARY)], env=cli.env, capture_output=True,
                              timeout=30)
        # Its output is lost where stdout is closed, as on a full disk.
        assert done.returncode == (122 if " >&-" in f" {closed}" else 6), (closed, done)


def test_colours_only_where_they_are_wanted(cli):
    for words in (("--color", "always"), ("--color", "never"), ()):
        done = cli(*words, "doctor")
        assert (b"\x1b[" in done.out) == ("always" in words), words
    quiet = Cli(cli.home, {"NO_COLOR": "1"})
    quiet.data_home, quiet.config_home = cli.data_home, cli.config_home
    assert b"\x1b[" not in quiet("doctor").out


def test_doctor_names_what_is_wrong_and_exits_2(cli, make_cluster):
    checks = {row["check"]: row for row in cli("doctor", "--json").json()}
    assert checks["controller"]["health"] == "ok"
    assert checks["clock"]["health"] == "ok"
    broken = make_cluster(nodes=0)
    broken.controller.stop()
    done = broken.cli("doctor", "--json")
    checks = {row["check"]: row for row in done.json()}
    assert done.code == 2
    assert checks["controller"]["health"] == "failed"
    key = broken.cli.context_dir() / "key.der"
    key.chmod(0o644)
    done = broken.cli("doctor", "--json")
    row = {row["check"]: row for row in done.json()}["key"]
    assert (done.code, row["health"]) == (2, "failed")


def test_a_status_file_is_written_for_every_kind_of_beginning(cli, tmp_path):
    path = tmp_path / "s"
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    assert cli("run", "--status-file", str(path), "n9", "true").code == 125
    assert json.loads(path.read_text())["reason"] == "unknown_node"
    assert cli("run", "--status-file", str(tmp_path / "no" / "s"), "n1", "true").code == 125
    assert cli("run", "--status-fd", "77", "n1", "true").code == 125
    reader = subprocess.Popen(["cat", fifo], stdout=subprocess.PIPE)
    cli("run", "--status-file", str(fifo), "n1", "true").ok()
    assert json.loads(reader.communicate(timeout=20)[0])["outcome"] == "exited"
    both = subprocess.run(["sh", "-c", '"$0" run --status-fd 3 n1 -- true 3>&1', str(BINARY)],
                          env=cli.env, capture_output=True, timeout=20)
    assert json.loads(both.stdout)["code"] == 0


def test_a_context_is_added_used_and_removed(cli, tmp_path):
    other = Cli(tmp_path / "other")
    address = cli("context", "ls", "--json").ok().json()[0]["addresses"][0]
    add = ("context", "add", "--address", address, "--credentials", str(cli.context_dir()))
    other(*add, "first").ok()
    other(*add, "second").ok()
    assert other(*add, "second").code == 6
    assert other("whoami").ok().text == cli("whoami").ok().text
    assert [c["current"] for c in other("context", "ls", "--json").json()] == [False, True]
    other("context", "use", "first").ok()
    assert other("--context", "secnd", "whoami").code == 3
    other("context", "persist", "on", "--context", "second").ok()
    rows = {c["name"]: c["persist"] for c in other("context", "ls", "--json").json()}
    assert rows == {"first": "auto", "second": "on"}
    other("context", "rm", "-y", "first", "second").ok()
    assert other("context", "ls", "--json").ok().json() == []
    assert not list((other.data_home / "rexec" / "ctx").iterdir())
    assert cli("whoami").code == 0


def test_demo_runs_a_command_and_leaves_nothing(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path), "REXEC_CONTEXT": "prod", "REXEC_OUTPUT": "json"}
    script = ("rexec node ls -o name && rexec run n2 -- sh -c 'exit 3'; "
              "code=$?; rexec submit n1 -- sleep 1000 >&2; exit $code")
    done = subprocess.run([BINARY, "demo", "--exec", script], env=env, capture_output=True,
                          timeout=60)
    assert (done.returncode, done.stdout) == (3, b"n1\nn2\nn3\n"), done
    assert list(tmp_path.iterdir()) == []


def test_demo_stays_until_it_is_ended(tmp_path):
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGQUIT):
        with subprocess.Popen([BINARY, "demo"], env=env, stdout=subprocess.PIPE, text=True) as demo:
            lines = []
            while "Ctrl-C" not in (lines or [""])[-1]:
                lines.append(demo.stdout.readline())
                assert lines[-1], lines
            commands = [line for line in lines if line.startswith("  rexec ")]
            assert len(commands) == 5
            ready = subprocess.run(["sh", "-c", f"{lines[3].strip()} && rexec node wait && "
                                    "rexec run n1 -- echo from the demo"], capture_output=True,
                                   env=env, timeout=30)
            assert ready.stdout == b"from the demo\n", (lines, ready)
            demo.send_signal(number)
            assert demo.wait(timeout=30) == 0
        assert list(tmp_path.iterdir()) == []
