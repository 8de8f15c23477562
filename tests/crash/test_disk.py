"""Disks and limits that are real: a tmpfs that fills and grows, no inodes, no descriptors, a lock.

Errors at exact calls (EIO of a sync, ENOSPC, EROFS, EDQUOT of a write) are in the matrix; single
pages, torn WALs and backups are tests/unit/store's.
"""
import contextlib
import os
import resource
import sqlite3
import subprocess
import uuid

import pytest

from crash.matrix import resting_cluster
from crash.stories import MARK, Teller
from support import checker, faults, history, processes
from support.cli import BINARY, SANITIZED
from support.supervision import Supervised, restarts

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="not here: not root, no mounts")


@contextlib.contextmanager
def small_disk(path, options):
    """A tmpfs in the place of a directory, with its content; `grow(options)` remounts it."""
    kept = path.with_name(path.name + ".kept")
    path.rename(kept)
    path.mkdir(mode=0o700)
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", f"mode=700,{options}", "none", path],
                             capture_output=True, check=False)
    if mounted.returncode != 0:
        path.rmdir()
        kept.rename(path)
        pytest.skip(f"not here: no mounts: {mounted.stderr.decode()}")
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", path], check=True)
        yield lambda more: subprocess.run(["mount", "-o", f"remount,{more}", path], check=True)
    finally:
        subprocess.run(["cp", "-a", f"{path}/.", kept], check=True)
        subprocess.run(["umount", "-l", path], check=True)
        path.rmdir()
        kept.rename(path)


def fill(path):
    with open(path, "wb") as file:
        with contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 65536)
                file.flush()


@pytest.fixture
def resting():
    with resting_cluster() as cluster:
        yield cluster


@contextlib.contextmanager
def story(cluster, tmp_path, **options):
    """A teller under supervision; afterwards the whole history is judged."""
    record = history.History(tmp_path / "history.jsonl")
    with Supervised(cluster) as kept:
        teller = Teller(cluster, record, tmp_path / "told", {}, **options)
        teller.until_answered("node", "wait", "n1")
        teller.kept = kept
        yield teller
        teller.settle()
    history.read_starts(record, teller.marks)
    history.read_records(record, cluster.nodes["n1"])
    history.read_audit(record, cluster.controller.data)
    violations = checker.check(record.lines)
    assert not violations, "\n".join(violations)


@ROOT
def test_a_full_disk_refuses_new_jobs_keeps_the_others_and_recovers_when_it_grows(resting, tmp_path):
    """FAULTS S3: 24 MiB of ballast's room are not enough for everything, so it is spent."""
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with small_disk(resting.controller.data, "size=72m") as grow, \
            story(resting, tmp_path) as teller:
        key = f"waits {uuid.uuid4().hex}"
        teller.wanted(key, "detached", 3, b"through\n")
        before = teller.submit(key, "n1", "sh", "-c", MARK + f"cat {gate}; exit 3",
                               str(teller.marks))
        fill(resting.controller.data / "filler")

        def is_refused():
            # Whatever is accepted on the way there must be kept too.
            key = f"filling {uuid.uuid4().hex}"
            teller.wanted(key, "detached", 4, b"")
            done = teller.cli("submit", "--idempotency-key", key, "-e", "FILL=" + "y" * 60_000, "n1",
                              "sh", "-c", MARK + "exit 4", str(teller.marks))
            if done.code == 0:
                teller.ack(key, done.text.strip())
                return False
            return "disk" in done.errors and done
        refused = processes.wait_until(is_refused, "new jobs are refused", 60)
        assert refused.code != 0 and "full" in refused.errors, refused
        gate.write_text("through\n")
        teller.job_ends(key, before)
        assert restarts(teller.kept) == {"controller": 0, "n1": 0}, "nobody had to die for it"
        grow("size=200m")
        teller.detached()
        processes.wait_until((resting.controller.data / "ballast").exists, "the ballast is back")


