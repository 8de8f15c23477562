"""One static file that runs anywhere: empty roots, odd nsswitch, never port 512; and the demo."""
import os
import shutil
import signal
import struct
import subprocess
import sys
import time

import pytest

from support import processes
from support.cli import BINARY, Cli, SANITIZED
from support.terminal import Terminal

STATIC = pytest.mark.skipif(SANITIZED, reason="not here: sanitizer builds are dynamic")


def chroot_command(root, *argv):
    prefix = [] if os.geteuid() == 0 else [shutil.which("unshare"), "--user", "--map-root-user"]
    return [*prefix, shutil.which("chroot"), str(root), *argv]


@pytest.fixture
def empty_root(tmp_path):
    """A root with the binary and /data in it, and nothing else: no /etc, /proc, /dev, /tmp."""
    root = tmp_path / "root"
    (root / "data").mkdir(parents=True)
    shutil.copy(BINARY, root / "rexec")
    probe = subprocess.run(chroot_command(root, "/rexec", "version"), capture_output=True, check=False)
    if b"Operation not permitted" in probe.stderr:
        pytest.skip("not here: neither root nor user namespaces")
    return root


def inside(root, *argv, env=None, **options):
    env = {"HOME": "/data", "PATH": "/", **(env or {})}
    return subprocess.run(chroot_command(root, "/rexec", *argv), env=env, capture_output=True,
                          timeout=60, check=False, **options)


@STATIC
def test_it_needs_no_loader_and_is_stripped():
    data = BINARY.read_bytes()
    offset, = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    kinds = [struct.unpack_from("<I", data, offset + size * i)[0] for i in range(count)]
    assert 3 not in kinds, "no PT_INTERP"
    assert struct.unpack_from("<H", data, 16)[0] == 3, "position independent"
    assert b"\0.symtab\0" not in data
    print(f"\n{len(data) / 1e6:.1f} MB")


@STATIC
def test_it_runs_in_an_empty_root(empty_root):
    for argv in (["version"], ["help"], ["explain"], ["run", "--help"], ["completion", "bash"]):
        done = inside(empty_root, *argv)
        assert done.returncode == 0, (argv, done)
    assert inside(empty_root, "ps").returncode == 4


@STATIC
def test_a_client_in_an_empty_root_reaches_a_node(shared, empty_root):
    for source, target in ((shared.cli.config_home, "config"), (shared.cli.data_home, "share")):
        shutil.copytree(source, empty_root / "data" / target)
    env = {"XDG_CONFIG_HOME": "/data/config", "XDG_DATA_HOME": "/data/share", "CI": "1"}
    done = inside(empty_root, "run", "n1", "echo", "from nowhere", env=env)
    assert (done.returncode, done.stdout) == (0, b"from nowhere\n"), done
    done = inside(empty_root, "run", "-i", "n1", "cat", env=env, input=b"x" * 100_000)
    assert done.stdout == b"x" * 100_000


def start_inside(root, *argv):
    """A daemon in the root; its first ready line."""
    read_end, write_end = os.pipe()
    process = subprocess.Popen(chroot_command(root, "/rexec", *argv, "--ready-fd", str(write_end)),
                               env={"HOME": "/data", "PATH": "/"}, pass_fds=[write_end],
                               stdin=subprocess.DEVNULL, stderr=subprocess.PIPE)
    os.close(write_end)
    with os.fdopen(read_end) as file:
        line = file.readline()
    if not line:
        process.kill()
        raise AssertionError(f"{argv} did not become ready: {process.communicate()[1].decode()}")
    return process


