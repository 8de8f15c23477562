"""What each process may do and who it is: the daemons without root, jobs without the agent's
secrets, tokens and keys where nobody else reads them."""
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile

import pytest

from support import processes
from support.accounts import binary_with_accounts, can_have_accounts
from support.cli import BINARY, SANITIZED
from support.running import Running

ACCOUNTS = pytest.mark.skipif(not can_have_accounts(), reason="not here: not root, or no mounts")
NET, USER = 5009, 5001
NO_CAPABILITY = "0000000000000000"


def status_of(pid):
    text = processes.read(pid, "status").decode()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


@pytest.fixture
def with_accounts(tmp_path, make_cluster):
    """make(nodes=0, **accounts): a cluster where these accounts exist and may reach its root."""
    def make(**accounts):
        cluster = make_cluster(nodes=0, start=False,
                               binary=binary_with_accounts(tmp_path, **accounts))
        cluster.root.chmod(0o711)
        cluster.controller.start()
        return cluster
    return make


def add_node(cluster, *options):
    node = cluster.join("n1", None, *options)
    node.binary = cluster.cli.binary
    return node.start()


# ---- the daemons

@ACCOUNTS
def test_both_processes_on_the_network_are_another_user_with_no_capability(with_accounts):
    cluster = with_accounts(rexec=NET)
    node = add_node(cluster)
    for pid in (cluster.controller.pid, node.net_pid()):
        status = status_of(pid)
        assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(NET)}, status
        for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert status[name] == NO_CAPABILITY, (name, status)
        assert status["NoNewPrivs"] == "1"
        assert SANITIZED or status["Seccomp"] == "2", status
    assert cluster.cli.run("n1", "true").code == 0


def test_without_an_account_they_say_so_and_have_no_capability(cluster):
    node = cluster.nodes["n1"]
    for daemon, pid in ((cluster.controller, cluster.controller.pid), (node, node.net_pid())):
        status = status_of(pid)
        assert status["CapEff"] == NO_CAPABILITY and status["NoNewPrivs"] == "1", status
        is_root = status["Uid"].split()[0] == "0"
        assert ("runs as root, without capabilities" in daemon.logged()) == is_root


def test_a_confined_process_looks_names_up(cluster):
    """By a thread of the C library, which reads files and asks a resolver."""
    node = cluster.nodes["n1"]
    node.stop()
    cluster.redirect(node, "localhost:" + cluster.address.rpartition(":")[2])
    node.start()
    assert cluster.cli.run("n1", "true").code == 0


@ACCOUNTS
def test_the_controllers_files_are_its_users_however_they_were_made(with_accounts):
    """Made by init, by root afterwards, and by a controller of the time before the account."""
    cluster = with_accounts(rexec=NET)
    data = cluster.controller.data
    assert {path.stat().st_uid for path in [data, *data.rglob("*")]} == {NET}
    cluster.controller.stop()
    for path in [data, *data.rglob("*")]:
        os.chown(path, 0, 0)
    cluster.controller.start()
    assert {path.stat().st_uid for path in [data, *data.rglob("*")]} == {NET}
    assert cluster.cli("whoami").code == 0


@ACCOUNTS
def test_a_controller_that_could_not_reach_its_files_stays_and_says_why(with_accounts):
    cluster = with_accounts(rexec=NET)
    cluster.controller.stop()
    cluster.root.chmod(0o700)
    cluster.controller.start()
    status = status_of(cluster.controller.pid)
    assert status["Uid"].split()[0] == "0" and status["CapEff"] == NO_CAPABILITY
    assert f"cannot reach {cluster.controller.data}" in cluster.controller.logged()
    assert cluster.cli("whoami").code == 0


@ACCOUNTS
def test_root_backs_up_and_restores_a_controller_that_is_another_user(with_accounts):
    cluster = with_accounts(rexec=NET)
    private = cluster.root / "private"
    private.mkdir(0o700)
    cluster.cli("controller", "backup", "--data", str(cluster.controller.data),
                str(private / "copy")).ok()
    made = (private / "copy").stat()
    assert (made.st_uid, made.st_mode & 0o777) == (0, 0o600)
    cluster.controller.stop()
    cluster.cli("controller", "restore", "--data", str(cluster.controller.data),
                str(private / "copy")).ok()
    assert {path.stat().st_uid for path in cluster.controller.data.rglob("*")} == {NET}
    cluster.controller.start()
    assert cluster.cli("whoami").code == 0


@ACCOUNTS
def test_what_the_network_process_must_write_it_can(with_accounts):
    cluster = with_accounts(rexec=NET)
    node = add_node(cluster)
    cluster.cli.run("n1", "true")
    seen = node.data / "seen"
    processes.wait_until(lambda: seen.exists() and b"commits" in seen.read_bytes(),
                         "the note of the controller's history is kept")
    assert seen.stat().st_uid == NET and node.data.stat().st_uid == 0
    before = seen.read_bytes()
    node.restart()
    cluster.cli.run("n1", "true")
    processes.wait_until(lambda: seen.read_bytes() not in (before, b""), "and written again")


# ---- whom jobs run as

