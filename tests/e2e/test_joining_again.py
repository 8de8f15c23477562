"""A node that joins again in its directory keeps what a person configured there."""
import pytest

from support import certificates, processes
from support.cli import replace_addresses

BY_HAND = {"keep_bytes": '"40M"', "keep_read_output": '"5m"', "allow_users": '["ann", "bob"]'}


def configured(cluster, **values):
    """The settings of n1 after a person has edited them, one line each."""
    file = cluster.nodes["n1"].config_file
    lines = [line for line in file.read_text().splitlines() if line.split(" =")[0] not in values]
    lines += [f"{key} = {value}" for key, value in values.items()]
    file.write_text("\n".join(lines) + "\n")


def settings(node):
    lines = (line for line in node.config_file.read_text().splitlines() if not line.startswith("#"))
    return dict(line.split(" = ", 1) for line in lines)


def remove(cluster):
    cluster.cli("node", "rm", "n1", "-y").ok()
    cluster.nodes["n1"].process.wait(20)


def join_again(cluster, *options):
    node = cluster.nodes["n1"]
    return cluster.cli("join", cluster.token("--node", "n1"), "--data", str(node.data), "--no-start",
                       *options)


def test_joining_again_keeps_what_a_person_configured(cluster):
    node = cluster.nodes["n1"]
    run_as = settings(node)["run_as"]
    configured(cluster, **BY_HAND, privileges='"keep"', addresses='["127.0.0.1:9"]')
    remove(cluster)
    before = settings(node)
    join_again(cluster).ok()
    after = settings(node)
    assert after["node_id"] != before["node_id"] and after["addresses"] == f'["{cluster.address}"]'
    assert {key: after.get(key) for key in BY_HAND} == BY_HAND
    assert (after["run_as"], after["privileges"]) == (run_as, '"keep"')
    node.start()
    assert cluster.cli.run("n1", "true").code == 0


def test_a_flag_of_join_is_taken_for_what_was_configured(cluster):
    configured(cluster, **BY_HAND, privileges='"keep"')
    remove(cluster)
    join_again(cluster, "--allow-user", "eve", "--privileges", "drop").ok()
    after = settings(cluster.nodes["n1"])
    assert after["allow_users"] == '["eve"]' and "privileges" not in after
    assert after["keep_bytes"] == BY_HAND["keep_bytes"]


def test_settings_stay_where_the_name_of_the_node_is_gone(cluster):
    node = cluster.nodes["n1"]
    configured(cluster, **BY_HAND)
    remove(cluster)
    kept = [line for line in node.config_file.read_text().splitlines() if line.split(" =")[0] in BY_HAND]
    node.config_file.write_text("\n".join(kept) + "\n")
    join_again(cluster).ok()
    assert {key: settings(node).get(key) for key in BY_HAND} == BY_HAND


def test_renewing_a_certificate_leaves_what_was_configured_meanwhile(make_cluster):
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    name, uri = certificates.describe(node.data / "net")
    # Past half of its life: it is renewed a second after the node is online.
    old = certificates.issue(cluster.controller.data, (node.data / "net" / "key.der").read_bytes(), name,
                             [f"URI:{uri}"], after=-certificates.days(0.9), until=certificates.days(0.1))
    (node.data / "net" / "cert.der").write_bytes(old)
    node.start()
    configured(cluster, **BY_HAND)
    before = node.config_file.read_bytes()
    processes.wait_until(lambda: (node.data / "net" / "cert.der").read_bytes() != old, "it is renewed")
    processes.wait_until(lambda: "certificate renewed" in node.logged(), "all of it is written")
    assert node.config_file.read_bytes() == before


@pytest.mark.parametrize("line", ['keep_bytes = "much"', "kept = 5", "run_as = ["])
def test_settings_that_cannot_be_read_are_named_and_not_overwritten(cluster, line):
    node = cluster.nodes["n1"]
    remove(cluster)
    node.config_file.write_text(replace_addresses(node.config_file.read_text(), ["h:1"]) + line + "\n")
    before = node.config_file.read_bytes()
    done = join_again(cluster)
    assert done.code != 0 and str(node.config_file) in done.errors, done
    assert node.config_file.read_bytes() == before
