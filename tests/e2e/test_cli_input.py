"""The command line and configuration files: what people get wrong, and machines with little around."""
import os
import time

import pytest

from support import processes
from support.cli import Cli
from support.daemons import Controller


@pytest.fixture
def account(shared, tmp_path):
    """The admin's keys with a configuration file of the test's own."""
    return shared.cli.through(tmp_path / "account", [shared.address])


# ---- durations, numbers, words

@pytest.mark.parametrize("value", ["1x", "-1h", "99999999999h", "", " ", "1e9s", "0x10", "1h1x", "١s"])
def test_a_duration_that_is_none_is_an_error(cli, value):  # FAULTS C11
    done = cli("run", f"--timeout={value}", "n1", "true")
    assert done.code == 125 and "--timeout" in done.errors, done


@pytest.mark.parametrize("flag", ["--children=maybe", "--on-disconnect=never", "--status-fd=99",
                                  "--status-fd=x", "--status-file=/no/such/dir/x", "-w", "--user=",
                                  "--env-file=/no/such/file", "--grace=", "--output=xml"])
def test_a_value_that_is_none_is_an_error_and_nothing_runs(cli, flag, tmp_path):
    done = cli("run", flag, "n1", "touch", str(tmp_path / "ran"))
    assert done.code == 125 and done.errors.startswith("rexec: "), done
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("argv,mean", [(["rnu", "n1", "true"], "run"), (["node", "lst"], "ls"),
                                       (["run", "--timeot", "1s", "n1", "true"], "--timeout"),
                                       (["--outptu", "json", "ps"], "--output")])
def test_a_typing_error_is_answered_with_what_was_meant(cli, argv, mean):
    done = cli(*argv)
    assert done.code in (2, 125) and "did you mean" in done.errors and mean in done.errors, done


def test_errors_are_json_when_asked(cli):
    import json
    done = cli("node", "show", "nowhere", "--json")
    error = json.loads(done.err)["error"]
    assert done.code == 3 and error["code"] == "unknown_node" and error["message"], done
    assert set(error) == {"code", "message", "hint"}


def test_every_error_code_is_explained(cli):
    codes = cli("explain").ok().text
    for code in ("unknown_node", "node_offline", "link_lost", "token_spent", "denied"):
        assert code in codes
        assert len(cli("explain", code).ok().text) > 100
    assert cli("explain", "nonsense").code in (2, 3)


def test_control_characters_in_an_error_are_escaped(cli):
    done = cli.run("n\x1b[31m1\n2", "true")
    assert done.code == 125 and b"\x1b" not in done.err, done


def test_the_status_goes_to_a_descriptor_too(cli):
    import json
    read_end, write_end = os.pipe()
    done = cli("run", "--status-fd", str(write_end), "n1", "sh", "-c", "exit 7", pass_fds=[write_end])
    os.close(write_end)
    with os.fdopen(read_end) as file:
        assert json.loads(file.read())["code"] == 7 == done.code


# ---- configuration

@pytest.mark.parametrize("line,word", [("curent = \"x\"", "curent"), ("[contexts.x]\nadress = [\"h:1\"]",
                                                                     "adress"),
                                       ("[contexts.x", "toml"), ("current = 5", "")])
def test_a_wrong_configuration_is_an_error_with_file_and_line(account, line, word):  # FAULTS C8
    account.config_file.write_text("# first line\n" + line + "\n")
    done = account("whoami")
    assert done.code == 2, done
    assert f"{account.config_file}:" in done.errors or word == "", done
    assert word in done.errors.lower() or word == "toml"


@pytest.mark.parametrize("content", [b"\0" * 100, b"\xff\xfe" + "current = 'x'".encode("utf-16-le"),
                                     os.urandom(5000), b"a = [" * 20_000, b"[" * 100_000,
                                     b"x" * (100 << 20), b"a='" + b"y" * (100 << 20) + b"'"],
                         ids=["NULs", "utf-16", "noise", "deep", "brackets", "100 MB", "100 MB text"])
def test_a_file_that_is_no_configuration_is_a_quick_error(account, content):  # FAULTS C10
    account.config_file.write_bytes(content)
    started = time.monotonic()
    done = account("whoami", timeout=20)
    took = time.monotonic() - started
    print(f"\nrefused after {took * 1000:.0f} ms")
    assert done.code in (1, 2) and done.errors.startswith("rexec: "), done
    assert len(done.err) < 4096 and took < 5


def test_flag_beats_environment_beats_file(shared, account, tmp_path):
    other = tmp_path / "other.toml"
    other.write_text(account.config_file.read_text())
    account.config_file.write_text("")
    assert account("whoami").code == 4
    env = {**account.env, "REXEC_CONFIG": str(other)}
    account("whoami", env=env).ok()
    account("--config", str(other), "whoami").ok()
    env["REXEC_OUTPUT"] = "json"
    assert account("whoami", env=env).json()["user"] == "admin"
    assert account("-o", "name", "whoami", env=env).text == "admin\n"


def test_an_agents_wrong_configuration_stops_it_with_file_and_line(make_cluster):  # FAULTS C8
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    node.config_file.write_text(node.config_file.read_text() + "run_sa = \"root\"\n")
    node.launch()
    with pytest.raises(AssertionError, match=r"agent.toml:\d+.*run_sa"):
        node.wait_ready()


