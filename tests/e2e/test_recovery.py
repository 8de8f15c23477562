"""What a restored copy does not know: tokens spent, people revoked, nodes and jobs removed since."""
import shutil
import sqlite3

from support import processes
from support.cli import Cli
from support.cluster import MARK
from support.wire import Peer


def backup(cluster):
    file = cluster.root / "backup"
    cluster.cli("controller", "backup", "--data", str(cluster.controller.data), str(file)).ok()
    return file


def restore(cluster, file, *options):
    cluster.controller.stop()
    done = cluster.cli("controller", "restore", "--data", str(cluster.controller.data), str(file),
                       *options).ok()
    cluster.controller.start()
    return done


def person(cluster, name):
    """An account of their own that is not signed in yet."""
    return Cli(cluster.root / f"user-{name}", {MARK: cluster.mark})


def audit_verbs(cluster):
    cluster.controller.stop()
    database = sqlite3.connect(cluster.controller.data / "controller.db")
    rows = database.execute("SELECT verb, object, detail FROM audit ORDER BY seq").fetchall()
    database.close()
    cluster.controller.start()
    return rows


# ---- tokens

def test_a_restore_voids_every_token_that_was_open_before(make_cluster):  # FAULTS I12
    cluster = make_cluster(nodes=0)
    spent_since = cluster.token("--user", "bob", "--role", "admin", "--ttl", "2h")
    open_still = cluster.token("--node", "n9", "--ttl", "2h")
    spent_before = cluster.token("--user", "carl")
    carl = person(cluster, "carl")
    carl("login", spent_before).ok()
    file = backup(cluster)
    person(cluster, "bob")("login", spent_since).ok()
    done = restore(cluster, file)
    assert "unspent tokens of before are void" in done.errors, done
    assert "not known yet when the copy was taken, they sign in again: bob" in done.errors, done
    refused = person(cluster, "thief")("login", spent_since)
    assert refused.code == 4 and "revoked" in refused.errors, refused
    joined = cluster.cli("join", open_still, "--data", str(cluster.root / "n9"), "--no-start")
    assert joined.code == 4, joined
    assert {row["state"] for row in cluster.cli("token", "ls", "--json").ok().json()} == {
        "used", "revoked"}
    carl("node", "ls").ok()
    person(cluster, "dora")("login", cluster.token("--user", "dora")).ok()


def test_each_voided_token_has_its_row_in_the_audit_log(make_cluster):  # FAULTS I6
    cluster = make_cluster(nodes=0)
    for _ in range(2):
        cluster.token("--node", "n9")
    file = backup(cluster)
    restore(cluster, file)
    rows = [row for row in audit_verbs(cluster) if row[2] == "open when a copy was restored"]
    assert {verb for verb, _, _ in rows} == {"token.revoke"}
    assert len(rows) >= 2


# ---- revocations

def test_what_the_former_database_revoked_since_the_copy_is_revoked_again(make_cluster):
    cluster = make_cluster(nodes=2)
    bob, carl = cluster.new_user("bob"), cluster.new_user("carl")
    runs = cluster.cli.submit("n2", "sleep", "1000")
    file = backup(cluster)
    cluster.cli("user", "revoke", "-y", "bob").ok()
    cluster.cli("node", "rm", "-y", "--force", "n2").ok()
    cluster.add_node("n3")
    done = restore(cluster, file)
    assert "revoked again, as in the former database: bob" in done.errors, done
    assert "nodes removed again, as in the former database: n2" in done.errors, done
    assert "nodes not known yet when the copy was taken, they join again: n3" in done.errors, done
    assert "is not known here" not in done.errors, done
    refused = bob("node", "ls")
    assert refused.code == 4 and "revoked" in refused.errors, refused
    carl("node", "ls").ok()
    assert list(cluster.node_states()) == ["n1"]
    # Its node is gone, so the job that ran there has ended.
    assert cluster.cli("wait", runs).code == 121
    rows = audit_verbs(cluster)
    detail = ", as in the former database"
    assert {(verb, what) for verb, _, what in rows if what.endswith(detail)} >= {
        ("user.revoke", "bob" + detail), ("node.rm", "n2" + detail)}