@ROOT
def test_a_node_without_inodes_refuses_and_recovers(resting, tmp_path):  # FAULTS S13
    data = resting.nodes["n1"].data
    with small_disk(data, "size=64m,nr_inodes=2000") as grow, story(resting, tmp_path) as teller:
        teller.detached()
        hoard = data / "hoard"
        hoard.mkdir()
        with contextlib.suppress(OSError):
            for number in range(4000):
                (hoard / str(number)).touch()
        key = f"no inodes {uuid.uuid4().hex}"
        teller.record.add("wanted", key=key, kind="refused", tells={"marks": True})
        done = teller.cli("submit", "--idempotency-key", key, "n1", "sh", "-c", MARK + "exit 5",
                          str(teller.marks))
        if done.code == 0:
            job = teller.ack(key, done.text.strip())
            # The directory of the warm shim was there already, so the first may get through.
            teller.job_ends(key, job, with_logs=False)
        grow("size=64m,nr_inodes=20000")
        teller.detached()
        teller.attached()


# UBSan's vptr check opens a pipe to look at an object; without descriptors it takes each for bad.
@pytest.mark.skipif(SANITIZED, reason="not here: the sanitizer itself needs descriptors")
def test_without_descriptors_daemons_wait_and_go_on(resting, tmp_path):  # FAULTS S14
    with story(resting, tmp_path) as teller:
        for daemon in (resting.controller, resting.nodes["n1"]):
            pid = daemon.process.pid
            _, hard = resource.prlimit(pid, resource.RLIMIT_NOFILE)
            open_now = len(os.listdir(f"/proc/{pid}/fd"))
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (open_now, hard))
            refused = teller.cli("run", "--connect-timeout", "2s", "--reconnect", "2s", "n1", "true")
            assert refused.code in (121, 125, 0), refused
            resource.prlimit(pid, resource.RLIMIT_NOFILE, (hard, hard))
            teller.detached()
        assert restarts(teller.kept) == {"controller": 0, "n1": 0}


def test_an_outsider_that_has_the_database_locked_is_named_and_waited_out(resting, tmp_path):
    """FAULTS S10: a start is refused while it lasts; a running controller cannot be locked out."""
    database = resting.controller.data / "controller.db"
    outside = sqlite3.connect(database, isolation_level=None)
    outside.execute("PRAGMA locking_mode = EXCLUSIVE")
    outside.execute("BEGIN EXCLUSIVE")
    done = resting.cli("controller", "run", "--data", str(resting.controller.data), timeout=30)
    assert done.code != 0 and "locked" in done.errors, done
    outside.execute("ROLLBACK")
    outside.close()
    with story(resting, tmp_path) as teller:
        late = sqlite3.connect(database, isolation_level=None, timeout=0.2)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            late.execute("BEGIN EXCLUSIVE")
        late.close()
        teller.detached()


def test_init_killed_at_each_migration_step_can_be_done_again(make_cluster, tmp_path):  # FAULTS S12
    """Old or new, never between: what a killed init leaves is no obstacle, nor half a database."""
    cluster = make_cluster(nodes=0, start=False)
    for step in range(1, 100):
        data = tmp_path / f"controller{step}"
        orders = faults.Orders(tmp_path / f"orders{step}", f"store.migrated=kill@{step}")
        argv = [str(BINARY), "controller", "init", "--data", str(data), "--listen", "127.0.0.1:0"]
        env = {**cluster.cli.env, "XDG_DATA_HOME": str(tmp_path / f"home{step}"),
               "XDG_CONFIG_HOME": str(tmp_path / f"home{step}")}
        first = subprocess.run(argv, env={**env, **orders.env}, capture_output=True, check=False)
        if "store.migrated" not in orders.fired():
            assert first.returncode == 0 and step > 1, first
            return
        again = subprocess.run(argv, env=env, capture_output=True, check=False)
        assert again.returncode == 0, (step, again)
        status = subprocess.run([str(BINARY), "controller", "status", "--data", str(data)], env=env,
                                capture_output=True, check=False)
        assert b"listen" in status.stdout, (step, status)
