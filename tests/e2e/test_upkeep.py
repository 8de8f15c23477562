"""The controller's disk: what it forgets in time, and what it does when there is no room."""
import os
import shutil
import subprocess

import pytest

from support import processes


def test_jobs_that_ended_long_ago_are_forgotten_by_controller_and_store(make_cluster):
    cluster = make_cluster(nodes=1)
    running = cluster.cli.submit("n1", "sleep", "1000")
    old = cluster.cli.submit("n1", "true")
    cluster.cli("wait", old).ok()
    config = cluster.controller.data / "controller.toml"
    config.write_text(config.read_text() + 'keep_jobs = "1s"\n')
    cluster.controller.restart()

    def listed():
        return [row["job"] for row in cluster.cli("ps", "-a", "--json").ok().json()]

    processes.wait_until(lambda: old not in listed(), "the old job is forgotten")
    assert cluster.cli("job", "show", old).code == 3
    config.write_text(config.read_text().replace("1s", "30d"))
    cluster.controller.restart()
    cluster.wait_online("n1")
    assert listed() == [running]
    cluster.cli("stop", running).ok()


def test_a_retention_that_is_no_duration_is_refused_with_its_place(make_cluster):
    cluster = make_cluster(nodes=0)
    cluster.controller.stop()
    config = cluster.controller.data / "controller.toml"
    config.write_text(config.read_text() + 'keep_jobs = "soon"\n')
    done = cluster.cli("controller", "run", "--data", str(cluster.controller.data))
    assert done.code == 2 and "keep_jobs" in done.errors and "soon" in done.errors, done


@pytest.fixture
def small_disk(make_cluster):
    """A cluster whose controller's data directory is a file system of 96 MiB: 32 are ballast."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small file system")
    cluster = make_cluster(nodes=1)
    cluster.controller.stop()
    data = cluster.controller.data
    aside = cluster.root / "aside"
    (data / "ballast").unlink()
    shutil.move(data, aside)
    data.mkdir(mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "tmpfs", data], check=True)
    try:
        shutil.copytree(aside, data, dirs_exist_ok=True)
        cluster.controller.start()
        cluster.wait_online("n1")
        yield cluster
        cluster.controller.stop()
    finally:
        subprocess.run(["umount", "-l", data], check=True)


def fill(path):
    """Takes all there is on the file system of this new file."""
    with open(path, "wb", buffering=0) as file:
        size = 1 << 20
        while size >= 512:
            try:
                file.write(b"\0" * size)
            except OSError:
                size //= 2


def test_a_full_disk_refuses_new_jobs_loses_none_and_recovers_by_itself(small_disk):  # FAULTS S3
    cluster = small_disk
    running = cluster.cli.submit("n1", "sleep", "1000")
    filler = cluster.controller.data / "filler"
    fill(filler)
    known = [running]

    def refused():
        done = cluster.cli("submit", "n1", "sh", "-c", f": {'x' * 100_000}")
        if done.code == 0:
            known.append(done.text.strip())
            return None
        return done

    first = processes.wait_until(refused, "new jobs are refused", 30)
    assert "disk is full" in first.errors and "make room" in first.errors, first
    assert cluster.cli("status", "--json").ok().json()["disk_low"] is True
    # What ends what is there still works, and its outcome is kept.
    cluster.cli("stop", running).ok()
    for job in known[1:]:
        assert cluster.cli("wait", job).code == 0
    filler.unlink()
    processes.wait_until(lambda: refused() is None, "new jobs are taken again")
    cluster.controller.restart()
    cluster.wait_online("n1")
    states = {row["job"]: row["state"] for row in cluster.cli("ps", "-a", "-n", "200", "--json").ok().json()}
    assert set(known) == set(states) and states[running] == "stopped", states
