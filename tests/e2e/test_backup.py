"""`controller backup` and `restore`: the drill that is done when the controller's machine is gone."""
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from support import past_jobs, processes


def backup(cluster, name="backup"):
    file = cluster.root / name
    cluster.cli("controller", "backup", "--data", str(cluster.controller.data), str(file)).ok()
    return file


def restore(cluster, file):
    return cluster.cli("controller", "restore", "--data", str(cluster.controller.data), str(file))


def test_a_bare_machine_becomes_the_controller_again_from_one_file(make_cluster):  # FAULTS S17
    cluster = make_cluster(nodes=1)
    cli = cluster.cli
    running = cli.submit("n1", "sh", "-c", "read x < /dev/zero; sleep 1000")
    ended = cli.submit("n1", "sh", "-c", "exit 3")
    assert cli("wait", ended).code == 3
    file = backup(cluster)
    assert stat.S_IMODE(os.stat(file).st_mode) == 0o600
    cluster.controller.kill()
    shutil.rmtree(cluster.controller.data)
    restore(cluster, file).ok()
    cluster.controller.start()
    cluster.wait_online("n1")
    assert {job["job"] for job in cli("ps", "-a", "--json").ok().json()} == {running, ended}
    assert cli("wait", ended).code == 3
    assert cli.run("n1", "echo", "again").ok().text == "again\n"
    cli("stop", running).ok()
    cluster.add_node("n2")
    cluster.wait_online("n2")


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(make_cluster):  # FAULTS S17
    cluster = make_cluster(nodes=1)
    cluster.controller.stop()
    past_jobs.write(cluster.controller.data, 5000)  # several pieces of a copy
    cluster.controller.start()
    cluster.wait_online("n1")
    before = [cluster.cli.submit("n1", "true") for _ in range(5)]
    stop = threading.Event()
    during = []

    def load():
        while not stop.is_set():
            during.append(cluster.cli.submit("n1", "true"))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        processes.wait_until(lambda: len(during) > 2, "jobs are submitted")
        files = [backup(cluster, f"backup{i}") for i in range(3)]
    finally:
        stop.set()
        thread.join()
    for file in files:
        copy = sqlite3.connect(file)
        assert copy.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        jobs = {row[0] for row in copy.execute("SELECT id FROM jobs")}
        copy.close()
        assert set(before) <= jobs and len(jobs) > 5000
    cluster.controller.stop()
    restore(cluster, files[-1]).ok()  # verifies the audit chain


def test_a_controller_that_does_not_run_is_copied_just_so(make_cluster):
    cluster = make_cluster(nodes=1)
    cluster.controller.stop()
    file = backup(cluster)
    restore(cluster, file).ok()
    assert (cluster.controller.data / "controller.db.before-restore").exists()
    restored = sqlite3.connect(cluster.controller.data / "controller.db")
    tables = {row[0] for row in restored.execute("SELECT name FROM sqlite_master")}
    restored.close()
    assert "jobs" in tables and "backup_files" not in tables
    cluster.controller.start()
    cluster.wait_online("n1")


def test_nothing_is_restored_over_a_controller_that_runs(make_cluster):
    cluster = make_cluster(nodes=0)
    done = restore(cluster, backup(cluster))
    assert done.code == 6 and "runs" in done.errors, done


