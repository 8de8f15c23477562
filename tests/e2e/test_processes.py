"""What a job is to the kernel: descriptors, signals, environment, groups, limits, and its end."""
import os
import pwd
import signal
import subprocess

import pytest

from support import processes
from support.cli import BINARY
from support.running import Running

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="not here: not root")
TREE = "sleep 100 & setsid sleep 100 & wait"


def job_is_gone(job):
    return not processes.with_environment("REXEC_JOB", job)


def environment_of(done):
    return dict(entry.split("=", 1) for entry in done.text.split("\0") if entry)


# ---- ends

def test_a_timeout_leaves_no_process(cli):
    with Running(cli, "--timeout", "1", "n1", "sh", "-c", f"echo $REXEC_JOB; {TREE}") as run:
        job = run.line()
        done = run.finish()
    assert done.code == 124 and done.status["outcome"] == "timeout", done
    assert job_is_gone(job)


def test_a_timeout_works_on_a_job_that_stopped_itself(cli):  # FAULTS J9
    with Running(cli, "--timeout", "500ms", "--grace", "200ms", "n1", "sh", "-c",
                 "echo $REXEC_JOB; kill -STOP $$") as run:
        job = run.line()
        done = run.finish()
    assert (done.code, done.status["outcome"]) == (124, "timeout"), done
    assert job_is_gone(job)


def test_a_job_that_ignores_term_is_killed_after_grace(cli):  # FAULTS J8
    with Running(cli, "n1", "sh", "-c",
                 "trap '' TERM; echo $REXEC_JOB; while :; do sleep 0.05; done") as run:
        job = run.line()
        cli("stop", "--grace", "300ms", job).ok()
        done = run.finish()
    assert done.code == 137 and done.status["outcome"] == "stopped", done
    assert done.status["signal"] == 9 and job_is_gone(job)


def test_stop_ends_the_whole_tree_however_it_hides(cli):
    script = ("echo $REXEC_JOB; setsid sh -c 'trap \"\" TERM HUP; sleep 1000' & "
              "(setsid setsid sleep 1000 &); env -i sleep 1000 & wait")
    with Running(cli, "n1", "sh", "-c", script) as run:
        job = run.line()
        shim = processes.wait_until(
            lambda: [p for p in processes.with_environment("REXEC_JOB", job)][:1], "it runs")[0]
        tree = set(processes.descendants(processes_parent(shim)))
        cli("stop", "--grace", "300ms", job).ok()
        run.finish()
    assert job_is_gone(job)
    assert not any(processes.is_alive(pid) for pid in tree)


def processes_parent(pid):
    """The shim above a process of the job: the topmost ancestor with no REXEC_JOB of its own."""
    while b"REXEC_JOB" in processes.read(pid, "environ"):
        pid = int(processes.stat_fields(pid)[1])
    return pid


@pytest.mark.parametrize("mode", ["kill", "wait", "leave"])
def test_children_decides_what_happens_to_what_is_left(cli, mode):
    script = "echo $REXEC_JOB; (sleep 0.7; echo late) & exit 3"
    done = cli.run("--children", mode, "n1", "sh", "-c", script)
    job, _, rest = done.text.partition("\n")
    assert done.code == 3, done
    if mode == "wait":
        assert rest == "late\n" and done.status["left_behind"] == 0, done
    elif mode == "kill":
        assert rest == "" and done.status["left_behind"] >= 1, done
        assert "left behind" in done.errors and "--children" in done.errors
        assert job_is_gone(job)
    else:
        assert rest == "", done