# ---- a machine with little around

def test_without_home_term_and_locale_everything_works(shared):  # FAULTS C15
    env = {"PATH": "/usr/bin:/bin", "TERM": "dumb", "LANG": "C",
           "XDG_CONFIG_HOME": str(shared.cli.config_home), "XDG_CACHE_HOME": "/nonexistent/cache",
           "XDG_DATA_HOME": str(shared.cli.data_home)}
    assert shared.cli("run", "n1", "echo", "hi", env=env).text == "hi\n"
    shared.cli("node", "ls", env=env).ok()


def test_without_any_place_for_a_configuration_it_says_so(shared):
    done = shared.cli("whoami", env={"PATH": "/usr/bin:/bin"})
    assert done.code in (2, 4) and "HOME" in done.errors, done


def test_an_unwritable_cache_is_no_obstacle(shared, tmp_path):  # FAULTS C16
    blocked = tmp_path / "file"
    blocked.write_text("not a directory")
    env = {**shared.cli.env, "XDG_CACHE_HOME": str(blocked)}
    assert shared.cli("run", "n1", "echo", "hi", env=env).text == "hi\n"
    shared.cli("node", "ls", env=env).ok()


def test_closed_descriptors_are_survived(cli):
    for closed in ("0<&-", "1>&-", "2>&-", "0<&- 1>&- 2>&-"):
        import subprocess
        from support.cli import BINARY
        done = subprocess.run(["sh", "-c", f'"$0" run n1 -- sh -c "exit 3" {closed}', str(BINARY)],
                              env=cli.env, capture_output=True, timeout=30, check=False)
        assert done.returncode == 3, (closed, done)


def test_a_full_disk_at_stdout_is_reported(cli):
    with open("/dev/full", "wb") as full:
        done = cli("run", "n1", "seq", "1", "100000", stdout=full)
    assert done.code != 0 and "No space left" in done.errors, done


# ---- daemons

def test_a_second_controller_on_the_same_directory_names_the_first(cluster):  # FAULTS C13
    second = Controller(cluster.controller.data, cluster.cli.env, cluster.logs / "second.log")
    with pytest.raises(AssertionError):
        second.start()
    assert str(cluster.controller.pid) in second.logged(), second.logged()
    assert second.process.wait(10) != 0
    assert cluster.cli.run("n1", "true").code == 0


def test_a_second_agent_on_the_same_directory_is_refused(cluster):  # FAULTS N11, C13
    from support.daemons import Node
    second = Node("n1", cluster.nodes["n1"].data, cluster.cli.env, cluster.logs / "second.log")
    with pytest.raises(AssertionError):
        second.start()
    assert second.process.wait(10) != 0
    assert cluster.cli.run("n1", "true").code == 0


def test_init_does_not_touch_what_is_there(cluster):
    data = cluster.controller.data
    before = {f.name: f.read_bytes() for f in data.iterdir() if f.suffix in (".crt", ".key", ".toml")}
    done = cluster.cli("controller", "init", "--data", str(data), "--listen", "127.0.0.1:0")
    assert done.code == 6, done
    assert before == {f.name: f.read_bytes() for f in data.iterdir() if f.name in before}


def test_term_ends_daemons_cleanly_and_jobs_live_on(make_cluster):
    cluster = make_cluster(nodes=1)
    job = cluster.cli.submit("n1", "sleep", "1000")
    node = cluster.nodes["n1"]
    pid = processes.wait_until(lambda: cluster.job_processes(job), "the job runs")[0]
    assert cluster.controller.stop() == 0
    assert node.stop() == 0
    assert processes.is_alive(pid)
    cluster.controller.start()
    node.start()
    assert cluster.cli.job(job)["state"] == "running"
    cluster.cli("stop", job).ok()
    assert not processes.is_alive(pid)


def test_stop_jobs_ends_them_with_the_agent(make_cluster):
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    node.argv.append("--stop-jobs")
    node.start()
    job = cluster.cli.submit("n1", "sleep", "1000")
    processes.wait_until(lambda: cluster.job_processes(job), "the job runs")
    assert node.stop() == 0
    assert cluster.job_processes(job) == []


def test_status_works_without_a_network(cluster):
    cli, node = cluster.cli, cluster.nodes["n1"]
    data = str(cluster.controller.data)
    status = cli("controller", "status", "--data", data, "--json").ok().json()
    assert status["running"] and status["pid"] == cluster.controller.pid
    assert status["listen"] == cluster.address
    assert cli("agent", "status", "--data", str(node.data), "--json").ok().json()["running"]
    cluster.controller.stop()
    down = cli("controller", "status", "--data", data, "--json")
    assert down.code == 1 and down.json()["running"] is False


def test_a_data_directory_open_to_all_is_refused(make_cluster):  # FAULTS S16
    cluster = make_cluster(nodes=0)
    cluster.controller.stop()
    cluster.controller.data.chmod(0o777)
    with pytest.raises(AssertionError):
        cluster.controller.start()
    cluster.controller.data.chmod(0o700)
    cluster.controller.start()


def test_a_stranger_without_a_context_is_told_how_to_sign_in(tmp_path):
    done = Cli(tmp_path / "nobody")("ps")
    assert done.code == 4 and "rexec login" in done.errors and "rexec demo" in done.errors, done