@STATIC
@pytest.mark.parametrize("etc", ["none", "nsswitch systemd"])
def test_controller_and_agent_work_there(empty_root, etc):
    """A whole installation without a file of the system; and with an nsswitch that static glibc
    could only follow by loading a library."""
    if etc != "none":
        (empty_root / "etc").mkdir()
        (empty_root / "etc" / "nsswitch.conf").write_text(
            "passwd: files systemd\ngroup: files systemd\nhosts: files mymachines dns\n")
        (empty_root / "etc" / "passwd").write_text("root:x:0:0:root:/data:/rexec\n")
        (empty_root / "etc" / "group").write_text("root:x:0:\n")
    (empty_root / "dev").mkdir()
    (empty_root / "dev" / "null").write_bytes(b"")  # no device node without root; empty all the same
    (empty_root / "proc").mkdir()
    daemons = []
    try:
        made = inside(empty_root, "controller", "init", "--data", "/data/c", "--listen", "127.0.0.1:0")
        assert made.returncode == 0, made
        daemons.append(start_inside(empty_root, "controller", "run", "--data", "/data/c"))
        token = inside(empty_root, "token", "new", "--node", "n1").stdout.decode().strip()
        joined = inside(empty_root, "join", token, "--data", "/data/a", "--no-start")
        assert joined.returncode == 0, joined
        who = inside(empty_root, "run", "-u", "no-such-user", "n1", "/rexec", "version")
        assert who.returncode in (120, 125) and b"Segmentation" not in who.stderr, who
    finally:
        for daemon in daemons:
            daemon.terminate()
            daemon.communicate(timeout=20)


def test_port_512_is_never_listened_on(make_cluster):
    cluster = make_cluster(nodes=0)
    done = cluster.cli("controller", "init", "--data", str(cluster.root / "x"), "--listen",
                       "127.0.0.1:512", "--context", "x")
    assert done.code == 2 and "512" in done.errors, done
    cluster.controller.stop()
    file = cluster.controller.data / "controller.toml"
    file.write_text(file.read_text().replace(f'listen = "{cluster.address}"',
                                             'listen = "127.0.0.1:512"'))
    with pytest.raises(AssertionError, match="512"):
        cluster.controller.start()


# ---- the demo

@pytest.fixture
def home(tmp_path):
    return Cli(tmp_path / "home", {"TMPDIR": str(tmp_path / "tmp")})


def demo_is_gone(tmp_path):
    """Nothing of it is left: no directory, no process that names one."""
    processes.wait_until(lambda: not processes.with_argument(str(tmp_path / "tmp")),
                         "the demo's processes are gone")
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize("command,code,out", [
    ("rexec run n1 -- echo hello", 0, "hello\n"), ("rexec run n3 -- sh -c 'exit 42'", 42, ""),
    ("rexec node ls -o name | sort", 0, "n1\nn2\nn3\n"), ("kill -9 $$", 137, "")])
def test_demo_exec_runs_a_command_and_exits_with_its_code(home, tmp_path, command, code, out):
    (tmp_path / "tmp").mkdir()
    done = home("demo", "--exec", command)
    assert (done.code, done.text) == (code, out), done
    demo_is_gone(tmp_path)
    assert not home.config_file.exists(), "the person's own contexts are untouched"


def test_demo_is_ready_in_three_seconds(home, tmp_path):
    (tmp_path / "tmp").mkdir()
    started = time.monotonic()
    home("demo", "--exec", "true").ok()
    took = time.monotonic() - started
    print(f"\ndemo up and down in {took:.2f} s")
    assert took < 3 or os.environ.get("REXEC_CI") != "1" or took < 10


def test_demo_prints_commands_to_paste_and_ends_on_ctrl_c(home, tmp_path):
    (tmp_path / "tmp").mkdir()
    with Terminal(home, "demo", status=False) as t:
        for _ in range(5):
            t.expect("rexec ")
        directory = processes.wait_until(lambda: list((tmp_path / "tmp").iterdir()), "it is up")[0]
        assert directory.is_dir()
        t.expect("Ctrl-C")
        t.send("\x03")
        ended = t.ended()
    assert ended.code in (0, 130, -signal.SIGINT) and ended.restored == "", ended.screen
    demo_is_gone(tmp_path)


def test_demo_ends_its_jobs(home, tmp_path):
    (tmp_path / "tmp").mkdir()
    script = (f"rexec submit n1 -- {sys.executable} -c 'import signal; signal.pause()' demo-{os.getpid()}"
              "; rexec ps -o name")
    done = home("demo", "--exec", script).ok()
    job = done.text.split()[0]
    assert processes.with_environment("REXEC_JOB", job) == []
    demo_is_gone(tmp_path)
