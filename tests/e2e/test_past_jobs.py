"""Jobs that ended: found, listed and refused as before when the controller's memory has let them go."""
import pytest

from support import past_jobs, processes


@pytest.fixture
def restarted(make_cluster):
    """Five jobs that ended, of one that runs and two nodes; the controller was restarted since, so
    its memory has none of those that ended."""
    cluster = make_cluster(nodes=2)
    cli = cluster.cli
    cluster.running = cli.submit("n1", "sleep", "1000")
    cluster.ended = []
    for node, code in (("n1", 0), ("n2", 1), ("n1", 2), ("n2", 3), ("n1", 4)):
        job = cli.submit(node, "sh", "-c", f"echo out-{code}; exit {code}")
        cli("wait", job)
        cluster.ended.append(job)
    cluster.controller.restart()
    cluster.wait_online("n1", "n2")
    return cluster


def ids(cli, *flags):
    return [job["job"] for job in cli("ps", *flags, "--json").ok().json()]


def test_every_verb_answers_for_a_job_that_memory_has_let_go(restarted):
    cli, job = restarted.cli, restarted.ended[3]
    shown = cli("job", "show", job[:9], "--json").ok().json()
    assert (shown["job"], shown["state"], shown["record"]["code"]) == (job, "exited", 3)
    assert cli("wait", job).code == 3
    assert cli("stop", job).ok().text == f"{job} has ended: exited 3\n"
    assert cli("logs", job).ok().text == "out-3\n"
    assert cli("attach", job).code == 3
    cli("job", "rm", job).ok()
    assert cli("job", "show", job).code == 3
    assert ids(cli, "-a") == [restarted.ended[4], *restarted.ended[2::-1], restarted.running]


def test_a_list_is_the_same_from_memory_and_store_by_any_filter_and_page(restarted):
    cli = restarted.cli
    newer = cli.submit("n2", "sh", "-c", "exit 9")
    cli("wait", newer)
    everything = [newer, *reversed(restarted.ended), restarted.running]
    assert ids(cli, "-a") == everything
    assert ids(cli) == [restarted.running]
    assert ids(cli, "-a", "-n", "3") == everything[:3]
    assert ids(cli, "-a", "--node", "n2") == [newer, restarted.ended[3], restarted.ended[1]]
    assert ids(cli, "--state", "exited") == everything[:-1]
    assert ids(cli, "--state", "running", "--node", "n1") == [restarted.running]
    assert ids(cli, "--state", "lost", "-a") == []
    assert ids(cli, "-a", "--owner", "admin") == everything
    nobody = cli("ps", "-a", "--owner", "nobody")
    assert nobody.code == 3 and "nobody" in nobody.errors, nobody


def test_a_list_goes_on_past_what_one_answer_holds(make_cluster):
    cluster = make_cluster(nodes=1)
    cli = cluster.cli
    cluster.controller.stop()
    past_jobs.write(cluster.controller.data, 1000)
    cluster.controller.start()
    assert ids(cli, "-a", "-n", "100000") == [past_jobs.job_id(i) for i in reversed(range(1000))]
    assert len(ids(cli, "-a", "-n", "201", "--node", past_jobs.NODE)) == 201
    assert cli("status", "--json").ok().json()["jobs"]["total"] == 1000


def test_what_others_ran_answers_like_what_never_was_also_from_the_store(restarted):  # FAULTS A21
    ann = restarted.new_user("ann")
    job = restarted.ended[0]
    foreign, unknown = ann("job", "show", job), ann("job", "show", "j-000000000000")
    assert foreign.code == unknown.code == 3
    assert foreign.errors.replace(job, "J") == unknown.errors.replace("j-000000000000", "J")
    assert ids(ann, "-a") == []
    assert ann("ps", "-a", "--owner", "admin").code == 3


def test_a_key_finds_its_job_in_the_store_and_conflicts_there(restarted):
    cli = restarted.cli
    def submit(node, code):
        return cli("submit", "--idempotency-key", "k1", node, "--", "sh", "-c", f"exit {code}")

    first = submit("n1", 5).ok().text.strip()
    cli("wait", first)
    restarted.controller.restart()
    restarted.wait_online("n1", "n2")
    assert submit("n1", 5).ok().text.strip() == first
    assert first in submit("n1", 6).errors
    assert first in submit("n2", 5).errors
    assert len(ids(cli, "-a")) == 7


def test_a_key_is_found_again_although_the_jobs_of_its_time_are_forgotten(restarted):
    cli = restarted.cli
    keyed = cli("submit", "--idempotency-key", "k2", "n1", "--", "true").ok().text.strip()
    cli("wait", keyed).ok()
    config = restarted.controller.data / "controller.toml"
    config.write_text(config.read_text() + 'keep_jobs = "1s"\n')
    restarted.controller.restart()
    restarted.wait_online("n1", "n2")
    processes.wait_until(lambda: ids(cli, "-a") == [keyed, restarted.running], "the others are gone")
    again = cli("submit", "--idempotency-key", "k2", "n1", "--", "true").ok().text.strip()
    assert again == keyed
