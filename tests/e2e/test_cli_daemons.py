"""What `controller` and `agent` say of a data directory without a network: who has it, if any."""
import os
import signal


def status_of(cli, daemon, data):
    done = cli(daemon, "status", "--data", str(data), "--json")
    found = done.json()
    assert done.code == (0 if found["running"] else 1), done
    return found["running"], found.get("pid")


def kill_unreaped(daemon):
    """A zombie until the daemon's own wait()."""
    os.kill(daemon.pid, signal.SIGKILL)
    os.waitid(os.P_PID, daemon.pid, os.WEXITED | os.WNOWAIT)


def test_a_zombie_does_not_run(cluster):  # FAULTS C13
    controller, node = cluster.controller, cluster.nodes["n1"]
    for name, daemon in (("controller", controller), ("agent", node)):
        assert status_of(cluster.cli, name, daemon.data) == (True, daemon.pid)
        kill_unreaped(daemon)
        try:
            assert status_of(cluster.cli, name, daemon.data) == (False, None)
        finally:
            daemon.process.wait()


def test_a_pid_that_somebody_else_has_by_now_does_not_run(cluster):
    cluster.controller.kill()
    (cluster.controller.data / "controller.lock").write_text(f"{os.getpid()}\n")
    assert status_of(cluster.cli, "controller", cluster.controller.data) == (False, None)


def test_a_directory_whose_lock_cannot_be_asked_is_an_error(cluster):
    lock = cluster.controller.data / "controller.lock"
    cluster.controller.stop()
    lock.unlink()
    assert status_of(cluster.cli, "controller", cluster.controller.data) == (False, None)
    lock.symlink_to("/dev/null")
    done = cluster.cli("controller", "status", "--data", str(cluster.controller.data))
    assert done.code == 1 and "controller.lock" in done.errors, done


def test_who_asks_is_not_in_the_way_of_a_start(cluster):
    asking = [cluster.cli.popen("controller", "status", "--data", str(cluster.controller.data))
              for _ in range(20)]
    for _ in range(3):
        cluster.controller.restart()
    for asked in asking:
        asked.communicate(timeout=30)
        assert asked.returncode in (0, 1)


def test_a_directory_in_use_is_a_conflict_that_names_the_holder_and_what_to_do(cluster):
    for name, daemon in (("controller", cluster.controller), ("agent", cluster.nodes["n1"])):
        for words in ((name, "run"), (name,)):
            done = cluster.cli(*words, "--data", str(daemon.data))
            assert (done.code, done.out) == (6, b""), done
            assert str(daemon.pid) in done.errors, done
            assert f"rexec {name} status --data {daemon.data}" in done.errors, done
    assert cluster.cli.run("n1", "true").code == 0


def test_other_failures_of_a_start_have_their_codes_too(cluster, tmp_path):
    for name in ("controller", "agent"):
        assert cluster.cli(name, "run", "--data", str(tmp_path / "none")).code in (1, 2)
    cluster.controller.stop()
    config = cluster.controller.data / "controller.toml"
    config.write_text(config.read_text() + "\nnonsense = 1\n")
    assert cluster.cli("controller", "run", "--data", str(cluster.controller.data)).code == 2