def test_leave_lets_a_daemon_live(cli, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    done = cli.run("--children", "leave", "n1", "sh", "-c",
                   f"(cat {gate} >{tmp_path}/got) >/dev/null 2>&1 & echo $REXEC_JOB")
    assert done.code == 0 and done.status["left_behind"] == 0, done
    gate.write_text("alive")
    processes.wait_until(lambda: job_is_gone(done.text.strip()), "it ended by itself")
    assert (tmp_path / "got").read_text() == "alive"


def test_a_background_child_that_holds_stdout_does_not_hold_the_run(cli):
    done = cli.run("n1", "sh", "-c", "sleep 1000 & echo fast")
    assert (done.code, done.text) == (0, "fast\n"), done
    assert done.status["wall_s"] < 30


def test_cancel_against_natural_exit_gives_one_final_state(cli):  # FAULTS J25
    for _ in range(10):
        with Running(cli, "-i", "n1", "sh", "-c", "echo $REXEC_JOB; cat; exit 5",
                     stdin=subprocess.PIPE) as run:
            job = run.line()
            stop = cli.popen("stop", job)
            run.close_stdin()
            done = run.finish()
            stop.communicate()
        assert (done.status["outcome"], done.code) in (("exited", 5), ("stopped", 143)), done
        assert cli.job(job)["record"]["outcome"] == done.status["outcome"]


def test_on_disconnect_stop_ends_the_job_of_a_client_that_died(cli):
    with Running(cli, "--on-disconnect", "stop", "n1", "sh", "-c", f"echo $REXEC_JOB; {TREE}") as run:
        job = run.line()
        run.process.kill()
        assert cli("wait", job).code == 143
    record = cli.job(job)["record"]
    assert record["outcome"] == "stopped" and record["reason"] in ("disconnect", "client_ended"), record
    assert job_is_gone(job)


def test_on_disconnect_keep_lets_it_finish(cli, tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    with Running(cli, "--on-disconnect", "keep", "n1", "sh", "-c",
                 f"echo $REXEC_JOB; cat {gate}; exit 7") as run:
        job = run.line()
        run.process.kill()
        run.process.wait()
    gate.write_text("kept\n")
    assert cli("wait", job).code == 7
    assert cli("logs", job).text == f"{job}\nkept\n"


# ---- what a job inherits

def test_a_job_has_descriptors_0_1_2_only(cli):
    assert cli.run("n1", "sh", "-c", "ls /proc/$$/fd; :").text.split() == ["0", "1", "2"]
    piped = cli.run("-i", "n1", "sh", "-c", "ls /proc/$$/fd; :", input=b"")
    assert piped.text.split() == ["0", "1", "2"]
    script = cli.run("--sh", "ls /proc/$$/fd; :", "n1")
    assert script.text.split() == ["0", "1", "2"]


def test_signals_are_default_and_unblocked_and_core_is_0(cli):  # FAULTS J16
    text = cli.run("n1", "cat", "/proc/self/status").ok().text
    masks = {line.split(":")[0]: int(line.split()[1], 16) for line in text.splitlines()
             if line.startswith("Sig") and line.split(":")[0] != "SigQ"}
    assert masks["SigBlk"] == 0 and masks["SigIgn"] == 0 and masks["SigCgt"] == 0, masks
    limits = cli.run("n1", "cat", "/proc/self/limits").ok().text
    core = next(line for line in limits.splitlines() if line.startswith("Max core"))
    assert core.split()[4] == "0", core


def test_no_new_privs_is_set(cli):  # FAULTS J15
    text = cli.run("n1", "grep", "NoNewPrivs", "/proc/self/status").ok().text
    assert text.split() == ["NoNewPrivs:", "1"]


def test_a_job_leads_a_session_of_its_own(cli):
    pid, group, session = cli.run("n1", "sh", "-c", "cut -d' ' -f1,5,6 /proc/$$/stat").text.split()
    assert pid == group == session


def test_the_environment_is_clean_and_as_specified(cli):
    env = environment_of(cli.run("n1", "env", "-0").ok())
    assert set(env) == {"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ",
                        "REXEC_JOB", "REXEC_NODE", "REXEC_ATTEMPT"}, env
    me = pwd.getpwuid(os.geteuid())
    assert (env["HOME"], env["USER"], env["LOGNAME"]) == (me.pw_dir, me.pw_name, me.pw_name)
    assert env["REXEC_NODE"] == "n1" and env["REXEC_ATTEMPT"] == "1"
    assert env["REXEC_JOB"].startswith("j-")


def test_e_and_env_file_add_to_it(cli, tmp_path):
    file = tmp_path / "env"
    file.write_text("# a comment\nFROM_FILE=one two\nTWICE=file\n\nINHERITED\n")
    other = dict(cli.env, INHERITED="from here", ALSO="also here")
    done = cli.run("--env-file", str(file), "-e", "TWICE=flag", "-e", "EMPTY=", "-e", "ALSO",
                   "-e", "ODD=a=b $c\n\xff", "-e", "PATH=/usr/bin:/bin", "n1", "env", "-0", env=other)
    env = environment_of(done.ok())
    assert env["FROM_FILE"] == "one two" and env["TWICE"] == "flag" and env["EMPTY"] == ""
    assert env["INHERITED"] == "from here" and env["ALSO"] == "also here"
    assert env["PATH"] == "/usr/bin:/bin"
    assert b"ODD=a=b $c\n" in done.out


def test_w_and_here_set_the_directory(cli, tmp_path):
    assert cli.run("-w", str(tmp_path), "n1", "pwd").text.strip() == str(tmp_path)
    assert cli.run("--here", "n1", "pwd", cwd=tmp_path).text.strip() == str(tmp_path)
    done = cli.run("-w", "/no/such/dir", "n1", "pwd")
    assert done.code == 125 and done.status["outcome"] == "not_started", done
    assert "/no/such/dir" in done.errors


def test_the_umask_is_not_the_daemons(cli, tmp_path):
    assert cli.run("n1", "sh", "-c", "umask").text.strip() in ("0022", "022")


# ---- users

@ROOT_ONLY
def test_u_runs_as_that_user_with_exactly_its_groups(make_cluster):  # FAULTS J14
    cluster = make_cluster(nodes=0)
    cluster.join("n1", None, "--allow-user", "nobody").start()
    done = cluster.cli.run("-u", "nobody", "n1", "sh", "-c", "id -u; id -G; echo $USER")
    me = pwd.getpwnam("nobody")
    groups = subprocess.run(["id", "-G", "nobody"], capture_output=True, text=True, check=True)
    assert done.text == f"{me.pw_uid}\n{groups.stdout}nobody\n", done


@ROOT_ONLY
def test_a_user_who_is_not_allowed_is_refused_before_anything_runs(cli):
    done = cli.run("-u", "daemon", "n1", "id")
    assert done.code == 120 and done.status["outcome"] == "denied", done
    assert done.out == b""


def test_an_unknown_user_is_an_error_before_fork(make_cluster):  # FAULTS A14
    cluster = make_cluster(nodes=0)
    cluster.join("n1", None, "--allow-user", "*").start()
    done = cluster.cli.run("-u", "no-such-user", "n1", "id")
    assert done.code in (120, 125) and done.status["outcome"] in ("denied", "not_started"), done
    assert "no-such-user" in done.errors


@ROOT_ONLY
def test_a_user_job_may_not_touch_its_shim_or_the_agent(make_cluster):  # FAULTS J10, J11, F15
    cluster = make_cluster(nodes=0)
    node = cluster.join("n1", None, "--run-as", "nobody")
    node.start()
    net = node.net_pid()
    script = (f"kill -0 $PPID; echo shim=$?; kill -0 {node.pid}; echo spawner=$?; "
              f"kill -0 {net}; echo net=$?; cat /proc/{net}/environ >/dev/null; echo environ=$?; "
              f"ls /proc/{net}/fd >/dev/null; echo fds=$?; ls {node.data}/jobs; echo jobs=$?; "
              f"cat {node.data}/net/key.der >/dev/null; echo key=$?")
    done = cluster.cli.run("n1", "sh", "-c", script)
    results = dict(line.split("=") for line in done.text.split())
    assert len(results) == 7 and all(code != "0" for code in results.values()), (results, done)


# ---- what dies around it

def test_killing_net_leaves_the_job_and_its_output(cluster):
    with Running(cluster.cli, "-i", "--reconnect", "60s", "n1", "sh", "-c", "echo $$; cat",
                 stdin=subprocess.PIPE) as run:
        pid = int(run.line())
        for number in range(3):
            cluster.nodes["n1"].kill_net()
            run.type(b"%d\n" % number)
            assert run.line() == str(number)
            assert processes.is_alive(pid)
        run.close_stdin()
        assert run.finish().code == 0


def test_killing_the_spawner_leaves_the_job_and_the_next_one_adopts_it(cluster):
    node = cluster.nodes["n1"]
    with Running(cluster.cli, "-i", "--reconnect", "60s", "n1", "sh", "-c", "echo $REXEC_JOB; cat",
                 stdin=subprocess.PIPE) as run:
        job = run.line()
        shim = node.shim_of(job)
        net = node.net_pid()
        node.kill()
        processes.wait_until(lambda: not processes.is_alive(net), "net left with its spawner")
        assert processes.is_alive(shim)
        node.start()
        assert node.shim_of(job) == shim
        run.type(b"adopted\n")
        assert run.line() == "adopted"
        run.close_stdin()
        assert run.finish().code == 0


def test_a_killed_shim_means_lost_and_never_a_second_start(cluster):  # FAULTS K8
    node = cluster.nodes["n1"]
    with Running(cluster.cli, "n1", "sh", "-c", f"echo $REXEC_JOB; {TREE}") as run:
        job = run.line()
        processes.kill_and_wait(node.shim_of(job))
        done = run.finish()
    assert done.code == 121 and done.status["outcome"] == "lost", done
    assert "supervisor" in done.status["reason"]
    processes.wait_until(lambda: job_is_gone(job), "what the shim left was killed")
    shown = cluster.cli.job(job)
    assert shown["record"]["outcome"] == "lost" and shown["attempt"] == 1


def test_kill_9_of_the_job_is_signal_9(cli):  # FAULTS K9
    with Running(cli, "n1", "sh", "-c", "echo $$; sleep 1000") as run:
        os.kill(int(run.line()), signal.SIGKILL)
        done = run.finish()
    assert (done.code, done.status["outcome"], done.status["signal"]) == (137, "signaled", 9)


def test_a_gigabyte_of_stdin_to_a_job_that_does_not_read_is_held_back(cli):  # FAULTS J23
    with open("/dev/zero", "rb") as zeros, \
            Running(cli, "-i", "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000", stdin=zeros) as run:
        job = run.line()
        consumed = processes.wait_until(lambda: settled_offset(run.pid), "the client stops reading")
        assert consumed < 16 << 20, consumed
        assert cli("stop", job).code == 0
        assert run.finish().code == 143


def settled_offset(pid):
    """rchar of /proc/PID/io once it did not change over a hundred looks."""
    def rchar():
        return int(processes.read(pid, "io").split()[1])
    before, same = rchar(), 0
    while same < 100:
        now = rchar()
        same = same + 1 if now == before else 0
        before = now
    return before


def test_a_terminal_job_is_hung_up_when_its_terminal_goes(cli):  # FAULTS J20
    with Running(cli, "-t", "n1", "sh", "-c", "echo $REXEC_JOB; sleep 1000",
                 stdin=subprocess.PIPE) as run:
        job = run.line().strip()
        cli("stop", job).ok()
        run.finish()
    assert job_is_gone(job)


def test_many_jobs_at_once_leave_no_zombie_and_no_process(cluster):  # FAULTS J17
    jobs = cluster.cli("submit", "--idempotency-key", "x", "n1", "true").ok().text.split()
    runs = [cluster.cli.popen("run", "n1", "true") for _ in range(40)]
    assert [run.wait(60) for run in runs] == [0] * 40
    for run in runs:
        run.communicate()
    assert cluster.cli("wait", *jobs).code == 0
    node = cluster.nodes["n1"]

    def zombies():
        return [pid for pid in processes.all_pids()
                if processes.stat_fields(pid)[:2] == [b"Z", str(node.pid).encode()]]
    processes.wait_until(lambda: not zombies(), "no zombie is left below the spawner")


def test_a_resize_is_told_to_a_job_without_a_terminal_too(cli):
    script = '$SIG{WINCH} = sub { print "resized\\n"; exit 0 }; $| = 1; print "ready\\n"; sleep 1000'
    with Running(cli, "n1", "perl", "-e", script) as run:
        assert run.line() == "ready"
        run.signal(signal.SIGWINCH)
        assert run.line() == "resized"
        assert run.finish().code == 0


def test_quit_leaves_every_job_of_a_fan_out_and_is_121(make_cluster):
    cluster = make_cluster(nodes=2)
    with Running(cluster.cli, "n1,n2", "sh", "-c", "echo $REXEC_JOB; exec sleep 1000") as run:
        jobs = [run.line().split(": ")[1] for _ in range(2)]
        run.signal(signal.SIGQUIT)
        done = run.finish()
    assert done.code == 121, done
    for job in jobs:
        assert f"the job goes on; come back with: rexec attach {job}" in done.errors, done
        assert cluster.cli.job(job)["state"] == "running"
        cluster.cli("stop", job).ok()


@pytest.mark.parametrize("rule,words", [((), "the job is to stop there, because its client ends"),
                                        (("--on-disconnect", "stop"), "the job is to stop there"),
                                        (("--on-disconnect", "keep"), "the job goes on; come back")])
def test_a_client_that_is_hung_up_says_what_becomes_of_the_job(cli, rule, words):
    with Running(cli, *rule, "n1", "sh", "-c", "echo $REXEC_JOB; exec sleep 1000",
                 start_new_session=True) as run:
        job = run.line()
        run.signal(signal.SIGHUP)
        done = run.finish()
    assert words in done.errors, done
    cli("stop", job)


def test_a_job_cannot_change_the_binary_of_its_shim(cli):  # FAULTS J19
    before = BINARY.read_bytes()
    script = ('for file in /proc/$PPID/exe "$0"; do (echo x >>"$file") && echo wrote; '
              '(: >"$file") && echo cut; done; echo done')
    done = cli("run", "n1", "--", "sh", "-c", script, str(BINARY))
    assert done.text == "done\n", done
    assert BINARY.read_bytes() == before