def test_a_damaged_backup_and_another_clusters_are_refused_and_change_nothing(make_cluster):
    cluster, other = make_cluster(nodes=1), make_cluster(nodes=0)
    foreign = backup(other)
    whole = backup(cluster).read_bytes()
    cluster.controller.stop()
    torn = cluster.root / "torn"
    torn.write_bytes(whole[: len(whole) // 2])
    assert restore(cluster, torn).code != 0
    refused = restore(cluster, foreign)
    assert refused.code == 6 and "another cluster" in refused.errors, refused
    cluster.controller.start()
    cluster.wait_online("n1")


def test_a_place_that_cannot_be_written_is_named_and_the_controller_goes_on(make_cluster):
    cluster = make_cluster(nodes=1)
    done = cluster.cli("controller", "backup", "--data", str(cluster.controller.data),
                       str(cluster.root / "no" / "such" / "place"))
    assert done.code == 1 and "no/such/place" in done.errors, done
    assert cluster.cli.run("n1", "true").code == 0


def test_a_stranger_of_this_machine_gets_no_backup(make_cluster):
    if os.geteuid() != 0:
        pytest.skip("not here: needs a second user")
    cluster = make_cluster(nodes=0)
    path = cluster.controller.data / "controller.sock"
    for place in (cluster.root, cluster.controller.data, path):
        os.chmod(place, 0o777)  # as if the directory did not keep him out already
    stranger = (
        "import json, os, socket, sys\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)\n"
        "s.connect(sys.argv[1])\n"
        "try:\n"
        "    s.send(json.dumps({'verb': 'backup', 'path': sys.argv[2]}).encode())\n"
        "    print(s.recv(100))\n"
        "except OSError as error:\n"
        "    print(error.errno)\n")
    file = cluster.root / "stolen"
    done = subprocess.run([sys.executable, "-c", stranger, str(path), str(file)],
                          capture_output=True, text=True, timeout=20)
    assert done.returncode == 0 and "ok" not in done.stdout, done
    assert not file.exists()


def state_of(directory):
    return {path.name: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_backup_with_one_byte_changed_is_refused_whatever_the_byte(make_cluster):  # FAULTS S17
    cluster = make_cluster(nodes=1)
    cluster.cli("schedule", "add", "nightly", "--every", "1h", "n1", "--", "echo", "harmless").ok()
    file = backup(cluster)
    whole = file.read_bytes()
    cluster.controller.stop()
    before = state_of(cluster.controller.data)
    evil = whole.replace(b"harmless", b"harmful!")
    assert evil != whole and len(evil) == len(whole)
    spread = [whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:]
              for at in range(7, len(whole), len(whole) // 20)]
    for damaged in [evil, whole[:-1], whole + b"\n", b"", b"root:x:0:0\n" * 50, *spread]:
        file.write_bytes(damaged)
        done = restore(cluster, file)
        assert done.code == 1 and f"{file} cannot be restored: " in done.errors, done
        assert "take another backup: rexec controller restore FILE" in done.errors, done
    assert state_of(cluster.controller.data) == before, "nothing was changed"
    file.write_bytes(whole)
    restore(cluster, file).ok()


def test_an_older_backup_of_the_name_is_replaced_and_another_file_is_not(make_cluster):
    cluster = make_cluster(nodes=1)
    file = backup(cluster)
    cluster.cli("wait", cluster.cli.submit("n1", "true")).ok()
    first = file.read_bytes()
    backup(cluster)
    assert file.read_bytes() != first
    other = cluster.root / "letter"
    other.write_text("Dear Ann,\n")
    done = cluster.cli("controller", "backup", "--data", str(cluster.controller.data), str(other))
    assert done.code == 6 and "is no backup" in done.errors, done
    assert other.read_text() == "Dear Ann,\n"


def test_a_dash_is_no_file_to_back_up_to_or_restore_from(make_cluster):
    cluster = make_cluster(nodes=0)
    for verb in ("backup", "restore"):
        done = cluster.cli("controller", verb, "--data", str(cluster.controller.data), "-")
        assert done.code == 2 and "pipe" in done.errors and f"{verb} FILE" in done.errors, done
    assert not os.path.exists("-")


def test_a_directory_that_is_no_controllers_is_named(make_cluster):
    cluster = make_cluster(nodes=0)
    nowhere = cluster.root / "nosuch"
    done = cluster.cli("controller", "backup", "--data", str(nowhere), str(cluster.root / "file"))
    assert done.code != 0 and f"{nowhere} is no controller's data directory" in done.errors, done
    assert "--data DIR" in done.errors and not nowhere.exists(), done


def test_a_controller_that_never_ran_has_no_ticket_key_to_back_up(make_cluster):
    cluster = make_cluster(nodes=0, start=False)
    file = cluster.root / "file"
    done = cluster.cli("controller", "backup", "--data", str(cluster.controller.data), str(file))
    assert done.code == 1 and "ticket.key" in done.errors, done
    assert "first start: rexec controller run --data" in done.errors and not file.exists(), done


def test_an_agents_directory_is_not_made_a_controllers_too(make_cluster):
    cluster = make_cluster(nodes=1)
    file = backup(cluster)
    cluster.controller.stop()
    data = cluster.root / "agent"
    data.mkdir(mode=0o700)
    (data / "agent.toml").write_text("")
    done = cluster.cli("controller", "restore", "--data", str(data), str(file))
    assert done.code == 6 and "an agent's data directory" in done.errors, done
    assert [path.name for path in data.iterdir()] == ["agent.toml"]
