"""Every list comes in pages: however much there is, it is all shown, once and in its order."""
import pytest

from support import many_rows, wire
from support.cluster import Cluster

COUNT = 2500  # several pages of each
SCHEDULES = 1000


@pytest.fixture(scope="module")
def fleet():
    with Cluster(nodes=0) as made:
        made.controller.stop()
        data = made.controller.data
        many_rows.schedules(data, SCHEDULES)
        for rows in (many_rows.nodes, many_rows.tokens, many_rows.users):
            rows(data, COUNT)
        made.controller.start()
        yield made


def test_all_nodes_are_listed_in_their_order(fleet):
    names = [many_rows.node_name(i) for i in range(COUNT)]
    assert [node["name"] for node in fleet.cli("node", "ls", "--json").ok().json()] == names
    assert fleet.cli("node", "ls", "-o", "name", "env=prod").ok().text.split() == names
    assert fleet.cli("__complete", "--", "run", "web-1999").ok().text.startswith("web-1999")


def test_all_tokens_are_listed_the_oldest_first(fleet):
    ids = [token["id"] for token in fleet.cli("token", "ls", "--json").ok().json()]
    assert ids[:COUNT] == [f"t-{i:012d}" for i in range(COUNT)]
    assert len(ids) == len(set(ids)) == COUNT + 1  # init has made one


def test_all_people_are_listed(fleet):
    names = {user["name"] for user in fleet.cli("user", "ls", "--json").ok().json()}
    assert names == {f"person{i}" for i in range(COUNT)} | {"admin"}


def test_all_schedules_are_listed_and_one_shows_all_its_nodes(fleet):
    names = [one["name"] for one in fleet.cli("schedule", "ls", "--json").ok().json()]
    assert names == [f"sched{i:06d}" for i in range(SCHEDULES)]
    shown = fleet.cli("schedule", "show", "sched000000", "--json").ok().json()
    assert [node["node"] for node in shown["nodes"]] == [many_rows.node_name(i)
                                                         for i in range(COUNT)]
    assert "more" not in shown


def test_a_change_names_the_first_nodes_that_have_not_heard_of_it(fleet):
    done = fleet.cli("schedule", "rm", "sched000001").ok()
    assert f"and {COUNT - 10} more" in done.errors, done


def test_who_waits_for_a_fleet_hears_which_nodes_are_away(fleet):
    done = fleet.cli("node", "wait", "--timeout", "1ms")
    assert done.code == 1 and f"and {COUNT - 20} more" in done.errors, done


def test_a_submit_for_a_fleet_answers_with_each_of_its_jobs(fleet):
    done = fleet.cli("submit", "--wait-online=1h", "@all", "true")
    jobs = done.ok().text.split()
    assert len(jobs) >= COUNT and len(set(jobs)) == len(jobs), done
    shown = fleet.cli("ps", "-n", "10000", "--json").ok().json()
    assert len(shown) == COUNT


def test_a_request_that_names_no_page_gets_the_first(fleet):
    with wire.Peer(fleet.address, fleet.cli.context_dir()) as peer:
        peer.hello()
        first = peer.call(1, "node.ls")["result"]
        assert 0 < len(first["nodes"]) < COUNT and first["more"] == first["nodes"][-1]["name"]
        then = peer.call(2, "node.ls", {"after": first["more"]})["result"]
        assert then["nodes"][0]["name"] == many_rows.node_name(len(first["nodes"]))