def test_the_last_admin_of_a_copy_is_named_and_not_revoked(make_cluster):
    cluster = make_cluster(nodes=0)
    file = backup(cluster)
    ann = cluster.new_user("ann", "--role", "admin")
    ann("user", "revoke", "-y", "admin").ok()
    done = restore(cluster, file)
    assert "NOT revoked again, because nobody else is an admin: admin" in done.errors, done
    cluster.cli("user", "ls").ok()
    assert ann("user", "ls").code == 4


def test_a_schedule_that_was_dropped_since_the_copy_is_named(make_cluster):
    cluster = make_cluster()
    for name in ("kept", "dropped", "paused"):
        cluster.cli("schedule", "add", name, "--every", "1h", "n1", "--", "true").ok()
    file = backup(cluster)
    cluster.cli("schedule", "rm", "dropped").ok()
    cluster.cli("schedule", "pause", "paused").ok()
    done = restore(cluster, file)
    assert "and fire again: dropped, paused" in done.errors, done


def test_without_a_former_database_a_restore_says_since_when_revocations_are_not_known(
        make_cluster):
    cluster = make_cluster(nodes=0)
    bob = cluster.new_user("bob")
    spent_since = cluster.token("--user", "carl")
    file = backup(cluster)
    cluster.cli("user", "revoke", "-y", "bob").ok()
    cluster.controller.stop()
    shutil.rmtree(cluster.controller.data)
    done = restore(cluster, file, "--json")
    found = done.json()
    assert found["former_read"] is False and found["tokens_voided"] >= 1, done
    assert f"removed after {found['since']} is not known here" in done.errors, done
    assert "rexec user revoke" in done.errors, done
    assert person(cluster, "carl")("login", spent_since).code == 4
    bob("node", "ls").ok()  # nobody could know


def test_a_damaged_former_database_is_said_to_be_unreadable_and_the_copy_is_restored(make_cluster):
    cluster = make_cluster(nodes=0)
    token = cluster.token("--user", "bob")
    file = backup(cluster)
    cluster.controller.stop()
    database = cluster.controller.data / "controller.db"
    whole = database.read_bytes()
    database.write_bytes(whole[:4096] + b"\xff" * (len(whole) - 4096))
    done = restore(cluster, file)
    assert "the former database cannot be read: " in done.errors, done
    assert "is not known here" in done.errors, done
    assert person(cluster, "bob")("login", token).code == 4
    cluster.cli("node", "ls").ok()


# ---- a removed job stays removed

def assert_gone(cluster, job):
    assert cluster.cli("job", "show", job).code == 3
    assert job not in {row["job"] for row in cluster.cli("ps", "-a", "--json").ok().json()}


def forgotten_there(cluster, job):
    processes.wait_until(lambda: not cluster.nodes["n1"].job_dirs(job), "the node forgets it")


def test_a_job_that_was_removed_since_the_copy_is_removed_again(make_cluster):
    cluster = make_cluster()
    known = cluster.cli.submit("n1", "sh", "-c", "exit 3")
    assert cluster.cli("wait", known).code == 3
    file = backup(cluster)
    later = cluster.cli.submit("n1", "sh", "-c", "exit 4")
    kept = cluster.cli.submit("n1", "sh", "-c", "exit 5")
    assert [cluster.cli("wait", job).code for job in (later, kept)] == [4, 5]
    cluster.nodes["n1"].stop()  # it does not hear of the removal
    cluster.cli("job", "rm", known, later).ok()
    done = restore(cluster, file, "--json")
    assert done.json()["jobs_removed"] == 1, done
    cluster.nodes["n1"].start()  # and reports everything it has
    assert cluster.cli("wait", kept).code == 5
    for _ in range(2):
        for job in (known, later):
            assert_gone(cluster, job)
            forgotten_there(cluster, job)
        cluster.controller.restart()
        cluster.wait_online("n1")


