"""The exit matrix: every row told apart by its code and by the status JSON."""
import pytest

from support.running import Running

OWN = [  # command, code, outcome, signal
    (["true"], 0, "exited", None),
    (["false"], 1, "exited", None),
    (["sh", "-c", "exit 42"], 42, "exited", None),
    (["sh", "-c", "exit 124"], 124, "exited", None),
    (["sh", "-c", "exit 125"], 125, "exited", None),
    (["sh", "-c", "exit 126"], 126, "exited", None),
    (["sh", "-c", "exit 127"], 127, "exited", None),
    (["sh", "-c", "exit 137"], 137, "exited", None),
    (["sh", "-c", "exit 255"], 255, "exited", None),
    (["sh", "-c", "kill -9 $$"], 137, "signaled", 9),
    (["sh", "-c", "kill -TERM $$"], 143, "signaled", 15),
    (["sh", "-c", "kill -SEGV $$"], 139, "signaled", 11),
]


@pytest.mark.parametrize("command,code,outcome,signal", OWN, ids=lambda v: str(v)[:30])
def test_the_commands_own_code_comes_through(cli, command, code, outcome, signal):  # FAULTS C7
    done = cli.run("n1", *command)
    assert done.code == code, done
    assert done.status["outcome"] == outcome, done
    assert done.status["code"] == code
    assert done.status["signal"] == signal
    assert done.status["node"] == "n1" and done.status["job"].startswith("j-")
    assert done.status["complete"] is True
    assert done.status["wall_s"] >= 0 and done.status["cpu_s"] >= 0


def test_every_code_from_0_to_255_is_passed_through(cli):
    script = "for c in 1 2 3 63 64 119 120 121 122 123 126 127 128 129 254; do " \
             "echo $c; done"
    for code in cli("run", "n1", "sh", "-c", script).text.split():
        done = cli.run("n2", "sh", "-c", f"exit {code}")
        assert (done.code, done.status["outcome"]) == (int(code), "exited"), done


@pytest.mark.parametrize("command,code,words", [
    (["no-such-command-here"], 127, "no such file"),
    (["/no/such/path"], 127, "no such file"),
    (["/etc/passwd"], 126, "permission denied"),
    (["/etc"], 126, "permission denied"),
])
def test_what_execve_refuses_is_126_or_127_with_its_text(cli, command, code, words):  # FAULTS J1
    done = cli.run("n1", *command)
    assert done.code == code, done
    assert done.status["outcome"] == "not_started" and done.status["code"] == code
    assert words in done.errors.lower() and command[0] in done.errors
    assert done.out == b""


def test_a_file_that_is_no_program_is_126(cli, tmp_path):  # FAULTS J1: bad ELF
    bad = tmp_path / "bad"
    bad.write_bytes(b"\x7fELF garbage")
    bad.chmod(0o755)
    done = cli.run("n1", str(bad))
    assert (done.code, done.status["outcome"]) == (126, "not_started"), done
    assert "exec format error" in done.errors.lower()


def test_an_unknown_node_is_125_with_did_you_mean(cli):
    done = cli.run("n1x", "true")
    assert done.code == 125 and done.out == b"", done
    assert done.status["outcome"] == "not_started" and done.status["reason"] == "unknown_node"
    assert done.status["job"] is None
    assert "did you mean" in done.errors and "node ls" in done.errors


def test_zero_nodes_is_125_never_success(cli):
    done = cli.run("no-such-label=x", "true")
    assert done.code == 125, done


def test_a_usage_error_is_125(cli):
    for argv in (["n1"], ["--no-such-flag", "n1", "true"], ["--timeout", "1x", "n1", "true"], []):
        done = cli("run", *argv)
        assert done.code == 125 and done.errors.startswith("rexec: "), done


