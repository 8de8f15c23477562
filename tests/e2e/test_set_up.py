"""Setting up daemons: whose directory it is, which context one has then, how they end."""
import os
import signal

import pytest

from support import processes
from support.running import Running


# ---- one directory has one role

def test_an_agents_directory_is_no_controllers(make_cluster):
    cluster = make_cluster()
    cluster.nodes["n1"].stop()
    data = cluster.nodes["n1"].data
    before = sorted(os.listdir(data))
    for words in (("init",), ("run",), ("status",), ("backup", str(cluster.root / "file")),
                  ("restore", str(cluster.root / "file")), ("check",), ("install",)):
        done = cluster.cli("controller", words[0], "--data", str(data), *words[1:])
        assert done.code == 6 and f"{data} is an agent's data directory" in done.errors, done
        assert "--data DIR" in done.errors, done
    assert sorted(os.listdir(data)) == before
    cluster.nodes["n1"].start()


def test_a_controllers_directory_is_no_agents(make_cluster):
    cluster = make_cluster(nodes=0)
    data = cluster.controller.data
    token = cluster.token("--node", "n1")
    for words in (("join", token, "--no-start"), ("agent", "run"), ("agent", "status")):
        done = cluster.cli(*words, "--data", str(data))
        assert done.code == 6 and f"{data} is a controller's data directory" in done.errors, done
        assert "--data DIR" in done.errors, done
    assert not (data / "agent.toml").exists() and not (data / "net").exists()
    # The token is as it was.
    cluster.cli("join", token, "--data", str(cluster.root / "n1"), "--no-start").ok()


# ---- contexts

def test_a_new_context_says_that_it_takes_the_place_of_the_current_one(make_cluster):
    cluster = make_cluster(nodes=0)
    (first,) = [row["name"] for row in cluster.cli("context", "ls", "--json").ok().json()]
    made = cluster.cli("controller", "init", "--data", str(cluster.root / "second"), "--listen",
                       "127.0.0.1:0", "--json").ok()
    second = made.json()["context"]
    assert f'your current context is "{second}" now, it was "{first}"' in made.errors, made
    assert f"rexec context use {first}" in made.errors, made
    cluster.cli("context", "use", first).ok()
    login = cluster.cli("login", cluster.token("--user", "bob"), "--context", "bobs").ok()
    assert f'your current context is "bobs" now, it was "{first}"' in login.errors, login


def test_a_first_context_says_nothing_of_another(make_cluster):
    cluster = make_cluster(nodes=0)
    bob = cluster.new_user("bob")
    assert "current context" not in bob("context", "ls").errors
    fresh = cluster.cli.through(cluster.root / "fresh", [cluster.address])
    fresh.data_home = cluster.root / "fresh" / "data"
    fresh.config_file.unlink()
    made = fresh("controller", "init", "--data", str(cluster.root / "third"), "--listen",
                 "127.0.0.1:0").ok()
    assert "it was" not in made.errors, made


# ---- signals

def test_a_hangup_ends_neither_controller_nor_agent_nor_changes_what_they_do(cluster):  # FAULTS C12
    controller, node = cluster.controller, cluster.nodes["n1"]
    config = controller.data / "controller.toml"
    whole = config.read_text()
    config.write_text("this is no configuration\n")
    net = node.net_pid()
    for pid in (controller.pid, node.pid, net):
        os.kill(pid, signal.SIGHUP)
    assert cluster.cli.run("n1", "echo", "works").ok().text == "works\n"
    assert controller.running and node.running and node.net_pid() == net
    config.write_text(whole)
    assert controller.stop() == 0 and node.stop() == 0


def test_an_agent_that_was_killed_is_not_said_to_be_stopping(cluster):
    node = cluster.nodes["n1"]
    with Running(cluster.cli, "n1", "sh", "-c", "echo here; sleep 1000") as run:
        run.out.wait_for("here")
        node.kill()
        run.err.wait_for("the agent was killed")
        node.start()
        run.signal(signal.SIGTERM)
        assert run.finish().code == 143


# ---- a service

def test_where_systemd_does_not_run_install_says_how_to_start_by_hand(make_cluster):
    if os.path.exists("/run/systemd/system"):
        pytest.skip("not here: systemd runs this machine")
    cluster = make_cluster(nodes=0)
    done = cluster.cli("controller", "install", "--data", str(cluster.controller.data))
    assert done.code != 0 and not done.out, done
    assert f"rexec controller run --data {cluster.controller.data}" in done.errors, done
    assert processes.is_alive(cluster.controller.pid)