def tickets(cluster, *jobs):
    """What the controller gave their node as its word: {job, ticket}."""
    with Peer(cluster.address, cluster.cli.context_dir()) as peer:
        peer.hello()
        answers = [peer.call(number, "job.show", {"job": job})
                   for number, job in enumerate(jobs, 1)]
    return [{key: answer["result"][key] for key in ("job", "ticket")} for answer in answers]


def lie(cluster, name, jobs):
    """A node with a genuine certificate that says it ran these."""
    node = cluster.nodes[name]
    peer = Peer(cluster.address, node.data / "net")
    assert peer.hello("node", instance="a liar's")[0] != 0
    reports = [{"job": job["job"], "attempt": 1, "state": state, "ticket": job["ticket"],
                "started_ms": 1_700_000_000_000,
                "record": {"job": job["job"], "node": name, "attempt": 1, "outcome": "exited",
                           "code": 0, "bytes": {"out": 0, "err": 0}, "complete": True}}
               for job in jobs for state in ("running", "final")]
    answer = peer.call(1, "reconcile", {"jobs": reports, "last": True})
    assert "error" not in answer, answer
    for number, report in enumerate(reports, 2):
        peer.call(number, "job.report", report)
    return peer


def test_a_removed_job_stays_removed_whatever_its_node_says(make_cluster):
    cluster = make_cluster()
    plain = cluster.cli.submit("n1", "true")
    cluster.cli("wait", plain).ok()
    cluster.cli("schedule", "add", "beat", "--every", "1s", "n1", "--", "true").ok()
    fired = lambda: [row["job"] for row in cluster.cli("ps", "-a", "--json").ok().json()
                     if row["job"] != plain]
    processes.wait_until(fired, "it fires", 60)
    cluster.cli("schedule", "rm", "beat").ok()
    firing = fired()[-1]
    cluster.cli("wait", firing).ok()
    jobs = tickets(cluster, plain, firing)
    cluster.nodes["n1"].stop()
    cluster.cli("job", "rm", plain, firing).ok()
    for _ in range(2):
        lie(cluster, "n1", jobs).close()
        for job in (plain, firing):
            assert_gone(cluster, job)
        cluster.controller.restart()


# ---- a false alarm

def check(cluster, *options):
    return cluster.cli("controller", "check", "--data", str(cluster.controller.data), *options)


def test_an_alarm_of_an_old_database_is_looked_into_and_accepted(make_cluster):
    cluster = make_cluster()
    cluster.cli("controller", "check", "--data", str(cluster.controller.data)).ok()
    node = cluster.nodes["n1"]
    assert cluster.cli.run("n1", "true").code == 0
    node.stop()
    seen = node.data / "seen"
    damaged = '{"run": "e-000000000000", "commits": 5}'
    seen.write_text(damaged)
    node.start()
    found = check(cluster, "--json")
    assert found.code == 1 and [row["node"] for row in found.json()] == ["n1"], found
    assert "e-000000000000" in found.json()[0]["why"], found
    assert "rexec controller check --accept" in found.errors, found
    assert cluster.cli("status", "--json").ok().json()["old_database"]["node"] == "n1"
    assert check(cluster, "--accept").ok().text == "accepted 1\n"
    assert cluster.cli("status", "--json").ok().json()["old_database"] is None
    # It says the same again, also after a restart, and is believed.
    node.stop()
    seen.write_text(damaged)
    cluster.controller.restart()
    node.start()
    check(cluster).ok()
    assert any(verb == "history.accept" for verb, _, _ in audit_verbs(cluster))
    # Another claim is another alarm.
    node.stop()
    seen.write_text(damaged.replace("000", "111", 1))
    node.start()
    assert check(cluster).code == 1


def test_a_check_without_a_controller_says_what_to_start(make_cluster):
    cluster = make_cluster(nodes=0)
    cluster.controller.stop()
    done = check(cluster)
    assert done.code == 5 and "rexec controller run --data" in done.errors, done