def test_an_offline_node_is_125_and_unreachable(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.join("away")
    done = cluster.cli.run("away", "true")
    assert done.code == 125, done
    assert done.status["outcome"] == "unreachable" and done.status["reason"] == "node_offline"
    assert "offline" in done.errors
    several = cluster.cli.run("n1,away", "echo", "hi")
    assert several.code == 123, several
    by_node = {s["node"]: s["outcome"] for s in several.statuses}
    assert by_node == {"n1": "exited", "away": "unreachable"}, several


def test_a_controller_that_is_down_is_125_and_unreachable(cluster):
    cluster.controller.stop()
    done = cluster.cli.run("n1", "true")
    assert done.code == 125, done
    assert done.status["outcome"] == "unreachable" and done.status["reason"] == "controller_down"
    assert cluster.cli("ps").code == 5
    assert cluster.cli("node", "ls").code == 5


def test_a_revoked_user_is_120_and_denied(cluster):  # FAULTS L11
    ann = cluster.new_user("ann")
    assert ann.run("n1", "true").code == 0
    cluster.cli("user", "revoke", "ann", "-y").ok()
    done = ann.run("n1", "true")
    assert done.code == 120, done
    assert done.status["outcome"] == "denied" and done.status["reason"] == "revoked"
    assert ann("ps").code == 4


def test_somebody_who_never_signed_in_is_125(cluster):
    from support.cli import Cli
    stranger = Cli(cluster.root / "stranger")
    done = stranger.run("n1", "true")
    assert done.code == 125 and "login" in done.errors, done
    assert done.status["outcome"] == "not_started" and done.status["reason"] == "not_signed_in"
    assert stranger("ps").code == 4


def test_a_timeout_is_124_and_not_failed(cli):  # FAULTS J22
    done = cli.run("--timeout", "300ms", "--grace", "1s", "n1", "sleep", "100")
    assert done.code == 124, done
    assert done.status["outcome"] == "timeout"
    assert "timeout" in done.errors


def test_a_stopped_job_is_128_plus_signal_and_stopped(cli):
    with Running(cli, "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000") as run:
        cli("stop", run.line()).ok()
        done = run.finish()
    assert done.code == 143, done
    assert done.status["outcome"] == "stopped" and done.status["signal"] == 15


def test_a_link_that_stays_away_longer_than_reconnect_is_121(cluster):
    proxy = cluster.proxy()
    cli = cluster.client_through(proxy)
    with Running(cli, "--reconnect", "1s", "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000") as run:
        job = run.line()
        proxy.refuse()
        done = run.finish(30)
    assert done.code == 121, done
    assert done.status["outcome"] == "lost" and done.status["job"] == job
    assert done.status["reason"] == "link_lost"
    assert job in done.errors, "it says how to find the job again"
    assert cluster.cli.job(job)["state"] == "running", "the job goes on"


def test_every_row_is_told_apart(cluster):
    """The rows whose code could be the command's own differ in outcome or reason."""
    cli = cluster.cli
    rows = [cli.run("n1", "sh", "-c", f"exit {code}") for code in (120, 124, 125, 126, 127, 137)]
    rows += [cli.run("n1", "sh", "-c", "kill -9 $$"), cli.run("nope", "true"),
             cli.run("--timeout", "200ms", "n1", "sleep", "9"), cli.run("n1", "/etc/passwd"),
             cli.run("n1", "/no/such")]
    cluster.nodes["n1"].kill()
    rows.append(cli.run("n1", "true"))
    seen = [(row.code, row.status["outcome"], row.status["reason"]) for row in rows]
    assert len(set(seen)) == len(seen), seen


@pytest.mark.parametrize("argv,code", [
    (["ps", "--no-such"], 2), (["no-such-verb"], 2), (["job", "show", "j-000000000000"], 3),
    (["node", "show", "nowhere"], 3), (["token", "revoke", "t-nothing"], 3), (["version"], 0),
])
def test_the_codes_of_other_commands(cli, argv, code):
    assert cli(*argv).code == code, cli(*argv)
