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


@pytest.fixture
def small_node(make_cluster):
    """A cluster whose node n1 keeps its jobs on a file system of 24 MiB."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mounts a small file system")
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1")
    jobs = node.data / "jobs"
    jobs.mkdir(mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=700", "tmpfs", jobs], check=True)
    try:
        node.start()
        cluster.wait_online("n1")
        yield cluster
        node.stop()
    finally:
        subprocess.run(["umount", "-l", jobs], check=True)


def test_a_node_with_a_full_disk_says_so_and_never_runs_later_what_it_refused(small_node, tmp_path):
    cluster, cli = small_node, small_node.cli
    node = cluster.nodes["n1"]
    filler = node.data / "jobs" / "filler"
    fill(filler)
    script = f"echo x >>{tmp_path}/ran"
    done = cli.run("n1", "sh", "-c", script)
    assert (done.code, done.status["outcome"]) == (125, "not_started"), done
    assert "is full" in done.errors and "n1" in done.errors, done
    job = cli.submit("n1", "sh", "-c", script)
    assert cli("wait", job, timeout=20).code == 125
    cli("stop", job).ok()
    filler.unlink()
    node.restart()
    cluster.wait_online("n1")
    cluster.controller.restart()
    cluster.wait_online("n1")
    assert cli.run("n1", "echo", "well").text == "well\n"
    assert not (tmp_path / "ran").exists()
    assert cli("job", "show", job, "--json").ok().json()["state"] == "not_started"


def test_a_job_whose_output_finds_no_room_waits_says_so_and_loses_nothing(small_node):
    cluster = small_node
    filler = cluster.nodes["n1"].data / "jobs" / "filler"
    filler.write_bytes(b"\0" * (20 << 20))
    run = cluster.cli.popen("run", "n1", "seq", "1", "1500000", stdout=subprocess.PIPE)
    first = run.stderr.readline()
    assert b"the job waits: n1 cannot keep its output (No space left on device)" in first, first
    filler.unlink()
    out, errors = run.communicate(timeout=60)
    expected = b"".join(b"%d\n" % i for i in range(1, 1500001))
    assert run.returncode == 0 and out == expected, (len(out), errors)
    assert b"goes on" in errors


def written_by(pid):
    fields = dict(line.split(": ") for line in processes.read(pid, "io").decode().splitlines())
    return int(fields["write_bytes"]), int(fields["syscw"])


def files_below(path):
    return {str(file): (file.stat().st_mtime_ns, file.stat().st_size)
            for file in path.rglob("*") if file.is_file()}


def test_an_idle_agent_writes_nothing(cluster):
    # A Raspberry Pi's card lasts: no heartbeat, timer or log line touches the disk.
    node = cluster.nodes["n1"]
    if os.geteuid() != 0:
        pytest.skip("not here: /proc/PID/io of a process that is not dumpable is root's")
    cluster.cli("run", "n1", "true").ok()
    pids = [node.pid, node.net_pid()]
    seen = {"heartbeats": 0}

    def quiet():
        before = [written_by(pid) for pid in pids], files_below(node.data), node.logged()
        received = processes.read(pids[1], "io")
        # Two heartbeats: net has read, and has been read, while the disk was left alone.
        processes.wait_until(lambda: processes.read(pids[1], "io") != received, "a heartbeat", 30)
        after = [written_by(pid) for pid in pids], files_below(node.data), node.logged()
        seen["heartbeats"] = seen["heartbeats"] + 1 if before == after else 0
        return seen["heartbeats"] >= 2

    processes.wait_until(quiet, "two heartbeats without a write", 90)
