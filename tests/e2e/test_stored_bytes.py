"""What one user's jobs take of the controller's disk: beyond keep_bytes the oldest that ended go
soon; nothing of others, nothing that waits or runs, and no key of the week starts a second job."""
import os
import pathlib

import pytest

from support import processes, wire

LARGE = "x" * 100_000


def limit(cluster, size):
    """From its next start on."""
    config = cluster.controller.data / "controller.toml"
    lines = [line for line in config.read_text().splitlines() if not line.startswith("keep_bytes")]
    config.write_text("\n".join([*lines, f'keep_bytes = "{size}"', ""]))


@pytest.fixture
def bounded(make_cluster):
    """bounded(size): a cluster of one node whose users' ended jobs take at most so much."""
    def make(size):
        cluster = make_cluster(nodes=1)
        limit(cluster, size)
        cluster.controller.restart()
        cluster.wait_online("n1")
        return cluster

    return make


def listed(cli):
    return {row["job"]: row["state"] for row in cli("ps", "-a", "-n", "1000", "--json").ok().json()}


def ended(cli, *words, flags=()):
    """A job that ended well."""
    job = cli.submit(*flags, "n1", "--", *words)
    assert cli("wait", job).code == 0
    return job


def large(cli, number, flags=()):
    return ended(cli, "sh", "-c", f": {number} {LARGE}", flags=flags)


def gone(cli, *jobs):
    processes.wait_until(lambda: not listed(cli).keys() & set(jobs), f"{jobs} are gone")


def as_unknown(cli, job, *verb):
    """What a verb says of it, as of a job that never was."""
    done, never = cli(*verb, job), cli(*verb, "j-000000000000")
    assert (done.code, done.errors.replace(job, "J")) == (
        never.code, never.errors.replace("j-000000000000", "J")), (done, never)


def test_beyond_keep_bytes_a_users_oldest_ended_jobs_go_soon_and_nothing_else(bounded):
    cluster = bounded("1MiB")
    admin, ann = cluster.cli, cluster.new_user("ann")
    others = [ended(ann, "true", str(number)) for number in range(3)]
    runs = admin.submit("n1", "sh", "-c", f"exec sleep 1000 # {LARGE}")
    waits = admin.submit("--after", runs, "n1", "sh", "-c", f": waits {LARGE}")
    jobs = [large(admin, number) for number in range(30)]
    gone(admin, *jobs[:19])
    left = listed(admin)
    kept = [job for job in jobs if job in left]
    assert 5 <= len(kept) <= 10 and kept == jobs[-len(kept):], left
    assert left[runs] == "running" and left[waits] == "waiting", left
    assert set(listed(ann)) == set(others)
    for verb in (("job", "show"), ("logs",), ("rerun",), ("wait",), ("attach",)):
        as_unknown(admin, jobs[0], *verb)
    assert admin("rerun", jobs[-1]).code == 0  # what stays stays whole
    log = cluster.controller.logged()
    assert "a user's ended jobs take more than 1.0 MiB of the disk: the oldest are dropped" in log
    admin("stop", runs).ok()
    assert admin("wait", waits).code != 124
    assert set(others) <= set(listed(ann))


def test_one_large_command_of_many_jobs_counts_once(bounded):
    cluster = bounded("1MiB")
    cli = cluster.cli
    same = [large(cli, "same") for _ in range(20)]
    assert set(same) <= set(listed(cli))
    other = [large(cli, number) for number in range(12)]
    gone(cli, *same)
    assert other[-1] in listed(cli)


def test_what_goes_never_starts_twice_by_its_key(bounded, tmp_path):
    cluster = bounded("1MiB")
    cli, ran = cluster.cli, tmp_path / "ran"
    keyed = ("--idempotency-key", "k1")
    command = ("sh", "-c", f"echo x >>{ran}; : {LARGE}")
    first = ended(cli, *command, flags=keyed)
    jobs = [large(cli, number) for number in range(12)]
    gone(cli, jobs[0])
    # It is found by its key; only its command is not kept.
    assert cli.job(first)["state"] == "exited"
    rerun = cli("rerun", first)
    assert rerun.code == 3 and "is not kept" in rerun.errors, rerun
    assert ended(cli, *command, flags=keyed) == first
    other = cli("submit", *keyed, "n1", "--", "true")
    assert other.code == 125 and first in other.errors, other
    assert ran.read_text() == "x\n"


