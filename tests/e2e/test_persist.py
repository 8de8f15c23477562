"""The kept connection: quicker, private, never needed; it goes when it should."""
import os
import stat
import time

import pytest

from support import processes


def keepers(cli):
    return [pid for pid in processes.with_argument("__persist")
            if processes.environment(pid).get("HOME") == os.fsencode(cli.home)
            or processes.environment(pid).get("XDG_DATA_HOME") == os.fsencode(cli.data_home)]


@pytest.fixture
def kept(cluster):
    """A cluster whose context keeps its connection; ended with the test."""
    cluster.cli("context", "persist", "on").ok()
    yield cluster
    cluster.cli("context", "persist", "off")
    for pid in keepers(cluster.cli):
        processes.kill(pid)


def one_keeper(cli):
    return processes.wait_until(lambda: keepers(cli), "a keeper is there")[0]


def test_a_keeper_is_left_and_used(kept):
    cli = kept.cli
    assert cli.run("n1", "echo", "first").text == "first\n"
    pid = one_keeper(cli)
    for _ in range(20):
        assert cli.run("n1", "echo", "again").text == "again\n"
    assert keepers(cli) == [pid]


def test_it_is_off_in_ci_unless_asked_for(cluster):
    assert cluster.cli.run("n1", "true").code == 0
    assert keepers(cluster.cli) == []


def test_many_at_once_and_streams_work_through_it(kept):
    cli = kept.cli
    cli.run("n1", "true")
    one_keeper(cli)
    runs = [cli.popen("run", "n1", "sh", "-c", f"seq {i} 50000 | tail -n 1; exit {i}")
            for i in range(12)]
    for number, run in enumerate(runs):
        out, _ = run.communicate(timeout=60)
        assert (run.returncode, out) == (number, b"50000\n")
    data = os.urandom(5 << 20)
    assert cli.run("-i", "n1", "cat", input=data).out == data


def test_its_socket_is_private(kept):
    kept.cli.run("n1", "true")
    one_keeper(kept.cli)
    sockets = [p for p in kept.cli.context_dir().rglob("*") if stat.S_ISSOCK(p.lstat().st_mode)]
    for path in sockets:
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert stat.S_IMODE(path.lstat().st_mode) & 0o077 == 0 or \
            stat.S_IMODE(path.parent.stat().st_mode) & 0o077 == 0


def test_killing_it_disturbs_nothing(kept):
    cli = kept.cli
    cli.run("n1", "true")
    for _ in range(3):
        processes.kill_and_wait(one_keeper(cli))
        assert cli.run("n1", "echo", "fine").text == "fine\n"


def test_a_controller_restart_is_survived(kept):
    cli = kept.cli
    cli.run("n1", "true")
    one_keeper(cli)
    for _ in range(3):
        kept.controller.restart()
        kept.wait_online("n1")
        assert cli.run("n1", "echo", "fine").text == "fine\n"


def test_revocation_reaches_a_kept_connection(kept):
    ann = kept.new_user("ann")
    ann("context", "persist", "on").ok()
    try:
        assert ann.run("n1", "true").code == 0
        one_keeper(ann)
        kept.cli("user", "revoke", "ann", "-y").ok()
        assert ann.run("n1", "true").code == 120
        assert ann("whoami").code == 4
    finally:
        ann("context", "persist", "off")
        for pid in keepers(ann):
            processes.kill(pid)


def test_a_certificate_is_renewed_behind_a_kept_connection_too(kept):
    from test_certificates import days, replace_certificate
    cli = kept.cli
    cli.run("n1", "true")
    one_keeper(cli)
    directory = cli.context_dir()
    old = replace_certificate(kept, directory, -days(0.3), days(0.05))

    def renewed():
        assert cli.run("n1", "true").code == 0
        return (directory / "cert.der").read_bytes() != old
    processes.wait_until(renewed, "it was renewed", 30)


def test_persist_off_ends_it(kept):
    cli = kept.cli
    cli.run("n1", "true")
    one_keeper(cli)
    cli("context", "persist", "off").ok()
    processes.wait_until(lambda: not keepers(cli), "the keeper left")
    assert cli.run("n1", "true").code == 0
    assert keepers(cli) == []


def test_it_saves_the_handshake(kept):
    """A figure, not a promise of this test: benchmarks measure it properly."""
    cli = kept.cli

    def median_ms():
        figures = []
        for _ in range(15):
            started = time.monotonic()
            cli("run", "n1", "true").ok()
            figures.append((time.monotonic() - started) * 1000)
        return sorted(figures)[7]

    cli.run("n1", "true")
    one_keeper(cli)
    warm = median_ms()
    cli("context", "persist", "off").ok()
    processes.wait_until(lambda: not keepers(cli), "the keeper left")
    print(f"\nrun n1 true: kept {warm:.1f} ms, cold {median_ms():.1f} ms")