@ACCOUNTS
def test_a_star_admits_people_and_no_account_of_the_system(with_accounts):
    cluster = with_accounts(rexec=NET, rxa=USER)
    node = add_node(cluster, "--run-as", "rxa", "--allow-user", "*")
    assert cluster.cli.run("-u", "rxa", "n1", "id", "-u").text == f"{USER}\n"
    key = node.data / "net" / "key.der"
    for account in ("rexec", str(NET), "daemon", "nobody", "root"):
        done = cluster.cli.run("-u", account, "n1", "cat", str(key))
        assert (done.code, done.out) == (120, b"") and done.status["outcome"] == "denied", done
    text = node.config_file.read_text()
    node.config_file.write_text(text.replace('allow_users = ["*"]', 'allow_users = ["*", "rexec"]'))
    node.restart()
    assert cluster.cli.run("-u", "rexec", "n1", "id", "-u").text == f"{NET}\n"


@ACCOUNTS
def test_a_jobs_standard_streams_are_its_users(with_accounts):
    cluster = with_accounts(rexec=NET, rxa=USER)
    add_node(cluster, "--run-as", "rxa")
    script = "echo out > /dev/stdout; echo err > /dev/stderr; cat /dev/stdin"
    done = cluster.cli.run("-i", "n1", "sh", "-c", script, input=b"in\n")
    assert (done.code, done.text, done.errors) == (0, "out\nin\n", "err\n"), done


def test_a_job_sees_nothing_of_the_agents_environment(make_cluster):
    cluster = make_cluster(nodes=0, env={"SECRET_OF_AGENT": "s3cr3t"})
    cluster.add_node("n1")
    node = cluster.nodes["n1"]
    options = ["-u", "nobody"] if os.geteuid() == 0 else []
    if options:
        text = node.config_file.read_text()
        node.config_file.write_text(text.replace("allow_users = []", 'allow_users = ["nobody"]'))
        node.restart()
    above = f"$PPID {node.pid} {node.net_pid()}"
    done = cluster.cli.run(*options, "n1", "sh", "-c",
                           f"env; for p in {above}; do tr '\\0' '\\n' < /proc/$p/environ; done")
    assert b"PATH=" in done.out and b"SECRET" not in done.out, done


# ---- tokens

def test_a_token_on_the_command_line_is_hidden_at_once(make_cluster):
    cluster = make_cluster(nodes=0)
    tokens = {"login": cluster.token("--user", "ann"), "join": cluster.token("--node", "n9")}
    cluster.controller.process.send_signal(signal.SIGSTOP)  # so that they wait for its answer
    try:
        for verb, token in tokens.items():
            options = ["--data", str(cluster.root / "n9"), "--no-start"] if verb == "join" else []
            client = cluster.cli.popen(verb, token, *options)
            hidden = b"rx1_" + b"*" * (len(token) - 4)
            processes.wait_until(lambda: hidden in processes.cmdline(client.pid), "it is hidden")
            assert not any(token[4:].encode() in word for word in processes.cmdline(client.pid))
            client.kill()
            client.communicate()
    finally:
        cluster.controller.process.send_signal(signal.SIGCONT)


def test_a_token_is_read_from_a_file_or_standard_input(make_cluster, tmp_path):
    cluster = make_cluster(nodes=0)
    file = tmp_path / "token"
    ways = [["--token-file", str(file)], ["--token-file", "-"], ["-"]]
    tokens = [(cluster.token("--node", f"n{i}"), cluster.token("--user", f"u{i}"))
              for i in range(len(ways))]
    for number, (way, (node, user)) in enumerate(zip(ways, tokens)):
        for token, verb in ((node, ["join", "--data", str(tmp_path / f"n{number}"), "--no-start"]),
                            (user, ["login", "--context", f"u{number}"])):
            file.write_text(token + "\n" if str(file) in way else "not this one")
            cluster.cli(*verb, *way, input=b"" if str(file) in way else token.encode()).ok()
    done = cluster.cli("login", "--token-file", str(file), token)
    assert done.code == 2 and "--token-file" in done.errors, done
    done = cluster.cli("login", "--token-file", str(tmp_path / "none"))
    assert done.code != 0 and f"{tmp_path}/none" in done.errors, done


# ---- keys

def dumps_core(process):
    """Whether its end of SIGABRT left a core file, as the kernel says it."""
    process.send_signal(signal.SIGABRT)
    _, status = os.waitpid(process.pid, 0)
    process.returncode = -signal.SIGABRT
    assert os.WIFSIGNALED(status)
    return os.WCOREDUMP(status)


def allow_cores():
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (most, most))


@pytest.fixture
def core_place(tmp_path):
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text(encoding="utf-8").strip()
    plain = subprocess.Popen([sys.executable, "-c", "import signal; print(1, flush=True); "
                              "signal.pause()"], stdout=subprocess.PIPE, cwd=tmp_path,
                             preexec_fn=allow_cores)
    plain.stdout.readline()
    if pattern.startswith("|") or not dumps_core(plain):
        pytest.skip("not here: this system writes no core files")
    return tmp_path