def test_of_jobs_with_keys_alone_the_oldest_leave_their_keys(bounded, tmp_path):
    cluster = bounded("20K")
    cli, ran = cluster.cli, tmp_path / "ran"

    def submit(number):
        return cli("submit", "--idempotency-key", f"key{number}", "n1", "--", "sh", "-c",
                   f"echo {number} >>{ran}")

    jobs = []
    for number in range(40):
        jobs.append(submit(number).ok().text.strip())
        assert cli("wait", jobs[-1]).code == 0
    gone(cli, jobs[0])
    for _ in range(2):
        again = submit(0)
        assert again.code == 125 and jobs[0] in again.errors and "was removed" in again.errors, again
        assert submit(39).ok().text.strip() == jobs[39]
        cluster.controller.restart()
        cluster.wait_online("n1")
    assert ran.read_text().split() == [str(number) for number in range(40)]


def submit_request(cluster, request, spec):
    """The answer to a submit of that request, as a client that asks again makes it."""
    with wire.Peer(cluster.address, directory=cluster.cli.context_dir(), timeout=100) as peer:
        peer.hello()
        args = {"request": request, "targets": "n1", "mode": "detached", "spec_size": len(spec)}
        peer.send(wire.frame(wire.OPEN, {"kind": "submit", "args": args}, stream=1)
                  + wire.frame(wire.DATA, spec, stream=1, flags=3) + wire.frame(wire.END, stream=1))
        kind, _, _, answer = peer.until(wire.EVENT, wire.RESET, wire.CLOSE)
        assert kind == wire.EVENT, answer
        return answer["jobs"][0]["job"]


def test_what_went_is_not_started_again_by_its_node_nor_by_a_repeated_request(bounded, tmp_path):
    cluster = bounded("1MiB")
    cli, ran = cluster.cli, tmp_path / "ran"
    request = os.urandom(16).hex()
    spec = wire.pack({"argv": [b"sh", b"-c", f"echo x >>{ran}; : {LARGE[:50_000]}".encode()],
                      "durable": True})
    job = submit_request(cluster, request, spec)
    assert cli("wait", job).code == 0
    for number in range(12):
        large(cli, number)
    gone(cli, job)
    cluster.nodes["n1"].restart()
    cluster.controller.restart()
    cluster.wait_online("n1")
    assert job not in listed(cli)
    assert submit_request(cluster, request, spec) == job
    assert cli("wait", job).code == 0
    assert ran.read_text() == "x\n"


def test_a_restart_keeps_the_limit_and_one_that_is_new_holds_for_what_is_there(make_cluster):
    cluster = make_cluster(nodes=1)
    admin, ann = cluster.cli, cluster.new_user("ann")
    others = [ended(ann, "true", str(number)) for number in range(3)]
    jobs = [large(admin, number) for number in range(20)]
    assert set(jobs) <= set(listed(admin))
    limit(cluster, "1MiB")
    cluster.controller.restart()
    cluster.wait_online("n1")
    gone(admin, *jobs[:10])
    left = [job for job in jobs if job in listed(admin)]
    assert left and left == jobs[-len(left):], left
    cluster.controller.restart()
    cluster.wait_online("n1")
    more = [large(admin, f"more {number}") for number in range(len(left) + 1)]
    gone(admin, *left[:1])
    assert more[-1] in listed(admin) and set(others) == set(listed(ann))
    admin("job", "rm", more[-1]).ok()  # what is removed by hand makes room
    one = large(admin, "one")
    assert {*more[-3:-1], one} <= set(listed(admin))


@pytest.mark.parametrize("size", ["much", "0", "-1K"])
def test_a_size_that_is_none_is_refused_with_its_place(make_cluster, size):
    cluster = make_cluster(nodes=0)
    cluster.controller.stop()
    limit(cluster, size)
    done = cluster.cli("controller", "run", "--data", str(cluster.controller.data))
    assert done.code == 2 and "keep_bytes" in done.errors and size in done.errors, done
    assert pathlib.Path(cluster.controller.data / "controller.toml").name in done.errors, done
