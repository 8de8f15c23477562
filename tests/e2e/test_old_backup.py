"""A controller that comes back with an older database: it is noticed, and nothing is lost or doubled
that a node still knows."""
import shutil
import sqlite3

import pytest

from support import processes


@pytest.fixture
def restored(make_cluster):
    """A backup; then three jobs that began before it and five after; then the backup is put back."""
    cluster = make_cluster(nodes=1)
    cli = cluster.cli
    ran = cluster.root / "ran"
    shell = f'echo $REXEC_JOB >> {ran}; {{0}}'
    cluster.started = lambda: ran.read_text().split()
    cluster.known = cli.submit("n1", "sh", "-c", shell.format("exit 1"))
    assert cli("wait", cluster.known).code == 1
    go = cluster.root / "go"
    cluster.spanning = cli.submit(
        "n1", "sh", "-c", shell.format(f"while ! [ -e {go} ]; do sleep 0.05; done; exit 2"))
    processes.wait_until(lambda: cluster.spanning in cluster.started(), "it runs")
    file = cluster.root / "backup"
    cli("controller", "backup", "--data", str(cluster.controller.data), str(file)).ok()
    go.write_text("")
    assert cli("wait", cluster.spanning).code == 2
    cluster.after = [cli.submit("n1", "sh", "-c", shell.format(f"exit {code}")) for code in (3, 4)]
    assert [cli("wait", job).code for job in cluster.after] == [3, 4]
    cluster.running = cli.submit("n1", "sh", "-c", shell.format("exec sleep 1000"))
    processes.wait_until(lambda: cluster.running in cluster.started(), "it runs")
    cluster.controller.stop()
    cli("controller", "restore", "--data", str(cluster.controller.data), str(file)).ok()
    cluster.controller.start()
    cluster.wait_online("n1")
    return cluster


def test_a_restored_database_learns_again_what_its_nodes_know(restored):  # FAULTS S17
    cli = restored.cli
    assert cli("wait", restored.known).code == 1
    assert cli("wait", restored.spanning).code == 2
    assert [cli("wait", job).code for job in restored.after] == [3, 4]
    assert cli("job", "show", restored.running, "--json").ok().json()["state"] == "running"
    cli("stop", restored.running).ok()
    all_jobs = {restored.known, restored.spanning, restored.running, *restored.after}
    assert {job["job"] for job in cli("ps", "-a", "--json").ok().json()} == all_jobs
    assert sorted(restored.started()) == sorted(all_jobs), "each was started once"


def test_that_the_database_is_old_is_said_in_log_status_and_audit(restored):  # FAULTS A25
    old = restored.cli("status", "--json").ok().json()["old_database"]
    assert old["node"] == "n1" and old["why"], old
    assert "OLD_DATABASE" in restored.controller.log.read_text()
    restored.controller.stop()
    database = sqlite3.connect(restored.controller.data / "controller.db")
    rows = database.execute("SELECT object FROM audit WHERE verb = 'history.old'").fetchall()
    database.close()
    assert len(rows) == 1
    # Told once: from then on the node knows the new history.
    restored.controller.start()
    restored.wait_online("n1")
    assert restored.cli("status", "--json").ok().json()["old_database"] is None


def test_a_database_copied_back_by_hand_is_noticed_too(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.controller.stop()
    database = cluster.controller.data / "controller.db"
    shutil.copy(database, cluster.root / "aside")
    cluster.controller.start()
    cluster.wait_online("n1")
    job = cluster.cli.submit("n1", "sh", "-c", "exit 7")
    assert cluster.cli("wait", job).code == 7
    cluster.controller.stop()
    shutil.copy(cluster.root / "aside", database)
    cluster.controller.start()
    cluster.wait_online("n1")
    assert cluster.cli("status", "--json").ok().json()["old_database"]["node"] == "n1"
    assert cluster.cli("wait", job).code == 7


def test_an_ordinary_restart_is_no_old_database(make_cluster):
    cluster = make_cluster(nodes=2)
    for _ in range(2):
        assert cluster.cli.run("n1", "true").code == 0
        cluster.controller.kill()
        cluster.controller.start()
        cluster.wait_online("n1", "n2")
    assert cluster.cli("status", "--json").ok().json()["old_database"] is None