def test_no_key_is_in_a_core_file_of_a_client_or_daemon(cluster, core_place):
    options = {"cwd": core_place, "preexec_fn": allow_cores}
    with Running(cluster.cli, "n1", "sh", "-c", "echo up; sleep 100", **options) as run:
        assert run.line() == "up"
        assert not dumps_core(run.process)
    token = cluster.token("--user", "ann")
    cluster.controller.process.send_signal(signal.SIGSTOP)
    client = cluster.cli.popen("login", token, **options)
    processes.wait_until(lambda: b"rx1_*" in b" ".join(processes.cmdline(client.pid)), "it runs")
    assert not dumps_core(client)
    cluster.controller.process.send_signal(signal.SIGCONT)
    before = resource.getrlimit(resource.RLIMIT_CORE)
    allow_cores()  # which the daemons inherit
    try:
        for daemon in (cluster.nodes["n1"], cluster.controller):
            daemon.restart()
            assert not dumps_core(daemon.process)
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


def test_a_job_is_as_open_as_over_ssh(cli):
    """What hides rexec's own memory is not handed on: a debugger works in a job."""
    done = cli.run("n1", sys.executable, "-c",
                   "import ctypes; print(ctypes.CDLL(None).prctl(3, 0, 0, 0, 0))")
    assert done.text == "1\n", done


# ---- setuid programs

NOBODY = 65534


@pytest.fixture
def setuid_id():
    """`id` that belongs to root and is setuid, on a file system that honours it."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        pytest.skip("not here: not root, or no setpriv")
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="rexec-setuid-") as directory:
        os.chmod(directory, 0o755)
        program = pathlib.Path(directory) / "id"
        shutil.copy(shutil.which("id"), program)
        program.chmod(0o4755)
        plain = as_nobody([str(program)])
        if b"euid=0" not in plain.stdout:
            pytest.skip("not here: /var/tmp does not honour setuid")
        yield program


def as_nobody(argv, **env):
    command = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *argv]
    return subprocess.run(command, capture_output=True, env={"PATH": os.environ["PATH"], **env},
                          stdin=subprocess.DEVNULL, timeout=90, check=False, cwd="/")


def demo_of_nobody(place, command):
    place.mkdir(exist_ok=True)
    os.chown(place, NOBODY, NOBODY)
    for above in place.parents:  # pytest's own directories
        if above == pathlib.Path(tempfile.gettempdir()):
            break
        above.chmod(above.stat().st_mode | 0o011)
    done = as_nobody([str(BINARY), "demo", "--exec", command], HOME=str(place), TMPDIR=str(place))
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def test_setuid_programs_keep_their_rights_where_asked_and_allowed(setuid_id, tmp_path):
    code, out, err = demo_of_nobody(tmp_path / "home",
                                    f"rexec run n1 -- {setuid_id}; "
                                    f"rexec run --privileges keep n1 -- {setuid_id}")
    plain, kept = out.splitlines()
    assert code == 0 and "euid=0" not in plain and "euid=0" in kept, (out, err)


def test_a_node_that_does_not_allow_it_refuses_to_keep_privileges(cli, make_cluster):
    done = cli.run("--privileges", "keep", "n1", "true")
    assert done.code == 120 and done.status["outcome"] == "denied", done
    assert 'privileges = "keep" in agent.toml' in done.errors
    allowing = make_cluster(nodes=0)
    allowing.join("n1", None, "--privileges", "keep").start()
    script = "grep NoNewPrivs /proc/self/status"
    assert allowing.cli.run("--privileges", "keep", "n1", "sh", "-c", script).text.endswith("0\n")
    assert allowing.cli.run("n1", "sh", "-c", script).text.endswith("1\n")


@ACCOUNTS
def test_privileges_are_kept_for_the_agents_own_user_alone(make_cluster):
    cluster = make_cluster(nodes=0)
    cluster.join("n1", None, "--privileges", "keep", "--allow-user", "nobody").start()
    done = cluster.cli.run("--privileges", "keep", "-u", "nobody", "n1", "true")
    assert done.code == 120 and "agent's own user" in done.errors, done


def test_what_a_job_became_by_setuid_does_not_hang_its_stop(setuid_id, tmp_path):
    python = setuid_id.parent / "python"
    shutil.copy(os.path.realpath(sys.executable), python)
    python.chmod(0o4755)
    script = setuid_id.parent / "become.py"
    script.write_text("import os; os.setresuid(0, 0, 0); print('root', flush=True); "
                      "os.execv('/bin/sleep', ['sleep', '1000'])")
    code, out, err = demo_of_nobody(
        tmp_path / "home",
        f"j=$(rexec submit --privileges keep n1 -- {python} -I {script}); echo job=$j; "
        "until rexec logs $j | grep -q root; do :; done; "
        "timeout 60 rexec stop --grace 100ms $j; echo stop=$?; rexec job show $j --json")
    for pid in processes.with_environment("REXEC_JOB", out.splitlines()[0][len("job="):]):
        processes.kill(pid)
    assert code == 0 and "stop=0" in out and '"outcome":"stopped"' in out.replace(" ", ""), (out, err)
