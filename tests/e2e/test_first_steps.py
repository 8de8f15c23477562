"""The first minutes as a person takes them: what one command prints, pasted into the next, works."""
import re
import shlex
import socket

import pytest

from support.daemons import Node


def host_label():
    """This machine's short name, as a node's name may be."""
    label = re.sub(r"[^a-z0-9_-]", "-", socket.gethostname().split(".")[0].lower())
    return label.strip("-_")[:63]


def paste(cluster, line, *more, directory="pasted"):
    words = shlex.split(line)
    assert words[0] == "rexec", line
    data = cluster.root / directory
    return cluster.cli(*words[1:], "--data", str(data), "--no-start", *more)


# ---- names

def test_the_line_that_init_prints_works_verbatim(make_cluster):
    cluster = make_cluster(nodes=0)
    done = paste(cluster, cluster.made["join"])
    assert done.code == 0, done
    assert set(cluster.node_states()) == {host_label()}
    assert host_label() in done.errors


def test_a_token_without_a_name_takes_the_hosts_and_name_overrides_it(make_cluster):
    cluster = make_cluster(nodes=0)
    paste(cluster, "rexec join " + cluster.token()).ok()
    taken = paste(cluster, "rexec join " + cluster.token(), directory="second")
    assert taken.code == 6, taken
    assert f'"{host_label()}"' in taken.errors and "--name" in taken.errors, taken
    paste(cluster, "rexec join " + cluster.token(), "--name", "other", directory="second").ok()
    assert set(cluster.node_states()) == {host_label(), "other"}


def test_a_name_that_the_token_gives_is_not_the_hosts(make_cluster):
    cluster = make_cluster(nodes=0)
    paste(cluster, "rexec join " + cluster.token("--node", "n7")).ok()
    assert set(cluster.node_states()) == {"n7"}


def test_another_name_than_the_tokens_is_told_what_to_do(make_cluster):
    cluster = make_cluster(nodes=0)
    done = paste(cluster, "rexec join " + cluster.token("--node", "n7"), "--name", "n8")
    assert done.code == 4 and "rexec token new --node n8" in done.errors, done


# ---- there already

def key_of(data):
    return (data / "net" / "key.der").read_bytes()


def join(cluster, data, token, *options):
    return cluster.cli("join", token, "--data", str(data), "--no-start", *options)


def state_of_tokens(cluster):
    return {row["name"]: row["state"] for row in cluster.cli("token", "ls", "--json").json()}


def test_joining_a_directory_that_works_changes_nothing(cluster):
    node = cluster.nodes["n1"]
    key = key_of(node.data)
    done = join(cluster, node.data, cluster.token("--node", "n1"))
    assert done.code == 0 and "already" in done.errors, done
    open_one = join(cluster, node.data, cluster.token())
    assert open_one.code == 0 and "already" in open_one.errors, open_one
    assert key_of(node.data) == key and set(cluster.node_states()) == {"n1"}
    assert cluster.cli.run("n1", "true").code == 0


def test_joining_again_says_the_node_as_json(cluster):
    done = join(cluster, cluster.nodes["n1"].data, cluster.token(), "--json").ok()
    assert done.json()["node"] == "n1" and done.json()["already"] is True


def test_a_removed_node_comes_back_with_a_new_token_and_a_new_key(cluster):
    node = cluster.nodes["n1"]
    job = cluster.cli.submit("n1", "true")
    cluster.cli("wait", job).ok()
    cluster.cli("node", "rm", "n1", "-y").ok()
    assert node.process.wait(20) == 78
    old = key_of(node.data)
    told = re.search(r"rexec token new --node NAME.*rexec join", node.logged())
    assert told, node.logged()
    join(cluster, node.data, cluster.token("--node", "n1")).ok()
    assert key_of(node.data) != old
    assert node.job_dirs(job), "the jobs' directory is kept"
    node.start()
    assert cluster.cli.run("n1", "sh", "-c", "echo back").text == "back\n"


def test_a_removed_node_may_come_back_under_another_name(cluster):
    node = cluster.nodes["n1"]
    cluster.cli("node", "rm", "n1", "-y").ok()
    node.process.wait(20)
    join(cluster, node.data, cluster.token("--node", "z9")).ok()
    node.start()
    assert set(cluster.node_states()) == {"z9"}


@pytest.mark.parametrize("options", [["--node", "zm"], []])
def test_a_token_for_another_name_is_a_conflict(cluster, options):
    node = cluster.nodes["n1"]
    token = cluster.token(*options)
    done = join(cluster, node.data, token, *([] if options else ["--name", "zm"]))
    assert done.code == 6 and "n1" in done.errors and "zm" in done.errors, done
    assert "--data" in done.errors and "rexec node rm n1" in done.errors, done
    assert set(state_of_tokens(cluster).values()) >= {"open"}, "the token is not used up"
    join(cluster, cluster.root / "zm", token, "--name", "zm").ok()
    assert set(cluster.node_states()) == {"n1", "zm"}


def test_joining_again_after_the_token_was_lost_half_way_is_safe(cluster):
    """A crash between the new key and agent.toml leaves a directory that the same token mends."""
    node = cluster.nodes["n1"]
    before = {name: (node.data / name).read_bytes() for name in ("agent.toml", "net/cert.der")}
    cluster.cli("node", "rm", "n1", "-y").ok()
    node.process.wait(20)
    token = cluster.token("--node", "n1")
    join(cluster, node.data, token).ok()
    (node.data / "join.der").write_bytes(key_of(node.data))
    (node.data / "join.der").chmod(0o600)
    for name, content in before.items():
        (node.data / name).write_bytes(content)
    join(cluster, node.data, token).ok()
    node.start()
    assert cluster.cli.run("n1", "true").code == 0


def test_joining_again_needs_the_controller(cluster):
    node = cluster.nodes["n1"]
    token = cluster.token("--node", "n1")
    cluster.controller.stop()
    assert join(cluster, node.data, token).code == 5


def test_a_directory_of_another_cluster_is_a_conflict(make_cluster):
    first, second = make_cluster(nodes=0), make_cluster(nodes=0)
    node = Node("n1", first.root / "n1", first.cli.env, first.logs / "n1.log")
    join(first, node.data, first.token("--node", "n1")).ok()
    done = join(first, node.data, second.token("--node", "n1"))
    assert done.code == 6 and "cluster" in done.errors, done
